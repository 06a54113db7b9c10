// Package posting is the write path: it queues operations, commits them in
// batches, and answers each caller after its commit.
//
// Purpose: group commit. A committer takes whatever queued up while the last
// commit ran, so that a busy server shares one commit among many operations and
// an idle one answers at once. There is no timer.
//
// Non-goals: rules (ledger) and SQL (repository).
//
// The surprising decision: an account is worked on by one committer at a time. A
// batch belongs to one account, so one tenant's trouble stays with that tenant.
// SQLite, where commits are what costs, lets the batches of several accounts share
// one commit.
package posting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// Defaults of Options.
const (
	// DefaultMaxBatch bounds the operations of one commit.
	DefaultMaxBatch = 256
	// DefaultMaxQueue bounds the operations that wait: a few commits' worth, since
	// whoever waits longer does better to hear that the server is busy.
	DefaultMaxQueue = 1024
	// DefaultCommitters is how many batches PostgreSQL works on at once. They are of
	// different accounts, and an account has one, however many there are. With a thousand
	// accounts 16 got 8 and 36 % more done than 4, in two pairs of runs.
	DefaultCommitters = 16
)

// ErrOverloaded answers an operation that was not accepted: the queue is full, or
// the server is shutting down. Nothing has happened; try again later.
var ErrOverloaded = errors.New("too many operations are waiting")

// ErrInternal answers an operation whose posting failed for no reason that a
// client could mend. The cause is logged.
var ErrInternal = errors.New("posting failed")

// ErrContended is the [ErrOverloaded] of an operation for which other servers came
// first too often.
var ErrContended = fmt.Errorf("%w: other servers came first too often", ErrOverloaded)

// Options tune a Poster. Zero values mean the defaults.
type Options struct {
	// Clock tells the moment at which an account's batch is decided; by default the
	// real one.
	Clock func(account string) ledger.Micros
	// Log receives the causes of internal errors.
	Log *slog.Logger
	// Caller names, in the log, the request that an operation came with, by the context
	// that it was submitted with. Nil is for none.
	Caller func(context.Context) slog.Attr
	// Hooked, when set, is called after a commit that wrote deliveries of events. It must
	// not wait.
	Hooked func()
	// Observer is told what happens.
	Observer                       Observer
	MaxBatch, MaxQueue, Committers int
}

// caller is for a line of the log; an empty attribute leaves no trace there.
func (o Options) caller(ctx context.Context) slog.Attr {
	if o.Caller == nil {
		return slog.Attr{}
	}
	return o.Caller(ctx)
}

// Poster accepts operations and commits them. It is safe for concurrent use.
type Poster struct {
	store *repository.Store
	o     Options
	// try is attempt, but for tests of what follows on failures that no database can be
	// brought to.
	try func(context.Context, []group) error

	mu      sync.Mutex
	wake    *sync.Cond
	queues  map[string]*queue
	ready   []string // accounts with waiting operations that no committer works on
	waiting int
	closed  bool
	workers sync.WaitGroup
}

// queue holds the waiting operations of an account.
type queue struct {
	requests []*request
	busy     bool // a committer works on the account
}

// request is an operation on its way.
type request struct {
	// ctx is for the log and the observer. That it ends ends nothing here.
	ctx     context.Context
	queued  time.Time
	account string
	op      ledger.Operation
	result  ledger.Result
	err     error
	done    chan struct{}
}

// New starts a poster on a store. Stop it with [Poster.Close].
func New(store *repository.Store, o Options) *Poster {
	o.MaxBatch = positive(o.MaxBatch, DefaultMaxBatch)
	o.MaxQueue = positive(o.MaxQueue, DefaultMaxQueue)
	o.Committers = positive(o.Committers, DefaultCommitters)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Clock == nil {
		o.Clock = func(string) ledger.Micros { return ledger.MicrosOf(time.Now()) }
	}
	if !store.Postgres() {
		o.Committers = 1
	}
	p := &Poster{store: store, o: o, queues: map[string]*queue{}}
	p.wake, p.try = sync.NewCond(&p.mu), p.attempt
	for range o.Committers {
		p.workers.Go(p.run)
	}
	return p
}

func positive(n, fallback int) int {
	if n > 0 {
		return n
	}
	return fallback
}

// Submit posts an operation and waits for its commit. The error is a
// [*ledger.Refusal], [ErrOverloaded], [ErrInternal], or wraps
// [repository.ErrUnavailable]; or the context's, when the caller stopped waiting:
// then the operation goes on without it.
func (p *Poster) Submit(ctx context.Context, account string, op ledger.Operation) (ledger.Result, error) {
	r := &request{ctx: p.o.Observer.submitted(ctx, account), account: account, op: op, done: make(chan struct{})}
	if !p.enqueue(r) {
		p.answerOne(r, ErrOverloaded)
		return r.result, r.err
	}
	select {
	case <-r.done:
		return r.result, r.err
	case <-ctx.Done():
		return ledger.Result{}, ctx.Err()
	}
}

func (p *Poster) enqueue(r *request) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.full() {
		return false
	}
	q := p.queues[r.account]
	if q == nil {
		q = &queue{}
		p.queues[r.account] = q
	}
	r.queued = time.Now()
	q.requests = append(q.requests, r)
	p.waiting++
	if !q.busy && len(q.requests) == 1 {
		p.ready = append(p.ready, r.account)
		p.wake.Signal()
	}
	return true
}

// Waiting is how many operations wait in the queue now.
func (p *Poster) Waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting
}

// Limit is how many operations may wait.
func (p *Poster) Limit() int { return p.o.MaxQueue }

// Overloaded tells whether an operation would be turned away now. It costs next to
// nothing, so that it can be asked before there is an operation.
func (p *Poster) Overloaded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.full()
}

func (p *Poster) full() bool { return p.closed || p.waiting >= p.o.MaxQueue }

// Close stops accepting operations and waits until all accepted ones are
// answered, or until the context ends.
func (p *Poster) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.wake.Broadcast()
	p.mu.Unlock()

	drained := make(chan struct{})
	go func() {
		p.workers.Wait()
		close(drained)
	}()
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run is a committer.
func (p *Poster) run() {
	for {
		batch := p.take()
		if batch == nil {
			return
		}
		ctx := p.o.Observer.taken(batch)
		p.commit(ctx, batch)
		p.o.Observer.finished(ctx)
		p.release(batch)
	}
}

// take waits for work and marks its accounts busy. It returns nil when the poster
// is closed and nothing waits.
func (p *Poster) take() []group {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.ready) == 0 {
		if p.closed {
			return nil
		}
		p.wake.Wait()
	}
	var batch []group
	for room := p.o.MaxBatch; len(p.ready) > 0 && room > 0; {
		account := p.ready[0]
		p.ready = p.ready[1:]
		q := p.queues[account]
		n := min(room, len(q.requests))
		batch = append(batch, group{account: account, requests: q.requests[:n:n]})
		q.requests, q.busy = q.requests[n:], true
		p.waiting -= n
		room -= n
		if p.store.Postgres() {
			break
		}
	}
	return batch
}

// release makes the accounts of a batch available again. It wakes nobody: the committer
// that releases is the next to take.
func (p *Poster) release(batch []group) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range batch {
		q := p.queues[g.account]
		q.busy = false
		if len(q.requests) == 0 {
			delete(p.queues, g.account)
			continue
		}
		p.ready = append(p.ready, g.account)
	}
}
