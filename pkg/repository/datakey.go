package repository

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kortwallet/kort/pkg/ledger"
)

var (
	// ErrOtherDataKey means that the database's tokens and PINs were hashed under
	// other data keys than those given: none of them could be found again.
	ErrOtherDataKey = errors.New("the database was written with another data key")
	// ErrMissingDataKey means that some of the database's tokens and PINs may have been
	// hashed under a data key that is not among those given.
	ErrMissingDataKey = errors.New("the database was also written with a data key that is missing here")
)

// DataKey names a data key, and says nothing about it.
type DataKey struct {
	ID          string // as rows carry it
	Fingerprint string
}

// NotedKey is a data key that a server has begun to use, or is about to.
type NotedKey struct {
	DataKey
	NotedAt ledger.Micros
}

// DataKeys is what a database knows of its data keys.
type DataKeys struct {
	Noted []NotedKey // oldest first
	// Current is the id of the key that new tokens are hashed under; empty before the
	// first.
	Current string
	used    map[string]bool // keys that are the current one, or have been
	since   int64           // when the current one became so
}

// Used tells whether a key is the current one, or has been.
func (k *DataKeys) Used(id string) bool { return k.used[id] }

// Missing compares the keys of a server with those the database notes. Nil means that
// it has them all, else the error is [ErrOtherDataKey] or [ErrMissingDataKey] and names
// the ids that are missing.
func (k *DataKeys) Missing(own []DataKey) error {
	var missing []string
	for i := range k.Noted {
		if !slices.Contains(own, k.Noted[i].DataKey) {
			missing = append(missing, k.Noted[i].ID)
		}
	}
	switch {
	case len(missing) == 0:
		return nil
	case len(missing) == len(k.Noted):
		return fmt.Errorf("%w (%s)", ErrOtherDataKey, strings.Join(missing, ", "))
	}
	return fmt.Errorf("%w (%s)", ErrMissingDataKey, strings.Join(missing, ", "))
}

// ClaimDataKeys notes the first of a server's data keys in the database, after it has
// made sure that the server has all keys that were noted before: see
// [DataKeys.Missing]. The first key of a database is the current one at once. Two
// servers that start at the same moment with different keys cannot both succeed: the
// table is locked for the length of the check.
//
// The other keys are not noted. Those that hashed something have been noted when they
// were first, and one that is yet to come must not shut out the servers that have not
// been given it.
func (s *Store) ClaimDataKeys(ctx context.Context, own []DataKey, now ledger.Micros) (DataKeys, error) {
	var known DataKeys
	err := s.Write(ctx, func(tx *Tx) (err error) {
		if err := tx.lockTable(ctx, "data_keys", "SHARE ROW EXCLUSIVE"); err != nil {
			return err
		}
		if known, err = s.dataKeys(ctx, tx.conn); err != nil {
			return err
		}
		if err := known.Missing(own); err != nil {
			return err
		}
		if slices.ContainsFunc(known.Noted, func(k NotedKey) bool { return k.DataKey == own[0] }) {
			return nil
		}
		const note = "INSERT INTO data_keys (key_id, fingerprint, created_at) VALUES ($1, $2, $3)"
		if err := tx.exec(ctx, note, own[0].ID, own[0].Fingerprint, int64(now)); err != nil {
			return fmt.Errorf("note a data key: %w", err)
		}
		if len(known.Noted) == 0 {
			if err := tx.makeCurrent(ctx, own[0].ID, int64(now)); err != nil {
				return err
			}
		}
		known, err = s.dataKeys(ctx, tx.conn)
		return err
	})
	return known, err
}

// UseDataKey makes a noted data key the one that new tokens are hashed under, from the
// next batch of every server on. A key that has been current before stays what it is:
// there is no way back to an older one.
//
// PostgreSQL waits for the batches that have read which key is current, so that no
// two of them choose a value under different keys without seeing each other.
func (s *Store) UseDataKey(ctx context.Context, id string, now ledger.Micros) error {
	return s.Write(ctx, func(tx *Tx) error {
		if err := tx.lockTable(ctx, "current_data_keys", "ACCESS EXCLUSIVE"); err != nil {
			return err
		}
		known, err := s.dataKeys(ctx, tx.conn)
		if err != nil || known.Used(id) {
			return err
		}
		return tx.makeCurrent(ctx, id, max(int64(now), known.since+1)) // whatever the clocks of the servers say
	})
}

