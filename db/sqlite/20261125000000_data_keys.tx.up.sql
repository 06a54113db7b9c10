-- Since when a data key has been the one that new tokens are hashed under; the newest
-- is in use. A key that data_keys notes and that has no row here is on its way: servers
-- that do not have it are given time to notice.
CREATE TABLE IF NOT EXISTS current_data_keys (
    key_id TEXT NOT NULL PRIMARY KEY,
    since  BIGINT NOT NULL
);
--bun:split
INSERT INTO current_data_keys (key_id, since) SELECT key_id, created_at FROM data_keys WHERE true ON CONFLICT DO NOTHING;
