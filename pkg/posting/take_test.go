package posting

import (
	"fmt"
	"slices"
	"sync"
	"testing"
)

// A batch takes MaxBatch operations at most: of one account, or on SQLite of as many as
// there is room for, in the order in which they came.
func TestTake(t *testing.T) {
	t.Parallel()
	each(t, Options{}, func(t *testing.T, b *bench) {
		p := &Poster{store: b.store, o: Options{MaxBatch: 5, MaxQueue: 100}, queues: map[string]*queue{}}
		p.wake = sync.NewCond(&p.mu)
		for _, account := range []string{"A", "B", "C"} {
			for range 3 {
				p.enqueue(&request{account: account})
			}
		}
		want := []string{"A 3, B 2", "C 3", "B 1"}
		if b.store.Postgres() {
			want = []string{"A 3", "B 3", "C 3"}
		}
		var got []string
		var first []group
		for n := range want {
			if n == 2 {
				p.release(first) // what is left of B can be taken from now on
			}
			batch := p.take()
			if n == 0 {
				first = batch
			}
			got = append(got, describe(batch))
		}
		if !slices.Equal(got, want) {
			t.Errorf("took %q, want %q", got, want)
		}
		if p.waiting != 0 || len(p.ready) != 0 {
			t.Errorf("%d operations wait, of the accounts %q", p.waiting, p.ready)
		}
	})
}

func describe(batch []group) (text string) {
	for i, g := range batch {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprint(g.account, " ", len(g.requests))
	}
	return text
}
