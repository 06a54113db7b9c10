package ledger

import (
	"errors"
	"fmt"
	"iter"

	"github.com/google/uuid"
)

// Operation is something a client asks of one account. Every id in it is drawn
// before it is submitted, so that a second attempt after a commit of unknown
// outcome recognises its own rows.
type Operation interface {
	// Keys adds the rows that must be loaded before the operation can be posted.
	Keys(*Keys)
	post(*Book) (Result, error)
}

// Keys names rows of one account.
type Keys struct {
	CardIDs      []string    // live cards by the retailer's id
	Cards        []uuid.UUID // cards by object id, deleted ones included
	Transactions []uuid.UUID // pending transactions named by captures and voids
	TokenHashes  []string    // tokens that name a card
	Candidates   []string    // hashes of values that a new token may take
	Refs         []Ref       // ref_ids of transactions, on the cards that are named
	TokenRefs    []Ref       // ref_ids of tokens, likewise
	// TokenKey asks which of several data keys a new token is to be hashed under. It
	// has to be loaded before the candidates: see [Book.HashTokensUnder].
	TokenKey bool
}

// Ref is a ref_id, and what names its card. One of CardID, TokenHash and Txn is set.
type Ref struct {
	CardID    string
	TokenHash string
	Txn       uuid.UUID
	RefID     string
}

// Result is what an accepted operation made or found.
type Result struct {
	Cards    []Card      // the cards after the operation; one, except for a batch
	Txn      Transaction // the transaction, for Transact
	Token    Token       // the token, for CreateToken
	Choices  []int       // for each new token, which candidate was taken
	Replayed bool        // the answer of an earlier request with the same ref_id
}

// NewCard describes a card to create.
type NewCard struct {
	Card      Card // id, card_id and everything the client may set; Amount is the opening amount
	OpeningID uuid.UUID
	Token     *NewToken
}

// NewToken describes a token to create. Its value is the first candidate that
// the account has never used.
type NewToken struct {
	Token      Token // without Hash and Masked
	Candidates []TokenCandidate
}

// TokenCandidate is the stored side of a value that a new token may take.
type TokenCandidate struct {
	Hash   string // under the data key that Token.KeyID names
	Masked string
	// Others are the hashes of the same value under the other data keys there are. A
	// value is taken under whichever of them it was given out.
	Others []KeyedHash
}

// ErrUnknownKey reports a value that is, or would have to be, hashed under a data key
// that is not at hand. Nothing can be said about it then, neither yes nor no.
var ErrUnknownKey = errors.New("this server does not have the data key")

// KeyedHash is a hash of a token's value under a data key.
type KeyedHash struct {
	KeyID string
	Hash  string
}

// hashes are those of one token's value under all data keys.
func hashes(hash string, others []KeyedHash) iter.Seq[string] {
	return func(yield func(string) bool) {
		if !yield(hash) {
			return
		}
		for i := range others {
			if !yield(others[i].Hash) {
				return
			}
		}
	}
}

// under finds the hash under a data key.
func (c *TokenCandidate) under(keyID string) (string, bool) {
	for i := range c.Others {
		if c.Others[i].KeyID == keyID {
			return c.Others[i].Hash, true
		}
	}
	return "", false
}

// CreateCards creates one card, or a batch, all or nothing.
type CreateCards struct {
	Cards []NewCard
	Batch bool // problems point into the list, and the cards wait for activation
}

// Activate gives a batch-made card its money, owner and dates. What is not given
// stays as it is.
type Activate struct {
	ID           uuid.UUID // of the operation, and of the opening transaction
	CardID       string
	Amount       int64
	Currency     Currency
	CustomerID   string
	Name         string
	OriginatedBy string
	Metadata     string
	ActiveFrom   *Micros // nil means now
	ExpiresAt    *Micros
	By           string
}

// Action is what a Transact asks for.
type Action string

// The actions.
const (
	ActionFund     Action = "fund"
	ActionDrawdown Action = "drawdown"
	ActionPending  Action = "pending"
	ActionCapture  Action = "capture"
	ActionVoid     Action = "void"
)

// Transact moves or locks money on one card. Exactly one of CardID, TokenHash
// and Parent names the card: Parent for captures and voids.
type Transact struct {
	ID           uuid.UUID
	Action       Action
	RefID        string
	CardID       string
	TokenHash    string
	OtherHashes  []KeyedHash // of the same token, under the other data keys
	Parent       uuid.UUID
	Amount       int64
	AmountGiven  bool // false only for a capture of all that is left, and for voids
	Currency     Currency
	Metadata     string
	OriginatedBy string
	By           string
	PIN          PINCheck
}

