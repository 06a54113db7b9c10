package posting

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/pgtest"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// statementLog notes the statements of a store.
type statementLog struct {
	mu    sync.Mutex
	texts []string
}

func (l *statementLog) note(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.texts = append(l.texts, text)
}

// locks takes what was noted, and counts the statements that lock cards.
func (l *statementLog) locks() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, text := range l.texts {
		if strings.Contains(text, "FOR UPDATE") {
			n++
		}
	}
	l.texts = nil
	return n
}

// recallingServers are two servers on one PostgreSQL; the statements of the first are
// noted.
func recallingServers(t *testing.T) (first, second *bench, log *statementLog) {
	t.Helper()
	log = &statementLog{}
	o := repotest.Postgres(t)
	second = newBench(t, repotest.Migrated(t, o), Options{})
	watched := o
	watched.Observe = log.note
	first = newBench(t, repotest.Database{Store: repotest.Open(t, watched), Options: o}, Options{})
	first.must(t, creation(t, "card", 1000))
	first.must(t, transact(t, ledger.ActionDrawdown, "card", "first", 1))
	log.locks()
	return first, second, log
}

// A card that the server's own commit was about is not read again before the next.
func TestRememberedCardsAreNotLoaded(t *testing.T) {
	t.Parallel()
	b, _, log := recallingServers(t)
	for n, ref := range []string{"a", "b", "c", "d"} {
		result := b.must(t, transact(t, ledger.ActionDrawdown, "card", ref, 1))
		if result.Txn.Seq != int64(n+3) || result.Cards[0].Drawdown != int64(n+2) {
			t.Errorf("%s: seq %d, drawdown %d", ref, result.Txn.Seq, result.Cards[0].Drawdown)
		}
	}
	if n := log.locks(); n != 0 {
		t.Errorf("cards were loaded %d times", n)
	}
	auditAccount(t, b.store, b.raw, repotest.Account)
}

