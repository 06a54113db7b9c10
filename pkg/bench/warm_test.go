package bench

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kortwallet/kort/pkg/repository"
)

// All files of a database are read, or none where a PostgreSQL keeps them to itself.
func TestFilesOfADatabaseAreRead(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, o Options) {
		ctx := t.Context()
		b := benchmark{Options: o, engine: o.Engines[0]}
		db, err := b.createDatabase(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := db.remove(ctx); err != nil {
				t.Error(err)
			}
		}()
		store, err := repository.Open(ctx, repository.Options{PostgresURL: db.url, SQLitePath: db.sqliteFile()})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		if _, err := store.Migrate(ctx); err != nil {
			t.Fatal(err)
		}
		dir := db.dir
		if db.engine == Postgres {
			if dir, err = db.postgresFiles(ctx); err != nil {
				t.Fatal(err)
			}
			if err := db.checkpoint(ctx); err != nil { // so that files do not grow meanwhile
				t.Fatal(err)
			}
		}
		var want int64
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
		// PostgreSQL may be looking after a table meanwhile.
		if read, err := db.readFiles(ctx); read < want*9/10 || err != nil || (read == 0 && db.engine == SQLite) {
			t.Errorf("%d bytes were read of %d in %s, %v", read, want, dir, err)
		}
	})
}
