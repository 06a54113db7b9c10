package ledger_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// obstacle is one reason to refuse a drawdown by token, beside others.
type obstacle struct {
	code ledger.Code
	card func(*ledger.NewCard)   // brings the card into the state, or nil
	ask  func(*ledger.Transact)  // spoils the request, or nil
	then func(*world, uuid.UUID) // happens before the request, or nil
}

// obstacles are in the order of the checks. Every two of them can be combined but
// for those that spare says.
func obstacles() []obstacle {
	past, future := noon-1, noon.Add(24*time.Hour)
	spend := func(w *world, _ uuid.UUID) { w.do(byToken(w.fund("", "spent", 0), "once")) }
	return []obstacle{
		{code: ledger.CodeNotFound, ask: func(op *ledger.Transact) { op.TokenHash = hashOf("unknown") }},
		{code: ledger.CodeRefIDConflict, ask: func(op *ledger.Transact) { op.RefID = "earlier" }},
		{code: ledger.CodeInvalidPIN, ask: func(op *ledger.Transact) { op.PIN = sending("wrong") }},
		{code: ledger.CodeCardInactive, card: func(n *ledger.NewCard) { n.Card.Activated = false }},
		{code: ledger.CodeCardExpired, card: func(n *ledger.NewCard) { n.Card.ExpiresAt = &past }},
		{code: ledger.CodeCurrencyMismatch, ask: func(op *ledger.Transact) { op.Currency = ledger.EUR }},
		{code: ledger.CodeCardNotActiveYet, card: func(n *ledger.NewCard) { n.Card.ActiveFrom = &future }},
		{code: ledger.CodeTokenUsed, then: spend},
		{code: ledger.CodeInsufficientFunds, ask: func(op *ledger.Transact) { op.Amount = 101 }},
	}
}

// meet posts a drawdown that meets some obstacles, and returns the refusal.
func meet(t *testing.T, met ...obstacle) *ledger.Refusal {
	t.Helper()
	w := newWorld(t)
	// The state is reached through a sound card: facts first, obstacles second.
	sound := w.create("A", 100, w.withPIN("right"), w.withToken("once"))
	w.do(sound)
	w.do(w.fund("A", "earlier", 0))
	for _, o := range met {
		if o.then != nil {
			o.then(w, sound.Cards[0].Card.ID)
		}
	}
	op := byToken(w.draw("", "new", 50), "once")
	op.PIN = sending("right")
	for _, o := range met {
		if o.ask != nil {
			o.ask(op)
		}
	}
	book := ledger.NewBook(testAccount, w.now)
	card := w.card("A")
	changed := ledger.NewCard{Card: card}
	for _, o := range met {
		if o.card != nil {
			o.card(&changed)
		}
	}
	book.AddCard(changed.Card)
	tokens, err := w.store.Tokens(t.Context(), testAccount, card.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range tokens {
		book.AddToken(token)
	}
	for _, txn := range w.history(card.ID) {
		book.AddTxn(txn)
	}
	_, err = book.Post(op)
	if err == nil {
		return nil
	}
	return refusalOf(t, err)
}

func refusalOf(t *testing.T, err error) *ledger.Refusal {
	t.Helper()
	refusal, is := err.(*ledger.Refusal) //nolint:errorlint // Post returns the refusal itself
	if !is {
		t.Fatalf("no refusal but %v", err)
	}
	return refusal
}

func TestOrderOfChecks(t *testing.T) {
	t.Parallel()
	if refusal := meet(t); refusal != nil {
		t.Fatalf("without an obstacle: %s", refusal.Code)
	}
	all := obstacles()
	for i, first := range all {
		if refusal := meet(t, first); refusal == nil || refusal.Code != first.code {
			t.Errorf("%s alone: %v", first.code, refusal)
		}
		for _, second := range all[i+1:] {
			for _, both := range [][]obstacle{{first, second}, {second, first}} {
				if refusal := meet(t, both...); refusal == nil || refusal.Code != first.code {
					t.Errorf("%s and %s: %v", first.code, second.code, refusal)
				}
			}
		}
	}
	if refusal := meet(t, all...); refusal == nil || refusal.Code != ledger.CodeNotFound {
		t.Errorf("all obstacles: %v", refusal)
	}
	if refusal := meet(t, all[2:]...); refusal == nil || refusal.Code != ledger.CodeInvalidPIN {
		t.Errorf("all obstacles but the first two: %v", refusal)
	}
}

// What is checked of a settlement: target, ref_id, hold, amount.
func TestOrderOfSettlementChecks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 100))
	hold, closed := w.pend("A", "p1", 10), w.pend("A", "p2", 10)
	w.do(hold)
	w.do(closed)
	w.do(w.void(closed.ID, "v"))
	fund := w.fund("A", "f", 1)
	w.do(fund)

	w.refuse(w.capture(w.id(), "f", 11), ledger.CodeNotFound)         // and a taken ref_id, and the amount
	w.refuse(w.capture(closed.ID, "f", 11), ledger.CodeRefIDConflict) // and a closed hold, and the amount
	w.refuse(w.void(closed.ID, "f"), ledger.CodeRefIDConflict)        // and a closed hold
	w.refuse(w.capture(closed.ID, "c", 11), ledger.CodeTransactionNotHeld)
	w.refuse(w.capture(fund.ID, "c", 11), ledger.CodeTransactionNotHeld)
	w.refuse(w.void(fund.ID, "c"), ledger.CodeTransactionNotHeld)
	w.refuse(w.capture(hold.ID, "c", 11), ledger.CodeAmountExceedsReserve)
	w.do(w.capture(hold.ID, "c", 10)) // none of the refusals has used the ref_id
}

