package httpapi_test

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/kortwallet/kort/pkg/httpapi"
)

// When the writer is overloaded, whoever needs it is told before anybody asks who
// it is and reads what it sent. Everybody else is served.
func TestOverloadIsToldEarly(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		var overloaded atomic.Bool
		busy := s.variant(t, func(c *httpapi.Config) { c.Overloaded = overloaded.Load })
		for _, sc := range successes(t) {
			t.Run(sc.operation, func(t *testing.T) {
				a := s.account()
				c := sc.act(t, a)
				stranger := c
				stranger.token, stranger.body = "none", "{"
				writes := contractOf(t, sc.operation).method != http.MethodGet && sc.operation != opInfo
				overloaded.Store(true)
				defer overloaded.Store(false)
				if !writes {
					(&account{s: busy, id: a.id}).want(t, "unauthorized", stranger)
					(&account{s: busy, id: a.id}).want(t, ok, c)
					return
				}
				stranger.header = http.Header{"X-Request-Id": {s.next("busy")}, "Content-Type": {"text/plain"}}
				r := (&account{s: busy, id: a.id}).want(t, "overloaded", stranger)
				if got := retryAfter(t, r); got != 1 {
					t.Errorf("Retry-After is %d, want 1", got)
				}
				id := stranger.header.Get("X-Request-Id")
				if got := r.header.Get("X-Request-Id"); got != id {
					t.Errorf("X-Request-Id is %q, want %q", got, id)
				}
				records := s.log.records(t, id)
				if len(records) != 1 || records[0]["code"] != "overloaded" || records[0]["msg"] != "request" || records[0]["level"] != "INFO" {
					t.Errorf("the log has %v", records)
				}
				overloaded.Store(false)
				(&account{s: busy, id: a.id}).want(t, ok, c)
			})
		}
	})
}

// What is wrong with the path, the method or the length is told first.
func TestOverloadComesAfterTheLength(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.variant(t, func(c *httpapi.Config) { c.Overloaded = func() bool { return true } }).account()
		base := "/v1/accounts/" + a.id + "/wallets"
		for _, row := range []struct {
			method, path string
			want         int
		}{
			{http.MethodPost, base + "/unknown", http.StatusNotFound},
			{http.MethodPatch, base + "/cards", http.StatusMethodNotAllowed},
			{http.MethodPost, base + "/cards", http.StatusServiceUnavailable},
			{http.MethodGet, "/healthz", http.StatusOK},
			{http.MethodGet, "/readyz", http.StatusOK},
		} {
			if r := a.s.plain(t, row.method, row.path, nil); r.status != row.want {
				t.Errorf("%s %s: got %d %s, want %d", row.method, row.path, r.status, r.body, row.want)
			}
		}
		a.want(t, "request_too_large", text(opCreate, huge))
	})
}