// What the server remembers is never what it answers by, whoever changed the card since.
func TestWhatIsRememberedIsNotBelieved(t *testing.T) {
	t.Parallel()
	drawdown := func(t *testing.T, ref string, amount int64) *ledger.Transact {
		t.Helper()
		return transact(t, ledger.ActionDrawdown, "card", ref, amount)
	}
	type servers struct{ first, second *bench }
	for name, test := range map[string]struct {
		meanwhile func(*testing.T, servers)
		ref       string
		want      func(ledger.Result, error) bool
	}{
		"another server drew all": {
			func(t *testing.T, s servers) { s.second.must(t, drawdown(t, "all", 999)) },
			"next", func(_ ledger.Result, err error) bool { return refusedWith(err, ledger.CodeInsufficientFunds) },
		},
		"another server funded an empty card": {
			func(t *testing.T, s servers) {
				s.first.must(t, drawdown(t, "all", 999))
				s.second.must(t, transact(t, ledger.ActionFund, "card", "fund", 500))
			},
			"next", func(r ledger.Result, err error) bool { return err == nil && r.Txn.Seq == 5 && r.Cards[0].Funds == 1500 },
		},
		"another server drew some": {
			func(t *testing.T, s servers) { s.second.must(t, drawdown(t, "some", 10)) },
			"next", func(r ledger.Result, err error) bool {
				return err == nil && r.Txn.Seq == 4 && r.Cards[0].Drawdown == 111
			},
		},
		"another server had the request": {
			func(t *testing.T, s servers) { s.second.must(t, drawdown(t, "next", 100)) },
			"next", func(r ledger.Result, err error) bool {
				return err == nil && r.Replayed && r.Txn.Seq == 3 && r.Cards[0].Drawdown == 101
			},
		},
		"the answer before was lost": {
			func(*testing.T, servers) {},
			"first", func(r ledger.Result, err error) bool {
				return err == nil && r.Replayed && r.Txn.Seq == 2 && r.Cards[0].Drawdown == 1
			},
		},
		"an earlier answer was lost": {
			func(t *testing.T, s servers) { s.first.must(t, drawdown(t, "other", 1)) },
			"first", func(r ledger.Result, err error) bool {
				return err == nil && r.Replayed && r.Txn.Seq == 2 && r.Cards[0].Drawdown == 2
			},
		},
		"an earlier answer was lost, and the card is empty": {
			func(t *testing.T, s servers) { s.first.must(t, drawdown(t, "other", 999)) },
			"first", func(r ledger.Result, err error) bool { return err == nil && r.Replayed && r.Txn.Seq == 2 },
		},
		"somebody ended the card by hand": {
			func(t *testing.T, s servers) { s.first.raw.MustExec(t, "UPDATE cards SET expires_at = 1") },
			"next", func(_ ledger.Result, err error) bool { return refusedWith(err, ledger.CodeCardExpired) },
		},
		"another server deleted the card": {
			func(t *testing.T, s servers) { s.second.must(t, deletion(t)) },
			"next", func(_ ledger.Result, err error) bool { return refusedWith(err, ledger.CodeNotFound) },
		},
		"the server deleted the card": {
			func(t *testing.T, s servers) { s.first.must(t, deletion(t)) },
			"next", func(_ ledger.Result, err error) bool { return refusedWith(err, ledger.CodeNotFound) },
		},
		"another server deleted the card, and another has its name": {
			func(t *testing.T, s servers) {
				s.second.must(t, deletion(t))
				s.second.must(t, creation(t, "card", 100))
			},
			"next", func(r ledger.Result, err error) bool {
				return err == nil && r.Txn.Seq == 2 && r.Cards[0].Drawdown == 100
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second, _ := recallingServers(t)
			test.meanwhile(t, servers{first, second})
			op := drawdown(t, test.ref, 100)
			if test.ref == "first" {
				op.Amount = 1
			}
			if result, err := first.Submit(t.Context(), repotest.Account, op); !test.want(result, err) {
				t.Errorf("%+v, %v", result, err)
			}
			if name != "somebody ended the card by hand" {
				auditAccount(t, first.store, first.raw, repotest.Account)
			}
		})
	}
}

// Who subscribes at one server hears of what happens at all others from then on.
func TestSubscribersAreNotMissedByMemory(t *testing.T) {
	t.Parallel()
	first, second, log := recallingServers(t)
	subscription := &repository.HookSubscription{
		ID: repotest.ID(t), URL: "https://shop.example/hooks", Transactions: true, Active: true,
		Secret: "sealed", SecretKeyID: "key-1", CreatedAt: repotest.Now, CreatedBy: "tests",
	}
	if err := second.store.AddHook(t.Context(), repotest.Account, subscription, repotest.ID(t)); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"a", "b", "c"} {
		first.must(t, transact(t, ledger.ActionDrawdown, "card", ref, 1))
	}
	if n := first.raw.Number(t, "SELECT count(*) FROM hook_deliveries WHERE event = 'wallet_transaction'"); n != 3 {
		t.Errorf("%d of 3 transactions are told", n)
	}
	if n := log.locks(); n != 3 {
		t.Errorf("the card was loaded %d times, want each time: who hears of it is not remembered", n)
	}
}

// A lost race costs one attempt, and for a while the card is loaded each time: another
// server is at it as well.
func TestStaleCardsAreLoadedForAWhile(t *testing.T) {
	t.Parallel()
	first, second, log := recallingServers(t)
	second.must(t, transact(t, ledger.ActionDrawdown, "card", "between", 1))
	log.locks()
	const commits, loaded = 30, 16
	for n := range commits {
		first.must(t, transact(t, ledger.ActionDrawdown, "card", fmt.Sprint("next ", n), 1))
	}
	if n := log.locks(); n != loaded {
		t.Errorf("the card was loaded %d times in %d commits, want %d", n, commits, loaded)
	}
	auditAccount(t, first.store, first.raw, repotest.Account)
}

