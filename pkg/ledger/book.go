package ledger

import (
	"bytes"
	"slices"

	"github.com/google/uuid"
)

// RefKey is a ref_id on a card object.
type RefKey struct {
	Card  uuid.UUID
	RefID string
}

// Book is the in-memory working set of one batch of one account: the loaded
// rows, and what the batch has made of them so far. It is not safe for concurrent
// use, and is thrown away after the batch.
type Book struct {
	account string
	now     Micros

	cards       map[uuid.UUID]Card
	live        map[string]uuid.UUID // card_id of a card that is not deleted
	refs        map[RefKey]Transaction
	parents     map[uuid.UUID]uuid.UUID // transaction → its card, whatever its type
	holds       map[uuid.UUID]Hold
	tokens      map[uuid.UUID]Token
	tokenHashes map[string]uuid.UUID
	tokenRefs   map[RefKey]uuid.UUID
	offers      map[string]uuid.UUID // value that a new token of the batch may take → its card
	tokenKey    string               // the data key of new tokens, where there are several

	made    changed            // rows that the batch inserts
	touched changed            // rows that the batch updates
	posted  map[uuid.UUID]bool // cards that got a transaction
	txns    []Transaction

	activated []uuid.UUID // cards that were activated, in the order in which they were
}

// changed is a set of rows by id.
type changed struct {
	cards, holds, tokens map[uuid.UUID]bool
}

func newChanged() changed {
	return changed{cards: map[uuid.UUID]bool{}, holds: map[uuid.UUID]bool{}, tokens: map[uuid.UUID]bool{}}
}

// NewBook opens an empty book for an account at a moment.
func NewBook(account string, now Micros) *Book {
	return &Book{
		account: account, now: now,
		cards: map[uuid.UUID]Card{}, live: map[string]uuid.UUID{},
		refs: map[RefKey]Transaction{}, parents: map[uuid.UUID]uuid.UUID{}, holds: map[uuid.UUID]Hold{},
		tokens: map[uuid.UUID]Token{}, tokenHashes: map[string]uuid.UUID{}, tokenRefs: map[RefKey]uuid.UUID{},
		offers: map[string]uuid.UUID{}, made: newChanged(), touched: newChanged(),
		posted: map[uuid.UUID]bool{},
	}
}

// AddCard loads a card, which the caller holds locked.
func (b *Book) AddCard(c Card) {
	b.cards[c.ID] = c
	if !c.Deleted() {
		b.live[c.CardID] = c.ID
	}
}

// AddTxn loads a transaction, so that its ref_id is known.
func (b *Book) AddTxn(t Transaction) { b.refs[RefKey{t.Card, t.RefID}] = t }

// AddParent loads which card a transaction belongs to.
func (b *Book) AddParent(txn, card uuid.UUID) { b.parents[txn] = card }

// AddHold loads the state of a pending transaction.
func (b *Book) AddHold(h Hold) {
	b.holds[h.ID] = h
	b.parents[h.ID] = h.Card
}

// AddToken loads a token.
func (b *Book) AddToken(t Token) {
	b.tokens[t.ID] = t
	b.tokenHashes[t.Hash] = t.ID
	if t.RefID != "" {
		b.tokenRefs[RefKey{t.Card, t.RefID}] = t.ID
	}
}

// HashTokensUnder says which data key the new tokens of the batch are hashed under,
// whatever their operations name: two servers that used different keys at the same
// moment could give out the same value, since their hashes of it differ. Not called,
// each operation decides for itself.
func (b *Book) HashTokensUnder(keyID string) { b.tokenKey = keyID }

// OfferedRefs lists the ref_ids that have to be loaded besides those of [Keys], when
// cards and tokens are: an operation may name, by a guess, a token that an earlier
// one of the batch only makes, and which of its cards' ref_ids are taken is known to
// the database alone. It is asked with all operations of a batch in their order,
// before the first is posted.
func (b *Book) OfferedRefs(ops []Operation) []RefKey {
	var keys []RefKey
	for _, op := range ops {
		switch op := op.(type) {
		case *Transact:
			card, offered := b.offered(op)
			if _, loaded := b.tokenOf(op.TokenHash, op.OtherHashes); offered && !loaded {
				keys = append(keys, RefKey{card, op.RefID})
			}
		case *CreateToken:
			b.offer(op)
		}
	}
	return keys
}

// offer notes which card the values of a new token would name.
func (b *Book) offer(op *CreateToken) {
	card, found := b.liveCard(op.CardID)
	if !found {
		return
	}
	for i := range op.New.Candidates {
		candidate := &op.New.Candidates[i]
		for hash := range hashes(candidate.Hash, candidate.Others) {
			if b.offers[hash] == uuid.Nil {
				b.offers[hash] = card.ID
			}
		}
	}
}

// offered finds the card that an operation would name by a value on offer.
func (b *Book) offered(op *Transact) (uuid.UUID, bool) {
	for hash := range hashes(op.TokenHash, op.OtherHashes) {
		if card, found := b.offers[hash]; found {
			return card, true
		}
	}
	return uuid.Nil, false
}

