package repository

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/uptrace/bun/schema"

	"github.com/kortwallet/kort/pkg/ledger"
)

// Tx is a write transaction. It is a type of its own, so that a write through a
// read handle does not compile.
type Tx struct {
	store *Store
	tx    *sql.Tx
}

// Write runs fn in a write transaction and commits it when fn returns nil. After
// an error of the commit itself the outcome is unknown: it may have happened.
// Errors are classified: [ErrConflict] and [ErrUnavailable] are worth another try.
// The context must not be one that a caller can cancel, or a commit could be cut
// in two.
func (s *Store) Write(ctx context.Context, fn func(*Tx) error) error {
	tx, err := s.begin(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit this does nothing; before it, the first error matters
	if err := fn(&Tx{store: s, tx: tx}); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", classify(err))
	}
	return nil
}

// begin starts a transaction on a connection that works. When a database was
// restarted, any number of connections in the pool are dead and do not know it;
// each that is tried leaves the pool, and nothing has happened yet.
func (s *Store) begin(ctx context.Context) (*sql.Tx, error) {
	for dead := 0; ; dead++ {
		tx, err := s.write.DB.BeginTx(ctx, nil)
		if err == nil {
			return tx, nil
		}
		err = classify(err)
		var noServer *pgconn.ConnectError
		stale := s.dialect.postgres && errors.Is(err, ErrUnavailable) && !errors.As(err, &noServer) && ctx.Err() == nil
		if !stale || dead >= s.write.Stats().MaxOpenConnections {
			return nil, err
		}
	}
}

// Load reads into the book everything the operations need to be posted, and locks
// their cards until the transaction ends.
//
// What never changes is resolved first, without locks: which card a token or a
// transaction belongs to. Then the cards are locked in the order of their ids, and
// only then are holds, tokens and refs read, so that they show what the previous
// holder of the locks has committed. Refs come last: they belong to a card, and a
// token has to be loaded for its card to be found.
func (tx *Tx) Load(ctx context.Context, account string, book *ledger.Book, ops []ledger.Operation) error {
	var keys ledger.Keys
	for _, op := range ops {
		op.Keys(&keys)
	}
	if err := tx.resolve(ctx, account, book, &keys); err != nil {
		return err
	}
	if err := tx.lockCards(ctx, account, book, keys); err != nil {
		return fmt.Errorf("lock cards: %w", err)
	}
	if err := tx.loadLocked(ctx, account, book, keys); err != nil {
		return err
	}
	if err := tx.loadRefs(ctx, account, book, ops); err != nil {
		return fmt.Errorf("load refs: %w", err)
	}
	return nil
}

// resolve adds the cards of tokens and transactions to the keys.
func (tx *Tx) resolve(ctx context.Context, account string, book *ledger.Book, keys *ledger.Keys) error {
	t := &tx.store.texts
	var tokens []tokenRow
	if err := tx.find(ctx, t.tokenCards, account, &tokens, texts(hashColumns, keys.TokenHashes)); err != nil {
		return fmt.Errorf("resolve tokens: %w", err)
	}
	for i := range tokens {
		keys.Cards = append(keys.Cards, tokens[i].CardObjectID)
	}
	var txns []txnRow
	if err := tx.find(ctx, t.txnCards, account, &txns, texts(idColumns, idsOf(keys.Transactions))); err != nil {
		return fmt.Errorf("resolve transactions: %w", err)
	}
	for i := range txns {
		book.AddParent(txns[i].ID, txns[i].CardObjectID)
		keys.Cards = append(keys.Cards, txns[i].CardObjectID)
	}
	return nil
}

func (tx *Tx) lockCards(ctx context.Context, account string, book *ledger.Book, keys ledger.Keys) error {
	var rows []cardRow
	byCardID, byID := texts(cardIDColumns, keys.CardIDs), texts(idColumns, idsOf(keys.Cards))
	if err := tx.find(ctx, tx.store.texts.lockCards, account, &rows, byCardID, byID); err != nil {
		return err
	}
	for i := range rows {
		card, err := rows[i].card()
		if err != nil {
			return err
		}
		book.AddCard(card)
	}
	return nil
}

// loadRefs reads the transactions and tokens that already have a ref_id of the batch.
func (tx *Tx) loadRefs(ctx context.Context, account string, book *ledger.Book, ops []ledger.Operation) error {
	ofTxns, ofTokens := table{columns: refColumns}, table{columns: refColumns}
	for _, op := range ops {
		key, token, needed := book.Refs(op)
		switch row := []any{key.Card.String(), key.RefID}; {
		case needed && token:
			ofTokens.rows = append(ofTokens.rows, row)
		case needed:
			ofTxns.rows = append(ofTxns.rows, row)
		}
	}
	var txns []txnRow
	if err := tx.find(ctx, tx.store.texts.refTxns, account, &txns, ofTxns); err != nil {
		return err
	}
	for i := range txns {
		txn, err := txns[i].txn()
		if err != nil {
			return err
		}
		book.AddTxn(txn)
	}
	var tokens []tokenRow
	if err := tx.find(ctx, tx.store.texts.refTokens, account, &tokens, ofTokens); err != nil {
		return err
	}
	for i := range tokens {
		book.AddToken(tokens[i].token())
	}
	return nil
}

// loadLocked reads holds and tokens, whose state the cards' locks protect.
func (tx *Tx) loadLocked(ctx context.Context, account string, book *ledger.Book, keys ledger.Keys) error {
	var holds []holdRow
	if err := tx.find(ctx, tx.store.texts.holds, account, &holds, texts(idColumns, idsOf(keys.Transactions))); err != nil {
		return fmt.Errorf("load holds: %w", err)
	}
	for i := range holds {
		book.AddHold(holds[i].hold())
	}
	var tokens []tokenRow
	hashes := texts(hashColumns, append(slices.Clone(keys.TokenHashes), keys.Candidates...))
	if err := tx.find(ctx, tx.store.texts.tokens, account, &tokens, hashes); err != nil {
		return fmt.Errorf("load tokens: %w", err)
	}
	for i := range tokens {
		book.AddToken(tokens[i].token())
	}
	return nil
}

