package ledger_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// Changes of any two kinds are not nothing.
func TestChangesAreEmpty(t *testing.T) {
	t.Parallel()
	fill := []func(*ledger.Changes){
		func(c *ledger.Changes) { c.NewCards = make([]ledger.Card, 1) },
		func(c *ledger.Changes) { c.Cards = make([]ledger.Card, 1) },
		func(c *ledger.Changes) { c.Posted = make([]ledger.Card, 1) },
		func(c *ledger.Changes) { c.Txns = make([]ledger.Transaction, 1) },
		func(c *ledger.Changes) { c.NewHolds = make([]ledger.Hold, 1) },
		func(c *ledger.Changes) { c.Holds = make([]ledger.Hold, 1) },
		func(c *ledger.Changes) { c.NewTokens = make([]ledger.Token, 1) },
		func(c *ledger.Changes) { c.Tokens = make([]ledger.Token, 1) },
	}
	if c := (ledger.Changes{}); !c.Empty() {
		t.Error("nothing is not empty")
	}
	for i, one := range fill {
		for k, other := range fill {
			var c ledger.Changes
			one(&c)
			other(&c)
			if c.Empty() {
				t.Errorf("changes of the kinds %d and %d are empty", i, k)
			}
		}
	}
}

// A value that two operations offer is the first one's.
func TestOfferedRefs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 100))
	w.do(w.create("B", 100))
	book := ledger.NewBook(testAccount, w.now)
	for _, name := range []string{"A", "B"} {
		book.AddCard(w.card(name))
	}
	ops := []ledger.Operation{
		w.token("A", "a", "guess"), w.token("B", "b", "guess", "other"), w.token("nobody", "c", "third"),
		byToken(w.draw("", "one", 1), "guess"), byToken(w.draw("", "two", 1), "other"),
		byToken(w.draw("", "three", 1), "third"), byToken(w.draw("", "four", 1), "unknown"), w.draw("A", "five", 1),
	}
	want := []ledger.RefKey{{Card: w.card("A").ID, RefID: "one"}, {Card: w.card("B").ID, RefID: "two"}}
	if got := book.OfferedRefs(ops); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A card whose figures no server can have written takes no transaction.
func TestCorruptCardIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 100))
	card := w.card("A")
	card.Pending = ledger.MaxAmount
	book := ledger.NewBook(testAccount, w.now)
	book.AddCard(card)
	if _, err := book.Post(w.pend("A", "hold", 1)); !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("got %v, want ErrCorrupt", err)
	}
	if changes := book.Changes(); !changes.Empty() {
		t.Errorf("it has changed %+v", changes)
	}
}

// Whoever tells others of activations learns of those that happened, in their order, and
// of each once.
func TestActivationsAreNoted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.batch("A", "B", "broken"))
	broken := w.card("broken")
	broken.Funds = ledger.MaxAmount // which no server can have written
	book := ledger.NewBook(testAccount, w.now)
	for _, card := range []ledger.Card{w.card("A"), w.card("B"), broken} {
		book.AddCard(card)
	}
	empty, full := w.activate("B", 0), w.activate("A", 5)
	for _, op := range []ledger.Operation{empty, full, empty} {
		if _, err := book.Post(op); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := book.Post(w.activate("broken", 5)); !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("the broken card: %v, want ErrCorrupt", err)
	}
	changes := book.Changes()
	if want := []uuid.UUID{w.card("B").ID, w.card("A").ID}; !slices.Equal(changes.Activated, want) {
		t.Errorf("noted %v, want %v", changes.Activated, want)
	}
	if changes.At != w.now {
		t.Errorf("at %d, want %d", changes.At, w.now)
	}
}

// Which data key new tokens are hashed under matters only where there are several.
func TestTokenKeyIsAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.token("A", "t", "x", "y"), w.token("A", "t", "x", "y")
	two.New.Candidates[0].Others = []ledger.KeyedHash{{KeyID: "key-2", Hash: "x under key-2"}}
	for name, test := range map[string]struct {
		op   ledger.Operation
		want bool
		from []string
	}{
		"one key":  {one, false, []string{hashOf("x"), hashOf("y")}},
		"two keys": {two, true, []string{hashOf("x"), "x under key-2", hashOf("y")}},
	} {
		var keys ledger.Keys
		test.op.Keys(&keys)
		if keys.TokenKey != test.want || !slices.Equal(keys.Candidates, test.from) {
			t.Errorf("%s: %+v", name, keys)
		}
	}
	deletion := w.delete("A")
	var keys ledger.Keys
	deletion.Keys(&keys)
	if len(keys.Cards) != 0 || !slices.Equal(keys.CardIDs, []string{"A"}) {
		t.Errorf("a deletion that was not decided yet: %+v", keys)
	}
}
