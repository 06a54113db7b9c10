package db_test

import (
	"embed"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kortwallet/kort/db"
)

// migrations reads the files of a dialect by name.
func migrations(t *testing.T, files embed.FS) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, name)
		texts[path.Base(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(texts) == 0 {
		t.Fatal("there are no migrations")
	}
	return texts
}

func dialects(t *testing.T) map[string]map[string]string {
	t.Helper()
	return map[string]map[string]string{"postgres": migrations(t, db.Postgres), "sqlite": migrations(t, db.SQLite)}
}

// A step that is not one transaction could stop half-way. The time at the start of
// its name is what orders the steps.
func TestFileNames(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`^20\d{12}_[a-z0-9_]+\.tx\.up\.sql$`)
	for dialect, files := range dialects(t) {
		stamps := map[string]bool{}
		for file := range files {
			stamp, _, _ := strings.Cut(file, "_")
			if !name.MatchString(file) || stamps[stamp] {
				t.Errorf("%s/%s must be named like 20261123000000_cards.tx.up.sql, with a time of its own", dialect, file)
			}
			stamps[stamp] = true
		}
	}
}

// engineOnly is what PostgreSQL's files say and SQLite's cannot.
var engineOnly = strings.NewReplacer(` COLLATE "C"`, "", "UUID", "TEXT")

// ownWords lists the files in which each engine has to say the same in words of its
// own, with the reason. What comes out is compared in pkg/repository/repotest.
var ownWords = map[string]string{
	"20261124000000_lists.tx.up.sql":  "SQLite adds one column at a time, and the search index is each engine's own",
	"20261130200000_expiry.tx.up.sql": "PostgreSQL has time limits to lift for a large index",
}

// The two dialects differ in types and collation, and in nothing else: the same
// files, the same statements, the same constraints.
func TestDialectsSayTheSame(t *testing.T) {
	t.Parallel()
	all := dialects(t)
	for file, text := range all["postgres"] {
		other, found := all["sqlite"][file]
		if !found {
			t.Errorf("SQLite has no %s", file)
			continue
		}
		if ownWords[file] != "" {
			continue
		}
		ours, theirs := words(engineOnly.Replace(text)), words(other)
		for i := range min(len(ours), len(theirs)) {
			if ours[i] != theirs[i] {
				t.Errorf("%s: PostgreSQL says %q where SQLite says %q", file,
					strings.Join(ours[max(0, i-8):min(i+4, len(ours))], " "), strings.Join(theirs[max(0, i-8):min(i+4, len(theirs))], " "))
				break
			}
		}
		if len(ours) != len(theirs) {
			t.Errorf("%s: %d words for PostgreSQL, %d for SQLite", file, len(ours), len(theirs))
		}
	}
	if len(all["postgres"]) != len(all["sqlite"]) {
		t.Errorf("%d files for PostgreSQL, %d for SQLite", len(all["postgres"]), len(all["sqlite"]))
	}
}

func words(text string) []string {
	return strings.Fields(regexp.MustCompile(`([(),])`).ReplaceAllString(text, " $1 "))
}

// An older server goes on while a newer one migrates, so nothing is taken away; and
// a step that ran but was not noted as done runs again without harm.
func TestMigrationsOnlyAdd(t *testing.T) {
	t.Parallel()
	for dialect, files := range dialects(t) {
		for file, text := range files {
			sql := regexp.MustCompile(`(?m)--.*$`).ReplaceAllString(text, "")
			for _, word := range []string{"DROP", "RENAME", "TRUNCATE", "DELETE", "CASCADE", "SET NOT NULL"} {
				if regexp.MustCompile(`(?i)\b` + word + `\b`).MatchString(sql) {
					t.Errorf("%s/%s takes something away: %s", dialect, file, word)
				}
			}
			for _, word := range []string{"now()", "CURRENT_TIMESTAMP", "gen_random_uuid", "random()", "SERIAL", "AUTOINCREMENT", "IDENTITY"} {
				if strings.Contains(strings.ToUpper(sql), strings.ToUpper(word)) {
					t.Errorf("%s/%s lets the database make up a value: %s", dialect, file, word)
				}
			}
			for _, statement := range regexp.MustCompile(`(?i)CREATE (?:UNIQUE )?(?:TABLE|INDEX)[^(]*`).FindAllString(sql, -1) {
				if !strings.Contains(statement, "IF NOT EXISTS") {
					t.Errorf("%s/%s: %q cannot run twice", dialect, file, strings.TrimSpace(statement))
				}
			}
		}
	}
}

// Bytes decide the order and the equality of texts, not the locale of a server;
// numbers are whole and of 64 bits.
func TestColumnTypes(t *testing.T) {
	t.Parallel()
	column := regexp.MustCompile(`(?m)^    ([a-z_]+) +([A-Z]+)( COLLATE "C")?`)
	allowed := map[string][]string{
		"postgres": {"TEXT", "UUID", "BIGINT", "BOOLEAN"},
		"sqlite":   {"TEXT", "BIGINT", "BOOLEAN"},
	}
	for dialect, files := range dialects(t) {
		for file, text := range files {
			found := column.FindAllStringSubmatch(text, -1)
			for _, c := range found {
				if !slices.Contains(allowed[dialect], c[2]) {
					t.Errorf("%s/%s: %s is of type %s", dialect, file, c[1], c[2])
				}
				if collated := c[3] != ""; collated != (dialect == "postgres" && c[2] == "TEXT") {
					t.Errorf("%s/%s: %s has the collation of bytes: %t", dialect, file, c[1], collated)
				}
			}
			if strings.Contains(text, "CREATE TABLE") && len(found) == 0 {
				t.Errorf("%s/%s: no column was found", dialect, file)
			}
		}
	}
}
