package posting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// witness observes a write path.
type witness struct {
	mu       sync.Mutex
	next     int
	answers  map[int]error // operation → what its caller is told
	took     map[int]int   // operation → the commit that took it
	commits  int
	finished map[int]bool
	outcomes map[Outcome]int
	wrong    []string
}

func newWitness() *witness {
	return &witness{answers: map[int]error{}, took: map[int]int{}, finished: map[int]bool{}, outcomes: map[Outcome]int{}}
}

// operationKey and commitKey number what contexts stand for.
type (
	operationKey struct{}
	commitKey    struct{}
)

func (w *witness) observer() Observer {
	locked := func(work func()) {
		w.mu.Lock()
		defer w.mu.Unlock()
		work()
	}
	return Observer{
		Submitted: func(ctx context.Context, account string) (watched context.Context) {
			locked(func() {
				if account == "" {
					w.wrong = append(w.wrong, "an operation without an account")
				}
				w.next++
				watched = context.WithValue(ctx, operationKey{}, w.next)
			})
			return watched
		},
		Taken: func(operations []Waited) (ctx context.Context) {
			locked(func() {
				w.commits++
				for _, o := range operations {
					w.took[o.Context.Value(operationKey{}).(int)] = w.commits
					if o.Queued < 0 {
						w.wrong = append(w.wrong, fmt.Sprint("waited ", o.Queued))
					}
				}
				ctx = context.WithValue(context.Background(), commitKey{}, w.commits)
			})
			ctx, cancel := context.WithCancel(ctx)
			cancel() // ends nothing
			return ctx
		},
		Attempted: func(ctx context.Context, a Attempt) {
			locked(func() {
				w.outcomes[a.Outcome]++
				if _, known := ctx.Value(commitKey{}).(int); !known || a.Took < 0 {
					w.wrong = append(w.wrong, fmt.Sprintf("an attempt of no commit: %+v", a))
				}
			})
		},
		Answered: func(ctx context.Context, err error) {
			locked(func() {
				operation := ctx.Value(operationKey{}).(int)
				if _, twice := w.answers[operation]; twice {
					w.wrong = append(w.wrong, fmt.Sprint(operation, " was answered twice"))
				}
				w.answers[operation] = err
			})
		},
		Finished: func(ctx context.Context) { locked(func() { w.finished[ctx.Value(commitKey{}).(int)] = true }) },
	}
}

// check compares what was observed with what callers were told.
func (w *witness) check(t *testing.T, told []error, commits int, outcomes map[Outcome]int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, wrong := range w.wrong {
		t.Error(wrong)
	}
	if len(w.answers) != len(told) || w.commits != commits || len(w.finished) != commits {
		t.Errorf("%d answers, %d commits of which %d finished, want %d answers and %d commits",
			len(w.answers), w.commits, len(w.finished), len(told), commits)
	}
	observed, expected := map[string]int{}, map[string]int{}
	for _, err := range w.answers {
		observed[fmt.Sprint(err)]++
	}
	for _, err := range told {
		expected[fmt.Sprint(err)]++
	}
	if !maps.Equal(observed, expected) {
		t.Errorf("answers observed: %v, told: %v", observed, expected)
	}
	if !maps.Equal(w.outcomes, outcomes) {
		t.Errorf("outcomes %v, want %v", w.outcomes, outcomes)
	}
}

