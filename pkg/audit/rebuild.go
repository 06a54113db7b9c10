package audit

import (
	"context"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// repairBatch is how many cards are restored in one database transaction: few, so
// that servers never wait long for the cards' locks.
const repairBatch = 32

// Outcome is what Rebuild found and did.
type Outcome struct {
	Scope
	Changes  Findings // figures that differ from their history: stored, and what they become
	Left     Findings // cards whose history cannot be trusted, with the reason; never touched
	Wrong    int64    // cards with changes
	Restored int64    // of them, those that were written
}

// Rebuild replays the history of every card, and with [Options.Apply] restores
// what differs from it: the four amounts, open_holds, seq, digest and last_txn_at
// of cards, what transactions repeat of them for lists, and holds, the missing ones
// too. Without Apply it only lists them.
//
// A card is left alone when a row of its chain is wrong or missing, or when the
// digest that the card itself keeps belongs to none of its transactions: it may be
// the only trace of a transaction that is gone. Deletions, activations, tokens and
// PINs are no projections and are never touched.
//
// A card is written under its lock, after the transactions that came since it was
// read. Servers may run. When the context ends, what was restored so far stays,
// and Rebuild can be run again.
func Rebuild(ctx context.Context, store *repository.Store, o Options) (Outcome, error) {
	outcome := Outcome{Changes: Findings{limit: o.maxFindings()}, Left: Findings{limit: o.maxFindings()}}
	r := rebuilder{store: store, apply: o.Apply, outcome: &outcome}
	w := newWalker(&outcome.Scope, o, func(Finding) {}) // what else is wrong is for Verify to say
	w.finish = func(h *history) error { return r.take(ctx, h) }
	if err := w.walk(ctx, store, false); err != nil {
		return outcome, err
	}
	return outcome, r.repair(ctx)
}

// rebuilder collects cards to restore and restores them batch by batch.
type rebuilder struct {
	store   *repository.Store
	apply   bool
	outcome *Outcome
	batch   []*history // of one account
}

// take decides what becomes of a card, after its last transaction.
func (r *rebuilder) take(ctx context.Context, h *history) error {
	changes, left := h.changes()
	switch {
	case left != nil:
		r.outcome.Left.add(*left)
		return nil
	case len(changes) == 0:
		return nil
	case !r.apply:
		r.note(changes)
		return nil
	}
	if len(r.batch) > 0 && r.batch[0].account != h.account || len(r.batch) == repairBatch {
		if err := r.repair(ctx); err != nil {
			return err
		}
	}
	r.batch = append(r.batch, h)
	return nil
}

func (r *rebuilder) note(changes []Finding) {
	r.outcome.Wrong++
	for _, change := range changes {
		r.outcome.Changes.add(change)
	}
}

// changes lists what a restored card would differ in, or says why the card has to
// be left alone.
func (h *history) changes() (changes []Finding, left *Finding) {
	if left := h.untrusted(); left != nil {
		return nil, left
	}
	for _, is := range h.figures() {
		if is.stored != is.replayed {
			f := h.finding(is.column, "disagrees with the transactions")
			f.Stored, f.Replayed = is.stored, is.replayed
			changes = append(changes, f)
		}
	}
	for _, wrong := range h.amended() {
		changes = append(changes, h.afterFinding(&wrong))
	}
	for _, one := range h.differing() {
		changes = append(changes, h.holdFinding(&one))
	}
	return changes, nil
}

// untrusted tells why the card's history must not be built upon.
func (h *history) untrusted() *Finding {
	if h.broken != nil {
		return h.broken
	}
	for _, column := range h.card.Defects {
		if column == "id" || column == "digest" {
			f := h.finding(column, unreadable)
			return &f
		}
	}
	if !h.anchored {
		f := h.finding("digest", "belongs to none of the card's transactions: the last ones are missing, or it was edited")
		f.Stored, f.Replayed = h.card.Card.Digest.String(), h.digest.String()
		return &f
	}
	return nil
}

// wantedHolds are the holds to write: those that are stored otherwise.
func (h *history) wantedHolds() []ledger.Hold {
	var wanted []ledger.Hold
	for _, one := range h.differing() {
		wanted = append(wanted, one.want)
	}
	return wanted
}
