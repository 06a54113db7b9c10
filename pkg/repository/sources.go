package repository

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/kortwallet/kort/pkg/ledger"
)

// source knows ids of cards that may pass a filter, and of all that do.
type source struct {
	// ids are the next of them within a part of the ids, newest first and possibly
	// more than once: about n, and none only where there is none.
	ids func(within span, n int) ([]uuid.UUID, error)
	// size counts them, up to a number; or what has to be read for them, if that is more.
	size func(within span, most int) (int, error)
	// exact says that they all pass, unless they are deleted.
	exact bool
	// least is how many ids it is worth to ask for.
	least int
}

// sources lists what can serve the filter. The first is the one to take where none
// is small.
func (l *listing) sources() []source {
	f := &l.filter
	var all []source
	streams := f.Status != "" || !f.Expires.open()
	if streams {
		all = append(all, l.usages(f.usages(), f.months(), true))
	}
	all = append(all, l.figures()...)
	if grams := gramsOf(f.Search); len(grams) > 0 {
		all = append(all, l.search(grams))
	}
	if f.Customer != "" {
		all = append(all, l.equal(customerPath(f.Customer)))
	}
	if len(f.Currencies) > 0 {
		var each []source
		for _, currency := range f.Currencies {
			each = append(each, l.equal(currencyPath(currency)))
		}
		all = append(all, union(each...))
	}
	if f.Type != "" {
		all = append(all, l.equal(typePath(f.Type)))
	}
	switch figures := !f.Balance.open() || !f.Available.open(); {
	case len(all) == 0 || figures || f.Search != "":
	case streams: // its index knows the currency and the type as well
		all[0].exact = f.Customer == ""
	default:
		all[0].exact = len(all) == 1
	}
	if f.shortExpiry() && !all[0].exact {
		all = append(all, l.expiring())
	}
	return all
}

// shortExpiry tells whether the filter has a range of expiry, after 1970, that is much
// shorter than the months of the streams.
func (f *Filter) shortExpiry() bool {
	from, to := f.Expires.From, f.Expires.To
	return from != nil && to != nil && *from > 0 && *to-*from < microsPerMonth/2
}

func (r Range) open() bool { return r.From == nil && r.To == nil }

// union merges sources.
func union(sources ...source) source {
	if len(sources) == 1 {
		return sources[0]
	}
	least := 0
	for _, s := range sources {
		least = max(least, s.least)
	}
	return source{
		least: least,
		ids: func(within span, n int) ([]uuid.UUID, error) {
			var all []uuid.UUID
			known := within.low // down to here each source has told all that it knows
			for _, s := range sources {
				ids, err := s.ids(within, n)
				if err != nil {
					return nil, err
				}
				if len(ids) == n { // it may name a card more than once, so n is not n cards
					known = later(known, ids[n-1])
				}
				all = append(all, ids...)
			}
			slices.SortFunc(all, func(a, b uuid.UUID) int { return bytes.Compare(b[:], a[:]) })
			all = slices.DeleteFunc(slices.Compact(all), func(id uuid.UUID) bool { return id != later(id, known) })
			return all, nil
		},
		size: func(within span, most int) (int, error) {
			total := 0
			for _, s := range sources {
				n, err := s.size(within, most-total)
				if total += n; err != nil || total >= most {
					return total, err
				}
			}
			return total, nil
		},
	}
}

// path is a way along the ids: of all cards, or of those that have certain values in the
// first columns of an index.
type path struct {
	index   string
	columns []string
	values  []any
}

// path is the one that leaves out most of what does not pass the filter.
func (f *Filter) path() path {
	switch {
	case f.Customer != "":
		return customerPath(f.Customer)
	case len(f.Currencies) == 1:
		return currencyPath(f.Currencies[0])
	case f.Type != "":
		return typePath(f.Type)
	}
	return path{}
}

func customerPath(id string) path { return equalPath("cards_customer", "customer_id", id) }

func currencyPath(c ledger.Currency) path { return equalPath("cards_currency", "currency", string(c)) }

func typePath(t ledger.CardType) path { return equalPath("cards_type", "type", string(t)) }

// equalPath is the one of a value in a column, which the index has between the account and
// the id.
func equalPath(index, column string, value any) path {
	return path{index: index, columns: []string{"c." + column}, values: []any{value}}
}

