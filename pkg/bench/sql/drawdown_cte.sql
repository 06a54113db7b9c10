-- The same in one statement: one round trip, and the shortest lock on the card.
\set card random(1, :cards)
\set ref random(1, 9000000000000000000)
WITH taken AS (
    UPDATE card SET balance = balance - 1 WHERE id = :card AND balance >= 1 RETURNING id
)
INSERT INTO txn (card_id, ref_id, amount) SELECT id, :ref, 1 FROM taken;
