package repository

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// maxPairings is how often two SQLite connections are tried to be brought to the
// same state. A try takes microseconds, a commit of a server milliseconds.
const maxPairings = 1000

// AuditReader reads rows as they are stored, for an audit: in the order of their
// keys, in pages, and without stopping at a row that no server can have written.
// It lives as long as its database transaction and is used by one goroutine at a
// time.
//
// Keys of cards are texts, not UUIDs: SQLite takes any text for an id, and a page
// must go on after it whatever it is.
type AuditReader struct {
	rowReader
	tx *sql.Tx
}

// Audit reads inside a write transaction that has locked something: what its locks
// protect stays as it is read.
func (tx *Tx) Audit() *AuditReader {
	return &AuditReader{rowReader: rowReader{store: tx.store, conn: tx.conn}}
}

// Snapshot lets fn read one state of the whole database, however long that takes,
// while servers go on writing.
func (s *Store) Snapshot(ctx context.Context, fn func(*AuditReader) error) (err error) {
	var reader *AuditReader
	err = s.onWorkingConns(ctx, func() (err error) {
		if reader, err = s.auditReader(ctx); err != nil {
			return err
		}
		if err = reader.begin(ctx, unhurried); err != nil {
			err = errors.Join(err, reader.close())
		}
		return err
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.close()) }()
	return fn(reader)
}

// SnapshotPair is Snapshot with two readers that see the same state and may be used
// at the same time. The first is for reading transactions and tokens page by page.
// The store must have two connections for reading.
func (s *Store) SnapshotPair(ctx context.Context, fn func(pages, rest *AuditReader) error) (err error) {
	if s.read.DB.Stats().MaxOpenConnections == 1 { // the second would wait for the first, for ever
		return errors.New("begin snapshot: two connections for reading are needed")
	}
	var pages, rest *AuditReader
	err = s.onWorkingConns(ctx, func() (err error) {
		pages, rest, err = s.beginPair(ctx)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pages.close(), rest.close()) }()
	return fn(pages, rest)
}

func (s *Store) beginPair(ctx context.Context) (pages, rest *AuditReader, err error) {
	if pages, err = s.auditReader(ctx); err != nil {
		return nil, nil, err
	}
	if rest, err = s.auditReader(ctx); err != nil {
		return nil, nil, errors.Join(err, pages.close())
	}
	pair := pairOnSQLite
	if s.dialect.postgres {
		pair = pairOnPostgres
	}
	if err = pair(ctx, pages, rest); err != nil {
		return nil, nil, errors.Join(err, pages.close(), rest.close())
	}
	return pages, rest, nil
}

// auditReader takes a connection. Nothing is begun on it yet.
func (s *Store) auditReader(ctx context.Context) (*AuditReader, error) {
	conn, err := s.read.DB.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("begin snapshot: %w", classify(err))
	}
	return &AuditReader{rowReader: rowReader{store: s, conn: conn}}, nil
}

// Settings of a snapshot on PostgreSQL.
const (
	// The sums of one busy card may take longer than any statement of a server.
	unhurried = `SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL jit = off`
	// The planner knows how many transactions a card has on average. Left alone, it
	// sorts all those of a busy one again for each page, where an index has them in
	// order, and makes a table of all holds to look a few up in.
	inIndexOrder = `; SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off; SET LOCAL enable_seqscan = off;
	SET LOCAL enable_bitmapscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;
	SET LOCAL enable_material = off`
)

// begin starts the transaction of a snapshot. The settings are for PostgreSQL.
func (a *AuditReader) begin(ctx context.Context, settings string) error {
	var options *sql.TxOptions // on SQLite a read transaction keeps to the state of its first read
	if a.store.dialect.postgres {
		options = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	tx, err := a.conn.BeginTx(ctx, options)
	if err != nil {
		return fmt.Errorf("begin snapshot: %w", classify(err))
	}
	a.tx = tx
	if !a.store.dialect.postgres {
		return nil
	}
	if _, err := a.tx.ExecContext(ctx, settings); err != nil {
		return fmt.Errorf("begin snapshot: %w", classify(err))
	}
	return nil
}

// end gives up the transaction. Nothing was written, so there is nothing to lose.
func (a *AuditReader) end() {
	if a.tx != nil {
		_ = a.tx.Rollback()
	}
}

func (a *AuditReader) close() error {
	a.end()
	return classify(a.conn.Close())
}

// pairOnPostgres lets the first reader adopt the snapshot of the other.
func pairOnPostgres(ctx context.Context, pages, rest *AuditReader) error {
	if err := rest.begin(ctx, unhurried); err != nil {
		return err
	}
	var exported string
	if err := rest.tx.QueryRowContext(ctx, "SELECT pg_export_snapshot()").Scan(&exported); err != nil {
		return fmt.Errorf("export snapshot: %w", classify(err))
	}
	if strings.Trim(exported, "0123456789ABCDEF-") != "" { // it becomes part of a statement
		return errors.New("export snapshot: its name is none")
	}
	return pages.begin(ctx, fmt.Sprintf("SET TRANSACTION SNAPSHOT '%s'; %s%s", exported, unhurried, inIndexOrder))
}

// pairOnSQLite begins both transactions between two looks at the version of the data
// through one connection. That changes with every commit of any other connection, in
// this process or not; when it has not changed, nothing has.
func pairOnSQLite(ctx context.Context, one, other *AuditReader) error {
	for range maxPairings {
		var before, after int64
		var first int
		if err := other.conn.QueryRowContext(ctx, dataVersionText).Scan(&before); err != nil {
			return fmt.Errorf("begin snapshot: %w", classify(err))
		}
		if err := one.begin(ctx, ""); err != nil {
			return err
		}
		if err := one.tx.QueryRowContext(ctx, firstReadText).Scan(&first); err != nil {
			return fmt.Errorf("begin snapshot: %w", classify(err))
		}
		if err := other.begin(ctx, ""); err != nil {
			return err
		}
		if err := other.tx.QueryRowContext(ctx, dataVersionText).Scan(&after); err != nil {
			return fmt.Errorf("begin snapshot: %w", classify(err))
		}
		if before == after {
			return nil
		}
		one.end()
		other.end()
	}
	return fmt.Errorf("begin snapshot: a server commits all the time: %w", ErrUnavailable)
}

const (
	dataVersionText = "PRAGMA data_version"
	// firstReadText is a read of the file, which is what pins a transaction on SQLite.
	firstReadText = "SELECT count(*) FROM sqlite_master"
)