// ordered is a source of an index of cards that has the ids in order.
func (l *listing) ordered(index string, conditions func(within span) (text string, args []any, order string)) source {
	read := func(within span) (string, []any, string) {
		where, args, order := conditions(within)
		return fmt.Sprintf("SELECT c.id FROM cards AS c%s WHERE c.account_id = ? AND %s", l.dialect.indexedBy(index), where), append([]any{l.account}, args...), order
	}
	return source{
		ids: func(within span, n int) ([]uuid.UUID, error) {
			text, args, order := read(within)
			return l.query(text+" ORDER BY "+order+" LIMIT ?", append(args, n)...)
		},
		size: func(within span, most int) (int, error) {
			text, args, _ := read(within)
			return l.count(text, args, most)
		},
	}
}

// unordered is a source that has to be read in full and sorted. Where many ids are newest
// first, as an order down its index may have them, that takes much less time.
func (l *listing) unordered(from, column, order, condition string, args ...any) source {
	read := func(within span) (string, []any) {
		return fmt.Sprintf("SELECT %s AS id FROM %s WHERE %s AND %s BETWEEN ? AND ?", column, from, condition, column),
			append(slices.Clone(args), within.low, within.top)
	}
	return source{
		least: l.limits.wholeBatch(),
		ids: func(within span, n int) ([]uuid.UUID, error) {
			text, args := read(within)
			return l.query(fmt.Sprintf("SELECT r.id FROM (%s%s%s) AS r ORDER BY r.id DESC LIMIT ?", text, order, l.dialect.fence()), append(args, n)...)
		},
		size: func(within span, most int) (int, error) {
			text, args := read(within)
			return l.count(text, args, most)
		},
	}
}

func (l *listing) count(text string, args []any, most int) (int, error) {
	var n int
	err := l.tx.NewRaw("SELECT count(*) FROM ("+text+" LIMIT ?) AS r", append(args, most)...).Scan(l.ctx, &n)
	return n, err
}

// equal is a source of the cards of a path.
func (l *listing) equal(p path) source {
	return l.ordered(p.index, func(within span) (string, []any, string) {
		return l.dialect.keyed(p.columns, p.values, within)
	})
}

// undated is a source of the cards whose ids do not tell when they were created.
func (l *listing) undated() source {
	return l.ordered("cards_undated_id", func(within span) (string, []any, string) {
		return "NOT c.dated_id AND c.id BETWEEN ? AND ?", []any{within.low, within.top}, "c.id DESC"
	})
}

// figures are the sources of the ranges of balances and available amounts: the
// transactions that left a card with such a figure, whether they are its last ones
// or not, and the cards that never had money.
func (l *listing) figures() []source {
	after := func(index, column string, r Range) source {
		const from = "transactions AS t"
		condition, args := "t.account_id = ?", []any{l.account}
		if r.From != nil {
			condition, args = condition+" AND t."+column+" >= ?", append(args, *r.From)
		}
		if r.To != nil {
			condition, args = condition+" AND t."+column+" <= ?", append(args, *r.To)
		}
		order := " ORDER BY t." + column + " DESC, t.card_object_id DESC"
		return l.unordered(from+l.dialect.indexedBy(index), "t.card_object_id", order, condition, args...)
	}
	var all []source
	for _, figure := range []struct {
		of       Range
		reserved bool // cards that have something reserved are found by another figure
	}{{l.filter.Available, false}, {l.filter.Balance, true}} {
		if figure.of.open() {
			continue
		}
		parts := []source{after("transactions_available", "available_after", figure.of)}
		if figure.reserved {
			parts = append(parts, after("transactions_balance", "balance_after", figure.of))
		}
		if figure.of.has(0) {
			parts = append(parts, l.usages([]string{usageInactive, usageEmpty}, Range{}, false))
		}
		all = append(all, union(parts...))
	}
	return all
}

func (r Range) has(n int64) bool {
	return (r.From == nil || *r.From <= n) && (r.To == nil || n <= *r.To)
}

// The values of the column usage: a status without what depends on the time. A card
// that never had money is unused as well.
const (
	usageInactive      = "inactive"
	usageEmpty         = "empty"
	usageUnused        = "unused"
	usagePartiallyUsed = "partially_used"
	usageUsed          = "used"
)

// UsageOf is what the column usage of a card should hold.
func UsageOf(c *ledger.Card) string {
	switch {
	case !c.Activated:
		return usageInactive
	case c.Funds == 0:
		return usageEmpty
	case c.Drawdown == 0:
		return usageUnused
	case c.Funds == c.Drawdown:
		return usageUsed
	}
	return usagePartiallyUsed
}

