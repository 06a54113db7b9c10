package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/kortwallet/kort/pkg/config"
	"github.com/kortwallet/kort/pkg/repository"
)

// restoreCmd is `kort restore`.
type restoreCmd struct {
	config.Restore
}

// Help is the long help.
func (restoreCmd) Help() string {
	return `Copies the file into the data directory, which is made where there is none, and checks the copy. Nothing is replaced or removed: a database that is there has to be moved away first, together with the files beside it. Serve the restored database with the data key that it was written with.`
}

// Run puts the copy in place when all is well with it.
func (c *restoreCmd) Run(ctx context.Context, term *terminal) (err error) {
	if c.Postgres() {
		return fmt.Errorf("restore: %w", errOwnTools)
	}
	if err := wholeFile(c.From); err != nil {
		return err
	}
	dir := dataDir(c.DataDir)
	if err := dir.create(); err != nil {
		return err
	}
	unlock, err := dir.lock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := roomFor(c.SQLiteFile()); err != nil {
		return err
	}
	copied, err := newDraft(c.SQLiteFile())
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	defer func() { err = errors.Join(err, copied.discard()) }()
	if err := copyFile(ctx, c.From, copied.path); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if err := c.accept(ctx, term, copied.path); err != nil {
		return err
	}
	if err := copied.publish(); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	term.printf("The database is in %s.\n", c.SQLiteFile())
	term.notef("Serve it with the data key that it was written with: a server with another one refuses to start.")
	return nil
}

// wholeFile refuses a file that is only a part of a database.
func wholeFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("restore: %s is no file", path)
	}
	found, err := present(path, besideDatabase)
	if err != nil || len(found) == 0 {
		return err
	}
	return fmt.Errorf("restore: %s is not all of a database, as there is %s. Make a backup of it with: kort backup", path, strings.Join(found, " and "))
}

// roomFor refuses to put a database where one is, or was.
func roomFor(path string) error {
	found, err := present(path, append([]string{""}, besideDatabase...))
	if err != nil || len(found) == 0 {
		return err
	}
	return fmt.Errorf("restore: a database is there already, and is left as it is. Move it away, or name another directory with %s: %s",
		config.Name("data-dir"), strings.Join(found, " "))
}

// present lists the files with a name and one of the endings.
func present(name string, endings []string) (found []string, err error) {
	for _, ending := range endings {
		_, err := os.Lstat(name + ending)
		switch {
		case err == nil:
			found = append(found, name+ending)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("restore: %w", err)
		}
	}
	return found, nil
}

// copyBytes is how much is copied between two looks at the context.
const copyBytes = 4 << 20

func copyFile(ctx context.Context, from, to string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := os.OpenFile(to, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := io.CopyN(target, source, copyBytes); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// accept fails where a server could not go on with the copy, or should not.
func (c *restoreCmd) accept(ctx context.Context, term *terminal, path string) error {
	if err := c.known(ctx, path); err != nil || !c.Verify {
		return err
	}
	disagreement, err := checkCopy(ctx, term, path)
	if err != nil {
		return fmt.Errorf("check %s: %w", c.From, err)
	}
	if disagreement != nil {
		return fmt.Errorf("%w in %s, which is not restored. To restore it all the same, and look into it there: --no-verify", disagreement, c.From)
	}
	return nil
}

// known fails where the schema is not one that this program has ever had.
func (c *restoreCmd) known(ctx context.Context, path string) (err error) {
	store, err := repository.Open(ctx, repository.Options{SQLitePath: path, ReadOnly: true})
	if err != nil {
		return fmt.Errorf("%s: %w", c.From, err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	steps, err := store.Migrations(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", c.From, err)
	}
	unknown, err := store.Unknown(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", c.From, err)
	case len(unknown) > 0:
		return fmt.Errorf("%s was written by a newer version of Kort, whose schema has %s. Restore it with that version",
			c.From, strings.Join(unknown, ", "))
	case !steps[0].Applied:
		return fmt.Errorf("%s is no database of Kort", c.From)
	}
	return nil
}
