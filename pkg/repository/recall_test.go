package repository

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/pgtest"
)

const recallAccount = "P00000001"

// recallStore is a store on PostgreSQL that remembers one card.
func recallStore(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{PostgresURL: pgtest.URL(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	card := ledger.Card{ID: uuid.Must(uuid.NewV7()), CardID: "card", Type: ledger.GiftCard, CreatedAt: 1, CreatedBy: "tests", Activated: true, Currency: ledger.NOK}
	err = s.Write(t.Context(), func(tx *Tx) error {
		return tx.Save(t.Context(), recallAccount, ledger.Changes{NewCards: []ledger.Card{card}})
	})
	if err != nil {
		t.Fatal(err)
	}
	fund := recallFund("first")
	err = s.Write(t.Context(), func(tx *Tx) error {
		book := ledger.NewBook(recallAccount, 2)
		if err := tx.Load(t.Context(), recallAccount, book, []ledger.Operation{fund}); err != nil {
			return err
		}
		_, err := book.Post(fund)
		return errors.Join(err, tx.SaveAtCommit(recallAccount, book.Changes()))
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func recallFund(ref string) *ledger.Transact {
	return &ledger.Transact{
		ID: uuid.Must(uuid.NewV7()), Action: ledger.ActionFund, CardID: "card", RefID: ref, Amount: 5, AmountGiven: true,
		Currency: ledger.NOK, By: "tests",
	}
}

var errNotRemembered = errors.New("the card is not remembered")

// postFund posts on the remembered card.
func (s *Store) postFund(ctx context.Context, ref string) error {
	fund := recallFund(ref)
	return s.Write(ctx, func(tx *Tx) error {
		book := ledger.NewBook(recallAccount, 3)
		if !tx.Recall(recallAccount, 3, book, []ledger.Operation{fund}) {
			return errNotRemembered
		}
		_, err := book.Post(fund)
		saved, unsaved := tx.SaveRecalled(recallAccount, book.Changes())
		if !saved {
			err = errors.Join(err, errors.New("nothing was saved"))
		}
		return errors.Join(err, unsaved)
	})
}

// The commit finds out by the version of the row and by its history, each alone, that a
// card is not what it was: a database that was failed over may have given the number of
// a lost transaction to another one.
func TestRememberedCardsAreCompared(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*rememberedCard){
		"nothing": nil,
		"version": func(known *rememberedCard) { known.version += "0" },
		"history": func(known *rememberedCard) { known.card.Digest[0] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := recallStore(t)
			if spoil != nil {
				known, _ := s.remembered.Get(cardKey{recallAccount, "card"})
				spoil(known)
			}
			err := s.postFund(t.Context(), "second")
			if spoil == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, ErrStale) || !errors.Is(err, ErrConflict) || errors.Is(err, ledger.ErrCorrupt) {
				t.Errorf("%v, want ErrStale", err)
			}
			if err := s.postFund(t.Context(), "second"); !errors.Is(err, errNotRemembered) {
				t.Errorf("%v: the card is remembered still", err)
			}
			card, err := s.Card(t.Context(), recallAccount, "card")
			if err != nil || card.Funds != 5 || card.Seq != 1 {
				t.Errorf("the card has %+v, %v", card.Balance, err)
			}
		})
	}
}
