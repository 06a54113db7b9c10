package audit

import (
	"context"
	"fmt"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// readAhead is how many pages are read while earlier ones are checked: reading
// and checking cost about the same, and each takes a core.
const readAhead = 2

// step is a piece of what the reader hands to the walker, in order: for each
// account its name, for each span of cards the cards, their transactions and
// tokens, and the end of the span; after an account its end.
type step struct {
	kind   stepKind
	name   string
	cards  *cardPage
	txns   *repository.TxnPage
	tokens *repository.TokenPage
	gone   []string
	total  int64
}

type stepKind uint8

const (
	sizeKnown stepKind = iota
	accountBegins
	cardsRead
	cardsGone
	txnsRead
	tokensRead
	spanEnds
	accountEnds
)

// cardPage is a span of cards. The parts that only a full audit needs are nil in a
// rebuild.
type cardPage struct {
	cards    []repository.CardRecord
	span     repository.CardSpan
	sums     map[string]repository.Sums
	holdSums map[string]repository.HoldSums
	strays   []repository.StrayHold
	refs     []repository.TxnRecord
	earlier  *earlier // with a saved state
}

// source reads the database step by step: one goroutine the cards and the sums, span
// by span, another their transactions and tokens. The sums cost about as much as the
// transactions, and each takes a core.
type source struct {
	pages, rest *repository.AuditReader // of one snapshot
	full        bool
	since       *State    // nil to read everything
	spans       chan step // from the goroutine of the cards to the other
	steps       chan<- step
	free        chan *repository.TxnPage // pages to be filled again
}

// emit hands a step on.
func emit(ctx context.Context, to chan<- step, next step) error {
	select {
	case to <- next:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// readSpans reads the cards and what is summed up about them.
func (s *source) readSpans(ctx context.Context, o Options) error {
	if o.Progress != nil {
		total, err := s.rest.Size(ctx, o.Account)
		if err != nil {
			return fmt.Errorf("estimate the work: %w", err)
		}
		if err := emit(ctx, s.spans, step{kind: sizeKnown, total: total}); err != nil {
			return err
		}
	}
	if o.Account != "" {
		if err := s.skipTo(o.Account); err != nil {
			return err
		}
		return s.readAccount(ctx, o.Account)
	}
	for after := (*string)(nil); ; {
		account, found, err := s.nextAccount(ctx, after)
		if err != nil || !found {
			return err
		}
		if err := s.readAccount(ctx, account); err != nil {
			return fmt.Errorf("account %s: %w", account, err)
		}
		after = &account
	}
}

func (s *source) readAccount(ctx context.Context, account string) error {
	if err := emit(ctx, s.spans, step{kind: accountBegins, name: account}); err != nil {
		return err
	}
	for after, more := "", true; more; {
		page, err := s.readCards(ctx, account, after)
		if err != nil {
			return err
		}
		if err := emit(ctx, s.spans, step{kind: cardsRead, name: account, cards: page}); err != nil {
			return err
		}
		after, more = page.span.Upto, page.span.Upto != ""
	}
	return emit(ctx, s.spans, step{kind: accountEnds})
}

func (s *source) readCards(ctx context.Context, account, after string) (*cardPage, error) {
	var page cardPage
	var err error
	if page.cards, page.span, err = s.rest.Cards(ctx, account, after); err != nil || !s.full {
		return &page, err
	}
	if page.holdSums, err = s.rest.HoldSums(ctx, account, page.span); err != nil {
		return nil, err
	}
	if s.since != nil {
		return &page, s.recall(ctx, account, &page)
	}
	if page.sums, err = s.rest.Sums(ctx, account, page.span); err != nil {
		return nil, err
	}
	if page.strays, err = s.rest.StrayHolds(ctx, account, page.span); err != nil {
		return nil, err
	}
	page.refs, err = s.rest.SharedRefs(ctx, account, page.span)
	return &page, err
}

// readRows passes on what readSpans hands it, and adds the transactions and tokens
// of each span.
func (s *source) readRows(ctx context.Context) error {
	for next := range s.spans {
		if next.kind == cardsRead && s.since != nil {
			if err := s.lookBehind(ctx, next.name, next.cards); err != nil {
				return fmt.Errorf("account %s: %w", next.name, err)
			}
		}
		if err := emit(ctx, s.steps, next); err != nil {
			return err
		}
		if next.kind != cardsRead {
			continue
		}
		if err := s.readSpan(ctx, next.name, next.cards); err != nil {
			return fmt.Errorf("account %s: %w", next.name, err)
		}
	}
	return nil
}

func (s *source) readSpan(ctx context.Context, account string, page *cardPage) error {
	span := page.span
	if s.since != nil {
		if err := s.readSince(ctx, account, page); err != nil {
			return err
		}
		return emit(ctx, s.steps, step{kind: spanEnds})
	}
	if err := s.readTxns(ctx, account, repository.TxnPosition{CardKey: span.After, Seq: repository.LastSeq}, span.Upto); err != nil {
		return err
	}
	if s.full {
		if err := s.readTokens(ctx, account, span); err != nil {
			return err
		}
	}
	return emit(ctx, s.steps, step{kind: spanEnds})
}

// readTxns hands on the transactions after a position, up to a card.
func (s *source) readTxns(ctx context.Context, account string, after repository.TxnPosition, upto string) error {
	for {
		var page *repository.TxnPage
		select {
		case page = <-s.free:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := s.pages.Transactions(ctx, account, after, upto, page); err != nil {
			return err
		}
		last, some := page.Last()
		if !some {
			s.free <- page
			return nil
		}
		after = last
		if err := emit(ctx, s.steps, step{kind: txnsRead, txns: page}); err != nil {
			return err
		}
	}
}

func (s *source) readTokens(ctx context.Context, account string, span repository.CardSpan) error {
	for after := (repository.TokenPosition{CardKey: span.After}); ; {
		page, err := s.pages.Tokens(ctx, account, after, span.Upto)
		if err != nil || len(page.Rows) == 0 {
			return err
		}
		last := &page.Rows[len(page.Rows)-1]
		after = repository.TokenPosition{CardKey: last.CardKey, Key: last.Key}
		if err := emit(ctx, s.steps, step{kind: tokensRead, tokens: page}); err != nil {
			return err
		}
	}
}

// run reads one snapshot to its end, or until something fails.
func (s *source) run(ctx context.Context, store *repository.Store, o Options) error {
	return store.SnapshotPair(ctx, func(pages, rest *repository.AuditReader) error {
		ctx, stop := context.WithCancelCause(ctx)
		defer stop(nil)
		s.pages, s.rest = pages, rest
		spansRead := make(chan struct{})
		go func() {
			defer close(spansRead)
			defer close(s.spans)
			if err := s.readSpans(ctx, o); err != nil {
				stop(err)
			}
		}()
		if err := s.readRows(ctx); err != nil {
			stop(err)
		}
		<-spansRead
		return context.Cause(ctx)
	})
}

// walker checks what the source reads.
type walker struct {
	o       Options
	scope   *Scope
	report  func(Finding)
	project projector
	finish  func(*history) error // is shown each card after its last transaction
	headed  func(AccountHead)    // when heads are wanted

	account string
	page    *cardPage
	at      int      // the card of the page whose transactions come next
	history *history // of that card; nil before its first transaction
	cuts    []cut    // the heads of the account
	total   int64
	done    int64 // transactions, for the progress

	compared []AccountHead // of those that were kept
}

func newWalker(scope *Scope, o Options, report func(Finding)) *walker {
	return &walker{o: o, scope: scope, report: report, project: ledger.Project}
}

// walk reads one snapshot and checks it. full adds the sums, the tokens and all
// else that is not needed for a replay.
func (w *walker) walk(ctx context.Context, store *repository.Store, full bool) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	steps := make(chan step, readAhead)
	s := source{
		full: full, since: w.o.Since, spans: make(chan step, readAhead), steps: steps,
		free: make(chan *repository.TxnPage, readAhead+2),
	}
	for range cap(s.free) {
		s.free <- new(repository.TxnPage)
	}
	result := make(chan error, 1)
	go func() {
		result <- s.run(reading, store, w.o)
		close(steps)
	}()
	for next := range steps {
		if err := w.take(next); err != nil {
			return err
		}
		if next.txns != nil {
			s.free <- next.txns
		}
	}
	err := <-result
	if ctx.Err() != nil {
		return ctx.Err() // what a driver says about a cancelled statement is no news
	}
	if err == nil && w.o.Progress != nil {
		w.o.Progress(w.done, w.done)
	}
	return err
}

func (w *walker) take(next step) error {
	switch next.kind {
	case sizeKnown:
		w.total = next.total
	case accountBegins:
		w.account = next.name
		w.beginCuts()
		if w.o.Save != nil {
			w.o.Save.begin(w.account)
		}
		w.scope.Accounts++
	case cardsRead:
		w.page, w.at, w.history = next.cards, 0, nil
		w.scope.Cards += int64(len(w.page.cards))
	case cardsGone:
		w.cardsGone(next.gone)
	case txnsRead:
		return w.txns(next.txns)
	case tokensRead:
		w.tokens(next.tokens)
	case spanEnds:
		if err := w.finishCards(func(*repository.CardRecord) bool { return true }); err != nil {
			return err
		}
		w.checkLeftovers()
		w.passedOver()
	case accountEnds:
		w.endCuts()
		if w.o.Save != nil {
			w.o.Save.end()
		}
	}
	return nil
}

func (w *walker) txns(page *repository.TxnPage) error {
	if err := page.Decode(); err != nil {
		return fmt.Errorf("account %s: read transactions: %w", w.account, err)
	}
	for i := range page.Rows {
		row := &page.Rows[i]
		if err := w.finishCards(func(c *repository.CardRecord) bool { return c.Key < row.CardKey }); err != nil {
			return err
		}
		if w.at == len(w.page.cards) || w.page.cards[w.at].Key != row.CardKey {
			w.report(Finding{
				Account: w.account, Card: row.CardKey, Row: TxnRow, ID: row.Key, Seq: row.Txn.Seq,
				Figure: "card_object_id", Problem: "names no card of the account",
			})
			continue
		}
		w.current().step(row)
	}
	w.scope.Transactions += int64(len(page.Rows))
	w.progress(int64(len(page.Rows)))
	return nil
}

func (w *walker) progress(transactions int64) {
	w.done += transactions
	if w.o.Progress != nil {
		w.o.Progress(w.done, max(w.total, w.done))
	}
}

// passedOver counts the transactions of the cards of a page that a saved state stands
// for.
func (w *walker) passedOver() {
	if w.page.earlier == nil {
		return
	}
	var transactions int64
	for _, was := range w.page.earlier.cards {
		transactions += was.Seq
	}
	w.progress(transactions)
}

// current is the history of the card whose turn it is.
func (w *walker) current() *history {
	if w.history == nil {
		w.history = w.newHistory(&w.page.cards[w.at])
	}
	return w.history
}

// finishCards finishes cards of the page for as long as they are done.
func (w *walker) finishCards(done func(*repository.CardRecord) bool) error {
	for w.at < len(w.page.cards) && done(&w.page.cards[w.at]) {
		h := w.current()
		w.addToCuts(h)
		if w.o.Save != nil {
			w.o.Save.card(h)
		}
		if err := w.finish(h); err != nil {
			return err
		}
		w.at, w.history = w.at+1, nil
	}
	return nil
}