// A refused request uses no ref_id, and changes nothing.
func TestRefusalUsesNoRefID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 100))
	w.refuse(w.draw("A", "r", 101), ledger.CodeInsufficientFunds)
	w.refuse(w.pend("A", "r", 101), ledger.CodeInsufficientFunds)
	w.refuse(w.fund("A", "r", ledger.MaxAmount), ledger.CodeAmountOverflow)
	w.do(w.draw("A", "r", 100))
	if n := len(w.history(w.card("A").ID)); n != 2 {
		t.Errorf("%d transactions", n)
	}
}

func TestDatesAndKinds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	from, until := noon.Add(time.Hour), noon.Add(2*time.Hour)
	w.do(w.create("A", 100, func(n *ledger.NewCard) { n.Card.ActiveFrom, n.Card.ExpiresAt = &from, &until }))
	w.do(w.fund("A", "f1", 1)) // allowed before
	w.refuse(w.draw("A", "d", 1), ledger.CodeCardNotActiveYet)
	w.refuse(w.pend("A", "p", 1), ledger.CodeCardNotActiveYet)
	w.now = from - 1
	w.refuse(w.draw("A", "d", 1), ledger.CodeCardNotActiveYet)
	w.now = from
	w.do(w.draw("A", "d", 1))
	first, second := w.pend("A", "p1", 10), w.pend("A", "p2", 10)
	w.do(first)
	w.now = until - 1
	w.do(second)
	w.now = until
	w.refuse(w.fund("A", "f2", 1), ledger.CodeCardExpired)
	w.refuse(w.draw("A", "d2", 1), ledger.CodeCardExpired)
	w.refuse(w.pend("A", "p3", 1), ledger.CodeCardExpired)
	// What was promised in time is kept.
	w.do(w.capture(first.ID, "c", 4))
	w.do(w.captureRest(first.ID, "c2"))
	w.do(w.void(second.ID, "v"))
	w.expect("A", figures{funds: 101, drawdown: 11, balance: 90, available: 90})
	// The rest of a card's life goes on.
	w.do(w.token("A", "t", "value"))
	w.do(w.rotate("A", "1234"))
	w.do(w.delete("A"))
}

