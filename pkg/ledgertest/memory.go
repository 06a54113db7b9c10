package ledgertest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// Memory is a [Target]: the bare ledger.Book over rows in maps. It loads what
// Keys and Refs ask for and nothing more, and has the constraints of the database
// schema, so that a book that asks for too little or writes too much is found out.
type Memory struct {
	// Split says how many of the n operations left make the next batch. Nil means
	// all of them.
	Split func(n int) int
	// Post replaces the book's own method. Nil means that method.
	Post func(book *ledger.Book, op ledger.Operation) (ledger.Result, error)

	accounts map[string]*rows
}

// rows are the tables of one account.
type rows struct {
	cards      map[uuid.UUID]ledger.Card
	live       map[string]uuid.UUID
	txns       map[uuid.UUID]uuid.UUID // transaction → card
	history    map[uuid.UUID][]ledger.Transaction
	refs       map[ledger.RefKey]ledger.Transaction
	holds      map[uuid.UUID]ledger.Hold
	tokens     map[uuid.UUID]ledger.Token
	hashes     map[string]uuid.UUID
	tokenRefs  map[ledger.RefKey]uuid.UUID
	cardHolds  map[uuid.UUID][]uuid.UUID
	cardTokens map[uuid.UUID][]uuid.UUID
}

// errConstraint is what a unique index would say.
var errConstraint = errors.New("a unique constraint forbids the row")

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{accounts: map[string]*rows{}} }

func (s *Memory) account(account string) *rows {
	r := s.accounts[account]
	if r == nil {
		r = &rows{
			cards: map[uuid.UUID]ledger.Card{}, live: map[string]uuid.UUID{}, txns: map[uuid.UUID]uuid.UUID{},
			history: map[uuid.UUID][]ledger.Transaction{}, refs: map[ledger.RefKey]ledger.Transaction{},
			holds: map[uuid.UUID]ledger.Hold{}, tokens: map[uuid.UUID]ledger.Token{}, hashes: map[string]uuid.UUID{},
			tokenRefs: map[ledger.RefKey]uuid.UUID{}, cardHolds: map[uuid.UUID][]uuid.UUID{}, cardTokens: map[uuid.UUID][]uuid.UUID{},
		}
		s.accounts[account] = r
	}
	return r
}

// Submit implements [Target].
func (s *Memory) Submit(ctx context.Context, account string, now ledger.Micros, op ledger.Operation) (ledger.Result, error) {
	answer := s.SubmitAll(ctx, account, now, []ledger.Operation{op})[0]
	return answer.Result, answer.Err
}

// SubmitAll implements [Batcher].
func (s *Memory) SubmitAll(_ context.Context, account string, now ledger.Micros, ops []ledger.Operation) []Answer {
	var answers []Answer
	for len(ops) > 0 {
		n := len(ops)
		if s.Split != nil {
			n = s.Split(n)
		}
		answers, ops = append(answers, s.batch(account, now, ops[:n])...), ops[n:]
	}
	return answers
}

func (s *Memory) batch(account string, now ledger.Micros, ops []ledger.Operation) []Answer {
	post := s.Post
	if post == nil {
		post = (*ledger.Book).Post
	}
	r := s.account(account)
	book := ledger.NewBook(account, now)
	r.load(book, ops)
	var answers []Answer
	for _, op := range ops {
		result, err := post(book, op)
		answers = append(answers, Answer{Result: result, Err: err})
	}
	changes := book.Changes()
	if err := r.check(&changes); err != nil { // nothing of the batch is stored
		for i := range answers {
			answers[i] = Answer{Err: err}
		}
		return answers
	}
	r.save(&changes)
	return answers
}

// load puts the rows that the operations ask for into a book.
func (r *rows) load(book *ledger.Book, ops []ledger.Operation) {
	var keys ledger.Keys
	for _, op := range ops {
		op.Keys(&keys)
	}
	for _, hash := range keys.Candidates {
		r.loadToken(book, r.hashes[hash])
	}
	for _, hash := range keys.TokenHashes {
		id := r.hashes[hash]
		r.loadToken(book, id)
		r.loadCard(book, r.tokens[id].Card)
	}
	for _, id := range keys.Transactions {
		if card, found := r.txns[id]; found {
			book.AddParent(id, card)
			r.loadCard(book, card)
		}
		if hold, found := r.holds[id]; found {
			book.AddHold(hold)
		}
	}
	for _, cardID := range keys.CardIDs {
		r.loadCard(book, r.live[cardID])
	}
	for _, id := range keys.Cards {
		r.loadCard(book, id)
	}
	for _, ref := range keys.Refs {
		r.loadTxn(book, ledger.RefKey{Card: r.cardOf(ref), RefID: ref.RefID})
	}
	for _, ref := range keys.TokenRefs {
		r.loadToken(book, r.tokenRefs[ledger.RefKey{Card: r.cardOf(ref), RefID: ref.RefID}])
	}
	for _, key := range book.OfferedRefs(ops) {
		r.loadTxn(book, key)
	}
}

