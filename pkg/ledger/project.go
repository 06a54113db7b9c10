package ledger

import "fmt"

// Project is the balance projector: the only place where funds, drawdown,
// pending and reserved change. It takes a transaction as a fact. An error wraps
// [ErrCorrupt] and means that the history cannot be true: an unknown type, or
// figures that leave their range.
func Project(b Balance, t *Transaction) (Balance, error) {
	if t.Amount < 0 || t.Amount > MaxAmount {
		return b, fmt.Errorf("project transaction %d: amount out of range: %w", t.Seq, ErrCorrupt)
	}
	next := b
	switch {
	case t.Type == TypeFund:
		next.Funds += t.Amount
	case t.Type == TypeDrawdown && t.Address != ByTransaction:
		next.Drawdown += t.Amount
	case t.Type == TypeDrawdown: // a capture turns locked money into taken money
		next.Drawdown += t.Amount
		next.Pending -= t.Amount
		next.Reserved -= t.Amount
	case t.Type == TypePending:
		next.Pending += t.Amount
		next.Reserved += t.Amount
	case t.Type == TypeVoided:
		next.Pending -= t.Amount
		next.Reserved -= t.Amount
	default:
		return b, fmt.Errorf("project transaction %d: unknown type: %w", t.Seq, ErrCorrupt)
	}
	if err := next.Check(); err != nil {
		return b, fmt.Errorf("project transaction %d: %w", t.Seq, err)
	}
	return next, nil
}

// OpenHold is the hold that a pending transaction opens.
func OpenHold(t *Transaction) Hold {
	return Hold{ID: t.ID, Card: t.Card, Amount: t.Amount, Locked: t.Amount, Open: true}
}

// SettleHold applies a capture or a void to the hold it names. An error wraps
// [ErrCorrupt].
func SettleHold(h Hold, t *Transaction) (Hold, error) {
	if !h.Open || h.ID != t.Parent || h.Card != t.Card || t.Amount > h.Locked {
		return h, fmt.Errorf("settle hold with transaction %d: %w", t.Seq, ErrCorrupt)
	}
	h.Locked -= t.Amount
	if t.Type == TypeVoided && h.Locked != 0 {
		return h, fmt.Errorf("void releases less than is locked, transaction %d: %w", t.Seq, ErrCorrupt)
	}
	h.Open = h.Locked > 0
	return h, nil
}
