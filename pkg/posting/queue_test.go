package posting

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// What queues up while a commit runs shares the next one, up to the bound.
func TestBatchesForm(t *testing.T) {
	t.Parallel()
	for maxBatch, want := range map[int]int64{0: 1, 100: 1, 40: 3, 1: 100} {
		t.Run(fmt.Sprint(maxBatch), func(t *testing.T) {
			t.Parallel()
			repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
				var batches atomic.Int64 // the clock is asked once for each
				b := newBench(t, d, Options{MaxBatch: maxBatch, Clock: func(string) ledger.Micros {
					batches.Add(1)
					return repotest.Now
				}})
				g, held := b.hold(t, repotest.Account)
				var all []*pending
				for n := range 100 {
					all = append(all, b.begin(t.Context(), repotest.Account, transact(t, ledger.ActionFund, "gate", fmt.Sprint(n), 1)))
				}
				b.queued(t, 100)
				g.release()
				if _, err := held.wait(t); err != nil {
					t.Fatal(err)
				}
				for _, p := range all {
					if _, err := p.wait(t); err != nil {
						t.Fatal(err)
					}
				}
				card, err := b.store.Card(t.Context(), repotest.Account, "gate")
				if err != nil || card.Funds != 100 || card.Seq != 100 {
					t.Errorf("the card is %+v, %v", card.Balance, err)
				}
				const before = 2 // the creation and the gate
				if got := batches.Load(); got != want+before {
					t.Errorf("%d batches, want %d", got, want+before)
				}
			})
		})
	}
}

// An idle server does not wait for company.
func TestNoTimer(t *testing.T) {
	t.Parallel()
	b := newBench(t, repotest.Migrated(t, repotest.SQLite(t)), Options{})
	b.must(t, creation(t, "card", 0))
	fastest := time.Hour
	for n := range 200 {
		op := transact(t, ledger.ActionFund, "card", fmt.Sprint(n), 1)
		begin := time.Now()
		b.must(t, op)
		fastest = min(fastest, time.Since(begin))
	}
	limit := 3 * time.Millisecond
	if repotest.RaceDetector {
		limit *= 10
	}
	if fastest > limit {
		t.Errorf("the fastest of 200 operations took %s", fastest)
	}
}

func TestFullQueue(t *testing.T) {
	t.Parallel()
	const room = 10
	each(t, Options{MaxQueue: room}, func(t *testing.T, b *bench) {
		g, _ := b.hold(t, repotest.Account)
		var accepted []*pending
		for n := range room {
			accepted = append(accepted, b.begin(t.Context(), repotest.Account, transact(t, ledger.ActionFund, "gate", fmt.Sprint(n), 1)))
		}
		b.queued(t, room)
		if !b.Overloaded() {
			t.Error("a full queue does not say so")
		}
		for _, account := range []string{repotest.Account, repotest.OtherAccount} {
			op := transact(t, ledger.ActionFund, "gate", "too many", 1)
			if _, err := b.begin(t.Context(), account, op).wait(t); !errors.Is(err, ErrOverloaded) {
				t.Errorf("one more than there is room: %v, want ErrOverloaded", err)
			}
		}
		g.release()
		for _, p := range accepted {
			if _, err := p.wait(t); err != nil {
				t.Error(err)
			}
		}
		b.must(t, transact(t, ledger.ActionFund, "gate", "room again", 1))
		if b.Overloaded() {
			t.Error("an empty queue says that it is full")
		}
		if n := b.raw.Number(t, "SELECT count(*) FROM transactions"); n != room+1 {
			t.Errorf("%d transactions, want %d", n, room+1)
		}
	})
}

