package ledger

import "github.com/google/uuid"

// State is what a decision about one card depends on.
type State struct {
	Card  *Card
	Token *Token // the token that named the card, or nil
	Hold  *Hold  // the hold that a capture or void names, or nil
}

// Decide tells what a Transact would write, or refuses it. It changes nothing.
// The order of the checks is part of the API; the look-up of the ref_id and the
// PIN come before it (see [Book.Post]). After the last check nothing can fail.
func Decide(now Micros, s State, op *Transact) (Transaction, *Refusal) {
	if refusal := checkDates(now, s, op); refusal != nil {
		return Transaction{}, refusal
	}
	if s.Token != nil && s.Token.used() {
		return Transaction{}, refuseAt(CodeTokenUsed, "/token", "the token was good for one transaction and has had it")
	}
	amount, refusal := decideAmount(s, op)
	if refusal != nil {
		return Transaction{}, refusal
	}
	return transactionFor(now, s, op, amount), nil
}

// checkDates covers what the card's state and dates forbid. A capture or void of
// a hold that was opened in time stays allowed: that money was promised.
func checkDates(now Micros, s State, op *Transact) *Refusal {
	if op.Action == ActionCapture || op.Action == ActionVoid {
		return nil
	}
	card := s.Card
	switch {
	case !card.Activated:
		return refuse(CodeCardInactive)
	case reached(card.ExpiresAt, now):
		return refuse(CodeCardExpired)
	case op.Currency != card.Currency:
		return refuseAt(CodeCurrencyMismatch, "/currency", "is not the card's currency")
	case op.Action != ActionFund && card.ActiveFrom != nil && now < *card.ActiveFrom:
		return refuse(CodeCardNotActiveYet)
	}
	return nil
}

// decideAmount checks the figures and returns what the transaction is about.
func decideAmount(s State, op *Transact) (int64, *Refusal) {
	if op.Amount < 0 || op.Amount > MaxAmount {
		return 0, refuseAt(CodeInvalidRequest, "/amount", "must be between 0 and 9007199254740991")
	}
	switch op.Action {
	case ActionFund:
		if op.Amount > MaxAmount-s.Card.Funds {
			return 0, refuseAt(CodeAmountOverflow, "/amount", "would lift what was put on the card above 9007199254740991")
		}
		return op.Amount, nil
	case ActionDrawdown, ActionPending:
		if op.Amount > s.Card.Available() {
			return 0, refuseAt(CodeInsufficientFunds, "/amount", "is more than the card has available")
		}
		return op.Amount, nil
	case ActionCapture, ActionVoid:
		return decideSettlement(s.Hold, op)
	}
	return 0, refuseAt(CodeInvalidRequest, "/type", "is not a known action")
}

func decideSettlement(hold *Hold, op *Transact) (int64, *Refusal) {
	switch {
	case hold == nil || !hold.Open:
		return 0, refuseAt(CodeTransactionNotHeld, "transaction_id", "names no transaction that is still pending")
	case op.Action == ActionVoid || !op.AmountGiven:
		return hold.Locked, nil
	case op.Amount > hold.Locked:
		return 0, refuseAt(CodeAmountExceedsReserve, "/amount", "is more than the transaction still locks")
	}
	return op.Amount, nil
}

// txnType says which type of transaction an action makes.
func (a Action) txnType() TxnType {
	switch a {
	case ActionFund:
		return TypeFund
	case ActionPending:
		return TypePending
	case ActionVoid:
		return TypeVoided
	case ActionDrawdown, ActionCapture:
		return TypeDrawdown
	}
	return TypeDrawdown
}

func transactionFor(now Micros, s State, op *Transact, amount int64) Transaction {
	txn := Transaction{
		ID: op.ID, Card: s.Card.ID, Type: op.Action.txnType(),
		Amount: amount, Currency: s.Card.Currency, AmountGiven: op.AmountGiven,
		RefID: op.RefID, Parent: op.Parent, Address: op.address(),
		Metadata: op.Metadata, OriginatedBy: op.OriginatedBy, CreatedBy: op.By,
		CreatedAt: now,
	}
	if s.Token != nil {
		txn.Token = s.Token.ID
	}
	return txn
}

func (op *Transact) address() Address {
	switch {
	case op.Parent != uuid.Nil:
		return ByTransaction
	case op.TokenHash != "":
		return ByToken
	default:
		return ByCardID
	}
}

// opening is the fund transaction that a created or activated card starts with.
// It is exempt from the rules about dates: a card may be created already expired.
func opening(id uuid.UUID, now Micros, card *Card, by string) Transaction {
	return Transaction{
		ID: id, Card: card.ID, Type: TypeFund, Amount: card.Amount, Currency: card.Currency,
		AmountGiven: true, RefID: card.ID.String(), Address: ByOpening,
		CreatedAt: now, CreatedBy: by,
	}
}
