-- What lists of cards need to find a page among a million cards. Nothing here is a
-- truth of its own: it repeats what a card's row says, in a form that an index can
-- serve.
--
-- No index on cards may depend on a column that every transaction changes:
-- PostgreSQL would then write all indexes of the card anew each time. A usage
-- changes three times in a card's life.
SET LOCAL statement_timeout = 0;
--bun:split
SET LOCAL lock_timeout = 0;
--bun:split
-- Room on each page for the next versions of its cards, which then need no index
-- entry; the next statement writes the table anew, with it.
ALTER TABLE cards SET (fillfactor = 85);
--bun:split
-- expires_month counts months of 30 days; 10000000 is never. dated_id tells whether
-- the time in the id is that of created_at, give or take five minutes.
ALTER TABLE cards
    ADD COLUMN IF NOT EXISTS usage TEXT COLLATE "C" NOT NULL GENERATED ALWAYS AS (CASE
        WHEN NOT activated THEN 'inactive'
        WHEN amount_funds = 0 THEN 'empty'
        WHEN amount_drawdown = 0 THEN 'unused'
        WHEN amount_funds = amount_drawdown THEN 'used'
        ELSE 'partially_used' END) STORED,
    ADD COLUMN IF NOT EXISTS expires_month BIGINT NOT NULL GENERATED ALWAYS AS (
        coalesce(expires_at / 2592000000000, 10000000)) STORED,
    ADD COLUMN IF NOT EXISTS dated_id BOOLEAN NOT NULL GENERATED ALWAYS AS (
        created_at BETWEEN 300000000 AND 253402300799999999
        AND replace(left(id::text, 13), '-', '') BETWEEN lpad(to_hex(created_at / 1000 - 300000), 12, '0')
            AND lpad(to_hex(created_at / 1000 + 300000), 12, '0')) STORED;
--bun:split
CREATE INDEX IF NOT EXISTS cards_usage ON cards (account_id, usage, expires_month, id, expires_at, deleted_at, currency, type);
--bun:split
CREATE INDEX IF NOT EXISTS cards_currency ON cards (account_id, currency, id);
--bun:split
CREATE INDEX IF NOT EXISTS cards_type ON cards (account_id, type, id);
--bun:split
CREATE INDEX IF NOT EXISTS cards_amount ON cards (account_id, amount, id);
--bun:split
CREATE INDEX IF NOT EXISTS cards_undated_id ON cards (account_id, id) WHERE NOT dated_id;
--bun:split
-- The figures of the card after the last transaction of a commit on it, so that a
-- figure is found through an index that only ever grows: available_after, and
-- balance_after where it is another.
ALTER TABLE transactions
    ADD COLUMN IF NOT EXISTS available_after BIGINT,
    ADD COLUMN IF NOT EXISTS balance_after BIGINT;
--bun:split
UPDATE transactions AS t SET available_after = c.amount_funds - c.amount_drawdown - c.amount_reserved,
    balance_after = CASE WHEN c.amount_reserved > 0 THEN c.amount_funds - c.amount_drawdown END
FROM cards AS c WHERE c.account_id = t.account_id AND c.id = t.card_object_id AND c.seq = t.seq;
--bun:split
CREATE INDEX IF NOT EXISTS transactions_available ON transactions (account_id, available_after, card_object_id) WHERE available_after IS NOT NULL;
--bun:split
CREATE INDEX IF NOT EXISTS transactions_balance ON transactions (account_id, balance_after, card_object_id) WHERE balance_after IS NOT NULL;
--bun:split
-- Most accounts and cards are small, and some are very large. Taken for small, they
-- would be read from end to end in search of one row: the planner is told that there is
-- but one account, and that a card has a good share of all transactions and tokens.
ALTER TABLE cards ALTER COLUMN account_id SET (n_distinct = 1);
--bun:split
ALTER TABLE transactions ALTER COLUMN account_id SET (n_distinct = 1), ALTER COLUMN card_object_id SET (n_distinct = 100);
--bun:split
ALTER TABLE holds ALTER COLUMN account_id SET (n_distinct = 1);
--bun:split
ALTER TABLE tokens ALTER COLUMN account_id SET (n_distinct = 1), ALTER COLUMN card_object_id SET (n_distinct = 100);
--bun:split
-- What searches look into, apart from cards, so that no transaction touches it.
CREATE TABLE IF NOT EXISTS card_search (
    account_id  TEXT COLLATE "C" NOT NULL,
    id          UUID NOT NULL,
    search_text TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (account_id, id)
);
--bun:split
INSERT INTO card_search (account_id, id, search_text) SELECT account_id, id, search_text FROM cards ON CONFLICT DO NOTHING;
--bun:split
-- Every three characters in a row, each behind its account: no search reads what
-- another account has, and no extension is needed.
CREATE OR REPLACE FUNCTION card_grams(account_id TEXT, search_text TEXT) RETURNS TEXT[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
'SELECT array_agg(account_id || substr(search_text, n, 3)) FROM generate_series(1, length(search_text) - 2) AS n';
--bun:split
CREATE INDEX IF NOT EXISTS card_search_grams ON card_search USING gin (card_grams(account_id, search_text));
--bun:split
-- What the planner was told above counts from now on.
ANALYZE cards, transactions, holds, tokens, card_search;
