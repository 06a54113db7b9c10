package posting

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// killOthers ends the connections of every server, and returns how many there were.
const killOthers = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
	WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'kort'`

// A database that was restarted has ended all connections. However many of them
// lie idle in the pool, the next operation gets through.
func TestConnectionsThatEnded(t *testing.T) {
	t.Parallel()
	b := newBench(t, repotest.Migrated(t, repotest.Postgres(t)), Options{Committers: 8})
	for round := range 3 {
		fillPool(t, b, round)
		if n := b.raw.Number(t, killOthers); n < 6 {
			t.Fatalf("only %d connections were there to end", n)
		}
		b.must(t, creation(t, fmt.Sprint("after round ", round), 1))
		if _, err := b.store.Card(t.Context(), repotest.Account, fmt.Sprint("after round ", round)); err != nil {
			t.Errorf("read: %v", err)
		}
	}
}

// fillPool makes every committer use a connection at the same time.
func fillPool(t *testing.T, b *bench, round int) {
	t.Helper()
	var gates []*gate
	var held []*pending
	for n := range b.o.Committers {
		account := fmt.Sprintf("T%04d%04d", round+1, n)
		g, p := b.hold(t, account)
		gates, held = append(gates, g), append(held, p)
	}
	for n := range gates {
		gates[n].release()
		if _, err := held[n].wait(t); err != nil {
			t.Fatal(err)
		}
	}
}

// unlucky is one operation of each kind, the rows by which one can tell that it
// happened exactly once, and what its answer must show.
type unlucky struct {
	op    func(t *testing.T) ledger.Operation
	rows  string // counts to 1 when the operation happened once
	check func(ledger.Result) bool
}

const preparedCard, waitingCard = "prepared", "waiting"

// prepare makes what the unlucky operations work on: an active card with money, a
// hold and a token, and a card that waits for its activation.
func prepare(t *testing.T, b *bench) (hold uuid.UUID) {
	t.Helper()
	op := creation(t, preparedCard, 100)
	op.Cards[0].Token = newToken(t, "", "handle")
	b.must(t, op)
	pending := transact(t, ledger.ActionPending, preparedCard, "hold", 10)
	b.must(t, pending)
	waiting := creation(t, waitingCard, 0)
	waiting.Batch, waiting.Cards[0].Card.Activated, waiting.Cards[0].Card.Currency = true, false, ""
	b.must(t, waiting)
	b.must(t, creation(t, "doomed", 0))
	return pending.ID
}

func newToken(t *testing.T, ref string, hashes ...string) *ledger.NewToken {
	t.Helper()
	token := &ledger.NewToken{Token: repotest.Token(t, uuid.Nil, "")}
	token.Token.RefID, token.Token.SingleUse = ref, true
	for _, hash := range hashes {
		token.Candidates = append(token.Candidates, ledger.TokenCandidate{Hash: hash, Masked: "****"})
	}
	return token
}

// theUnlucky lists the operations. Their answers must be those of a first success:
// no replay, no conflict with their own rows, and the choice of token values that
// makes the clear value known.
func theUnlucky(hold uuid.UUID) map[string]unlucky {
	fresh := func(r ledger.Result) bool { return !r.Replayed }
	chose := func(choice int) func(ledger.Result) bool {
		return func(r ledger.Result) bool {
			return !r.Replayed && len(r.Choices) == 1 && r.Choices[0] == choice
		}
	}
	settle := func(action ledger.Action) func(t *testing.T) ledger.Operation {
		return func(t *testing.T) ledger.Operation {
			op := transact(t, action, "", string(action), 0)
			op.Parent, op.AmountGiven = hold, false
			return op
		}
	}
	return map[string]unlucky{
		"create": {
			func(t *testing.T) ledger.Operation {
				op := creation(t, "new", 50)
				op.Cards[0].Card.PIN = &ledger.PIN{ID: repotest.ID(t), Hash: "hash", KeyID: "key"}
				op.Cards[0].Token = newToken(t, "", "handle", "fresh")
				return op
			},
			`SELECT count(*) FROM cards AS c JOIN transactions AS t ON t.card_object_id = c.id JOIN tokens AS k ON k.card_object_id = c.id
				WHERE c.card_id = 'new' AND c.amount_funds = 50`,
			chose(1),
		},
		"batch": {
			func(t *testing.T) ledger.Operation {
				op := creation(t, "new", 0)
				op.Cards, op.Batch = append(op.Cards, creation(t, "newer", 0).Cards...), true
				return op
			},
			"SELECT count(*) - 1 FROM cards WHERE card_id IN ('new', 'newer')",
			func(r ledger.Result) bool { return len(r.Cards) == 2 && r.Cards[1].CardID == "newer" },
		},
		"activate": {
			func(t *testing.T) ledger.Operation {
				return &ledger.Activate{ID: repotest.ID(t), CardID: waitingCard, Amount: 5, Currency: ledger.NOK, By: "clerk"}
			},
			"SELECT count(*) FROM cards AS c JOIN transactions AS t ON t.card_object_id = c.id WHERE c.card_id = 'waiting' AND c.amount_funds = 5",
			func(r ledger.Result) bool { return r.Cards[0].Funds == 5 },
		},
		"fund": {
			func(t *testing.T) ledger.Operation { return transact(t, ledger.ActionFund, preparedCard, "new", 7) },
			"SELECT count(*) FROM cards AS c JOIN transactions AS t ON t.card_object_id = c.id WHERE t.ref_id = 'new' AND c.amount_funds = 107",
			fresh,
		},
		"drawdown by token": {
			func(t *testing.T) ledger.Operation {
				op := transact(t, ledger.ActionDrawdown, "", "new", 7)
				op.TokenHash = "handle"
				return op
			},
			"SELECT count(*) FROM tokens AS k JOIN transactions AS t ON t.id = k.spent_by JOIN cards AS c ON c.id = k.card_object_id WHERE c.amount_drawdown = 7",
			fresh,
		},
		"pending": {
			func(t *testing.T) ledger.Operation { return transact(t, ledger.ActionPending, preparedCard, "new", 7) },
			"SELECT count(*) FROM cards AS c JOIN holds AS h ON h.card_object_id = c.id WHERE h.locked = 7 AND c.amount_pending = 17 AND c.open_holds = 2",
			fresh,
		},
		"capture": {
			settle(ledger.ActionCapture),
			"SELECT count(*) FROM cards AS c JOIN holds AS h ON h.card_object_id = c.id WHERE h.locked = 0 AND c.amount_drawdown = 10 AND c.open_holds = 0",
			func(r ledger.Result) bool { return !r.Replayed && r.Txn.Amount == 10 },
		},
		"void": {
			settle(ledger.ActionVoid),
			"SELECT count(*) FROM cards AS c JOIN holds AS h ON h.card_object_id = c.id WHERE h.locked = 0 AND c.amount_drawdown = 0 AND c.open_holds = 0",
			func(r ledger.Result) bool { return !r.Replayed && r.Txn.Amount == 10 },
		},
		"token": {
			func(t *testing.T) ledger.Operation {
				return &ledger.CreateToken{CardID: preparedCard, New: *newToken(t, "ref", "handle", "taken", "third")}
			},
			"SELECT count(*) FROM tokens WHERE hash = 'taken' AND ref_id = 'ref'",
			chose(1),
		},
		"rotate": {
			func(t *testing.T) ledger.Operation {
				return &ledger.RotatePIN{CardID: preparedCard, ID: repotest.ID(t), PINFor: noPIN}
			},
			"SELECT count(*) FROM cards WHERE card_id = 'prepared' AND pin_hash = 'hash'",
			func(r ledger.Result) bool { return r.Cards[0].PIN.Hash == "hash" },
		},
		"delete": {
			func(t *testing.T) ledger.Operation {
				return &ledger.DeleteCard{ID: repotest.ID(t), CardID: "doomed", By: "clerk"}
			},
			"SELECT count(*) FROM cards WHERE card_id = 'doomed' AND deleted_at IS NOT NULL",
			func(r ledger.Result) bool { return r.Cards[0].Deleted() },
		},
	}
}

// troubles are the ways in which a commit can go wrong on its way, and how many
// COMMITs meet them.
var troubles = map[string]struct {
	begin  func(*proxy)
	spoils int32
}{
	"the COMMIT is lost":                {func(p *proxy) { p.spoil(loseRequest, 1) }, 1},
	"the answer to COMMIT is lost":      {func(p *proxy) { p.spoil(loseAnswer, 1) }, 1},
	"two COMMITs are lost":              {func(p *proxy) { p.spoil(loseRequest, 2) }, 2},
	"two answers to COMMIT are lost":    {func(p *proxy) { p.spoil(loseAnswer, 2) }, 2},
	"every connection has been cut off": {func(p *proxy) { p.cut() }, 0},
}

// Whatever becomes of a COMMIT, each operation happens exactly once and answers as
// if nothing had gone wrong.
func TestCommitsOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	for name, trouble := range troubles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := repotest.Postgres(t)
			p := newProxy(t, o.PostgresURL)
			direct := repotest.Migrated(t, o)
			b := newBench(t, repotest.Database{
				Store: repotest.Open(t, repository.Options{PostgresURL: p.url}), Options: o,
			}, Options{})
			for kind := range theUnlucky(uuid.Nil) {
				t.Run(kind, func(t *testing.T) {
					b.raw.MustExec(t, "TRUNCATE cards, transactions, holds, tokens")
					u := theUnlucky(prepare(t, b))[kind]
					op := u.op(t)
					p.spoilt.Store(0)
					trouble.begin(p)
					result, err := b.Submit(t.Context(), repotest.Account, op)
					if err != nil || !u.check(result) {
						t.Errorf("the answer is wrong: %v, replayed: %t, choices %v", err, result.Replayed, result.Choices)
					}
					if n := p.spoilt.Load(); n != trouble.spoils {
						t.Errorf("%d COMMITs were spoilt, want %d", n, trouble.spoils)
					}
					if n := b.raw.Number(t, u.rows); n != 1 {
						t.Errorf("it happened %d times", n)
					}
					auditAccount(t, direct.Store, b.raw, repotest.Account)
				})
			}
		})
	}
}

// Neighbours of a batch whose commit is in doubt are settled as one: all of them
// once.
func TestBatchOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	for name, trouble := range troubles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := repotest.Postgres(t)
			p := newProxy(t, o.PostgresURL)
			direct := repotest.Migrated(t, o)
			store := repotest.Open(t, repository.Options{PostgresURL: p.url})
			b := newBench(t, repotest.Database{Store: store, Options: o}, Options{})
			b.must(t, creation(t, "card", 1000))
			g, held := b.hold(t, repotest.Account)
			var all []*pending
			for n := range 60 {
				action := []ledger.Action{ledger.ActionFund, ledger.ActionDrawdown, ledger.ActionPending}[n%3]
				all = append(all, b.begin(t.Context(), repotest.Account, transact(t, action, "card", fmt.Sprint(n), int64(n))))
			}
			b.queued(t, 60)
			trouble.begin(p)
			g.release()
			_, _ = held.wait(t)
			for n, p := range all {
				if result, err := p.wait(t); err != nil || result.Replayed || result.Txn.Amount != int64(n) {
					t.Errorf("operation %d answers %+v, %v", n, result.Txn, err)
				}
			}
			if n := b.raw.Number(t, "SELECT count(*) FROM transactions"); n != 61 {
				t.Errorf("%d transactions, want 61", n)
			}
			auditAccount(t, direct.Store, b.raw, repotest.Account)
		})
	}
}

// A connection that ends in the middle of a batch, between its statements.
func TestConnectionEndsInTheMiddle(t *testing.T) {
	t.Parallel()
	b := newBench(t, repotest.Migrated(t, repotest.Postgres(t)), Options{})
	b.must(t, creation(t, "card", 100))
	ends := 0
	op := &ledger.RotatePIN{CardID: "card", ID: repotest.ID(t), PINFor: func(uuid.UUID) ledger.PIN {
		if ends < 2 { // the first two attempts
			ends++
			b.raw.Number(t, killOthers)
		}
		return ledger.PIN{Hash: "hash", KeyID: "key"}
	}}
	if result := b.must(t, op); result.Cards[0].PIN.Hash != "hash" || ends != 2 {
		t.Errorf("%+v after %d ends", result, ends)
	}
	b.must(t, transact(t, ledger.ActionDrawdown, "card", "ref", 1))
	auditAccount(t, b.store, b.raw, repotest.Account)
}

// While the database is away operations are refused as unavailable, in bounded
// time; as soon as it is back all is well.
func TestDatabaseIsAway(t *testing.T) {
	t.Parallel()
	o := repotest.Postgres(t)
	repotest.Migrated(t, o)
	p := newProxy(t, o.PostgresURL)
	d := repotest.Database{Store: repotest.Open(t, repository.Options{PostgresURL: p.url}), Options: o}
	var log logged
	b := newBench(t, d, Options{Log: log.logger()})
	b.must(t, creation(t, "card", 100))
	p.refuse.Store(true)
	p.cut()
	begin := time.Now()
	_, err := b.Submit(t.Context(), repotest.Account, transact(t, ledger.ActionFund, "card", "ref", 1))
	if !errors.Is(err, repository.ErrUnavailable) {
		t.Errorf("while it is away: %v, want ErrUnavailable", err)
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("the refusal took %s", took)
	}
	log.expect(t, `msg="the database is unavailable"`)
	if _, err := b.store.Card(t.Context(), repotest.Account, "card"); !errors.Is(err, repository.ErrUnavailable) {
		t.Errorf("a read while it is away: %v, want ErrUnavailable", err)
	}
	if err := b.store.Ping(t.Context()); !errors.Is(err, repository.ErrUnavailable) {
		t.Errorf("a ping while it is away: %v, want ErrUnavailable", err)
	}
	p.refuse.Store(false)
	if result := b.must(t, transact(t, ledger.ActionFund, "card", "ref", 1)); result.Replayed {
		t.Error("what was refused had happened")
	}
}

// Another program that holds SQLite's write lock for a while delays operations, and
// does not fail them.
func TestSQLiteIsLocked(t *testing.T) {
	t.Parallel()
	for name, hold := range map[string]time.Duration{"for a moment": 200 * time.Millisecond, "longer than one attempt": 7 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && hold > time.Second {
				return // it takes as long as the lock
			}
			b := newBench(t, repotest.Migrated(t, repotest.SQLite(t)), Options{})
			b.must(t, creation(t, "card", 100))
			b.raw.MustExec(t, "BEGIN IMMEDIATE")
			op := b.begin(context.Background(), repotest.Account, transact(t, ledger.ActionDrawdown, "card", "ref", 1))
			time.Sleep(hold)
			if _, err := b.store.Card(t.Context(), repotest.Account, "card"); err != nil {
				t.Errorf("a read meanwhile: %v", err)
			}
			b.raw.MustExec(t, "ROLLBACK")
			if result, err := op.wait(t); err != nil || result.Cards[0].Drawdown != 1 {
				t.Errorf("%+v, %v", result, err)
			}
			auditAccount(t, b.store, b.raw, repotest.Account)
		})
	}
}
