package ledger_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/ledgertest"
)

const (
	// stepsPerScript keeps histories long enough to matter and short enough for a
	// model that adds up everything each time.
	stepsPerScript = 5000
	// scripts makes the normal run more than a million operations long.
	scripts = 201
	// shortScripts is for go test -short, and for the race detector.
	shortScripts = 10
)

// Every outcome, figure and row of random scripts agrees with the independent
// model (I1 to I3, I5 to I7), each script with another shape.
func TestRandomScripts(t *testing.T) {
	t.Parallel()
	n := scripts
	if testing.Short() {
		n = shortScripts
	}
	operations := 0
	for _, seed := range ledgertest.Seeds(t, 1, n) {
		store := ledgertest.NewMemory()
		r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test must be repeatable
		store.Split = func(n int) int { return 1 + r.IntN(n) }
		ledgertest.Run(t, store, ledgertest.Options{
			Seed: seed, Steps: stepsPerScript, CheckEvery: stepsPerScript / 2,
			Accounts: 1 + int(seed%3), Cards: 1 + int(seed%9), MaxBatch: 1 + int(seed%4)*10, //nolint:gosec // small
			Observe: func(ledger.Operation, ledgertest.Answer) { operations++ },
		})
	}
	t.Logf("%d operations", operations)
}

// I4: a refusal leaves the book as it was, but for the failure counter of a PIN.
func TestRefusalChangesNothing(t *testing.T) {
	t.Parallel()
	refusals := 0
	guarded := func(b *ledger.Book, op ledger.Operation) (ledger.Result, error) {
		before := b.Changes()
		result, err := b.Post(op)
		var refusal *ledger.Refusal
		if !errors.As(err, &refusal) {
			return result, err
		}
		refusals++
		after := b.Changes()
		if carriesPIN(op) {
			before, after = withoutCounters(allCards(before)), withoutCounters(allCards(after))
			after.Cards = slices.DeleteFunc(after.Cards, func(c ledger.Card) bool { return onlyCounted(c, before) })
		}
		if !reflect.DeepEqual(before, after) {
			t.Errorf("refused with %s, changes were\n%+v\nand are\n%+v", refusal.Code, before, after)
		}
		if !reflect.DeepEqual(result, ledger.Result{}) {
			t.Errorf("refused with %s, and a result: %+v", refusal.Code, result)
		}
		return result, err
	}
	for _, seed := range ledgertest.Seeds(t, 1000, 8) {
		store := ledgertest.NewMemory()
		store.Post = guarded
		ledgertest.Run(t, store, ledgertest.Options{Seed: seed, Steps: 3000, MaxBatch: 15})
	}
	if refusals < 1000 {
		t.Errorf("only %d refusals", refusals)
	}
}

func carriesPIN(op ledger.Operation) bool {
	switch op := op.(type) {
	case *ledger.Transact:
		return op.PIN.Compare != nil
	case *ledger.CheckPIN:
		return op.PIN.Compare != nil
	}
	return false
}

