package observe

import (
	"context"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kortwallet/kort/gen/api"
	"github.com/kortwallet/kort/pkg/httpapi"
)

// requestMetrics are what is counted at the edge.
type requestMetrics struct {
	requests, refusals, overloads, replays *prometheus.CounterVec
	duration                               *prometheus.HistogramVec
	inFlight                               prometheus.Gauge
	pinLocks                               prometheus.Counter

	// overloadBy are the children of overloads.
	overloadBy map[httpapi.Overload]prometheus.Counter
	// known are the children that requests have needed so far. They are found by a map
	// that is never changed, so that no request waits for another one or joins labels
	// into texts; there are as many as the contract has operations and answers.
	known atomic.Pointer[map[kind]*children]
	mu    sync.Mutex // held to replace the map
}

// kind is a kind of answer.
type kind struct {
	operation, code string
	status          int
}

// children are what an answer of a kind is counted with.
type children struct {
	requests prometheus.Counter
	refusals prometheus.Counter // nil for an answer that is none
	replays  prometheus.Counter
	duration prometheus.Observer
}

func newRequestMetrics() *requestMetrics {
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &requestMetrics{
		requests: counters("kort_http_requests_total",
			"Requests that were answered, by the operation of the contract and by status.", "operation", "status"),
		refusals: counters("kort_refusals_total",
			"Requests that were answered with an error, by its code.", "operation", "code"),
		overloads: counters("kort_overload_refusals_total",
			"Requests that were answered with the code overloaded, by the reason.", "reason"),
		replays: counters("kort_replays_total",
			"Requests that were answered as an earlier one with the same ref_id was.", "operation"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "kort_http_request_duration_seconds",
			Help:    "Time from the arrival of a request's header until its answer is written, waiting for its commit included.",
			Buckets: latencyBuckets(),
		}, []string{"operation"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kort_http_requests_in_flight", Help: "Requests that are being answered now.",
		}),
		pinLocks: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kort_pin_locks_total", Help: "PINs that were locked after too many wrong tries.",
		}),
		overloadBy: map[httpapi.Overload]prometheus.Counter{},
	}
	for _, reason := range httpapi.Overloads() {
		m.overloadBy[reason] = m.overloads.WithLabelValues(string(reason))
	}
	m.known.Store(&map[kind]*children{})
	return m
}

func (m *requestMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.requests, m.refusals, m.overloads, m.replays, m.duration, m.inFlight, m.pinLocks}
}

// ExpectOperations lets the operations be seen before their first request, and before
// their first error of ours: the first one of a counter that is not there yet is no
// increase.
func (m *Metrics) ExpectOperations(operations []string) {
	for _, operation := range operations {
		m.requests.of(kind{operation: operation, status: http.StatusOK})
		m.requests.of(kind{operation: operation, status: http.StatusInternalServerError, code: string(api.ErrorCodeInternal)})
	}
}

// begin counts a request in.
func (m *requestMetrics) begin(r *http.Request, _ httpapi.Route) context.Context {
	m.inFlight.Inc()
	return r.Context()
}

// end counts a request out.
func (m *requestMetrics) end(_ context.Context, a httpapi.Answered) {
	m.inFlight.Dec()
	c := m.of(kind{operation: a.Operation, code: a.Code, status: a.Status})
	c.requests.Inc()
	c.duration.Observe(a.Took.Seconds())
	if c.refusals != nil {
		c.refusals.Inc()
	}
	if a.Replayed {
		c.replays.Inc()
	}
	if a.LockedPIN {
		m.pinLocks.Inc()
	}
	if reason, given := m.overloadBy[a.Overload]; given {
		reason.Inc()
	}
}

func (m *requestMetrics) of(k kind) *children {
	if c, known := (*m.known.Load())[k]; known {
		return c
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	more := maps.Clone(*m.known.Load())
	if c, known := more[k]; known { // another request was first
		return c
	}
	c := &children{
		requests: m.requests.WithLabelValues(k.operation, strconv.Itoa(k.status)),
		replays:  m.replays.WithLabelValues(k.operation),
		duration: m.duration.WithLabelValues(k.operation),
	}
	if k.code != "" {
		c.refusals = m.refusals.WithLabelValues(k.operation, k.code)
	}
	more[k] = c
	m.known.Store(&more)
	return c
}
