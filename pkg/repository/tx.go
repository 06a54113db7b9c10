package repository

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// Tx is a write transaction. It is a type of its own, so that a write through a
// read handle does not compile.
type Tx struct {
	store   *Store
	conn    *sql.Conn
	session session
	// inserted are rows, for [statistics].
	inserted []insertion
	// subscribers are those to the events of the account that was loaded last, which is to
	// be the one that is saved next.
	subscribers []hookSubscriberRow
	loaded      string // that account
	hooked      bool   // deliveries were written
	// last are the statements that go with the commit.
	last []statement
	// What the store remembers afterwards, and what was decided on; see [Tx.Recall].
	recalled map[uuid.UUID]*rememberedCard
	saved    *ledger.Changes
	savedFor string // the account
	version  string // of the cards' rows
}

// Write runs fn in a write transaction and commits it when fn returns nil. After
// an error of the commit itself the outcome is unknown, it may have happened, but for
// [ErrConflict] and [ledger.ErrCorrupt].
// Errors are classified: [ErrConflict] and [ErrUnavailable] are worth another try.
// The context must not be one that a caller can cancel, or a commit could be cut
// in two.
//
// When a database was restarted, any number of connections in the pool are dead and
// do not know it. Each that is tried leaves the pool, and as nothing has happened yet,
// unless the first trip was the commit, fn is called again with another one.
func (s *Store) Write(ctx context.Context, fn func(*Tx) error) error {
	for dead := 0; ; dead++ {
		begun, err := s.writeOnce(ctx, fn)
		if begun || !s.dialect.postgres || ctx.Err() != nil || !cutOff(err) || dead >= s.write.Stats().MaxOpenConnections {
			return err
		}
	}
}

// writeOnce reports whether the transaction had begun when it ended, or may have.
func (s *Store) writeOnce(ctx context.Context, fn func(*Tx) error) (begun bool, err error) {
	conn, err := s.write.DB.Conn(ctx)
	if err != nil {
		return false, fmt.Errorf("begin: %w", classify(err))
	}
	defer func() { _ = conn.Close() }() // back to the pool; an error would be one of an earlier use
	tx := &Tx{store: s, conn: conn, session: s.session(conn)}
	if !s.dialect.postgres {
		s.prepared.mu.Lock()
		defer s.prepared.mu.Unlock() // after the rollback below, which may need them
		s.checkpoints.finish(ctx, conn)
	}
	committed := false
	defer func() {
		if !committed { // fn failed or panicked, or the commit did
			tx.session.rollback(ctx)
			tx.failed(err)
		}
	}()
	if !s.dialect.postgres { // elsewhere the first round is the beginning
		if err := tx.begin(ctx); err != nil {
			return false, err
		}
	}
	if err := fn(tx); err != nil {
		return tx.session.begun(), err
	}
	if err := tx.session.commit(ctx, tx.last); err != nil {
		return true, fmt.Errorf("commit: %w", tx.stale(err))
	}
	committed = true
	tx.remember()
	s.grown(tx.inserted)
	s.checkpoints.committed()
	return true, nil
}

// begin makes sure that the transaction has begun.
func (tx *Tx) begin(ctx context.Context) error {
	if err := tx.session.round(ctx, nil); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	return nil
}

// Load reads into the book everything the operations need to be posted, and locks
// their cards until the transaction ends.
//
// The cards are locked first, in the order of their ids, and only then are holds,
// tokens and refs read, so that they show what the previous holder of the locks has
// committed. Refs come last: they belong to a card, and a token has to be loaded for
// its card to be found.
func (tx *Tx) Load(ctx context.Context, account string, book *ledger.Book, ops []ledger.Operation) error {
	tx.recalled = nil
	var keys ledger.Keys
	for _, op := range ops {
		op.Keys(&keys)
	}
	r := &round{tx: tx, account: account}
	r.lockCards(book, &keys)
	r.loadLocked(book, &keys)
	r.loadRefs(book, &keys)
	r.loadSubscribers()
	if err := r.run(ctx); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	offered := table{columns: refColumns}
	for _, key := range book.OfferedRefs(ops) {
		offered.rows = append(offered.rows, []any{key.Card, key.RefID})
	}
	read(r, &tx.store.texts.refs, bookTxn(book), offered)
	if err := r.run(ctx); err != nil {
		return fmt.Errorf("load offered refs: %w", err)
	}
	return nil
}

