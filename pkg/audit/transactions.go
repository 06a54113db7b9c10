package audit

import (
	"slices"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// check applies the rules that every transaction obeys, whatever came before.
func (h *history) check(row *repository.TxnRecord) {
	h.checkShape(row)
	h.checkOpening(row)
	h.checkToken(row)
	txn, card := &row.Txn, &h.card.Card
	if txn.Currency != card.Currency {
		f := h.at(row, "currency", "is not the card's")
		f.Stored, f.Replayed = string(txn.Currency), string(card.Currency)
		h.report(f)
	}
	if !card.Activated {
		h.report(h.at(row, "card_object_id", "names a card that was never activated"))
	}
	if txn.RefID == "" {
		h.report(h.at(row, "ref_id", "is empty"))
	}
}

// shapes are the types of transaction that each way to name a card allows.
func shapes(address ledger.Address) []ledger.TxnType {
	switch address {
	case ledger.ByOpening:
		return []ledger.TxnType{ledger.TypeFund}
	case ledger.ByCardID, ledger.ByToken:
		return []ledger.TxnType{ledger.TypeFund, ledger.TypeDrawdown, ledger.TypePending}
	case ledger.ByTransaction:
		return []ledger.TxnType{ledger.TypeDrawdown, ledger.TypeVoided}
	}
	return nil
}

// checkShape compares type, address, parent and token with one another.
func (h *history) checkShape(row *repository.TxnRecord) {
	txn := &row.Txn
	if !slices.Contains(shapes(txn.Address), txn.Type) {
		h.report(h.at(row, "type", "does not go with the way the card was named"))
	}
	if (txn.Parent != uuid.Nil) != (txn.Address == ledger.ByTransaction) {
		h.report(h.at(row, "parent_id", "belongs to captures and voids, and to no other transaction"))
	}
	if (txn.Token != uuid.Nil) != (txn.Address == ledger.ByToken) {
		h.report(h.at(row, "token_id", "belongs to transactions made by token, and to no other"))
	}
}

// checkOpening: a card that was opened with an amount begins with a transaction
// about it, and no card has a second one.
func (h *history) checkOpening(row *repository.TxnRecord) {
	txn, card := &row.Txn, &h.card.Card
	first := h.count == 1
	switch {
	case first && card.Amount > 0 && txn.Address != ledger.ByOpening:
		h.report(h.at(row, "addressed_by", "is not that of an opening transaction, with which the card should begin"))
	case txn.Address != ledger.ByOpening:
	case !first:
		h.report(h.at(row, "addressed_by", "is that of an opening transaction, but the card had begun before"))
	case txn.Amount != card.Amount || card.Amount == 0:
		f := h.at(row, "amount", "of the opening transaction is not the card's")
		f.Stored, f.Replayed = number(txn.Amount), number(card.Amount)
		h.report(f)
	case txn.RefID != h.card.Key:
		h.report(h.at(row, "ref_id", "of the opening transaction is not the card's id"))
	}
}

// checkToken: a token belongs to the card, and a single-use one to one transaction.
func (h *history) checkToken(row *repository.TxnRecord) {
	if row.Txn.Token == uuid.Nil {
		return
	}
	var problem string
	switch token := &row.Token; {
	case !row.HasToken:
		problem = "names no token of the account"
	case token.Card != h.card.Card.ID:
		problem = "names a token of another card"
	case token.SingleUse && token.SpentBy != row.Txn.ID:
		problem = "names a single-use token that another transaction has spent, or none"
	default:
		return
	}
	f := h.at(row, "token_id", problem)
	f.Stored = row.Txn.Token.String()
	h.report(f)
}
