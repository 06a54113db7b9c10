package bench

import (
	"os"
	"path/filepath"
	"testing"
)

// All files of a database are read, or none where a PostgreSQL keeps them to itself.
func TestFilesOfADatabaseAreRead(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, o Options) {
		withTables(t, o, func(db *database) { assertFilesAreRead(t, db) })
	})
}

func assertFilesAreRead(t *testing.T, db *database) {
	t.Helper()
	dir := db.dir
	if db.engine == Postgres {
		var err error
		if dir, err = db.postgresFiles(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := db.checkpoint(t.Context()); err != nil { // so that files do not grow meanwhile
			t.Fatal(err)
		}
	}
	var want int64
	if dir != "" { // else its user may not know where they are
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().IsRegular() {
				want += info.Size()
			}
		}
	}
	// PostgreSQL may be looking after a table meanwhile.
	if read, err := db.readFiles(t.Context()); read < want*9/10 || err != nil || (read == 0 && db.engine == SQLite) {
		t.Errorf("%d bytes were read of %d in %s, %v", read, want, dir, err)
	}
}
