package repository

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// Conversions between rows and the domain. Rows → domain can fail, since a row
// may have been edited by hand; domain → rows cannot.

func rowOfCard(account string, c *ledger.Card) cardRow {
	row := cardRow{
		AccountID: account, ID: c.ID, CardID: c.CardID, CustomerID: c.CustomerID, Name: c.Name,
		Type: string(c.Type), OriginatedBy: c.OriginatedBy, Metadata: c.Metadata,
		CreatedAt: int64(c.CreatedAt), CreatedBy: c.CreatedBy,
		Amount: c.Amount, Currency: string(c.Currency), Activated: c.Activated, ActivationID: c.ActivationID,
		ActiveFrom: numberOf(c.ActiveFrom), ExpiresAt: numberOf(c.ExpiresAt),
		AmountFunds: c.Funds, AmountDrawdown: c.Drawdown, AmountPending: c.Pending, AmountReserved: c.Reserved,
		OpenHolds: c.OpenHolds, Seq: c.Seq, Digest: c.Digest.String(), LastTxnAt: int64(c.LastTxnAt),
		DeletedAt: numberOf(c.DeletedAt), DeletedBy: c.DeletedBy, DeletionID: c.DeletionID,
		SearchText: searchText(c.CardID, c.CustomerID),
	}
	if c.PIN != nil {
		row.PINID, row.PINFormat, row.PINHash, row.PINKeyID = c.PIN.ID, c.PIN.Format, c.PIN.Hash, c.PIN.KeyID
		row.PINFailures, row.PINLockedUntil = int64(c.PIN.Failures), numberOf(c.PIN.LockedUntil)
	}
	return row
}

// rowOfPosted has what the transactions of a card determine, and no more of it; see
// [projection].
func rowOfPosted(_ string, c *ledger.Card) cardRow {
	return cardRow{
		ID: c.ID, AmountFunds: c.Funds, AmountDrawdown: c.Drawdown, AmountPending: c.Pending, AmountReserved: c.Reserved,
		OpenHolds: c.OpenHolds, Seq: c.Seq, Digest: c.Digest.String(), LastTxnAt: int64(c.LastTxnAt),
	}
}

func (r *cardRow) card() (ledger.Card, error) {
	digest, err := ledger.ParseDigest(r.Digest)
	if err != nil {
		return ledger.Card{}, fmt.Errorf("card %s: %w", r.ID, err)
	}
	card := ledger.Card{
		ID: r.ID, CardID: r.CardID, CustomerID: r.CustomerID, Name: r.Name,
		Type: ledger.CardType(r.Type), OriginatedBy: r.OriginatedBy, Metadata: r.Metadata,
		CreatedAt: ledger.Micros(r.CreatedAt), CreatedBy: r.CreatedBy,
		Amount: r.Amount, Currency: ledger.Currency(r.Currency), Activated: r.Activated, ActivationID: r.ActivationID,
		ActiveFrom: microsOf(r.ActiveFrom), ExpiresAt: microsOf(r.ExpiresAt),
		Balance: ledger.Balance{
			Funds: r.AmountFunds, Drawdown: r.AmountDrawdown, Pending: r.AmountPending, Reserved: r.AmountReserved,
		},
		OpenHolds: r.OpenHolds, Seq: r.Seq, Digest: digest, LastTxnAt: ledger.Micros(r.LastTxnAt),
		DeletedAt: microsOf(r.DeletedAt), DeletedBy: r.DeletedBy, DeletionID: r.DeletionID,
	}
	if r.PINHash != "" {
		card.PIN = &ledger.PIN{
			ID: r.PINID, Format: r.PINFormat, Hash: r.PINHash, KeyID: r.PINKeyID,
			Failures: int(r.PINFailures), LockedUntil: microsOf(r.PINLockedUntil),
		}
	}
	return card, nil
}

func rowOfTxn(account string, t *ledger.Transaction) txnRow {
	return txnRow{
		AccountID: account, ID: t.ID, CardObjectID: t.Card, Seq: t.Seq, Type: string(t.Type),
		Amount: t.Amount, Currency: string(t.Currency), RefID: t.RefID, ParentID: t.Parent, TokenID: t.Token,
		AddressedBy: string(t.Address), AmountGiven: t.AmountGiven, Metadata: t.Metadata,
		OriginatedBy: t.OriginatedBy, CreatedAt: int64(t.CreatedAt), CreatedBy: t.CreatedBy, Digest: t.Digest.String(),
	}
}

