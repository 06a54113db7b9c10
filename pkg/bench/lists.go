package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

const (
	// listAccounts share the database with the account whose cards are listed.
	listAccounts = 100
	// smallAccountCards is how many cards each other account has at most, and
	// smallAccountShare how small a part of the large one's.
	smallAccountCards = 200
	smallAccountShare = 1000
	// listLimit is the size of a page.
	listLimit = 100
	// listPage is a page far down, where there are as many.
	listPage = 5000
	// listSamples is how often each list is asked for in a run.
	listSamples = 40
	// longestListRun ends a run early; it is shorter where windows are.
	longestListRun = 2 * time.Second
	// historyCard has the long history.
	historyCard = "history-card"
)

// listGoal is for the 95th percentile of a list, in milliseconds.
var listGoal = Goal{AtMost: 25}

// ListResult is what one kind of list showed. The figures are medians over the runs.
type ListResult struct {
	Engine    Engine  `json:"engine"`
	Title     string  `json:"title"`
	Samples   int     `json:"samples"`
	P50Micros float64 `json:"p50_us"`
	P95Micros float64 `json:"p95_us"`
	MaxMicros float64 `json:"max_us"`
	// Overloaded answers were a 503 in place of a list.
	Overloaded int `json:"answers_503"`
	// Bounded lists are those that no index can serve: they need not be fast, only end
	// in time.
	Bounded bool `json:"bounded_only,omitempty"`
	Reached bool `json:"reached"`
}

// list is a kind of list: the query of its nth request.
type list struct {
	title   string
	query   func(n int) url.Values
	path    string // "/cards" when empty
	bounded bool
}

// filled is what a query has to know about the cards.
type filled struct {
	cards  int
	cursor uuid.UUID // the last item before a page far down
	now    time.Time
	txns   int64 // in the whole database
}

// runLists fills a database, asks for lists and histories, and verifies it.
func (b *benchmark) runLists(ctx context.Context) error {
	return b.withDatabase(ctx, func(db *database) error {
		known, err := b.fillLists(ctx, db)
		if err != nil {
			return err
		}
		if err := db.settle(ctx); err != nil {
			return err
		}
		if b.wants(PartLists) {
			err := b.withTill(ctx, db, func(_ *server, t *till) error { return b.measureLists(ctx, t, known) })
			if err != nil {
				return err
			}
		}
		if !b.wants(PartHistory) {
			return nil
		}
		err = b.withTill(ctx, db, func(s *server, t *till) error { return b.measureHistory(ctx, s, t) })
		if err != nil {
			return err
		}
		return b.measureVerify(ctx, db, known.txns)
	})
}

// withTill starts a server on a database that has all its cards, and one till.
func (b *benchmark) withTill(ctx context.Context, db *database, use func(*server, *till) error) error {
	return b.withServer(ctx, db, request{tokens: 1}, func(s *server) (err error) {
		l, err := newLoad(ctx, s, 0)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, l.close()) }()
		return use(s, l.tills[0])
	})
}

// fillLists makes one large account among many small ones, and one long history.
func (b *benchmark) fillLists(ctx context.Context, db *database) (known filled, err error) {
	phase := fmt.Sprintf("load %d cards", b.ListCards)
	b.tell(phase)
	start := time.Now()
	before := max(b.ListCards-min(listPage*listLimit, b.ListCards/2), 1)
	known.txns, err = db.populate(ctx, func(ctx context.Context, into *settler) error {
		watch := b.watch(phase, 0)
		large := newPopulation(account, 0)
		known.cards, known.now = b.ListCards, large.now.Time()
		long, err := large.usedCard(historyCard, large.now.Add(-2*year-day), b.HistoryTxns-1)
		if err != nil {
			return err
		}
		if err := into.add(ctx, long); err != nil {
			return err
		}
		for i := range b.ListCards {
			s, err := large.retailCard(i, b.ListCards)
			if err != nil {
				return fmt.Errorf("card %d: %w", i, err)
			}
			if i == before {
				known.cursor = s.card.ID
			}
			if err := into.add(ctx, s); err != nil {
				return err
			}
			if i%batchRows == 0 {
				watch(int64(i), time.Since(start))
			}
		}
		return addSmallAccounts(ctx, into, min(smallAccountCards, 1+b.ListCards/smallAccountShare))
	})
	return known, err
}