// What becomes of an operation is observed once, whatever becomes of it, and a context
// that has ended ends no commit.
func TestOperationsAreObserved(t *testing.T) {
	t.Parallel()
	each(t, Options{}, func(t *testing.T, b *bench) {
		w := newWitness()
		b.Poster = newPoster(t, b.store, Options{Observer: w.observer(), MaxQueue: 2})
		var told []error
		submit := func(op ledger.Operation) {
			_, err := b.Submit(t.Context(), repotest.Account, op)
			told = append(told, err)
		}
		submit(creation(t, "card", 1))
		submit(transact(t, ledger.ActionFund, "card", "fund", 1))
		submit(transact(t, ledger.ActionDrawdown, "card", "too much", 100))
		submit(&ledger.RotatePIN{CardID: "card", ID: repotest.ID(t), PINFor: func(uuid.UUID) ledger.PIN { panic("in the maker") }})

		g, held := b.hold(t, repotest.Account)
		told = append(told, nil) // the gate's card
		first := b.begin(t.Context(), repotest.Account, transact(t, ledger.ActionFund, "card", "first", 1))
		second := b.begin(t.Context(), repotest.Account, transact(t, ledger.ActionFund, "card", "second", 1))
		b.queued(t, 2)
		if b.Waiting() != 2 || b.Limit() != 2 {
			t.Errorf("%d of %d wait, want 2 of 2", b.Waiting(), b.Limit())
		}
		submit(transact(t, ledger.ActionFund, "card", "refused", 1))
		g.release()
		for _, p := range []*pending{held, first, second} {
			_, err := p.wait(t)
			told = append(told, err)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !errors.Is(told[3], ErrInternal) || !errors.Is(told[5], ErrOverloaded) {
			t.Fatalf("callers were told %v", told)
		}
		// The batch of the panic goes on without its only operation.
		w.check(t, told, 7, map[Outcome]int{OutcomeCommitted: 7, OutcomePanicked: 1})
		if w.took[6] == 0 || w.took[7] != w.took[8] {
			t.Errorf("the commits were of %v", w.took)
		}
	})
}

// Attempts are observed with what became of them.
func TestAttemptsAreObserved(t *testing.T) {
	t.Parallel()
	w := newWitness()
	attempts := []error{repository.ErrConflict, fmt.Errorf("commit: %w", repository.ErrUnavailable), errors.New("broken"), nil, nil}
	p := &Poster{o: Options{Observer: w.observer(), Log: slog.New(slog.DiscardHandler)}, try: func(context.Context, []group) error {
		err := attempts[0]
		attempts = attempts[1:]
		return err
	}}
	var requests []*request
	for range 2 {
		ctx := p.o.Observer.submitted(t.Context(), repotest.Account)
		requests = append(requests, &request{ctx: ctx, account: repotest.Account, done: make(chan struct{})})
	}
	batch := []group{{account: repotest.Account, requests: requests}}
	ctx := p.o.Observer.taken(batch)
	p.commit(ctx, batch)
	p.o.Observer.finished(ctx)
	w.check(t, []error{nil, nil}, 1, map[Outcome]int{
		OutcomeConflict: 1, OutcomeUnavailable: 1, OutcomeFailed: 1, OutcomeCommitted: 2, // one by one
	})
	for outcome := range w.outcomes {
		found := false
		for _, known := range Outcomes() {
			found = found || known == outcome
		}
		if !found {
			t.Errorf("%s is not in the list", outcome)
		}
	}
}

// The line that says why an operation failed names its request.
func TestCausesNameTheirRequest(t *testing.T) {
	t.Parallel()
	each(t, Options{}, func(t *testing.T, b *bench) {
		var log logged
		type callerKey struct{}
		b.Poster = newPoster(t, b.store, Options{Log: log.logger(), Caller: func(ctx context.Context) slog.Attr {
			return slog.Any("request_id", ctx.Value(callerKey{}))
		}})
		b.must(t, creation(t, "broken", 1))
		b.raw.MustExec(t, "UPDATE cards SET digest = 'no digest'")
		ctx := context.WithValue(t.Context(), callerKey{}, "the-request")
		if _, err := b.Submit(ctx, repotest.Account, transact(t, ledger.ActionFund, "broken", "ref", 1)); !errors.Is(err, ErrInternal) {
			t.Errorf("on the broken card: %v", err)
		}
		log.expect(t, `msg="an operation failed"`, "request_id=the-request")
		op := &ledger.RotatePIN{CardID: "broken", ID: repotest.ID(t)}
		b.raw.MustExec(t, "DELETE FROM cards")
		b.raw.MustExec(t, "DELETE FROM transactions")
		b.must(t, creation(t, "broken", 1))
		if _, err := b.Submit(ctx, repotest.Account, op); !errors.Is(err, ErrInternal) {
			t.Errorf("an operation that panics: %v", err)
		}
		log.expect(t, `msg="an operation panicked"`, "request_id=the-request")
	})
}
