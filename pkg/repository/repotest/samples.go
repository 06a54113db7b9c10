package repotest

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// Account and OtherAccount are two accounts that must never meet.
const (
	Account      = "T00000001"
	OtherAccount = "T00000002"
)

// Now is the moment of the samples: 2026-03-01T12:00:00Z.
var Now = ledger.MicrosOf(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))

// ID draws an id as the server does: later ones are greater.
func ID(t testing.TB) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatalf("draw an id: %v", err)
	}
	return id
}

// Moment is the address of a moment.
func Moment(at ledger.Micros) *ledger.Micros { return &at }

// Card is an active card without money.
func Card(t testing.TB, cardID string) ledger.Card {
	t.Helper()
	return ledger.Card{
		ID: ID(t), CardID: cardID, Type: ledger.GiftCard, CreatedAt: Now, CreatedBy: "clerk",
		Currency: ledger.NOK, Activated: true,
	}
}

// Txn is a fund of one unit: a card's first transaction.
func Txn(t testing.TB, card uuid.UUID) ledger.Transaction {
	t.Helper()
	id := ID(t)
	return ledger.Transaction{
		ID: id, Card: card, Seq: 1, Type: ledger.TypeFund, Amount: 1, Currency: ledger.NOK, RefID: id.String(),
		Address: ledger.ByCardID, AmountGiven: true, CreatedAt: Now, CreatedBy: "clerk",
	}
}

// Token is a token without expiry. Its hash is the text given.
func Token(t testing.TB, card uuid.UUID, hash string) ledger.Token {
	t.Helper()
	return ledger.Token{
		ID: ID(t), Card: card, Hash: hash, KeyID: "key-1", Masked: "****", Shape: "default",
		CreatedAt: Now, CreatedBy: "clerk",
	}
}

// Save writes rows in a transaction of their own.
func Save(t testing.TB, s *repository.Store, account string, c ledger.Changes) {
	t.Helper()
	if err := TrySave(s, account, c); err != nil {
		t.Fatalf("save: %v", err)
	}
}

// TrySave is [Save] for rows that may be refused.
func TrySave(s *repository.Store, account string, c ledger.Changes) error {
	ctx := context.Background()
	return s.Write(ctx, func(tx *repository.Tx) error { return tx.Save(ctx, account, c) })
}

// Post decides operations as one batch, as the write path does, and returns their
// answers.
func Post(
	t testing.TB, s *repository.Store, account string, now ledger.Micros, ops ...ledger.Operation,
) ([]ledger.Result, []error) {
	t.Helper()
	ctx := context.Background()
	results, refusals := make([]ledger.Result, len(ops)), make([]error, len(ops))
	err := s.Write(ctx, func(tx *repository.Tx) error {
		book := ledger.NewBook(account, now)
		if err := tx.Load(ctx, account, book, ops); err != nil {
			return err
		}
		for i, op := range ops {
			results[i], refusals[i] = book.Post(op)
		}
		return tx.SaveAtCommit(account, book.Changes())
	})
	if err != nil {
		t.Fatalf("post a batch: %v", err)
	}
	return results, refusals
}