func TestInactiveCard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.batch("A"))
	for _, action := range []ledger.Action{ledger.ActionFund, ledger.ActionDrawdown, ledger.ActionPending} {
		w.refuse(w.money(action, "A", "r", 0), ledger.CodeCardInactive)
	}
	w.do(w.token("A", "t", "value"))
	w.do(w.rotate("A", "1234"))
	w.do(&ledger.CheckPIN{TokenHash: hashOf("value"), PIN: sending("1234")})
	w.do(w.delete("A"))
	w.refuse(w.activate("A", 5), ledger.CodeNotFound)
}

func TestUnknownActionIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 5))
	w.refuse(w.money("steal", "A", "r", 1), ledger.CodeInvalidRequest)
}

func TestDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := w.create("A", 100, w.withToken("old"))
	w.do(op)
	hold := w.pend("A", "p", 10)
	w.do(hold)
	w.refuse(w.delete("A"), ledger.CodeCardHasPending)
	w.do(w.capture(hold.ID, "c", 3))
	w.refuse(w.delete("A"), ledger.CodeCardHasPending)
	w.do(w.void(hold.ID, "v"))
	w.later(time.Minute)
	w.do(w.delete("A")) // with a balance
	gone := w.card("A")
	if !gone.Deleted() || *gone.DeletedAt != w.now || gone.DeletedBy != "bob" || gone.Funds != 100 {
		t.Errorf("the deleted card is %+v", gone)
	}
	w.refuse(w.delete("A"), ledger.CodeNotFound)
	w.refuse(w.draw("A", "d", 1), ledger.CodeNotFound)
	w.refuse(w.pend("A", "p", 10), ledger.CodeNotFound) // a replay is no exception
	w.refuse(byToken(w.draw("", "d", 1), "old"), ledger.CodeNotFound)
	w.refuse(&ledger.CheckPIN{TokenHash: hashOf("old")}, ledger.CodeNotFound)
	w.refuse(w.captureRest(hold.ID, "c2"), ledger.CodeNotFound)
	w.refuse(w.void(hold.ID, "v"), ledger.CodeNotFound)
	w.refuse(w.token("A", "t", "new"), ledger.CodeNotFound)
	w.refuse(w.rotate("A", "1234"), ledger.CodeNotFound)
	w.refuse(w.activate("A", 1), ledger.CodeNotFound)
}

// A card under an old card_id is another object: its own refs, tokens and money.
func TestRecreation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 100, w.withToken("old")))
	old := w.card("A").ID
	w.do(w.draw("A", "r", 40))
	w.do(w.token("A", "t", "spare"))
	w.do(w.delete("A"))
	w.do(w.create("A", 7))
	if w.card("A").ID == old {
		t.Fatal("the object is the same")
	}
	w.expect("A", figures{funds: 7, balance: 7, available: 7})
	again := w.draw("A", "r", 5) // a late retry meets the new card
	if w.do(again).Replayed {
		t.Error("answered from the deleted card's memory")
	}
	w.refuse(byToken(w.draw("", "d", 1), "old"), ledger.CodeNotFound)
	if token := w.do(w.token("A", "t", "old", "spare", "fresh")); token.Replayed || token.Choices[0] != 2 {
		t.Errorf("values of a deleted card's tokens are given out again: %+v", token.Choices)
	}
	if n := len(w.history(old)); n != 2 {
		t.Errorf("the old history has %d transactions", n)
	}
	w.do(w.delete("A"))
	w.do(w.create("A", 1))
	w.expect("A", figures{funds: 1, balance: 1, available: 1})
}

