package repotest_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

func TestDataKey(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		for _, c := range []struct {
			name, id, fingerprint string
			want                  error
		}{
			{"the first", "key", "print", nil},
			{"the same again", "key", "print", nil},
			{"another key", "key", "other", repository.ErrOtherDataKey},
			{"the same bytes under another name", "other", "print", repository.ErrOtherDataKey},
			{"letter case", "KEY", "print", repository.ErrOtherDataKey},
			{"none", "", "", repository.ErrOtherDataKey},
			{"still the first", "key", "print", nil},
		} {
			if err := d.ClaimDataKey(t.Context(), c.id, c.fingerprint, repotest.Now); !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
		rows := d.Raw(t).Rows(t, "SELECT key_id, fingerprint, created_at FROM data_keys")
		if want := fmt.Sprintf("[[key print %d]]", repotest.Now); fmt.Sprint(rows) != want {
			t.Errorf("stored: %v, want %s", rows, want)
		}
	})
}

// Servers that start at once with different keys: one key wins, and every claim of
// another one fails.
func TestDataKeyRace(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		const keys, claimsPerKey = 4, 4
		errs := make([][]error, keys)
		start := make(chan struct{})
		var servers sync.WaitGroup
		for key := range keys {
			errs[key] = make([]error, claimsPerKey)
			s := repotest.Open(t, d.Options)
			for claim := range claimsPerKey {
				servers.Go(func() {
					<-start
					errs[key][claim] = s.ClaimDataKey(t.Context(), fmt.Sprint("key", key), "print", repotest.Now)
				})
			}
		}
		close(start)
		servers.Wait()
		winners := 0
		for key := range keys {
			won := errs[key][0] == nil
			if won {
				winners++
			}
			for _, err := range errs[key] {
				if won != (err == nil) || (err != nil && !errors.Is(err, repository.ErrOtherDataKey)) {
					t.Errorf("key %d: %v", key, errs[key])
				}
			}
		}
		if winners != 1 {
			t.Errorf("%d keys were accepted", winners)
		}
		if n := d.Raw(t).Number(t, "SELECT count(*) FROM data_keys"); n != 1 {
			t.Errorf("%d keys are stored", n)
		}
	})
}
