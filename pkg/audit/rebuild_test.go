package audit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/kortwallet/kort/pkg/audit"
)

func (db *database) rebuild(o audit.Options) audit.Outcome {
	db.t.Helper()
	outcome, err := audit.Rebuild(context.Background(), db.store, o)
	if err != nil {
		db.t.Fatalf("rebuild: %v", err)
	}
	return outcome
}

// same fails when the database is not what it was.
func (db *database) same(was, what string) {
	db.t.Helper()
	if is := db.dump(); is != was {
		db.t.Errorf("%s: the database is not as it was", what)
	}
}

func TestRebuildOfACleanDatabaseChangesNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *database) {
		newWorkload(db, "T00000001", 5).run(600)
		db.fixture("T00000002")
		was := db.dump()
		outcome := db.rebuild(audit.Options{Apply: true})
		if outcome.Wrong+outcome.Restored+outcome.Left.Total+outcome.Changes.Total != 0 || outcome.Transactions == 0 || outcome.Accounts != 2 {
			t.Errorf("outcome %+v", outcome)
		}
		db.same(was, "rebuild")
	})
}

// TestRebuildRestoresProjections makes every edit of a projection, each on an
// account of its own, and expects the database back exactly as it was.
func TestRebuildRestoresProjections(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *database) {
		var edited int64
		db.unguarded()
		fixtures := map[int]map[string]string{}
		for i := range projections {
			fixtures[i] = db.fixture(fmt.Sprintf("T%08d", i))
		}
		was := db.dump()
		for i, e := range projections {
			if e.liteOnly && db.store.Postgres() {
				continue
			}
			db.exec(named(e.sql, fixtures[i]))
			edited++
		}
		wrong := db.dump()

		dry := db.rebuild(audit.Options{})
		db.same(wrong, "dry run")
		if dry.Wrong != edited || dry.Restored != 0 || dry.Left.Total != 0 || dry.Changes.Total < edited {
			t.Errorf("dry run: %d wrong cards of %d, %d restored, left: %v", dry.Wrong, edited, dry.Restored, dry.Left.First)
		}
		for _, change := range dry.Changes.First {
			if change.Stored == change.Replayed && change.Figure != "id" {
				t.Errorf("a change to the same: %v", change)
			}
		}

		one := db.rebuild(audit.Options{Apply: true, Account: "T00000000"})
		if one.Wrong != 1 || one.Restored != 1 {
			t.Errorf("one account: %+v", one)
		}
		done := db.rebuild(audit.Options{Apply: true})
		if done.Wrong != edited-1 || done.Restored != edited-1 || done.Left.Total != 0 {
			t.Errorf("apply: %d wrong cards, %d restored, left: %v", done.Wrong, done.Restored, done.Left.First)
		}
		db.same(was, "apply")
		db.clean(audit.Options{})
		if again := db.rebuild(audit.Options{Apply: true}); again.Wrong != 0 {
			t.Errorf("again: %+v", again)
		}
	})
}

// TestRebuildLeavesBrokenChainsAlone makes every edit of history, spoils the
// amounts of the same card too, and expects that rebuild names the card and does
// not touch it.
func TestRebuildLeavesBrokenChainsAlone(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *database) {
		db.unguarded()
		for i, e := range chains {
			if e.liteOnly && db.store.Postgres() || e.name == "pending row gone" || e.name == "row moved to no card" {
				continue
			}
			account := fmt.Sprintf("T%08d", i)
			ids := db.fixture(account)
			db.exec(named(e.sql, ids))
			db.exec(named("UPDATE cards SET amount_funds = amount_funds + 7 WHERE account_id = {account} AND id = {"+e.card+"}", ids))
			was := db.dump()
			outcome := db.rebuild(audit.Options{Account: account, Apply: true})
			if outcome.Restored != 0 {
				t.Errorf("%s: %d restored: %v", e.name, outcome.Restored, outcome.Changes.First)
			}
			if len(outcome.Left.First) == 0 || outcome.Left.First[0].Card != ids[e.card] && len(outcome.Left.First) < 2 {
				t.Errorf("%s: left alone %v", e.name, outcome.Left.First)
			}
			db.same(was, e.name)
		}
	})
}

// TestRebuildWhileServersWrite spoils amounts again and again while operations are
// posted to the same cards, and restores them. Nothing but clean cards may remain.
func TestRebuildWhileServersWrite(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *database) {
		const account = "T00000001"
		w := newWorkload(db, account, 21)
		w.run(150)
		stop, writer := make(chan struct{}), sync.WaitGroup{}
		writer.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					w.run(5)
				}
			}
		})
		var restored int64
		for range 8 {
			// More funds than there are: servers go on posting on top of it.
			db.exec("UPDATE cards SET amount_funds = amount_funds + 1000 WHERE account_id = 'T00000001'")
			restored += db.rebuild(audit.Options{Apply: true}).Restored
		}
		close(stop)
		writer.Wait()
		// What a server posted from spoilt funds may have no place on the true ones;
		// such a card is left alone. All others are right again.
		left := db.rebuild(audit.Options{Apply: true}).Left
		spoilt := map[string]bool{}
		for _, f := range left.First {
			spoilt[f.Card] = true
		}
		for _, f := range db.verify(audit.Options{}).Findings.First {
			if !spoilt[f.Card] {
				t.Error(f)
			}
		}
		if restored == 0 {
			t.Error("nothing was restored")
		}
	})
}

func TestRebuildStopsWhenTheContextEnds(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *database) {
		const accounts = 4
		for i := range accounts {
			db.fixture(fmt.Sprintf("T%08d", i))
		}
		was := db.dump()
		db.exec("UPDATE cards SET amount_funds = amount_funds + 1")
		wrong := db.dump()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := audit.Rebuild(ctx, db.store, audit.Options{Apply: true}); !errors.Is(err, context.Canceled) {
			t.Errorf("rebuild: %v", err)
		}
		db.same(wrong, "a rebuild that was stopped at once")

		ctx, cancel = context.WithCancel(context.Background())
		outcome, err := audit.Rebuild(ctx, db.store, audit.Options{Apply: true, Progress: func(done, _ int64) {
			if done > 40 { // in the third account: the first is written, the last is not
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("rebuild: %v", err)
		}
		if outcome.Restored == 0 || outcome.Restored >= accounts*5 {
			t.Errorf("%d cards restored before the end", outcome.Restored)
		}
		db.rebuild(audit.Options{Apply: true})
		db.same(was, "a rebuild after one that was stopped")
	})
}
