package repotest_test

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// eachEmpty runs a test on an empty database of each engine.
func eachEmpty(t *testing.T, test func(t *testing.T, d repotest.Database)) {
	t.Helper()
	for name, options := range repotest.Engines() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			test(t, repotest.Database{Store: repotest.Open(t, o), Options: o})
		})
	}
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	eachEmpty(t, func(t *testing.T, d repotest.Database) {
		ctx := t.Context()
		before, err := d.Migrations(ctx)
		if err != nil || len(before) == 0 || slices.ContainsFunc(before, func(m repository.Migration) bool { return m.Applied }) {
			t.Fatalf("status of an empty database: %+v, %v", before, err)
		}
		if n, err := d.Pending(ctx); err != nil || n != len(before) {
			t.Errorf("%d steps are pending, %v, want %d", n, err, len(before))
		}
		if n := len(tables(t, d)); n != 0 {
			t.Errorf("asking for the status made %d tables", n)
		}
		done, err := d.Migrate(ctx)
		if err != nil || len(done) != len(before) || done[0] != before[0].Name {
			t.Fatalf("the first time: %v, %v, want %+v", done, err, before)
		}
		after, err := d.Migrations(ctx)
		if err != nil || slices.ContainsFunc(after, func(m repository.Migration) bool { return !m.Applied }) {
			t.Errorf("status after it: %+v, %v", after, err)
		}
		newResident(t, d.Store, repotest.Account)
		if done, err := d.Migrate(ctx); err != nil || len(done) != 0 {
			t.Errorf("the second time: %v, %v", done, err)
		}
		if n, err := d.Pending(ctx); err != nil || n != 0 {
			t.Errorf("%d steps are pending, %v", n, err)
		}
		if _, err := d.Card(ctx, repotest.Account, "card"); err != nil {
			t.Errorf("a card after migrating again: %v", err)
		}
	})
}

func tables(t *testing.T, d repotest.Database) []string {
	t.Helper()
	query := "SELECT name FROM sqlite_master WHERE type = 'table'"
	if d.Postgres() {
		query = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
	}
	var names []string
	for _, row := range d.Raw(t).Rows(t, query) {
		names = append(names, row[0])
	}
	return names
}

// A crash between the commit of a step and the mark that it was taken leaves the step
// to be taken again.
func TestMigrateAfterACrash(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		newResident(t, d.Store, repotest.Account)
		raw := d.Raw(t)
		for _, step := range raw.Rows(t, "SELECT name FROM bun_migrations ORDER BY name") {
			before := raw.Snapshot(t)
			raw.MustExec(t, "DELETE FROM bun_migrations WHERE name = ?", step[0])
			taken, err := d.Migrate(t.Context())
			if err != nil || len(taken) != 1 || !strings.HasPrefix(taken[0], step[0]) {
				t.Errorf("%s again: took %v, %v", step[0], taken, err)
			}
			if n, err := d.Pending(t.Context()); err != nil || n != 0 {
				t.Errorf("%s again: %d steps are pending, %v", step[0], n, err)
			}
			if !reflect.DeepEqual(raw.Snapshot(t), before) {
				t.Errorf("%s again: the rows are not what they were", step[0])
			}
		}
	})
}

// Several servers may start at once on an empty database.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	eachEmpty(t, func(t *testing.T, d repotest.Database) {
		const servers = 4
		stores, errs, took := make([]*repository.Store, servers), make([]error, servers), make([]int, servers)
		for i := range stores {
			stores[i] = repotest.Open(t, d.Options)
		}
		start := make(chan struct{})
		var running sync.WaitGroup
		for i := range servers {
			running.Go(func() {
				<-start
				names, err := stores[i].Migrate(t.Context())
				took[i], errs[i] = len(names), err
			})
		}
		close(start)
		running.Wait()
		all, err := d.Migrations(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		steps := 0
		for i := range servers {
			if errs[i] != nil {
				t.Errorf("server %d: %v", i, errs[i])
			}
			steps += took[i]
		}
		if steps != len(all) {
			t.Errorf("%d steps were taken for %d migrations", steps, len(all))
		}
		if n := d.Raw(t).Number(t, "SELECT count(*) FROM bun_migrations"); int(n) != len(all) {
			t.Errorf("%d steps are noted for %d migrations", n, len(all))
		}
		newResident(t, d.Store, repotest.Account)
	})
}

