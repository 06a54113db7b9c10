package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestURLGivesAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	conn := connect(t, URL(t))
	if tables := queryInt(t, conn, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"); tables != 0 {
		t.Errorf("a new database has %d tables, want none", tables)
	}
	mustExec(t, conn, "CREATE TABLE card (id text PRIMARY KEY)")
	mustExec(t, conn, "INSERT INTO card VALUES ('ærlig')")
	if length := queryInt(t, conn, "SELECT length(id) FROM card"); length != 5 {
		t.Errorf("length in characters is %d, want 5: the database is not UTF-8", length)
	}
}

func TestURLIsDroppedAtTheEnd(t *testing.T) {
	t.Parallel()
	var dropped string
	t.Run("user", func(t *testing.T) {
		dropped = URL(t)
		connect(t, dropped) // still open when the database is dropped
	})
	if dropped == "" {
		t.Skip("the subtest was skipped")
	}
	u, err := url.Parse(dropped)
	if err != nil {
		t.Fatal(err)
	}
	conn := connect(t, URL(t))
	if count := queryInt(t, conn, "SELECT count(*) FROM pg_database WHERE datname = $1", strings.TrimPrefix(u.Path, "/")); count != 0 {
		t.Error("the database outlived its test")
	}
}

func TestURLInParallel(t *testing.T) {
	t.Parallel()
	const tests = 16
	var mu sync.Mutex
	seen := map[string]bool{}
	for i := range tests {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			database := URL(t)
			mustExec(t, connect(t, database), "CREATE TABLE card (id text PRIMARY KEY)")
			mu.Lock()
			defer mu.Unlock()
			if seen[database] {
				t.Error("two tests were given one database")
			}
			seen[database] = true
		})
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	const fails, leavesOut, runs = "fails", "leaves out", "runs"
	tests := []struct {
		name    string
		env     map[string]string
		want    string // PostgreSQL is installed
		without string // it is not
	}{
		{"nothing said", nil, runs, leavesOut},
		{"required", map[string]string{EnvPolicy: "required"}, runs, fails},
		{"off", map[string]string{EnvPolicy: "off"}, leavesOut, leavesOut},
		{"CI", map[string]string{"CI": "true"}, runs, fails},
		{"CI wins over off", map[string]string{"CI": "true", EnvPolicy: "off"}, runs, fails},
		{"not CI", map[string]string{"CI": "false"}, runs, leavesOut},
		{"a typing error", map[string]string{EnvPolicy: "requierd"}, fails, fails},
	}
	verdict := func(err error) string {
		switch {
		case err == nil:
			return runs
		case errors.Is(err, ErrLeftOut):
			return leavesOut
		}
		return fails
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			getenv := func(name string) string { return test.env[name] }
			err := policy(getenv)
			if got := verdict(err); got != test.want {
				t.Errorf("with PostgreSQL: %s (%v), want %s", got, err, test.want)
			}
			if err == nil {
				err = missing(getenv, errNoBinaries)
				if !strings.Contains(err.Error(), "postgres not found") || !strings.Contains(err.Error(), EnvURL) {
					t.Errorf("%q does not say what is missing and how to mend it", err)
				}
			}
			if got := verdict(err); got != test.without {
				t.Errorf("without PostgreSQL: %s (%v), want %s", got, err, test.without)
			}
		})
	}
}

func TestParseServerURL(t *testing.T) {
	t.Parallel()
	server, err := parseServerURL("postgresql://me:secret@db.example:5433/postgres?sslmode=require")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := withDatabase(server, "kort_test_1"), "postgresql://me:secret@db.example:5433/kort_test_1?sslmode=require"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, bad := range []string{"host=localhost password=secret", "http://secret/", "postgres://secret\x7f/"} {
		_, err := parseServerURL(bad)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("a malformed URL gives %v: want an error that does not repeat it", err)
		}
	}
}

func connect(t *testing.T, databaseURL string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // the server may have ended first
	return conn
}

func mustExec(t *testing.T, conn *pgx.Conn, statement string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func queryInt(t *testing.T, conn *pgx.Conn, query string, arguments ...any) int {
	t.Helper()
	var value int
	if err := conn.QueryRow(t.Context(), query, arguments...).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}
