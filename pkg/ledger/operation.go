package ledger

import "github.com/google/uuid"

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
	Hash   string
	Masked string
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
	TokenHash string
	PIN       PINCheck
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
	// Compare is nil when the request carries no PIN.
	Compare  func(card uuid.UUID, pin *PIN) bool
	Required bool // a card that has a PIN demands one
}

// attempt runs the comparison.
func (c PINCheck) attempt(card *Card) PINAttempt {
	switch {
	case c.Compare == nil:
		return PINAbsent
	case card.PIN != nil && c.Compare(card.ID, card.PIN):
		return PINMatches
	default:
		return PINDiffers
	}
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
		k.TokenHashes = append(k.TokenHashes, op.TokenHash)
	default:
		k.CardIDs = append(k.CardIDs, op.CardID)
	}
	k.Refs = append(k.Refs, Ref{CardID: op.CardID, TokenHash: op.TokenHash, Txn: op.Parent, RefID: op.RefID})
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
func (op *CheckPIN) Keys(k *Keys) { k.TokenHashes = append(k.TokenHashes, op.TokenHash) }

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
		k.Candidates = append(k.Candidates, t.Candidates[i].Hash)
	}
}