// A refusal is an answer to one caller. Its neighbours in the batch are posted as if
// it had not been there.
func TestRefusalsHurtNobody(t *testing.T) {
	t.Parallel()
	each(t, Options{}, func(t *testing.T, b *bench) {
		b.must(t, creation(t, "card", 10))
		g, held := b.hold(t, repotest.Account)
		var good, bad []*pending
		for n := range 20 {
			good = append(good, b.begin(t.Context(), repotest.Account, transact(t, ledger.ActionFund, "card", fmt.Sprint(n), 1)))
			bad = append(bad,
				b.begin(t.Context(), repotest.Account, transact(t, ledger.ActionDrawdown, "card", fmt.Sprint("much", n), 1000)),
				b.begin(t.Context(), repotest.Account, transact(t, ledger.ActionDrawdown, "nobody's", fmt.Sprint("ref", n), 1)),
				b.begin(t.Context(), repotest.Account, creation(t, "card", 5)))
		}
		b.queued(t, 80)
		g.release()
		_, _ = held.wait(t)
		for _, p := range good {
			if _, err := p.wait(t); err != nil {
				t.Errorf("a good operation: %v", err)
			}
		}
		for i, p := range bad {
			code := []ledger.Code{ledger.CodeInsufficientFunds, ledger.CodeNotFound, ledger.CodeCardExists}[i%3]
			if _, err := p.wait(t); !refusedWith(err, code) {
				t.Errorf("a bad operation: %v, want %s", err, code)
			}
		}
		card, err := b.store.Card(t.Context(), repotest.Account, "card")
		if err != nil || card.Funds != 30 || card.Drawdown != 0 || card.Seq != 21 {
			t.Errorf("the card is %+v, %v", card, err)
		}
	})
}

// One caller's operations are posted in the order in which they were accepted.
func TestOrderOfAcceptance(t *testing.T) {
	t.Parallel()
	each(t, Options{MaxBatch: 3}, func(t *testing.T, b *bench) {
		b.must(t, creation(t, "card", 0))
		g, held := b.hold(t, repotest.Account)
		var all []*pending
		for n := range 10 {
			all = append(all, b.begin(t.Context(), repotest.Account, transact(t, ledger.ActionFund, "card", fmt.Sprint(n), 1)))
			b.queued(t, n+1)
		}
		g.release()
		_, _ = held.wait(t)
		for n, p := range all {
			if result, err := p.wait(t); err != nil || result.Txn.Seq != int64(n+1) {
				t.Errorf("operation %d has seq %d, %v", n, result.Txn.Seq, err)
			}
		}
	})
}

// Who stops waiting is told so at once; the operation goes on without them.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	each(t, Options{}, func(t *testing.T, b *bench) {
		b.must(t, creation(t, "card", 0))
		g, held := b.hold(t, repotest.Account)
		ctx, leave := context.WithCancel(t.Context())
		left := b.begin(ctx, repotest.Account, transact(t, ledger.ActionFund, "card", "left", 7))
		b.queued(t, 1)
		leave()
		if _, err := left.wait(t); !errors.Is(err, context.Canceled) {
			t.Errorf("who left: %v, want context.Canceled", err)
		}
		g.release()
		_, _ = held.wait(t)
		again := b.must(t, transact(t, ledger.ActionFund, "card", "left", 7))
		if !again.Replayed || again.Cards[0].Funds != 7 {
			t.Errorf("the operation did not go on: %+v", again)
		}
	})
}

func TestCloseDrains(t *testing.T) {
	t.Parallel()
	each(t, Options{MaxBatch: 7}, func(t *testing.T, b *bench) {
		g, held := b.hold(t, repotest.Account)
		var accepted []*pending
		for n := range 50 {
			account := repotest.Account
			if n%5 == 4 {
				account = repotest.OtherAccount
			}
			accepted = append(accepted, b.begin(t.Context(), account, creation(t, fmt.Sprint("card", n), 1)))
		}
		if b.store.Postgres() { // the other account has a committer of its own
			b.queued(t, 40)
		} else {
			b.queued(t, 50)
		}
		impatient, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := b.Close(impatient); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("closing without patience: %v, want context.DeadlineExceeded", err)
		}
		if _, err := b.Submit(t.Context(), repotest.Account, creation(t, "late", 1)); !errors.Is(err, ErrOverloaded) {
			t.Errorf("after closing: %v, want ErrOverloaded", err)
		}
		g.release()
		if err := b.Close(t.Context()); err != nil {
			t.Errorf("closing with patience: %v", err)
		}
		if _, err := held.wait(t); err != nil {
			t.Error(err)
		}
		for _, p := range accepted {
			if _, err := p.wait(t); err != nil {
				t.Errorf("an accepted operation: %v", err)
			}
		}
		if n := b.raw.Number(t, "SELECT count(*) FROM cards"); n != 51 {
			t.Errorf("%d cards are stored, want 51", n)
		}
	})
}

