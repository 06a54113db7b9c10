package repotest_test

import (
	"math/rand/v2"
	"testing"

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
		repotest.Aged(t, d, today)
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
