package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

const (
	// maxAttempts is how often a batch is tried while servers are in the way.
	maxAttempts = 6
	// pauseStep is the wait after the first attempt; it grows by as much each time.
	pauseStep = 200 * time.Millisecond
)

// repair restores the batch, and empties it.
func (r *rebuilder) repair(ctx context.Context) error {
	if len(r.batch) == 0 {
		return nil
	}
	batch := r.batch
	r.batch = nil
	for attempt := 1; ; attempt++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		done, err := r.attempt(ctx, batch)
		if err == nil {
			r.count(done)
			return nil
		}
		passing := errors.Is(err, repository.ErrConflict) || errors.Is(err, repository.ErrUnavailable)
		if !passing || attempt == maxAttempts {
			return fmt.Errorf("restore cards of account %s: %w", batch[0].account, err)
		}
		select {
		case <-time.After(time.Duration(attempt) * pauseStep):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// count notes what a committed batch did.
func (r *rebuilder) count(done []*history) {
	for _, h := range done {
		changes, left := h.changes()
		switch {
		case left != nil:
			r.outcome.Left.add(*left)
		case len(changes) > 0:
			r.note(changes)
			r.outcome.Restored++
		}
	}
}

// attempt locks the cards of a batch, replays what came since they were read, and
// writes what still differs. It returns the histories it decided on. Its context
// is one that nobody cancels, so that no commit is cut in two; each statement has
// its own time limit.
func (r *rebuilder) attempt(ctx context.Context, batch []*history) ([]*history, error) {
	ctx = context.WithoutCancel(ctx)
	account, read := batch[0].account, make(map[string]*history, len(batch))
	var ids []uuid.UUID
	for _, h := range batch {
		ids, read[h.card.Key] = append(ids, h.card.Card.ID), h
	}
	var done []*history
	err := r.store.Write(ctx, func(tx *repository.Tx) error {
		locked, err := tx.LockCards(ctx, account, ids)
		if err != nil {
			return err
		}
		var cards []ledger.Card
		var txns []repository.CorrectedTxn
		var holds []ledger.Hold
		for i := range locked {
			h, err := read[locked[i].Key].resume(ctx, tx.Audit(), &locked[i])
			if err != nil {
				return err
			}
			done = append(done, h)
			if changes, left := h.changes(); left == nil && len(changes) > 0 {
				cards, holds = append(cards, h.restored()), append(holds, h.wantedHolds()...)
				txns = append(txns, h.corrected()...)
			}
		}
		return tx.Restore(ctx, account, cards, txns, holds)
	})
	return done, err
}

// resume continues a history under the lock of its card: the card as it is now,
// the transactions since, and the holds as they are stored now. The history itself
// stays as it is, for another attempt.
func (h *history) resume(ctx context.Context, reader *repository.AuditReader, card *repository.CardRecord) (*history, error) {
	next := *h
	next.card, next.holds, next.wrong = card, maps.Clone(h.holds), maps.Clone(h.wrong)
	next.after = slices.Clone(h.after)
	if card.Card.Digest != h.card.Card.Digest {
		next.anchored = card.Card.Digest == h.digest
	}
	for page := new(repository.TxnPage); ; {
		after := repository.TxnPosition{CardKey: card.Key, Seq: next.seq}
		if err := reader.Transactions(ctx, h.account, after, card.Key, page); err != nil {
			return nil, err
		}
		if err := page.Decode(); err != nil {
			return nil, err
		}
		if len(page.Rows) == 0 {
			break
		}
		for i := range page.Rows {
			next.step(&page.Rows[i])
		}
	}
	return &next, next.reread(ctx, reader)
}

// reread looks up how the holds that matter are stored now.
func (h *history) reread(ctx context.Context, reader *repository.AuditReader) error {
	var ids []uuid.UUID
	for _, holds := range []map[uuid.UUID]hold{h.holds, h.wrong} {
		for id := range holds {
			ids = append(ids, id)
		}
	}
	stored, err := reader.Holds(ctx, h.account, ids)
	if err != nil {
		return err
	}
	for _, holds := range []map[uuid.UUID]hold{h.holds, h.wrong} {
		for id, one := range holds {
			one.stored, one.found = stored[id]
			holds[id] = one
		}
	}
	return nil
}
