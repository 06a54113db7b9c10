package repository

import (
	"context"
	"errors"
	"fmt"

	"github.com/kortwallet/kort/pkg/ledger"
)

// ErrOtherDataKey means that the database's tokens and PINs were hashed under
// another data key than the one given: none of them could be found again.
var ErrOtherDataKey = errors.New("the database was written with another data key")

// ClaimDataKey notes the fingerprint of the data key in a database that has none
// yet, and else compares it. Two servers that start at once with different keys
// cannot both succeed: the table is locked for the length of the check.
func (s *Store) ClaimDataKey(ctx context.Context, keyID, fingerprint string, now ledger.Micros) error {
	return s.Write(ctx, func(tx *Tx) error {
		if err := tx.begin(ctx); err != nil {
			return err
		}
		if s.dialect.postgres {
			const lock = "LOCK TABLE data_keys IN SHARE ROW EXCLUSIVE MODE"
			s.watched(lock)
			if _, err := tx.conn.ExecContext(ctx, lock); err != nil {
				return fmt.Errorf("lock data keys: %w", classify(err))
			}
		}
		const read = "SELECT key_id, fingerprint, created_at FROM data_keys"
		s.watched(read)
		found, err := tx.conn.QueryContext(ctx, read) //nolint:rowserrcheck // ScanRows looks at it
		if err != nil {
			return fmt.Errorf("read data keys: %w", classify(err))
		}
		var rows []dataKeyRow
		if err := s.write.ScanRows(ctx, found, &rows); err != nil {
			return fmt.Errorf("read data keys: %w", classify(err))
		}
		if len(rows) > 0 {
			return matchDataKey(rows, keyID, fingerprint)
		}
		insert := s.dialect.placeholders("INSERT INTO data_keys (key_id, fingerprint, created_at) VALUES ($1, $2, $3)")
		s.watched(insert)
		if _, err := tx.conn.ExecContext(ctx, insert, keyID, fingerprint, int64(now)); err != nil {
			return fmt.Errorf("note the data key: %w", classify(err))
		}
		return nil
	})
}

func matchDataKey(rows []dataKeyRow, keyID, fingerprint string) error {
	for i := range rows {
		if rows[i].KeyID == keyID && rows[i].Fingerprint == fingerprint {
			return nil
		}
	}
	return ErrOtherDataKey
}
