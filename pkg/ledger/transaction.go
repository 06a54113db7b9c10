package ledger

import "github.com/google/uuid"

// TxnType is the type of a transaction in history and in answers.
type TxnType string

// The transaction types of the published API.
const (
	TypeFund     TxnType = "fund"
	TypeDrawdown TxnType = "drawdown"
	TypePending  TxnType = "pending_capture"
	TypeVoided   TxnType = "voided"
)

// Address says how a request named the card of a transaction.
type Address string

// The ways to name a card. An opening transaction is made by the creation or the
// activation of its card; captures and voids name the pending transaction.
const (
	ByOpening     Address = "opening"
	ByCardID      Address = "card_id"
	ByToken       Address = "token"
	ByTransaction Address = "transaction"
)

// Transaction is one immutable row of a card's history.
type Transaction struct {
	ID           uuid.UUID
	Card         uuid.UUID // the card object
	Seq          int64     // 1…n without gaps within the card
	Type         TxnType
	Amount       int64 // minor currency units
	Currency     Currency
	RefID        string
	Parent       uuid.UUID // the pending transaction of a capture or void; else zero
	Address      Address
	Token        uuid.UUID // the token that named the card; else zero
	AmountGiven  bool      // false for a capture that asked for all that was left
	Metadata     string    // canonical JSON text; empty when none was sent
	OriginatedBy string
	CreatedAt    Micros
	CreatedBy    string
	Digest       Digest
}

// Hold is the open or settled state of a pending transaction.
type Hold struct {
	ID     uuid.UUID // the pending transaction's id
	Card   uuid.UUID
	Amount int64 // what was locked at first
	Locked int64 // what is still locked
	Open   bool  // until captured in full or voided; a hold of 0 until its first capture or void
}

// Token is the stored side of a card's temporary alias.
type Token struct {
	ID        uuid.UUID
	Card      uuid.UUID
	RefID     string // empty for a token that was made together with its card
	Hash      string
	KeyID     string
	Masked    string
	Format    string // canonical JSON text of the format as the client sent it
	Shape     string // canonical text of what the format means, for comparison
	ExpiresIn int64  // seconds; 0 when the token has no expiry of its own
	ExpiresAt *Micros
	SingleUse bool
	SpentBy   uuid.UUID // the transaction that spent a single-use token; else zero
	Metadata  string
	CreatedAt Micros
	CreatedBy string
}

// Expired tells whether the token's own expiry has passed.
func (t *Token) Expired(now Micros) bool { return reached(t.ExpiresAt, now) }

// used tells whether a single-use token has had its transaction.
func (t *Token) used() bool { return t.SingleUse && t.SpentBy != uuid.Nil }