// lockCards locks the cards by one statement, since only then are they locked in
// order.
func (r *round) lockCards(book *ledger.Book, keys *ledger.Keys) {
	t := &r.tx.store.texts
	add := func(row *cardRow) error {
		card, err := row.card()
		if err == nil {
			book.AddCard(card)
		}
		return err
	}
	named := textTable(cardIDColumns, keys.CardIDs)
	if len(keys.TokenHashes)+len(keys.Transactions)+len(keys.Cards) == 0 {
		read(r, &t.lockNamed, add, named)
		return
	}
	read(r, &t.lock, add, named, textTable(hashColumns, keys.TokenHashes), idTable(keys.Transactions), idTable(keys.Cards))
}

// loadLocked reads what the cards' locks protect.
func (r *round) loadLocked(book *ledger.Book, keys *ledger.Keys) {
	t := &r.tx.store.texts
	if keys.TokenKey {
		r.loadTokenKey(book)
	}
	parents := idTable(keys.Transactions)
	read(r, &t.parents, func(row *txnRow) error {
		book.AddParent(row.ID, row.CardObjectID)
		return nil
	}, parents)
	read(r, &t.holds, func(row *holdRow) error {
		book.AddHold(row.hold())
		return nil
	}, parents)
	read(r, &t.tokens, bookToken(book), textTable(hashColumns, slices.Concat(keys.TokenHashes, keys.Candidates)))
}

// loadTokenKey reads which of several data keys new tokens are hashed under. It has to
// come before the tokens are read. [Store.UseDataKey] waits for this transaction then;
// and if it was first, the tokens show what was chosen under the key before.
func (r *round) loadTokenKey(book *ledger.Book) {
	t := &r.tx.store.texts
	r.statements = append(r.statements, reading(t.currentKey.text, nil, t.currentKey.columns, func(row *currentKeyRow) error {
		book.HashTokensUnder(row.KeyID)
		return nil
	}))
}

// loadRefs reads the transactions and tokens that already have a ref_id of the batch.
func (r *round) loadRefs(book *ledger.Book, keys *ledger.Keys) {
	t := &r.tx.store.texts
	ofCards, ofTokens, ofParents := table{columns: cardRefColumns}, table{columns: tokenRefColumns}, table{columns: parentRefColumns}
	for _, ref := range keys.Refs {
		switch {
		case ref.Txn != uuid.Nil:
			ofParents.rows = append(ofParents.rows, []any{ref.Txn, ref.RefID})
		case ref.TokenHash != "":
			ofTokens.rows = append(ofTokens.rows, []any{ref.TokenHash, ref.RefID})
		default:
			ofCards.rows = append(ofCards.rows, []any{ref.CardID, ref.RefID})
		}
	}
	add := bookTxn(book)
	read(r, &t.cardRefs, add, ofCards)
	read(r, &t.tokenRefs, add, ofTokens)
	read(r, &t.parentRefs, add, ofParents)

	tokens := table{columns: cardRefColumns}
	for _, ref := range keys.TokenRefs {
		tokens.rows = append(tokens.rows, []any{ref.CardID, ref.RefID})
	}
	read(r, &t.cardTokenRefs, bookToken(book), tokens)
}

func bookTxn(book *ledger.Book) func(*txnRow) error {
	return func(row *txnRow) error {
		txn, err := row.txn()
		if err == nil {
			book.AddTxn(txn)
		}
		return err
	}
}

func bookToken(book *ledger.Book) func(*tokenRow) error {
	return func(row *tokenRow) error {
		book.AddToken(row.token())
		return nil
	}
}

// Save writes what a book has changed. [ErrConflict] means that another server
// has added one of the rows first: roll back, load and decide again.
func (tx *Tx) Save(ctx context.Context, account string, c ledger.Changes) error {
	r := tx.changes(account, &c)
	if err := r.run(ctx); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	return nil
}

