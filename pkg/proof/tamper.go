package proof

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kortwallet/kort/pkg/pgtest"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/tamper"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"
)

// ItemTamper changes the database behind the server's back.
const ItemTamper Item = "tamper"

// tamper edits, deletes, inserts and swaps rows at random, one at a time, and has each
// looked for by what `kort verify` does.
func (t *trial) tamper(ctx context.Context) (err error) {
	options, raw, err := t.tamperSite(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, raw.close()) }()
	store, err := repository.Open(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if _, err := store.Migrate(ctx); err != nil {
		return err
	}
	result, err := tamper.Run(ctx, tamper.Options{Store: store, Raw: raw.pool, Seed: t.Seed, Deadline: time.Now().Add(t.share)})
	if err != nil {
		return err
	}
	t.Operations, t.Faults = result.Transactions, int64(result.Tamperings)
	for _, missed := range result.Missed {
		t.violate("not found: %s", missed)
	}
	kinds := make([]string, 0, len(result.ByKind))
	for kind, n := range result.ByKind {
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, n))
	}
	slices.Sort(kinds)
	t.note("%d of %d found (%s) over %d columns; %d more were refused by a constraint",
		result.Found(), result.Tamperings, strings.Join(kinds, ", "), len(result.ByColumn), result.Refused)
	return nil
}

// rawDatabase is a way into a database past the store.
type rawDatabase struct {
	pool  *sql.DB
	close func() error
}

// tamperSite makes an empty database that goes away with the raw way into it.
func (t *trial) tamperSite(ctx context.Context) (options repository.Options, raw rawDatabase, err error) {
	if t.engine == Postgres {
		address, stop, err := pgtest.Start(ctx, t.Dir, false)
		if err != nil {
			return options, raw, fmt.Errorf("start a PostgreSQL: %w", err)
		}
		raw.pool, err = sql.Open("pgx", address)
		if err != nil {
			return options, raw, errors.Join(err, stop())
		}
		raw.close = func() error { return errors.Join(raw.pool.Close(), stop()) }
		return repository.Options{PostgresURL: address}, raw, nil
	}
	s, err := t.newSite("")
	if err != nil {
		return options, raw, err
	}
	file := filepath.Join(s.dir, "kort.db")
	raw.pool, err = sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: file}).String())
	if err != nil {
		return options, raw, errors.Join(err, s.remove())
	}
	raw.close = func() error { return errors.Join(raw.pool.Close(), s.remove()) }
	return repository.Options{SQLitePath: file, Ephemeral: true}, raw, nil
}