// The whole life of cards within one batch: nothing is left out of the rows.
func TestCreatedAndDeletedInOneBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 50))
	hold := w.pend("B", "p", 10)
	ops := []ledger.Operation{
		w.delete("A"),
		w.create("A", 3, w.withToken("t1")),
		byToken(w.draw("", "d", 3), "t1"),
		w.delete("A"),
		w.create("A", 4),
		w.create("B", 20), hold, w.captureRest(hold.ID, "c"), w.delete("B"),
		w.fund("A", "f", 1),
	}
	for i, answer := range w.store.SubmitAll(t.Context(), testAccount, w.now, ops) {
		if answer.Err != nil {
			t.Fatalf("operation %d: %v", i, answer.Err)
		}
	}
	w.expect("A", figures{funds: 5, balance: 5, available: 5})
	w.expect("B", figures{funds: 20, drawdown: 10, balance: 10, available: 10})
	if b := w.card("B"); !b.Deleted() || b.OpenHolds != 0 || b.Seq != 3 {
		t.Errorf("B is %+v", b)
	}
	cards := w.store.Cards(testAccount)
	if len(cards) != 4 || !cards[0].Deleted() || !cards[1].Deleted() || cards[2].Deleted() {
		t.Errorf("the cards are %+v", cards)
	}
	w.refuse(byToken(w.fund("", "x", 1), "t1"), ledger.CodeNotFound)
}

// A transaction of the same batch is known to be no hold.
func TestSettlementOfAFundInOneBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 10))
	fund := w.fund("A", "f", 5)
	answers := w.store.SubmitAll(t.Context(), testAccount, w.now, []ledger.Operation{fund, w.captureRest(fund.ID, "c")})
	if refusal := refusalOf(t, answers[1].Err); refusal.Code != ledger.CodeTransactionNotHeld {
		t.Errorf("refused with %s", refusal.Code)
	}
}

func TestCardExists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 5))
	existing := w.card("A").ID
	refusal := w.refuse(w.create("A", 5), ledger.CodeCardExists)
	if len(refusal.Problems) != 1 || refusal.Problems[0].Pointer != "/card_id" || refusal.Problems[0].ExistingID != existing {
		t.Errorf("the problems are %+v", refusal.Problems)
	}
	refusal = w.refuse(w.batch("B", "A", "B", "C", "A"), ledger.CodeCardExists)
	want := []ledger.Problem{
		{Pointer: "/cards/1/card_id", ExistingID: existing}, {Pointer: "/cards/2/card_id"}, {Pointer: "/cards/4/card_id", ExistingID: existing},
	}
	if len(refusal.Problems) != len(want) {
		t.Fatalf("the problems are %+v", refusal.Problems)
	}
	for i, p := range refusal.Problems {
		if p.Pointer != want[i].Pointer || p.ExistingID != want[i].ExistingID || p.Reason == "" {
			t.Errorf("problem %d is %+v", i, p)
		}
	}
	if n := len(w.store.Cards(testAccount)); n != 1 {
		t.Errorf("a refused batch left %d cards", n-1)
	}
	w.do(w.create("a", 5)) // ids are compared byte for byte
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.refuse(w.fund("A", "r", 1), ledger.CodeNotFound)
	w.refuse(byToken(w.fund("", "r", 1), "x"), ledger.CodeNotFound)
	w.refuse(w.captureRest(w.id(), "r"), ledger.CodeNotFound)
	w.refuse(w.void(w.id(), "r"), ledger.CodeNotFound)
	w.refuse(w.activate("A", 1), ledger.CodeNotFound)
	w.refuse(w.token("A", "t", "x"), ledger.CodeNotFound)
	w.refuse(w.rotate("A", "1"), ledger.CodeNotFound)
	w.refuse(w.delete("A"), ledger.CodeNotFound)
	w.refuse(&ledger.CheckPIN{TokenHash: hashOf("x")}, ledger.CodeNotFound)
}

// Two accounts may have the same ids without knowing of each other; their digests
// differ, since the account is part of them.
func TestAccountsAreApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := w.create("A", 5)
	w.do(op)
	if _, err := w.store.Submit(t.Context(), "T00000002", w.now, op); err != nil {
		t.Fatal(err)
	}
	other, err := w.store.Card(t.Context(), "T00000002", op.Cards[0].Card.ID)
	if err != nil || other.Digest == w.card("A").Digest {
		t.Errorf("%v, digests equal: %t", err, other.Digest == w.card("A").Digest)
	}
}
