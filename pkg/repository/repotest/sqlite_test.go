package repotest_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// A file name is a name, whatever it means to a URL, to SQLite or to a shell.
func TestSQLiteFileNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"kort.db", "with space.db", "100%.db", "%41.db", "a?b.db", "?mode=memory", "a#b.db", "a&b=c.db", "a+b.db",
		"quote'\".db", `back\slash.db`, "semi;colon.db", "a:b.db", ":memory:", "file:x.db", "Ærø 🎁.db", "~.db", "$HOME.db",
		"-journal", "new\nline.db", "\xff\xfe.db", strings.Repeat("x", 200),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, name)
			d := repotest.Migrated(t, repository.Options{SQLitePath: path, Ephemeral: true})
			newResident(t, d.Store, repotest.Account)
			if info, err := os.Stat(path); err != nil || info.Size() == 0 {
				t.Errorf("the database is not in its file: %v", err)
			}
			again := repotest.Open(t, repository.Options{SQLitePath: path})
			if _, err := again.Card(t.Context(), repotest.Account, "card"); err != nil {
				t.Errorf("read it again: %v", err)
			}
			for _, entry := range entries(t, dir) {
				if !strings.HasPrefix(entry, name) {
					t.Errorf("there is a file %q besides", entry)
				}
			}
		})
	}
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range found {
		names = append(names, entry.Name())
	}
	return names
}

func TestSQLiteRelativeNames(t *testing.T) { // not parallel: it changes the directory
	dir := t.TempDir()
	t.Chdir(dir)
	for _, path := range []string{"kort.db", "./kort2.db", "sub/kort.db", ":memory:", "//" + dir + "/double.db", "sub/../kort3.db"} {
		if err := os.MkdirAll("sub", 0o755); err != nil {
			t.Fatal(err)
		}
		repotest.Migrated(t, repository.Options{SQLitePath: path, Ephemeral: true})
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s: the database is not in its file: %v", path, err)
		}
	}
}

func TestSQLiteCannotOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("this is no database", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]repository.Options{
		"no name":                   {},
		"no such directory":         {SQLitePath: filepath.Join(dir, "missing", "kort.db")},
		"a directory":               {SQLitePath: dir},
		"not a database":            {SQLitePath: garbage},
		"read-only, but not there":  {SQLitePath: filepath.Join(dir, "missing.db"), ReadOnly: true},
		"a URL that is none":        {PostgresURL: "postgres://user:secret@host:port/x"},
		"a server that nobody runs": {PostgresURL: "postgres://user:secret@127.0.0.1:1/x?connect_timeout=1"},
	} {
		s, err := repository.Open(t.Context(), o)
		if err == nil {
			t.Errorf("%s: opened", name)
			_ = s.Close()
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows the password: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "missing.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading made a file: %v", err)
	}
}

func TestSQLiteReadOnly(t *testing.T) {
	t.Parallel()
	o := repotest.SQLite(t)
	d := repotest.Migrated(t, o)
	newResident(t, d.Store, repotest.Account)
	o.ReadOnly = true
	reader := repotest.Open(t, o)
	ctx := t.Context()
	if _, err := reader.Card(ctx, repotest.Account, "card"); err != nil {
		t.Errorf("read: %v", err)
	}
	if n, err := reader.Pending(ctx); err != nil || n != 0 {
		t.Errorf("status: %d pending, %v", n, err)
	}
	err := repotest.TrySave(reader, repotest.OtherAccount, newTaken(t).changes())
	if !errors.Is(err, repository.ErrUnavailable) {
		t.Errorf("write: %v, want ErrUnavailable", err)
	}
	// It sees what others write meanwhile.
	repotest.Save(t, d.Store, repotest.OtherAccount, newTaken(t).changes())
	if _, err := reader.Card(ctx, repotest.OtherAccount, "taken"); err != nil {
		t.Errorf("read what was written since: %v", err)
	}
}

// After the last server has closed the file, its write-ahead log is gone; a reader
// that may not write has to find its way without.
func TestSQLiteReadOnlyAtRest(t *testing.T) {
	t.Parallel()
	o := repotest.SQLite(t)
	s, err := repository.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	newResident(t, s, repotest.Account)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	o.ReadOnly = true
	if _, err := repotest.Open(t, o).Card(t.Context(), repotest.Account, "card"); err != nil {
		t.Errorf("read: %v", err)
	}
}

// Readers are never in the way of the writer, nor it in theirs.
func TestSQLiteReadsWhileWriting(t *testing.T) {
	t.Parallel()
	d := repotest.Migrated(t, repotest.SQLite(t))
	newResident(t, d.Store, repotest.Account)
	ctx := t.Context()
	err := d.Write(ctx, func(tx *repository.Tx) error {
		if err := tx.Save(ctx, repotest.OtherAccount, newTaken(t).changes()); err != nil {
			return err
		}
		quick, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err := d.Card(quick, repotest.Account, "card"); err != nil {
			t.Errorf("read beside an open write: %v", err)
		}
		if _, err := d.Card(quick, repotest.OtherAccount, "taken"); !errors.Is(err, repository.ErrNotFound) {
			t.Errorf("a read shows what is not committed: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Card(ctx, repotest.OtherAccount, "taken"); err != nil {
		t.Errorf("read after the commit: %v", err)
	}
}

// Another process that writes is waited for, and after a while the database counts
// as unavailable, which is worth another try.
func TestSQLiteSecondWriter(t *testing.T) {
	t.Parallel()
	d := repotest.Migrated(t, repotest.SQLite(t))
	raw := d.Raw(t)

	raw.MustExec(t, "BEGIN IMMEDIATE")
	done := make(chan error, 1)
	go func() { done <- repotest.TrySave(d.Store, repotest.Account, newTaken(t).changes()) }()
	time.Sleep(100 * time.Millisecond)
	raw.MustExec(t, "COMMIT")
	if err := <-done; err != nil {
		t.Errorf("after a short wait: %v", err)
	}
	if testing.Short() {
		return
	}
	raw.MustExec(t, "BEGIN IMMEDIATE")
	defer raw.MustExec(t, "ROLLBACK")
	if err := repotest.TrySave(d.Store, repotest.Account, newTaken(t).changes()); !errors.Is(err, repository.ErrUnavailable) {
		t.Errorf("after a long wait: %v, want ErrUnavailable", err)
	}
}

// A write has the lock from its beginning. With a lock only at its first write, what
// it read before could have changed meanwhile, and it would fail half-way.
func TestSQLiteWritesLockFirst(t *testing.T) {
	t.Parallel()
	d := repotest.Migrated(t, repotest.SQLite(t))
	raw := d.Raw(t)
	raw.MustExec(t, "PRAGMA busy_timeout = 0")
	err := d.Write(t.Context(), func(*repository.Tx) error {
		if err := raw.Exec("BEGIN IMMEDIATE"); err == nil {
			t.Error("somebody else could begin to write")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	raw.MustExec(t, "BEGIN IMMEDIATE")
	raw.MustExec(t, "ROLLBACK")
}
