package repotest_test

import (
	"testing"

	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// The rule that watches every statement of the suite must itself find what it is
// there for.
func TestStrayStatementsAreFound(t *testing.T) {
	t.Parallel()
	for name, statement := range map[string]string{
		"no filter":                  "SELECT * FROM cards",
		"another filter":             "SELECT * FROM cards AS c WHERE c.card_id = $1",
		"another constant":           "SELECT * FROM cards AS c WHERE c.account_id = $2",
		"a list of accounts":         "SELECT * FROM cards AS c WHERE c.account_id IN ('T1', 'T2')",
		"a range of accounts":        "SELECT * FROM cards AS c WHERE c.account_id >= 'T1'",
		"a pattern":                  `SELECT * FROM "cards" AS "c" WHERE ("c"."account_id" LIKE 'T%')`,
		"a filter inside a literal":  "SELECT * FROM cards AS c WHERE c.name = 'c.account_id = $1'",
		"a filter inside a comment":  "SELECT * FROM cards AS c\n-- WHERE c.account_id = $1\n",
		"a join without":             "SELECT * FROM tokens AS k JOIN cards AS c ON c.id = k.card_object_id WHERE k.account_id = $1",
		"a join by the other table":  "SELECT * FROM tokens AS k JOIN cards AS c ON c.account_id = k.account_id WHERE c.name = 'x'",
		"a subquery without":         "SELECT * FROM cards AS c WHERE c.account_id = $1 AND c.id IN (SELECT t.id FROM transactions AS t)",
		"an update":                  "UPDATE holds AS h SET open = false",
		"a deletion":                 "DELETE FROM tokens WHERE hash = 'x'",
		"an insert of many accounts": "INSERT INTO cards (account_id, id) SELECT r.account_id, r.id FROM unnest($1) AS r(account_id, id)",
		"an unknown table":           "SELECT * FROM webhooks AS w WHERE w.account_id = $1",
		"SQLite's placeholders":      "SELECT * FROM cards AS c WHERE c.card_id = ?1",
	} {
		if repotest.Stray(statement) == "" {
			t.Errorf("%s is not found: %s", name, statement)
		}
	}
	for _, statement := range []string{
		"SELECT * FROM cards AS c WHERE c.account_id = $1",
		"SELECT * FROM cards AS c WHERE c.account_id = ?1 AND c.name = 'FROM holds'",
		`SELECT "c"."id" FROM "cards" AS "c" WHERE (c.account_id = 'T1')`,
		"INSERT INTO cards (account_id, id) SELECT $1, r.id FROM unnest($2::uuid[]) AS r(id)",
		"SELECT * FROM data_keys",
		"CREATE TABLE cards (account_id TEXT)",
	} {
		if problem := repotest.Stray(statement); problem != "" {
			t.Errorf("%s: %s", problem, statement)
		}
	}
}

// A store really shows its statements to the rule.
func TestStatementsAreWatched(t *testing.T) {
	t.Parallel()
	for name, options := range repotest.Engines() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := make(chan string, 1000)
			o := options(t)
			o.Observe = func(text string) { seen <- text }
			d := repotest.Migrated(t, o)
			count := func() int {
				n := len(seen)
				for range n {
					<-seen
				}
				return n
			}
			if count() == 0 {
				t.Error("a migration shows no statement")
			}
			newResident(t, d.Store, repotest.Account)
			if n := count(); n != len(repotest.AccountTables) {
				t.Errorf("rows for all tables were saved with %d statements", n)
			}
			if _, err := d.Card(t.Context(), repotest.Account, "card"); err != nil || count() != 1 {
				t.Errorf("a read shows no statement, or fails: %v", err)
			}
			if err := claim(t, d.Store, "key fingerprint"); err != nil || count() == 0 {
				t.Errorf("a claim shows no statement, or fails: %v", err)
			}
		})
	}
}