// Post decides an operation and applies it to the book. An error is a [*Refusal]
// when a rule forbids the operation, else it wraps [ErrCorrupt] or [ErrUnknownKey]. In both cases the
// book is as it was before, but for the failure counter of a PIN.
func (b *Book) Post(op Operation) (Result, error) { return op.post(b) }

// Changes lists the rows to write, in an order that does not depend on the order
// of maps: cards, holds and tokens by id, transactions as they were made.
type Changes struct {
	NewCards, Cards []Card
	// Posted are cards of which nothing has changed but what a transaction moves: the
	// projected figures, the number of open holds, and the end of the history.
	Posted            []Card
	Txns              []Transaction
	NewHolds, Holds   []Hold
	NewTokens, Tokens []Token
	// Activated are the ids of cards, among the above, that waited for their activation and
	// have got it.
	Activated []uuid.UUID
	// At is the moment at which the batch was decided.
	At Micros
}

// Empty tells whether there is nothing to write.
func (c *Changes) Empty() bool {
	return len(c.NewCards)+len(c.Cards)+len(c.Posted)+len(c.Txns)+len(c.NewHolds)+len(c.Holds)+len(c.NewTokens)+len(c.Tokens) == 0
}

// Changes lists what the batch has changed so far.
func (b *Book) Changes() Changes {
	return Changes{
		NewCards: pick(b.cards, b.made.cards), Cards: pick(b.cards, b.touched.cards, b.made.cards),
		Posted:   pick(b.cards, b.posted, b.made.cards, b.touched.cards),
		Txns:     b.txns,
		NewHolds: pick(b.holds, b.made.holds), Holds: pick(b.holds, b.touched.holds, b.made.holds),
		NewTokens: pick(b.tokens, b.made.tokens), Tokens: pick(b.tokens, b.touched.tokens, b.made.tokens),
		Activated: b.activated, At: b.now,
	}
}

// pick lists the rows whose ids are in want and in none of but, by id.
func pick[T any](rows map[uuid.UUID]T, want map[uuid.UUID]bool, but ...map[uuid.UUID]bool) []T {
	ids := make([]uuid.UUID, 0, len(want))
	for id := range want {
		if !slices.ContainsFunc(but, func(set map[uuid.UUID]bool) bool { return set[id] }) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	picked := make([]T, len(ids))
	for i, id := range ids {
		picked[i] = rows[id]
	}
	return picked
}

// liveCard finds a card that is not deleted by the retailer's id.
func (b *Book) liveCard(cardID string) (Card, bool) {
	id, found := b.live[cardID]
	return b.cards[id], found
}

// locate finds the live card that a Transact names, and the token that named it.
func (b *Book) locate(op *Transact) (Card, *Token, bool) {
	switch op.address() {
	case ByTransaction:
		card, found := b.cards[b.parents[op.Parent]]
		return card, nil, found && !card.Deleted()
	case ByToken:
		return b.cardOfToken(op.TokenHash, op.OtherHashes)
	default:
		card, found := b.liveCard(op.CardID)
		return card, nil, found
	}
}

func (b *Book) cardOfToken(hash string, others []KeyedHash) (Card, *Token, bool) {
	id, found := b.tokenOf(hash, others)
	if !found {
		return Card{}, nil, false
	}
	token := b.tokens[id]
	card, found := b.cards[token.Card]
	return card, &token, found && !card.Deleted()
}

// tokenOf finds the token of a value, whichever key it is stored under.
func (b *Book) tokenOf(hash string, others []KeyedHash) (uuid.UUID, bool) {
	for hash := range hashes(hash, others) {
		if id, found := b.tokenHashes[hash]; found {
			return id, true
		}
	}
	return uuid.Nil, false
}

func (b *Book) putCard(c Card) {
	b.cards[c.ID] = c
	b.touched.cards[c.ID] = true
}

func (b *Book) insertCard(c Card) {
	b.AddCard(c)
	b.made.cards[c.ID] = true
}

func (b *Book) insertToken(t Token) {
	b.AddToken(t)
	b.made.tokens[t.ID] = true
}

// extend gives a transaction its place in the card's history and projects it. On
// an error nothing has changed. The card comes back for further changes; the
// caller stores it.
func (b *Book) extend(card Card, txn Transaction) (Card, Transaction, error) {
	txn.Seq = card.Seq + 1
	if card.Seq > 0 { // time never runs backwards within a card, whatever the clock does
		txn.CreatedAt = max(txn.CreatedAt, card.LastTxnAt)
	}
	txn.Digest = Chain(card.Digest, b.account, &txn)
	balance, err := Project(card.Balance, &txn)
	if err != nil {
		return card, txn, err
	}
	card.Balance, card.Seq, card.Digest, card.LastTxnAt = balance, txn.Seq, txn.Digest, txn.CreatedAt
	return card, txn, nil
}

// record notes an extended card's new transaction for writing. A card of which the
// caller has changed more than the transaction does is to be stored first.
func (b *Book) record(card Card, txn Transaction) {
	b.cards[card.ID] = card
	b.posted[card.ID] = true
	b.AddTxn(txn)
	b.parents[txn.ID] = txn.Card
	b.txns = append(b.txns, txn)
}
