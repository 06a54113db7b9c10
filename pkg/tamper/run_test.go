package tamper_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/ledgertest"
	"github.com/kortwallet/kort/pkg/pgtest"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/tamper"
)

// envCount asks for another number of tamperings than defaultCount, for each engine.
const (
	envCount     = "KORT_TAMPERINGS"
	defaultCount = 150
)

func TestEveryTamperingIsFound(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, store *repository.Store, raw *sql.DB) {
		o := tamper.Options{
			Store: store, Raw: raw, Count: defaultCount,
			Seed: ledgertest.Seeds(t, uint64(time.Now().UnixNano()), 1)[0], //nolint:gosec // after 1970
		}
		if n, err := strconv.Atoi(os.Getenv(envCount)); err == nil {
			o.Count = n
		}
		result, err := tamper.Run(context.Background(), o)
		if err != nil {
			t.Fatalf("%s=%d: %v", ledgertest.SeedVariable, o.Seed, err)
		}
		for _, missed := range result.Missed {
			t.Error(missed)
		}
		t.Logf("%s=%d: found %d of %d tamperings with %+v, %d more refused: %v, columns %v",
			ledgertest.SeedVariable, o.Seed, result.Found(), result.Tamperings, result.Scope, result.Refused, result.ByKind, result.ByColumn)
		if result.Tamperings != o.Count || result.Accounts < 3 || result.Cards < 15 || result.Transactions < 250 {
			t.Errorf("only %d tamperings with %+v", result.Tamperings, result.Scope)
		}
		for _, kind := range tamper.Kinds {
			if result.ByKind[kind] == 0 {
				t.Errorf("there was no %s", kind)
			}
		}
		for column, edits := range result.ByColumn {
			if edits == 0 {
				t.Errorf("nothing edited %s", column)
			}
		}
	})
}

// TestSeedRepeats: a failure can be played again on another database.
func TestSeedRepeats(t *testing.T) {
	t.Parallel()
	var results []tamper.Result
	for range 2 {
		store, raw := openSQLite(t)
		result, err := tamper.Run(context.Background(), tamper.Options{Store: store, Raw: raw, Seed: 5, Count: 30})
		if err != nil {
			t.Fatal(err)
		}
		results = append(results, result)
	}
	if !reflect.DeepEqual(results[0], results[1]) {
		t.Errorf("the same seed made %+v and %+v", results[0], results[1])
	}
}

func TestRunWantsAnEnd(t *testing.T) {
	t.Parallel()
	if _, err := tamper.Run(context.Background(), tamper.Options{}); err == nil {
		t.Error("a run without an end began")
	}
}

// onBoth runs a test on a new database of each engine, with a way around the store.
func onBoth(t *testing.T, test func(*testing.T, *repository.Store, *sql.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		store, raw := openSQLite(t)
		test(t, store, raw)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		url := pgtest.URL(t)
		store, raw := open(t, repository.Options{PostgresURL: url}, "pgx", url)
		test(t, store, raw)
	})
}

func openSQLite(t *testing.T) (*repository.Store, *sql.DB) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kort.db")
	return open(t, repository.Options{SQLitePath: path, Ephemeral: true}, "sqlite",
		path+"?_pragma=busy_timeout(10000)&_pragma=synchronous(OFF)")
}

func open(t *testing.T, o repository.Options, driver, source string) (*repository.Store, *sql.DB) {
	t.Helper()
	ctx := context.Background()
	store, err := repository.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(raw.Close(), store.Close()); err != nil {
			t.Error(err)
		}
	})
	if _, err := store.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	return store, raw
}
