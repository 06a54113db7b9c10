package ledgertest

import (
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// Model is a second opinion on what the ledger of one account must do. It shares
// no rule with package ledger, only the types of its rows: it remembers what was
// accepted, and adds up every figure from the beginning each time it is asked.
type Model struct {
	cards  []*modelCard             // every card object, in the order of creation
	object map[uuid.UUID]*modelCard // by object id
	moved  map[uuid.UUID]*modelCard // the card of each transaction
	tokens map[string]*modelToken   // by hash, whatever became of the token
	round  int                      // counts the hand-overs to the target
}

// kind is what a fact did.
type kind int

const (
	opened kind = iota
	funded
	drawn
	held
	captured
	voided
)

// fact is one accepted movement of money.
type fact struct {
	kind     kind
	id       uuid.UUID
	ref      string
	amount   int64
	currency ledger.Currency
	hold     int              // for captured and voided: the place of the hold among the card's facts
	asked    *ledger.Transact // the request; nil for an opening
	token    uuid.UUID        // the token that the request named
	at       ledger.Micros
	by       string
	round    int // in which it was accepted
}

// modelCard is a card object: what was said about it, and what happened to it.
type modelCard struct {
	said   ledger.Card // only what was said; no projected figure is ever set in it
	facts  []fact
	refs   map[string]int // the place of the fact with a ref_id
	tokens []*modelToken
	pin    *modelPIN
	left   []int64 // scratch space of sum
}

type modelToken struct {
	row  ledger.Token // as it was made
	card *modelCard
	by   uuid.UUID // the transaction that spent it
}

type modelPIN struct {
	row    ledger.PIN // as it was set
	wrong  int        // wrong tries in a row
	locked *ledger.Micros
}

// NewModel returns the model of an empty account.
func NewModel() *Model {
	return &Model{
		object: map[uuid.UUID]*modelCard{}, moved: map[uuid.UUID]*modelCard{}, tokens: map[string]*modelToken{},
	}
}

// Expectation is what the model says about an operation. Cards, Txn and Token are
// complete but for digests.
type Expectation struct {
	Code       ledger.Code      // empty when the operation is accepted
	Problems   []ledger.Problem // pointers and existing ids; nil when they do not matter
	AtLeast    bool             // there may be more problems than these
	RetryAfter time.Duration

	Replayed bool
	Cards    []ledger.Card
	Txn      *ledger.Transaction // nil when it does not matter
	Token    *ledger.Token       // likewise
	Choices  []int

	touched []*modelCard
}

func refused(code ledger.Code, problems ...ledger.Problem) Expectation {
	return Expectation{Code: code, Problems: problems}
}

// Apply says what an operation must come to at a moment, and remembers it.
func (m *Model) Apply(now ledger.Micros, op ledger.Operation) Expectation {
	e := m.judge(now, op)
	if e.touched == nil { // a refusal must not have changed the cards it is about
		e.touched = m.about(op)
	}
	return e
}

func (m *Model) judge(now ledger.Micros, op ledger.Operation) Expectation {
	switch op := op.(type) {
	case *ledger.CreateCards:
		return m.create(now, op)
	case *ledger.Activate:
		return m.activate(now, op)
	case *ledger.Transact:
		return m.transact(now, op)
	case *ledger.CreateToken:
		return m.createToken(now, op)
	case *ledger.RotatePIN:
		return m.rotate(op)
	case *ledger.CheckPIN:
		return m.checkPIN(now, op)
	case *ledger.DeleteCard:
		return m.delete(now, op)
	}
	panic("the model does not know this operation")
}

// about lists the card objects that an operation names, as far as it does.
func (m *Model) about(op ledger.Operation) []*modelCard {
	var c *modelCard
	switch op := op.(type) {
	case *ledger.CreateCards:
		c = m.live(op.Cards[0].Card.CardID)
	case *ledger.Activate:
		c = m.live(op.CardID)
	case *ledger.Transact:
		c, _ = m.named(op)
	case *ledger.CreateToken:
		c = m.live(op.CardID)
	case *ledger.RotatePIN:
		c = m.live(op.CardID)
	case *ledger.CheckPIN:
		if t := m.tokens[op.TokenHash]; t != nil {
			c = t.card
		}
	case *ledger.DeleteCard:
		c = m.live(op.CardID)
	}
	if c == nil {
		return nil
	}
	return []*modelCard{c}
}

// strayed tells whether an operation has succeeded on a card object that it would
// no longer find, because its card_id names another one by now. A second attempt
// could not recognise its own rows; the primary key stops it.
func (m *Model) strayed(op ledger.Operation) bool {
	switch op := op.(type) {
	case *ledger.Transact:
		was := m.moved[op.ID]
		is, _ := m.named(op)
		return was != nil && was != is
	case *ledger.Activate:
		for _, c := range m.cards {
			if c.said.ActivationID == op.ID {
				return c != m.live(op.CardID)
			}
		}
	case *ledger.CreateToken:
		for _, candidate := range op.New.Candidates {
			if t := m.tokens[candidate.Hash]; t != nil && t.row.ID == op.New.Token.ID {
				return t.card != m.live(op.CardID)
			}
		}
	}
	return false
}

// live finds the card that a card_id names now.
func (m *Model) live(cardID string) *modelCard {
	for i := len(m.cards) - 1; i >= 0; i-- { // the newest ones are asked for most
		if c := m.cards[i]; c.said.CardID == cardID && c.said.DeletedAt == nil {
			return c
		}
	}
	return nil
}

// sums are a card's figures.
type sums struct {
	funds, drawdown, pending int64
	open                     int64
}

func (s sums) balance() int64   { return s.funds - s.drawdown }
func (s sums) available() int64 { return s.funds - s.drawdown - s.pending }

// settled marks in modelCard.left a fact that locks nothing (any more).
const settled = -1

// sum adds up a card's facts. Afterwards c.left tells for each fact what it still
// locks, or that it is settled.
func (c *modelCard) sum() sums {
	var s sums
	left := c.left[:0]
	for i := range c.facts {
		f := &c.facts[i]
		rest := int64(settled)
		switch f.kind {
		case opened, funded:
			s.funds += f.amount
		case drawn:
			s.drawdown += f.amount
		case held:
			rest = f.amount
		case captured:
			s.drawdown += f.amount
			if left[f.hold] -= f.amount; left[f.hold] == 0 {
				left[f.hold] = settled
			}
		case voided:
			left[f.hold] = settled
		}
		left = append(left, rest)
	}
	for _, rest := range left {
		if rest != settled {
			s.pending += rest
			s.open++
		}
	}
	c.left = left
	return s
}

// row is the card as it must be stored now, without its digest.
func (c *modelCard) row() ledger.Card {
	row, s := c.said, c.sum()
	row.Balance = ledger.Balance{Funds: s.funds, Drawdown: s.drawdown, Pending: s.pending, Reserved: s.pending}
	row.OpenHolds, row.Seq = s.open, int64(len(c.facts))
	if len(c.facts) > 0 {
		row.LastTxnAt = c.facts[len(c.facts)-1].at
	}
	if c.pin != nil {
		pin := c.pin.row
		pin.Failures, pin.LockedUntil = c.pin.wrong, c.pin.locked
		row.PIN = &pin
	}
	return row
}

// status follows the table of the specification.
func (c *modelCard) status(now ledger.Micros) ledger.Status {
	s := c.sum()
	if !c.said.Activated {
		return ledger.StatusInactive
	}
	if c.said.ExpiresAt != nil && now >= *c.said.ExpiresAt {
		return ledger.StatusExpired
	}
	if s.drawdown == 0 {
		return ledger.StatusUnused
	}
	if s.balance() == 0 {
		return ledger.StatusUsed
	}
	return ledger.StatusPartiallyUsed
}

// txn is the transaction that a fact must be stored as, without its digest.
func (c *modelCard) txn(i int) ledger.Transaction {
	f := &c.facts[i]
	t := ledger.Transaction{
		ID: f.id, Card: c.said.ID, Seq: int64(i + 1), Amount: f.amount, Currency: f.currency, RefID: f.ref,
		Token: f.token, AmountGiven: true, CreatedAt: f.at, CreatedBy: f.by,
	}
	switch f.kind {
	case opened:
		t.Type, t.Address = ledger.TypeFund, ledger.ByOpening
		return t
	case funded:
		t.Type = ledger.TypeFund
	case drawn, captured:
		t.Type = ledger.TypeDrawdown
	case held:
		t.Type = ledger.TypePending
	case voided:
		t.Type = ledger.TypeVoided
	}
	t.Metadata, t.OriginatedBy, t.AmountGiven = f.asked.Metadata, f.asked.OriginatedBy, f.asked.AmountGiven
	switch {
	case f.kind == captured || f.kind == voided:
		t.Address, t.Parent = ledger.ByTransaction, f.asked.Parent
	case f.token != uuid.Nil:
		t.Address = ledger.ByToken
	default:
		t.Address = ledger.ByCardID
	}
	return t
}

// holds lists the state that the card's holds must have.
func (c *modelCard) holds() []ledger.Hold {
	c.sum()
	var holds []ledger.Hold
	for i, f := range c.facts {
		if f.kind == held {
			holds = append(holds, ledger.Hold{
				ID: f.id, Card: c.said.ID, Amount: f.amount, Locked: max(c.left[i], 0), Open: c.left[i] != settled,
			})
		}
	}
	return holds
}

// stored is the token as it must be stored now.
func (t *modelToken) stored() ledger.Token {
	row := t.row
	row.SpentBy = t.by
	return row
}

// done is the expectation of an accepted operation that leaves these cards.
func done(cards ...*modelCard) Expectation {
	e := Expectation{touched: cards}
	for _, c := range cards {
		e.Cards = append(e.Cards, c.row())
	}
	return e
}

// accept notes a movement.
func (m *Model) accept(c *modelCard, f fact) {
	if n := len(c.facts); n > 0 && f.at < c.facts[n-1].at {
		f.at = c.facts[n-1].at
	}
	f.round = m.round
	c.refs[f.ref] = len(c.facts)
	c.facts = append(c.facts, f)
	m.moved[f.id] = c
}
