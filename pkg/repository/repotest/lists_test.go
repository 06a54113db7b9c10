package repotest_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// Pages of every filter, and of three together, join up to what the rules select,
// whichever way the database goes.
func TestFilteredPagesJoinUp(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		r := rand.New(rand.NewPCG(3, 5)) //nolint:gosec // the cards must be the same each time
		var cards []ledger.Card
		for n := range 120 {
			cards = append(cards, randomCard(t, r, n))
		}
		saveMoved(t, r, d.Store, cards)
		all := conditions(repotest.Now)
		eachWay(t, d, func(t *testing.T, s *repository.Store) {
			rounds := 60
			if repotest.RaceDetector {
				rounds = 6
			}
			for range rounds {
				f, chosen := repository.Filter{Now: repotest.Now, IncludeDeleted: r.IntN(2) == 0}, []condition{}
				for range 1 + r.IntN(3) {
					c := all[r.IntN(len(all))]
					c.set(&f)
					chosen = slices.DeleteFunc(append(chosen, c), func(c condition) bool { return overrides(f, c) })
				}
				comparePages(t, s, f, cards, chosen, 1+r.IntN(9))
			}
		})
	})
}

func comparePages(t *testing.T, s *repository.Store, f repository.Filter, cards []ledger.Card, all []condition, limit int) {
	t.Helper()
	name := ""
	for _, c := range all {
		name += c.name + ", "
	}
	var want, got []string
	for _, card := range slices.Backward(cards) {
		fails := func(c condition) bool { return !c.passes(&card) }
		if !slices.ContainsFunc(all, fails) && (f.IncludeDeleted || !card.Deleted()) {
			want = append(want, card.CardID)
		}
	}
	page := repository.Page{Limit: limit}
	for {
		found, next, err := s.Cards(t.Context(), repotest.Account, f, page)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got = append(got, cardIDs(found)...)
		if next == uuid.Nil || len(got) > len(want) {
			break
		}
		page.After = next
	}
	if !slices.Equal(got, want) {
		t.Errorf("%sin pages of %d selects\n%v\nthe rule says\n%v", name, limit, got, want)
	}
}

// Where ids tell the time, a range of created_at is a range of ids; where the clock
// of an account was moved, they do not. Both sorts are found, and at the limit between
// them each is of one.
func TestCreatedRanges(t *testing.T) {
	t.Parallel()
	const slack = 5 * time.Minute
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		start := repotest.Now
		var cards []ledger.Card
		for i, moved := range []time.Duration{
			0, time.Microsecond, -time.Microsecond, slack, -slack, slack + time.Millisecond, -slack - time.Millisecond,
			slack - time.Microsecond, slack + time.Microsecond, -slack + time.Microsecond, -slack - time.Microsecond,
			time.Hour, -time.Hour, 8760 * time.Hour, -8760 * time.Hour, -800_000 * time.Hour,
		} {
			for j := range 3 {
				card := repotest.Card(t, fmt.Sprintf("%02d-%d", i, j))
				drawn := start + ledger.Micros(i*3+j)*60_000_000
				card.ID = idAt(t, drawn)
				card.CreatedAt = drawn + ledger.Micros(moved.Microseconds())
				cards = append(cards, card)
			}
		}
		repotest.Save(t, d.Store, repotest.Account, ledger.Changes{NewCards: cards})
		eachWay(t, d, func(t *testing.T, s *repository.Store) {
			for _, at := range cards {
				for _, r := range []repository.Range{
					from(int64(at.CreatedAt)), to(int64(at.CreatedAt)), between(int64(at.CreatedAt), int64(at.CreatedAt)),
					between(int64(at.CreatedAt)-1, int64(at.CreatedAt)+600_000_000), from(int64(at.CreatedAt) + 1), to(int64(at.CreatedAt) - 1),
				} {
					f := repository.Filter{Now: repotest.Now, Created: r}
					passes := func(c *ledger.Card) bool { return inside(int64(c.CreatedAt), r) }
					compareList(t, s, f, cards, passes, "created "+show(r))
					comparePages(t, s, f, cards, []condition{{"created " + show(r), nil, passes}}, 5)
				}
			}
		})
	})
}

// idAt draws an id as the server does at a moment.
func idAt(t *testing.T, at ledger.Micros) uuid.UUID {
	t.Helper()
	id := repotest.ID(t)
	var millis [8]byte
	binary.BigEndian.PutUint64(millis[:], uint64(at/1000)) //nolint:gosec // not negative
	copy(id[:6], millis[2:])
	return id
}