// A server goes on while a newer one adds to the schema: the statements that its
// connections have prepared must not depend on the columns that there are.
func TestServersOutliveANewerSchema(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		round := func(n int) {
			t.Helper()
			cardID, ref := fmt.Sprint("card", n), fmt.Sprint("ref", n)
			op := create(t, cardID, 10)
			_, errs := repotest.Post(t, d.Store, repotest.Account, repotest.Now, op, fund(t, cardID, ref, 5), fund(t, "card0", "again "+ref, 1))
			for _, err := range errs {
				if err != nil {
					t.Fatalf("round %d: %v", n, err)
				}
			}
			if _, err := d.Card(t.Context(), repotest.Account, cardID); err != nil {
				t.Fatalf("round %d: %v", n, err)
			}
			if _, err := d.Transactions(t.Context(), repotest.Account, op.Cards[0].Card.ID, 0, 10); err != nil {
				t.Fatalf("round %d: %v", n, err)
			}
		}
		round(0)
		round(1)
		raw := d.Raw(t)
		for _, table := range repotest.AccountTables {
			raw.MustExec(t, fmt.Sprintf("ALTER TABLE %s ADD COLUMN added_later TEXT", table))
		}
		round(2)
		round(3)
	})
}

// shape describes a schema in the terms that both engines have.
type shape struct {
	Columns map[string][]string // table → "name, type, null or not", in their order
	Keys    map[string]string   // table → columns of the primary key
	Uniques map[string]string   // index → table, columns and condition
	Indexes map[string]string   // index → table, columns, an expression among them, and condition, of the others
}

func TestSchemasAreTheSame(t *testing.T) {
	t.Parallel()
	lite := sqliteShape(t, repotest.Migrated(t, repotest.SQLite(t)))
	pg := postgresShape(t, repotest.Migrated(t, repotest.Postgres(t)))
	if !reflect.DeepEqual(lite, pg) {
		t.Errorf("SQLite has\n%+v\nPostgreSQL has\n%+v", lite, pg)
	}
	for _, table := range append([]string{"data_keys", "current_data_keys", "api_clients", "client_grants"}, repotest.AccountTables...) {
		if len(lite.Columns[table]) == 0 || lite.Keys[table] == "" {
			t.Errorf("there is no table %s, or it has no primary key", table)
		}
	}
	if len(lite.Uniques) < 5 {
		t.Errorf("only %d unique indexes were found", len(lite.Uniques))
	}
}

// withoutAccount lists the keys that do not begin with the account, with the reason.
var withoutAccount = map[string]string{
	"data_keys":         "one data key serves all accounts of an installation",
	"current_data_keys": "one data key serves all accounts of an installation",
}

// Keys that begin with the account keep tenants apart, and let the tables be
// distributed by account as they are.
func TestKeysBeginWithTheAccount(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func(*testing.T, repotest.Database) shape{"sqlite": sqliteShape, "postgres": postgresShape} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := read(t, repotest.Migrated(t, repotest.Engines()[name](t)))
			for table, key := range s.Keys {
				if !strings.HasPrefix(key, "account_id,") && withoutAccount[table] == "" {
					t.Errorf("the primary key of %s is (%s)", table, key)
				}
			}
			for index, what := range s.Uniques {
				table, columns, _ := strings.Cut(what, " ")
				if !strings.HasPrefix(columns, "(account_id,") && withoutAccount[table] == "" {
					t.Errorf("the unique index %s is on %s", index, what)
				}
			}
			for index, what := range s.Indexes {
				if _, columns, _ := strings.Cut(what, " "); !strings.HasPrefix(columns, "(account_id,") {
					t.Errorf("the index %s is on %s", index, what)
				}
			}
		})
	}
}

