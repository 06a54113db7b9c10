package repository

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"

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
	text = a.store.dialect.placeholders(text)
	a.store.watched(text)
	var size sql.NullFloat64 // a forged seq must not overflow a mere estimate
	err := a.tx.QueryRowContext(ctx, text, a.store.dialect.prepared([]any{account})...).Scan(&size)
	return int64(min(size.Float64, math.MaxInt64/2)), classify(err)
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
	Usage      string // the stored status without what depends on the time; see UsageOf
	// Defects names the columns whose values no server can have written.
	Defects []string
}

const cardRecordFields = `c.id, c.card_id, c.customer_id, c.type, c.created_at, c.amount, c.currency, c.activated,
	c.activation_id, c.amount_funds, c.amount_drawdown, c.amount_pending, c.amount_reserved, c.open_holds, c.seq, c.digest,
	c.last_txn_at, c.deleted_at, c.deleted_by, c.deletion_id, c.search_text, c.usage`

const cardRecordColumns = 22

// cardRecord reads a row of cardRecordFields. What an audit has no rule for (names,
// metadata, PINs) is left out.
func cardRecord(f *fields) CardRecord {
	var r CardRecord
	c := &r.Card
	r.Key, c.ID = f.key("id")
	c.CardID, c.CustomerID = f.text("card_id"), f.optional("customer_id")
	c.Type = ledger.CardType(f.text("type"))
	c.CreatedAt = ledger.Micros(f.number("created_at"))
	c.Amount, c.Currency = f.number("amount"), ledger.Currency(f.optional("currency"))
	c.Activated, c.ActivationID = f.flag("activated"), f.id("activation_id")
	c.Funds, c.Drawdown = f.number("amount_funds"), f.number("amount_drawdown")
	c.Pending, c.Reserved = f.number("amount_pending"), f.number("amount_reserved")
	c.OpenHolds, c.Seq = f.number("open_holds"), f.number("seq")
	c.Digest, c.LastTxnAt = f.digest("digest"), ledger.Micros(f.number("last_txn_at"))
	c.DeletedAt, c.DeletedBy, c.DeletionID = f.moment("deleted_at"), f.optional("deleted_by"), f.id("deletion_id")
	r.SearchText = f.text("search_text") == searchText(c.CardID, c.CustomerID)
	r.Usage = f.text("usage")
	r.Defects = f.defects
	return r
}

