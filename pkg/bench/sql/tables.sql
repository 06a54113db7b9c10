-- The least that a drawdown needs, as one would write it by hand: no account, no
-- currency, no holds, no history that can be verified. The schema is `plain`.
CREATE TABLE card (
    id      BIGINT PRIMARY KEY,
    balance BIGINT NOT NULL CHECK (balance >= 0)
);
CREATE TABLE txn (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    card_id    BIGINT NOT NULL,
    ref_id     TEXT NOT NULL,
    amount     BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (card_id, ref_id)
);