func sqliteShape(t *testing.T, d repotest.Database) shape {
	t.Helper()
	raw := d.Raw(t)
	s := shape{map[string][]string{}, map[string]string{}, map[string]string{}, map[string]string{}}
	for _, table := range ownTables(t, d) {
		keys := map[string]string{}
		for _, c := range raw.Rows(t, `SELECT name, type, "notnull", pk FROM pragma_table_xinfo(?) ORDER BY cid`, table) {
			s.Columns[table] = append(s.Columns[table], fmt.Sprintf("%s %s not null: %t", c[0], c[1], c[2] == "1"))
			keys[c[3]] = c[0]
		}
		for n := 1; keys[fmt.Sprint(n)] != ""; n++ {
			s.Keys[table] += keys[fmt.Sprint(n)] + ","
		}
		for _, i := range raw.Rows(t, `SELECT l.name, l."unique", coalesce(m.sql, '') FROM pragma_index_list(?) AS l
			JOIN sqlite_master AS m ON m.name = l.name WHERE l.origin <> 'pk'`, table) {
			var columns []string
			for _, c := range raw.Rows(t, "SELECT coalesce(name, 'expression') FROM pragma_index_info(?) ORDER BY seqno", i[0]) {
				columns = append(columns, c[0])
			}
			s.addIndex(i[0], table, strings.Join(columns, ","), i[1] == "1", i[2])
		}
	}
	return s
}

func postgresShape(t *testing.T, d repotest.Database) shape {
	t.Helper()
	raw := d.Raw(t)
	s := shape{map[string][]string{}, map[string]string{}, map[string]string{}, map[string]string{}}
	for _, table := range ownTables(t, d) {
		for _, c := range raw.Rows(t, `SELECT column_name, data_type, is_nullable FROM information_schema.columns
			WHERE table_name = ? ORDER BY ordinal_position`, table) {
			kind := strings.ToUpper(c[1])
			if kind == "UUID" { // text, where there is no type for it
				kind = "TEXT"
			}
			s.Columns[table] = append(s.Columns[table], fmt.Sprintf("%s %s not null: %t", c[0], kind, c[2] == "NO"))
		}
		for _, i := range raw.Rows(t, `SELECT c.relname, i.indisunique, i.indisprimary, pg_get_indexdef(i.indexrelid),
			(SELECT string_agg(coalesce(a.attname, 'expression'), ',' ORDER BY k.n) FROM unnest(i.indkey) WITH ORDINALITY AS k(attnum, n)
				LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum)
			FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE i.indrelid = CAST(? AS text)::regclass`, table) {
			if i[2] == "true" {
				s.Keys[table] = i[4] + ","
				continue
			}
			s.addIndex(i[0], table, i[4], i[1] == "true", i[3])
		}
	}
	return s
}

func (s *shape) addIndex(name, table, columns string, unique bool, definition string) {
	if name == searchIndex { // PostgreSQL's; each of its keys begins with the account
		return
	}
	_, condition, _ := strings.Cut(definition, " WHERE ")
	expression := regexp.MustCompile(`\w+ [+*/-] \w+`).FindString(definition)
	what := strings.TrimSpace(fmt.Sprintf("%s (%s,) %s %s", table, columns, expression, strings.Trim(condition, "()")))
	if unique {
		s.Uniques[name] = what
	} else {
		s.Indexes[name] = what
	}
}

// searchIndex finds search texts. Each engine has a way of its own: on SQLite it is a
// table, with further tables behind it.
const searchIndex = "card_search_grams"

// ownTables leaves out what Bun makes for itself, SQLite's own, and the search
// index.
func ownTables(t *testing.T, d repotest.Database) []string {
	t.Helper()
	var own []string
	for _, table := range tables(t, d) {
		if !strings.HasPrefix(table, "bun_") && !strings.HasPrefix(table, "sqlite_") && !strings.HasPrefix(table, searchIndex) {
			own = append(own, table)
		}
	}
	if len(own) < 5 {
		t.Fatalf("only the tables %v were found", own)
	}
	return own
}
