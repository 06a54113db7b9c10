package repotest_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// condition is a filter of one sort, and the same rule in Go.
type condition struct {
	name   string
	set    func(*repository.Filter)
	passes func(*ledger.Card) bool
}

var statuses = []ledger.Status{
	ledger.StatusInactive, ledger.StatusExpired, ledger.StatusUnused, ledger.StatusUsed, ledger.StatusPartiallyUsed,
}

// conditions are all sorts of filters, with values that some cards are exactly at.
func conditions(now ledger.Micros) []condition {
	var all []condition
	add := func(name string, set func(*repository.Filter), passes func(*ledger.Card) bool) {
		all = append(all, condition{name, set, passes})
	}
	for _, status := range statuses {
		add("status "+string(status), func(f *repository.Filter) { f.Status = status },
			func(c *ledger.Card) bool { return c.Status(now) == status })
	}
	for _, kind := range []ledger.CardType{ledger.GiftCard, ledger.CreditNote} {
		add("type "+string(kind), func(f *repository.Filter) { f.Type = kind },
			func(c *ledger.Card) bool { return c.Type == kind })
	}
	for _, list := range [][]ledger.Currency{{ledger.NOK}, {ledger.SEK, ledger.NOK}, {ledger.USD}} {
		add(fmt.Sprintf("currencies %v", list), func(f *repository.Filter) { f.Currencies = list },
			func(c *ledger.Card) bool { return slices.Contains(list, c.Currency) })
	}
	add("customer", func(f *repository.Filter) { f.Customer = "Anna" },
		func(c *ledger.Card) bool { return c.CustomerID == "Anna" })
	add("search", func(f *repository.Filter) { f.Search = "aN" }, // anna, and every card_id with "an"
		func(c *ledger.Card) bool { return c.CustomerID == "Anna" || c.CardID[:2] == "an" })
	add("search for an amount", func(f *repository.Filter) { f.Search = "50" },
		func(c *ledger.Card) bool { return c.Amount == 50 || strings.Contains(c.CardID, "50") })
	for _, r := range []repository.Range{from(50), to(50), between(50, 50), between(1, 49), between(51, 50)} {
		all = append(all, figures(r)...)
	}
	edge := int64(now)
	for _, r := range []repository.Range{from(edge), to(edge), between(edge, edge), from(edge + 1), to(edge - 1), from(math.MinInt64)} {
		all = append(all, moments(r)...)
	}
	const month = 30 * 24 * 60 * 60 * 1_000_000 // which is read in another way than a shorter time
	for _, r := range []repository.Range{between(edge-1, edge), between(edge+1, edge), between(edge-month, edge), between(-1, edge)} {
		all = append(all, moments(r)[1])
	}
	return all
}

func figures(r repository.Range) []condition {
	return []condition{
		{"balance " + show(r), func(f *repository.Filter) { f.Balance = r },
			func(c *ledger.Card) bool { return inside(c.Balance.Balance(), r) }},
		{"available " + show(r), func(f *repository.Filter) { f.Available = r },
			func(c *ledger.Card) bool { return inside(c.Available(), r) }},
	}
}

func moments(r repository.Range) []condition {
	return []condition{
		{"created " + show(r), func(f *repository.Filter) { f.Created = r },
			func(c *ledger.Card) bool { return inside(int64(c.CreatedAt), r) }},
		{"expires " + show(r), func(f *repository.Filter) { f.Expires = r },
			func(c *ledger.Card) bool { return c.ExpiresAt != nil && inside(int64(*c.ExpiresAt), r) }},
	}
}

func from(n int64) repository.Range       { return repository.Range{From: &n} }
func to(n int64) repository.Range         { return repository.Range{To: &n} }
func between(a, b int64) repository.Range { return repository.Range{From: &a, To: &b} }

func inside(n int64, r repository.Range) bool {
	return (r.From == nil || *r.From <= n) && (r.To == nil || n <= *r.To)
}

