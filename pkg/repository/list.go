package repository

import (
	"context"
	"errors"
	"strconv"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/kortwallet/kort/pkg/ledger"
)

// ErrUnknownCursor means that a page was asked for after an object that the list
// never had.
var ErrUnknownCursor = errors.New("unknown cursor")

// Range bounds a number or a moment, both ends included. A nil end is open.
type Range struct {
	From, To *int64
}

// Filter says which cards a list is about. Zero values do not filter.
type Filter struct {
	Now            ledger.Micros // the moment for which a status is meant
	Search         string        // part of card_id or customer_id in any case, or the exact opening amount
	Created        Range         // Micros
	Expires        Range         // Micros; a card without expiry never matches
	Type           ledger.CardType
	Status         ledger.Status
	Balance        Range // minor currency units
	Available      Range // minor currency units
	Currencies     []ledger.Currency
	Customer       string
	IncludeDeleted bool
}

// Page says which part of a list is meant: up to Limit cards after the object
// with the id After, newest first.
type Page struct {
	After uuid.UUID
	Limit int
}

// Cards lists cards, newest first, and returns the id to continue after, or the
// zero id on the last page. [ErrUnknownCursor] answers a page after an object
// that the account never had; one that was deleted since still works.
// [ErrUnavailable] answers a list that cannot be read in time.
func (s *Store) Cards(ctx context.Context, account string, f Filter, p Page) ([]ledger.Card, uuid.UUID, error) {
	return s.list(ctx, account, f, p, Filter{})
}

// CustomerCards lists a customer's cards that are not deleted, as [Store.Cards]
// does. Another customer's card is no cursor.
func (s *Store) CustomerCards(ctx context.Context, account, customerID string, p Page) ([]ledger.Card, error) {
	if customerID == "" { // a filter without a customer would select everybody's cards
		return nil, nil
	}
	f := Filter{Customer: customerID}
	cards, _, err := s.list(ctx, account, f, p, f)
	return cards, err
}

// list reads a page of the cards that f selects, after a card that once was among
// those that whole selects.
func (s *Store) list(
	ctx context.Context, account string, f Filter, p Page, whole Filter,
) (cards []ledger.Card, next uuid.UUID, err error) {
	err = s.onWorkingConns(ctx, func() (err error) {
		cards, next, err = s.listOnce(ctx, account, f, p, whole)
		return err
	})
	return cards, next, err
}

func (s *Store) listOnce(ctx context.Context, account string, f Filter, p Page, whole Filter) ([]ledger.Card, uuid.UUID, error) {
	l, end, err := s.newListing(ctx, account, f)
	if err != nil {
		return nil, uuid.Nil, err
	}
	defer end()
	if err := l.checkCursor(p, whole); err != nil {
		return nil, uuid.Nil, err
	}
	rows, err := l.page(p)
	if err != nil {
		return nil, uuid.Nil, classify(err)
	}
	var next uuid.UUID
	if len(rows) > p.Limit { // the one more that was asked for tells that there is another page
		rows = rows[:p.Limit]
		next = rows[p.Limit-1].ID
	}
	cards, err := cardsOf(rows)
	return cards, next, err
}

// where writes the filter as SQL. The rules are those of ledger.Card's methods; a
// test asserts that both select the same cards.
func (f Filter) where(q *bun.SelectQuery) *bun.SelectQuery {
	if !f.IncludeDeleted {
		q.Where("c.deleted_at IS NULL")
	}
	if f.Search != "" {
		q.WhereGroup(" AND ", f.whereSearch)
	}
	if f.Type != "" {
		q.Where("c.type = ?", string(f.Type))
	}
	if f.Customer != "" {
		q.Where("c.customer_id = ?", f.Customer)
	}
	if len(f.Currencies) > 0 {
		q.Where("c.currency IN (?)", bun.List(f.Currencies))
	}
	whereRange(q, "c.created_at", f.Created)
	whereRange(q, "c.expires_at", f.Expires)
	whereRange(q, "c.amount_funds - c.amount_drawdown", f.Balance)
	whereRange(q, "c.amount_funds - c.amount_drawdown - c.amount_reserved", f.Available)
	return f.whereStatus(q)
}

func (f Filter) whereSearch(q *bun.SelectQuery) *bun.SelectQuery {
	q.Where(`c.search_text LIKE ? ESCAPE '\'`, likePattern(f.Search))
	if amount, err := strconv.ParseUint(f.Search, 10, 63); err == nil {
		q.WhereOr("c.amount = ?", int64(amount)) //nolint:gosec // 63 bits fit
	}
	return q
}

func whereRange(q *bun.SelectQuery, expression string, r Range) {
	if r.From != nil {
		q.Where(expression+" >= ?", *r.From)
	}
	if r.To != nil {
		q.Where(expression+" <= ?", *r.To)
	}
}

func (f Filter) whereStatus(q *bun.SelectQuery) *bun.SelectQuery {
	if f.Status == "" {
		return q
	}
	if f.Status == ledger.StatusInactive {
		return q.Where("NOT c.activated")
	}
	q.Where("c.activated")
	if f.Status == ledger.StatusExpired {
		return q.Where("c.expires_at <= ?", int64(f.Now))
	}
	q.Where("c.expires_at IS NULL OR c.expires_at > ?", int64(f.Now))
	switch f.Status {
	case ledger.StatusUnused:
		q.Where("c.amount_drawdown = 0")
	case ledger.StatusUsed:
		q.Where("c.amount_drawdown > 0").Where("c.amount_funds = c.amount_drawdown")
	default:
		q.Where("c.amount_drawdown > 0").Where("c.amount_funds > c.amount_drawdown")
	}
	return q
}
