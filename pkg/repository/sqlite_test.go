package repository

import (
	"database/sql"
	"path/filepath"
	"testing"
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
		})
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