// cardOf finds the card that a ref_id is on.
func (r *rows) cardOf(ref ledger.Ref) uuid.UUID {
	switch {
	case ref.Txn != uuid.Nil:
		return r.txns[ref.Txn]
	case ref.TokenHash != "":
		return r.tokens[r.hashes[ref.TokenHash]].Card
	}
	return r.live[ref.CardID]
}

func (r *rows) loadTxn(book *ledger.Book, key ledger.RefKey) {
	if txn, found := r.refs[key]; found {
		book.AddTxn(txn)
	}
}

func (r *rows) loadCard(book *ledger.Book, id uuid.UUID) {
	if card, found := r.cards[id]; found {
		book.AddCard(card)
	}
}

func (r *rows) loadToken(book *ledger.Book, id uuid.UUID) {
	if token, found := r.tokens[id]; found {
		book.AddToken(token)
	}
}

// check applies the constraints of the schema to what a batch wants to write:
// updates first, as a deletion frees its card_id for a creation of the same batch.
func (r *rows) check(c *ledger.Changes) error {
	freed := map[string]bool{}
	for i := range c.Cards {
		was, found := r.cards[c.Cards[i].ID]
		if !found || was.CardID != c.Cards[i].CardID || was.Type != c.Cards[i].Type || was.CreatedAt != c.Cards[i].CreatedAt {
			return fmt.Errorf("update of a card: %w", ledger.ErrCorrupt)
		}
		freed[was.CardID] = c.Cards[i].Deleted()
	}
	for i := range c.Posted {
		if was, found := r.cards[c.Posted[i].ID]; !found || !reflect.DeepEqual(c.Posted[i], moved(was, &c.Posted[i])) {
			return fmt.Errorf("update of a card's figures: %w", ledger.ErrCorrupt)
		}
	}
	taken := map[string]bool{}
	for i := range c.NewCards {
		card := &c.NewCards[i]
		_, exists := r.cards[card.ID]
		_, lives := r.live[card.CardID]
		if exists || !card.Deleted() && (lives && !freed[card.CardID] || taken[card.CardID]) {
			return fmt.Errorf("new card: %w", errConstraint)
		}
		taken[card.CardID] = taken[card.CardID] || !card.Deleted()
	}
	if err := r.checkTxns(c); err != nil {
		return err
	}
	return r.checkHoldsAndTokens(c)
}

// moved is a card as it was, with what transactions move as it is.
func moved(was ledger.Card, is *ledger.Card) ledger.Card {
	was.Balance, was.OpenHolds = is.Balance, is.OpenHolds
	was.Seq, was.Digest, was.LastTxnAt = is.Seq, is.Digest, is.LastTxnAt
	return was
}

func (r *rows) checkTxns(c *ledger.Changes) error {
	refs := map[ledger.RefKey]bool{}
	next := map[uuid.UUID]int64{}
	for i := range c.Txns {
		t := &c.Txns[i]
		key := ledger.RefKey{Card: t.Card, RefID: t.RefID}
		_, used := r.refs[key]
		_, exists := r.txns[t.ID]
		if used || exists || refs[key] {
			return fmt.Errorf("new transaction: %w", errConstraint)
		}
		refs[key] = true
		if next[t.Card] == 0 {
			next[t.Card] = r.cards[t.Card].Seq + 1
		}
		if t.Seq != next[t.Card] {
			return fmt.Errorf("seq of a transaction: %w", ledger.ErrCorrupt)
		}
		next[t.Card]++
	}
	return nil
}

func (r *rows) checkHoldsAndTokens(c *ledger.Changes) error {
	for _, h := range c.NewHolds {
		if _, exists := r.holds[h.ID]; exists {
			return fmt.Errorf("new hold: %w", errConstraint)
		}
	}
	for _, h := range c.Holds {
		if was, exists := r.holds[h.ID]; !exists || was.Card != h.Card || was.Amount != h.Amount {
			return fmt.Errorf("update of a hold: %w", ledger.ErrCorrupt)
		}
	}
	hashes, refs := map[string]bool{}, map[ledger.RefKey]bool{}
	for _, t := range c.NewTokens {
		key := ledger.RefKey{Card: t.Card, RefID: t.RefID}
		_, exists := r.tokens[t.ID]
		_, given := r.hashes[t.Hash]
		_, used := r.tokenRefs[key]
		if exists || given || used || hashes[t.Hash] || refs[key] {
			return fmt.Errorf("new token: %w", errConstraint)
		}
		hashes[t.Hash], refs[key] = true, t.RefID != ""
	}
	for _, t := range c.Tokens {
		was, exists := r.tokens[t.ID]
		was.SpentBy, t.SpentBy = uuid.Nil, uuid.Nil
		if !exists || was != t {
			return fmt.Errorf("update of a token: %w", ledger.ErrCorrupt)
		}
	}
	return nil
}