func show(r repository.Range) string {
	text := "…"
	if r.From != nil {
		text = fmt.Sprint(*r.From) + text
	}
	if r.To != nil {
		text += fmt.Sprint(*r.To)
	}
	return text
}

// randomCard is a card whose every figure and moment is at a limit or next to one.
func randomCard(t *testing.T, r *rand.Rand, n int) ledger.Card {
	t.Helper()
	card := repotest.Card(t, fmt.Sprintf("%s%03d", pick(r, "an", "bo", "cx"), n))
	card.CustomerID = pick(r, "", "Anna", "Bo")
	card.Type = pick(r, ledger.GiftCard, ledger.CreditNote)
	card.Currency = pick(r, ledger.NOK, ledger.SEK, ledger.EUR)
	card.CreatedAt = repotest.Now + pick[ledger.Micros](r, -1, 0, 1)
	if r.IntN(3) > 0 {
		card.ExpiresAt = repotest.Moment(repotest.Now + pick[ledger.Micros](r, -1, 0, 1))
	}
	card.Amount = pick[int64](r, 0, 49, 50, 51)
	card.Funds = card.Amount + pick[int64](r, 0, 1, 50)
	card.Drawdown = pick(r, 0, 0, card.Funds, max(card.Funds-50, 0))
	card.Reserved = pick(r, 0, card.Funds-card.Drawdown, min(1, card.Funds-card.Drawdown))
	card.Pending = pick(r, 0, card.Reserved)
	if r.IntN(5) == 0 { // waits for its activation
		card.Activated, card.Currency, card.Amount, card.Balance = false, "", 0, ledger.Balance{}
	}
	if r.IntN(6) == 0 {
		card.DeletedAt, card.DeletedBy, card.DeletionID = repotest.Moment(repotest.Now), "clerk", uuid.New()
	}
	return card
}

func pick[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// ways are limits under which lists of few cards are read in each way that there is
// for a million.
var ways = map[string]repository.ListLimits{
	"along the cards":  {},
	"through indexes":  {Window: 1, Batch: 1, Few: 1, Read: 2},
	"first the newest": {Window: 30, Batch: 3, Few: 20, Read: 2},
}

// saveMoved saves cards whose figures were others before: their last transactions
// are not the first.
func saveMoved(t *testing.T, r *rand.Rand, s *repository.Store, cards []ledger.Card) {
	t.Helper()
	var before, after ledger.Changes
	for i := range cards {
		card := &cards[i]
		if card.Funds == 0 {
			before.NewCards = append(before.NewCards, *card)
			continue
		}
		was := *card
		was.Seq, was.Balance = 1, ledger.Balance{Funds: pick[int64](r, 49, 50, 51)}
		first, last := repotest.Txn(t, card.ID), repotest.Txn(t, card.ID)
		last.Seq, card.Seq = 2, 2
		before.NewCards, before.Txns = append(before.NewCards, was), append(before.Txns, first)
		after.Cards, after.Txns = append(after.Cards, *card), append(after.Txns, last)
	}
	repotest.Save(t, s, repotest.Account, before)
	repotest.Save(t, s, repotest.Account, after)
}

// eachWay opens a store per way on one database.
func eachWay(t *testing.T, d repotest.Database, test func(t *testing.T, s *repository.Store)) {
	t.Helper()
	for way, limits := range ways {
		o := d.Options
		o.Lists = limits
		s := repotest.Open(t, o)
		t.Run(way, func(t *testing.T) { test(t, s) })
	}
}

// Each filter alone and each pair must select exactly what the rule in Go selects,
// whichever way the database goes.
func TestFiltersAreTheRules(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		r := rand.New(rand.NewPCG(7, 11)) //nolint:gosec // the cards must be the same each time
		var cards []ledger.Card
		count := 240
		if repotest.RaceDetector { // which makes SQLite twenty times slower, and has nothing to find here
			count = 60
		}
		for n := range count {
			cards = append(cards, randomCard(t, r, n))
		}
		saveMoved(t, r, d.Store, cards)
		eachWay(t, d, func(t *testing.T, s *repository.Store) { comparePairs(t, s, cards) })
	})
}

