package repository

import (
	"context"
	"errors"
	"fmt"

	"github.com/kortwallet/kort/pkg/ledger"
)

// PurgeHooks removes a small part of what is no longer needed: deliveries that were
// settled before a moment, and all there is of subscriptions that were removed. It
// returns how many rows it was, and 0 when nothing is left to do.
func (s *Store) PurgeHooks(ctx context.Context, settledBefore ledger.Micros) (removed int, err error) {
	rows, err := s.allHooks(ctx)
	if err != nil {
		return 0, err
	}
	for i := range rows {
		n, err := s.purgeHook(ctx, &rows[i], settledBefore)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

func (s *Store) purgeHook(ctx context.Context, row *hookSubscriptionRow, settledBefore ledger.Micros) (removed int, err error) {
	purge, args := s.texts.hooks.purge, []any{row.AccountID, row.ID.String(), int64(settledBefore)}
	old := "SELECT 1 FROM hook_deliveries AS h WHERE h.account_id = $1 AND h.subscription_id = $2"
	if row.DeletedAt != nil {
		purge, args = s.texts.hooks.purgeAll, args[:2]
	} else {
		old += " AND h.settled_at < $3"
	}
	if some, err := s.any(ctx, old, args...); err != nil {
		return 0, fmt.Errorf("look for old deliveries: %w", err)
	} else if !some {
		// A commit that has not heard of the removal may still add to it: the row stays for a
		// while, and so does the search for its deliveries.
		if row.DeletedAt == nil || *row.DeletedAt >= int64(settledBefore) {
			return 0, nil
		}
		purge = "DELETE FROM hook_subscriptions WHERE account_id = $1 AND id = $2"
	}
	err = s.Write(ctx, func(tx *Tx) error {
		if err := tx.begin(ctx); err != nil {
			return err
		}
		if err := tx.execCount(ctx, &removed, purge, args...); err != nil {
			return fmt.Errorf("purge deliveries: %w", err)
		}
		return nil
	})
	return removed, err
}

// allHooks lists the subscriptions of all accounts, removed ones too.
func (s *Store) allHooks(ctx context.Context) (rows []hookSubscriptionRow, err error) {
	const text = `SELECT s.account_id, s.id, s.deleted_at FROM hook_subscriptions AS s ORDER BY s.account_id, s.id`
	if err := s.onWorkingConns(ctx, func() error {
		rows = nil
		return classify(s.read.NewRaw(text).Scan(ctx, &rows))
	}); err != nil {
		return nil, fmt.Errorf("list subscriptions: %w", err)
	}
	return rows, nil
}

// ReleaseHooks makes deliveries due that were taken by a server which has ended. On
// SQLite that is every earlier one; on PostgreSQL others may be at work, and nothing is
// done: their time will be up.
func (s *Store) ReleaseHooks(ctx context.Context) error {
	if s.dialect.postgres {
		return nil
	}
	rows, err := s.allHooks(ctx)
	if err != nil || len(rows) == 0 {
		return err
	}
	return s.Write(ctx, func(tx *Tx) error {
		for i := range rows {
			const release = `UPDATE hook_deliveries SET in_flight = false, next_at = 0
				WHERE account_id = $1 AND subscription_id = $2 AND settled_at IS NULL AND in_flight`
			if err := tx.exec(ctx, release, rows[i].AccountID, rows[i].ID.String()); err != nil {
				return fmt.Errorf("release deliveries: %w", err)
			}
		}
		return nil
	})
}

// any tells whether a query finds a row.
func (s *Store) any(ctx context.Context, text string, args ...any) (some bool, err error) {
	text = s.dialect.placeholders(text + " LIMIT 1")
	s.watched(text)
	err = s.onWorkingConns(ctx, func() error {
		rows, err := s.read.DB.QueryContext(ctx, text, args...)
		if err != nil {
			return classify(err)
		}
		some = rows.Next()
		return classify(errors.Join(rows.Err(), rows.Close()))
	})
	return some, err
}