// usages lists what a card of the status may be.
func (f *Filter) usages() []string {
	switch f.Status {
	case "":
		return []string{usageInactive, usageEmpty, usageUnused, usagePartiallyUsed, usageUsed}
	case ledger.StatusInactive:
		return []string{usageInactive}
	case ledger.StatusExpired:
		return []string{usageEmpty, usageUnused, usagePartiallyUsed, usageUsed}
	case ledger.StatusUnused:
		return []string{usageEmpty, usageUnused}
	case ledger.StatusUsed:
		return []string{usageUsed}
	default:
		return []string{usagePartiallyUsed}
	}
}

// The column expires_month; see the migration.
const (
	microsPerMonth = 30 * 24 * 60 * 60 * 1_000_000
	neverExpires   = 10_000_000
)

// months is the range of expires_month in which the filter's cards are.
func (f *Filter) months() Range {
	first, last := int64(-neverExpires), int64(neverExpires)
	if !f.Expires.open() {
		last = neverExpires - 1
	}
	if f.Expires.From != nil {
		first = *f.Expires.From / microsPerMonth
	}
	if f.Expires.To != nil {
		last = *f.Expires.To / microsPerMonth
	}
	switch now := int64(f.Now) / microsPerMonth; f.Status {
	case "", ledger.StatusInactive:
	case ledger.StatusExpired:
		last = min(last, now)
	default:
		first = max(first, now)
	}
	return Range{From: &first, To: &last}
}

// usages is a source of the cards with one of the usages that expire in a range of
// months. The index has the ids in order for one usage and one month: the pairs that
// there are make streams of ids, which are merged. The conditions on other columns of
// the index are checked in it, where filtered says so.
func (l *listing) usages(usages []string, months Range, filtered bool) source {
	first, last := int64(-neverExpires), int64(neverExpires)
	if months.From != nil {
		first, last = *months.From, *months.To
	}
	values := make([]string, len(usages))
	args := make([]any, len(usages))
	for i, usage := range usages {
		values[i], args[i] = "SELECT ? AS usage", usage
	}
	cards := "cards AS c" + l.dialect.indexedBy("cards_usage")
	const least = "(SELECT min(c.expires_month) FROM %s WHERE c.account_id = ? AND c.usage = %s AND c.expires_month %s ? AND c.expires_month <= ?)"
	pairs := fmt.Sprintf(`WITH RECURSIVE streams(usage, month) AS (
		SELECT u.usage, %s FROM (%s) AS u
		UNION ALL SELECT s.usage, %s FROM streams AS s WHERE s.month IS NOT NULL)`,
		fmt.Sprintf(least, cards, "u.usage", ">="), strings.Join(values, " UNION ALL "),
		strings.Replace(fmt.Sprintf(least, cards, "s.usage", ">"), "> ?", "> s.month", 1))
	args = slices.Concat([]any{l.account, first, last}, args, []any{l.account, last})

	const stream = "c.account_id = ? AND c.usage = s.usage AND c.expires_month = s.month AND c.id BETWEEN ? AND ?"
	more, moreArgs := "", []any(nil)
	if filtered {
		more, moreArgs = l.filter.whereIndexed("c.expires_at")
	}
	// nth is the n-th id of a stream.
	nth := fmt.Sprintf(`SELECT e.id FROM (SELECT (SELECT c.id FROM %s WHERE %s%s ORDER BY c.id DESC LIMIT 1 OFFSET ?) AS id
		FROM streams AS s WHERE s.month IS NOT NULL%s) AS e WHERE e.id IS NOT NULL ORDER BY e.id DESC LIMIT 1`, cards, stream, more, l.dialect.fence())
	return source{
		ids: func(within span, n int) ([]uuid.UUID, error) {
			if int64(len(usages))*(last-first+1) <= fewStreams {
				return l.fewUsages(usages, Range{From: &first, To: &last}, within, n, more, moreArgs)
			}
			// Where some streams have their share of n ids down to an id, all have n down to
			// it; and where one stream has n by itself. The newer of the two ids counts: the
			// streams may begin together, or one after the other.
			share := (n + sharingStreams - 1) / sharingStreams
			part := slices.Concat([]any{l.account, within.low, within.top}, moreArgs)
			text := fmt.Sprintf("%s SELECT c.id FROM streams AS s %s ORDER BY c.id DESC LIMIT ?", pairs, l.dialect.joinEach(cards,
				fmt.Sprintf("%s%s AND c.id >= %s(coalesce((%s OFFSET ?), ?), coalesce((%s), ?))", stream, more, l.dialect.greatest(), nth, nth)))
			return l.query(text, slices.Concat(args, part, part, []any{share - 1, sharingStreams - 1, within.low}, part, []any{n - 1, within.low, n})...)
		},
		size: func(within span, most int) (int, error) {
			text := fmt.Sprintf("%s SELECT c.id FROM streams AS s %s", pairs, l.dialect.joinEach(cards, stream))
			return l.count(text, slices.Concat(args, []any{l.account, within.low, within.top}), most)
		},
	}
}