// Save writes what a book has changed. [ErrConflict] means that another server
// has added one of the rows first: roll back, load and decide again.
//
// Changed cards come before new ones, so that a deletion frees its card_id for a
// creation of the same batch. New cards and tokens come in the order of the keys
// that other servers may be inserting as well: two servers with the same keys in
// different orders would deadlock.
func (tx *Tx) Save(ctx context.Context, account string, c ledger.Changes) error {
	t := &tx.store.texts
	updates := []struct {
		text string
		rows table
	}{
		{t.updateCards, rowsOf(t.cardModel, columnsOf(t.cardModel, cardUpdates...), account, c.Cards, rowOfCard)},
		{t.updateHolds, rowsOf(t.holdModel, columnsOf(t.holdModel, holdUpdates...), account, c.Holds, rowOfHold)},
		{t.updateTokens, rowsOf(t.tokenModel, columnsOf(t.tokenModel, tokenUpdates...), account, c.Tokens, rowOfToken)},
	}
	for _, u := range updates {
		if err := tx.update(ctx, u.text, account, u.rows); err != nil {
			return err
		}
	}
	newCards, newTokens := slices.Clone(c.NewCards), slices.Clone(c.NewTokens)
	slices.SortFunc(newCards, func(a, b ledger.Card) int { return strings.Compare(a.CardID, b.CardID) })
	slices.SortFunc(newTokens, func(a, b ledger.Token) int { return strings.Compare(a.Hash, b.Hash) })
	inserts := []struct {
		text string
		rows table
	}{
		{t.insertCards, rowsOf(t.cardModel, columnsOf(t.cardModel), account, newCards, rowOfCard)},
		{t.insertTxns, rowsOf(t.txnModel, columnsOf(t.txnModel), account, c.Txns, rowOfTxn)},
		{t.insertHolds, rowsOf(t.holdModel, columnsOf(t.holdModel), account, c.NewHolds, rowOfHold)},
		{t.insertTokens, rowsOf(t.tokenModel, columnsOf(t.tokenModel), account, newTokens, rowOfToken)},
	}
	for _, i := range inserts {
		if err := tx.insert(ctx, i.text, account, i.rows); err != nil {
			return err
		}
	}
	return nil
}

// find scans the rows that match the table arguments into a slice of row models.
// Without any argument row there is nothing to ask.
func (tx *Tx) find(ctx context.Context, text, account string, rows any, tables ...table) error {
	args, some, err := tx.args(account, tables...)
	if err != nil || !some {
		return err
	}
	tx.observe(text)
	found, err := tx.tx.QueryContext(ctx, text, args...) //nolint:rowserrcheck // ScanRows looks at it
	if err != nil {
		return classify(err)
	}
	return classify(tx.store.write.ScanRows(ctx, found, rows)) // closes found
}

func (tx *Tx) update(ctx context.Context, text, account string, rows table) error {
	args, some, err := tx.args(account, rows)
	if err != nil || !some {
		return err
	}
	tx.observe(text)
	result, err := tx.tx.ExecContext(ctx, text, args...)
	if err != nil {
		return fmt.Errorf("update: %w", classify(err))
	}
	if n, err := result.RowsAffected(); err != nil || n != int64(len(rows.rows)) {
		return fmt.Errorf("update: %d of %d rows: %w", n, len(rows.rows), ledger.ErrCorrupt)
	}
	return nil
}

func (tx *Tx) insert(ctx context.Context, text, account string, rows table) error {
	args, some, err := tx.args(account, rows)
	if err != nil || !some {
		return err
	}
	tx.observe(text)
	found, err := tx.tx.QueryContext(ctx, text, args...)
	if err != nil {
		return fmt.Errorf("insert: %w", classify(err))
	}
	defer func() { _ = found.Close() }()
	inserted := 0
	for found.Next() {
		inserted++
	}
	if err := found.Err(); err != nil {
		return fmt.Errorf("insert: %w", classify(err))
	}
	if inserted != len(rows.rows) {
		return fmt.Errorf("insert: %w", ErrConflict)
	}
	return nil
}

// args flattens the account and table arguments; it reports false when no table
// has a row.
func (tx *Tx) args(account string, tables ...table) ([]any, bool, error) {
	args, some := []any{account}, false
	for _, t := range tables {
		more, err := tx.store.dialect.args(t)
		if err != nil {
			return nil, false, err
		}
		args, some = append(args, more...), some || len(t.rows) > 0
	}
	return tx.store.dialect.prepared(args), some, nil
}

func (tx *Tx) observe(text string) {
	if tx.store.observe != nil {
		tx.store.observe(text)
	}
}

// texts makes a table argument of one column, sorted and without repetition.
func texts(columns []column, values []string) table {
	sorted := slices.Compact(slices.Sorted(slices.Values(values)))
	t := table{columns: columns}
	for _, value := range sorted {
		t.rows = append(t.rows, []any{value})
	}
	return t
}

// rowsOf makes a table argument of domain values.
func rowsOf[D, R any](
	model *schema.Table, columns []column, account string, values []D, rowOf func(string, *D) R,
) table {
	t := table{columns: columns}
	for i := range values {
		row := rowOf(account, &values[i])
		t.rows = append(t.rows, valuesOf(model, columns, reflect.ValueOf(row)))
	}
	return t
}
