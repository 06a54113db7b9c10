package posting

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

// newPoster starts a poster that is closed with the test. Its clock stands still
// unless another one is given, and its log goes to the test.
func newPoster(t testing.TB, store *repository.Store, o Options) *Poster {
	t.Helper()
	if o.Clock == nil {
		o.Clock = func(string) ledger.Micros { return repotest.Now }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	p := New(store, o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Errorf("close the poster: %v", err)
		}
	})
	return p
}

// unwatched opens a migrated store whose statements nobody looks at: watching them
// costs a third of a long run.
func unwatched(t testing.TB, o repository.Options) *repository.Store {
	t.Helper()
	s, err := repository.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the database: %v", err)
		}
	})
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// bench is a store with a poster, and a raw look at the database.
type bench struct {
	*Poster
	store *repository.Store
	raw   *repotest.Raw
	d     repotest.Database
}

// each runs a test on a fresh bench per engine.
func each(t *testing.T, o Options, test func(t *testing.T, b *bench)) {
	t.Helper()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		t.Helper()
		test(t, newBench(t, d, o))
	})
}

func newBench(t *testing.T, d repotest.Database, o Options) *bench {
	t.Helper()
	return &bench{Poster: newPoster(t, d.Store, o), store: d.Store, raw: d.Raw(t), d: d}
}

// must submits an operation that has to succeed.
func (b *bench) must(t *testing.T, op ledger.Operation) ledger.Result {
	t.Helper()
	result, err := b.Submit(t.Context(), repotest.Account, op)
	if err != nil {
		t.Fatalf("%T: %v", op, err)
	}
	return result
}

// pending is an operation on its way.
type pending struct {
	result ledger.Result
	err    error
	done   chan struct{}
}

// begin submits an operation without waiting for it.
func (b *bench) begin(ctx context.Context, account string, op ledger.Operation) *pending {
	p := &pending{done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.result, p.err = b.Submit(ctx, account, op)
	}()
	return p
}

// wait returns what an operation came to.
func (p *pending) wait(t *testing.T) (ledger.Result, error) {
	t.Helper()
	select {
	case <-p.done:
		return p.result, p.err
	case <-time.After(patience):
		t.Fatal("an operation was never answered")
		return ledger.Result{}, nil
	}
}

// queued waits until n operations are waiting.
func (b *bench) queued(t *testing.T, n int) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		b.mu.Lock()
		waiting := b.waiting
		b.mu.Unlock()
		if waiting == n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d operations are waiting, want %d", waiting, n)
		}
	}
}

// gate is an operation that keeps its batch from going on.
type gate struct {
	op      ledger.Operation
	entered chan struct{}
	release func()
}

// newGate makes a gate of the rotation of a card's PIN. The gate opens at the
// latest at the end of the test.
func newGate(t *testing.T, cardID string) *gate {
	t.Helper()
	entered, open := make(chan struct{}), make(chan struct{})
	enter, release := sync.OnceFunc(func() { close(entered) }), sync.OnceFunc(func() { close(open) })
	t.Cleanup(release)
	return &gate{entered: entered, release: release, op: &ledger.RotatePIN{
		CardID: cardID, ID: repotest.ID(t),
		PINFor: func(uuid.UUID) ledger.PIN {
			enter()
			<-open
			return ledger.PIN{Hash: "hash", KeyID: "key"}
		},
	}}
}

// hold makes a card and closes a gate on it: from now on operations queue up.
func (b *bench) hold(t *testing.T, account string) (*gate, *pending) {
	t.Helper()
	if _, err := b.Submit(t.Context(), account, creation(t, "gate", 0)); err != nil {
		t.Fatal(err)
	}
	g := newGate(t, "gate")
	p := b.begin(context.Background(), account, g.op)
	select {
	case <-g.entered:
	case <-time.After(patience):
		t.Fatal("the gate was never entered")
	}
	return g, p
}

func creation(t *testing.T, cardID string, amount int64) *ledger.CreateCards {
	t.Helper()
	card := repotest.Card(t, cardID)
	card.Amount = amount
	return &ledger.CreateCards{Cards: []ledger.NewCard{{Card: card, OpeningID: repotest.ID(t)}}}
}

func transact(t *testing.T, action ledger.Action, cardID, ref string, amount int64) *ledger.Transact {
	t.Helper()
	return &ledger.Transact{
		ID: repotest.ID(t), Action: action, CardID: cardID, RefID: ref, Amount: amount, AmountGiven: true,
		Currency: ledger.NOK, By: "clerk",
	}
}

// refusedWith tells whether an error is a refusal with a code.
func refusedWith(err error, code ledger.Code) bool {
	var refusal *ledger.Refusal
	return errors.As(err, &refusal) && refusal.Code == code
}
