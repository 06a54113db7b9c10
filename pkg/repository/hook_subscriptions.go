package repository

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/kortwallet/kort/pkg/ledger"
)

// MaxHookSubscriptions bounds the subscriptions of an account: each makes every commit
// of the account larger. Requests at the same moment may get past it, by so many.
const MaxHookSubscriptions = 20

// ErrTooManyHooks means that an account has as many subscriptions as it may have.
var ErrTooManyHooks = errors.New("the account has too many subscriptions")

// AddHook stores a subscription, together with a ping for it. [ErrTooManyHooks] refuses
// one too many.
func (s *Store) AddHook(ctx context.Context, account string, h *HookSubscription, ping uuid.UUID) error {
	return s.Write(ctx, func(tx *Tx) error {
		if err := tx.begin(ctx); err != nil {
			return err
		}
		var n int
		const count = `SELECT count(*) FROM hook_subscriptions WHERE account_id = $1 AND deleted_at IS NULL`
		if err := tx.scan(ctx, &n, count, account); err != nil {
			return fmt.Errorf("count subscriptions: %w", err)
		}
		if n >= MaxHookSubscriptions {
			return ErrTooManyHooks
		}
		const add = `INSERT INTO hook_subscriptions (account_id, id, url, transactions, cards, active, secret, secret_key_id, created_at, created_by)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
		if err := tx.exec(ctx, add, account, h.ID.String(), h.URL, h.Transactions, h.Cards, h.Active, h.Secret, h.SecretKeyID,
			int64(h.CreatedAt), h.CreatedBy); err != nil {
			return fmt.Errorf("add a subscription: %w", err)
		}
		return tx.pingHook(ctx, account, h.ID, ping, h.CreatedAt)
	})
}

// PingHook puts a ping for a subscription among its deliveries, or returns [ErrNotFound].
func (s *Store) PingHook(ctx context.Context, account string, subscription, ping uuid.UUID, now ledger.Micros) error {
	if _, err := s.Hook(ctx, account, subscription); err != nil {
		return err
	}
	return s.Write(ctx, func(tx *Tx) error {
		if err := tx.begin(ctx); err != nil {
			return err
		}
		return tx.pingHook(ctx, account, subscription, ping, now)
	})
}

// pingHook writes a ping once, however often a commit of unknown outcome is repeated.
func (tx *Tx) pingHook(ctx context.Context, account string, subscription, ping uuid.UUID, now ledger.Micros) error {
	const add = `INSERT INTO hook_deliveries (account_id, subscription_id, id, event, stream_id, position, created_at)
		VALUES ($1, $2, $3, 'ping', $4, 0, $5) ON CONFLICT DO NOTHING`
	if err := tx.exec(ctx, add, account, subscription.String(), ping.String(), ping.String(), int64(now)); err != nil {
		return fmt.Errorf("add a ping: %w", err)
	}
	return nil
}

// RemoveHook ends a subscription, or returns [ErrNotFound]. Nothing more is sent to it
// from the next look at the deliveries on; [Store.PurgeHooks] removes them.
func (s *Store) RemoveHook(ctx context.Context, account string, id uuid.UUID, now ledger.Micros) error {
	if _, err := s.Hook(ctx, account, id); err != nil {
		return err
	}
	return s.Write(ctx, func(tx *Tx) error {
		if err := tx.begin(ctx); err != nil {
			return err
		}
		const remove = `UPDATE hook_subscriptions SET deleted_at = $3 WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL`
		if err := tx.exec(ctx, remove, account, id.String(), int64(now)); err != nil {
			return fmt.Errorf("remove a subscription: %w", err)
		}
		return nil
	})
}

// Hook finds a subscription that was not removed, or returns [ErrNotFound].
func (s *Store) Hook(ctx context.Context, account string, id uuid.UUID) (HookSubscription, error) {
	found, err := s.hooks(ctx, account, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("s.id = ?", id) })
	if err != nil {
		return HookSubscription{}, err
	}
	if len(found) == 0 {
		return HookSubscription{}, ErrNotFound
	}
	return found[0], nil
}

// Hooks lists the subscriptions of an account that were not removed, newest first.
func (s *Store) Hooks(ctx context.Context, account string) ([]HookSubscription, error) {
	return s.hooks(ctx, account, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Order("s.id DESC") })
}

func (s *Store) hooks(ctx context.Context, account string, which func(*bun.SelectQuery) *bun.SelectQuery) ([]HookSubscription, error) {
	var rows []hookSubscriptionRow
	err := s.onWorkingConns(ctx, func() error {
		rows = nil
		return classify(s.read.NewSelect().Model(&rows).
			Where("s.account_id = ?", account).Where("s.deleted_at IS NULL").Apply(which).Scan(ctx))
	})
	if err != nil {
		return nil, err
	}
	hooks := make([]HookSubscription, len(rows))
	for i := range rows {
		r := &rows[i]
		hooks[i] = HookSubscription{
			ID: r.ID, URL: r.URL, Transactions: r.Transactions, Cards: r.Cards, Active: r.Active,
			Secret: r.Secret, SecretKeyID: r.SecretKeyID, CreatedAt: ledger.Micros(r.CreatedAt), CreatedBy: r.CreatedBy,
		}
	}
	return hooks, nil
}
