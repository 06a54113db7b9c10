package ledger

import (
	"fmt"

	"github.com/google/uuid"
)

// post implements Operation.
func (op *Transact) post(b *Book) (Result, error) {
	card, token, found := b.locate(op)
	if !found {
		return Result{}, refuse(CodeNotFound)
	}
	if was, found := b.refs[RefKey{card.ID, op.RefID}]; found {
		return op.replay(card, token, was)
	}
	if token != nil && token.Expired(b.now) {
		return Result{}, refuse(CodeNotFound)
	}
	card, err := b.tryPIN(card, op.PIN)
	if err != nil {
		return Result{}, err
	}
	state := State{Card: &card, Token: token}
	if hold, found := b.holds[op.Parent]; found {
		state.Hold = &hold
	}
	txn, refusal := Decide(b.now, state, op)
	if refusal != nil {
		return Result{}, refusal
	}
	return b.apply(state, txn)
}

// replay answers a request whose ref_id the card already knows.
func (op *Transact) replay(card Card, token *Token, was Transaction) (Result, error) {
	result := Result{Cards: []Card{card}, Txn: was}
	if was.ID == op.ID { // our own row: the commit had succeeded without our knowing
		return result, nil
	}
	var tokenID uuid.UUID
	if token != nil {
		tokenID = token.ID
	}
	if problems := conflicts(op, tokenID, &was); problems != nil {
		return Result{}, refuse(CodeRefIDConflict, problems...)
	}
	result.Replayed = true
	return result, nil
}

// apply writes a decided transaction and everything that follows from it.
func (b *Book) apply(s State, txn Transaction) (Result, error) {
	card, txn, err := b.extend(*s.Card, txn)
	if err != nil {
		return Result{}, err
	}
	switch {
	case txn.Type == TypePending:
		card.OpenHolds++
		b.AddHold(OpenHold(&txn))
		b.made.holds[txn.ID] = true
	case txn.Address == ByTransaction:
		hold, err := SettleHold(*s.Hold, &txn)
		if err != nil {
			return Result{}, err
		}
		if !hold.Open {
			card.OpenHolds--
		}
		b.holds[hold.ID] = hold
		b.touched.holds[hold.ID] = true
	}
	if s.Token != nil && s.Token.SingleUse {
		spent := *s.Token
		spent.SpentBy = txn.ID
		b.tokens[spent.ID] = spent
		b.touched.tokens[spent.ID] = true
	}
	b.record(card, txn)
	return Result{Cards: []Card{card}, Txn: txn}, nil
}

// tryPIN applies a PIN attempt, and keeps the failure counter even when it refuses.
func (b *Book) tryPIN(card Card, check PINCheck) (Card, error) {
	attempt, err := check.attempt(&card)
	if err != nil {
		return card, err
	}
	pin, refusal := tryPIN(b.now, card.PIN, attempt, check.Required)
	if pin != card.PIN {
		changed := *pin != *card.PIN
		card.PIN = pin
		if changed {
			b.putCard(card)
		}
	}
	if refusal != nil {
		return card, refusal
	}
	return card, nil
}

// post implements Operation.
func (op *CheckPIN) post(b *Book) (Result, error) {
	card, token, found := b.cardOfToken(op.TokenHash, op.OtherHashes)
	if !found || token.Expired(b.now) {
		return Result{}, refuse(CodeNotFound)
	}
	card, err := b.tryPIN(card, op.PIN)
	if err != nil {
		return Result{}, err
	}
	return Result{Cards: []Card{card}, Token: *token}, nil
}

// post implements Operation.
func (op *RotatePIN) post(b *Book) (Result, error) {
	card, found := b.liveCard(op.CardID)
	if !found {
		return Result{}, refuse(CodeNotFound)
	}
	if card.PIN == nil || card.PIN.ID != op.ID {
		pin := op.PINFor(card.ID)
		pin.ID = op.ID
		card.PIN = &pin
		b.putCard(card)
	}
	return Result{Cards: []Card{card}}, nil
}

