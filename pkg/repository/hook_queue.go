package repository

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// hookParked is how long a delivery is left alone that waits for the one before it,
// which wakes it when it is settled.
const hookParked = 10 * time.Minute

// HookQueue is a subscription that has deliveries which are due.
type HookQueue struct {
	Account      string
	Subscription uuid.UUID
}

// DueHooks lists the subscriptions of all accounts that have deliveries which are due.
// Whether one of them may go out is another question: it may wait for the one before.
func (s *Store) DueHooks(ctx context.Context, now ledger.Micros) (queues []HookQueue, err error) {
	// In search of any that is due, PostgreSQL would rather read all that wait.
	const text = `SELECT s.account_id, s.id FROM hook_subscriptions AS s WHERE s.deleted_at IS NULL AND (
		SELECT d.next_at FROM hook_deliveries AS d WHERE d.account_id = s.account_id AND d.subscription_id = s.id
			AND d.settled_at IS NULL ORDER BY d.next_at LIMIT 1) <= ? ORDER BY s.account_id, s.id`
	err = s.onWorkingConns(ctx, func() error {
		var rows []hookSubscriptionRow
		if err := s.read.NewRaw(text, int64(now)).Scan(ctx, &rows); err != nil {
			return classify(err)
		}
		queues = nil
		for i := range rows {
			queues = append(queues, HookQueue{Account: rows[i].AccountID, Subscription: rows[i].ID})
		}
		return nil
	})
	return queues, err
}

// HookWork is what is to be done about the deliveries of an account.
type HookWork struct {
	Account  string
	Outcomes []HookOutcome
	Takes    []HookTake
}

// HookTake asks for deliveries of a subscription, of up to so many streams.
type HookTake struct {
	Subscription uuid.UUID
	Streams      int
}

// HookChain are deliveries of one stream, to be sent in this order and only as long as
// none of them fails. They are nobody else's until Lease.
type HookChain struct {
	Account string
	Lease   ledger.Micros
	Events  []HookEvent
	// Attempts are those before this one, of each.
	Attempts []int64
}

// HookOutcome is what became of a delivery that was taken.
type HookOutcome struct {
	Event HookEvent
	Lease ledger.Micros
	// Attempt is nil for one that was not tried after all.
	Attempt *HookAttempt
	// SettledAt is when there was nothing left to do, or nil. Then NextAt is when to try
	// again.
	SettledAt *ledger.Micros
	NextAt    ledger.Micros
}

// HookAttempt is the last try of a delivery.
type HookAttempt struct {
	At        ledger.Micros
	Duration  time.Duration
	Delivered bool
	Status    int    // of the answer; 0 when there was none
	Response  string // the beginning of its body
	Failure   string // why there was no answer
}

// RunHooks settles deliveries that were taken, and takes more, in one commit. On
// PostgreSQL the works have to be of one account. Deliveries that another server has
// taken, since their time was up, are left alone. More tells that there may be others to
// take behind some that have to wait.
func (s *Store) RunHooks(ctx context.Context, works []HookWork, now, lease ledger.Micros) (taken []HookChain, more bool, err error) {
	err = s.Write(ctx, func(tx *Tx) error {
		taken, more = nil, false
		for i := range works {
			chains, blocked, err := tx.runHooks(ctx, &works[i], now, lease)
			if err != nil {
				return fmt.Errorf("account %s: %w", works[i].Account, err)
			}
			taken, more = append(taken, chains...), more || blocked
		}
		return nil
	})
	return taken, more, err
}

// runHooks reports as blocked that all it found for a subscription has to wait, and that
// some of it was parked, which makes room to look at others.
func (tx *Tx) runHooks(ctx context.Context, w *HookWork, now, lease ledger.Micros) (chains []HookChain, blocked bool, err error) {
	r := &round{tx: tx, account: w.Account}
	r.settleHooks(w.Outcomes)
	t := &tx.store.texts.hooks
	found := make([][]hookDueRow, len(w.Takes))
	for i, take := range w.Takes {
		args := r.hookArgs(take.Subscription, int64(now), int64(hookWindow))
		r.statements = append(r.statements, reading(t.due.text, args, t.due.columns, func(row *hookDueRow) error {
			found[i] = append(found[i], *row)
			return nil
		}))
	}
	if err := r.run(ctx); err != nil {
		return nil, false, err
	}
	parked, waiting := make([]int64, len(w.Takes)), make([]bool, len(w.Takes))
	for i, take := range w.Takes {
		taken := r.takeHooks(take, found[i], now, lease, &parked[i])
		chains, waiting[i] = append(chains, taken...), len(taken) == 0 && len(found[i]) == hookWindow
	}
	if err := r.run(ctx); err != nil {
		return nil, false, err
	}
	for i := range w.Takes {
		blocked = blocked || waiting[i] && parked[i] > 0
	}
	return chains, blocked, nil
}

