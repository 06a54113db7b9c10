package ledger_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// After a commit of unknown outcome the same operation is posted again. It has to
// recognise its rows and answer as it did: no replay, no card_exists, no second row.
func TestSecondAttemptRecognisesItsRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 1000, w.withPIN("old")))
	w.do(w.batch("waiting"))
	w.do(w.create("gone", 5))
	w.do(w.token("A", "tokens", "once"))
	hold, open := w.pend("A", "hold", 100), w.pend("A", "open", 100)
	w.do(hold)
	w.do(open)

	created := w.create("new", 50, w.withToken("x", "y"), w.withPIN("1"))
	list := w.batch("n1", "n2")
	token := w.newToken("", "once", "z") // the first value is taken
	list.Cards[1].Token = &token
	for _, c := range []struct {
		name string
		op   ledger.Operation
	}{
		{"create", created},
		{"create without money", w.create("empty", 0)},
		{"batch", list},
		{"activate", w.activate("waiting", 70)},
		{"fund", w.fund("A", "f", 5)},
		{"drawdown", w.draw("A", "d", 5)},
		{"drawdown by token", byToken(w.draw("", "dt", 5), "once")},
		{"pending", w.pend("A", "p", 5)},
		{"capture", w.capture(hold.ID, "c", 30)},
		{"capture of the rest", w.captureRest(hold.ID, "cr")},
		{"void", w.void(open.ID, "v")},
		{"create token", w.token("A", "t", "once", "v2", "v3")},
		{"rotate", w.rotate("A", "1234")},
		{"delete", w.delete("gone")},
	} {
		before := snapshot(w)
		first := w.do(c.op)
		after := snapshot(w)
		if first.Replayed || before == after {
			t.Errorf("%s: the first attempt changes nothing or is a replay", c.name)
		}
		w.later(time.Minute)
		second := w.do(c.op)
		if second.Replayed {
			t.Errorf("%s: the second attempt is taken for a client's retry", c.name)
		}
		if snapshot(w) != after {
			t.Errorf("%s: the second attempt changes something", c.name)
		}
		compareAttempts(t, c.name, first, second)
	}
}

// snapshot is everything that an account's cards have come to, as a comparable value.
func snapshot(w *world) [32]byte {
	w.t.Helper()
	return dump(w.t, w.store, testAccount)
}

func compareAttempts(t *testing.T, name string, first, second ledger.Result) {
	t.Helper()
	if len(first.Cards) != len(second.Cards) {
		t.Fatalf("%s: %d cards, then %d", name, len(first.Cards), len(second.Cards))
	}
	for i := range first.Cards {
		if first.Cards[i].ID != second.Cards[i].ID || first.Cards[i].Balance != second.Cards[i].Balance {
			t.Errorf("%s: card %d is %+v, then %+v", name, i, first.Cards[i], second.Cards[i])
		}
	}
	if second.Txn.ID != uuid.Nil && first.Txn != second.Txn || first.Token != second.Token {
		t.Errorf("%s: answered %+v %+v, then %+v %+v", name, first.Txn, first.Token, second.Txn, second.Token)
	}
	if len(first.Choices) != len(second.Choices) || len(first.Choices) > 0 && first.Choices[0] != second.Choices[0] {
		t.Errorf("%s: took the values %v, then %v", name, first.Choices, second.Choices)
	}
}

// Within one batch a second attempt recognises its rows too.
func TestSecondAttemptInTheSameBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	create, draw, remove := w.create("A", 10), w.draw("A", "d", 4), w.delete("A")
	answers := w.store.SubmitAll(t.Context(), testAccount, w.now, []ledger.Operation{create, create, draw, draw, remove, remove})
	for i, a := range answers {
		if a.Err != nil || a.Result.Replayed {
			t.Errorf("operation %d: %v, replayed: %t", i, a.Err, a.Result.Replayed)
		}
	}
	w.expect("A", figures{funds: 10, drawdown: 4, balance: 6, available: 6})
}

// A deletion whose batch was rolled back has decided on a card, and has to decide
// again: on the card that has the card_id by then.
func TestDeletionDecidesAgainAfterARollback(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 1))
	op := w.delete("A")
	lost := ledger.NewBook(testAccount, w.now)
	lost.AddCard(w.card("A"))
	if _, err := lost.Post(op); err != nil { // these changes are never saved
		t.Fatal(err)
	}
	w.do(w.delete("A")) // someone else was quicker
	w.refuse(op, ledger.CodeNotFound)
	w.do(w.create("A", 2))
	if got := w.do(op); got.Cards[0].Amount != 2 || !got.Cards[0].Deleted() {
		t.Errorf("the deletion took %+v", got.Cards[0])
	}
}

// A second attempt of a creation finds its card also when it was deleted since.
func TestCreationIsRecognisedAfterDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := w.create("A", 10, w.withToken("x", "y"))
	w.do(op)
	w.do(w.delete("A"))
	if got := w.do(op); got.Replayed || !got.Cards[0].Deleted() || len(got.Choices) != 1 || got.Choices[0] != 0 {
		t.Errorf("answered %+v", got)
	}
	w.do(w.create("A", 20))
	if got := w.do(op); got.Cards[0].ID != op.Cards[0].Card.ID {
		t.Errorf("answered with another card object: %+v", got)
	}
}

// A rotated PIN that was tried since keeps its count when the attempt repeats.
func TestRotationIsRecognisedAfterWrongTries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 10))
	op := w.rotate("A", "1234")
	w.do(op)
	wrong := w.draw("A", "d", 1)
	wrong.PIN = sending("9999")
	w.refuse(wrong, ledger.CodeInvalidPIN)
	w.do(op)
	if pin := w.card("A").PIN; pin.Failures != 1 {
		t.Errorf("the second attempt forgave %d wrong tries", 1-pin.Failures)
	}
	w.do(w.rotate("A", "1234")) // a new rotation does
	if pin := w.card("A").PIN; pin.Failures != 0 {
		t.Errorf("after a rotation %d wrong tries are left", pin.Failures)
	}
}
