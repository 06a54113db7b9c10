package repotest_test

import (
	"fmt"
	"testing"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// Cards that another server changed while a batch waited for their locks are found all
// the same, however the batch names them. PostgreSQL checks such a row anew against the
// statement that waits, and with a list of cards that was part of the plan it once found
// only the last of them: a drawdown, and even a replay, was answered with not found.
func TestCardsThatChangeWhileTheirLocksAreAwaited(t *testing.T) {
	t.Parallel()
	d := repotest.Migrated(t, repotest.Postgres(t))
	const cards = 4000 // with fewer, PostgreSQL has another plan
	const account = repotest.Account
	var made []ledger.Operation
	create := &ledger.CreateCards{}
	for i := range cards {
		card := repotest.Card(t, fmt.Sprintf("card-%04d", i))
		card.Amount = 100
		create.Cards = append(create.Cards, ledger.NewCard{Card: card, OpeningID: repotest.ID(t)})
	}
	made = append(made, create)
	transact := func(action ledger.Action, n int) *ledger.Transact {
		return &ledger.Transact{
			ID: repotest.ID(t), Action: action, CardID: fmt.Sprintf("card-%04d", n), RefID: fmt.Sprint(action, n),
			Amount: 10, AmountGiven: true, Currency: ledger.NOK, By: "clerk",
		}
	}
	byToken := func(n int) *ledger.Transact {
		op := transact(ledger.ActionDrawdown, n)
		op.CardID, op.TokenHash = "", fmt.Sprint("hash-", n)
		made = append(made, &ledger.CreateToken{CardID: fmt.Sprintf("card-%04d", n), New: ledger.NewToken{
			Token:      ledger.Token{ID: repotest.ID(t), RefID: "token", KeyID: "key", Shape: "s", CreatedBy: "clerk"},
			Candidates: []ledger.TokenCandidate{{Hash: op.TokenHash, Masked: "m"}},
		}})
		return op
	}
	byParent := func(n int) *ledger.Transact {
		hold := transact(ledger.ActionPending, n)
		made = append(made, hold)
		return &ledger.Transact{ID: repotest.ID(t), Action: ledger.ActionCapture, Parent: hold.ID, RefID: "capture", By: "clerk"}
	}
	batch := []ledger.Operation{
		transact(ledger.ActionDrawdown, 1), transact(ledger.ActionFund, 2), byToken(3), byToken(4), byParent(5), byParent(6),
		transact(ledger.ActionDrawdown, 7), // nobody else changes this one
	}
	for _, err := range second(repotest.Post(t, d.Store, account, repotest.Now, made...)) {
		if err != nil {
			t.Fatal(err)
		}
	}
	d.Raw(t).MustExec(t, "ANALYZE")
	var rivals []ledger.Operation
	for n := 1; n <= 6; n++ {
		rivals = append(rivals, transact(ledger.ActionPending, n))
	}
	answers := make(chan []error, 1)
	ctx := t.Context()
	err := d.Write(ctx, func(tx *repository.Tx) error { // another server's batch
		book := ledger.NewBook(account, repotest.Now)
		if err := tx.Load(ctx, account, book, rivals); err != nil {
			return err
		}
		for _, op := range rivals {
			op.(*ledger.Transact).RefID += " of a rival"
			if _, err := book.Post(op); err != nil {
				return err
			}
		}
		if err := tx.Save(ctx, account, book.Changes()); err != nil {
			return err
		}
		go func() { answers <- second(repotest.Post(t, d.Store, account, repotest.Now, batch...)) }()
		d.AwaitLock(t)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, err := range <-answers {
		if err != nil {
			t.Errorf("operation %d: %v", i, err)
		}
	}
}

func second[A, B any](_ A, b B) B { return b }