// Several cards at once are all remembered or all loaded.
func TestBatchesAreRemembered(t *testing.T) {
	t.Parallel()
	first, second, log := recallingServers(t)
	g, held := first.hold(t, repotest.Account)
	g.release()
	if _, err := held.wait(t); err != nil {
		t.Fatal(err)
	}
	cards := []string{"a", "b", "c", "d", "e"}
	for _, card := range cards {
		first.must(t, creation(t, card, 100))
	}
	// The gate's own batch loads its card.
	round := func(ref string, want int) {
		t.Helper()
		g := newGate(t, "gate")
		held := first.begin(t.Context(), repotest.Account, g.op)
		<-g.entered
		log.locks()
		var all []*pending
		for _, card := range cards {
			all = append(all, first.begin(t.Context(), repotest.Account, transact(t, ledger.ActionDrawdown, card, ref, 1)))
		}
		first.queued(t, len(cards))
		g.release()
		for _, p := range append(all, held) {
			if _, err := p.wait(t); err != nil {
				t.Fatal(err)
			}
		}
		if n := log.locks(); n != want {
			t.Errorf("%s: cards were loaded %d times, want %d", ref, n, want)
		}
	}
	round("first", 0)
	round("second", 0)
	second.must(t, transact(t, ledger.ActionDrawdown, "c", "between", 1))
	round("third", 1)
	auditAccount(t, first.store, first.raw, repotest.Account)
	if n := first.raw.Number(t, "SELECT sum(amount_drawdown) FROM cards WHERE card_id IN ('a', 'b', 'c', 'd', 'e')"); n != 16 {
		t.Errorf("%d was drawn, want 16", n)
	}
}

// A card is remembered from its creation or activation on, where a transaction comes with
// it. Of two cards with one id in a batch it is the living one.
func TestWhatWasWrittenIsRemembered(t *testing.T) {
	t.Parallel()
	b, _, log := recallingServers(t)
	g, held := b.hold(t, repotest.Account)
	deleted := b.begin(t.Context(), repotest.Account, deletion(t))
	b.queued(t, 1)
	created := b.begin(t.Context(), repotest.Account, creation(t, "card", 70))
	b.queued(t, 2)
	g.release()
	for _, p := range []*pending{held, deleted, created} {
		if _, err := p.wait(t); err != nil {
			t.Fatal(err)
		}
	}
	waiting := creation(t, "waiting", 0)
	waiting.Batch, waiting.Cards[0].Card.Activated, waiting.Cards[0].Card.Currency = true, false, ""
	b.must(t, waiting)
	b.must(t, &ledger.Activate{ID: repotest.ID(t), CardID: "waiting", Amount: 100, Currency: ledger.NOK, By: "clerk"})
	log.locks()
	b.must(t, transact(t, ledger.ActionDrawdown, "waiting", "first", 100))
	for n := range int64(3) {
		result := b.must(t, transact(t, ledger.ActionDrawdown, "card", fmt.Sprint(n), 1))
		if result.Cards[0].Funds != 70 || result.Cards[0].Drawdown != n+1 {
			t.Errorf("%d: %+v", n, result.Cards[0].Balance)
		}
	}
	if n := log.locks(); n != 0 {
		t.Errorf("cards were loaded %d times", n)
	}
	b.must(t, deletion(t))
	if _, err := b.Submit(t.Context(), repotest.Account, transact(t, ledger.ActionDrawdown, "card", "late", 1)); !refusedWith(err, ledger.CodeNotFound) {
		t.Errorf("a deleted card: %v", err)
	}
	auditAccount(t, b.store, b.raw, repotest.Account)
}