func TestCloseIdle(t *testing.T) {
	t.Parallel()
	each(t, Options{}, func(t *testing.T, b *bench) {
		for range 2 {
			if err := b.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

// Without a clock of its own a poster goes by the real one.
func TestDefaultClockAndLog(t *testing.T) {
	t.Parallel()
	p := New(unwatched(t, repotest.SQLite(t)), Options{})
	begin := ledger.MicrosOf(time.Now())
	result, err := p.Submit(t.Context(), repotest.Account, creation(t, "card", 0))
	if err != nil {
		t.Fatal(err)
	}
	if at := result.Cards[0].CreatedAt; at < begin || at > ledger.MicrosOf(time.Now()) {
		t.Errorf("created at %s", at.Time())
	}
	// There is a log too, for the cause of this.
	if _, err := p.Submit(t.Context(), repotest.Account, &ledger.RotatePIN{CardID: "card", ID: repotest.ID(t)}); !errors.Is(err, ErrInternal) {
		t.Errorf("an operation that panics: %v, want ErrInternal", err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// On SQLite several accounts share a commit; each keeps to its own moment, and to
// its own rows.
func TestAccountsShareACommit(t *testing.T) {
	t.Parallel()
	clock := func(account string) ledger.Micros {
		if account == repotest.OtherAccount {
			return repotest.Now + 1
		}
		return repotest.Now
	}
	each(t, Options{Clock: clock, MaxBatch: 9}, func(t *testing.T, b *bench) {
		g, held := b.hold(t, "T00000009")
		var all []*pending
		for n := range 40 {
			account := []string{repotest.Account, repotest.OtherAccount}[n%2]
			all = append(all, b.begin(t.Context(), account, creation(t, fmt.Sprint("card", n/2), 1)))
		}
		if !b.store.Postgres() {
			b.queued(t, 40)
		}
		g.release()
		_, _ = held.wait(t)
		for n, p := range all {
			result, err := p.wait(t)
			if err != nil || result.Cards[0].CreatedAt != repotest.Now+ledger.Micros(n%2) {
				t.Errorf("card %d: %+v, %v", n, result.Cards, err)
			}
		}
		for _, account := range []string{repotest.Account, repotest.OtherAccount} {
			if n := b.raw.Number(t, "SELECT count(*) FROM cards WHERE account_id = ?", account); n != 20 {
				t.Errorf("%s has %d cards, want 20", account, n)
			}
		}
	})
}

// A queue that is empty leaves nothing behind: accounts come and go.
func TestQueuesAreForgotten(t *testing.T) {
	t.Parallel()
	each(t, Options{}, func(t *testing.T, b *bench) {
		for n := range 50 {
			if _, err := b.Submit(t.Context(), fmt.Sprintf("T%08d", n), creation(t, "card", 1)); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(b.queues) != 0 || len(b.ready) != 0 || b.waiting != 0 {
			t.Errorf("%d queues, %d ready, %d waiting", len(b.queues), len(b.ready), b.waiting)
		}
	})
}

// noPIN is for operations that need some PIN.
func noPIN(uuid.UUID) ledger.PIN { return ledger.PIN{Hash: "hash", KeyID: "key"} }
