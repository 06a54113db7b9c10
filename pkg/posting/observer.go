package posting

import (
	"context"
	"time"
)

// Observer is told what the write path does, by callers and committers while they
// work: its functions must be quick, and safe for concurrent use. One that is nil is
// not called. It decides nothing, and whatever it returns changes no outcome.
type Observer struct {
	// Submitted is called for each operation that is about to be queued. The context
	// that it returns stands for the operation from then on.
	Submitted func(ctx context.Context, account string) context.Context
	// Taken is called when a committer takes operations out of the queue, in order to
	// commit them together. The context that it returns stands for that commit.
	Taken func(operations []Waited) context.Context
	// Attempted is called after each attempt to commit a batch, or a part of it.
	Attempted func(ctx context.Context, a Attempt)
	// Answered is called for each operation before its caller hears of it. The error is
	// that of [Poster.Submit].
	Answered func(ctx context.Context, err error)
	// Finished is called when all operations of a commit are answered.
	Finished func(ctx context.Context)
}

// Waited is an operation that has left the queue.
type Waited struct {
	// Context stands for the operation.
	Context context.Context
	// Queued is how long it waited.
	Queued time.Duration
}

// Attempt is one transaction on the database.
type Attempt struct {
	Outcome    Outcome
	Operations int
	// Took is the time from its begin to the end of its commit.
	Took time.Duration
}

// Outcome says how an attempt ended.
type Outcome string

// The outcomes. After all but the first nothing was written, or it is not known.
const (
	OutcomeCommitted   Outcome = "committed"
	OutcomeConflict    Outcome = "conflict"    // another server came first
	OutcomeUnavailable Outcome = "unavailable" // the database cannot be used
	OutcomePanicked    Outcome = "panicked"    // an operation did
	OutcomeFailed      Outcome = "failed"      // for another reason
)

// Outcomes lists all of them.
func Outcomes() []Outcome {
	return []Outcome{OutcomeCommitted, OutcomeConflict, OutcomeUnavailable, OutcomePanicked, OutcomeFailed}
}

func (o Observer) submitted(ctx context.Context, account string) context.Context {
	if o.Submitted == nil {
		return ctx
	}
	return o.Submitted(ctx, account)
}

// taken returns a context that no caller can end: it may hold what belongs to one of
// them, but a commit is nobody's.
func (o Observer) taken(batch []group) context.Context {
	if o.Taken == nil {
		return context.Background()
	}
	now := time.Now()
	operations := make([]Waited, 0, size(batch))
	for _, g := range batch {
		for _, r := range g.requests {
			operations = append(operations, Waited{Context: r.ctx, Queued: now.Sub(r.queued)})
		}
	}
	return context.WithoutCancel(o.Taken(operations))
}

func (o Observer) attempted(ctx context.Context, a Attempt) {
	if o.Attempted != nil {
		o.Attempted(ctx, a)
	}
}

func (o Observer) answered(ctx context.Context, err error) {
	if o.Answered != nil {
		o.Answered(ctx, err)
	}
}

func (o Observer) finished(ctx context.Context) {
	if o.Finished != nil {
		o.Finished(ctx)
	}
}
