package ledgertest

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

func (m *Model) create(now ledger.Micros, op *ledger.CreateCards) Expectation {
	if m.object[op.Cards[0].Card.ID] != nil {
		return m.createdBefore(op)
	}
	if problems := m.taken(op); problems != nil {
		return refused(ledger.CodeCardExists, problems...)
	}
	choices, enough := m.choose(op)
	if !enough {
		return refused(ledger.CodeTokenSpaceExhausted)
	}
	var made []*modelCard
	next := 0
	for i := range op.Cards {
		n := &op.Cards[i]
		c := &modelCard{said: n.Card, refs: map[string]int{}}
		c.said.CreatedAt = now
		if n.Card.PIN != nil {
			c.pin, c.said.PIN = &modelPIN{row: *n.Card.PIN}, nil
		}
		m.cards = append(m.cards, c)
		m.object[c.said.ID] = c
		m.open(now, c, n.OpeningID, n.Card.CreatedBy)
		if n.Token != nil {
			m.addToken(now, c, n.Token, choices[next])
			next++
		}
		made = append(made, c)
	}
	e := done(made...)
	e.Choices = choices
	return e
}

// createdBefore judges a second attempt of an operation that succeeded.
func (m *Model) createdBefore(op *ledger.CreateCards) Expectation {
	var mine []*modelCard
	var choices []int
	for i := range op.Cards {
		n := &op.Cards[i]
		mine = append(mine, m.object[n.Card.ID])
		if n.Token == nil {
			continue
		}
		for j, candidate := range n.Token.Candidates {
			if t := m.tokens[candidate.Hash]; t != nil && t.row.ID == n.Token.Token.ID {
				choices = append(choices, j)
				break
			}
		}
	}
	e := done(mine...)
	e.Choices = choices
	return e
}

// taken lists the places of a list whose card_id is not free.
func (m *Model) taken(op *ledger.CreateCards) []ledger.Problem {
	var problems []ledger.Problem
	for i := range op.Cards {
		pointer := "/card_id"
		if op.Batch {
			pointer = fmt.Sprintf("/cards/%d/card_id", i)
		}
		if existing := m.live(op.Cards[i].Card.CardID); existing != nil {
			problems = append(problems, ledger.Problem{Pointer: pointer, ExistingID: existing.said.ID})
			continue
		}
		for j := range i {
			if op.Cards[j].Card.CardID == op.Cards[i].Card.CardID {
				problems = append(problems, ledger.Problem{Pointer: pointer})
				break
			}
		}
	}
	return problems
}

// choose picks a free value for each token of a list, or reports that one has none.
func (m *Model) choose(op *ledger.CreateCards) ([]int, bool) {
	var choices []int
	taken := map[string]bool{}
	for i := range op.Cards {
		if op.Cards[i].Token == nil {
			continue
		}
		choice := m.free(op.Cards[i].Token.Candidates, taken)
		if choice < 0 {
			return nil, false
		}
		for _, hash := range hashesOf(&op.Cards[i].Token.Candidates[choice]) {
			taken[hash] = true
		}
		choices = append(choices, choice)
	}
	return choices, true
}

// free is the place of the first value that nobody ever had, or -1.
func (m *Model) free(candidates []ledger.TokenCandidate, taken map[string]bool) int {
	for i, candidate := range candidates {
		if m.tokens[candidate.Hash] == nil && !taken[candidate.Hash] {
			return i
		}
	}
	return -1
}

// open gives a card its opening amount.
func (m *Model) open(now ledger.Micros, c *modelCard, id uuid.UUID, by string) {
	if c.said.Amount > 0 {
		m.accept(c, fact{
			kind: opened, id: id, ref: c.said.ID.String(), amount: c.said.Amount, currency: c.said.Currency, at: now, by: by,
		})
	}
}

func (m *Model) activate(now ledger.Micros, op *ledger.Activate) Expectation {
	c := m.live(op.CardID)
	if c == nil {
		return refused(ledger.CodeNotFound)
	}
	if c.said.Activated {
		if c.said.ActivationID == op.ID {
			return done(c)
		}
		return refused(ledger.CodeCardAlreadyActive)
	}
	c.said.Activated, c.said.ActivationID = true, op.ID
	c.said.Amount, c.said.Currency = op.Amount, op.Currency
	c.said.ActiveFrom = op.ActiveFrom
	if op.ActiveFrom == nil {
		from := now
		c.said.ActiveFrom = &from
	}
	if op.ExpiresAt != nil {
		c.said.ExpiresAt = op.ExpiresAt
	}
	if op.CustomerID != "" {
		c.said.CustomerID = op.CustomerID
	}
	if op.Name != "" {
		c.said.Name = op.Name
	}
	if op.OriginatedBy != "" {
		c.said.OriginatedBy = op.OriginatedBy
	}
	if op.Metadata != "" {
		c.said.Metadata = op.Metadata
	}
	m.open(now, c, op.ID, op.By)
	return done(c)
}

