-- What lists of the cards that expire within some days need: in the streams of
-- cards_usage, which are of whole months, those few may lie behind all the others.
-- It is by an expression, so that it is of use only to a statement that says the same: no
-- planner takes it for the many that have expired.
SET LOCAL statement_timeout = 0;
--bun:split
SET LOCAL lock_timeout = 0;
--bun:split
CREATE INDEX IF NOT EXISTS cards_expiry ON cards (account_id, (expires_at + 0), id, expires_at, deleted_at, currency, type)
    WHERE expires_at IS NOT NULL;
