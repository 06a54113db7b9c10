package ledger_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// guess tries a PIN on card A.
func (w *world) guess(value string) *ledger.Transact {
	op := w.draw("A", w.id().String(), 0)
	op.PIN = sending(value)
	return op
}

func TestPINLock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 10, w.withPIN("right")))
	for i := range 5 {
		refusal := w.refuse(w.guess("wrong"), ledger.CodeInvalidPIN)
		if pin := w.card("A").PIN; pin.Failures != i+1 || (pin.LockedUntil != nil) != (i == 4) || refusal.LocksPIN != (i == 4) {
			t.Fatalf("after %d wrong tries: %+v, refused with %+v", i+1, pin, refusal)
		}
	}
	if refusal := w.refuse(w.guess("right"), ledger.CodePINLocked); refusal.RetryAfter != 15*time.Minute || refusal.LocksPIN {
		t.Errorf("refused with %+v", refusal)
	}
	w.later(15*time.Minute - time.Microsecond)
	if refusal := w.refuse(w.guess("wrong"), ledger.CodePINLocked); refusal.RetryAfter != time.Microsecond {
		t.Errorf("retry after %s", refusal.RetryAfter)
	}
	if pin := w.card("A").PIN; pin.Failures != 5 {
		t.Errorf("tries were counted while the PIN was locked: %+v", pin)
	}
	w.later(time.Microsecond)
	w.refuse(w.guess("wrong"), ledger.CodeInvalidPIN) // the count has begun anew
	if pin := w.card("A").PIN; pin.Failures != 1 || pin.LockedUntil != nil {
		t.Errorf("after the lock: %+v", pin)
	}
	for range 3 {
		w.refuse(w.guess("wrong"), ledger.CodeInvalidPIN)
	}
	w.do(w.guess("right"))
	if pin := w.card("A").PIN; pin.Failures != 0 {
		t.Errorf("after the right PIN: %+v", pin)
	}
}

// A server whose clock is behind that of the one that locked the PIN promises no longer
// wait than there is.
func TestPINLockOfAnotherClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 10, w.withPIN("right")))
	for range 5 {
		w.refuse(w.guess("wrong"), ledger.CodeInvalidPIN)
	}
	w.later(-time.Second)
	if refusal := w.refuse(w.guess("right"), ledger.CodePINLocked); refusal.RetryAfter != ledger.PINLockTime {
		t.Errorf("retry after %s, which is more than a lock lasts", refusal.RetryAfter)
	}
}

func TestRotationUnlocks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 10, w.withPIN("right")))
	for range 5 {
		w.refuse(w.guess("wrong"), ledger.CodeInvalidPIN)
	}
	w.refuse(w.guess("right"), ledger.CodePINLocked)
	w.do(w.rotate("A", "new"))
	w.refuse(w.guess("right"), ledger.CodeInvalidPIN)
	w.do(w.guess("new"))
}

func TestPINWhereItIsSent(t *testing.T) {
	t.Parallel()
	required := func(op *ledger.Transact) *ledger.Transact { op.PIN.Required = true; return op }
	w := newWorld(t)
	w.do(w.create("A", 10, w.withPIN("right"), w.withToken("x")))
	w.do(w.create("B", 10, w.withToken("y")))

	w.do(w.draw("A", "d1", 1)) // a card with a PIN does not demand one
	w.refuse(required(w.draw("A", "d2", 1)), ledger.CodeInvalidPIN)
	if pin := w.card("A").PIN; pin.Failures != 0 {
		t.Errorf("a missing PIN was counted: %+v", pin)
	}
	w.do(required(w.draw("B", "d2", 1))) // a card without a PIN cannot demand one
	none := w.draw("B", "d3", 1)
	none.PIN = sending("right")
	for range 7 {
		w.refuse(none, ledger.CodeInvalidPIN) // a PIN for a card without one, never locked
	}

	w.do(&ledger.CheckPIN{TokenHash: hashOf("x"), PIN: sending("right")})
	w.do(&ledger.CheckPIN{TokenHash: hashOf("x")})
	w.refuse(&ledger.CheckPIN{TokenHash: hashOf("x"), PIN: ledger.PINCheck{Required: true}}, ledger.CodeInvalidPIN)
	w.refuse(&ledger.CheckPIN{TokenHash: hashOf("y"), PIN: sending("right")}, ledger.CodeInvalidPIN)
	w.do(&ledger.CheckPIN{TokenHash: hashOf("y"), PIN: ledger.PINCheck{Required: true}})
}

// Looks and transactions count together, and a right PIN counts also when the
// request is refused for another reason.
func TestPINCountIsOfTheCard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 10, w.withPIN("right"), w.withToken("x")))
	look := &ledger.CheckPIN{TokenHash: hashOf("x"), PIN: sending("wrong")}
	for range 2 {
		w.refuse(look, ledger.CodeInvalidPIN)
		w.refuse(w.guess("wrong"), ledger.CodeInvalidPIN)
	}
	tooMuch := w.draw("A", "d", 11)
	tooMuch.PIN = sending("right")
	w.refuse(tooMuch, ledger.CodeInsufficientFunds)
	if pin := w.card("A").PIN; pin.Failures != 0 {
		t.Errorf("%d wrong tries are left after a right one", pin.Failures)
	}
	for range 5 {
		w.refuse(look, ledger.CodeInvalidPIN)
	}
	w.refuse(look, ledger.CodePINLocked)
	w.refuse(w.guess("right"), ledger.CodePINLocked)
	w.do(w.draw("A", "d2", 1)) // without a PIN nothing is guessed
}

// Guesses of one batch see each other's count.
func TestGuessesInOneBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 10, w.withPIN("right")))
	var ops []ledger.Operation
	for range 5 {
		ops = append(ops, w.guess("wrong"))
	}
	ops = append(ops, w.guess("right"))
	for i, a := range w.store.SubmitAll(t.Context(), testAccount, w.now, ops) {
		want := ledger.CodeInvalidPIN
		if i == 5 {
			want = ledger.CodePINLocked
		}
		if a.Err == nil || refusalOf(t, a.Err).Code != want {
			t.Errorf("guess %d: %v, must be %s", i, a.Err, want)
		}
	}
}

// A PIN that cannot be compared is neither right nor wrong, and counts as nothing.
func TestPINUnderAnUnknownKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 100, w.withPIN("right"), w.withToken("x")))
	card := w.card("A")
	unknown := ledger.PINCheck{Compare: func(uuid.UUID, *ledger.PIN) (bool, error) { return true, ledger.ErrUnknownKey }}
	b := ledger.NewBook(testAccount, w.now)
	b.AddCard(card)
	b.AddToken(ledger.Token{ID: w.id(), Card: card.ID, Hash: hashOf("x")})
	pay := byToken(w.draw("", "pay", 1), "x")
	pay.PIN = unknown
	for _, op := range []ledger.Operation{&ledger.CheckPIN{TokenHash: hashOf("x"), PIN: unknown}, pay} {
		if _, err := b.Post(op); !errors.Is(err, ledger.ErrUnknownKey) {
			t.Errorf("%T: %v", op, err)
		}
	}
	if changes := b.Changes(); !changes.Empty() {
		t.Errorf("it has changed %+v", changes)
	}
}
