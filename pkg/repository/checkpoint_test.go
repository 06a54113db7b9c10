package repository

import (
	"path/filepath"
	"testing"
)

// A long log goes into the database file beside the writer; what the writer has added
// in the meantime, it moves itself, and so begins the log anew. Without its part the
// log would grow as long as there is something to write.
func TestCheckpointBesideTheWriter(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Options{SQLitePath: filepath.Join(t.TempDir(), "kort.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	during := func() {}
	write := func(pages int) {
		t.Helper()
		err := s.Write(t.Context(), func(tx *Tx) error {
			during()
			_, err := tx.conn.ExecContext(t.Context(), "INSERT INTO filler VALUES (zeroblob(?))", pages*4096)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	length := func() int64 {
		t.Helper()
		pages, err := walPages(t.Context(), s.checkpoints.pool, "NOOP")
		if err != nil {
			t.Fatal(err)
		}
		return pages
	}
	if _, err := s.write.ExecContext(t.Context(), "CREATE TABLE filler (content)"); err != nil {
		t.Fatal(err)
	}

	write(checkpointFrom / 2)
	s.checkpoints.checkpoint(t.Context())
	if s.checkpoints.rest.Load() {
		t.Error("a short log is moved")
	}
	write(checkpointFrom / 2)
	long := length()
	during = func() { s.checkpoints.checkpoint(t.Context()) }
	write(1)
	if now := length(); now <= long {
		t.Fatalf("the log has %d pages, after %d and a commit beside a checkpoint", now, long)
	}
	during = func() {}
	write(1)
	if now := length(); now > long/2 {
		t.Errorf("the log has %d pages of %d after a checkpoint and a commit", now, long)
	}
	if s.checkpoints.rest.Load() {
		t.Error("the writer has not taken note")
	}

	// Nobody has to ask for it. The writer would be the one to do it all, had the log
	// reached checkpointAtLatest.
	write(checkpointFrom)
	for before, now := int64(0), length(); now >= before; before, now = now, length() {
		if now >= checkpointAtLatest {
			t.Fatalf("the log has %d pages", now)
		}
		write(4)
	}
}