// Cards reads the page of cards after a key, in the order of their keys, and the
// span it covers: the whole rest of the account when it is the last page.
func (a *AuditReader) Cards(ctx context.Context, account, after string) ([]CardRecord, CardSpan, error) {
	span := CardSpan{After: after}
	from, _ := a.span(span)
	operator := ">="
	if after != "" {
		operator = ">"
	}
	text := fmt.Sprintf("SELECT %s FROM cards AS c WHERE c.account_id = $1 AND c.id %s $2 ORDER BY c.id LIMIT %d",
		cardRecordFields, operator, auditCards)
	cards := make([]CardRecord, 0, auditCards)
	err := a.page(ctx, text, cardRecordColumns, func(f *fields) { cards = append(cards, cardRecord(f)) }, account, from)
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

// TxnRecord is a transaction as it is stored, with the rows it is tied to.
type TxnRecord struct {
	Key      string // the id as stored
	CardKey  string // the card object's id as stored
	Txn      ledger.Transaction
	After    FiguresAfter
	Hold     ledger.Hold // of a pending transaction, where HasHold
	HasHold  bool
	Token    UsedToken // the one that it names, where HasToken
	HasToken bool
	Defects  []string // the columns whose values no server can have written
}

// FiguresAfter are the figures of a card that the last transaction of a commit on it
// repeats, so that lists find the card by them. The zero value has none.
type FiguresAfter struct {
	Available, Balance Figure
}

// Figure is an amount in minor currency units that may be absent.
type Figure struct {
	Amount int64
	Given  bool
}

// FiguresAfterOf are the figures that a card's last transaction repeats.
func FiguresAfterOf(b ledger.Balance) FiguresAfter {
	after := FiguresAfter{Available: Figure{b.Available(), true}}
	if b.Reserved > 0 {
		after.Balance = Figure{b.Balance(), true}
	}
	return after
}

// UsedToken is what matters of a token that a transaction names.
type UsedToken struct {
	Card      uuid.UUID
	SingleUse bool
	SpentBy   uuid.UUID // zero when it is unspent
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

// TxnPage is a page of transactions. It may be used again for another page.
//
// It is read in two steps, each of which may have a goroutine of its own:
// [AuditReader.Transactions] fetches the columns, and Decode makes rows of them.
type TxnPage struct {
	Rows  []TxnRecord
	cells []cell // of all rows, one after the other
	after TxnPosition
}

// Last is the position of the page's last transaction. It reports false when the page
// is empty.
func (p *TxnPage) Last() (TxnPosition, bool) {
	if len(p.cells) == 0 {
		return p.after, false
	}
	f := fields{cells: p.cells[len(p.cells)-tiedTxnColumns:]}
	f.next() // the id
	key := f.text("card_object_id")
	return TxnPosition{key, f.number("seq")}, true
}

// Decode fills Rows.
func (p *TxnPage) Decode() error {
	p.Rows = p.Rows[:0]
	last := p.after
	var f fields
	for cells := range slices.Chunk(p.cells, tiedTxnColumns) {
		f.begin(cells)
		row := p.extended()
		row.read(&f)
		row.After = FiguresAfter{Available: f.figure("available_after"), Balance: f.figure("balance_after")}
		row.Defects, f.defects = f.defects, nil
		row.tie(&f)
		next := TxnPosition{row.CardKey, row.Txn.Seq}
		if next.before(last) || next == p.after {
			return errDisorder
		}
		last = next
	}
	return nil
}

const txnFields = `t.id, t.card_object_id, t.seq, t.type, t.amount, t.currency, t.ref_id, t.parent_id, t.token_id,
	t.addressed_by, t.amount_given, t.metadata, t.originated_by, t.created_at, t.created_by, t.digest`

const txnColumns = 16

// What is derived of a transaction and the rows it is tied to.
const tiedFields = `t.available_after, t.balance_after,
	h.card_object_id, h.amount, h.locked, h.open, k.card_object_id, k.single_use, k.spent_by`

const tiedTxnColumns = txnColumns + 9

// The CASE keeps an engine from looking for the hold of a transaction that has none.
const txnRecordText = "SELECT " + txnFields + ", " + tiedFields + ` FROM transactions AS t
	LEFT JOIN holds AS h ON h.account_id = $1 AND h.id = CASE WHEN t.type = 'pending_capture' THEN t.id END
	LEFT JOIN tokens AS k ON k.account_id = $1 AND k.id = t.token_id
	WHERE t.account_id = $1 AND (t.card_object_id, t.seq) > ($2, $4) AND t.card_object_id <= $3
	ORDER BY t.card_object_id, t.seq`

// read reads txnFields.
func (r *TxnRecord) read(f *fields) {
	t := &r.Txn
	r.Key, t.ID = f.key("id")
	r.CardKey, t.Card = f.cardKey("card_object_id")
	t.Seq, t.Type = f.number("seq"), ledger.TxnType(f.text("type"))
	t.Amount, t.Currency = f.number("amount"), ledger.Currency(f.text("currency"))
	t.RefID, t.Parent, t.Token = f.text("ref_id"), f.id("parent_id"), f.id("token_id")
	t.Address, t.AmountGiven = ledger.Address(f.text("addressed_by")), f.flag("amount_given")
	t.Metadata, t.OriginatedBy = f.optional("metadata"), f.optional("originated_by")
	t.CreatedAt, t.CreatedBy = ledger.Micros(f.number("created_at")), f.text("created_by")
	t.Digest = f.digest("digest")
}

// tie reads tiedFields: the hold and the token of the transaction. A hold with a value that no
// server can have written is as good as missing; with a token, the reading of all
// tokens tells.
func (r *TxnRecord) tie(f *fields) {
	r.HasHold = !f.null()
	r.Hold = ledger.Hold{
		ID: r.Txn.ID, Card: f.id("card_object_id"),
		Amount: f.number("amount"), Locked: f.number("locked"), Open: f.flag("open"),
	}
	r.HasHold = r.HasHold && f.defects == nil
	r.HasToken = !f.null()
	r.Token = UsedToken{Card: f.id("card_object_id"), SingleUse: f.flag("single_use"), SpentBy: f.id("spent_by")}
}

// Transactions fetches into the page the transactions that come after a position,
// by card and seq, up to a card. The page is empty when there are no more.
func (a *AuditReader) Transactions(ctx context.Context, account string, after TxnPosition, upto string, page *TxnPage) error {
	from, to := a.span(CardSpan{After: after.CardKey, Upto: upto})
	if after.CardKey == "" {
		after.Seq = math.MinInt64
	}
	page.Rows, page.cells, page.after = page.Rows[:0], page.cells[:0], after
	err := a.page(ctx, fmt.Sprintf("%s LIMIT %d", txnRecordText, auditRows), tiedTxnColumns,
		func(f *fields) { page.cells = append(page.cells, f.cells...) }, account, from, to, after.Seq)
	if err != nil {
		return fmt.Errorf("read transactions: %w", err)
	}
	if last, some := page.Last(); some && (last == after || last.before(after)) {
		return errDisorder
	}
	return nil
}

// extended lengthens the page by a used element, so that it is filled without
// allocation.
func (p *TxnPage) extended() *TxnRecord {
	if n := len(p.Rows); n < cap(p.Rows) {
		p.Rows = p.Rows[:n+1]
	} else {
		p.Rows = append(p.Rows, TxnRecord{})
	}
	return &p.Rows[len(p.Rows)-1]
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

const sumFields = `t.card_object_id, count(*),
	CAST(sum(t.amount) FILTER (WHERE t.type = 'fund') AS BIGINT),
	CAST(sum(t.amount) FILTER (WHERE t.type = 'drawdown') AS BIGINT),
	CAST(sum(CASE t.type WHEN 'pending_capture' THEN t.amount ELSE -t.amount END) FILTER (
		WHERE t.type IN ('pending_capture', 'voided') OR t.type = 'drawdown' AND t.parent_id IS NOT NULL) AS BIGINT),
	max(t.created_at)`

const sumColumns = 6

// readSums reads sumFields.
func readSums(f *fields) (key string, sums Sums) {
	key = f.text("card_object_id")
	return key, Sums{
		Count: f.number("count"), Funds: f.number("amount_funds"), Drawdown: f.number("amount_drawdown"),
		Pending: f.number("amount_pending"), LastAt: ledger.Micros(f.number("created_at")), Defects: f.defects,
	}
}

// Sums adds up the transactions of a span of cards, by card key. Cards without
// transactions are left out.
func (a *AuditReader) Sums(ctx context.Context, account string, span CardSpan) (map[string]Sums, error) {
	text := `SELECT ` + sumFields + ` FROM transactions AS t WHERE t.account_id = $1 AND ` +
		span.where("t.card_object_id") + ` GROUP BY t.card_object_id`
	sums := make(map[string]Sums)
	after, upto := a.span(span)
	err := a.each(ctx, text, sumColumns, func(f *fields) {
		key, sum := readSums(f)
		sums[key] = sum
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
