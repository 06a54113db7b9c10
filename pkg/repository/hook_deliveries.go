package repository

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/kortwallet/kort/pkg/ledger"
)

// HookDelivery is an event for a subscription, and how far it has come.
type HookDelivery struct {
	HookEvent
	Attempts  int64
	Last      *HookAttempt   // nil before the first attempt
	NextAt    ledger.Micros  // of the next attempt; 0 for at once
	InFlight  bool           // a server is at it, until NextAt
	SettledAt *ledger.Micros // nil while there is an attempt to come
}

// HookDeliveries lists the deliveries to a subscription, newest first: up to limit, after
// the one with an id. [ErrNotFound] says that there is no such subscription,
// [ErrUnknownCursor] that it has no such delivery.
func (s *Store) HookDeliveries(ctx context.Context, account string, subscription uuid.UUID, p Page) ([]HookDelivery, error) {
	if _, err := s.Hook(ctx, account, subscription); err != nil {
		return nil, err
	}
	if p.After != uuid.Nil {
		if known, err := s.hookDeliveries(ctx, account, subscription, func(q *bun.SelectQuery) *bun.SelectQuery {
			return q.Where("d.id = ?", p.After)
		}); err != nil {
			return nil, err
		} else if len(known) == 0 {
			return nil, ErrUnknownCursor
		}
	}
	return s.hookDeliveries(ctx, account, subscription, func(q *bun.SelectQuery) *bun.SelectQuery {
		if p.After != uuid.Nil {
			q.Where("d.id < ?", p.After)
		}
		return q.Order("d.id DESC").Limit(int64(p.Limit))
	})
}

// HookDelivery finds a delivery to a subscription that was not removed, or returns
// [ErrNotFound].
func (s *Store) HookDelivery(ctx context.Context, account string, subscription, id uuid.UUID) (HookDelivery, error) {
	if _, err := s.Hook(ctx, account, subscription); err != nil {
		return HookDelivery{}, err
	}
	found, err := s.hookDeliveries(ctx, account, subscription, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("d.id = ?", id)
	})
	if err != nil {
		return HookDelivery{}, err
	}
	if len(found) == 0 {
		return HookDelivery{}, ErrNotFound
	}
	return found[0], nil
}

func (s *Store) hookDeliveries(
	ctx context.Context, account string, subscription uuid.UUID, which func(*bun.SelectQuery) *bun.SelectQuery,
) ([]HookDelivery, error) {
	var rows []hookDeliveryRow
	err := s.onWorkingConns(ctx, func() error {
		rows = nil
		return classify(s.read.NewSelect().Model(&rows).
			Where("d.account_id = ?", account).Where("d.subscription_id = ?", subscription).Apply(which).Scan(ctx))
	})
	if err != nil {
		return nil, err
	}
	deliveries := make([]HookDelivery, len(rows))
	for i := range rows {
		deliveries[i] = rows[i].delivery()
	}
	return deliveries, nil
}

func (r *hookDeliveryRow) delivery() HookDelivery {
	d := HookDelivery{
		HookEvent: HookEvent{
			Subscription: r.SubscriptionID, ID: r.ID, Event: r.Event, Card: r.CardObjectID, Stream: r.StreamID,
			Position: HookPosition(r.Position), CreatedAt: ledger.Micros(r.CreatedAt),
		},
		Attempts: r.Attempts, NextAt: ledger.Micros(r.NextAt), InFlight: r.InFlight, SettledAt: microsOf(r.SettledAt),
	}
	if r.AttemptedAt != nil {
		d.Last = &HookAttempt{
			At: ledger.Micros(*r.AttemptedAt), Duration: time.Duration(orZero(r.DurationUS)) * time.Microsecond,
			Delivered: r.Delivered, Status: int(orZero(r.HTTPStatus)), Response: r.Response, Failure: r.Failure,
		}
	}
	return d
}

