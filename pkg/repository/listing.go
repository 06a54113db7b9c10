package repository

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
)

// How a page is found among a million cards.
//
// Every list goes down the ids. Where a filter selects often, the newest cards fill
// the page: a window of them is read first, of those of the customer, the currency or
// the type where the filter names one. Where it selects seldom, some index knows which
// cards may be meant: a source of ids, and the filter picks from those.
// The choice is made here and by counting, not by the planners: they believe that
// filters are independent of each other, of the account and of the age of a card.
// Whichever way is taken, the same conditions decide on the card's own row.

// ListLimits bound the work that a list may cost. Zero values mean sensible ones;
// tests set others, so that few cards take every way.
type ListLimits struct {
	// Timeout is the longest time for a page.
	Timeout time.Duration
	// Window is how many of the newest cards are read before an index is asked.
	Window int
	// Batch is how many ids are taken from a source at first.
	Batch int
	// Few is how many cards a source may have to be asked before the newest cards are
	// read.
	Few int
	// Read is how many rows are read at once.
	Read int
}

const (
	defaultListTimeout = 2 * time.Second
	defaultWindow      = 4000
	defaultBatch       = 400
	defaultFew         = 2000
	// partsOfWindow is how large a part of the window tells whether to read the rest.
	partsOfWindow = 10
	// manyTimesFew is how often few a source may still have to be better than others.
	manyTimesFew = 10
	// largestBatch bounds the ids that are held at once.
	largestBatch = 6400
	defaultRead  = 400
	// listGrace is how much later than PostgreSQL itself the connection gives up on a
	// statement: it is lost then.
	listGrace = time.Second
)

func (l ListLimits) orDefault() ListLimits {
	if l.Timeout <= 0 {
		l.Timeout = defaultListTimeout
	}
	l.Window, l.Batch, l.Few = orDefault(l.Window, defaultWindow), orDefault(l.Batch, defaultBatch), orDefault(l.Few, defaultFew)
	l.Read = orDefault(l.Read, defaultRead)
	return l
}

// wholeBatch is how many ids are asked of a source that has to look at all of them.
func (l ListLimits) wholeBatch() int { return 5 * l.Batch }

// listing is a list being read, in one snapshot of the database.
type listing struct {
	ctx     context.Context //nolint:containedctx // a listing lives within one call
	dialect dialect
	limits  ListLimits
	tx      bun.Tx
	account string
	filter  Filter
}

// listSettings keep PostgreSQL to the ways of this package, which all go along an
// index, and bound each statement.
const listSettings = `SET LOCAL statement_timeout = %d; SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL random_page_cost = 1.1;
	SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off`

