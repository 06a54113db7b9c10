package repotest_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// stock saves n cards of a customer, oldest first.
func stock(t *testing.T, s *repository.Store, account string, n int) []ledger.Card {
	t.Helper()
	var cards []ledger.Card
	for i := range n {
		card := repotest.Card(t, fmt.Sprintf("%s-%03d", account, i))
		card.CustomerID = "customer"
		cards = append(cards, card)
	}
	repotest.Save(t, s, account, ledger.Changes{NewCards: cards})
	return cards
}

func newestFirst(cards []ledger.Card) []string {
	ids := cardIDs(cards)
	slices.Reverse(ids)
	return ids
}

func TestPagesJoinUp(t *testing.T) {
	t.Parallel()
	repotest.Each(t, func(t *testing.T, s *repository.Store) {
		cards := stock(t, s, repotest.Account, 23)
		stock(t, s, repotest.OtherAccount, 5)
		for _, limit := range []int{1, 2, 5, 22, 23, 24, 100} {
			var all []string
			page, pages := repository.Page{Limit: limit}, 0
			for {
				got, next, err := s.Cards(t.Context(), repotest.Account, repository.Filter{}, page)
				if err != nil {
					t.Fatal(err)
				}
				all, pages = append(all, cardIDs(got)...), pages+1
				if next == uuid.Nil {
					break
				}
				if len(got) != limit || next != got[limit-1].ID {
					t.Fatalf("a page of %d of %d goes on after %s", len(got), limit, next)
				}
				page.After = next
			}
			if want := (len(cards) + limit - 1) / limit; !slices.Equal(all, newestFirst(cards)) || pages != want {
				t.Errorf("in pages of %d: %v in %d pages", limit, all, pages)
			}
		}
	})
}

func TestCustomerPagesJoinUp(t *testing.T) {
	t.Parallel()
	repotest.Each(t, func(t *testing.T, s *repository.Store) {
		cards := stock(t, s, repotest.Account, 7)
		other := repotest.Card(t, "of another")
		other.CustomerID = "other"
		repotest.Save(t, s, repotest.Account, ledger.Changes{NewCards: []ledger.Card{other}})
		var all []string
		page := repository.Page{Limit: 3}
		for {
			got, err := s.CustomerCards(t.Context(), repotest.Account, "customer", page)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) == 0 {
				break
			}
			all, page.After = append(all, cardIDs(got)...), got[len(got)-1].ID
		}
		if !slices.Equal(all, newestFirst(cards)) {
			t.Errorf("in pages of 3: %v", all)
		}
		_, err := s.CustomerCards(t.Context(), repotest.Account, "customer", repository.Page{After: other.ID, Limit: 3})
		if !errors.Is(err, repository.ErrUnknownCursor) {
			t.Errorf("after another customer's card: %v, want ErrUnknownCursor", err)
		}
	})
}

// A card without customer is nobody's, also when somebody asks for the customer
// without a name.
func TestTheEmptyCustomerHasNoCards(t *testing.T) {
	t.Parallel()
	repotest.Each(t, func(t *testing.T, s *repository.Store) {
		stock(t, s, repotest.Account, 2)
		repotest.Save(t, s, repotest.Account, ledger.Changes{NewCards: []ledger.Card{repotest.Card(t, "nobody's")}})
		got, err := s.CustomerCards(t.Context(), repotest.Account, "", repository.Page{Limit: 10})
		if err != nil || len(got) != 0 {
			t.Errorf("%v, %v", cardIDs(got), err)
		}
		if _, err := s.CustomerCard(t.Context(), repotest.Account, "", "nobody's"); !errors.Is(err, repository.ErrNotFound) {
			t.Errorf("a card of the customer without a name: %v, want ErrNotFound", err)
		}
	})
}

// What is created or deleted while somebody pages neither repeats nor hides another
// card.
func TestPagesStayStable(t *testing.T) {
	t.Parallel()
	repotest.Each(t, func(t *testing.T, s *repository.Store) {
		cards := stock(t, s, repotest.Account, 12)
		first, after, err := s.Cards(t.Context(), repotest.Account, repository.Filter{}, repository.Page{Limit: 4})
		if err != nil {
			t.Fatal(err)
		}
		newer := repotest.Card(t, "newer")
		cursor, unseen := cards[8], cards[5]
		if cursor.ID != after {
			t.Fatalf("the cursor is %s, want %s", after, cursor.ID)
		}
		deleted := func(c ledger.Card) ledger.Card {
			c.DeletedAt, c.DeletedBy, c.DeletionID = repotest.Moment(repotest.Now), "clerk", uuid.New()
			return c
		}
		repotest.Save(t, s, repotest.Account, ledger.Changes{
			NewCards: []ledger.Card{newer}, Cards: []ledger.Card{deleted(cursor), deleted(unseen)},
		})
		rest, next, err := s.Cards(t.Context(), repotest.Account, repository.Filter{}, repository.Page{After: after, Limit: 100})
		if err != nil || next != uuid.Nil {
			t.Fatalf("after a deleted card: %v, next %s", err, next)
		}
		want := newestFirst(slices.Concat(cards[:5], cards[6:8]))
		if !slices.Equal(cardIDs(rest), want) || !slices.Equal(cardIDs(first), newestFirst(cards[8:])) {
			t.Errorf("pages are %v and %v, want the second to be %v", cardIDs(first), cardIDs(rest), want)
		}
		byCustomer, err := s.CustomerCards(t.Context(), repotest.Account, "customer", repository.Page{After: after, Limit: 100})
		if err != nil || !slices.Equal(cardIDs(byCustomer), want) {
			t.Errorf("customer's page is %v, want %v, %v", cardIDs(byCustomer), want, err)
		}
	})
}

func TestUnknownCursors(t *testing.T) {
	t.Parallel()
	repotest.Each(t, func(t *testing.T, s *repository.Store) {
		mine := stock(t, s, repotest.Account, 2)
		theirs := stock(t, s, repotest.OtherAccount, 2)
		for name, after := range map[string]uuid.UUID{
			"never drawn":       uuid.New(),
			"another account's": theirs[1].ID,
			"the largest":       uuid.Max,
		} {
			page := repository.Page{After: after, Limit: 10}
			if _, _, err := s.Cards(t.Context(), repotest.Account, repository.Filter{}, page); !errors.Is(err, repository.ErrUnknownCursor) {
				t.Errorf("%s: %v, want ErrUnknownCursor", name, err)
			}
			if _, err := s.CustomerCards(t.Context(), repotest.Account, "customer", page); !errors.Is(err, repository.ErrUnknownCursor) {
				t.Errorf("%s, of a customer: %v, want ErrUnknownCursor", name, err)
			}
		}
		// A cursor need not pass the filter: the page goes on from its place.
		f := repository.Filter{Search: mine[0].CardID}
		got, _, err := s.Cards(t.Context(), repotest.Account, f, repository.Page{After: mine[1].ID, Limit: 10})
		if err != nil || !slices.Equal(cardIDs(got), cardIDs(mine[:1])) {
			t.Errorf("after a card outside of the filter: %v, %v", cardIDs(got), err)
		}
	})
}