func (r *rows) save(c *ledger.Changes) {
	for _, card := range slices.Concat(c.Cards, c.Posted, c.NewCards) {
		r.cards[card.ID] = card
		if !card.Deleted() {
			r.live[card.CardID] = card.ID
		} else if r.live[card.CardID] == card.ID {
			delete(r.live, card.CardID)
		}
	}
	for _, t := range c.Txns {
		r.txns[t.ID] = t.Card
		r.refs[ledger.RefKey{Card: t.Card, RefID: t.RefID}] = t
		r.history[t.Card] = append(r.history[t.Card], t)
	}
	for _, h := range c.NewHolds {
		r.cardHolds[h.Card] = append(r.cardHolds[h.Card], h.ID)
	}
	for _, h := range slices.Concat(c.Holds, c.NewHolds) {
		r.holds[h.ID] = h
	}
	for _, t := range c.NewTokens {
		r.hashes[t.Hash] = t.ID
		r.cardTokens[t.Card] = append(r.cardTokens[t.Card], t.ID)
		if t.RefID != "" {
			r.tokenRefs[ledger.RefKey{Card: t.Card, RefID: t.RefID}] = t.ID
		}
	}
	for _, t := range slices.Concat(c.Tokens, c.NewTokens) {
		r.tokens[t.ID] = t
	}
}

// errUnknownCard answers for a card object that the account does not have.
var errUnknownCard = errors.New("no such card object")

// Card implements [Target].
func (s *Memory) Card(_ context.Context, account string, id uuid.UUID) (ledger.Card, error) {
	card, found := s.account(account).cards[id]
	if !found {
		return ledger.Card{}, errUnknownCard
	}
	return card, nil
}

// Transactions implements [Target].
func (s *Memory) Transactions(_ context.Context, account string, card uuid.UUID) ([]ledger.Transaction, error) {
	return s.account(account).history[card], nil
}

// Holds implements [Inspector].
func (s *Memory) Holds(_ context.Context, account string, card uuid.UUID) ([]ledger.Hold, error) {
	r := s.account(account)
	var holds []ledger.Hold
	for _, id := range r.cardHolds[card] {
		holds = append(holds, r.holds[id])
	}
	return holds, nil
}

// Tokens implements [Inspector].
func (s *Memory) Tokens(_ context.Context, account string, card uuid.UUID) ([]ledger.Token, error) {
	r := s.account(account)
	var tokens []ledger.Token
	for _, id := range r.cardTokens[card] {
		tokens = append(tokens, r.tokens[id])
	}
	return tokens, nil
}

// Cards lists every card object of an account by id, deleted ones included.
func (s *Memory) Cards(account string) []ledger.Card {
	var cards []ledger.Card
	for _, card := range s.account(account).cards {
		cards = append(cards, card)
	}
	slices.SortFunc(cards, func(a, b ledger.Card) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return cards
}

// List implements [Lister] by looking at every stored row.
func (s *Memory) List(_ context.Context, account string, now ledger.Micros, f Filter) (Page, error) {
	var page Page
	for id, c := range s.account(account).cards {
		if (f.After == uuid.Nil || bytes.Compare(id[:], f.After[:]) < 0) && f.selects(&c, now) {
			page.IDs = append(page.IDs, id)
		}
	}
	slices.SortFunc(page.IDs, func(a, b uuid.UUID) int { return -bytes.Compare(a[:], b[:]) })
	if page.More = len(page.IDs) > f.Limit; page.More {
		page.IDs = page.IDs[:f.Limit]
	}
	return page, nil
}

// selects looks for a reason why a stored card does not belong to the list.
func (f *Filter) selects(c *ledger.Card, now ledger.Micros) bool {
	expires := ledger.Micros(-1) // before any bound that a filter has
	if c.ExpiresAt != nil {
		expires = *c.ExpiresAt
	}
	switch {
	case c.Deleted() && !f.IncludeDeleted,
		f.Type != "" && c.Type != f.Type,
		f.Status != "" && c.Status(now) != f.Status,
		f.Customer != "" && c.CustomerID != f.Customer,
		f.Currencies != nil && !slices.Contains(f.Currencies, c.Currency),
		outside(c.Balance.Balance(), f.Balance, f.Balance), outside(c.Balance.Balance(), f.BalanceMin, f.BalanceMax),
		outside(c.Available(), f.Available, f.Available), outside(c.Available(), f.AvailableMin, f.AvailableMax),
		outside(c.CreatedAt, f.CreatedMin, f.CreatedMax),
		outside(expires, f.ExpiresMin, f.ExpiresMax), expires < 0 && f.ExpiresMax != nil:
		return false
	}
	found := func(id string) bool { return strings.Contains(strings.ToLower(id), strings.ToLower(f.Search)) }
	return found(c.CardID) || found(c.CustomerID) || f.Search == strconv.FormatInt(c.Amount, 10)
}

func outside[T cmp.Ordered](n T, from, to *T) bool {
	return from != nil && n < *from || to != nil && n > *to
}
