package repository

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// Every commit of a database that is not ephemeral reaches the disk before it is
// answered; nothing but these settings makes SQLite do so. They belong to a
// connection, so each connection of each pool is asked.
func TestSQLiteSettings(t *testing.T) {
	t.Parallel()
	const full, off = "2", "0"
	for name, o := range map[string]Options{
		"durable":   {},
		"ephemeral": {Ephemeral: true},
		"few":       {ReadConns: 1, WriteConns: 9},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.SQLitePath = filepath.Join(t.TempDir(), "kort.db")
			s, err := Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			synchronous := full
			if o.Ephemeral {
				synchronous = off
			}
			common := map[string]string{"synchronous": synchronous, "journal_mode": "wal", "busy_timeout": "5000"}
			if writers := s.write.Stats().MaxOpenConnections; writers != 1 {
				t.Errorf("%d writers", writers)
			}
			checkPragmas(t, s.write.DB, common, map[string]string{"query_only": "0"})
			checkPragmas(t, s.read.DB, common, map[string]string{"query_only": "1"})
			checkPragmas(t, s.checkpoints.pool.DB, common)
		})
	}
}

// A server on SQLite that has no file descriptors left goes on reading: it has opened all
// of its connections before. Here no more can be opened, as the file is not where it was.
func TestConnect(t *testing.T) {
	t.Parallel()
	before := filepath.Join(t.TempDir(), "before")
	if err := os.Mkdir(before, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Options{SQLitePath: filepath.Join(before, "kort.db"), ReadConns: 5})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(before, before+"-moved"); err != nil {
		t.Fatal(err)
	}
	for name, pool := range map[string]*sql.DB{"read": s.read.DB, "write": s.write.DB, "checkpoints": s.checkpoints.pool.DB} {
		for i := range pool.Stats().MaxOpenConnections {
			conn, err := pool.Conn(t.Context())
			if err != nil {
				t.Fatalf("%s %d: %v", name, i, err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			var tables int
			if err := conn.QueryRowContext(t.Context(), "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
				t.Errorf("%s %d: %v", name, i, err)
			}
		}
	}
	late, err := openPool(filepath.Join(before, "kort.db"), nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = late.Close() }()
	if err := classify(late.PingContext(t.Context())); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a connection that is opened late: %v", err)
	}
}

func checkPragmas(t *testing.T, pool *sql.DB, all ...map[string]string) {
	t.Helper()
	for range pool.Stats().MaxOpenConnections {
		conn, err := pool.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() }) // kept until the end, so that each turn gets another one
		for _, wanted := range all {
			for pragma, want := range wanted {
				var got string
				if err := conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
					t.Errorf("%s is %q, want %q, %v", pragma, got, want, err)
				}
			}
		}
	}
}

// A panic while rows are read leaves no lock behind: SQLite keeps a closed connection
// alive, its transaction included, as long as it has statements.
func TestSQLitePanicInARound(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, err := Open(ctx, Options{SQLitePath: filepath.Join(t.TempDir(), "kort.db"), Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := s.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	const account = "T10000000"
	card := ledger.Card{CardID: "card", Type: ledger.GiftCard, CreatedBy: "clerk"}
	save := func() error {
		card.ID, card.CardID = uuid.New(), card.CardID+"+"
		return s.Write(ctx, func(tx *Tx) error { return tx.Save(ctx, account, ledger.Changes{NewCards: []ledger.Card{card}}) })
	}
	if err := save(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		func() {
			defer func() { _ = recover() }()
			_ = s.Write(ctx, func(tx *Tx) error {
				r := &round{tx: tx, account: account}
				read(r, &s.texts.lockNamed, func(*cardRow) error { panic("on purpose") }, textTable(cardIDColumns, []string{card.CardID}))
				return r.run(ctx)
			})
			t.Error("there was no panic")
		}()
		start := time.Now()
		if err := save(); err != nil || time.Since(start) > busyTimeout/2 {
			t.Fatalf("the next write took %s: %v", time.Since(start), err)
		}
	}
}

// Whoever gives up while a transaction begins leaves no lock behind either.
func TestSQLiteBeginCancelled(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Options{SQLitePath: filepath.Join(t.TempDir(), "kort.db"), Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for n := range 300 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*time.Microsecond)
		_ = s.Write(ctx, func(*Tx) error { return nil })
		cancel()
	}
	start := time.Now()
	if err := s.Write(t.Context(), func(*Tx) error { return nil }); err != nil || time.Since(start) > busyTimeout/2 {
		t.Fatalf("the next write took %s: %v", time.Since(start), err)
	}
}