// hookArgs are the arguments of a statement about a subscription.
func (r *round) hookArgs(subscription uuid.UUID, rest ...any) []any {
	return r.tx.store.dialect.scalars(r.account, append([]any{subscription}, rest...))
}

func (r *round) change(text string, args []any, affects int64) {
	r.statements = append(r.statements, statement{text: text, args: args, affects: affects, otherwise: ErrConflict})
}

// settleHooks notes outcomes, and wakes what has waited for them. What is to be tried again
// is noted last: it is not woken before its time.
func (r *round) settleHooks(outcomes []HookOutcome) {
	type stream struct{ subscription, id uuid.UUID }
	var settled []stream
	for i := range outcomes {
		o := &outcomes[i]
		if o.SettledAt == nil {
			continue
		}
		r.settleHook(o)
		if s := (stream{o.Event.Subscription, o.Event.Stream}); !slices.Contains(settled, s) {
			settled = append(settled, s)
		}
	}
	for _, s := range settled {
		r.change(r.tx.store.texts.hooks.wake, r.hookArgs(s.subscription, s.id), anyNumber)
	}
	for i := range outcomes {
		if outcomes[i].SettledAt == nil {
			r.settleHook(&outcomes[i])
		}
	}
}

func (r *round) settleHook(o *HookOutcome) {
	t, e := &r.tx.store.texts.hooks, &o.Event
	if o.Attempt == nil {
		r.change(t.free, r.hookArgs(e.Subscription, e.ID, int64(o.Lease), int64(o.NextAt)), anyNumber)
		return
	}
	a := o.Attempt
	var settledAt, status, response, failure any
	if o.SettledAt != nil {
		settledAt = int64(*o.SettledAt)
	}
	if a.Status != 0 {
		status, response = int64(a.Status), a.Response
	} else {
		failure = a.Failure
	}
	r.change(t.settle, r.hookArgs(e.Subscription, e.ID, int64(o.Lease), int64(o.NextAt), settledAt, a.Delivered,
		int64(a.At), a.Duration.Microseconds(), status, response, failure), anyNumber)
}

// takeHooks takes what is next in as many streams as were asked for, and parks what has
// to wait for another delivery, which is counted.
func (r *round) takeHooks(take HookTake, found []hookDueRow, now, lease ledger.Micros, parked *int64) (chains []HookChain) {
	t := &r.tx.store.texts.hooks
	for _, stream := range streamsOf(found) {
		if chain := headOf(stream); len(chain) > 0 {
			if len(chains) == take.Streams {
				continue
			}
			taken := HookChain{Account: r.account, Lease: lease}
			for i := range chain {
				taken.Events = append(taken.Events, chain[i].event(take.Subscription))
				taken.Attempts = append(taken.Attempts, chain[i].Attempts)
				r.change(t.take, r.hookArgs(take.Subscription, chain[i].ID, int64(lease)), 1)
			}
			chains = append(chains, taken)
			stream = stream[len(chain):]
		}
		for i := range stream {
			row := &stream[i]
			r.change(t.park, r.hookArgs(take.Subscription, row.ID, row.StreamID, row.Position, int64(now.Add(hookParked))), anyNumber)
			r.statements[len(r.statements)-1].changed = parked
		}
	}
	return chains
}

// streamsOf sorts deliveries into streams, each by position; the streams stay in the
// order in which they were found.
func streamsOf(rows []hookDueRow) [][]hookDueRow {
	var streams [][]hookDueRow
	at := map[uuid.UUID]int{}
	for _, row := range rows {
		i, known := at[row.StreamID]
		if !known {
			i = len(streams)
			at[row.StreamID], streams = i, append(streams, nil)
		}
		streams[i] = append(streams[i], row)
	}
	for _, stream := range streams {
		slices.SortFunc(stream, func(a, b hookDueRow) int { return cmp.Compare(a.Position, b.Position) })
	}
	return streams
}

// headOf is the beginning of a stream without a gap, or nothing when an earlier
// delivery of it is still to be settled.
func headOf(stream []hookDueRow) []hookDueRow {
	if stream[0].Previous != nil {
		return nil
	}
	n := 1
	for n < min(len(stream), hookChain) && stream[n].Previous != nil && *stream[n].Previous == stream[n-1].Position {
		n++
	}
	return stream[:n]
}
