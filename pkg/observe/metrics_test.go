package observe

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/kortwallet/kort/pkg/httpapi"
	"github.com/kortwallet/kort/pkg/posting"
)

// answered is an answer as the edge reports it.
func answered(operation, code string, status int) httpapi.Answered {
	return httpapi.Answered{
		Route: httpapi.Route{Operation: operation, Method: http.MethodPost, Path: "/"}, Status: status, Code: code, Took: time.Millisecond,
	}
}

// A server that is not watched reports to nobody.
func TestNothingIsWatchedByDefault(t *testing.T) {
	t.Parallel()
	requests, writes := Watch{}.Requests(), Watch{}.Writes()
	if requests.Begin != nil || requests.End != nil || writes.Submitted != nil || writes.Taken != nil || writes.Attempted != nil ||
		writes.Answered != nil || writes.Finished != nil {
		t.Errorf("somebody is told: %+v %+v", requests, writes)
	}
}

// To count a request of a kind that was seen before allocates nothing, and leaves the
// request's context as it is.
func TestCountingAllocatesNothing(t *testing.T) {
	m := NewMetrics(Build{})
	w := Watch{Metrics: m}
	requests, writes := w.Requests(), w.Writes()
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	refused := answered("aid_cards_post", "overloaded", http.StatusServiceUnavailable)
	refused.Overload, refused.Replayed, refused.LockedPIN = httpapi.OverloadQueue, true, true
	operations := []posting.Waited{{Context: t.Context(), Queued: time.Millisecond}}
	count := func() {
		if ctx := requests.Begin(r, refused.Route); ctx != r.Context() {
			t.Error("the request has another context")
		}
		requests.End(r.Context(), refused)
		writes.Attempted(writes.Taken(operations), posting.Attempt{Outcome: posting.OutcomeCommitted, Took: time.Millisecond})
	}
	count()
	if n := testing.AllocsPerRun(100, count); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
	if writes.Submitted != nil || writes.Answered != nil {
		t.Error("metrics look at each operation")
	}
}

// Requests of all kinds at once are all counted.
func TestManyRequestsAtOnce(t *testing.T) {
	t.Parallel()
	m := NewMetrics(Build{})
	observer := Watch{Metrics: m}.Requests()
	operations, codes := []string{"a", "b", "c", "d"}, []string{"", "not_found", "internal"}
	const times = 50
	var clients sync.WaitGroup
	for range times {
		for _, operation := range operations {
			for n, code := range codes {
				clients.Go(func() {
					a := answered(operation, code, http.StatusOK+n)
					observer.Begin(httptest.NewRequest(http.MethodGet, "/", nil), a.Route)
					observer.End(context.Background(), a)
				})
			}
		}
	}
	clients.Wait()
	for _, operation := range operations {
		for n, code := range codes {
			status := []string{"200", "201", "202"}[n]
			if got := testutil.ToFloat64(m.requests.requests.WithLabelValues(operation, status)); got != times {
				t.Errorf("%s %s was counted %v times, want %d", operation, status, got, times)
			}
			if code == "" {
				continue
			}
			if got := testutil.ToFloat64(m.requests.refusals.WithLabelValues(operation, code)); got != times {
				t.Errorf("%s %s was counted %v times, want %d", operation, code, got, times)
			}
		}
	}
	if got := testutil.ToFloat64(m.requests.inFlight); got != 0 {
		t.Errorf("%v requests are in flight, want none", got)
	}
	if got := testutil.CollectAndCount(m.requests.refusals); got != len(operations)*(len(codes)-1) {
		t.Errorf("%d series of refusals", got)
	}
}

// Attempts are counted by their outcome, and all outcomes and reasons can be seen before
// they happen.
func TestOutcomesAndReasons(t *testing.T) {
	t.Parallel()
	m := NewMetrics(Build{Version: "v1.2.3", Commit: "abc"})
	writes := Watch{Metrics: m}.Writes()
	for n, outcome := range posting.Outcomes() {
		for range n {
			writes.Attempted(t.Context(), posting.Attempt{Outcome: outcome, Took: time.Second})
		}
	}
	requests := Watch{Metrics: m}.Requests()
	for n, reason := range httpapi.Overloads() {
		a := answered("a", "overloaded", http.StatusServiceUnavailable)
		a.Overload = reason
		for range n {
			requests.Begin(httptest.NewRequest(http.MethodGet, "/", nil), a.Route)
			requests.End(t.Context(), a)
		}
		if got := testutil.ToFloat64(m.requests.overloads.WithLabelValues(string(reason))); got != float64(n) {
			t.Errorf("%s was counted %v times, want %d", reason, got, n)
		}
	}
	recorder := httptest.NewRecorder()
	m.Handler(discard()).ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, Path, nil))
	for _, line := range []string{
		`kort_posting_commit_seconds_count{outcome="committed"} 0`,
		`kort_posting_commit_seconds_count{outcome="conflict"} 1`,
		`kort_posting_commit_seconds_count{outcome="unavailable"} 2`,
		`kort_posting_commit_seconds_count{outcome="panicked"} 3`,
		`kort_posting_commit_seconds_count{outcome="failed"} 4`,
		`kort_overload_refusals_total{reason="queue_full"} 0`,
		`kort_build_info{commit="abc",go_version=`,
	} {
		if !strings.Contains(recorder.Body.String(), line) {
			t.Errorf("no line %s in:\n%s", line, recorder.Body)
		}
	}
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		if strings.HasPrefix(problem.Metric, "kort_") {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	}
}
