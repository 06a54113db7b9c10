package ledgertest

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// List says which page a filter must select at a moment.
func (m *Model) List(now ledger.Micros, f Filter) Page {
	var ids []uuid.UUID
	for _, c := range m.cards {
		if c.selected(now, &f) {
			ids = append(ids, c.said.ID)
		}
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(b[:], a[:]) })
	if f.After != uuid.Nil {
		for len(ids) > 0 && bytes.Compare(ids[0][:], f.After[:]) >= 0 {
			ids = ids[1:]
		}
	}
	if len(ids) > f.Limit {
		return Page{IDs: ids[:f.Limit], More: true}
	}
	return Page{IDs: ids}
}

// selected tells whether a card passes every condition of a filter.
func (c *modelCard) selected(now ledger.Micros, f *Filter) bool {
	s := c.sum()
	return (f.IncludeDeleted || c.said.DeletedAt == nil) &&
		(f.Type == "" || f.Type == c.said.Type) &&
		(f.Status == "" || f.Status == c.status(now)) &&
		(f.Customer == "" || f.Customer == c.said.CustomerID) &&
		(len(f.Currencies) == 0 || slices.Contains(f.Currencies, c.said.Currency)) &&
		(f.Balance == nil || *f.Balance == s.balance()) && inside(s.balance(), f.BalanceMin, f.BalanceMax) &&
		(f.Available == nil || *f.Available == s.available()) && inside(s.available(), f.AvailableMin, f.AvailableMax) &&
		inside(c.said.CreatedAt, f.CreatedMin, f.CreatedMax) &&
		(f.ExpiresMin == nil && f.ExpiresMax == nil ||
			c.said.ExpiresAt != nil && inside(*c.said.ExpiresAt, f.ExpiresMin, f.ExpiresMax)) &&
		(f.Search == "" || c.matches(f.Search))
}

func inside[T int64 | ledger.Micros](n T, from, to *T) bool {
	return (from == nil || *from <= n) && (to == nil || n <= *to)
}

func (c *modelCard) matches(search string) bool {
	if n, err := strconv.ParseUint(search, 10, 63); err == nil && int64(n) == c.said.Amount { //nolint:gosec // 63 bits fit
		return true
	}
	text := strings.ToLower(search)
	return strings.Contains(strings.ToLower(c.said.CardID), text) || strings.Contains(strings.ToLower(c.said.CustomerID), text)
}

// filter makes up a filter of one condition or of several.
func (g *generator) filter(m *Model) Filter {
	f := Filter{Limit: one(g, 1, 2, 3, 10, 100)}
	for range 1 + g.IntN(3) {
		g.addCondition(m, &f)
	}
	if g.chance(30) && len(m.cards) > 0 {
		f.After = one(g, m.cards...).said.ID
	}
	return f
}

// conditions is how many sorts of condition addCondition knows.
const conditions = 12

func (g *generator) addCondition(m *Model, f *Filter) { g.addConditionNo(g.IntN(conditions), m, f) }

// addConditionNo adds the condition of a sort, with values that some card is near to.
func (g *generator) addConditionNo(sort int, m *Model, f *Filter) {
	var like modelCard
	if c := g.anyCard(m); c != nil {
		like = *c
	}
	s := like.sum()
	switch sort {
	case 0:
		f.Type = one(g, ledger.GiftCard, ledger.CreditNote)
	case 1:
		f.Status = one(g, ledger.StatusInactive, ledger.StatusExpired, ledger.StatusUnused, ledger.StatusUsed, ledger.StatusPartiallyUsed)
	case 2:
		f.Customer = one(g, "cust-1", "CUST-2", "kunde_ø", "nobody")
	case 3:
		f.Currencies = append(f.Currencies, g.currency())
	case 4:
		f.Balance = near(g, s.balance())
	case 5:
		f.BalanceMin = near(g, s.balance())
	case 6:
		f.BalanceMax = near(g, s.balance())
	case 7:
		f.Available = near(g, s.available())
	case 8:
		f.AvailableMin, f.AvailableMax = near(g, s.available()-int64(g.IntN(100))), near(g, s.available()+int64(g.IntN(100)))
	case 9:
		from, to := like.said.CreatedAt-ledger.Micros(g.IntN(2)), like.said.CreatedAt+ledger.Micros(g.IntN(3_600_000_000))-1
		f.CreatedMin, f.CreatedMax = one(g, nil, &from), one(g, nil, &to)
	case 10:
		at := g.now
		if like.said.ExpiresAt != nil {
			at = *like.said.ExpiresAt
		}
		from, to := at-ledger.Micros(g.IntN(2)), at+ledger.Micros(g.IntN(3_600_000_000))-1
		f.ExpiresMin, f.ExpiresMax = one(g, nil, &from), one(g, nil, &to)
	case 11:
		f.Search = g.search(&like)
	}
	f.IncludeDeleted = f.IncludeDeleted || g.chance(20)
}

// near is a figure or one beside it, never below 0.
func near(g *generator, n int64) *int64 {
	n = max(n+int64(g.IntN(3))-1, 0)
	return &n
}

// search makes up a text to look for: a piece of an id in another case, a wildcard
// of SQL, or an amount.
func (g *generator) search(like *modelCard) string {
	id := []rune(one(g, like.said.CardID, like.said.CustomerID))
	if len(id) > 1 && g.chance(60) {
		from := g.IntN(len(id) - 1)
		piece := strings.TrimSpace(string(id[from : from+1+g.IntN(len(id)-from)]))
		if piece != "" && piece[0] != '0' { // whether "00" is the number 0 is left open
			return one(g, piece, strings.ToUpper(piece), strings.ToLower(piece))
		}
	}
	return one(g, "%", "_", `\`, "0", "1", "ø", "Æ", "gift-_001", strconv.FormatInt(like.said.Amount, 10))
}
