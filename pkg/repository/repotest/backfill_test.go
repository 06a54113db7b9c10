package repotest_test

import (
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/kortwallet/kort/db"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// Cards that were there before the indexes of lists are found like any other.
func TestListsKnowOlderCards(t *testing.T) {
	t.Parallel()
	eachEmpty(t, func(t *testing.T, d repotest.Database) {
		r := rand.New(rand.NewPCG(13, 17)) //nolint:gosec // the cards must be the same each time
		var cards []ledger.Card
		for n := range 60 {
			cards = append(cards, randomCard(t, r, n))
		}
		// The rows of a database of today, put into one of the first step.
		today := repotest.Migrated(t, repotest.Engines()[engine(d)](t))
		saveMoved(t, r, today.Store, cards)
		raw := d.Raw(t)
		for _, statement := range firstStep(t, d) {
			raw.MustExec(t, statement)
		}
		for _, table := range []string{"cards", "transactions"} {
			copyRows(t, today.Raw(t), raw, table, columnNames(t, d, raw, table))
		}
		if _, err := d.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		eachWay(t, d, func(t *testing.T, s *repository.Store) {
			for _, c := range conditions(repotest.Now) {
				f := repository.Filter{Now: repotest.Now}
				c.set(&f)
				compareList(t, s, f, cards, c.passes, c.name)
			}
		})
	})
}

func engine(d repotest.Database) string {
	if d.Postgres() {
		return "postgres"
	}
	return "sqlite"
}

// firstStep lists the statements of the first migration.
func firstStep(t *testing.T, d repotest.Database) []string {
	t.Helper()
	files := fs.FS(db.SQLite)
	if d.Postgres() {
		files = db.Postgres
	}
	text, err := fs.ReadFile(files, engine(d)+"/20261123000000_cards.tx.up.sql")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(text), "--bun:split")
}

func copyRows(t *testing.T, from, to *repotest.Raw, table string, columns []string) {
	t.Helper()
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
