package ledger

import "github.com/google/uuid"

// CardType is what a card was issued as.
type CardType string

// The card types of the published API.
const (
	GiftCard   CardType = "gift_card"
	CreditNote CardType = "credit_note"
)

// Status is derived from a card's amounts and dates; it is never stored.
type Status string

// The statuses, in the order in which they are tried.
const (
	StatusInactive      Status = "inactive"
	StatusExpired       Status = "expired"
	StatusUnused        Status = "unused"
	StatusUsed          Status = "used"
	StatusPartiallyUsed Status = "partially_used"
)

// Card is one card object: what was said about it when it was made, and the
// projection of its transactions. Empty strings and nil moments mean "not given".
// A Card is a value: copies share nothing that is ever written to.
type Card struct {
	ID           uuid.UUID // the object's id, a UUIDv7
	CardID       string    // the retailer's own id, unique among live cards of the account
	CustomerID   string
	Name         string
	Type         CardType
	OriginatedBy string
	Metadata     string // canonical JSON text
	CreatedAt    Micros
	CreatedBy    string

	Amount       int64 // the opening amount; never changes after creation or activation
	Currency     Currency
	Activated    bool
	ActivationID uuid.UUID // the operation that activated a batch-made card
	ActiveFrom   *Micros
	ExpiresAt    *Micros

	Balance
	OpenHolds int64  // pending transactions that are neither captured in full nor voided
	Seq       int64  // the number of the card's transactions, and the last one's seq
	Digest    Digest // the last transaction's digest
	LastTxnAt Micros // the last transaction's created_at; 0 when there is none

	PIN *PIN

	DeletedAt  *Micros
	DeletedBy  string
	DeletionID uuid.UUID // the operation that deleted the card
}

// Status derives the card's status at a moment. A lock alone is not use.
func (c *Card) Status(now Micros) Status {
	switch {
	case !c.Activated:
		return StatusInactive
	case reached(c.ExpiresAt, now):
		return StatusExpired
	case c.Drawdown == 0:
		return StatusUnused
	case c.Balance.Balance() == 0:
		return StatusUsed
	default:
		return StatusPartiallyUsed
	}
}

// Deleted tells whether the card was deleted.
func (c *Card) Deleted() bool { return c.DeletedAt != nil }
