package ledgertest

import (
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// The limits that the model believes in, written down a second time on purpose.
const (
	greatestAmount = 9_007_199_254_740_991
	pinTries       = 5
	pinPause       = 15 * time.Minute
)

func (m *Model) transact(now ledger.Micros, op *ledger.Transact) Expectation {
	card, token := m.named(op)
	if card == nil || card.said.DeletedAt != nil {
		return refused(ledger.CodeNotFound)
	}
	if i, known := card.refs[op.RefID]; known {
		return card.again(i, op, token)
	}
	if token != nil && token.expired(now) {
		return refused(ledger.CodeNotFound)
	}
	if e := card.tryPIN(now, op.PIN); e.Code != "" {
		return e
	}
	f := fact{
		id: op.ID, ref: op.RefID, amount: op.Amount, currency: card.said.Currency, asked: op, at: now, by: op.By,
	}
	var code ledger.Code
	if op.Parent != uuid.Nil {
		code = card.settle(op, &f)
	} else {
		code = card.move(now, op, token, &f)
	}
	if code != "" {
		return refused(code)
	}
	if token != nil {
		f.token = token.row.ID
		if token.row.SingleUse {
			token.by = op.ID
		}
	}
	m.accept(card, f)
	e := done(card)
	txn := card.txn(len(card.facts) - 1)
	e.Txn = &txn
	return e
}

// named finds the card that a request names, and the token it named it by.
func (m *Model) named(op *ledger.Transact) (*modelCard, *modelToken) {
	if op.Parent != uuid.Nil {
		return m.moved[op.Parent], nil
	}
	if op.TokenHash == "" {
		return m.live(op.CardID), nil
	}
	token := m.tokens[op.TokenHash]
	if token == nil {
		return nil, nil
	}
	return token.card, token
}

// move judges a fund, a drawdown or a pending.
func (c *modelCard) move(now ledger.Micros, op *ledger.Transact, token *modelToken, f *fact) ledger.Code {
	s := c.sum()
	spends := op.Action != ledger.ActionFund
	switch {
	case !c.said.Activated:
		return ledger.CodeCardInactive
	case c.said.ExpiresAt != nil && now >= *c.said.ExpiresAt:
		return ledger.CodeCardExpired
	case op.Currency != c.said.Currency:
		return ledger.CodeCurrencyMismatch
	case spends && c.said.ActiveFrom != nil && now < *c.said.ActiveFrom:
		return ledger.CodeCardNotActiveYet
	case token != nil && token.row.SingleUse && token.by != uuid.Nil:
		return ledger.CodeTokenUsed
	case spends && op.Amount > s.available():
		return ledger.CodeInsufficientFunds
	case !spends && s.funds+op.Amount > greatestAmount:
		return ledger.CodeAmountOverflow
	}
	switch op.Action {
	case ledger.ActionFund:
		f.kind = funded
	case ledger.ActionPending:
		f.kind = held
	case ledger.ActionDrawdown, ledger.ActionCapture, ledger.ActionVoid:
		f.kind = drawn
	}
	return ""
}

// settle judges a capture or a void.
func (c *modelCard) settle(op *ledger.Transact, f *fact) ledger.Code {
	c.sum()
	f.hold = -1
	for i := range c.facts {
		if c.facts[i].id == op.Parent && c.left[i] != settled {
			f.hold = i
		}
	}
	if f.hold < 0 {
		return ledger.CodeTransactionNotHeld
	}
	rest := c.left[f.hold]
	f.kind = captured
	if op.Action == ledger.ActionVoid {
		f.kind = voided
	}
	if op.Action == ledger.ActionVoid || !op.AmountGiven {
		f.amount = rest
	}
	if f.amount > rest {
		return ledger.CodeAmountExceedsReserve
	}
	return ""
}

// again judges a request whose ref_id the card knows already.
func (c *modelCard) again(i int, op *ledger.Transact, token *modelToken) Expectation {
	f := &c.facts[i]
	e := done(c)
	txn := c.txn(i)
	e.Txn = &txn
	if f.id == op.ID {
		return e
	}
	var problems []ledger.Problem
	note := func(pointer string) {
		problems = append(problems, ledger.Problem{Pointer: pointer, ExistingID: f.id})
	}
	atLeast := false
	switch {
	case f.asked == nil:
		note("/ref_id")
		atLeast = true
	case family(f.asked) != family(op):
		note("/type")
		atLeast = true
	default:
		compareRequests(f.asked, op, note)
		if f.token != uuid.Nil && token == nil {
			note("/card_id")
		}
		if token != nil && f.token != token.row.ID {
			note("/token")
		}
	}
	if problems != nil {
		return Expectation{Code: ledger.CodeRefIDConflict, Problems: problems, AtLeast: atLeast}
	}
	e.Replayed = true
	return e
}

// family tells which of the three endpoints a request came through.
func family(op *ledger.Transact) string {
	switch op.Action {
	case ledger.ActionCapture:
		return "capture"
	case ledger.ActionVoid:
		return "void"
	case ledger.ActionFund, ledger.ActionDrawdown, ledger.ActionPending:
		return "transactions"
	}
	panic("the model does not know this action")
}

// compareRequests names the fields in which two requests of a family differ.
func compareRequests(was, is *ledger.Transact, note func(pointer string)) {
	if (was.Action == ledger.ActionFund) != (is.Action == ledger.ActionFund) {
		note("/type")
	}
	if (was.Action == ledger.ActionPending) != (is.Action == ledger.ActionPending) {
		note("/pending")
	}
	if was.Parent != is.Parent {
		note("transaction_id")
	}
	if was.AmountGiven != is.AmountGiven || was.Amount != is.Amount {
		note("/amount")
	}
	if was.Currency != is.Currency {
		note("/currency")
	}
	if was.Metadata != is.Metadata {
		note("/metadata")
	}
	if was.OriginatedBy != is.OriginatedBy {
		note("/originated_by")
	}
}

// tryPIN judges the PIN of a request and counts it.
func (c *modelCard) tryPIN(now ledger.Micros, check ledger.PINCheck) Expectation {
	sent := check.Compare != nil
	if !sent {
		if c.pin != nil && check.Required {
			return refused(ledger.CodeInvalidPIN)
		}
		return Expectation{}
	}
	if c.pin == nil {
		return refused(ledger.CodeInvalidPIN)
	}
	if c.pin.locked != nil {
		if now < *c.pin.locked {
			wait := time.Duration(*c.pin.locked-now) * time.Microsecond
			if wait > pinPause { // the clock was set back meanwhile
				wait = pinPause
			}
			return Expectation{Code: ledger.CodePINLocked, RetryAfter: wait}
		}
		c.pin.locked, c.pin.wrong = nil, 0
	}
	if right, err := check.Compare(c.said.ID, &c.pin.row); err == nil && right {
		c.pin.wrong = 0
		return Expectation{}
	}
	if c.pin.wrong++; c.pin.wrong == pinTries {
		until := now + ledger.Micros(pinPause/time.Microsecond)
		c.pin.locked = &until
	}
	return refused(ledger.CodeInvalidPIN)
}

func (t *modelToken) expired(now ledger.Micros) bool {
	return t.row.ExpiresAt != nil && now >= *t.row.ExpiresAt
}
