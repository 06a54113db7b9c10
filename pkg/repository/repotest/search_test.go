package repotest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

func TestSearch(t *testing.T) {
	t.Parallel()
	stock := []struct {
		cardID, customer string
		amount           int64
	}{
		{"GIFT-0001", "anna@example.com", 100},
		{"gift-0002", "Bo", 1},
		{"100%", "", 7},
		{"100x", "", 8},
		{"a_b", "", 9},
		{"a-b", "", 10},
		{`back\slash`, "", 11},
		{"it's", "", 12},
		{"Straße", "", 13},
		{"STRASSE", "", 14},
		{"İstanbul", "", 15},
		{"ΟΔΟΣ", "", 16},  // ends in a capital sigma
		{"οδος", "", 17},  // … in a small one for the middle of words
		{"οδoς2", "", 18}, // … in a final one, and with a Latin o
		{"Ærlig Ø Å", "", 19},
		{"a\u030angstrom", "", 20}, // decomposed
		{"300K", "", 21},
		{"300\u212a", "", 22}, // the Kelvin sign
		{"🎁 Box", "", 23},
		{"tail", "head", 24},
		{"?1 $1", "", 25},
		{"many", "", ledger.MaxAmount},
	}
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		var cards []ledger.Card
		for _, line := range stock {
			card := repotest.Card(t, line.cardID)
			card.CustomerID, card.Amount = line.customer, line.amount
			cards = append(cards, card)
		}
		repotest.Save(t, d.Store, repotest.Account, ledger.Changes{NewCards: cards})
		eachWay(t, d, func(t *testing.T, s *repository.Store) {
			for _, c := range []struct {
				name, search string
				want         []string
			}{
				{"any case", "gIfT", []string{"GIFT-0001", "gift-0002"}},
				{"a piece of a customer", "EXAMPLE.com", []string{"GIFT-0001"}},
				{"an exact amount, and ids with the digits", "1", []string{"GIFT-0001", "gift-0002", "100%", "100x", "?1 $1"}},
				{"an amount with other digits in ids", "100", []string{"GIFT-0001", "100%", "100x"}},
				{"a prefix of an amount is no amount", "90071992547409", nil},
				{"the largest amount", "9007199254740991", []string{"many"}},
				{"more than any amount", "9223372036854775807", nil},
				{"more than 64 bits", "99999999999999999999", nil},
				{"a negative amount", "-1", nil},
				{"a signed amount", "+7", nil},
				{"a fraction", "7.0", nil},
				{"a percent sign is literal", "%", []string{"100%"}},
				{"percent signs are no wildcard", "1%0", nil},
				{"an underscore is literal", "a_b", []string{"a_b"}},
				{"a backslash is literal", `\`, []string{`back\slash`}},
				{"a backslash escapes nothing", `\%`, nil},
				{"a quote", "'", []string{"it's"}},
				{"placeholders", "?1", []string{"?1 $1"}},
				{"placeholders of the other engine", "$1", []string{"?1 $1"}},
				{"sharp s as two", "strasse", []string{"Straße", "STRASSE"}},
				{"sharp s", "straße", []string{"Straße", "STRASSE"}},
				{"capital sharp s", "STRAẞE", []string{"Straße", "STRASSE"}},
				{"dotted capital I is not a plain i", "istanbul", nil},
				{"dotted capital I", "İSTANBUL", []string{"İstanbul"}},
				{"every sigma is one letter", "οδοσ", []string{"ΟΔΟΣ", "οδος"}},
				{"final sigma", "ΟΔΟς", []string{"ΟΔΟΣ", "οδος"}},
				{"Latin o is another letter", "οδoσ", []string{"οδoς2"}},
				{"Norwegian", "æRLIG ø å", []string{"Ærlig Ø Å"}},
				{"no normalisation", "Ångstrom", nil},
				{"decomposed", "A\u030aNGSTROM", []string{"a\u030angstrom"}},
				{"Kelvin sign is a k", "300k", []string{"300K", "300\u212a"}},
				{"emoji", "🎁 b", []string{"🎁 Box"}},
				{"not across the two ids", "tailhead", nil},
				{"longer than any id", strings.Repeat("a", 20_000), nil},
				{"longer than any id, and wild", strings.Repeat("%", 20_000), nil},
			} {
				got, _, err := s.Cards(t.Context(), repotest.Account, repository.Filter{Search: c.search}, repository.Page{Limit: 100})
				ids := cardIDs(got)
				slices.Reverse(ids)
				if err != nil || !slices.Equal(ids, c.want) {
					t.Errorf("%s: %q, want %q, %v", c.name, ids, c.want, err)
				}
			}
		})
	})
}
