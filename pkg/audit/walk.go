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
	total  int64
}

type stepKind uint8

const (
	sizeKnown stepKind = iota
	accountBegins
	cardsRead
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
}

// source reads the database step by step, on its own goroutine.
type source struct {
	reader *repository.AuditReader
	full   bool
	steps  chan<- step
	pages  chan *repository.TxnPage // free ones, to be filled again
}

func (s *source) emit(ctx context.Context, next step) error {
	select {
	case s.steps <- next:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *source) read(ctx context.Context, o Options) error {
	if o.Progress != nil {
		total, err := s.reader.Size(ctx, o.Account)
		if err != nil {
			return fmt.Errorf("estimate the work: %w", err)
		}
		if err := s.emit(ctx, step{kind: sizeKnown, total: total}); err != nil {
			return err
		}
	}
	if o.Account != "" {
		return s.readAccount(ctx, o.Account)
	}
	for after := (*string)(nil); ; {
		account, found, err := s.reader.NextAccount(ctx, after)
		if err != nil {
			return fmt.Errorf("find the next account: %w", err)
		}
		if !found {
			return nil
		}
		if err := s.readAccount(ctx, account); err != nil {
			return fmt.Errorf("account %s: %w", account, err)
		}
		after = &account
	}
}

func (s *source) readAccount(ctx context.Context, account string) error {
	if err := s.emit(ctx, step{kind: accountBegins, name: account}); err != nil {
		return err
	}
	for after, more := "", true; more; {
		page, err := s.readCards(ctx, account, after)
		if err != nil {
			return err
		}
		if err := s.emit(ctx, step{kind: cardsRead, cards: page}); err != nil {
			return err
		}
		if err := s.readTxns(ctx, account, page.span); err != nil {
			return err
		}
		if s.full {
			if err := s.readTokens(ctx, account, page.span); err != nil {
				return err
			}
		}
		if err := s.emit(ctx, step{kind: spanEnds}); err != nil {
			return err
		}
		after, more = page.span.Upto, page.span.Upto != ""
	}
	return s.emit(ctx, step{kind: accountEnds})
}

func (s *source) readCards(ctx context.Context, account, after string) (*cardPage, error) {
	var page cardPage
	var err error
	if page.cards, page.span, err = s.reader.Cards(ctx, account, after); err != nil || !s.full {
		return &page, err
	}
	if page.sums, err = s.reader.Sums(ctx, account, page.span); err != nil {
		return nil, err
	}
	if page.holdSums, err = s.reader.HoldSums(ctx, account, page.span); err != nil {
		return nil, err
	}
	if page.strays, err = s.reader.StrayHolds(ctx, account, page.span); err != nil {
		return nil, err
	}
	page.refs, err = s.reader.SharedRefs(ctx, account, page.span)
	return &page, err
}

func (s *source) readTxns(ctx context.Context, account string, span repository.CardSpan) error {
	for after := (repository.TxnPosition{CardKey: span.After, Seq: repository.LastSeq}); ; {
		var page *repository.TxnPage
		select {
		case page = <-s.pages:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := s.reader.Transactions(ctx, account, after, span.Upto, page); err != nil {
			return err
		}
		if len(page.Rows) == 0 {
			s.pages <- page
			return nil
		}
		last := &page.Rows[len(page.Rows)-1]
		after = repository.TxnPosition{CardKey: last.CardKey, Seq: last.Txn.Seq}
		if err := s.emit(ctx, step{kind: txnsRead, txns: page}); err != nil {
			return err
		}
	}
}

func (s *source) readTokens(ctx context.Context, account string, span repository.CardSpan) error {
	for after := (repository.TokenPosition{CardKey: span.After}); ; {
		page, err := s.reader.Tokens(ctx, account, after, span.Upto)
		if err != nil || len(page.Rows) == 0 {
			return err
		}
		last := &page.Rows[len(page.Rows)-1]
		after = repository.TokenPosition{CardKey: last.CardKey, Key: last.Key}
		if err := s.emit(ctx, step{kind: tokensRead, tokens: page}); err != nil {
			return err
		}
	}
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
	head    tree
	total   int64
}

func newWalker(scope *Scope, o Options, report func(Finding)) *walker {
	return &walker{o: o, scope: scope, report: report, project: ledger.Project}
}

// walk reads one snapshot and checks it. full adds the sums, the tokens and all
// else that is not needed for a replay.
func (w *walker) walk(ctx context.Context, store *repository.Store, full bool) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	steps, pages := make(chan step, readAhead), make(chan *repository.TxnPage, readAhead+2)
	for range cap(pages) {
		pages <- new(repository.TxnPage)
	}
	result := make(chan error, 1)
	go func() {
		result <- store.Snapshot(reading, func(reader *repository.AuditReader) error {
			s := source{reader: reader, full: full, steps: steps, pages: pages}
			return s.read(reading, w.o)
		})
		close(steps)
	}()
	for next := range steps {
		if err := w.take(next); err != nil {
			return err
		}
		if next.txns != nil {
			pages <- next.txns
		}
	}
	err := <-result
	if ctx.Err() != nil {
		return ctx.Err() // what a driver says about a cancelled statement is no news
	}
	if err == nil && w.o.Progress != nil {
		w.o.Progress(w.scope.Transactions, w.scope.Transactions)
	}
	return err
}

func (w *walker) take(next step) error {
	switch next.kind {
	case sizeKnown:
		w.total = next.total
	case accountBegins:
		w.account, w.head = next.name, tree{}
		w.scope.Accounts++
	case cardsRead:
		w.page, w.at, w.history = next.cards, 0, nil
		w.scope.Cards += int64(len(w.page.cards))
	case txnsRead:
		return w.txns(next.txns)
	case tokensRead:
		w.tokens(next.tokens)
	case spanEnds:
		if err := w.finishCards(func(*repository.CardRecord) bool { return true }); err != nil {
			return err
		}
		w.checkLeftovers()
	case accountEnds:
		if w.headed != nil {
			w.headed(w.head.sum(w.account))
		}
	}
	return nil
}

func (w *walker) txns(page *repository.TxnPage) error {
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
		w.current().step(row, page)
	}
	w.scope.Transactions += int64(len(page.Rows))
	if w.o.Progress != nil {
		w.o.Progress(w.scope.Transactions, max(w.total, w.scope.Transactions))
	}
	return nil
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
		card := &w.page.cards[w.at]
		if w.headed != nil {
			w.head.add(&card.Card)
		}
		if err := w.finish(w.current()); err != nil {
			return err
		}
		w.at, w.history = w.at+1, nil
	}
	return nil
}
