-- A drawdown in four statements.
\set card random(1, :cards)
\set ref random(1, 9000000000000000000)
BEGIN;
UPDATE card SET balance = balance - 1 WHERE id = :card AND balance >= 1;
INSERT INTO txn (card_id, ref_id, amount) VALUES (:card, :ref, 1);
COMMIT;