// rowOfTxnIn is rowOfTxn for the transactions of a commit. The last one of each card
// carries the card's figures, by which lists find cards; on any other they would
// never be true.
func rowOfTxnIn(c *ledger.Changes) func(account string, t *ledger.Transaction) txnRow {
	cards := make(map[uuid.UUID]*ledger.Card, len(c.Posted)+len(c.Cards)+len(c.NewCards))
	for _, list := range [][]ledger.Card{c.Posted, c.Cards, c.NewCards} {
		for i := range list {
			cards[list[i].ID] = &list[i]
		}
	}
	return func(account string, t *ledger.Transaction) txnRow {
		row := rowOfTxn(account, t)
		if card := cards[t.Card]; card != nil && card.Seq == t.Seq {
			row.AvailableAfter, row.BalanceAfter = figuresAfter(card)
		}
		return row
	}
}

// figuresAfter are the figures that a card's last transaction repeats: what is
// available, and the balance where it is another.
func figuresAfter(c *ledger.Card) (available, balance *int64) {
	return FiguresAfterOf(c.Balance).columns()
}

func (a FiguresAfter) columns() (available, balance *int64) {
	if a.Available.Given {
		available = &a.Available.Amount
	}
	if a.Balance.Given {
		balance = &a.Balance.Amount
	}
	return available, balance
}

// CorrectedTxn is what a transaction has to repeat of its card, and no more of it.
type CorrectedTxn struct {
	Card  uuid.UUID
	Seq   int64
	After FiguresAfter
}

func rowOfCorrectedTxn(account string, t *CorrectedTxn) txnRow {
	row := txnRow{AccountID: account, CardObjectID: t.Card, Seq: t.Seq}
	row.AvailableAfter, row.BalanceAfter = t.After.columns()
	return row
}

func rowOfSearch(account string, c *ledger.Card) searchRow {
	return searchRow{AccountID: account, ID: c.ID, SearchText: searchText(c.CardID, c.CustomerID)}
}

func (r *txnRow) txn() (ledger.Transaction, error) {
	digest, err := ledger.ParseDigest(r.Digest)
	if err != nil {
		return ledger.Transaction{}, fmt.Errorf("transaction %s: %w", r.ID, err)
	}
	return ledger.Transaction{
		ID: r.ID, Card: r.CardObjectID, Seq: r.Seq, Type: ledger.TxnType(r.Type),
		Amount: r.Amount, Currency: ledger.Currency(r.Currency), RefID: r.RefID, Parent: r.ParentID, Token: r.TokenID,
		Address: ledger.Address(r.AddressedBy), AmountGiven: r.AmountGiven, Metadata: r.Metadata,
		OriginatedBy: r.OriginatedBy, CreatedAt: ledger.Micros(r.CreatedAt), CreatedBy: r.CreatedBy, Digest: digest,
	}, nil
}

func rowOfHold(account string, h *ledger.Hold) holdRow {
	return holdRow{
		AccountID: account, ID: h.ID, CardObjectID: h.Card, Amount: h.Amount, Locked: h.Locked, Open: h.Open,
	}
}

func (r *holdRow) hold() ledger.Hold {
	return ledger.Hold{ID: r.ID, Card: r.CardObjectID, Amount: r.Amount, Locked: r.Locked, Open: r.Open}
}

func rowOfToken(account string, t *ledger.Token) tokenRow {
	return tokenRow{
		AccountID: account, ID: t.ID, CardObjectID: t.Card, RefID: t.RefID, Hash: t.Hash, KeyID: t.KeyID,
		Masked: t.Masked, Format: t.Format, Shape: t.Shape, ExpiresIn: t.ExpiresIn, ExpiresAt: numberOf(t.ExpiresAt),
		SingleUse: t.SingleUse, SpentBy: t.SpentBy, Metadata: t.Metadata,
		CreatedAt: int64(t.CreatedAt), CreatedBy: t.CreatedBy,
	}
}

func (r *tokenRow) token() ledger.Token {
	return ledger.Token{
		ID: r.ID, Card: r.CardObjectID, RefID: r.RefID, Hash: r.Hash, KeyID: r.KeyID,
		Masked: r.Masked, Format: r.Format, Shape: r.Shape, ExpiresIn: r.ExpiresIn, ExpiresAt: microsOf(r.ExpiresAt),
		SingleUse: r.SingleUse, SpentBy: r.SpentBy, Metadata: r.Metadata,
		CreatedAt: ledger.Micros(r.CreatedAt), CreatedBy: r.CreatedBy,
	}
}

func numberOf(m *ledger.Micros) *int64 {
	if m == nil {
		return nil
	}
	n := int64(*m)
	return &n
}

func microsOf(n *int64) *ledger.Micros {
	if n == nil {
		return nil
	}
	m := ledger.Micros(*n)
	return &m
}

// cardsOf converts a page of rows.
func cardsOf(rows []cardRow) ([]ledger.Card, error) {
	cards := make([]ledger.Card, 0, len(rows))
	for i := range rows {
		card, err := rows[i].card()
		if err != nil {
			return nil, err
		}
		cards = append(cards, card)
	}
	return cards, nil
}
