package repository

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// LockCards locks cards in the order of their ids, as servers do, and reads them.
// Those that there are not are left out.
func (tx *Tx) LockCards(ctx context.Context, account string, locked []uuid.UUID) ([]CardRecord, error) {
	if err := tx.begin(ctx); err != nil {
		return nil, err
	}
	d := tx.store.dialect
	args, err := d.arguments(account, idTable(locked))
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("SELECT %s FROM cards AS c WHERE c.account_id = $1 AND c.id %s%s",
		cardRecordFields, d.among(idColumns[0], 2), d.forUpdate("c"))
	var cards []CardRecord
	err = tx.Audit().each(ctx, text, cardRecordColumns, func(f *fields) { cards = append(cards, cardRecord(f)) }, args...)
	if err != nil {
		return nil, fmt.Errorf("lock cards: %w", err)
	}
	return cards, nil
}

// Restore writes the projections of cards, nothing else of them, what transactions
// repeat of them, and the holds as given, also those that are missing. The cards must
// be locked.
func (tx *Tx) Restore(ctx context.Context, account string, cards []ledger.Card, txns []CorrectedTxn, holds []ledger.Hold) error {
	t := &tx.store.texts
	r := &round{tx: tx, account: account}
	update(r, &t.restoreCards, cards, rowOfCard)
	update(r, &t.restoreFigures, txns, rowOfCorrectedTxn)
	insert(r, &t.restoreHolds, holds, rowOfHold)
	if err := r.run(ctx); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return nil
}
