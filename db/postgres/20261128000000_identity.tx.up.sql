-- API clients: who may get access tokens from the server. Of a secret there is a hash
-- under a data key, as of tokens and PINs.
CREATE TABLE IF NOT EXISTS api_clients (
    account_id    TEXT COLLATE "C" NOT NULL,
    id            UUID NOT NULL,
    name          TEXT COLLATE "C" NOT NULL,
    description   TEXT COLLATE "C",
    secret_hash   TEXT COLLATE "C" NOT NULL,
    secret_key_id TEXT COLLATE "C" NOT NULL,
    created_at    BIGINT NOT NULL,
    created_by    TEXT COLLATE "C" NOT NULL,
    revoked_at    BIGINT,
    revoked_by    TEXT COLLATE "C",
    PRIMARY KEY (account_id, id)
);
--bun:split
-- Grants: what a client's tokens permit, as scopes with spaces between them.
CREATE TABLE IF NOT EXISTS client_grants (
    account_id TEXT COLLATE "C" NOT NULL,
    id         UUID NOT NULL,
    client_id  UUID NOT NULL,
    audience   TEXT COLLATE "C",
    scopes     TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    revoked_at BIGINT,
    revoked_by TEXT COLLATE "C",
    PRIMARY KEY (account_id, id)
);
--bun:split
-- A client has one grant at a time.
CREATE UNIQUE INDEX IF NOT EXISTS client_grants_live ON client_grants (account_id, client_id) WHERE revoked_at IS NULL;