// DataKeys reads what the database knows of its data keys.
func (s *Store) DataKeys(ctx context.Context) (known DataKeys, err error) {
	err = s.onWorkingConns(ctx, func() (err error) {
		known, err = s.dataKeys(ctx, s.read.DB)
		return err
	})
	return known, err
}

// dataKeys reads within a transaction, or without one.
func (s *Store) dataKeys(ctx context.Context, from interface {
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
},
) (DataKeys, error) {
	const text = `SELECT d.key_id, d.fingerprint, d.created_at, u.since
		FROM data_keys AS d LEFT JOIN current_data_keys AS u ON u.key_id = d.key_id ORDER BY d.created_at, d.key_id`
	s.watched(text)
	known := DataKeys{used: map[string]bool{}}
	rows, err := from.QueryContext(ctx, text)
	if err != nil {
		return known, fmt.Errorf("read data keys: %w", classify(err))
	}
	defer rows.Close()
	for rows.Next() {
		var key NotedKey
		var since sql.NullInt64
		if err := rows.Scan(&key.ID, &key.Fingerprint, &key.NotedAt, &since); err != nil {
			return known, fmt.Errorf("read data keys: %w", classify(err))
		}
		known.Noted = append(known.Noted, key)
		if !since.Valid {
			continue
		}
		known.used[key.ID] = true
		if known.Current == "" || since.Int64 > known.since {
			known.Current, known.since = key.ID, since.Int64
		}
	}
	if err := rows.Err(); err != nil {
		return known, fmt.Errorf("read data keys: %w", classify(err))
	}
	return known, nil
}

// lockTable keeps others from a table until the transaction ends. SQLite has one
// writer anyway.
func (tx *Tx) lockTable(ctx context.Context, table, mode string) error {
	if err := tx.begin(ctx); err != nil {
		return err
	}
	if !tx.store.dialect.postgres {
		return nil
	}
	if err := tx.exec(ctx, "LOCK TABLE "+table+" IN "+mode+" MODE"); err != nil {
		return fmt.Errorf("lock %s: %w", table, err)
	}
	return nil
}

func (tx *Tx) makeCurrent(ctx context.Context, id string, since int64) error {
	if err := tx.exec(ctx, "INSERT INTO current_data_keys (key_id, since) VALUES ($1, $2)", id, since); err != nil {
		return fmt.Errorf("make a data key the current one: %w", err)
	}
	return nil
}

// exec runs a statement that has a place of its own, apart from the batches.
func (tx *Tx) exec(ctx context.Context, text string, args ...any) error {
	_, err := tx.change(ctx, text, args...)
	return err
}

// change is exec that tells how many rows have changed.
func (tx *Tx) change(ctx context.Context, text string, args ...any) (int64, error) {
	text = tx.store.dialect.placeholders(text)
	tx.store.watched(text)
	result, err := tx.conn.ExecContext(ctx, text, args...)
	if err != nil {
		return 0, classify(err)
	}
	rows, err := result.RowsAffected()
	return rows, classify(err)
}

// execCount is exec that tells how many rows were changed.
func (tx *Tx) execCount(ctx context.Context, n *int, text string, args ...any) error {
	text = tx.store.dialect.placeholders(text)
	tx.store.watched(text)
	result, err := tx.conn.ExecContext(ctx, text, args...)
	if err != nil {
		return classify(err)
	}
	changed, err := result.RowsAffected()
	*n = int(changed)
	return classify(err)
}

// scan reads one value.
func (tx *Tx) scan(ctx context.Context, into any, text string, args ...any) error {
	text = tx.store.dialect.placeholders(text)
	tx.store.watched(text)
	return classify(tx.conn.QueryRowContext(ctx, text, args...).Scan(into))
}
