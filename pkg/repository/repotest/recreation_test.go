package repotest_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

func create(t *testing.T, cardID string, amount int64) *ledger.CreateCards {
	t.Helper()
	card := repotest.Card(t, cardID)
	card.CustomerID, card.Amount = "customer", amount
	return &ledger.CreateCards{Cards: []ledger.NewCard{{Card: card, OpeningID: repotest.ID(t)}}}
}

func fund(t *testing.T, cardID, ref string, amount int64) *ledger.Transact {
	t.Helper()
	return &ledger.Transact{
		ID: repotest.ID(t), Action: ledger.ActionFund, CardID: cardID, RefID: ref, Amount: amount, AmountGiven: true, Currency: ledger.NOK,
	}
}

// A deleted card is gone for every read but the list that asks for it; its card_id
// is free, and the new card shares nothing with the old one.
func TestDeletionAndRecreation(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		s, ctx := d.Store, t.Context()
		post := func(ops ...ledger.Operation) []ledger.Result {
			t.Helper()
			results, errs := repotest.Post(t, s, repotest.Account, repotest.Now, ops...)
			if err := errors.Join(errs...); err != nil {
				t.Fatal(err)
			}
			return results
		}
		old := create(t, "card", 10)
		token := ledger.NewToken{Token: repotest.Token(t, uuid.Nil, ""), Candidates: []ledger.TokenCandidate{{Hash: "hash"}}}
		token.Token.RefID = "token ref"
		old.Cards[0].Token = &token
		post(old, fund(t, "card", "ref", 5))
		post(&ledger.DeleteCard{ID: uuid.New(), CardID: "card", By: "clerk"})

		gone := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, repository.ErrNotFound) {
				t.Errorf("%s: %v, want ErrNotFound", what, err)
			}
		}
		_, err := s.Card(ctx, repotest.Account, "card")
		gone("a deleted card", err)
		_, err = s.CustomerCard(ctx, repotest.Account, "customer", "card")
		gone("a deleted customer's card", err)
		_, err = s.CardByToken(ctx, repotest.Account, repotest.Now, "hash")
		gone("a deleted card's token", err)
		if cards, err := s.CustomerCards(ctx, repotest.Account, "customer", repository.Page{Limit: 9}); err != nil || len(cards) != 0 {
			t.Errorf("a customer's deleted cards: %v, %v", cards, err)
		}

		fresh := create(t, "card", 100)
		post(fresh, fund(t, "card", "ref", 7)) // the ref_id is free again
		card, err := s.Card(ctx, repotest.Account, "card")
		if err != nil || card.ID != fresh.Cards[0].Card.ID || card.Funds != 107 || card.Seq != 2 {
			t.Errorf("the new card is %+v, %v", card, err)
		}
		_, err = s.CardByToken(ctx, repotest.Account, repotest.Now, "hash")
		gone("the old card's token after the re-creation", err)

		post(&ledger.DeleteCard{ID: uuid.New(), CardID: "card", By: "clerk"})
		list, _, err := s.Cards(ctx, repotest.Account, repository.Filter{IncludeDeleted: true}, repository.Page{Limit: 9})
		if err != nil || len(list) != 2 || list[0].ID != fresh.Cards[0].Card.ID || list[0].DeletedBy != "clerk" || list[1].Funds != 15 {
			t.Errorf("with deleted ones: %+v, %v", list, err)
		}
	})
}

// In one batch, a card may be deleted and its card_id taken, several times over.
func TestRecreationWithinABatch(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		var ops []ledger.Operation
		for n := range 3 {
			ops = append(ops, create(t, "card", int64(n)), fund(t, "card", "ref", 1),
				&ledger.DeleteCard{ID: uuid.New(), CardID: "card", By: "clerk"})
		}
		ops = append(ops, create(t, "card", 50))
		for round := range 2 { // first on nothing, then on the card that the first round left
			_, errs := repotest.Post(t, d.Store, repotest.Account, repotest.Now, ops...)
			for i, err := range errs {
				var refusal *ledger.Refusal
				exists := errors.As(err, &refusal) && refusal.Code == ledger.CodeCardExists
				if err != nil && (round == 0 || !exists) {
					t.Fatalf("round %d, operation %d: %v", round, i, err)
				}
			}
			ops = []ledger.Operation{&ledger.DeleteCard{ID: uuid.New(), CardID: "card", By: "clerk"}, create(t, "card", 51)}
		}
		card, err := d.Card(t.Context(), repotest.Account, "card")
		if err != nil || card.Funds != 51 {
			t.Errorf("the last card is %+v, %v", card, err)
		}
		if n := d.Raw(t).Number(t, "SELECT count(*) FROM cards WHERE deleted_at IS NOT NULL"); n != 4 {
			t.Errorf("%d deleted cards, want 4", n)
		}
	})
}

// Tokens that have expired are no longer listed, and find no card; at the very
// moment of their expiry they are expired.
func TestTokenExpiry(t *testing.T) {
	t.Parallel()
	repotest.Each(t, func(t *testing.T, s *repository.Store) {
		card := repotest.Card(t, "card")
		token := repotest.Token(t, card.ID, "hash")
		token.ExpiresAt = repotest.Moment(repotest.Now)
		forever := repotest.Token(t, card.ID, "forever")
		repotest.Save(t, s, repotest.Account, ledger.Changes{
			NewCards: []ledger.Card{card}, NewTokens: []ledger.Token{token, forever},
		})
		for _, c := range []struct {
			now  ledger.Micros
			live int
		}{{repotest.Now - 1, 2}, {repotest.Now, 1}, {repotest.Now + 1, 1}} {
			list, err := s.Tokens(t.Context(), repotest.Account, card.ID, c.now)
			if err != nil || len(list) != c.live {
				t.Errorf("at %d: %d tokens, %v", c.now-repotest.Now, len(list), err)
			}
			_, err = s.CardByToken(t.Context(), repotest.Account, c.now, "hash")
			if found := err == nil; found != (c.live == 2) {
				t.Errorf("at %d: %v", c.now-repotest.Now, err)
			}
			if _, err := s.CardByToken(t.Context(), repotest.Account, c.now, "forever"); err != nil {
				t.Errorf("at %d, without expiry: %v", c.now-repotest.Now, err)
			}
		}
	})
}
