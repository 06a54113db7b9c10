package posting

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

const (
	// maxConflicts is how often a batch is decided anew because another server
	// came first.
	maxConflicts = 12
	// maxOutages is how often a batch is tried again while the database is
	// unavailable: more often than a pool has connections, since each of them may
	// have been cut off and fail once.
	maxOutages = 12
	// maxOutageTime is after how long no further try begins: callers do better to
	// hear that the database is unavailable than to wait.
	maxOutageTime = 10 * time.Second
	// backoff is the longest pause after the first failure; it doubles with each.
	backoff = 10 * time.Millisecond
	// maxBackoff bounds a pause.
	maxBackoff = 500 * time.Millisecond
	// attemptTimeout bounds one attempt where a network can swallow an answer. It is
	// longer than the time limit of any statement, so that hardly anything but a dead
	// connection meets it; the outcome is unknown then, and whoever asks again finds out.
	attemptTimeout = 45 * time.Second
)

// group is the part of a batch that belongs to one account.
type group struct {
	account  string
	requests []*request
}

// commit commits a batch and answers its callers. A failure that is nobody's
// refusal and does not pass is isolated by committing each operation alone.
func (p *Poster) commit(ctx context.Context, batch []group) {
	err := p.commitWithRetries(ctx, &batch)
	switch {
	case err == nil:
		p.answer(batch, nil)
	case errors.Is(err, repository.ErrUnavailable):
		p.o.Log.ErrorContext(ctx, "the database is unavailable", "error", err)
		p.answer(batch, err)
	case errors.Is(err, repository.ErrConflict) && size(batch) == 1:
		p.o.Log.WarnContext(ctx, "other servers came first too often", "error", err)
		p.answer(batch, ErrContended)
	case size(batch) > 1:
		p.o.Log.WarnContext(ctx, "a batch failed, its operations are tried one by one", "error", err, "operations", size(batch))
		for _, g := range batch {
			for _, r := range g.requests {
				p.commit(ctx, []group{{account: g.account, requests: []*request{r}}})
			}
		}
	case size(batch) == 1:
		p.logFailed(batch, err)
		p.answer(batch, ErrInternal)
	}
}

// logFailed writes down why an operation failed, as a line of the request that it came
// with.
func (p *Poster) logFailed(batch []group, err error) {
	for _, g := range batch { // one of them has the operation; others may be empty
		for _, r := range g.requests {
			p.o.Log.ErrorContext(r.ctx, "an operation failed", "error", err, "account", g.account, p.o.caller(r.ctx))
		}
	}
}

// logPanicked is logFailed for an operation that panicked.
func (p *Poster) logPanicked(panicked *panicError) {
	ctx := panicked.request.ctx
	p.o.Log.ErrorContext(ctx, "an operation panicked", "panic", panicked.value, "stack", string(panicked.stack), p.o.caller(ctx))
}

// commitWithRetries tries a batch until it is committed or the attempts are used
// up. Operations that panic are answered and leave the batch.
func (p *Poster) commitWithRetries(ctx context.Context, batch *[]group) error {
	conflicts, outages, start := 0, 0, time.Now()
	for {
		began := time.Now()
		err := p.try(ctx, *batch)
		p.o.Observer.attempted(ctx, Attempt{Outcome: outcomeOf(err), Operations: size(*batch), Took: time.Since(began)})
		var panicked *panicError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &panicked):
			if panicked.request == nil {
				p.o.Log.ErrorContext(ctx, "an operation panicked", "panic", panicked.value, "stack", string(panicked.stack))
				return err
			}
			p.logPanicked(panicked)
			*batch = without(*batch, panicked.request)
			p.answerOne(panicked.request, ErrInternal)
			continue
		case errors.Is(err, repository.ErrConflict) && conflicts < maxConflicts:
			conflicts++
			if errors.Is(err, repository.ErrStale) { // and nothing is remembered now
				continue
			}
		case errors.Is(err, repository.ErrUnavailable) && outages < maxOutages && time.Since(start) < maxOutageTime:
			outages++
		default:
			return err
		}
		pause(conflicts + outages)
	}
}

