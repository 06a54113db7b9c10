package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/httpapi"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/posting"
	"github.com/kortwallet/kort/pkg/repository"
)

// witness observes requests.
type witness struct {
	mu    sync.Mutex
	begun int
	ended []httpapi.Answered
}

// witnessKey marks the context of a request that was seen to begin.
type witnessKey struct{}

func (w *witness) observer(t *testing.T) httpapi.Observer {
	return httpapi.Observer{
		Begin: func(r *http.Request, route httpapi.Route) context.Context {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.begun++
			return context.WithValue(r.Context(), witnessKey{}, route)
		},
		End: func(ctx context.Context, a httpapi.Answered) {
			if ctx.Value(witnessKey{}) != a.Route {
				t.Errorf("began with %v, ended with %v", ctx.Value(witnessKey{}), a.Route)
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			w.ended = append(w.ended, a)
		},
	}
}

// last waits for the end of the nth request.
func (w *witness) last(t *testing.T, n int) httpapi.Answered {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		w.mu.Lock()
		begun, ended := w.begun, slices.Clone(w.ended)
		w.mu.Unlock()
		if len(ended) == n && begun == n {
			return ended[n-1]
		}
	}
	t.Fatalf("%d requests did not begin and end", n)
	return httpapi.Answered{}
}

// Every operation is reported under its name in the contract, when it succeeds and when
// it is refused.
func TestRequestsAreObserved(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		for _, sc := range successes(t) {
			t.Run(sc.operation, func(t *testing.T) {
				a := s.account()
				c := sc.act(t, a)
				var w witness
				watched := &account{s: s.variant(t, func(c *httpapi.Config) { c.Observer = w.observer(t) }), id: a.id}
				c.header = http.Header{"X-Request-Id": {"observed"}}
				watched.want(t, ok, c)
				o := contractOf(t, sc.operation)
				got := w.last(t, 1)
				if got.Operation != sc.operation || got.Method != o.method || got.Status != http.StatusOK || got.Code != "" ||
					got.Overload != "" || got.RequestID != "observed" || got.Account != a.id || got.Took <= 0 || got.LockedPIN {
					t.Errorf("observed %+v", got)
				}
				c.token = a.scoped(t, "read:everything")
				watched.want(t, "forbidden", c)
				if got := w.last(t, 2); got.Operation != sc.operation || got.Status != http.StatusForbidden || got.Code != "forbidden" || got.Replayed {
					t.Errorf("observed %+v", got)
				}
				if operations := watched.s.handler.Operations(); !slices.Contains(operations, sc.operation) {
					t.Errorf("%s is none of %q", sc.operation, operations)
				}
			})
		}
	})
}

// What the client made up is reported as none.
func TestUnknownRoutesAreObserved(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		var w witness
		watched := s.variant(t, func(c *httpapi.Config) { c.Observer = w.observer(t) })
		for n, row := range []struct {
			method, path string
			want         httpapi.Route
			status       int
			code         string
		}{
			{http.MethodGet, "/SENTINEL", httpapi.Route{Operation: httpapi.OperationNone, Method: http.MethodGet}, http.StatusNotFound, "not_found"},
			{"SENTINEL", "/healthz", httpapi.Route{Operation: httpapi.OperationNone, Method: "other"}, http.StatusMethodNotAllowed, "method_not_allowed"},
			{http.MethodGet, "/healthz", httpapi.Route{Operation: httpapi.OperationHealth, Method: http.MethodGet, Path: "/healthz"}, http.StatusOK, ""},
			{http.MethodHead, "/readyz", httpapi.Route{Operation: httpapi.OperationReady, Method: http.MethodHead, Path: "/readyz"}, http.StatusOK, ""},
		} {
			watched.plain(t, row.method, row.path, nil)
			if got := w.last(t, n+1); got.Route != row.want || got.Status != row.status || got.Code != row.code {
				t.Errorf("%s %s: observed %+v", row.method, row.path, got)
			}
		}
	})
}

// Whoever is told to come back later, for one and the same code, is reported with the
// reason.
func TestOverloadIsObservedWithItsReason(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		failing := func(err error) func(*httpapi.Config) {
			return func(c *httpapi.Config) {
				c.Submit = func(context.Context, string, ledger.Operation) (ledger.Result, error) { return ledger.Result{}, err }
			}
		}
		always := func() bool { return true }
		for _, row := range []struct {
			change func(*httpapi.Config)
			want   httpapi.Overload
		}{
			{func(c *httpapi.Config) { c.Overloaded = always }, httpapi.OverloadQueue},
			{failing(posting.ErrOverloaded), httpapi.OverloadQueue},
			{failing(posting.ErrContended), httpapi.OverloadRivals},
			{failing(errors.Join(errors.New("commit"), repository.ErrUnavailable)), httpapi.OverloadDatabase},
			{failing(context.DeadlineExceeded), httpapi.OverloadTime},
			{failing(context.Canceled), httpapi.OverloadClient},
			{failing(auth.ErrUnavailable), httpapi.OverloadIssuer},
			{func(c *httpapi.Config) { c.KeysComplete = func() bool { return false } }, httpapi.OverloadDataKey},
		} {
			t.Run(string(row.want), func(t *testing.T) {
				var w witness
				a := s.variant(t, func(c *httpapi.Config) { c.Observer = w.observer(t); row.change(c) }).account()
				a.want(t, "overloaded", createCard(a.newCard()))
				if got := w.last(t, 1); got.Overload != row.want || got.Code != "overloaded" || !slices.Contains(httpapi.Overloads(), got.Overload) {
					t.Errorf("observed %+v", got)
				}
			})
		}
	})
}

// An answer that repeats an earlier one is reported as such.
func TestReplaysAreObserved(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		var w witness
		a := s.account()
		c := good(t, opTxn, a)
		watched := &account{s: s.variant(t, func(c *httpapi.Config) { c.Observer = w.observer(t) }), id: a.id}
		for n, replayed := range []bool{false, true, true} {
			watched.want(t, ok, c)
			if got := w.last(t, n+1); got.Replayed != replayed || got.Operation != opTxn {
				t.Errorf("request %d: observed %+v", n+1, got)
			}
		}
	})
}

// An answer that is cut off counts as an internal error, though its client was promised
// another status.
func TestCutOffIsObserved(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		var w witness
		a := s.variant(t, func(c *httpapi.Config) {
			c.Observer = w.observer(t)
			c.Submit = func(context.Context, string, ledger.Operation) (ledger.Result, error) { panic(http.ErrAbortHandler) }
		}).account()
		c := createCard(a.newCard())
		response, err := http.DefaultClient.Do(a.request(t, contractOf(t, c.operation), c))
		if err == nil {
			_ = response.Body.Close()
			t.Fatalf("got %d", response.StatusCode)
		}
		if got := w.last(t, 1); got.Operation != opCreate || got.Code != "internal" {
			t.Errorf("observed %+v", got)
		}
	})
}