// post implements Operation.
func (op *CreateToken) post(b *Book) (Result, error) {
	card, found := b.liveCard(op.CardID)
	if !found {
		return Result{}, refuse(CodeNotFound)
	}
	if id, found := b.tokenRefs[RefKey{card.ID, op.New.Token.RefID}]; found {
		return op.replay(card, b.tokens[id])
	}
	token, choice, err := b.newToken(&op.New, card.ID, nil)
	if err != nil {
		return Result{}, err
	}
	b.insertToken(token)
	return Result{Cards: []Card{card}, Token: token, Choices: []int{choice}}, nil
}

func (op *CreateToken) replay(card Card, was Token) (Result, error) {
	result := Result{Cards: []Card{card}, Token: was}
	if was.ID == op.New.Token.ID {
		result.Choices = []int{op.New.choiceOf(was.Hash)}
		return result, nil
	}
	if problems := tokenConflicts(&op.New.Token, &was); problems != nil {
		return Result{}, refuse(CodeRefIDConflict, problems...)
	}
	result.Replayed = true
	return result, nil
}

// newToken completes a token with the first candidate that is neither known to
// the account nor in taken.
func (b *Book) newToken(n *NewToken, card uuid.UUID, taken map[string]bool) (Token, int, error) {
	for i := range n.Candidates {
		candidate := &n.Candidates[i]
		if b.isTaken(candidate, taken) {
			continue
		}
		token := n.Token
		token.Card, token.Hash, token.Masked, token.CreatedAt = card, candidate.Hash, candidate.Masked, b.now
		if b.tokenKey != "" && b.tokenKey != token.KeyID {
			hash, found := candidate.under(b.tokenKey)
			if !found {
				return Token{}, 0, fmt.Errorf("hash a token under key %s: %w", b.tokenKey, ErrUnknownKey)
			}
			token.Hash, token.KeyID = hash, b.tokenKey
		}
		if token.ExpiresIn > 0 {
			expiry := b.now + Micros(token.ExpiresIn)*microsPerSecond
			token.ExpiresAt = &expiry
		}
		return token, i, nil
	}
	return Token{}, 0, refuse(CodeTokenSpaceExhausted)
}

// isTaken tells whether a value was given out, under any key.
func (b *Book) isTaken(c *TokenCandidate, taken map[string]bool) bool {
	for hash := range hashes(c.Hash, c.Others) {
		if _, known := b.tokenHashes[hash]; known || taken[hash] {
			return true
		}
	}
	return false
}

const microsPerSecond = 1_000_000

// choiceOf finds the candidate with a hash.
func (t *NewToken) choiceOf(hash string) int {
	for i := range t.Candidates {
		for its := range hashes(t.Candidates[i].Hash, t.Candidates[i].Others) {
			if its == hash {
				return i
			}
		}
	}
	return 0
}

// post implements Operation.
func (op *DeleteCard) post(b *Book) (Result, error) {
	if card, found := b.cards[op.decided]; found && card.DeletionID == op.ID {
		return Result{Cards: []Card{card}}, nil
	}
	card, found := b.liveCard(op.CardID)
	if !found {
		return Result{}, refuse(CodeNotFound)
	}
	if card.OpenHolds > 0 {
		return Result{}, refuse(CodeCardHasPending)
	}
	at := b.now
	card.DeletedAt, card.DeletedBy, card.DeletionID = &at, op.By, op.ID
	op.decided = card.ID
	b.putCard(card)
	delete(b.live, card.CardID)
	return Result{Cards: []Card{card}}, nil
}

// post implements Operation.
func (op *Activate) post(b *Book) (Result, error) {
	card, found := b.liveCard(op.CardID)
	switch {
	case !found:
		return Result{}, refuse(CodeNotFound)
	case card.Activated && card.ActivationID == op.ID:
		return Result{Cards: []Card{card}}, nil
	case card.Activated:
		return Result{}, refuse(CodeCardAlreadyActive)
	case op.Amount < 0 || op.Amount > MaxAmount:
		return Result{}, refuseAt(CodeInvalidRequest, "/amount", "must be between 0 and 9007199254740991")
	}
	result, err := b.open(op.activated(card, b.now), op.ID, op.By)
	if err == nil {
		b.activated = append(b.activated, card.ID)
	}
	return result, err
}

