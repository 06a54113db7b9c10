package ledgertest

import (
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// Audit checks the stored rows of one card against each other, without knowing
// what was asked for: amounts in range (I1, I2), holds against the pending amount
// (I3), one row per ref_id (I5), seq without gaps (I6), figures equal to plain sums
// over the history (I7), and the chain of digests. The transactions are expected
// in their order.
func Audit(account string, card *ledger.Card, txns []ledger.Transaction, holds []ledger.Hold) error {
	return errors.Join(auditAmounts(card), auditHistory(account, card, txns), auditSums(card, txns), auditHolds(card, txns, holds))
}

func auditAmounts(c *ledger.Card) error {
	for name, n := range map[string]int64{
		"amount": c.Amount, "funds": c.Funds, "drawdown": c.Drawdown, "pending": c.Pending, "reserved": c.Reserved,
		"balance": c.Balance.Balance(), "available": c.Available(), "open holds": c.OpenHolds,
	} {
		if n < 0 || n > greatestAmount {
			return fmt.Errorf("I1: %s is %d", name, n)
		}
	}
	if c.Drawdown+c.Reserved > c.Funds || c.Pending > c.Reserved {
		return fmt.Errorf("I2: %+v", c.Balance)
	}
	return nil
}

func auditHistory(account string, c *ledger.Card, txns []ledger.Transaction) error {
	var digest ledger.Digest
	var last ledger.Micros
	refs := map[string]bool{}
	for i := range txns {
		t := &txns[i]
		if digest = ledger.Chain(digest, account, t); digest != t.Digest {
			return fmt.Errorf("digest of transaction %d is %s, the row gives %s", i+1, t.Digest, digest)
		}
		if t.Card != c.ID || t.Seq != int64(i+1) {
			return fmt.Errorf("I6: transaction %d has seq %d", i+1, t.Seq)
		}
		if refs[t.RefID] {
			return fmt.Errorf("I5: transaction %d has the ref_id of an earlier one", i+1)
		}
		if i > 0 && t.CreatedAt < last {
			return fmt.Errorf("time runs backwards at transaction %d", i+1)
		}
		refs[t.RefID], last = true, t.CreatedAt
	}
	if c.Seq != int64(len(txns)) || c.Digest != digest || c.LastTxnAt != last {
		return fmt.Errorf("I6: the card knows %d transactions up to %d, there are %d up to %d; digests equal: %t",
			c.Seq, c.LastTxnAt, len(txns), last, c.Digest == digest)
	}
	return nil
}

// auditSums compares the card with sums by type, each in closed form.
func auditSums(c *ledger.Card, txns []ledger.Transaction) error {
	var funds, drawdown, held, captured, released int64
	for _, t := range txns {
		switch t.Type {
		case ledger.TypeFund:
			funds += t.Amount
		case ledger.TypePending:
			held += t.Amount
		case ledger.TypeVoided:
			released += t.Amount
		case ledger.TypeDrawdown:
			drawdown += t.Amount
			if t.Parent != uuid.Nil {
				captured += t.Amount
			}
		default:
			return fmt.Errorf("I7: transaction %d has an unknown type", t.Seq)
		}
	}
	pending := held - captured - released
	if c.Funds != funds || c.Drawdown != drawdown || c.Pending != pending || c.Reserved != pending {
		return fmt.Errorf("I7: stored %+v, summed funds %d drawdown %d pending %d", c.Balance, funds, drawdown, pending)
	}
	return nil
}

func auditHolds(c *ledger.Card, txns []ledger.Transaction, holds []ledger.Hold) error {
	pending := map[uuid.UUID]int64{}
	for _, t := range txns {
		if t.Type == ledger.TypePending {
			pending[t.ID] = t.Amount
		}
	}
	var locked, open int64
	for _, h := range holds {
		amount, found := pending[h.ID]
		if !found || amount != h.Amount || h.Locked < 0 || h.Locked > h.Amount || h.Locked > 0 && !h.Open {
			return fmt.Errorf("I3: hold %+v does not belong to a pending transaction of %d", h, amount)
		}
		delete(pending, h.ID)
		locked += h.Locked
		if h.Open {
			open++
		}
	}
	if len(pending) > 0 || locked != c.Pending || open != c.OpenHolds {
		return fmt.Errorf("I3: %d pending transactions without a hold, holds lock %d of %d, %d open of %d",
			len(pending), locked, c.Pending, open, c.OpenHolds)
	}
	return nil
}
