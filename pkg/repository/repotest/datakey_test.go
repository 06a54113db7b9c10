package repotest_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// keysOf reads "id fingerprint, id fingerprint".
func keysOf(text string) []repository.DataKey {
	var keys []repository.DataKey
	for key := range strings.SplitSeq(text, ", ") {
		id, fingerprint, _ := strings.Cut(key, " ")
		keys = append(keys, repository.DataKey{ID: id, Fingerprint: fingerprint})
	}
	return keys
}

func claim(t *testing.T, s *repository.Store, keys string) error {
	t.Helper()
	_, err := s.ClaimDataKeys(t.Context(), keysOf(keys), repotest.Now)
	return err
}

func TestDataKey(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		for _, c := range []struct {
			name, keys string
			want       error
		}{
			{"the first", "key print", nil},
			{"the same again", "key print", nil},
			{"another key", "key other", repository.ErrOtherDataKey},
			{"the same bytes under another name", "other print", repository.ErrOtherDataKey},
			{"letter case", "KEY print", repository.ErrOtherDataKey},
			{"none", "", repository.ErrOtherDataKey},
			{"still the first", "key print", nil},
			{"one to come, which is not noted", "key print, next print3", nil},
			{"and may still be missing", "key print", nil},
			{"a second, without the first", "second print2", repository.ErrOtherDataKey},
			{"a second", "second print2, key print", nil},
			{"the first alone", "key print", repository.ErrMissingDataKey},
			{"the second alone", "second print2", repository.ErrMissingDataKey},
			{"in the old order", "key print, second print2", nil},
		} {
			if err := claim(t, d.Store, c.keys); !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
		rows := d.Raw(t).Rows(t, "SELECT key_id, fingerprint, created_at FROM data_keys ORDER BY key_id")
		if want := fmt.Sprintf("[[key print %d] [second print2 %d]]", repotest.Now, repotest.Now); fmt.Sprint(rows) != want {
			t.Errorf("stored: %v, want %s", rows, want)
		}
		err := claim(t, d.Store, "key print")
		if text := fmt.Sprint(err); !strings.Contains(text, "(second)") || strings.Contains(text, "print2") {
			t.Errorf("the error does not name the missing key, and no more: %v", err)
		}
	})
}

// The database says which key is the current one, and there is no way back.
func TestCurrentDataKey(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		want := func(current string, used ...string) {
			t.Helper()
			known, err := d.DataKeys(t.Context())
			if err != nil || known.Current != current {
				t.Fatalf("current is %q, %v; want %q", known.Current, err, current)
			}
			for _, id := range []string{"a", "b", "c"} {
				if is := strings.Contains(strings.Join(used, " "), id); known.Used(id) != is {
					t.Errorf("used %s: %v, want %v", id, !is, is)
				}
			}
		}
		use := func(id string, now ledger.Micros) {
			t.Helper()
			if err := d.UseDataKey(t.Context(), id, now); err != nil {
				t.Fatal(err)
			}
		}
		must := func(keys string) {
			t.Helper()
			if err := claim(t, d.Store, keys); err != nil {
				t.Fatal(err)
			}
		}
		want("")
		must("a 1")
		want("a", "a")
		must("b 2, a 1")
		want("a", "a")
		use("b", repotest.Now)
		want("b", "a", "b")
		use("a", repotest.Now+1000)
		want("b", "a", "b")
		must("c 3, b 2, a 1")
		use("c", repotest.Now-1000) // a clock that goes after
		want("c", "a", "b", "c")
	})
}

// A database from before there were several keys has the one that it has in use.
func TestDataKeyOfAnOlderSchema(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		raw := d.Raw(t)
		for _, text := range []string{
			"DELETE FROM current_data_keys",
			"INSERT INTO data_keys (key_id, fingerprint, created_at) VALUES ('a', '1', 5)",
			"DELETE FROM bun_migrations WHERE name = '20261125000000'",
		} {
			if err := raw.Exec(text); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // a step may be taken twice, when a crash came before its mark
			if _, err := d.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			if known, err := d.DataKeys(t.Context()); err != nil || known.Current != "a" {
				t.Fatalf("current is %q, %v", known.Current, err)
			}
			if err := raw.Exec("DELETE FROM bun_migrations WHERE name = '20261125000000'"); err != nil {
				t.Fatal(err)
			}
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
			for n := range claimsPerKey {
				servers.Go(func() {
					<-start
					errs[key][n] = claim(t, s, fmt.Sprintf("key%d print", key))
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
