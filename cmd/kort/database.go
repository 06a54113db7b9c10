package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/kortwallet/kort/pkg/config"
	"github.com/kortwallet/kort/pkg/repository"
)

// openDatabase opens the database of a command that works beside the server. It
// creates none.
func openDatabase(ctx context.Context, settings config.Database, readOnly bool) (*repository.Store, error) {
	if !settings.Postgres() {
		if err := haveDatabase(settings); err != nil {
			return nil, err
		}
	}
	return repository.Open(ctx, repository.Options{
		PostgresURL: settings.DatabaseURL.Reveal(), SQLitePath: settings.SQLiteFile(), ReadOnly: readOnly,
	})
}

func haveDatabase(settings config.Database) error {
	if err := dataDir(settings.DataDir).exist(); err != nil {
		return err
	}
	_, err := os.Stat(settings.SQLiteFile())
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no database %s: name its directory with %s, or start a server to create it",
			settings.SQLiteFile(), config.Name("data-dir"))
	}
	if err != nil {
		return fmt.Errorf("look for the database: %w", err)
	}
	return nil
}

// errBehind says that the database lacks steps of the schema.
var errBehind = errors.New("the schema of the database is behind this version of Kort")

// requireSchema fails where the schema is not the one this program works with.
func requireSchema(ctx context.Context, store *repository.Store) error {
	pending, err := store.Pending(ctx)
	if err != nil {
		return err
	}
	if pending == 0 {
		return nil
	}
	return fmt.Errorf("%w by %s. Bring it up to date with: kort migrate up", errBehind, count(int64(pending), "step"))
}

// count writes a number with its unit.
func count(n int64, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
