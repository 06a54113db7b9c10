-- The row that GET card reads, from Kort's own table.
\set number random(0, :cards - 1)
SELECT * FROM cards WHERE account_id = :account AND card_id = 'card-' || lpad(:number, 7, '0') AND deleted_at IS NULL;
