package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// watchInterval is the time between two reports of progress.
	watchInterval = 200 * time.Millisecond
	// answerTimeout is how long after its end a window waits for the last answers.
	answerTimeout = time.Minute
	// expectedPerSecond is the rate of requests for which space is reserved, so that
	// noting a latency does not allocate while the clock runs.
	expectedPerSecond = 100_000
	// cardsElsewhere is how many cards each further account has.
	cardsElsewhere = 10
	// warmReserve is how long a stretch without a set end is expected to take.
	warmReserve = 5 * time.Second
)

// load is the load generator: tills that work at the same time.
type load struct {
	server   *server
	tills    []*till
	cards    []card
	answered atomic.Int64 // requests
	release  func() bool
}

// newLoad opens a connection for each token of the server.
func newLoad(ctx context.Context, s *server, cards int) (*load, error) {
	return newWideLoad(ctx, s, cards, len(s.Tokens))
}

// newWideLoad opens so many connections, which share the tokens.
func newWideLoad(ctx context.Context, s *server, cards, connections int) (*load, error) {
	l := &load{server: s, cards: make([]card, cards)}
	for i := range l.cards {
		l.cards[i].id = cardID(i)
	}
	count := func() { l.answered.Add(1) }
	for i := range connections {
		token := s.Tokens[i%len(s.Tokens)]
		c, err := dial(ctx, s.Addr)
		if err != nil {
			return nil, errors.Join(err, l.close())
		}
		l.tills = append(l.tills, newTill(i, c, s.Addr, token, l.cards, count))
	}
	accounts := make([]endpoint, len(s.AccountTokens))
	for i, token := range s.AccountTokens {
		accounts[i] = newEndpoint(s.Addr, Account(i+1), token)
	}
	for _, t := range l.tills {
		t.accounts = accounts
	}
	// A till that waits for an answer notices the end of the context by this only.
	l.release = context.AfterFunc(ctx, func() { l.hurry(time.Now()) })
	return l, nil
}

// hurry makes waiting for answers fail from a moment on. A connection that cannot
// take a deadline is closed, and says so where it is used.
func (l *load) hurry(deadline time.Time) {
	for _, t := range l.tills {
		_ = t.connection.conn.SetDeadline(deadline)
	}
}

// close closes all connections.
func (l *load) close() error {
	if l.release != nil {
		l.release()
	}
	var failures []error
	for _, t := range l.tills {
		failures = append(failures, t.connection.conn.Close())
	}
	return errors.Join(failures...)
}

// acknowledged is how many transactions the server has said that it made.
func (l *load) acknowledged() (transactions int64) {
	for _, t := range l.tills {
		transactions += t.acknowledged
	}
	return transactions
}

// createCards creates all cards; each of the first tills its share.
func (l *load) createCards(ctx context.Context, tills int, watch watcher) error {
	tills = min(tills, len(l.tills))
	_, err := l.each(ctx, l.tills[:tills], warmReserve, watch, func(t *till) error {
		for i := t.number; i < len(l.cards); i += tills {
			if err := t.createCard(&l.cards[i]); err != nil {
				return err
			}
		}
		return t.createElsewhere(tills)
	})
	if err != nil {
		return fmt.Errorf("create the cards: %w", err)
	}
	return nil
}

// createElsewhere creates the first few cards in the till's share of the accounts.
func (t *till) createElsewhere(tills int) error {
	home := t.at
	defer func() { t.at = home }()
	for i := t.number; i < len(t.accounts); i += tills {
		t.at = &t.accounts[i]
		for n := range min(cardsElsewhere, len(t.cards)) {
			unused := card{id: t.cards[n].id}
			if err := t.createCard(&unused); err != nil {
				return err
			}
		}
	}
	return nil
}

// window keeps the tills busy for a time and sums up what they saw.
func (l *load) window(ctx context.Context, w workload, length time.Duration, watch watcher) (Figures, error) {
	tills := l.tills
	if w.tills > 0 {
		tills = tills[:min(w.tills, len(tills))]
	}
	before, err := l.usage()
	if err != nil {
		return Figures{}, err
	}
	l.hurry(time.Now().Add(length + answerTimeout))
	if ctx.Err() != nil { // else the line above might have undone what its end set
		return Figures{}, ctx.Err()
	}
	deadline := time.Now().Add(length)
	elapsed, err := l.each(ctx, tills, length, watch, func(t *till) error {
		for time.Now().Before(deadline) && ctx.Err() == nil {
			if err := w.turn(t); err != nil && !t.fail(err) {
				return nil // noted by fail
			}
		}
		return nil
	})
	if err != nil {
		return Figures{}, err
	}
	after, err := l.usage()
	if err != nil {
		return Figures{}, err
	}
	figures := figuresOf(latenciesOf(tills), elapsed)
	figures.add(before, after)
	return figures, nil
}

// each lets tills do something at the same time, and watches over it. The error is
// the context's or says how many requests failed.
func (l *load) each(
	ctx context.Context, tills []*till, length time.Duration, watch watcher, work func(*till) error,
) (time.Duration, error) {
	reserve := int(length.Seconds()*expectedPerSecond) / len(tills)
	for _, t := range tills {
		t.latencies = slices.Grow(t.latencies[:0], reserve)
	}
	before, start := l.answered.Load(), time.Now()
	var working sync.WaitGroup
	for _, t := range tills {
		working.Go(func() {
			if err := work(t); err != nil {
				t.fail(err)
			}
		})
	}
	done := make(chan time.Duration)
	go func() {
		working.Wait()
		done <- time.Since(start)
	}()
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		select {
		case elapsed := <-done:
			return elapsed, l.verdict(ctx)
		case <-ticker.C:
			watch(l.answered.Load()-before, time.Since(start))
		}
	}
}

// verdict says whether all requests were answered, and answered well.
func (l *load) verdict(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var failed, sent int
	var first error
	for _, t := range l.tills {
		failed += t.failed
		sent += len(t.latencies)
		if first == nil {
			first = t.failure
		}
	}
	if failed == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d requests failed, the first with: %w", failed, max(sent, failed), first)
}

// latenciesOf joins what tills have noted.
func latenciesOf(tills []*till) []time.Duration {
	var all []time.Duration
	for _, t := range tills {
		all = append(all, t.latencies...)
	}
	return all
}

// usage is what server and load generator have used so far.
func (l *load) usage() (u usages, err error) {
	if u.server, err = usageOf(l.server.pid()); err != nil {
		return u, err
	}
	u.client, err = usageOf(os.Getpid())
	return u, err
}

// cardID names a card. All names have the same length.
func cardID(number int) string { return fmt.Sprintf("card-%07d", number) }
