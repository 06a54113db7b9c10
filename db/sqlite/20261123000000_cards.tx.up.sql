-- Cards: what was said about each card object, and the projection of its transactions.
CREATE TABLE IF NOT EXISTS cards (
    account_id       TEXT NOT NULL,
    id               TEXT NOT NULL,
    card_id          TEXT NOT NULL,
    customer_id      TEXT,
    name             TEXT,
    type             TEXT NOT NULL CHECK (type IN ('gift_card', 'credit_note')),
    originated_by    TEXT,
    metadata         TEXT,
    created_at       BIGINT NOT NULL,
    created_by       TEXT NOT NULL,
    amount           BIGINT NOT NULL CHECK (amount BETWEEN 0 AND 9007199254740991),
    currency         TEXT,
    activated        BOOLEAN NOT NULL,
    activation_id    TEXT,
    active_from      BIGINT,
    expires_at       BIGINT,
    amount_funds     BIGINT NOT NULL CHECK (amount_funds BETWEEN 0 AND 9007199254740991),
    amount_drawdown  BIGINT NOT NULL CHECK (amount_drawdown >= 0),
    amount_pending   BIGINT NOT NULL CHECK (amount_pending >= 0),
    amount_reserved  BIGINT NOT NULL CHECK (amount_reserved >= 0),
    open_holds       BIGINT NOT NULL CHECK (open_holds >= 0),
    seq              BIGINT NOT NULL CHECK (seq >= 0),
    digest           TEXT NOT NULL,
    last_txn_at      BIGINT NOT NULL,
    pin_id           TEXT,
    pin_format       TEXT,
    pin_hash         TEXT,
    pin_key_id       TEXT,
    pin_failures     BIGINT NOT NULL CHECK (pin_failures >= 0),
    pin_locked_until BIGINT,
    deleted_at       BIGINT,
    deleted_by       TEXT,
    deletion_id      TEXT,
    search_text      TEXT NOT NULL,
    PRIMARY KEY (account_id, id),
    CHECK (amount_drawdown + amount_reserved <= amount_funds),
    CHECK (amount_pending <= amount_reserved)
);
--bun:split
-- A card_id is taken by one live card at a time.
CREATE UNIQUE INDEX IF NOT EXISTS cards_live_card_id ON cards (account_id, card_id) WHERE deleted_at IS NULL;
--bun:split
CREATE INDEX IF NOT EXISTS cards_customer ON cards (account_id, customer_id, id);
--bun:split
-- Transactions: the immutable history of each card.
CREATE TABLE IF NOT EXISTS transactions (
    account_id     TEXT NOT NULL,
    id             TEXT NOT NULL,
    card_object_id TEXT NOT NULL,
    seq            BIGINT NOT NULL CHECK (seq > 0),
    type           TEXT NOT NULL CHECK (type IN ('fund', 'drawdown', 'pending_capture', 'voided')),
    amount         BIGINT NOT NULL CHECK (amount BETWEEN 0 AND 9007199254740991),
    currency       TEXT NOT NULL,
    ref_id         TEXT NOT NULL,
    parent_id      TEXT,
    token_id       TEXT,
    addressed_by   TEXT NOT NULL CHECK (addressed_by IN ('opening', 'card_id', 'token', 'transaction')),
    amount_given   BOOLEAN NOT NULL,
    metadata       TEXT,
    originated_by  TEXT,
    created_at     BIGINT NOT NULL,
    created_by     TEXT NOT NULL,
    digest         TEXT NOT NULL,
    PRIMARY KEY (account_id, id)
);
--bun:split
CREATE UNIQUE INDEX IF NOT EXISTS transactions_seq ON transactions (account_id, card_object_id, seq);
--bun:split
CREATE UNIQUE INDEX IF NOT EXISTS transactions_ref_id ON transactions (account_id, card_object_id, ref_id);
--bun:split
-- Holds: what is left of each pending transaction.
CREATE TABLE IF NOT EXISTS holds (
    account_id     TEXT NOT NULL,
    id             TEXT NOT NULL,
    card_object_id TEXT NOT NULL,
    amount         BIGINT NOT NULL CHECK (amount >= 0),
    locked         BIGINT NOT NULL CHECK (locked >= 0),
    open           BOOLEAN NOT NULL,
    PRIMARY KEY (account_id, id),
    CHECK (locked <= amount)
);
--bun:split
CREATE INDEX IF NOT EXISTS holds_card ON holds (account_id, card_object_id);
--bun:split
-- Tokens: temporary aliases of cards. The clear value is never stored.
CREATE TABLE IF NOT EXISTS tokens (
    account_id     TEXT NOT NULL,
    id             TEXT NOT NULL,
    card_object_id TEXT NOT NULL,
    ref_id         TEXT,
    hash           TEXT NOT NULL,
    key_id         TEXT NOT NULL,
    masked         TEXT NOT NULL,
    format         TEXT,
    shape          TEXT NOT NULL,
    expires_in     BIGINT,
    expires_at     BIGINT,
    single_use     BOOLEAN NOT NULL,
    spent_by       TEXT,
    metadata       TEXT,
    created_at     BIGINT NOT NULL,
    created_by     TEXT NOT NULL,
    PRIMARY KEY (account_id, id)
);
--bun:split
-- A value is never given out twice, whatever became of its first token.
CREATE UNIQUE INDEX IF NOT EXISTS tokens_hash ON tokens (account_id, hash);
--bun:split
CREATE UNIQUE INDEX IF NOT EXISTS tokens_ref_id ON tokens (account_id, card_object_id, ref_id) WHERE ref_id IS NOT NULL;
--bun:split
CREATE INDEX IF NOT EXISTS tokens_card ON tokens (account_id, card_object_id, id);
--bun:split
-- Fingerprints of the data keys that hashed the tokens and PINs of this database.
-- They belong to the installation, not to an account.
CREATE TABLE IF NOT EXISTS data_keys (
    key_id      TEXT NOT NULL PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    created_at  BIGINT NOT NULL
);