func comparePairs(t *testing.T, s *repository.Store, cards []ledger.Card) {
	t.Helper()
	all := conditions(repotest.Now)
	selective, quick := 0, testing.Short() || repotest.RaceDetector
	for i, a := range all {
		for _, b := range all[i:] {
			if quick && a.name != b.name && (i > 0 || repotest.RaceDetector) {
				continue
			}
			f := repository.Filter{Now: repotest.Now, IncludeDeleted: (i % 2) == 0}
			a.set(&f)
			b.set(&f)
			if alone := a.name == b.name; !alone && overrides(f, a) {
				continue
			}
			n := compareList(t, s, f, cards, func(c *ledger.Card) bool { return a.passes(c) && b.passes(c) }, a.name+" and "+b.name)
			if n > 0 && n < len(cards) {
				selective++
			}
		}
	}
	if !quick && selective < len(all)*len(all)/8 {
		t.Errorf("only %d of the filters select some cards and not others", selective)
	}
}

// overrides tells whether b replaced a's value in the filter (two statuses, two
// ranges of one figure), so that the pair is none.
func overrides(f repository.Filter, a condition) bool {
	again := f
	a.set(&again)
	return fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", f)
}

func compareList(
	t *testing.T, s *repository.Store, f repository.Filter, cards []ledger.Card, passes func(*ledger.Card) bool, name string,
) int {
	t.Helper()
	got, next, err := s.Cards(t.Context(), repotest.Account, f, repository.Page{Limit: len(cards)})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var want []string
	for _, card := range slices.Backward(cards) { // later ids are greater
		if passes(&card) && (f.IncludeDeleted || !card.Deleted()) {
			want = append(want, card.CardID)
		}
	}
	if ids := cardIDs(got); !slices.Equal(ids, want) || next != uuid.Nil {
		t.Errorf("%s selects\n%v\nthe rule says\n%v", name, ids, want)
	}
	return len(want)
}

func cardIDs(cards []ledger.Card) []string {
	var ids []string
	for i := range cards {
		ids = append(ids, cards[i].CardID)
	}
	return ids
}

// A card of each status, one step before, at and after the moment that changes it.
func TestStatusAtEdges(t *testing.T) {
	t.Parallel()
	const expiry = ledger.Micros(1_000_000)
	card := func(t *testing.T, name string, b ledger.Balance) ledger.Card {
		c := repotest.Card(t, name)
		c.ExpiresAt, c.Balance = repotest.Moment(expiry), b
		return c
	}
	repotest.Each(t, func(t *testing.T, s *repository.Store) {
		locked := card(t, "locked", ledger.Balance{Funds: 10, Pending: 10, Reserved: 10})
		empty := card(t, "empty", ledger.Balance{})
		used := card(t, "used", ledger.Balance{Funds: 10, Drawdown: 10})
		partly := card(t, "partly", ledger.Balance{Funds: 10, Drawdown: 1})
		waiting := card(t, "waiting", ledger.Balance{})
		waiting.Activated = false
		forever := card(t, "forever", ledger.Balance{Funds: 10, Drawdown: 9})
		forever.ExpiresAt = nil
		cards := []ledger.Card{locked, empty, used, partly, waiting, forever}
		repotest.Save(t, s, repotest.Account, ledger.Changes{NewCards: cards})
		for _, now := range []ledger.Micros{math.MinInt64, 0, expiry - 1, expiry, expiry + 1, math.MaxInt64} {
			total := 0
			for _, status := range statuses {
				f := repository.Filter{Now: now, Status: status}
				total += compareList(t, s, f, cards, func(c *ledger.Card) bool { return c.Status(now) == status },
					fmt.Sprintf("%s at %d", status, now))
			}
			if total != len(cards) {
				t.Errorf("at %d the statuses share out %d of %d cards", now, total, len(cards))
			}
		}
	})
}