// allCards makes one list of the changed cards: the counter of a PIN is not among
// what a transaction moves, so a card that is counted on changes lists.
func allCards(c ledger.Changes) ledger.Changes {
	c.Cards = append(append([]ledger.Card{}, c.Cards...), c.Posted...) // not nil, whatever there is
	slices.SortFunc(c.Cards, func(a, b ledger.Card) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	c.Posted = nil
	return c
}

// withoutCounters takes the failure counters out of a list of changes.
func withoutCounters(c ledger.Changes) ledger.Changes {
	for _, cards := range []*[]ledger.Card{&c.NewCards, &c.Cards} {
		*cards = slices.Clone(*cards)
		for i := range *cards {
			if was := (*cards)[i].PIN; was != nil {
				pin := *was
				pin.Failures, pin.LockedUntil = 0, nil
				(*cards)[i].PIN = &pin
			}
		}
	}
	return c
}

// onlyCounted tells whether a card was touched by its counter alone; the model has
// compared the rest of its row.
func onlyCounted(c ledger.Card, before ledger.Changes) bool {
	return !slices.ContainsFunc(before.Cards, func(b ledger.Card) bool { return b.ID == c.ID })
}

// I9: however a sequence is cut into batches, the rows are the same, digests
// included.
func TestAnySplitGivesTheSameRows(t *testing.T) {
	t.Parallel()
	for _, seed := range ledgertest.Seeds(t, 2000, 8) {
		var want [32]byte
		for name, split := range map[string]func(*rand.Rand) func(int) int{
			"one by one": func(*rand.Rand) func(int) int { return func(int) int { return 1 } },
			"at once":    func(*rand.Rand) func(int) int { return nil },
			"at random":  func(r *rand.Rand) func(int) int { return func(n int) int { return 1 + r.IntN(n) } },
			"in pairs":   func(*rand.Rand) func(int) int { return func(n int) int { return min(n, 2) } },
		} {
			store := ledgertest.NewMemory()
			store.Split = split(rand.New(rand.NewPCG(seed, 2))) //nolint:gosec // a test must be repeatable
			ledgertest.Run(t, store, ledgertest.Options{Seed: seed, Steps: 3000, Accounts: 1, Cards: 4, MaxBatch: 60})
			got := dump(t, store, "T00000001")
			if want == [32]byte{} {
				want = got
			}
			if got != want {
				t.Errorf("seed %d: the rows differ when it is posted %s", seed, name)
			}
		}
	}
}

// I7: the history alone gives back a card's figures and its holds.
func TestReplayRestoresCards(t *testing.T) {
	t.Parallel()
	store := ledgertest.NewMemory()
	ledgertest.Run(t, store, ledgertest.Options{Seed: 3000, Steps: 20_000, Accounts: 1, Cards: 5})
	for _, card := range store.Cards("T00000001") {
		txns, err := store.Transactions(t.Context(), "T00000001", card.ID)
		if err != nil {
			t.Fatal(err)
		}
		var balance ledger.Balance
		holds := map[uuid.UUID]ledger.Hold{}
		for i := range txns {
			txn := &txns[i]
			if balance, err = ledger.Project(balance, txn); err != nil {
				t.Fatalf("project: %v", err)
			}
			switch {
			case txn.Type == ledger.TypePending:
				holds[txn.ID] = ledger.OpenHold(txn)
			case txn.Address == ledger.ByTransaction:
				if holds[txn.Parent], err = ledger.SettleHold(holds[txn.Parent], txn); err != nil {
					t.Fatalf("settle: %v", err)
				}
			}
		}
		if balance != card.Balance {
			t.Errorf("replayed %+v, stored %+v", balance, card.Balance)
		}
		stored, err := store.Holds(t.Context(), "T00000001", card.ID)
		if err != nil || len(stored) != len(holds) {
			t.Fatalf("%d holds replayed, %d stored, %v", len(holds), len(stored), err)
		}
		for _, h := range stored {
			if holds[h.ID] != h {
				t.Errorf("replayed %+v, stored %+v", holds[h.ID], h)
			}
		}
	}
}

// dump hashes every row of an account.
func dump(t testing.TB, store *ledgertest.Memory, account string) [32]byte {
	t.Helper()
	hash := sha256.New()
	rows := json.NewEncoder(hash)
	for _, card := range store.Cards(account) {
		txns, err1 := store.Transactions(t.Context(), account, card.ID)
		holds, err2 := store.Holds(t.Context(), account, card.ID)
		tokens, err3 := store.Tokens(t.Context(), account, card.ID)
		slices.SortFunc(holds, func(a, b ledger.Hold) int { return slices.Compare(a.ID[:], b.ID[:]) })
		slices.SortFunc(tokens, func(a, b ledger.Token) int { return slices.Compare(a.ID[:], b.ID[:]) })
		err4 := rows.Encode([]any{card, txns, holds, tokens})
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			t.Fatal(err)
		}
	}
	return [32]byte(hash.Sum(nil))
}
