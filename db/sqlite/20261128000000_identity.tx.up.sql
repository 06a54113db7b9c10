-- API clients: who may get access tokens from the server. Of a secret there is a hash
-- under a data key, as of tokens and PINs.
CREATE TABLE IF NOT EXISTS api_clients (
    account_id    TEXT NOT NULL,
    id            TEXT NOT NULL,
    name          TEXT NOT NULL,
    description   TEXT,
    secret_hash   TEXT NOT NULL,
    secret_key_id TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    created_by    TEXT NOT NULL,
    revoked_at    BIGINT,
    revoked_by    TEXT,
    PRIMARY KEY (account_id, id)
);
--bun:split
-- Grants: what a client's tokens permit, as scopes with spaces between them.
CREATE TABLE IF NOT EXISTS client_grants (
    account_id TEXT NOT NULL,
    id         TEXT NOT NULL,
    client_id  TEXT NOT NULL,
    audience   TEXT,
    scopes     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    revoked_at BIGINT,
    revoked_by TEXT,
    PRIMARY KEY (account_id, id)
);
--bun:split
-- A client has one grant at a time.
CREATE UNIQUE INDEX IF NOT EXISTS client_grants_live ON client_grants (account_id, client_id) WHERE revoked_at IS NULL;