// A card that gets its customer late is found by it, and an index that still knows
// what a card was before finds nothing by it.
func TestSearchFollowsActivation(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		card := repotest.Card(t, "batch-1")
		card.Activated, card.Currency = false, ""
		repotest.Post(t, d.Store, repotest.Account, repotest.Now, &ledger.CreateCards{Cards: []ledger.NewCard{{Card: card}}})
		activate := &ledger.Activate{
			ID: repotest.ID(t), CardID: "batch-1", Amount: 5, Currency: ledger.NOK, CustomerID: "Late Customer",
		}
		draw := &ledger.Transact{
			ID: repotest.ID(t), Action: ledger.ActionDrawdown, CardID: "batch-1", RefID: "ref", Amount: 2, AmountGiven: true, Currency: ledger.NOK,
		}
		if _, errs := repotest.Post(t, d.Store, repotest.Account, repotest.Now, activate, draw); errs[0] != nil || errs[1] != nil {
			t.Fatal(errs)
		}
		eachWay(t, d, func(t *testing.T, s *repository.Store) {
			three := int64(3)
			for name, f := range map[string]repository.Filter{
				"customer": {Search: "late cust"}, "card": {Search: "BATCH"}, "balance": {Balance: between(three, three)},
				"amount": {Search: "5"}, "status": {Status: ledger.StatusPartiallyUsed, Now: repotest.Now},
			} {
				got, _, err := s.Cards(t.Context(), repotest.Account, f, repository.Page{Limit: 10})
				if err != nil || len(got) != 1 {
					t.Errorf("by %s: %v, %v", name, cardIDs(got), err)
				}
			}
		})
	})
}

// A list that takes too long ends, and says so in a way that invites another try.
// The connection is as good as before.
func TestListsEndInTime(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		const many, batch = 20_000, 2_000
		for range many / batch {
			cards := make([]ledger.Card, batch)
			for i := range cards {
				cards[i] = repotest.Card(t, uuid.NewString())
			}
			repotest.Save(t, d.Store, repotest.Account, ledger.Changes{NewCards: cards})
		}
		o := d.Options
		o.ReadConns, o.Lists.Timeout = 1, time.Millisecond
		s := repotest.Open(t, o)
		nothing := repository.Filter{Search: "zz"} // too short for the index, and not among hexadecimal digits
		begin := time.Now()
		_, _, err := s.Cards(t.Context(), repotest.Account, nothing, repository.Page{Limit: 100})
		if !errors.Is(err, repository.ErrUnavailable) {
			t.Errorf("%v after %s, want ErrUnavailable", err, time.Since(begin))
		}
		o.Lists.Timeout = time.Minute // the race detector takes ten times as long
		got, _, err := repotest.Open(t, o).Cards(t.Context(), repotest.Account, nothing, repository.Page{Limit: 100})
		if err != nil || len(got) != 0 {
			t.Errorf("with more time: %v, %v", cardIDs(got), err)
		}
		if _, err := s.Tokens(t.Context(), repotest.Account, uuid.New(), repotest.Now); err != nil {
			t.Errorf("the next read of the same connection: %v", err)
		}
	})
}

// What every transaction changes is in no index of its card, or PostgreSQL would have
// to write all of them anew each time.
func TestTransactionsLeaveIndexesAlone(t *testing.T) {
	t.Parallel()
	d := repotest.Migrated(t, repotest.Postgres(t))
	card := repotest.Card(t, "card")
	card.Balance = ledger.Balance{Funds: 100, Drawdown: 1}
	repotest.Save(t, d.Store, repotest.Account, ledger.Changes{NewCards: []ledger.Card{card}})
	raw := d.Raw(t)
	raw.MustExec(t, "BEGIN")
	raw.MustExec(t, `UPDATE cards SET amount_funds = amount_funds + 5, amount_drawdown = amount_drawdown + 1, amount_reserved = 2,
		amount_pending = 1, open_holds = 1, seq = seq + 1, digest = 'x', last_txn_at = 7`)
	if n := raw.Number(t, "SELECT pg_stat_get_xact_tuples_hot_updated('cards'::regclass)"); n != 1 {
		t.Errorf("%d updates of one wrote no index", n)
	}
	raw.MustExec(t, "ROLLBACK")
}
