package repository

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	lib "modernc.org/sqlite/lib"

	"github.com/kortwallet/kort/pkg/pgtest"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	pg := func(code string) error { return &pgconn.PgError{Code: code, Message: "a text that says duplicate key"} }
	plain := errors.New("unique violation, deadlock, connection refused: in words only")
	for name, c := range map[string]struct{ err, want error }{
		"nothing":              {nil, nil},
		"no rows":              {sql.ErrNoRows, ErrNotFound},
		"wrapped":              {fmt.Errorf("read: %w", sql.ErrNoRows), ErrNotFound},
		"ours already":         {fmt.Errorf("x: %w", ErrConflict), ErrConflict},
		"unique violation":     {pg("23505"), ErrConflict},
		"serialization":        {pg("40001"), ErrConflict},
		"deadlock":             {pg("40P01"), ErrConflict},
		"lock timeout":         {pg("55P03"), ErrConflict},
		"read-only":            {pg("25006"), ErrUnavailable},
		"statement timeout":    {pg("57014"), ErrUnavailable},
		"connection failure":   {pg("08006"), ErrUnavailable},
		"too many connections": {pg("53300"), ErrUnavailable},
		"disk full":            {pg("53100"), ErrUnavailable},
		"admin shutdown":       {pg("57P01"), ErrUnavailable},
		"starting up":          {pg("57P03"), ErrUnavailable},
		"I/O error":            {pg("58030"), ErrUnavailable},
		"check violation":      {pg("23514"), nil},
		"not null violation":   {pg("23502"), nil},
		"bad encoding":         {pg("22021"), nil},
		"undefined table":      {pg("42P01"), nil},
		"no code":              {pg(""), nil},
		"a bad connection":     {driver.ErrBadConn, ErrUnavailable},
		"an ended connection":  {io.ErrUnexpectedEOF, ErrUnavailable},
		"a network error":      {&net.OpError{Op: "read", Err: errors.New("reset")}, ErrUnavailable},
		"a deadline":           {context.DeadlineExceeded, ErrUnavailable},
		"a caller who left":    {context.Canceled, nil},
		"words":                {plain, nil},
	} {
		got := classify(c.err)
		if c.err == nil {
			if got != nil {
				t.Errorf("%s: %v", name, got)
			}
			continue
		}
		for _, kind := range []error{ErrNotFound, ErrConflict, ErrUnavailable} {
			if errors.Is(got, kind) != errors.Is(c.want, kind) {
				t.Errorf("%s: is %q: %t", name, kind, errors.Is(got, kind))
			}
		}
		if !errors.Is(got, c.err) && !errors.Is(c.want, ErrNotFound) {
			t.Errorf("%s: the cause got lost: %v", name, got)
		}
	}
}

// The codes are those that the real engines send.
func TestClassifyRealErrors(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]func() Options{
		"sqlite":   func() Options { return Options{SQLitePath: filepath.Join(t.TempDir(), "kort.db"), Ephemeral: true} },
		"postgres": func() Options { return Options{PostgresURL: pgtest.URL(t)} },
	} {
		s, err := Open(t.Context(), options())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		exec := func(query string) error {
			_, err := s.write.ExecContext(t.Context(), query)
			return classify(err)
		}
		if err := exec("CREATE TABLE x (a INTEGER PRIMARY KEY, b INTEGER NOT NULL UNIQUE CHECK (b > 0))"); err != nil {
			t.Fatal(err)
		}
		if err := exec("INSERT INTO x VALUES (1, 1)"); err != nil {
			t.Fatal(err)
		}
		for query, want := range map[string]error{
			"INSERT INTO x VALUES (1, 2)":    ErrConflict,
			"INSERT INTO x VALUES (2, 1)":    ErrConflict,
			"INSERT INTO x VALUES (3, 0)":    nil,
			"INSERT INTO x VALUES (3, NULL)": nil,
			"INSERT INTO y VALUES (1)":       nil,
		} {
			err := exec(query)
			if err == nil || errors.Is(err, ErrConflict) != errors.Is(want, ErrConflict) || errors.Is(err, ErrUnavailable) {
				t.Errorf("%s: %s: %v, want kind %v", name, query, err, want)
			}
		}
		if _, err := s.read.ExecContext(t.Context(), "INSERT INTO x VALUES (5, 5)"); name == "sqlite" && !errors.Is(classify(err), ErrUnavailable) {
			t.Errorf("a write on a reader: %v", err)
		}
	}
}

// SQLite has no lock to give after many tries: that passes.
func TestSQLiteLockIsNotHad(t *testing.T) {
	t.Parallel()
	if kind := kindOfSQLite(lib.SQLITE_PROTOCOL); !errors.Is(kind, ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", kind)
	}
}

// Whatever a server says to somebody who connects, it may be well again later: PostgreSQL
// on a full disk refuses connections with a code for internal errors.
func TestRefusedConnection(t *testing.T) {
	t.Parallel()
	address, err := url.Parse(pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	address.Path = "/nowhere" // refused with 3D000, of no class that is unavailable
	_, err = Open(t.Context(), Options{PostgresURL: address.String()})
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "3D000" {
		t.Fatalf("got %v", err)
	}
	if !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v is not %q", err, ErrUnavailable)
	}
}
