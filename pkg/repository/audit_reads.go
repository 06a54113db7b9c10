package repository

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

const (
	// auditCards is how many cards an audit reads at a time.
	auditCards = 512
	// auditRows is how many transactions or tokens an audit reads at a time.
	auditRows = 2048
	// auditStrays bounds the rows without a counterpart that are named one by one,
	// for each page of cards.
	auditStrays = 512
)

// AuditReader reads rows as they are stored, for an audit: in the order of their
// keys, in pages, and without stopping at a row that no server can have written.
// It lives as long as its database transaction and is used by one goroutine at a
// time.
//
// Keys of cards are texts, not UUIDs: SQLite takes any text for an id, and a page
// must go on after it whatever it is.
type AuditReader struct {
	store *Store
	tx    querier
}

// querier is a database transaction to read in.
type querier interface {
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
}

// Snapshot lets fn read one state of the whole database, however long that takes,
// while servers go on writing.
func (s *Store) Snapshot(ctx context.Context, fn func(*AuditReader) error) error {
	var options *sql.TxOptions // on SQLite a read transaction keeps to the state of its first read
	if s.dialect.postgres {
		options = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	tx, err := s.read.DB.BeginTx(ctx, options)
	if err != nil {
		return fmt.Errorf("begin snapshot: %w", classify(err))
	}
	defer func() { _ = tx.Rollback() }() // nothing was written, so there is nothing to lose
	if s.dialect.postgres {
		// The sums of one busy card may take longer than any statement of a server.
		const unlimited = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
		if _, err := tx.ExecContext(ctx, unlimited); err != nil {
			return fmt.Errorf("begin snapshot: %w", classify(err))
		}
	}
	return fn(&AuditReader{store: s, tx: tx})
}

// Audit reads inside a write transaction that has locked something: what its locks
// protect stays as it is read.
func (tx *Tx) Audit() *AuditReader { return &AuditReader{store: tx.store, tx: tx.conn} }

// The two statements below span accounts, the only ones of an audit that do. An
// audit of the whole database has to find out which accounts there are, rows of
// accounts that have lost all their cards included, and how much there is to do.
// Everything else is read account by account.
const (
	nextAccountText = `SELECT min(a) FROM (
		SELECT min(account_id) AS a FROM cards WHERE account_id %[1]s $1 UNION ALL
		SELECT min(account_id) FROM transactions WHERE account_id %[1]s $1 UNION ALL
		SELECT min(account_id) FROM holds WHERE account_id %[1]s $1 UNION ALL
		SELECT min(account_id) FROM tokens WHERE account_id %[1]s $1) AS accounts`
	sizeOfAllText = `SELECT sum(CAST(seq AS DOUBLE PRECISION)) FROM cards WHERE $1 = ''`
)

// NextAccount returns the first account after the given one, or the very first
// for nil. It reports false when there is none.
func (a *AuditReader) NextAccount(ctx context.Context, after *string) (account string, found bool, err error) {
	operator, from := ">=", ""
	if after != nil {
		operator, from = ">", *after
	}
	err = a.each(ctx, fmt.Sprintf(nextAccountText, operator), 1, func(f *fields) {
		found = !f.null()
		account = f.text("account_id")
	}, from)
	if err == nil && found && after != nil && account <= *after {
		return "", false, errDisorder
	}
	return account, found, err
}

// Size estimates how many transactions there are in an account, or in all when
// none is named. Cards are few beside transactions, and each knows its number.
func (a *AuditReader) Size(ctx context.Context, account string) (int64, error) {
	text := sizeOfAllText
	if account != "" {
		text = `SELECT sum(CAST(seq AS DOUBLE PRECISION)) FROM cards WHERE account_id = $1`
	}
	var size float64 // a forged seq must not overflow a mere estimate
	err := a.each(ctx, text, 1, func(f *fields) { size = f.float("seq") }, account)
	return int64(min(size, math.MaxInt64/2)), err
}

// errDisorder stops an audit that would otherwise read the same page for ever:
// the database sorts a key in another place than its text.
var errDisorder = fmt.Errorf("rows do not come in the order of their keys: %w", ledger.ErrCorrupt)

// CardSpan is a range of cards by their keys: after the first and up to the
// second, included. An empty end is open.
type CardSpan struct{ After, Upto string }

// where is the condition that a column lies in the span, for the arguments $2 and $3.
func (s CardSpan) where(column string) string {
	operator := ">"
	if s.After == "" {
		operator = ">="
	}
	return fmt.Sprintf("%s %s $2 AND %s <= $3", column, operator, column)
}

// span makes the arguments for CardSpan.where.
func (a *AuditReader) span(s CardSpan) (after, upto string) {
	after, upto = s.After, s.Upto
	if upto == "" {
		upto = "\xff" // behind every text
		if a.store.dialect.postgres {
			upto = uuid.Max.String()
		}
	}
	if after == "" && a.store.dialect.postgres {
		after = uuid.Nil.String()
	}
	return after, upto
}

// CardRecord is a card as it is stored.
type CardRecord struct {
	Key  string // the object's id as stored
	Card ledger.Card
	// SearchText tells whether the search column agrees with the ids.
	SearchText bool
	// Defects names the columns whose values no server can have written.
	Defects []string
}

const cardRecordText = `SELECT c.id, c.card_id, c.customer_id, c.type, c.created_at, c.amount, c.currency, c.activated,
	c.activation_id, c.amount_funds, c.amount_drawdown, c.amount_pending, c.amount_reserved, c.open_holds, c.seq, c.digest,
	c.last_txn_at, c.deleted_at, c.deleted_by, c.deletion_id, c.search_text FROM cards AS c WHERE c.account_id = $1`

const cardRecordColumns = 21

// cardRecord reads a row of cardRecordText. What an audit has no rule for (names,
// metadata, PINs) is left out.
func cardRecord(f *fields) CardRecord {
	var r CardRecord
	c := &r.Card
	r.Key, c.ID = f.key("id")
	c.CardID, c.CustomerID = f.text("card_id"), f.text("customer_id")
	c.Type = ledger.CardType(f.text("type"))
	c.CreatedAt = ledger.Micros(f.number("created_at"))
	c.Amount, c.Currency = f.number("amount"), ledger.Currency(f.text("currency"))
	c.Activated, c.ActivationID = f.flag("activated"), f.id("activation_id")
	c.Funds, c.Drawdown = f.number("amount_funds"), f.number("amount_drawdown")
	c.Pending, c.Reserved = f.number("amount_pending"), f.number("amount_reserved")
	c.OpenHolds, c.Seq = f.number("open_holds"), f.number("seq")
	c.Digest, c.LastTxnAt = f.digest("digest"), ledger.Micros(f.number("last_txn_at"))
	c.DeletedAt, c.DeletedBy, c.DeletionID = f.moment("deleted_at"), f.text("deleted_by"), f.id("deletion_id")
	r.SearchText = f.text("search_text") == searchText(c.CardID, c.CustomerID)
	r.Defects = f.defects
	return r
}

// Cards reads the page of cards after a key, in the order of their keys, and the
// span it covers: the whole rest of the account when it is the last page.
func (a *AuditReader) Cards(ctx context.Context, account, after string) ([]CardRecord, CardSpan, error) {
	span := CardSpan{After: after}
	from, _ := a.span(span)
	text := cardRecordText + " AND c.id >= $2"
	if after != "" {
		text = cardRecordText + " AND c.id > $2"
	}
	text += fmt.Sprintf(" ORDER BY c.id LIMIT %d", auditCards)
	var cards []CardRecord
	err := a.each(ctx, text, cardRecordColumns, func(f *fields) { cards = append(cards, cardRecord(f)) }, account, from)
	if err != nil {
		return nil, span, fmt.Errorf("read cards: %w", err)
	}
	if len(cards) == auditCards {
		span.Upto = cards[len(cards)-1].Key
	}
	for last := range len(cards) - 1 {
		if cards[last].Key >= cards[last+1].Key {
			return nil, span, errDisorder
		}
	}
	if after != "" && len(cards) > 0 && cards[0].Key <= after {
		return nil, span, errDisorder
	}
	return cards, span, nil
}

// TxnRecord is a transaction as it is stored.
type TxnRecord struct {
	Key     string // the id as stored
	CardKey string // the card object's id as stored
	Txn     ledger.Transaction
	Defects []string // the columns whose values no server can have written
}

// TxnPosition is a place in the order of an account's transactions: after a seq of
// a card. The zero position stands before all.
type TxnPosition struct {
	CardKey string
	Seq     int64
}

// LastSeq makes a position that stands after all transactions of its card.
const LastSeq int64 = math.MaxInt64

func (p TxnPosition) before(other TxnPosition) bool {
	return p.CardKey < other.CardKey || p.CardKey == other.CardKey && p.Seq < other.Seq
}

// TxnPage is a page of transactions with the rows they are tied to. It may be
// used again for another page.
type TxnPage struct {
	Rows   []TxnRecord
	Holds  map[uuid.UUID]ledger.Hold  // of the pending transactions of the page
	Tokens map[uuid.UUID]ledger.Token // of the transactions that were made by token
}

const txnRecordText = `SELECT t.id, t.card_object_id, t.seq, t.type, t.amount, t.currency, t.ref_id, t.parent_id, t.token_id,
	t.addressed_by, t.amount_given, t.metadata, t.originated_by, t.created_at, t.created_by, t.digest
	FROM transactions AS t WHERE t.account_id = $1`

const txnRecordColumns = 16

func (r *TxnRecord) read(f *fields) {
	t := &r.Txn
	r.Key, t.ID = f.key("id")
	r.CardKey, t.Card = f.key("card_object_id")
	t.Seq, t.Type = f.number("seq"), ledger.TxnType(f.text("type"))
	t.Amount, t.Currency = f.number("amount"), ledger.Currency(f.text("currency"))
	t.RefID, t.Parent, t.Token = f.text("ref_id"), f.id("parent_id"), f.id("token_id")
	t.Address, t.AmountGiven = ledger.Address(f.text("addressed_by")), f.flag("amount_given")
	t.Metadata, t.OriginatedBy = f.text("metadata"), f.text("originated_by")
	t.CreatedAt, t.CreatedBy = ledger.Micros(f.number("created_at")), f.text("created_by")
	t.Digest = f.digest("digest")
	r.Defects = f.defects
}

// Transactions fills the page with the transactions that come after a position,
// by card and seq, up to a card. The page is empty when there are no more.
func (a *AuditReader) Transactions(ctx context.Context, account string, after TxnPosition, upto string, page *TxnPage) error {
	from, to := a.span(CardSpan{After: after.CardKey, Upto: upto})
	text := fmt.Sprintf("%s AND (t.card_object_id, t.seq) > ($2, $4) AND t.card_object_id <= $3 ORDER BY t.card_object_id, t.seq LIMIT %d",
		txnRecordText, auditRows)
	if after.CardKey == "" {
		after.Seq = math.MinInt64
	}
	page.Rows = page.Rows[:0]
	last, ordered := after, true
	err := a.each(ctx, text, txnRecordColumns, func(f *fields) {
		row := extended(&page.Rows)
		row.read(f)
		next := TxnPosition{row.CardKey, row.Txn.Seq}
		ordered = ordered && !next.before(last) && next != after
		last = next
	}, account, from, to, after.Seq)
	if err != nil {
		return fmt.Errorf("read transactions: %w", err)
	}
	if !ordered {
		return errDisorder
	}
	return a.tie(ctx, account, page)
}

// extended lengthens a slice by a used element, so that a page is filled without
// allocation.
func extended[T any](rows *[]T) *T {
	if n := len(*rows); n < cap(*rows) {
		*rows = (*rows)[:n+1]
	} else {
		var zero T
		*rows = append(*rows, zero)
	}
	return &(*rows)[len(*rows)-1]
}

// tie looks up the holds and tokens of a page of transactions.
func (a *AuditReader) tie(ctx context.Context, account string, page *TxnPage) error {
	var holds, tokens []uuid.UUID
	for i := range page.Rows {
		txn := &page.Rows[i].Txn
		if txn.Type == ledger.TypePending {
			holds = append(holds, txn.ID)
		}
		if txn.Token != uuid.Nil {
			tokens = append(tokens, txn.Token)
		}
	}
	var err error
	if page.Holds, err = a.Holds(ctx, account, holds); err != nil {
		return err
	}
	page.Tokens = make(map[uuid.UUID]ledger.Token, len(tokens))
	err = a.lookUp(ctx, tokenRecordColumns, "SELECT "+tokenRecordFields+" FROM %s CROSS JOIN tokens AS k WHERE k.account_id = $1 AND k.id = r.id", account, tokens,
		func(f *fields) {
			token := tokenRecord(f)
			page.Tokens[token.Token.ID] = token.Token
		})
	if err != nil {
		return fmt.Errorf("look up tokens: %w", err)
	}
	return nil
}

// Holds looks up holds by their ids. Those that there are not are left out.
func (a *AuditReader) Holds(ctx context.Context, account string, ids []uuid.UUID) (map[uuid.UUID]ledger.Hold, error) {
	const columns = 5
	holds := make(map[uuid.UUID]ledger.Hold, len(ids))
	err := a.lookUp(ctx, columns, `SELECT h.id, h.card_object_id, h.amount, h.locked, h.open
		FROM %s CROSS JOIN holds AS h WHERE h.account_id = $1 AND h.id = r.id`, account, ids,
		func(f *fields) {
			hold := ledger.Hold{
				ID: f.id("id"), Card: f.id("card_object_id"),
				Amount: f.number("amount"), Locked: f.number("locked"), Open: f.flag("open"),
			}
			if f.defects == nil { // else it is as good as missing
				holds[hold.ID] = hold
			}
		})
	if err != nil {
		return nil, fmt.Errorf("look up holds: %w", err)
	}
	return holds, nil
}

// TokenRecord is a token as it is stored.
type TokenRecord struct {
	Key     string // the id as stored
	CardKey string // the card object's id as stored
	Token   ledger.Token
	Defects []string // the columns whose values no server can have written
}

// TokenPosition is a place in the order of an account's tokens: after a token of a
// card, or after all of them when Key is empty. The zero position stands before all.
type TokenPosition struct{ CardKey, Key string }

// TokenPage is a page of tokens with the transactions that spent them.
type TokenPage struct {
	Rows  []TokenRecord
	Spent map[uuid.UUID]ledger.Transaction // with ID, Card and Token only
}

const tokenRecordFields = `k.id, k.card_object_id, k.expires_in, k.expires_at, k.single_use, k.spent_by, k.created_at`

const tokenRecordColumns = 7

func tokenRecord(f *fields) TokenRecord {
	var r TokenRecord
	t := &r.Token
	r.Key, t.ID = f.key("id")
	r.CardKey, t.Card = f.key("card_object_id")
	t.ExpiresIn, t.ExpiresAt = f.number("expires_in"), f.moment("expires_at")
	t.SingleUse, t.SpentBy = f.flag("single_use"), f.id("spent_by")
	t.CreatedAt = ledger.Micros(f.number("created_at"))
	r.Defects = f.defects
	return r
}

// Tokens reads the page of tokens that come after a position, by card and id, up
// to a card. The page is empty when there are no more.
func (a *AuditReader) Tokens(ctx context.Context, account string, after TokenPosition, upto string) (*TokenPage, error) {
	from, to := a.span(CardSpan{After: after.CardKey, Upto: upto})
	key := after.Key
	if key == "" {
		first, last := a.span(CardSpan{})
		if key = first; after.CardKey != "" {
			key = last
		}
	}
	text := fmt.Sprintf("SELECT %s FROM tokens AS k WHERE k.account_id = $1 AND (k.card_object_id, k.id) > ($2, $4) AND k.card_object_id <= $3 "+
		"ORDER BY k.card_object_id, k.id LIMIT %d", tokenRecordFields, auditRows)
	page := &TokenPage{Spent: map[uuid.UUID]ledger.Transaction{}}
	var spent []uuid.UUID
	last, ordered := after, true
	err := a.each(ctx, text, tokenRecordColumns, func(f *fields) {
		row := tokenRecord(f)
		page.Rows = append(page.Rows, row)
		if row.Token.SpentBy != uuid.Nil {
			spent = append(spent, row.Token.SpentBy)
		}
		next := TokenPosition{row.CardKey, row.Key}
		ordered = ordered && (next.CardKey > last.CardKey || next.CardKey == last.CardKey && next.Key > last.Key)
		last = next
	}, account, from, to, key)
	if err != nil {
		return nil, fmt.Errorf("read tokens: %w", err)
	}
	if !ordered {
		return nil, errDisorder
	}
	const columns = 3
	err = a.lookUp(ctx, columns, `SELECT t.id, t.card_object_id, t.token_id
		FROM %s CROSS JOIN transactions AS t WHERE t.account_id = $1 AND t.id = r.id`, account, spent,
		func(f *fields) {
			txn := ledger.Transaction{ID: f.id("id"), Card: f.id("card_object_id"), Token: f.id("token_id")}
			page.Spent[txn.ID] = txn
		})
	if err != nil {
		return nil, fmt.Errorf("look up the transactions of tokens: %w", err)
	}
	return page, nil
}

// Sums says in closed form what a card's transactions come to: no order, no
// replay, nothing of what package ledger does.
type Sums struct {
	Funds, Drawdown, Pending int64 // minor currency units
	Count                    int64
	LastAt                   ledger.Micros
	Defects                  []string
}

// Sums adds up the transactions of a span of cards, by card key. Cards without
// transactions are left out.
func (a *AuditReader) Sums(ctx context.Context, account string, span CardSpan) (map[string]Sums, error) {
	const columns = 6
	text := `SELECT t.card_object_id, count(*),
		CAST(sum(CASE WHEN t.type = 'fund' THEN t.amount ELSE 0 END) AS BIGINT),
		CAST(sum(CASE WHEN t.type = 'drawdown' THEN t.amount ELSE 0 END) AS BIGINT),
		CAST(sum(CASE WHEN t.type = 'pending_capture' THEN t.amount
			WHEN t.type = 'voided' OR t.type = 'drawdown' AND t.parent_id IS NOT NULL THEN -t.amount ELSE 0 END) AS BIGINT),
		max(t.created_at)
		FROM transactions AS t WHERE t.account_id = $1 AND ` + span.where("t.card_object_id") + ` GROUP BY t.card_object_id`
	sums := make(map[string]Sums)
	after, upto := a.span(span)
	err := a.each(ctx, text, columns, func(f *fields) {
		key := f.text("card_object_id")
		sums[key] = Sums{
			Count: f.number("count"), Funds: f.number("amount_funds"), Drawdown: f.number("amount_drawdown"),
			Pending: f.number("amount_pending"), LastAt: ledger.Micros(f.number("created_at")), Defects: f.defects,
		}
	}, account, after, upto)
	if err != nil {
		return nil, fmt.Errorf("sum transactions: %w", err)
	}
	return sums, nil
}

// HoldSums adds up the open holds of a card.
type HoldSums struct {
	Open    int64
	Locked  int64 // minor currency units
	Defects []string
}

// HoldSums adds up the holds of a span of cards, by card key.
func (a *AuditReader) HoldSums(ctx context.Context, account string, span CardSpan) (map[string]HoldSums, error) {
	const columns = 3
	text := `SELECT h.card_object_id, count(*), CAST(sum(h.locked) AS BIGINT)
		FROM holds AS h WHERE h.account_id = $1 AND ` + span.where("h.card_object_id") + ` AND h.open GROUP BY h.card_object_id`
	sums := make(map[string]HoldSums)
	after, upto := a.span(span)
	err := a.each(ctx, text, columns, func(f *fields) {
		key := f.text("card_object_id")
		sums[key] = HoldSums{Open: f.number("open_holds"), Locked: f.number("amount_pending"), Defects: f.defects}
	}, account, after, upto)
	if err != nil {
		return nil, fmt.Errorf("sum holds: %w", err)
	}
	return sums, nil
}

// StrayHold is a hold whose card has no such pending transaction.
type StrayHold struct{ Key, CardKey string }

// StrayHolds finds the stray holds of a span of cards, up to a bounded number.
func (a *AuditReader) StrayHolds(ctx context.Context, account string, span CardSpan) ([]StrayHold, error) {
	const columns = 2
	text := fmt.Sprintf(`SELECT h.id, h.card_object_id FROM holds AS h WHERE h.account_id = $1 AND %s
		AND NOT EXISTS (SELECT 1 FROM transactions AS p WHERE p.account_id = $1 AND p.id = h.id
			AND p.card_object_id = h.card_object_id AND p.type = 'pending_capture')
		ORDER BY h.card_object_id, h.id LIMIT %d`, span.where("h.card_object_id"), auditStrays)
	var stray []StrayHold
	after, upto := a.span(span)
	err := a.each(ctx, text, columns, func(f *fields) {
		stray = append(stray, StrayHold{Key: f.text("id"), CardKey: f.text("card_object_id")})
	}, account, after, upto)
	if err != nil {
		return nil, fmt.Errorf("look for stray holds: %w", err)
	}
	return stray, nil
}

// SharedRefs finds transactions of a span of cards whose ref_id another
// transaction of the card has too, up to a bounded number.
func (a *AuditReader) SharedRefs(ctx context.Context, account string, span CardSpan) ([]TxnRecord, error) {
	const columns = 3
	text := fmt.Sprintf(`SELECT t.id, t.card_object_id, t.seq FROM
		(SELECT d.card_object_id, d.ref_id FROM transactions AS d WHERE d.account_id = $1 AND %s
			GROUP BY d.card_object_id, d.ref_id HAVING count(*) > 1) AS g CROSS JOIN transactions AS t
		WHERE t.account_id = $1 AND t.card_object_id = g.card_object_id AND t.ref_id = g.ref_id
		ORDER BY t.card_object_id, t.seq LIMIT %d`, span.where("d.card_object_id"), auditStrays)
	var shared []TxnRecord
	after, upto := a.span(span)
	err := a.each(ctx, text, columns, func(f *fields) {
		var r TxnRecord
		r.Key, r.Txn.ID = f.key("id")
		r.CardKey, r.Txn.Card = f.key("card_object_id")
		r.Txn.Seq = f.number("seq")
		shared = append(shared, r)
	}, account, after, upto)
	if err != nil {
		return nil, fmt.Errorf("look for shared refs: %w", err)
	}
	return shared, nil
}

// each shows every row that a statement finds to read. The first argument is the
// account.
func (a *AuditReader) each(ctx context.Context, text string, columns int, read func(*fields), args ...any) (err error) {
	text = a.store.dialect.placeholders(text)
	if a.store.observe != nil {
		a.store.observe(text)
	}
	rows, err := a.tx.QueryContext(ctx, text, a.store.dialect.prepared(args)...)
	if err != nil {
		return classify(err)
	}
	defer func() { err = errors.Join(err, classify(rows.Close())) }()
	f := newFields(columns)
	for rows.Next() {
		if err := rows.Scan(f.pointers...); err != nil {
			return classify(err)
		}
		f.at, f.defects = 0, nil
		read(f)
	}
	return classify(rows.Err())
}

// lookUp shows the rows with the ids of a table argument to read; its place in
// the text is %s. It must stand on the left of a CROSS JOIN: SQLite then asks for
// each id, while of a JOIN it may make one search through the whole account.
func (a *AuditReader) lookUp(ctx context.Context, columns int, text, account string, ids []uuid.UUID, read func(*fields)) error {
	if len(ids) == 0 {
		return nil
	}
	args, err := a.store.dialect.arguments(account, idTable(ids))
	if err != nil {
		return err
	}
	text = fmt.Sprintf(text, a.store.dialect.from(idColumns, 2))
	return a.each(ctx, text, columns, read, args...)
}
