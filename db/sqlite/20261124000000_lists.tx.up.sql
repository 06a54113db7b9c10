{{if not .Listed -}}
-- What lists of cards need to find a page among a million cards. Nothing here is a
-- truth of its own: it repeats what a card's row says, in a form that an index can
-- serve.
--
-- expires_month counts months of 30 days; 10000000 is never. dated_id tells whether
-- the time in the id is that of created_at, give or take five minutes.
--
-- usage is kept by triggers: were it generated like the others, every update of an
-- amount would write its index, changed or not.
ALTER TABLE cards ADD COLUMN usage TEXT NOT NULL DEFAULT '';
--bun:split
UPDATE cards SET usage = CASE
        WHEN NOT activated THEN 'inactive'
        WHEN amount_funds = 0 THEN 'empty'
        WHEN amount_drawdown = 0 THEN 'unused'
        WHEN amount_funds = amount_drawdown THEN 'used'
        ELSE 'partially_used' END;
--bun:split
CREATE TRIGGER IF NOT EXISTS cards_usage_made AFTER INSERT ON cards BEGIN
    UPDATE cards SET usage = CASE
        WHEN NOT new.activated THEN 'inactive'
        WHEN new.amount_funds = 0 THEN 'empty'
        WHEN new.amount_drawdown = 0 THEN 'unused'
        WHEN new.amount_funds = new.amount_drawdown THEN 'used'
        ELSE 'partially_used' END WHERE rowid = new.rowid;
END;
--bun:split
CREATE TRIGGER IF NOT EXISTS cards_usage_changed AFTER UPDATE OF activated, amount_funds, amount_drawdown ON cards
WHEN new.usage <> CASE
        WHEN NOT new.activated THEN 'inactive'
        WHEN new.amount_funds = 0 THEN 'empty'
        WHEN new.amount_drawdown = 0 THEN 'unused'
        WHEN new.amount_funds = new.amount_drawdown THEN 'used'
        ELSE 'partially_used' END BEGIN
    UPDATE cards SET usage = CASE
        WHEN NOT new.activated THEN 'inactive'
        WHEN new.amount_funds = 0 THEN 'empty'
        WHEN new.amount_drawdown = 0 THEN 'unused'
        WHEN new.amount_funds = new.amount_drawdown THEN 'used'
        ELSE 'partially_used' END WHERE rowid = new.rowid;
END;
--bun:split
ALTER TABLE cards ADD COLUMN expires_month BIGINT NOT NULL GENERATED ALWAYS AS (
        coalesce(expires_at / 2592000000000, 10000000)) VIRTUAL;
--bun:split
ALTER TABLE cards ADD COLUMN dated_id BOOLEAN NOT NULL GENERATED ALWAYS AS (
        created_at BETWEEN 300000000 AND 253402300799999999
        AND substr(id, 1, 8) || substr(id, 10, 4) BETWEEN printf('%012x', created_at / 1000 - 300000)
            AND printf('%012x', created_at / 1000 + 300000)) VIRTUAL;
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
ALTER TABLE transactions ADD COLUMN available_after BIGINT;
--bun:split
ALTER TABLE transactions ADD COLUMN balance_after BIGINT;
--bun:split
UPDATE transactions AS t SET available_after = c.amount_funds - c.amount_drawdown - c.amount_reserved,
    balance_after = CASE WHEN c.amount_reserved > 0 THEN c.amount_funds - c.amount_drawdown END
FROM cards AS c WHERE c.account_id = t.account_id AND c.id = t.card_object_id AND c.seq = t.seq;
--bun:split
CREATE INDEX IF NOT EXISTS transactions_available ON transactions (account_id, available_after, card_object_id) WHERE available_after IS NOT NULL;
--bun:split
CREATE INDEX IF NOT EXISTS transactions_balance ON transactions (account_id, balance_after, card_object_id) WHERE balance_after IS NOT NULL;
--bun:split
-- What searches look into, apart from cards, so that no transaction touches it.
CREATE TABLE IF NOT EXISTS card_search (
    account_id  TEXT NOT NULL,
    id          TEXT NOT NULL,
    search_text TEXT NOT NULL,
    PRIMARY KEY (account_id, id)
);
--bun:split
-- Every three characters in a row. It keeps the ids itself: a row number of
-- card_search would be another one after VACUUM.
CREATE VIRTUAL TABLE IF NOT EXISTS card_search_grams USING fts5(account_id UNINDEXED, id UNINDEXED, search_text,
    tokenize = 'trigram case_sensitive 1', detail = none, columnsize = 0);
--bun:split
CREATE TRIGGER IF NOT EXISTS card_search_added AFTER INSERT ON card_search BEGIN
    INSERT INTO card_search_grams (account_id, id, search_text) VALUES (new.account_id, new.id, new.search_text);
END;
--bun:split
-- The old entry stays: a search reads the card itself before it shows it.
CREATE TRIGGER IF NOT EXISTS card_search_changed AFTER UPDATE ON card_search WHEN new.search_text <> old.search_text BEGIN
    INSERT INTO card_search_grams (account_id, id, search_text) VALUES (new.account_id, new.id, new.search_text);
END;
--bun:split
INSERT INTO card_search (account_id, id, search_text) SELECT account_id, id, search_text FROM cards;
{{- end}}