// fewUsages reads the newest ids of each stream, where there are few of them, once.
func (l *listing) fewUsages(usages []string, months Range, within span, n int, more string, moreArgs []any) ([]uuid.UUID, error) {
	cards := l.dialect.indexedBy("cards_usage")
	var texts []string
	var all []any
	for _, usage := range usages {
		for month := *months.From; month <= *months.To; month++ {
			stream, args, order := l.dialect.keyed([]string{"c.usage", "c.expires_month"}, []any{usage, month}, within)
			texts = append(texts, fmt.Sprintf("SELECT s.id FROM (SELECT c.id FROM cards AS c%s WHERE c.account_id = ? AND %s%s ORDER BY %s LIMIT ?) AS s",
				cards, stream, more, order))
			all = slices.Concat(all, []any{l.account}, args, moreArgs, []any{n})
		}
	}
	if len(texts) == 0 {
		return nil, nil
	}
	return l.query("SELECT a.id FROM ("+strings.Join(texts, " UNION ALL ")+") AS a ORDER BY a.id DESC LIMIT ?", append(all, n)...)
}

// expiring is a source of the cards that expire in a range of time. Its index has them in
// the order of their expiry, so all of them have to be read, whatever their ids: that is its
// size. The conditions on other columns are checked in the index.
func (l *listing) expiring() source {
	const (
		expiry = "(c.expires_at + 0)" // as the index has it; see the migration
		order  = " ORDER BY " + expiry + " DESC, c.id DESC"
	)
	cards := "cards AS c" + l.dialect.indexedBy("cards_expiry")
	with := func(f Filter) (string, []any) {
		more, args := f.whereIndexed(expiry)
		return "c.account_id = ?" + more, append([]any{l.account}, args...)
	}
	condition, args := with(l.filter)
	all := l.unordered(cards, "c.id", order, condition, args...)
	all.size = func(_ span, most int) (int, error) {
		condition, args := with(Filter{Expires: l.filter.Expires, IncludeDeleted: true})
		return l.count(fmt.Sprintf("SELECT c.id FROM %s WHERE %s%s", cards, condition, order), args, most)
	}
	return all
}

// fewStreams is for how many streams it is not too much to read all n ids of each.
const fewStreams = 16

// sharingStreams is how many streams are taken together to tell how far each has to
// be read.
const sharingStreams = 8

// whereIndexed writes what the indexes cards_usage and cards_expiry can tell about the filter.
// Each has the expiry in a form of its own.
func (f *Filter) whereIndexed(expiry string) (string, []any) {
	var text strings.Builder
	var args []any
	add := func(condition string, values ...any) {
		text.WriteString(" AND " + condition)
		args = append(args, values...)
	}
	if !f.IncludeDeleted {
		add("c.deleted_at IS NULL")
	}
	if f.Expires.From != nil {
		add(expiry+" >= ?", *f.Expires.From)
	}
	if f.Expires.To != nil {
		add(expiry+" <= ?", *f.Expires.To)
	}
	switch f.Status {
	case "", ledger.StatusInactive:
	case ledger.StatusExpired:
		add(expiry+" <= ?", int64(f.Now))
	default:
		add("("+expiry+" IS NULL OR "+expiry+" > ?)", int64(f.Now))
	}
	if len(f.Currencies) > 0 {
		add("c.currency IN (?)", bun.List(f.Currencies))
	}
	if f.Type != "" {
		add("c.type = ?", string(f.Type))
	}
	return text.String(), args
}

// search is a source of the cards whose search text has the grams, or whose amount
// is the number searched for.
func (l *listing) search(grams []string) source {
	parts := []source{l.grams(grams)}
	if amount, err := strconv.ParseUint(l.filter.Search, 10, 63); err == nil {
		parts = append(parts, l.equal(equalPath("cards_amount", "amount", int64(amount)))) //nolint:gosec // 63 bits fit
	}
	return union(parts...)
}
