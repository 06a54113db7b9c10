package posting

import (
	"sync/atomic"
	"testing"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// Whoever delivers events is told of each commit that wrote some, and of no other.
func TestHooked(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		var told atomic.Int64
		b := newBench(t, d, Options{Hooked: func() { told.Add(1) }})
		b.must(t, creation(t, "card", 0))
		if n := told.Load(); n != 0 {
			t.Errorf("told %d times before anybody subscribed", n)
		}
		subscription := &repository.HookSubscription{
			ID: repotest.ID(t), URL: "https://shop.example/hooks", Transactions: true, Active: true,
			Secret: "sealed", SecretKeyID: "key-1", CreatedAt: repotest.Now, CreatedBy: "tests",
		}
		if err := d.AddHook(t.Context(), repotest.Account, subscription, repotest.ID(t)); err != nil {
			t.Fatal(err)
		}
		fund := transact(t, ledger.ActionFund, "card", "ref", 1)
		b.must(t, fund)
		if n := told.Load(); n != 1 {
			t.Errorf("told %d times of one transaction", n)
		}
		again := *fund
		again.ID = repotest.ID(t)
		b.must(t, &again)
		if n := told.Load(); n != 1 {
			t.Errorf("told %d times after a repetition", n)
		}
		silent := &bench{Poster: newPoster(t, d.Store, Options{}), store: d.Store, raw: d.Raw(t), d: d}
		silent.must(t, transact(t, ledger.ActionFund, "card", "nobody listens", 1))
	})
}