// activated is the card as the activation leaves it, before its opening fund.
func (op *Activate) activated(card Card, now Micros) Card {
	card.Activated, card.ActivationID = true, op.ID
	card.Amount, card.Currency = op.Amount, op.Currency
	card.ActiveFrom = &now
	if op.ActiveFrom != nil {
		card.ActiveFrom = op.ActiveFrom
	}
	if op.ExpiresAt != nil {
		card.ExpiresAt = op.ExpiresAt
	}
	for _, given := range []struct {
		to   *string
		from string
	}{
		{&card.CustomerID, op.CustomerID},
		{&card.Name, op.Name},
		{&card.OriginatedBy, op.OriginatedBy},
		{&card.Metadata, op.Metadata},
	} {
		if given.from != "" {
			*given.to = given.from
		}
	}
	return card
}

// open posts the opening fund of a card, when there is an amount, and stores the card.
func (b *Book) open(card Card, openingID uuid.UUID, by string) (Result, error) {
	if card.Amount == 0 {
		b.putCard(card)
		return Result{Cards: []Card{card}}, nil
	}
	card, txn, err := b.extend(card, opening(openingID, b.now, &card, by))
	if err != nil {
		return Result{}, err
	}
	b.putCard(card)
	b.record(card, txn)
	return Result{Cards: []Card{card}, Txn: txn}, nil
}

// post implements Operation.
func (op *CreateCards) post(b *Book) (Result, error) {
	if _, mine := b.cards[op.Cards[0].Card.ID]; mine {
		return op.recall(b), nil
	}
	if refusal := op.check(b); refusal != nil {
		return Result{}, refusal
	}
	tokens, choices, err := op.tokens(b)
	if err != nil {
		return Result{}, err
	}
	result := Result{Choices: choices}
	for i := range op.Cards {
		card := op.Cards[i].Card
		card.CreatedAt = b.now
		b.insertCard(card)
		opened, err := b.open(card, op.Cards[i].OpeningID, card.CreatedBy)
		if err != nil { // unreachable: the amount was checked and the card is new
			return Result{}, fmt.Errorf("open card: %w", err)
		}
		result.Cards = append(result.Cards, opened.Cards[0])
	}
	for _, token := range tokens {
		b.insertToken(token)
	}
	return result, nil
}

// recall answers for cards that an earlier attempt of this operation made.
func (op *CreateCards) recall(b *Book) Result {
	var result Result
	for i := range op.Cards {
		result.Cards = append(result.Cards, b.cards[op.Cards[i].Card.ID])
		if n := op.Cards[i].Token; n != nil {
			choice := 0
			for j := range n.Candidates {
				if id, _ := b.tokenOf(n.Candidates[j].Hash, n.Candidates[j].Others); id == n.Token.ID {
					choice = j
					break
				}
			}
			result.Choices = append(result.Choices, choice)
		}
	}
	return result
}

// check refuses amounts out of range, and card ids that are taken by a live card
// or by an earlier card of the same list.
func (op *CreateCards) check(b *Book) *Refusal {
	var taken []Problem
	seen := make(map[string]bool, len(op.Cards))
	for i := range op.Cards {
		card := &op.Cards[i].Card
		if card.Amount < 0 || card.Amount > MaxAmount {
			return refuseAt(CodeInvalidRequest, "/amount", "must be between 0 and 9007199254740991")
		}
		pointer := "/card_id"
		if op.Batch {
			pointer = fmt.Sprintf("/cards/%d/card_id", i)
		}
		if existing, found := b.live[card.CardID]; found {
			taken = append(taken, Problem{Pointer: pointer, Reason: "is the id of another card", ExistingID: existing})
		} else if seen[card.CardID] {
			taken = append(taken, Problem{Pointer: pointer, Reason: "stands in the list twice"})
		}
		seen[card.CardID] = true
	}
	if taken != nil {
		return refuse(CodeCardExists, taken...)
	}
	return nil
}

// tokens chooses the values of the new cards' tokens, all different.
func (op *CreateCards) tokens(b *Book) ([]Token, []int, error) {
	var tokens []Token
	var choices []int
	taken := make(map[string]bool)
	for i := range op.Cards {
		if op.Cards[i].Token == nil {
			continue
		}
		token, choice, err := b.newToken(op.Cards[i].Token, op.Cards[i].Card.ID, taken)
		if err != nil {
			return nil, nil, err
		}
		taken[token.Hash] = true
		tokens, choices = append(tokens, token), append(choices, choice)
	}
	return tokens, choices, nil
}
