package ledger_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/ledgertest"
)

const (
	testAccount = "T12345678"
	noon        = ledger.Micros(1_767_268_800_000_000) // 2026-01-01T12:00:00Z
)

// world is one account on the bare ledger, with a clock to move.
type world struct {
	t     testing.TB
	store *ledgertest.Memory
	now   ledger.Micros
	ids   uint64
}

func newWorld(t testing.TB) *world {
	return &world{t: t, store: ledgertest.NewMemory(), now: noon}
}

// id draws the next id.
func (w *world) id() uuid.UUID {
	w.ids++
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[8:], w.ids)
	id[6], id[8] = 0x70, 0x80
	return id
}

func (w *world) later(d time.Duration) { w.now = w.now.Add(d) }

// try posts an operation; a failure that is no refusal ends the test.
func (w *world) try(op ledger.Operation) (ledger.Result, *ledger.Refusal) {
	w.t.Helper()
	result, err := w.store.Submit(w.t.Context(), testAccount, w.now, op)
	var refusal *ledger.Refusal
	if err != nil && !errors.As(err, &refusal) {
		w.t.Fatalf("post: %v", err)
	}
	return result, refusal
}

// do posts an operation that must be accepted.
func (w *world) do(op ledger.Operation) ledger.Result {
	w.t.Helper()
	result, refusal := w.try(op)
	if refusal != nil {
		w.t.Fatalf("refused with %s %v", refusal.Code, refusal.Problems)
	}
	return result
}

// refuse posts an operation that must be refused with a code.
func (w *world) refuse(op ledger.Operation, code ledger.Code) *ledger.Refusal {
	w.t.Helper()
	_, refusal := w.try(op)
	if refusal == nil {
		w.t.Fatalf("accepted, must be refused with %s", code)
	}
	if refusal.Code != code {
		w.t.Fatalf("refused with %s, must be %s", refusal.Code, code)
	}
	return refusal
}

// replay posts an operation that must be answered from memory.
func (w *world) replay(op ledger.Operation) ledger.Result {
	w.t.Helper()
	result := w.do(op)
	if !result.Replayed {
		w.t.Fatal("not marked as replayed")
	}
	return result
}

// card is the newest card object of a card_id.
func (w *world) card(cardID string) ledger.Card {
	w.t.Helper()
	for _, c := range slices.Backward(w.store.Cards(testAccount)) {
		if c.CardID == cardID {
			return c
		}
	}
	w.t.Fatalf("no card %s", cardID)
	return ledger.Card{}
}

func (w *world) history(card uuid.UUID) []ledger.Transaction {
	w.t.Helper()
	txns, err := w.store.Transactions(w.t.Context(), testAccount, card)
	if err != nil {
		w.t.Fatal(err)
	}
	return txns
}

// create makes the operation that creates an active card.
func (w *world) create(cardID string, amount int64, change ...func(*ledger.NewCard)) *ledger.CreateCards {
	n := ledger.NewCard{
		Card: ledger.Card{
			ID: w.id(), CardID: cardID, Type: ledger.GiftCard, CreatedBy: "alice",
			Activated: true, Currency: ledger.NOK, Amount: amount,
		},
		OpeningID: w.id(),
	}
	for _, c := range change {
		c(&n)
	}
	return &ledger.CreateCards{Cards: []ledger.NewCard{n}}
}

// batch makes the operation that creates cards that wait for their activation.
func (w *world) batch(cardIDs ...string) *ledger.CreateCards {
	op := &ledger.CreateCards{Batch: true}
	for _, cardID := range cardIDs {
		op.Cards = append(op.Cards, ledger.NewCard{
			Card: ledger.Card{ID: w.id(), CardID: cardID, Type: ledger.GiftCard, CreatedBy: "alice"}, OpeningID: w.id(),
		})
	}
	return op
}

func (w *world) activate(cardID string, amount int64) *ledger.Activate {
	return &ledger.Activate{ID: w.id(), CardID: cardID, Amount: amount, Currency: ledger.NOK, By: "bob"}
}