// A commit without a transaction, a wrong PIN that was counted or a new PIN, is lost with
// PostgreSQL's machine. Its number is given again, to the deletion of the card by another
// server. Nothing is posted to it after that.
func TestCardsOfLostCommitsAreNotRemembered(t *testing.T) {
	t.Parallel()
	const xmin = "SELECT xmin::text::bigint FROM cards"
	for name, lose := range map[string]func(*testing.T, *bench){
		"a wrong PIN": func(t *testing.T, b *bench) {
			wrong := transact(t, ledger.ActionDrawdown, "card", "wrong", 1)
			wrong.PIN = ledger.PINCheck{Compare: func(uuid.UUID, *ledger.PIN) (bool, error) { return false, nil }}
			if _, err := b.Submit(t.Context(), repotest.Account, wrong); !refusedWith(err, ledger.CodeInvalidPIN) {
				t.Fatalf("%v, want %s", err, ledger.CodeInvalidPIN)
			}
		},
		"a new PIN": func(t *testing.T, b *bench) {
			b.must(t, &ledger.RotatePIN{CardID: "card", ID: repotest.ID(t), PINFor: func(uuid.UUID) ledger.PIN { return ledger.PIN{Hash: "new", KeyID: "key"} }})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := pgtest.NewCluster(t, "synchronous_commit = off", "wal_writer_delay = 10s", "autovacuum = off")
			c.Start()
			o := repository.Options{PostgresURL: c.URL()}
			first := newBench(t, repotest.Migrated(t, o), Options{})
			created := creation(t, "card", 100)
			created.Cards[0].Card.PIN = &ledger.PIN{Hash: "old", KeyID: "key"}
			first.must(t, created)
			first.raw.MustExec(t, "CHECKPOINT")
			lose(t, first)
			lost := first.raw.Number(t, xmin)
			c.Kill()
			c.Start()
			second := newBench(t, repotest.Database{Store: repotest.Open(t, o), Options: o}, Options{})
			second.must(t, deletion(t))
			if given := second.raw.Number(t, xmin); given != lost {
				t.Fatalf("transaction %d was lost, and the deletion is %d: this shows nothing", lost, given)
			}
			// A commit that fails makes the first server forget. By now it tries its connections
			// before it uses them, so that none does.
			time.Sleep(1500 * time.Millisecond)
			if _, err := first.Submit(t.Context(), repotest.Account, transact(t, ledger.ActionDrawdown, "card", "late", 100)); !refusedWith(err, ledger.CodeNotFound) {
				t.Errorf("a drawdown from a card that is deleted: %v", err)
			}
		})
	}
}

// A commit that a single trip asks for can fail after all of its statements have succeeded.
// Then nothing has happened, and nobody is told that it has.
func TestCommitsThatFailAtTheirEnd(t *testing.T) {
	t.Parallel()
	b, _, log := recallingServers(t)
	b.raw.MustExec(t, `CREATE FUNCTION too_late() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''too late''; END'`)
	b.raw.MustExec(t, `CREATE CONSTRAINT TRIGGER late AFTER INSERT ON transactions DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW WHEN (NEW.ref_id = 'late') EXECUTE FUNCTION too_late()`)
	log.locks()
	if _, err := b.Submit(t.Context(), repotest.Account, transact(t, ledger.ActionDrawdown, "card", "late", 1)); !errors.Is(err, ErrInternal) {
		t.Errorf("%v, want %v", err, ErrInternal)
	}
	if n := log.locks(); n != 0 {
		t.Errorf("cards were loaded %d times: the commit was of more than one trip", n)
	}
	if n := b.raw.Number(t, "SELECT count(*) FROM transactions WHERE ref_id = 'late'"); n != 0 {
		t.Errorf("%d transactions of a commit that failed", n)
	}
	if result := b.must(t, transact(t, ledger.ActionDrawdown, "card", "next", 1)); result.Txn.Seq != 3 || result.Cards[0].Drawdown != 2 {
		t.Errorf("afterwards %+v, seq %d", result.Cards[0].Balance, result.Txn.Seq)
	}
	auditAccount(t, b.store, b.raw, repotest.Account)
}