// outcomeOf says how an attempt with this error ended.
func outcomeOf(err error) Outcome {
	var panicked *panicError
	switch {
	case err == nil:
		return OutcomeCommitted
	case errors.As(err, &panicked):
		return OutcomePanicked
	case errors.Is(err, repository.ErrConflict):
		return OutcomeConflict
	case errors.Is(err, repository.ErrUnavailable):
		return OutcomeUnavailable
	}
	return OutcomeFailed
}

// attempt loads, decides and writes a batch in one transaction. Callers are not
// answered yet: until the commit returned, nothing has happened.
//
// The context is that of the commit: no caller who leaves can cut a commit in two.
func (p *Poster) attempt(ctx context.Context, batch []group) (err error) {
	if size(batch) == 0 {
		return nil
	}
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value: value, stack: debug.Stack()}
		}
	}()
	if p.store.Postgres() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, attemptTimeout)
		defer cancel()
	}
	hooked := false
	err = p.store.Write(ctx, func(tx *repository.Tx) error {
		for _, g := range batch {
			if err := p.post(ctx, tx, g); err != nil {
				return fmt.Errorf("account %s: %w", g.account, err)
			}
		}
		hooked = tx.Hooked()
		return nil
	})
	if hooked && p.o.Hooked != nil { // whether the commit is known to have succeeded or not
		p.o.Hooked()
	}
	return err
}

func (p *Poster) post(ctx context.Context, tx *repository.Tx, g group) error {
	ops := make([]ledger.Operation, len(g.requests))
	for i, r := range g.requests {
		ops[i] = r.op
	}
	now := p.o.Clock(g.account)
	if saved, err := p.postRecalled(tx, g, ops, now); saved || err != nil {
		return err
	}
	book := ledger.NewBook(g.account, now)
	if err := tx.Load(ctx, g.account, book, ops); err != nil {
		return err
	}
	for _, r := range g.requests {
		if err := r.post(book); err != nil {
			return err
		}
	}
	return tx.SaveAtCommit(g.account, book.Changes())
}

// postRecalled posts operations on cards that are remembered, for the commit to find out
// whether they are still so. It reports false where that cannot be, or an operation is
// refused: a ref_id that was used before would have come first.
func (p *Poster) postRecalled(tx *repository.Tx, g group, ops []ledger.Operation, now ledger.Micros) (bool, error) {
	book := ledger.NewBook(g.account, now)
	if !tx.Recall(g.account, now, book, ops) {
		return false, nil
	}
	for _, r := range g.requests {
		if err := r.post(book); err != nil || r.err != nil {
			return false, err
		}
	}
	return tx.SaveRecalled(g.account, book.Changes())
}

// panicError reports an operation that panicked. What it did to the book is
// unknown, so the book is thrown away with the transaction.
type panicError struct {
	request *request // nil when it is not known whose operation it was
	value   any
	stack   []byte
}

// Error implements error.
func (e *panicError) Error() string { return "an operation panicked" }

// post decides a request. A refusal is a result like any other; a corrupt history
// is the request's own failure too, since the book is as it was.
func (r *request) post(book *ledger.Book) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{request: r, value: value, stack: debug.Stack()}
		}
	}()
	r.result, r.err = book.Post(r.op)
	return nil
}

func (r *request) answer(err error) {
	if err != nil {
		r.result, r.err = ledger.Result{}, err
	}
	close(r.done)
}

func (p *Poster) answer(batch []group, err error) {
	for _, g := range batch {
		for _, r := range g.requests {
			p.answerOne(r, err)
		}
	}
}

// answerOne answers a caller: with the error, or with what the ledger made of the
// operation.
func (p *Poster) answerOne(r *request, err error) {
	said := err
	if said == nil {
		said = r.err
	}
	p.o.Observer.answered(r.ctx, said)
	r.answer(err)
}

func size(batch []group) int {
	n := 0
	for _, g := range batch {
		n += len(g.requests)
	}
	return n
}

func without(batch []group, bad *request) []group {
	var rest []group
	for _, g := range batch {
		kept := group{account: g.account}
		for _, r := range g.requests {
			if r != bad {
				kept.requests = append(kept.requests, r)
			}
		}
		rest = append(rest, kept)
	}
	return rest
}

// pause waits longer after each failure, and never as long as another server that
// failed at the same moment.
func pause(failures int) {
	longest := min(backoff<<(failures-1), maxBackoff)
	<-time.After(rand.N(longest)) //nolint:gosec // a pause needs no secret
}