// money makes a fund, drawdown or pending by card_id.
func (w *world) money(action ledger.Action, cardID, ref string, amount int64) *ledger.Transact {
	return &ledger.Transact{
		ID: w.id(), Action: action, RefID: ref, CardID: cardID, Amount: amount, AmountGiven: true,
		Currency: ledger.NOK, By: "alice",
	}
}

func (w *world) fund(cardID, ref string, amount int64) *ledger.Transact {
	return w.money(ledger.ActionFund, cardID, ref, amount)
}

func (w *world) draw(cardID, ref string, amount int64) *ledger.Transact {
	return w.money(ledger.ActionDrawdown, cardID, ref, amount)
}

func (w *world) pend(cardID, ref string, amount int64) *ledger.Transact {
	return w.money(ledger.ActionPending, cardID, ref, amount)
}

// byToken readdresses a request.
func byToken(op *ledger.Transact, value string) *ledger.Transact {
	op.CardID, op.TokenHash = "", hashOf(value)
	return op
}

func (w *world) capture(parent uuid.UUID, ref string, amount int64) *ledger.Transact {
	op := w.captureRest(parent, ref)
	op.Amount, op.AmountGiven = amount, true
	return op
}

func (w *world) captureRest(parent uuid.UUID, ref string) *ledger.Transact {
	return &ledger.Transact{ID: w.id(), Action: ledger.ActionCapture, RefID: ref, Parent: parent, By: "alice"}
}

func (w *world) void(parent uuid.UUID, ref string) *ledger.Transact {
	return &ledger.Transact{ID: w.id(), Action: ledger.ActionVoid, RefID: ref, Parent: parent, By: "alice"}
}

// hashOf stands in for the keyed hash of a token value.
func hashOf(value string) string { return "hash of " + value }

func (w *world) newToken(ref string, values ...string) ledger.NewToken {
	n := ledger.NewToken{Token: ledger.Token{
		ID: w.id(), RefID: ref, KeyID: "key-1", Shape: "default", SingleUse: true, CreatedBy: "alice",
	}}
	for _, value := range values {
		n.Candidates = append(n.Candidates, ledger.TokenCandidate{Hash: hashOf(value), Masked: "***" + value[len(value)-1:]})
	}
	return n
}

func (w *world) token(cardID, ref string, values ...string) *ledger.CreateToken {
	return &ledger.CreateToken{CardID: cardID, New: w.newToken(ref, values...)}
}

func (w *world) delete(cardID string) *ledger.DeleteCard {
	return &ledger.DeleteCard{ID: w.id(), CardID: cardID, By: "bob"}
}

// pinOf is the stored side of a PIN value.
func pinOf(id, card uuid.UUID, value string) ledger.PIN {
	return ledger.PIN{ID: id, Format: "{}", Hash: value + " of " + card.String(), KeyID: "key-1"}
}

func (w *world) withPIN(value string) func(*ledger.NewCard) {
	return func(n *ledger.NewCard) {
		pin := pinOf(w.id(), n.Card.ID, value)
		n.Card.PIN = &pin
	}
}

func (w *world) withToken(values ...string) func(*ledger.NewCard) {
	return func(n *ledger.NewCard) {
		token := w.newToken("", values...)
		n.Token = &token
	}
}

// sending is the check of a request that carries a PIN.
func sending(value string) ledger.PINCheck {
	return ledger.PINCheck{Compare: func(card uuid.UUID, pin *ledger.PIN) (bool, error) {
		return pin.Hash == pinOf(uuid.Nil, card, value).Hash, nil
	}}
}

func (w *world) rotate(cardID, value string) *ledger.RotatePIN {
	id := w.id()
	return &ledger.RotatePIN{CardID: cardID, ID: id, PINFor: func(card uuid.UUID) ledger.PIN { return pinOf(id, card, value) }}
}

// figures are a card's amounts, as an answer shows them.
type figures struct{ funds, drawdown, balance, pending, reserved, available int64 }

func figuresOf(c ledger.Card) figures {
	return figures{c.Funds, c.Drawdown, c.Balance.Balance(), c.Pending, c.Reserved, c.Available()}
}

func (w *world) expect(cardID string, want figures) {
	w.t.Helper()
	if got := figuresOf(w.card(cardID)); got != want {
		w.t.Fatalf("figures of %s are %+v, must be %+v", cardID, got, want)
	}
}
