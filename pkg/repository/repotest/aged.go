package repotest

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"github.com/uptrace/bun/migrate"
	"github.com/uptrace/bun/schema"

	"github.com/kortwallet/kort/db"
)

// firstTables are the tables of the first step of the schema.
var firstTables = []string{"cards", "transactions", "holds", "tokens", "data_keys"}

// Aged makes an empty database what the first release would have made it, with the
// rows of a database of today: the first step of the schema is taken, and noted, and
// no other.
func Aged(t testing.TB, empty, today Database) {
	t.Helper()
	to, from := empty.Raw(t), today.Raw(t)
	to.takeFirstStep(t)
	for _, table := range firstTables {
		columns := to.Columns(t, table)
		names := strings.Join(columns, ", ")
		for _, row := range from.Rows(t, "SELECT "+names+" FROM "+table) {
			values := make([]string, len(row))
			for i, value := range row {
				if values[i] = "'" + strings.ReplaceAll(value, "'", "''") + "'"; value == "<null>" {
					values[i] = "NULL"
				}
			}
			to.MustExec(t, "INSERT INTO "+table+" ("+names+") VALUES ("+strings.Join(values, ", ")+")")
		}
	}
}

// takeFirstStep migrates with Bun, which is shown one file only.
func (r *Raw) takeFirstStep(t testing.TB) {
	t.Helper()
	ctx, all := context.Background(), migrate.NewMigrations()
	if err := all.Discover(oldest(t, r.files())); err != nil {
		t.Fatalf("discover the first migration: %v", err)
	}
	migrator := migrate.NewMigrator(bun.NewDB(r.db, r.dialect()), all)
	if err := migrator.Init(ctx); err != nil {
		t.Fatalf("prepare the first migration: %v", err)
	}
	group, err := migrator.Migrate(ctx)
	if err != nil || len(group.Migrations) != 1 {
		t.Fatalf("take the first step: %v, %v", group, err)
	}
}

func (r *Raw) files() fs.FS {
	if r.postgres {
		return db.Postgres
	}
	return db.SQLite
}

func (r *Raw) dialect() schema.Dialect {
	if r.postgres {
		return pgdialect.New()
	}
	return sqlitedialect.New()
}

// oldest is a file system with nothing in it but the first migration.
func oldest(t testing.TB, files fs.FS) fs.FS {
	t.Helper()
	names, err := fs.Glob(files, "*/*.up.sql")
	if err != nil || len(names) < 2 {
		t.Fatalf("there are the migrations %v, %v", names, err)
	}
	first := slices.Min(names)
	content, err := fs.ReadFile(files, first)
	if err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{first: &fstest.MapFile{Data: content}}
}

// Columns names the columns of a table that can be written.
func (r *Raw) Columns(t testing.TB, table string) []string {
	t.Helper()
	query := "SELECT name FROM pragma_table_info(?)" // which leaves out the generated ones
	if r.postgres {
		query = "SELECT column_name FROM information_schema.columns WHERE table_name = ? AND is_generated = 'NEVER'"
	}
	var names []string
	for _, row := range r.Rows(t, query, table) {
		names = append(names, row[0])
	}
	if len(names) == 0 {
		t.Fatalf("no table %s", table)
	}
	return names
}