func orZero(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

// Redeliver has a delivery sent once more, or at once if it was to be tried again later.
// One that is being sent is left alone. Settled before, it no longer keeps its place in
// its stream: what came behind it was sent long ago.
func (s *Store) Redeliver(ctx context.Context, account string, subscription, id uuid.UUID, now ledger.Micros) error {
	if _, err := s.HookDelivery(ctx, account, subscription, id); err != nil {
		return err
	}
	return s.Write(ctx, func(tx *Tx) error {
		if err := tx.begin(ctx); err != nil {
			return err
		}
		const again = `UPDATE hook_deliveries SET next_at = 0, in_flight = false, delivered = false, settled_at = NULL,
			attempts = CASE WHEN settled_at IS NULL THEN attempts ELSE 0 END,
			stream_id = CASE WHEN settled_at IS NULL THEN stream_id ELSE $5 END
			WHERE account_id = $1 AND subscription_id = $2 AND id = $3 AND (NOT in_flight OR next_at <= $4)`
		if err := tx.exec(ctx, again, account, subscription.String(), id.String(), int64(now), idBeside(id).String()); err != nil {
			return fmt.Errorf("redeliver: %w", err)
		}
		return nil
	})
}

// HookFacts are what the bodies of events are made of.
type HookFacts struct {
	Hooks        map[uuid.UUID]HookSubscription
	Transactions map[uuid.UUID]ledger.Transaction
	Cards        map[uuid.UUID]ledger.Card
}

// HookFacts reads what the bodies of an account's events are made of. What is not there,
// or does not make sense, is left out.
func (s *Store) HookFacts(ctx context.Context, account string, events []HookEvent) (HookFacts, error) {
	f := HookFacts{
		Hooks: map[uuid.UUID]HookSubscription{}, Transactions: map[uuid.UUID]ledger.Transaction{}, Cards: map[uuid.UUID]ledger.Card{},
	}
	var hooks, txns, cards []uuid.UUID
	for i := range events {
		hooks = append(hooks, events[i].Subscription)
		if events[i].Event == HookTransaction {
			txns = append(txns, events[i].ID)
		}
		if events[i].Card != uuid.Nil {
			cards = append(cards, events[i].Card)
		}
	}
	found, err := s.hooks(ctx, account, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("s.id IN (?)", bun.List(hooks)) })
	if err != nil {
		return f, err
	}
	for _, h := range found {
		f.Hooks[h.ID] = h
	}
	if err := s.hookTxns(ctx, account, txns, f.Transactions); err != nil {
		return f, err
	}
	return f, s.hookCards(ctx, account, cards, f.Cards)
}

func (s *Store) hookTxns(ctx context.Context, account string, ids []uuid.UUID, into map[uuid.UUID]ledger.Transaction) error {
	if len(ids) == 0 {
		return nil
	}
	var rows []txnRow
	err := s.onWorkingConns(ctx, func() error {
		rows = nil
		return classify(s.read.NewSelect().Model(&rows).Where("t.account_id = ?", account).Where("t.id IN (?)", bun.List(ids)).Scan(ctx))
	})
	if err != nil {
		return err
	}
	for i := range rows {
		if txn, err := rows[i].txn(); err == nil { // an audit says what is wrong
			into[txn.ID] = txn
		}
	}
	return nil
}

func (s *Store) hookCards(ctx context.Context, account string, ids []uuid.UUID, into map[uuid.UUID]ledger.Card) error {
	if len(ids) == 0 {
		return nil
	}
	var rows []cardRow
	err := s.onWorkingConns(ctx, func() error {
		rows = nil
		return classify(s.read.NewSelect().Model(&rows).Where("c.account_id = ?", account).Where("c.id IN (?)", bun.List(ids)).Scan(ctx))
	})
	if err != nil {
		return err
	}
	for i := range rows {
		if card, err := rows[i].card(); err == nil {
			into[card.ID] = card
		}
	}
	return nil
}