// A right PIN ends what wrong ones have counted, also on a card that is remembered.
func TestPINsOfRememberedCards(t *testing.T) {
	t.Parallel()
	b, _, _ := recallingServers(t)
	g := newGate(t, "card")
	g.release()
	b.must(t, g.op)
	try := func(ref string, right bool) error {
		op := transact(t, ledger.ActionDrawdown, "card", ref, 1)
		op.PIN = ledger.PINCheck{Compare: func(uuid.UUID, *ledger.PIN) (bool, error) { return right, nil }}
		_, err := b.Submit(t.Context(), repotest.Account, op)
		return err
	}
	for n, right := range []bool{true, true, false, true, false, false, true, true} {
		before := b.raw.Number(t, "SELECT pin_failures FROM cards")
		err := try(fmt.Sprint(n), right)
		after := b.raw.Number(t, "SELECT pin_failures FROM cards")
		switch {
		case right && (err != nil || after != 0):
			t.Errorf("%d: a right PIN: %v, %d failures", n, err, after)
		case !right && (!refusedWith(err, ledger.CodeInvalidPIN) || after != before+1):
			t.Errorf("%d: a wrong PIN: %v, %d failures after %d", n, err, after, before)
		}
	}
	auditAccount(t, b.store, b.raw, repotest.Account)
}

// An operation that panics on a remembered card has not happened, and the card is as
// good as ever.
func TestPanicsOnRememberedCards(t *testing.T) {
	t.Parallel()
	b, _, log := recallingServers(t)
	g := newGate(t, "card")
	g.release()
	b.must(t, g.op)
	b.must(t, transact(t, ledger.ActionDrawdown, "card", "second", 1))
	log.locks()
	poison := transact(t, ledger.ActionDrawdown, "card", "poison", 1)
	poison.PIN.Compare = func(uuid.UUID, *ledger.PIN) (bool, error) { panic("in the comparison") }
	if result, err := b.Submit(t.Context(), repotest.Account, poison); !errors.Is(err, ErrInternal) {
		t.Errorf("%+v, %v, want ErrInternal", result, err)
	}
	if n := log.locks(); n != 0 {
		t.Errorf("the card was loaded %d times", n)
	}
	if result := b.must(t, transact(t, ledger.ActionDrawdown, "card", "third", 1)); result.Txn.Seq != 4 {
		t.Errorf("seq %d, want 4", result.Txn.Seq)
	}
	auditAccount(t, b.store, b.raw, repotest.Account)
}

// A card that ends soon, one with much metadata and one whose events are told are not
// remembered; one that ends later is.
func TestWhatIsNotRemembered(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*ledger.Card)
		loaded int
	}{
		"ends in half an hour": {func(c *ledger.Card) { c.ExpiresAt = repotest.Moment(repotest.Now.Add(30 * time.Minute)) }, 3},
		"ends in two hours":    {func(c *ledger.Card) { c.ExpiresAt = repotest.Moment(repotest.Now.Add(2 * time.Hour)) }, 0},
		"large":                {func(c *ledger.Card) { c.Metadata = `{"a":"` + strings.Repeat("x", 2000) + `"}` }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _, log := recallingServers(t)
			op := creation(t, "other", 100)
			test.change(&op.Cards[0].Card)
			b.must(t, op)
			log.locks()
			for n := range 3 {
				b.must(t, transact(t, ledger.ActionDrawdown, "other", fmt.Sprint(n), 1))
			}
			if n := log.locks(); n != test.loaded {
				t.Errorf("loaded %d times, want %d", n, test.loaded)
			}
		})
	}
}

func deletion(t *testing.T) *ledger.DeleteCard {
	t.Helper()
	return &ledger.DeleteCard{ID: repotest.ID(t), CardID: "card", By: "clerk"}
}