// newListing opens a listing, which the caller ends.
func (s *Store) newListing(ctx context.Context, account string, f Filter) (*listing, func(), error) {
	options, timeout := &sql.TxOptions{ReadOnly: true}, s.lists.Timeout
	if s.dialect.postgres {
		options.Isolation, timeout = sql.LevelRepeatableRead, timeout+listGrace
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	tx, err := s.read.BeginTx(ctx, options)
	if err != nil {
		cancel()
		return nil, nil, classify(err)
	}
	end := func() {
		_ = tx.Rollback() // nothing was written
		cancel()
	}
	if s.dialect.postgres {
		if _, err := tx.ExecContext(ctx, fmt.Sprintf(listSettings, s.lists.Timeout.Milliseconds())); err != nil {
			end()
			return nil, nil, classify(err)
		}
	}
	return &listing{ctx: ctx, dialect: s.dialect, limits: s.lists, tx: tx, account: account, filter: f}, end, nil
}

// span is a part of the ids, both ends included.
type span struct{ low, top uuid.UUID }

var everything = span{top: uuid.Max}

// below is the part before an id.
func (s span) below(id uuid.UUID) span {
	for i := len(id) - 1; i >= 0; i-- { // subtract one
		id[i]--
		if id[i] != 0xff {
			break
		}
	}
	return s.meet(span{top: id})
}

func (s span) meet(other span) span {
	return span{low: later(s.low, other.low), top: earlier(s.top, other.top)}
}

func (s span) empty() bool { return bytes.Compare(s.low[:], s.top[:]) > 0 }

func later(a, b uuid.UUID) uuid.UUID {
	if bytes.Compare(a[:], b[:]) > 0 {
		return a
	}
	return b
}

func earlier(a, b uuid.UUID) uuid.UUID {
	if bytes.Compare(a[:], b[:]) < 0 {
		return a
	}
	return b
}

// checkCursor makes sure that the object to continue after was part of the list
// at some time: among the account's cards, or the customer's.
func (l *listing) checkCursor(p Page, whole Filter) error {
	if p.After == uuid.Nil {
		return nil
	}
	whole.IncludeDeleted = true
	known, err := l.tx.NewSelect().Model((*cardRow)(nil)).
		Where("c.account_id = ?", l.account).Where("c.id = ?", p.After).Apply(whole.where).Exists(l.ctx)
	if err != nil {
		return classify(err)
	}
	if !known {
		return ErrUnknownCursor
	}
	return nil
}

// page reads the rows of a page and one more.
func (l *listing) page(p Page) ([]cardRow, error) {
	all, want := everything, p.Limit+1
	if p.After != uuid.Nil {
		all = all.below(p.After)
	}
	created := l.filter.Created
	if created.From == nil && created.To == nil {
		return l.rows(all, want)
	}
	// The id of nearly every card tells when it was created. The others, of an
	// account whose clock was moved, are few, and looked for by themselves.
	rows, err := l.rows(all.meet(idsOfTime(created)), want)
	if err != nil {
		return nil, err
	}
	undated, err := l.drain(l.undated(), all, want)
	if err != nil {
		return nil, err
	}
	return newest(append(rows, undated...), want), nil
}

// idsOfTime is the part of the ids in which the cards of a time are whose ids are
// dated.
func idsOfTime(r Range) span {
	s := everything
	if r.From != nil {
		s.low = firstIDOf(*r.From/microsPerMilli - datedIDSlackMillis)
	}
	if r.To != nil {
		s.top = firstIDOf(*r.To/microsPerMilli + datedIDSlackMillis + 1)
		s = s.below(s.top)
	}
	return s
}

// What the column dated_id means; see the migration.
const (
	microsPerMilli     = 1000
	datedIDSlackMillis = 5*60*1000 + 1 // and one for what a division cuts off
	idMillisBits       = 48
)

// firstIDOf is the least UUIDv7 of a millisecond.
func firstIDOf(millis int64) uuid.UUID {
	millis = min(max(millis, 0), 1<<idMillisBits-1)
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(millis)<<16) //nolint:gosec // not negative
	return id
}

// newest keeps the newest rows, each once.
func newest(rows []cardRow, most int) []cardRow {
	slices.SortFunc(rows, func(a, b cardRow) int { return bytes.Compare(b.ID[:], a.ID[:]) })
	rows = slices.CompactFunc(rows, func(a, b cardRow) bool { return a.ID == b.ID })
	return rows[:min(len(rows), most)]
}

// rows reads the newest rows of a part of the ids that pass the filter.
func (l *listing) rows(within span, want int) ([]cardRow, error) {
	sources := l.sources()
	switch {
	case within.empty():
		return nil, nil
	case len(sources) == 0: // whatever is left of the filter, nothing but the ids can serve it
		return l.walk(path{}, within, 0, want)
	case len(sources) == 1 && sources[0].exact:
		return l.drainExact(sources[0], within, want)
	}
	small, found, err := l.smallest(sources, within, l.limits.Few)
	switch {
	case err != nil:
		return nil, err
	case found:
		return l.drain(small, within, want)
	case sources[0].exact:
		return l.drainExact(sources[0], within, want)
	}
	return l.windowed(sources, within, want)
}

// drainExact drains a source that serves the filter exactly. Of its months it may have to
// read far more cards than expire in a short time; if those are few, they are read instead.
// A time of creation bounds what is read of the months, but not of those.
func (l *listing) drainExact(from source, within span, want int) ([]cardRow, error) {
	if f := &l.filter; f.shortExpiry() && f.Status == "" && f.Created.open() {
		few, found, err := l.smallest([]source{l.expiring()}, within, manyTimesFew*l.limits.Few)
		if err != nil {
			return nil, err
		}
		if found {
			from, from.exact = few, true
		}
	}
	return l.drain(from, within, want)
}

