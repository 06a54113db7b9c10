package repository

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"
)

const (
	// backupStep is how many pages are copied between two looks at the context: 4 MiB.
	backupStep = 1 << 10
	// maxDamages is how many of the damages that SQLite finds are told.
	maxDamages = 10
)

var (
	// ErrDamaged means that a database file is not as SQLite writes it.
	ErrDamaged = errors.New("the database file is damaged")
	// errNoFile means that PostgreSQL was asked for what only a file has.
	errNoFile = errors.New("the database is on PostgreSQL, and no file")
)

// Backup copies an embedded database, as it is at one moment, into a file that is
// there and empty. Servers go on writing meanwhile. Progress, when set, is told how
// many of how many pages are copied. The copy needs no second file beside it; it is up
// to the caller to sync it, and to throw it away after an error.
//
// Pages are copied one by one, with all that is in them, inside a read transaction:
// outside of one, SQLite begins anew whenever a server has written, and never comes to
// an end. VACUUM INTO would make a smaller file, but it sorts every index again, and
// for as long as it reads, the write-ahead log of the server can only grow.
func (s *Store) Backup(ctx context.Context, path string, progress func(done, total int64)) (err error) {
	if s.dialect.postgres {
		return fmt.Errorf("back up: %w", errNoFile)
	}
	if path, err = filepath.Abs(path); err != nil { // so that no name is an option to SQLite
		return fmt.Errorf("back up: %w", err)
	}
	reader, err := s.auditReader(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.close()) }()
	if err := reader.begin(ctx, ""); err != nil {
		return err
	}
	var first int
	if err := reader.tx.QueryRowContext(ctx, firstReadText).Scan(&first); err != nil {
		return fmt.Errorf("begin backup: %w", classify(err))
	}
	err = reader.conn.Raw(func(conn any) error { return copyPages(ctx, conn.(backupSource), path, progress) })
	if err != nil {
		return fmt.Errorf("copy the database: %w", err) // not classified: it may be about either of the files
	}
	return settle(ctx, path)
}

// backupSource is a connection of SQLite's driver.
type backupSource interface {
	NewBackup(name string) (*sqlite.Backup, error)
}

func copyPages(ctx context.Context, source backupSource, path string, progress func(done, total int64)) error {
	// Nobody else knows of the copy, so a crash may leave anything of it.
	backup, err := source.NewBackup(sourceName(path, url.Values{"_pragma": {"journal_mode(OFF)", "synchronous(OFF)"}}))
	if err != nil {
		return err
	}
	for more := true; more; {
		if err = ctx.Err(); err == nil {
			more, err = backup.Step(backupStep)
		}
		if err != nil {
			_ = backup.Finish() // which says the same again
			return err
		}
		if progress != nil {
			total := int64(backup.PageCount())
			progress(total-int64(backup.Remaining()), total)
		}
	}
	return backup.Finish()
}

// settle makes a copy a file of its own. It is marked as one with a write-ahead log
// beside it, like the original, and whoever only looks at such a file leaves one behind.
func settle(ctx context.Context, path string) (err error) {
	// Alone with it, SQLite needs no memory that is shared through a file.
	pool, err := openPool(path, url.Values{"_pragma": {"locking_mode(EXCLUSIVE)", "journal_mode(DELETE)"}}, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	var mode string
	if err := pool.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return fmt.Errorf("finish the copy: %w", err)
	}
	if mode != "delete" {
		return fmt.Errorf("finish the copy: its journal mode stays %s", mode)
	}
	return nil
}

// CheckFile reads all of an embedded database and compares each index with its table;
// [ErrDamaged] says what SQLite has found.
func (s *Store) CheckFile(ctx context.Context) (err error) {
	if s.dialect.postgres {
		return fmt.Errorf("check the file: %w", errNoFile)
	}
	var found []string
	if err := s.read.NewRaw(fmt.Sprintf("PRAGMA integrity_check(%d)", maxDamages)).Scan(ctx, &found); err != nil {
		return fmt.Errorf("check the file: %w", classify(err))
	}
	if len(found) != 1 || found[0] != "ok" {
		return fmt.Errorf("%w: %s", ErrDamaged, strings.Join(found, "; "))
	}
	return nil
}
