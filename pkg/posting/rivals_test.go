package posting

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// servers are posters with stores of their own on one PostgreSQL.
type servers []*bench

func newServers(t *testing.T, n int) servers {
	t.Helper()
	o := repotest.Postgres(t)
	first := repotest.Migrated(t, o)
	all := servers{newBench(t, first, Options{})}
	for len(all) < n {
		all = append(all, newBench(t, repotest.Database{Store: repotest.Open(t, o), Options: o}, Options{}))
	}
	return all
}

// race submits one operation to each server at once, several to each if there are
// more, and returns their answers.
func (s servers) race(t *testing.T, ops ...ledger.Operation) ([]ledger.Result, []error) {
	t.Helper()
	results, errs := make([]ledger.Result, len(ops)), make([]error, len(ops))
	start := make(chan struct{})
	var running sync.WaitGroup
	for i, op := range ops {
		running.Go(func() {
			<-start
			results[i], errs[i] = s[i%len(s)].Submit(t.Context(), repotest.Account, op)
		})
	}
	close(start)
	running.Wait()
	return results, errs
}

// winner returns the answer of the only winner, and checks that everybody else was
// refused with the code.
func winner(t *testing.T, results []ledger.Result, errs []error, code ledger.Code) ledger.Result {
	t.Helper()
	var won []ledger.Result
	for i, err := range errs {
		switch {
		case err == nil:
			won = append(won, results[i])
		case !refusedWith(err, code):
			t.Errorf("a loser: %v, want %s", err, code)
		}
	}
	if len(won) != 1 {
		t.Fatalf("%d winners: %v", len(won), errs)
	}
	return won[0]
}

// repeatedly makes n operations, each with ids of its own.
func repeatedly(n int, next func() ledger.Operation) []ledger.Operation {
	var ops []ledger.Operation
	for range n {
		ops = append(ops, next())
	}
	return ops
}

const (
	rivalServers = 3
	rivals       = 6
)

func rounds() int {
	if testing.Short() || repotest.RaceDetector {
		return 5
	}
	return 25
}

func TestRivalsForACardID(t *testing.T) {
	t.Parallel()
	all := newServers(t, rivalServers)
	for round := range rounds() {
		name := fmt.Sprint("card", round)
		results, errs := all.race(t, repeatedly(rivals, func() ledger.Operation { return creation(t, name, 7) })...)
		won := winner(t, results, errs, ledger.CodeCardExists)
		for _, err := range errs {
			if refusal, is := err.(*ledger.Refusal); is && refusal.Problems[0].ExistingID != won.Cards[0].ID { //nolint:errorlint // exactly this
				t.Errorf("the refusal names %s, the card is %s", refusal.Problems[0].ExistingID, won.Cards[0].ID)
			}
		}
	}
	auditAccount(t, all[0].store, all[0].raw, repotest.Account)
}

// Overlapping batches in opposite orders: one of each pair is created as a whole.
func TestRivalBatches(t *testing.T) {
	t.Parallel()
	all := newServers(t, 2)
	const cards = 50
	for round := range rounds() {
		batch := func(backwards bool) ledger.Operation {
			op := &ledger.CreateCards{Batch: true}
			for n := range cards {
				if backwards {
					n = cards - 1 - n
				}
				op.Cards = append(op.Cards, creation(t, fmt.Sprintf("%d-%d", round, n), 0).Cards...)
			}
			return op
		}
		results, errs := all.race(t, batch(false), batch(true))
		if won := winner(t, results, errs, ledger.CodeCardExists); len(won.Cards) != cards {
			t.Errorf("the winner has %d cards", len(won.Cards))
		}
	}
	if n := all[0].raw.Number(t, "SELECT count(*) FROM cards"); n != int64(cards*rounds()) {
		t.Errorf("%d cards, want %d", n, cards*rounds())
	}
}

func TestRivalsForARefID(t *testing.T) {
	t.Parallel()
	all := newServers(t, rivalServers)
	all[0].must(t, creation(t, "card", 1_000_000))
	for round := range rounds() {
		ref := fmt.Sprint("same", round)
		results, errs := all.race(t, repeatedly(rivals, func() ledger.Operation {
			return transact(t, ledger.ActionDrawdown, "card", ref, 5)
		})...)
		fresh := 0
		for i, err := range errs {
			if err != nil || results[i].Txn.ID != results[0].Txn.ID || results[i].Txn.Digest != results[0].Txn.Digest {
				t.Fatalf("the same request: %+v and %+v, %v", results[i].Txn, results[0].Txn, err)
			}
			if !results[i].Replayed {
				fresh++
			}
		}
		if fresh != 1 {
			t.Errorf("%d of the same requests were new", fresh)
		}
		amount := int64(0)
		results, errs = all.race(t, repeatedly(rivals, func() ledger.Operation {
			amount++
			return transact(t, ledger.ActionDrawdown, "card", fmt.Sprint("other", round), amount)
		})...)
		winner(t, results, errs, ledger.CodeRefIDConflict)
	}
	if n := all[0].raw.Number(t, "SELECT count(*) FROM transactions"); n != int64(1+2*rounds()) {
		t.Errorf("%d transactions, want %d", n, 1+2*rounds())
	}
	auditAccount(t, all[0].store, all[0].raw, repotest.Account)
}

