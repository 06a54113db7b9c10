-- Subscriptions to events. What belongs to one that was deleted goes little by little, and
-- the row goes last.
CREATE TABLE IF NOT EXISTS hook_subscriptions (
    account_id    TEXT COLLATE "C" NOT NULL,
    id            UUID NOT NULL,
    url           TEXT COLLATE "C" NOT NULL,
    transactions  BOOLEAN NOT NULL,
    cards         BOOLEAN NOT NULL,
    active        BOOLEAN NOT NULL,
    secret        TEXT COLLATE "C" NOT NULL,
    secret_key_id TEXT COLLATE "C" NOT NULL,
    created_at    BIGINT NOT NULL,
    created_by    TEXT COLLATE "C" NOT NULL,
    deleted_at    BIGINT,
    PRIMARY KEY (account_id, id)
);
--bun:split
-- The outbox: a row for each event and subscription, written in the commit of what it is
-- about. Its body is not here: it is made of rows that never change when it is sent.
--
-- The deliveries of a stream go out in the order of their positions. One is due at
-- next_at, which is also when an attempt that goes on is given up for dead.
CREATE TABLE IF NOT EXISTS hook_deliveries (
    account_id      TEXT COLLATE "C" NOT NULL,
    subscription_id UUID NOT NULL,
    id              UUID NOT NULL,
    event           TEXT COLLATE "C" NOT NULL CHECK (event IN ('wallet_transaction', 'wallet_card', 'ping')),
    card_object_id  UUID,
    stream_id       UUID NOT NULL,
    position        BIGINT NOT NULL CHECK (position >= 0),
    created_at      BIGINT NOT NULL,
    next_at         BIGINT NOT NULL DEFAULT 0,
    in_flight       BOOLEAN NOT NULL DEFAULT false,
    attempts        BIGINT NOT NULL DEFAULT 0,
    settled_at      BIGINT,
    delivered       BOOLEAN NOT NULL DEFAULT false,
    attempted_at    BIGINT,
    duration_us     BIGINT,
    http_status     BIGINT,
    response        TEXT COLLATE "C",
    failure         TEXT COLLATE "C",
    PRIMARY KEY (account_id, subscription_id, id)
);
--bun:split
-- What is still to be delivered is little, unless a receiver is down.
CREATE INDEX IF NOT EXISTS hook_deliveries_due ON hook_deliveries (account_id, subscription_id, next_at, id) WHERE settled_at IS NULL;
--bun:split
CREATE INDEX IF NOT EXISTS hook_deliveries_stream ON hook_deliveries (account_id, subscription_id, stream_id, position) WHERE settled_at IS NULL;
--bun:split
CREATE INDEX IF NOT EXISTS hook_deliveries_settled ON hook_deliveries (account_id, subscription_id, settled_at) WHERE settled_at IS NOT NULL;
