package repotest_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// Look-ups that share a trip get each their own card, of their own account, with the
// tokens that are valid at their own time; and a card that is not there stays away.
func TestDetailsOfManyAtOnce(t *testing.T) {
	t.Parallel()
	const cards, accounts, perCard = 40, 3, 4
	repotest.Each(t, func(t *testing.T, s *repository.Store) {
		saveTill(t, s, accounts, cards)
		var asking sync.WaitGroup
		for n := range cards * accounts * perCard {
			asking.Go(func() {
				account, cardID, now := n%accounts, fmt.Sprintf("card-%d", n/accounts%(cards+1)), repotest.Now
				valid := 2
				if n%2 == 0 {
					now, valid = tillExpiry, 1
				}
				card, tokens, err := s.CardDetails(t.Context(), fmt.Sprintf("T%08d", account), cardID, now)
				if cardID == fmt.Sprintf("card-%d", cards) {
					if !errors.Is(err, repository.ErrNotFound) {
						t.Errorf("a card that is not there: %v, want ErrNotFound", err)
					}
					return
				}
				if err != nil || card.CardID != cardID || card.CreatedBy != fmt.Sprintf("clerk-%d", account) || len(tokens) != valid {
					t.Errorf("%s of %d: got %s of %s with %d tokens, %v", cardID, account, card.CardID, card.CreatedBy, len(tokens), err)
				}
				for i := range tokens {
					if tokens[i].Card != card.ID {
						t.Errorf("%s of %d got a token of another card", cardID, account)
					}
				}
			})
		}
		asking.Wait()
	})
}

// Look-ups by token share trips, while others go by card. Each gets the card of its own
// account, under whichever of its hashes the token is stored, and none for a token that
// is unknown or has expired by its own time.
func TestCardsByTokenOfManyAtOnce(t *testing.T) {
	t.Parallel()
	const cards, accounts, perCard = 30, 3, 12
	repotest.Each(t, func(t *testing.T, s *repository.Store) {
		saveTill(t, s, accounts, cards)
		var asking sync.WaitGroup
		for n := range cards * accounts * perCard {
			asking.Go(func() {
				account, card := n%accounts, n/accounts%cards
				hashes, now, found := []string{fmt.Sprintf("hash-%d-%d", card, 0)}, repotest.Now, true
				switch n / accounts / cards % 6 {
				case 0: // does not expire
					now = tillExpiry
				case 1: // expires later
					hashes, now = []string{fmt.Sprintf("hash-%d-%d", card, 1)}, tillExpiry-1
				case 2:
					hashes, now, found = []string{fmt.Sprintf("hash-%d-%d", card, 1)}, tillExpiry, false
				case 3:
					hashes, found = []string{fmt.Sprintf("hash-%d-%d", card, 2)}, false
				case 4: // of an older key
					hashes = append([]string{"under the current key"}, hashes...)
				case 5: // by card at the same time
					if got, tokens, err := s.CardDetails(t.Context(), fmt.Sprintf("T%08d", account), fmt.Sprintf("card-%d", card), now); err != nil || len(tokens) != 2 || got.CreatedBy != fmt.Sprintf("clerk-%d", account) {
						t.Errorf("card-%d of %d: got one of %s with %d tokens, %v", card, account, got.CreatedBy, len(tokens), err)
					}
				}
				got, err := s.CardByToken(t.Context(), fmt.Sprintf("T%08d", account), now, hashes...)
				switch {
				case !found && !errors.Is(err, repository.ErrNotFound):
					t.Errorf("%v of %d: %v, want ErrNotFound", hashes, account, err)
				case found && (err != nil || got.CardID != fmt.Sprintf("card-%d", card) || got.CreatedBy != fmt.Sprintf("clerk-%d", account)):
					t.Errorf("%v of %d: got %s of %s, %v", hashes, account, got.CardID, got.CreatedBy, err)
				}
			})
		}
		asking.Wait()
		if _, err := s.CardByToken(t.Context(), "T00000009", repotest.Now, "hash-0-0"); !errors.Is(err, repository.ErrNotFound) {
			t.Errorf("a token of other accounts: %v, want ErrNotFound", err)
		}
	})
}

// tillExpiry is when the second token of a card of saveTill expires.
var tillExpiry = repotest.Now + 1000

// saveTill gives each account the same cards with two tokens each. The clerk who made a
// card tells whose it is.
func saveTill(t *testing.T, s *repository.Store, accounts, cards int) {
	t.Helper()
	soon := tillExpiry
	for a := range accounts {
		var changes ledger.Changes
		for i := range cards {
			card := repotest.Card(t, fmt.Sprintf("card-%d", i))
			card.CreatedBy = fmt.Sprintf("clerk-%d", a)
			changes.NewCards = append(changes.NewCards, card)
			for j, expiry := range []*ledger.Micros{nil, &soon} {
				changes.NewTokens = append(changes.NewTokens, ledger.Token{
					ID: repotest.ID(t), Card: card.ID, Hash: fmt.Sprintf("hash-%d-%d", i, j), KeyID: "key", Masked: "m", Shape: "s",
					CreatedBy: card.CardID, ExpiresAt: expiry,
				})
			}
		}
		repotest.Save(t, s, fmt.Sprintf("T%08d", a), changes)
	}
}

// Both ways to read a card say the same of every kind of card and token.
func TestDetailsAreTheCardAndItsTokens(t *testing.T) {
	t.Parallel()
	repotest.Each(t, func(t *testing.T, s *repository.Store) {
		repotest.Post(t, s, repotest.Account, repotest.Now, script(4)...)
		page, _, err := s.Cards(t.Context(), repotest.Account, repository.Filter{}, repository.Page{Limit: 100})
		if err != nil || len(page) < 4 {
			t.Fatalf("%d cards, %v", len(page), err)
		}
		for i := range page {
			tokens, err := s.Tokens(t.Context(), repotest.Account, page[i].ID, repotest.Now)
			if err != nil {
				t.Fatal(err)
			}
			card, found, err := s.CardDetails(t.Context(), repotest.Account, page[i].CardID, repotest.Now)
			if err != nil || !reflect.DeepEqual(card, page[i]) || len(found) != len(tokens) {
				t.Fatalf("details %+v with %d tokens, want %+v with %d, %v", card, len(found), page[i], len(tokens), err)
			}
			for j := range tokens {
				if !reflect.DeepEqual(found[j], tokens[j]) {
					t.Errorf("token %+v, want %+v", found[j], tokens[j])
				}
			}
		}
	})
}

// A caller who leaves gets its own error, and nobody else is disturbed.
func TestDetailsOfACallerWhoLeaves(t *testing.T) {
	t.Parallel()
	repotest.Each(t, func(t *testing.T, s *repository.Store) {
		newResident(t, s, repotest.Account)
		gone, leave := context.WithCancel(t.Context())
		leave()
		for range 20 {
			if _, _, err := s.CardDetails(gone, repotest.Account, "card", repotest.Now); err == nil {
				continue // it was quicker than the caller
			} else if !errors.Is(err, context.Canceled) && !errors.Is(err, repository.ErrUnavailable) {
				t.Errorf("%v, want the caller's own error", err)
			}
			patient, cancel := context.WithTimeout(t.Context(), time.Minute)
			if _, _, err := s.CardDetails(patient, repotest.Account, "card", repotest.Now); err != nil {
				t.Errorf("another caller: %v", err)
			}
			cancel()
		}
	})
}