func (m *Model) delete(now ledger.Micros, op *ledger.DeleteCard) Expectation {
	for _, c := range m.cards {
		if c.said.DeletedAt != nil && c.said.DeletionID == op.ID {
			return done(c)
		}
	}
	c := m.live(op.CardID)
	if c == nil {
		return refused(ledger.CodeNotFound)
	}
	if c.sum().open > 0 {
		return refused(ledger.CodeCardHasPending)
	}
	at := now
	c.said.DeletedAt, c.said.DeletedBy, c.said.DeletionID = &at, op.By, op.ID
	return done(c)
}

func (m *Model) createToken(now ledger.Micros, op *ledger.CreateToken) Expectation {
	c := m.live(op.CardID)
	if c == nil {
		return refused(ledger.CodeNotFound)
	}
	for _, t := range c.tokens {
		if t.row.RefID != "" && t.row.RefID == op.New.Token.RefID {
			return t.again(op)
		}
	}
	choice := m.free(op.New.Candidates, nil)
	if choice < 0 {
		return refused(ledger.CodeTokenSpaceExhausted)
	}
	return m.addToken(now, c, &op.New, choice).answer(choice)
}

// answer is the expectation of a token request that succeeds.
func (t *modelToken) answer(choice int) Expectation {
	e := done(t.card)
	row := t.stored()
	e.Token, e.Choices = &row, []int{choice}
	return e
}

// again judges a token request whose ref_id the card knows already.
func (t *modelToken) again(op *ledger.CreateToken) Expectation {
	is := &op.New.Token
	if is.ID == t.row.ID {
		for i, candidate := range op.New.Candidates {
			if candidate.Hash == t.row.Hash {
				return t.answer(i)
			}
		}
	}
	var problems []ledger.Problem
	for pointer, same := range map[string]bool{
		"/format":                    is.Shape == t.row.Shape,
		"/expires_in":                is.ExpiresIn == t.row.ExpiresIn,
		"/expires_after_transaction": is.SingleUse == t.row.SingleUse,
		"/metadata":                  is.Metadata == t.row.Metadata,
	} {
		if !same {
			problems = append(problems, ledger.Problem{Pointer: pointer, ExistingID: t.row.ID})
		}
	}
	if problems != nil {
		return refused(ledger.CodeRefIDConflict, problems...)
	}
	e := t.answer(0)
	e.Choices, e.Replayed = nil, true
	return e
}

func (m *Model) addToken(now ledger.Micros, c *modelCard, n *ledger.NewToken, choice int) *modelToken {
	t := &modelToken{row: n.Token, card: c}
	t.row.Card, t.row.CreatedAt = c.said.ID, now
	t.row.Hash, t.row.Masked = n.Candidates[choice].Hash, n.Candidates[choice].Masked
	if n.Token.ExpiresIn != 0 {
		at := now + ledger.Micros(1_000_000*n.Token.ExpiresIn)
		t.row.ExpiresAt = &at
	}
	c.tokens = append(c.tokens, t)
	for _, hash := range hashesOf(&n.Candidates[choice]) { // whichever of them it is asked for by
		m.tokens[hash] = t
	}
	return t
}

// hashesOf lists the hashes of one value under all keys.
func hashesOf(c *ledger.TokenCandidate) []string {
	list := []string{c.Hash}
	for _, other := range c.Others {
		list = append(list, other.Hash)
	}
	return list
}

func (m *Model) rotate(op *ledger.RotatePIN) Expectation {
	c := m.live(op.CardID)
	if c == nil {
		return refused(ledger.CodeNotFound)
	}
	if c.pin == nil || c.pin.row.ID != op.ID {
		c.pin = &modelPIN{row: op.PINFor(c.said.ID)}
		c.pin.row.ID = op.ID
	}
	return done(c)
}

func (m *Model) checkPIN(now ledger.Micros, op *ledger.CheckPIN) Expectation {
	t := m.tokens[op.TokenHash]
	if t == nil || t.card.said.DeletedAt != nil || t.expired(now) {
		return refused(ledger.CodeNotFound)
	}
	if e := t.card.tryPIN(now, op.PIN); e.Code != "" {
		return e
	}
	e := t.answer(0)
	e.Choices = nil
	return e
}