func addSmallAccounts(ctx context.Context, into *settler, cards int) error {
	for n := 1; n < listAccounts; n++ {
		small := newPopulation(Account(n), uint64(n)) //nolint:gosec // positive
		for i := range cards {
			s, err := small.retailCard(i, cards)
			if err != nil {
				return err
			}
			if err := into.add(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// measureLists asks for each list a few times in each run.
func (b *benchmark) measureLists(ctx context.Context, t *till, known filled) error {
	all := lists(known)
	runs := make([][]Figures, len(all))
	results := make([]ListResult, len(all))
	for run := range b.Runs {
		b.tell(fmt.Sprintf("%d lists, run %d of %d", len(all), run+1, b.Runs))
		for i, l := range all {
			figures, overloaded, err := t.ask(ctx, l, min(b.Duration, longestListRun))
			if err != nil {
				return fmt.Errorf("list %s: %w", l.title, err)
			}
			runs[i] = append(runs[i], figures)
			results[i].Overloaded += overloaded
		}
	}
	for i, l := range all {
		r := &results[i]
		m := median(runs[i])
		r.Engine, r.Title, r.Bounded, r.Samples = b.engine, l.title, l.bounded, m.Requests
		r.P50Micros, r.P95Micros, r.MaxMicros = m.P50Micros, m.P95Micros, m.MaxMicros
		r.Reached = r.P95Micros <= listGoal.AtMost*1000 && r.Overloaded == 0
	}
	b.report.Lists = append(b.report.Lists, results...)
	b.report.add(b.Options, slowestList(b.engine, known.cards, results))
	return nil
}

// slowestList is the row that stands for all lists that an index can serve.
func slowestList(engine Engine, cards int, results []ListResult) Row {
	var slowest ListResult
	reached, all := 0, 0
	for _, r := range results {
		if r.Bounded {
			continue
		}
		all++
		if r.Reached {
			reached++
		}
		if r.P95Micros > slowest.P95Micros {
			slowest = r
		}
	}
	return Row{
		Part: PartLists, Engine: engine, Value: slowest.P95Micros / 1000, Unit: " ms", Goal: listGoal,
		What: fmt.Sprintf("p95 of the slowest list of %d cards (%s); %d of %d lists reach it", cards, slowest.Title, reached, all),
	}
}

// ask asks for a list often enough for a percentile. The first answer warms up.
func (t *till) ask(ctx context.Context, l list, longest time.Duration) (f Figures, overloaded int, err error) {
	start := time.Now()
	for n := range listSamples + 1 {
		if n > 1 && time.Since(start) > longest {
			break
		}
		if ctx.Err() != nil {
			return f, overloaded, ctx.Err()
		}
		if n == 1 {
			t.latencies = t.latencies[:0]
		}
		path := "/cards"
		if l.path != "" {
			path = l.path
		}
		_, err := t.call(http.MethodGet, path+"?"+l.query(n).Encode(), nil)
		if refused, ok := errors.AsType[*refusal](err); ok && refused.status == http.StatusServiceUnavailable {
			overloaded++
		} else if err != nil {
			return f, overloaded, err
		}
	}
	return figuresOf(t.latencies, time.Since(start)), overloaded, nil
}

// writeLists writes the table of lists.
func (r *Report) writeLists(out io.Writer) error {
	if len(r.Lists) == 0 {
		return nil
	}
	fmt.Fprintf(out, "\nlists of %d cards a page; target of the p95: %s ms\n", listLimit, listGoal.text())
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "database\tlist\tp50 ms\tp95 ms\tmax ms\tanswers\t503\treached")
	for _, l := range r.Lists {
		verdict := "NO"
		switch {
		case l.Reached:
			verdict = "yes"
		case l.Bounded:
			verdict = "bounded by a time limit only"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n", l.Engine, l.Title,
			milliseconds(l.P50Micros), milliseconds(l.P95Micros), milliseconds(l.MaxMicros), l.Samples, l.Overloaded, verdict)
	}
	return table.Flush()
}

// lists are the kinds of lists that are measured. Their values change from request to
// request, so that no answer is simply the last one again.
func lists(known filled) []list {
	return slices.Concat(plainLists(known), filteredLists(known), combinedLists(known), searches(), boundedLists(known))
}

// with is a query with these names and values on a page of cards.
func with(pairs ...string) url.Values {
	values := url.Values{"limit": {strconv.Itoa(listLimit)}}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return values
}

// always is the same query each time.
func always(pairs ...string) func(int) url.Values {
	return func(int) url.Values { return with(pairs...) }
}

// week returns the ends of a week that lies about n weeks back.
func (f filled) week(n int) (from, to string) {
	end := f.now.Add(-30*day - time.Duration(n%40)*7*day)
	return end.Add(-7 * day).Format(time.RFC3339), end.Format(time.RFC3339)
}

func plainLists(known filled) []list {
	return []list{
		{title: "no filter, first page", query: always()},
		{title: "no filter, far down", query: always("starting_after", known.cursor.String())},
		{title: "deleted ones too", query: always("include_deleted", "true")},
	}
}

func (f filled) customer(n int) string {
	return customerName(n * 7919 % max(f.cards/cardsPerCustomer, 1))
}

func filteredLists(known filled) []list {
	var all []list
	for _, status := range []ledger.Status{
		ledger.StatusInactive, ledger.StatusExpired, ledger.StatusUnused, ledger.StatusUsed, ledger.StatusPartiallyUsed,
	} {
		all = append(all, list{title: "status " + string(status), query: always("status", string(status))})
	}
	for _, kind := range []ledger.CardType{ledger.GiftCard, ledger.CreditNote} {
		all = append(all, list{title: "type " + string(kind), query: always("type", string(kind))})
	}
	return append(
		all,
		list{title: "currency, the usual", query: always("currency", "NOK")},
		list{title: "currency, a rare one", query: always("currency", "USD")},
		list{title: "currency, two rare ones", query: always("currency", "USD", "currency", "EUR")},
		list{title: "customer", query: func(n int) url.Values { return with("customer", known.customer(n)) }},
		list{title: "customer with very many cards", query: always("customer", corporate)},
		list{
			title: "cards of a customer", path: "/customers/" + corporate + "/cards", query: always(),
		},
		list{title: "balance, range", query: func(n int) url.Values {
			return with("amount_balance.gte", strconv.Itoa(1000+n*500), "amount_balance.lte", strconv.Itoa(2000+n*500))
		}},
		list{title: "balance, exact", query: func(n int) url.Values { return with("amount_balance", strconv.Itoa(12_345+n)) }},
		list{title: "available, range", query: func(n int) url.Values {
			return with("amount_available.gte", strconv.Itoa(1000+n*500), "amount_available.lte", strconv.Itoa(2000+n*500))
		}},
		list{title: "available, exact", query: func(n int) url.Values { return with("amount_available", strconv.Itoa(12_345+n)) }},
		list{title: "created in a week", query: func(n int) url.Values {
			from, to := known.week(n)
			return with("created_at.gte", from, "created_at.lte", to)
		}},
		list{title: "expires in a week", query: func(n int) url.Values {
			from, to := known.week(n)
			return with("expires_at.gte", from, "expires_at.lte", to)
		}},
	)
}

func combinedLists(known filled) []list {
	return []list{
		{title: "status × currency, the usual", query: always("status", "partially_used", "currency", "NOK")},
		{title: "status × currency, a rare one", query: always("status", "used", "currency", "USD")},
		{title: "customer × status", query: func(n int) url.Values { return with("customer", known.customer(n), "status", "unused") }},
		{title: "customer with very many cards × status", query: always("customer", corporate, "status", "partially_used")},
		{title: "balance range × type", query: func(n int) url.Values {
			return with("amount_balance.gte", strconv.Itoa(1000+n*500), "amount_balance.lte", strconv.Itoa(2000+n*500), "type", "credit_note")
		}},
		{title: "created in a week × currency, a rare one", query: func(n int) url.Values {
			from, to := known.week(n)
			return with("created_at.gte", from, "created_at.lte", to, "currency", "USD")
		}},
		{title: "expires in a week × currency", query: func(n int) url.Values {
			from, to := known.week(n)
			return with("expires_at.gte", from, "expires_at.lte", to, "currency", "SEK")
		}},
	}
}

func searches() []list {
	return []list{
		{title: "search, found often", query: func(n int) url.Values { return with("search", lastNames[n%len(lastNames)]) }},
		{title: "search, 3 letters", query: func(n int) url.Values { return with("search", firstNames[n%len(firstNames)][:3]) }},
		{title: "search, rare", query: func(n int) url.Values { return with("search", fmt.Sprintf("vip-%06d", n*100+7)) }},
		{title: "search, the end of an id", query: func(n int) url.Values { id := retailCardID(n * 100); return with("search", id[len(id)-8:]) }},
		{title: "search, an amount", query: func(n int) url.Values { return with("search", strconv.FormatInt(amounts[n%len(amounts)], 10)) }},
		{title: "search, absent", query: func(n int) url.Values { return with("search", fmt.Sprintf("zq%dxj", n)) }},
	}
}

// boundedLists are those that no index serves: what is rare in each of two filters
// that are not.
func boundedLists(known filled) []list {
	return []list{
		{title: "search, 2 letters, absent", bounded: true, query: always("search", "qz")},
		{title: "unselective conjunction without an answer", bounded: true, query: always(
			"type", "gift_card", "status", "unused", "currency", "NOK", "expires_at.lte", known.now.Add(-30*day).Format(time.RFC3339))},
	}
}