func TestRivalsForTokenValues(t *testing.T) {
	t.Parallel()
	all := newServers(t, rivalServers)
	var names []string
	for n := range rivals {
		names = append(names, fmt.Sprint("card", n))
		all[0].must(t, creation(t, names[n], 0))
	}
	for round := range rounds() {
		var candidates []string // one too few for everybody
		for n := range rivals - 1 {
			candidates = append(candidates, fmt.Sprintf("%d-%d", round, n))
		}
		next := 0
		results, errs := all.race(t, repeatedly(rivals, func() ledger.Operation {
			next++
			return &ledger.CreateToken{CardID: names[next-1], New: *newToken(t, fmt.Sprint("ref", round), candidates...)}
		})...)
		taken, exhausted := map[string]bool{}, 0
		for i, err := range errs {
			switch {
			case refusedWith(err, ledger.CodeTokenSpaceExhausted):
				exhausted++
			case err != nil:
				t.Fatal(err)
			default:
				hash := results[i].Token.Hash
				if taken[hash] || candidates[results[i].Choices[0]] != hash {
					t.Errorf("value %s was given out twice, or is not the choice %v", hash, results[i].Choices)
				}
				taken[hash] = true
			}
		}
		if exhausted != 1 || len(taken) != rivals-1 {
			t.Errorf("%d values were given out, %d found none", len(taken), exhausted)
		}
	}
}

func TestRivalsForASingleUseToken(t *testing.T) {
	t.Parallel()
	all := newServers(t, rivalServers)
	all[0].must(t, creation(t, "card", 1_000_000))
	for round := range rounds() {
		hash := fmt.Sprint("hash", round)
		all[0].must(t, &ledger.CreateToken{CardID: "card", New: *newToken(t, hash, hash)})
		n := 0
		results, errs := all.race(t, repeatedly(rivals, func() ledger.Operation {
			n++
			op := transact(t, ledger.ActionDrawdown, "", fmt.Sprintf("%d-%d", round, n), 1)
			op.TokenHash = hash
			return op
		})...)
		winner(t, results, errs, ledger.CodeTokenUsed)
	}
	auditAccount(t, all[0].store, all[0].raw, repotest.Account)
}

// The last money, the rest of a hold, the activation and the deletion of a card are
// had once.
func TestRivalsForWhatThereIsOnce(t *testing.T) {
	t.Parallel()
	all := newServers(t, rivalServers)
	for round := range rounds() {
		name := fmt.Sprint("card", round)
		waiting := creation(t, name, 0)
		waiting.Batch, waiting.Cards[0].Card.Activated, waiting.Cards[0].Card.Currency = true, false, ""
		all[0].must(t, waiting)
		results, errs := all.race(t, repeatedly(rivals, func() ledger.Operation {
			return &ledger.Activate{ID: repotest.ID(t), CardID: name, Amount: 100, Currency: ledger.NOK, By: "clerk"}
		})...)
		winner(t, results, errs, ledger.CodeCardAlreadyActive)

		n := 0
		results, errs = all.race(t, repeatedly(rivals, func() ledger.Operation {
			n++
			return transact(t, ledger.ActionPending, name, fmt.Sprint("hold", n), 60)
		})...)
		hold := winner(t, results, errs, ledger.CodeInsufficientFunds).Txn.ID

		results, errs = all.race(t, repeatedly(rivals, func() ledger.Operation {
			n++
			op := transact(t, []ledger.Action{ledger.ActionCapture, ledger.ActionVoid}[n%2], "", fmt.Sprint("settle", n), 0)
			op.Parent, op.AmountGiven = hold, false
			return op
		})...)
		winner(t, results, errs, ledger.CodeTransactionNotHeld)

		results, errs = all.race(t, repeatedly(rivals, func() ledger.Operation {
			return &ledger.DeleteCard{ID: repotest.ID(t), CardID: name, By: "clerk"}
		})...)
		winner(t, results, errs, ledger.CodeNotFound)
	}
	auditAccount(t, all[0].store, all[0].raw, repotest.Account)
}

// Parallel guesses at a PIN, on several servers, are five wrong ones and no more.
func TestRivalGuesses(t *testing.T) {
	t.Parallel()
	all := newServers(t, rivalServers)
	op := creation(t, "card", 0)
	op.Cards[0].Card.PIN = &ledger.PIN{ID: repotest.ID(t), Hash: "hash", KeyID: "key"}
	op.Cards[0].Token = newToken(t, "", "hash")
	all[0].must(t, op)
	const guesses = 40
	_, errs := all.race(t, repeatedly(guesses, func() ledger.Operation {
		return &ledger.CheckPIN{TokenHash: "hash", PIN: ledger.PINCheck{
			Compare: func(uuid.UUID, *ledger.PIN) (bool, error) { return false, nil },
		}}
	})...)
	wrong, locked := 0, 0
	for _, err := range errs {
		switch {
		case refusedWith(err, ledger.CodeInvalidPIN):
			wrong++
		case refusedWith(err, ledger.CodePINLocked):
			locked++
		}
	}
	if wrong != ledger.MaxPINFailures || wrong+locked != guesses {
		t.Errorf("%d wrong and %d locked of %d guesses", wrong, locked, guesses)
	}
}
