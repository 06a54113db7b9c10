package repotest

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/pgtest"
	"github.com/kortwallet/kort/pkg/repository"
)

// Database is a fresh, migrated database of one engine, and a store on it.
type Database struct {
	*repository.Store
	// Options open another store on the same database.
	Options repository.Options
}

// Each runs a test on a fresh, migrated store per engine, in parallel.
func Each(t *testing.T, test func(t *testing.T, s *repository.Store)) {
	t.Helper()
	EachDatabase(t, func(t *testing.T, d Database) {
		t.Helper()
		test(t, d.Store)
	})
}

// EachDatabase is [Each] for tests that also need the database behind the store.
func EachDatabase(t *testing.T, test func(t *testing.T, d Database)) {
	t.Helper()
	for name, options := range Engines() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, Migrated(t, options(t)))
		})
	}
}

// Engines says, by name, how to make an empty database of each engine.
func Engines() map[string]func(testing.TB) repository.Options {
	return map[string]func(testing.TB) repository.Options{"sqlite": SQLite, "postgres": Postgres}
}

// SQLite makes an empty SQLite database that goes with the test. It is not synced
// to the disk: no test here pulls the plug.
func SQLite(t testing.TB) repository.Options {
	t.Helper()
	return repository.Options{SQLitePath: filepath.Join(t.TempDir(), "kort.db"), Ephemeral: true}
}

// Postgres makes an empty PostgreSQL database that goes with the test.
func Postgres(t testing.TB) repository.Options {
	t.Helper()
	return repository.Options{PostgresURL: pgtest.URL(t)}
}

// Migrated opens a store that watches its statements, and brings the schema up to
// date.
func Migrated(t testing.TB, o repository.Options) Database {
	t.Helper()
	d := Database{Store: Open(t, o), Options: o}
	if _, err := d.Migrate(context.Background()); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	return d
}

// Open opens a store that watches its statements and is closed with the test.
func Open(t testing.TB, o repository.Options) *repository.Store {
	t.Helper()
	observe := o.Observe
	var reported sync.Map
	o.Observe = func(text string) {
		if problem := Stray(text); problem != "" {
			if _, again := reported.LoadOrStore(problem, true); !again {
				t.Errorf("%s: %s", problem, text)
			}
		}
		if observe != nil {
			observe(text)
		}
	}
	s, err := repository.Open(context.Background(), o)
	if err != nil {
		t.Fatalf("open the database: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the database: %v", err)
		}
	})
	return s
}

// AwaitLock returns when somebody waits for a lock in the PostgreSQL database.
func (d Database) AwaitLock(t testing.TB) {
	t.Helper()
	const patience = 10 * time.Second
	raw, end := d.Raw(t), time.Now().Add(patience)
	for raw.Number(t, `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock'`) == 0 {
		if time.Now().After(end) {
			t.Fatal("nobody waits for a lock")
		}
		time.Sleep(time.Millisecond)
	}
}

// Raw opens the database behind a store without the store.
func (d Database) Raw(t testing.TB) *Raw {
	t.Helper()
	driver, source := "sqlite", "file:"+d.Options.SQLitePath+"?_pragma=busy_timeout(5000)"
	if d.Postgres() {
		driver, source = "pgx", d.Options.PostgresURL
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatalf("open the raw database: %v", err)
	}
	db.SetMaxOpenConns(1) // so that a transaction of a test is seen by its next statement
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close the raw database: %v", err)
		}
	})
	return &Raw{db: db, postgres: d.Postgres()}
}

// Raw is a database without the rules of the repository. Placeholders are written
// as ? on both engines.
type Raw struct {
	db       *sql.DB
	postgres bool
}

// Exec runs a statement and returns its error.
func (r *Raw) Exec(query string, args ...any) error {
	_, err := r.db.ExecContext(context.Background(), r.placeholders(query), args...)
	return err
}

// MustExec runs a statement that has to succeed.
func (r *Raw) MustExec(t testing.TB, query string, args ...any) {
	t.Helper()
	if err := r.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// Number reads one number.
func (r *Raw) Number(t testing.TB, query string, args ...any) int64 {
	t.Helper()
	var n sql.NullInt64
	if err := r.db.QueryRowContext(context.Background(), r.placeholders(query), args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n.Int64
}

// Rows reads all rows as texts; NULL is "<null>".
func (r *Raw) Rows(t testing.TB, query string, args ...any) [][]string {
	t.Helper()
	found, err := r.db.QueryContext(context.Background(), r.placeholders(query), args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = found.Close() }()
	columns, err := found.Columns()
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	var rows [][]string
	for found.Next() {
		values, targets := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := found.Scan(targets...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		row := make([]string, len(columns))
		for i, value := range values {
			if row[i] = value.String; !value.Valid {
				row[i] = "<null>"
			}
		}
		rows = append(rows, row)
	}
	if err := found.Err(); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return rows
}

// Snapshot reads every row of the tables of an account, so that a test can tell
// that nothing has changed.
func (r *Raw) Snapshot(t testing.TB) map[string][][]string {
	t.Helper()
	all := map[string][][]string{}
	for _, table := range AccountTables {
		all[table] = r.Rows(t, fmt.Sprintf("SELECT * FROM %s ORDER BY account_id, id", table))
	}
	return all
}

func (r *Raw) placeholders(query string) string {
	if !r.postgres {
		return query
	}
	parts := strings.Split(query, "?")
	var text strings.Builder
	for i, part := range parts {
		text.WriteString(part)
		if i < len(parts)-1 {
			fmt.Fprintf(&text, "$%d", i+1)
		}
	}
	return text.String()
}
