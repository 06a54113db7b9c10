package repotest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// ballast makes a database take several steps to copy.
const ballast = "CREATE TABLE ballast AS SELECT randomblob(12 << 20) AS bytes"

// A backup is the database of one moment, the one when it began, although a server
// writes before it ends.
func TestBackupIsOfOneMoment(t *testing.T) {
	t.Parallel()
	d := repotest.Migrated(t, repotest.SQLite(t))
	newResident(t, d.Store, repotest.Account)
	d.Raw(t).MustExec(t, ballast)
	before := d.Raw(t).Snapshot(t)

	copied := copyOf(t)
	steps := 0
	err := d.Backup(t.Context(), copied.SQLitePath, func(done, total int64) {
		if steps++; steps > 100 {
			t.Fatal("it begins anew with each write, and does not come to an end")
		}
		if steps == 1 && done >= total {
			t.Errorf("all %d pages were copied at once", total)
		}
		repotest.Post(t, d.Store, repotest.Account, repotest.Now, create(t, fmt.Sprint("meanwhile", steps), 10))
	})
	if err != nil || steps < 2 {
		t.Fatalf("backup in %d steps: %v", steps, err)
	}
	if _, err := d.Card(t.Context(), repotest.Account, "meanwhile1"); err != nil {
		t.Errorf("a card made meanwhile: %v", err)
	}
	copied.ReadOnly = true
	s := repotest.Open(t, copied)
	if err := s.CheckFile(t.Context()); err != nil {
		t.Error(err)
	}
	if n, err := s.Pending(t.Context()); err != nil || n != 0 {
		t.Errorf("%d steps of the schema are pending, %v", n, err)
	}
	after := repotest.Database{Store: s, Options: copied}.Raw(t).Snapshot(t)
	if !reflect.DeepEqual(before, after) {
		t.Error("the rows of the copy are not those of the moment when it began")
	}
	if files := filesIn(t, copied.SQLitePath); len(files) != 1 {
		t.Errorf("beside the copy there is something: %v", files)
	}
}

func TestBackupEndsWithItsContext(t *testing.T) {
	t.Parallel()
	d := repotest.Migrated(t, repotest.SQLite(t))
	d.Raw(t).MustExec(t, ballast)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	steps := 0
	err := d.Backup(ctx, copyOf(t).SQLitePath, func(int64, int64) {
		steps++
		cancel()
	})
	if !errors.Is(err, context.Canceled) || steps != 1 {
		t.Errorf("after %d steps: %v, want one, and that it was cancelled", steps, err)
	}
	newResident(t, d.Store, repotest.Account) // nothing is left locked
}

func TestBackupSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	d := repotest.Migrated(t, repotest.SQLite(t))
	for path, want := range map[string]string{
		filepath.Join(t.TempDir(), "none", "copy.db"): "unable to open",
		t.TempDir():                   "unable to open",
		noDatabase(t, "not empty..."): "not a database",
	} {
		if err := d.Backup(t.Context(), path, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("backup into %s: %v, want %q", path, err, want)
		}
	}
	pg := repotest.Migrated(t, repotest.Postgres(t))
	if err := errors.Join(pg.Backup(t.Context(), copyOf(t).SQLitePath, nil), pg.CheckFile(t.Context())); err == nil ||
		strings.Count(err.Error(), "PostgreSQL") != 2 {
		t.Errorf("on PostgreSQL: %v", err)
	}
}

// Bytes that change on the disk are found.
func TestCheckFileFindsDamage(t *testing.T) {
	t.Parallel()
	d := repotest.Migrated(t, repotest.SQLite(t))
	newResident(t, d.Store, repotest.Account)
	copied := copyOf(t)
	if err := d.Backup(t.Context(), copied.SQLitePath, nil); err != nil {
		t.Fatal(err)
	}
	raw := repotest.Database{Store: d.Store, Options: copied}.Raw(t)
	const pageBytes = 4096
	page := raw.Number(t, "SELECT rootpage FROM sqlite_master WHERE name = 'cards'")
	file, err := os.OpenFile(copied.SQLitePath, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteAt(make([]byte, 200), page*pageBytes-200)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	if err := repotest.Open(t, copied).CheckFile(t.Context()); !errors.Is(err, repository.ErrDamaged) {
		t.Errorf("got %v, want that it is damaged", err)
	}
}

// A database that a newer program has changed is known as such.
func TestUnknownSteps(t *testing.T) {
	t.Parallel()
	eachEmpty(t, func(t *testing.T, d repotest.Database) {
		if steps, err := d.Unknown(t.Context()); err != nil || len(steps) != 0 {
			t.Errorf("an empty database has steps %v, %v", steps, err)
		}
		if _, err := d.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if steps, err := d.Unknown(t.Context()); err != nil || len(steps) != 0 {
			t.Errorf("a new database has unknown steps %v, %v", steps, err)
		}
		d.Raw(t).MustExec(t, "INSERT INTO bun_migrations (name, group_id) VALUES ('20991231000000', 9)")
		if steps, err := d.Unknown(t.Context()); err != nil || !reflect.DeepEqual(steps, []string{"20991231000000"}) {
			t.Errorf("unknown are %v, %v, want that of 2099", steps, err)
		}
	})
}

// copyOf makes an empty file to copy a database into.
func copyOf(t *testing.T) repository.Options {
	t.Helper()
	return repository.Options{SQLitePath: noDatabase(t, "")}
}

func noDatabase(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// filesIn lists what is in the directory of a file.
func filesIn(t *testing.T, path string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}