// SaveAtCommit is Save as a part of the commit, which saves a trip; so [ErrConflict] may
// be the commit's. An account is to be saved once, and what was saved is not seen by a
// Load behind it.
func (tx *Tx) SaveAtCommit(account string, c ledger.Changes) error {
	r := tx.changes(account, &c)
	if r.err != nil {
		return fmt.Errorf("save: %w", r.err)
	}
	tx.last = append(tx.last, r.watched()...)
	tx.noteSaved(account, &c)
	return nil
}

// changes are the statements that write what a book has changed.
//
// Changed cards come before new ones, so that a deletion frees its card_id for a
// creation of the same batch. New cards and tokens come in the order of the keys
// that other servers may be inserting as well: two servers with the same keys in
// different orders would deadlock.
func (tx *Tx) changes(account string, c *ledger.Changes) *round {
	t := &tx.store.texts
	r := &round{tx: tx, account: account}
	update(r, &t.updateCards, c.Cards, rowOfCard)
	update(r, &t.postCards, c.Posted, rowOfPosted)
	update(r, &t.updateHolds, c.Holds, rowOfHold)
	update(r, &t.updateTokens, c.Tokens, rowOfToken)

	newCards, newTokens := slices.Clone(c.NewCards), slices.Clone(c.NewTokens)
	slices.SortFunc(newCards, func(a, b ledger.Card) int { return strings.Compare(a.CardID, b.CardID) })
	slices.SortFunc(newTokens, func(a, b ledger.Token) int { return strings.Compare(a.Hash, b.Hash) })
	insert(r, &t.insertCards, newCards, rowOfCard)
	r.readVersion()
	insert(r, &t.insertTxns, c.Txns, rowOfTxnIn(c))
	insert(r, &t.saveSearch, slices.Concat(newCards, c.Cards), rowOfSearch)
	insert(r, &t.insertHolds, c.NewHolds, rowOfHold)
	insert(r, &t.insertTokens, newTokens, rowOfToken)
	insert(r, &t.hooks.insert, tx.hookEvents(account, c), rowOfHookEvent)
	return r
}

// round collects statements that are executed together.
type round struct {
	tx         *Tx
	account    string
	statements []statement
	err        error // of the arguments
}

// run executes what was collected, if anything was.
func (r *round) run(ctx context.Context) error {
	if r.err != nil || len(r.statements) == 0 {
		return r.err
	}
	return r.tx.session.round(ctx, r.watched())
}

// watched takes what was collected and shows it to the observer.
func (r *round) watched() []statement {
	statements := r.statements
	r.statements = nil
	for i := range statements {
		r.tx.store.watched(statements[i].text)
	}
	return statements
}

// read adds a look-up, if there is anything to look up.
func read[R any](r *round, l *lookup, each func(*R) error, tables ...table) {
	if !slices.ContainsFunc(tables, func(t table) bool { return len(t.rows) > 0 }) {
		return
	}
	args, err := r.tx.store.dialect.arguments(r.account, tables...)
	if err != nil {
		r.err = err
		return
	}
	r.statements = append(r.statements, reading(l.text, args, l.columns, each))
}

func update[D, R any](r *round, c *change, values []D, rowOf func(string, *D) R) {
	write(r, c, rowsOf(c.columns, r.account, values, rowOf), ledger.ErrCorrupt)
}

func insert[D, R any](r *round, c *change, values []D, rowOf func(string, *D) R) {
	if len(values) > 0 {
		r.tx.inserted = append(r.tx.inserted, insertion{c.table, int64(len(values))})
	}
	write(r, c, rowsOf(c.columns, r.account, values, rowOf), ErrConflict)
}

// write adds a change of rows, in one of its two forms. Otherwise is the error for a
// row that it does not reach.
func write(r *round, c *change, rows table, otherwise error) {
	d := r.tx.store.dialect
	s := statement{text: c.single, affects: 1, otherwise: otherwise}
	if d.postgres { // which counts by itself
		s.affects = anyNumber
		if len(rows.rows) > fewRows {
			args, err := d.arguments(r.account, rows)
			if err != nil {
				r.err = err
				return
			}
			s.text, s.args = c.whole, args
			r.statements = append(r.statements, s)
			return
		}
	}
	for _, row := range rows.rows {
		s.args = d.scalars(r.account, row)
		r.statements = append(r.statements, s)
	}
}

func compareIDs(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }
