package posting

import (
	"context"
	"errors"
	"testing"

	"github.com/kortwallet/kort/pkg/repository"
)

// A batch that meets the same trouble again and again is tried thirteen times, and each
// of its operations has an answer that says what to do: try again later, where other
// servers came first or the database was away.
func TestRetriesEnd(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		err        error
		operations int
		want       error
		attempts   int
		logs       []string
	}{
		"conflicts, alone":   {repository.ErrConflict, 1, ErrOverloaded, 13, []string{"other servers came first too often"}},
		"conflicts, several": {repository.ErrConflict, 2, ErrOverloaded, 3 * 13, []string{"a batch failed", "other servers came first too often"}},
		"an outage":          {repository.ErrUnavailable, 2, repository.ErrUnavailable, 13, []string{"the database is unavailable"}},
		"another failure":    {broken, 1, ErrInternal, 1, []string{"an operation failed", "broken"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log logged
			attempts := 0
			p := &Poster{o: Options{Log: log.logger()}, try: func(context.Context, []group) error { attempts++; return test.err }}
			var requests []*request
			for range test.operations {
				requests = append(requests, &request{account: "T00000001", done: make(chan struct{})})
			}
			p.commit(t.Context(), []group{{account: "T00000001", requests: requests}})
			for _, r := range requests {
				select {
				case <-r.done:
					if !errors.Is(r.err, test.want) {
						t.Errorf("answered %v, want %v", r.err, test.want)
					}
				default:
					t.Error("an operation has no answer")
				}
			}
			if attempts != test.attempts {
				t.Errorf("%d attempts, want %d", attempts, test.attempts)
			}
			log.expect(t, test.logs...)
		})
	}
}

// Troubles of both kinds have counts of their own, and what passes is no failure.
func TestTroublesThatPass(t *testing.T) {
	t.Parallel()
	var log logged
	attempts := 0
	p := &Poster{o: Options{Log: log.logger()}, try: func(context.Context, []group) error {
		attempts++
		switch {
		case attempts > 24:
			return nil
		case attempts%2 == 0:
			return repository.ErrConflict
		}
		return repository.ErrUnavailable
	}}
	r := &request{account: "T00000001", done: make(chan struct{})}
	p.commit(t.Context(), []group{{account: r.account, requests: []*request{r}}})
	if <-r.done; r.err != nil || attempts != 25 {
		t.Errorf("%v after %d attempts", r.err, attempts)
	}
	log.expect(t)
}