// CreateToken adds a temporary alias to a card. Token.ID and Token.RefID identify it.
type CreateToken struct {
	CardID string
	New    NewToken
}

// RotatePIN replaces a card's PIN, or gives it its first.
type RotatePIN struct {
	CardID string
	// PINFor makes the new PIN for a card object; its hash depends on the card.
	PINFor func(card uuid.UUID) PIN
	ID     uuid.UUID
}

// CheckPIN tries a PIN on the card that a token names, as a look-up does.
type CheckPIN struct {
	TokenHash   string
	OtherHashes []KeyedHash // of the same token, under the other data keys
	PIN         PINCheck
}

// DeleteCard takes a card out of use.
type DeleteCard struct {
	ID     uuid.UUID
	CardID string
	By     string
	// decided is the object that an earlier attempt of this same operation decided
	// to delete. By its card_id it may no longer be found.
	decided uuid.UUID
}

// PINCheck compares the PIN of a request, if it has one, with the card's. The
// comparison runs while the card is locked.
type PINCheck struct {
	// Compare is nil when the request carries no PIN. An error says that the two
	// could not be compared: it is neither a match nor a failure that counts.
	Compare  func(card uuid.UUID, pin *PIN) (bool, error)
	Required bool // a card that has a PIN demands one
}

// attempt runs the comparison.
func (c PINCheck) attempt(card *Card) (PINAttempt, error) {
	if c.Compare == nil {
		return PINAbsent, nil
	}
	if card.PIN == nil {
		return PINDiffers, nil
	}
	matches, err := c.Compare(card.ID, card.PIN)
	if err != nil {
		return PINAbsent, fmt.Errorf("compare the PIN of card %s: %w", card.ID, err)
	}
	if matches {
		return PINMatches, nil
	}
	return PINDiffers, nil
}

// Keys implements Operation.
func (op *CreateCards) Keys(k *Keys) {
	for i := range op.Cards {
		k.CardIDs = append(k.CardIDs, op.Cards[i].Card.CardID)
		k.Cards = append(k.Cards, op.Cards[i].Card.ID)
		op.Cards[i].Token.keys(k)
	}
}

// Keys implements Operation.
func (op *Activate) Keys(k *Keys) { k.CardIDs = append(k.CardIDs, op.CardID) }

// Keys implements Operation.
func (op *Transact) Keys(k *Keys) {
	switch {
	case op.Parent != uuid.Nil:
		k.Transactions = append(k.Transactions, op.Parent)
	case op.TokenHash != "":
		for hash := range hashes(op.TokenHash, op.OtherHashes) {
			k.TokenHashes = append(k.TokenHashes, hash)
			k.Refs = append(k.Refs, Ref{TokenHash: hash, RefID: op.RefID})
		}
		return
	default:
		k.CardIDs = append(k.CardIDs, op.CardID)
	}
	k.Refs = append(k.Refs, Ref{CardID: op.CardID, Txn: op.Parent, RefID: op.RefID})
}

// Keys implements Operation.
func (op *CreateToken) Keys(k *Keys) {
	k.CardIDs = append(k.CardIDs, op.CardID)
	k.TokenRefs = append(k.TokenRefs, Ref{CardID: op.CardID, RefID: op.New.Token.RefID})
	op.New.keys(k)
}

// Keys implements Operation.
func (op *RotatePIN) Keys(k *Keys) { k.CardIDs = append(k.CardIDs, op.CardID) }

// Keys implements Operation.
func (op *CheckPIN) Keys(k *Keys) {
	for hash := range hashes(op.TokenHash, op.OtherHashes) {
		k.TokenHashes = append(k.TokenHashes, hash)
	}
}

// Keys implements Operation.
func (op *DeleteCard) Keys(k *Keys) {
	k.CardIDs = append(k.CardIDs, op.CardID)
	if op.decided != uuid.Nil {
		k.Cards = append(k.Cards, op.decided)
	}
}

func (t *NewToken) keys(k *Keys) {
	if t == nil {
		return
	}
	for i := range t.Candidates {
		candidate := &t.Candidates[i]
		for hash := range hashes(candidate.Hash, candidate.Others) {
			k.Candidates = append(k.Candidates, hash)
		}
		k.TokenKey = k.TokenKey || len(candidate.Others) > 0
	}
}
