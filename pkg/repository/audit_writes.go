package repository

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// projection are the columns of a card that its transactions determine.
var projection = []string{
	"id", "amount_funds", "amount_drawdown", "amount_pending", "amount_reserved",
	"open_holds", "seq", "digest", "last_txn_at",
}

// LockCards locks cards in the order of their ids, as servers do, and reads them.
// Those that there are not are left out.
func (tx *Tx) LockCards(ctx context.Context, account string, ids []uuid.UUID) ([]CardRecord, error) {
	d := tx.store.dialect
	args, err := d.args(texts(idColumns, idsOf(ids)))
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("%s AND c.id IN (SELECT r.id FROM %s) ORDER BY c.id%s",
		cardRecordText, d.from(idColumns, 2, "r"), d.forUpdate("c"))
	var cards []CardRecord
	err = tx.Audit().each(ctx, text, cardRecordColumns, func(f *fields) { cards = append(cards, cardRecord(f)) },
		append([]any{account}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("lock cards: %w", err)
	}
	return cards, nil
}

// Restore writes the projections of cards, nothing else of them, and the holds as
// given, also those that are missing. The cards must be locked.
func (tx *Tx) Restore(ctx context.Context, account string, cards []ledger.Card, holds []ledger.Hold) error {
	d, t := tx.store.dialect, &tx.store.texts
	ofCards := rowsOf(t.cardModel, columnsOf(t.cardModel, projection...), account, cards, rowOfCard)
	if err := tx.update(ctx, d.update(t.cardModel, projection), account, ofCards); err != nil {
		return fmt.Errorf("restore cards: %w", err)
	}
	ofHolds := rowsOf(t.holdModel, columnsOf(t.holdModel), account, holds, rowOfHold)
	if err := tx.insert(ctx, d.restoreHolds(ofHolds.columns), account, ofHolds); err != nil {
		return fmt.Errorf("restore holds: %w", err)
	}
	return nil
}

// restoreHolds inserts holds, or overwrites those that there are.
func (d dialect) restoreHolds(columns []column) string {
	var names, sets []string
	for _, c := range columns {
		names = append(names, c.name)
		if c.name != "id" {
			sets = append(sets, fmt.Sprintf("%s = excluded.%s", c.name, c.name))
		}
	}
	return d.placeholders(fmt.Sprintf(`INSERT INTO holds (account_id, %s) SELECT $1, r.%s FROM %s WHERE true
		ON CONFLICT (account_id, id) DO UPDATE SET %s RETURNING id`,
		strings.Join(names, ", "), strings.Join(names, ", r."), d.from(columns, 2, "r"), strings.Join(sets, ", ")))
}
