package repotest_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// TestSnapshotPairSeesOneState compares what two readers see while a server commits as
// fast as it can: were one of them a commit ahead, an audit would find fault with
// sound books.
func TestSnapshotPairSeesOneState(t *testing.T) {
	t.Parallel()
	repotest.Each(t, func(t *testing.T, s *repository.Store) {
		const snapshots = 60
		var commits atomic.Int64
		stop, stopped := make(chan struct{}), make(chan error, 1)
		go func() {
			for {
				select {
				case <-stop:
					stopped <- nil
					return
				default:
				}
				card := repotest.Card(t, fmt.Sprint("card-", commits.Add(1)))
				card.Seq = 1
				if err := repotest.TrySave(s, repotest.Account, ledger.Changes{NewCards: []ledger.Card{card}}); err != nil {
					stopped <- err
					return
				}
			}
		}()
		seen := map[int64]bool{}
		for range snapshots {
			err := s.SnapshotPair(t.Context(), func(pages, rest *repository.AuditReader) error {
				one, err := pages.Size(t.Context(), repotest.Account)
				if err != nil {
					return err
				}
				before := commits.Load()
				for commits.Load() < before+2 && len(stopped) == 0 { // the state stays while servers go on
					time.Sleep(time.Millisecond)
				}
				other, err := rest.Size(t.Context(), repotest.Account)
				if one != other {
					t.Errorf("one reader sees %d cards, the other %d", one, other)
				}
				seen[one] = true
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		close(stop)
		if err := <-stopped; err != nil {
			t.Fatal(err)
		}
		if len(seen) < 2 {
			t.Errorf("nothing was written meanwhile: %v", seen)
		}
	})
}

// A pair of readers needs two connections. With one, the second would be waited for
// without an end.
func TestSnapshotPairNeedsTwoConnections(t *testing.T) {
	t.Parallel()
	for name, options := range repotest.Engines() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			o.ReadConns = 1
			s := repotest.Migrated(t, o)
			err := s.SnapshotPair(t.Context(), func(_, _ *repository.AuditReader) error { return nil })
			if err == nil {
				t.Error("two readers on one connection")
			}
		})
	}
}
