-- What lists of the cards that expire within some days need: in the streams of
-- cards_usage, which are of whole months, those few may lie behind all the others.
CREATE INDEX IF NOT EXISTS cards_expiry ON cards (account_id, expires_at, id, deleted_at, currency, type) WHERE expires_at IS NOT NULL;