// windowed reads a window of the newest cards, and asks a source for the older ones. A
// part of the window comes first, and is all of it where so few cards pass that the rest
// would not fill half of the page.
func (l *listing) windowed(sources []source, within span, want int) ([]cardRow, error) {
	var rows []cardRow
	along, rest, part := l.filter.path(), within, max(1, l.limits.Window/partsOfWindow)
	for i, size := range []int{part, l.limits.Window - part} {
		if size == 0 || i > 0 && len(rows)*partsOfWindow < want/2 {
			break
		}
		floor, more, err := l.windowEnd(along, rest, size)
		if err != nil {
			return nil, err
		}
		window := rest
		if more {
			window.low = floor
		}
		found, err := l.walk(along, window, size, want-len(rows))
		rows = append(rows, found...)
		if err != nil || !more || len(rows) == want {
			return rows, err
		}
		rest = rest.below(floor)
	}
	best, found, err := l.smallest(sources, rest, manyTimesFew*l.limits.Few)
	if err != nil {
		return nil, err
	}
	if !found {
		best = sources[0]
	}
	older, err := l.drain(best, rest, want-len(rows))
	return append(rows, older...), err
}

// walk reads rows along a path that has so many cards within a part of the ids.
func (l *listing) walk(along path, within span, size, want int) ([]cardRow, error) {
	var rows []cardRow
	where, args, order := l.dialect.keyed(along.columns, along.values, within)
	cards := l.selection(&rows).OrderExpr(order).Limit(int64(want))
	if l.dialect.postgres && along.index != "" {
		// The filter names the values of the path too, so that PostgreSQL might take the ids'
		// own index, and its way down this one would not end at the lowest id.
		cards = cards.ModelTableExpr("(SELECT * FROM cards AS c WHERE c.account_id = ? AND "+where+" ORDER BY "+order+" LIMIT ?) AS c",
			slices.Concat([]any{l.account}, args, []any{size})...)
	} else {
		cards = cards.ModelTableExpr("cards AS c"+l.dialect.indexedBy(along.index)).Where(where, args...)
	}
	err := cards.Scan(l.ctx)
	return rows, err
}

func (l *listing) selection(rows *[]cardRow) *bun.SelectQuery {
	return l.tx.NewSelect().Model(rows).Where("c.account_id = ?", l.account).Apply(l.filter.where)
}

// windowEnd finds the id at which a window of the newest cards of a path ends, if there are
// so many.
func (l *listing) windowEnd(along path, within span, size int) (uuid.UUID, bool, error) {
	where, args, order := l.dialect.keyed(along.columns, along.values, within)
	ids, err := l.query("SELECT c.id FROM cards AS c"+l.dialect.indexedBy(along.index)+" WHERE c.account_id = ? AND "+where+
		" ORDER BY "+order+" LIMIT 1 OFFSET ?", slices.Concat([]any{l.account}, args, []any{size - 1})...)
	if err != nil || len(ids) == 0 {
		return uuid.Nil, false, err
	}
	return ids[0], true, nil
}

// drain takes ids from a source and reads their cards, until there are enough rows
// or no more ids.
func (l *listing) drain(from source, within span, want int) ([]cardRow, error) {
	var rows []cardRow
	batch := max(l.limits.Batch, from.least)
	if from.exact {
		batch = want
	}
	for !within.empty() {
		ids, err := from.ids(within, batch)
		if err != nil || len(ids) == 0 {
			return rows, err
		}
		last := ids[len(ids)-1]
		for chunk := range slices.Chunk(slices.Compact(ids), l.limits.Read) { // each card once, also at a chunk's end
			if rows, err = l.read(rows, chunk, want); err != nil || len(rows) == want {
				return rows, err
			}
		}
		within = within.below(last)
		batch = min(2*batch, largestBatch) // the fewer pass, the more are asked for at once
	}
	return rows, nil
}

// read adds the cards with the ids that pass the filter.
func (l *listing) read(rows []cardRow, ids []uuid.UUID, want int) ([]cardRow, error) {
	var found []cardRow
	if err := l.selection(&found).Where("c.id IN (?)", bun.List(ids)).Scan(l.ctx); err != nil {
		return nil, err
	}
	return append(rows, newest(found, want-len(rows))...), nil
}

// smallest finds the source with the fewest ids, if one has no more than a number.
func (l *listing) smallest(sources []source, within span, most int) (best source, found bool, err error) {
	for i := range sources {
		n, err := sources[i].size(within, most+1)
		if err != nil {
			return source{}, false, err
		}
		if n <= most {
			best, found, most = sources[i], true, n-1
		}
		if most < 0 {
			break
		}
	}
	return best, found, nil
}

// query reads ids.
func (l *listing) query(text string, args ...any) ([]uuid.UUID, error) {
	var ids []uuid.UUID
	err := l.tx.NewRaw(text, args...).Scan(l.ctx, &ids)
	return ids, err
}
