package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/kortwallet/kort/pkg/audit"
	"github.com/kortwallet/kort/pkg/config"
	"github.com/kortwallet/kort/pkg/repository"
)

// backupCmd is `kort backup`.
type backupCmd struct {
	config.Backup
}

// Help is the long help.
func (backupCmd) Help() string {
	return `The copy is of one moment: all that was answered before the command began is in it. A server on the database goes on meanwhile. The data key is no part of the copy, and without it no token and no PIN in the copy is ever found again: keep one with the other, in another place. PostgreSQL has tools of its own for this, pg_dump and pg_basebackup.`
}

// errOwnTools is what a PostgreSQL is backed up and restored with.
var errOwnTools = errors.New("this command is for the embedded SQLite. PostgreSQL has its own tools: pg_dump and pg_restore for one moment, " +
	"pg_basebackup and an archive of the write-ahead log for any moment; see \"Backup and restore\" in README.md")

// Run copies, checks, and only then gives the copy its name.
func (c *backupCmd) Run(ctx context.Context, term *terminal) (err error) {
	if c.Postgres() {
		return fmt.Errorf("backup: %w", errOwnTools)
	}
	store, err := openDatabase(ctx, c.Database, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	copied, err := newDraft(c.Out)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer func() { err = errors.Join(err, copied.discard()) }()
	p := newProgress(term, "pages")
	err = store.Backup(ctx, copied.path, p.update)
	p.finish()
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	var disagreement error
	if c.Verify {
		disagreement, err = checkCopy(ctx, term, copied.path)
		if err != nil {
			return fmt.Errorf("check the backup: %w", err)
		}
	}
	if err := copied.publish(); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := printBackup(term, c.Out); err != nil {
		return err
	}
	if disagreement != nil {
		return fmt.Errorf("%w, in the database as in its backup, which is kept", disagreement)
	}
	return nil
}

const bytesPerMegabyte = 1e6

func printBackup(term *terminal, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	term.printf("The backup is in %s (%.1f MB).\n", path, float64(info.Size())/bytesPerMegabyte)
	term.notef("The data key is not in it. Keep a copy of the key in another place: without it no token and no PIN in the backup is ever found again.")
	return nil
}

// checkCopy looks at a copy as nobody would until it is needed. A disagreement is one
// that the original has, too; an error means that the copy is of no use.
func checkCopy(ctx context.Context, term *terminal, path string) (disagreement, err error) {
	store, err := repository.Open(ctx, repository.Options{SQLitePath: path, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := store.CheckFile(ctx); err != nil {
		return nil, err
	}
	pending, err := store.Pending(ctx)
	if err != nil {
		return nil, err
	}
	if pending > 0 {
		term.printf("The file is sound. Its schema is behind this version of Kort by %s, so the balances were not checked.\n",
			count(int64(pending), "step"))
		return nil, nil
	}
	err = verifyStore(ctx, term, store, audit.Options{})
	if found, ok := errors.AsType[disagreements](err); ok {
		return found, nil
	}
	return nil, err
}
