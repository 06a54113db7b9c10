package observe

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kortwallet/kort/pkg/posting"
)

// maxBatchExponent makes 2^14 the largest bucket of batch sizes, above the largest
// batch that can be configured.
const maxBatchExponent = 14

// writeMetrics are what is counted on the write path.
type writeMetrics struct {
	wait, batch prometheus.Histogram
	attempts    *prometheus.HistogramVec
	// attemptsBy are the children of attempts.
	attemptsBy map[posting.Outcome]prometheus.Observer
}

func newWriteMetrics() *writeMetrics {
	m := &writeMetrics{
		wait: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "kort_posting_queue_wait_seconds",
			Help:    "Time that an operation waited in the queue before a committer took it.",
			Buckets: latencyBuckets(),
		}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "kort_posting_batch_operations",
			Help:    "Operations that a committer took at once, to commit them together.",
			Buckets: prometheus.ExponentialBuckets(1, 2, maxBatchExponent+1),
		}),
		attempts: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kort_posting_commit_seconds",
			Help: "Time of an attempt to commit a batch, from the begin of its transaction to the end of its commit, by the outcome. " +
				"After a conflict or an outage it is tried again.",
			Buckets: latencyBuckets(),
		}, []string{"outcome"}),
		attemptsBy: map[posting.Outcome]prometheus.Observer{},
	}
	for _, outcome := range posting.Outcomes() {
		m.attemptsBy[outcome] = m.attempts.WithLabelValues(string(outcome))
	}
	return m
}

func (m *writeMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.wait, m.batch, m.attempts}
}

func (m *writeMetrics) taken(operations []posting.Waited) context.Context {
	m.batch.Observe(float64(len(operations)))
	for i := range operations {
		m.wait.Observe(operations[i].Queued.Seconds())
	}
	return context.Background()
}

func (m *writeMetrics) attempted(_ context.Context, a posting.Attempt) {
	m.attemptsBy[a.Outcome].Observe(a.Took.Seconds())
}

// WatchQueue shows how full the queue of operations is, and how much it may hold.
func (m *Metrics) WatchQueue(waiting, limit func() int) {
	gauge := func(name, help string, value func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
	}
	m.registry.MustRegister(
		gauge("kort_posting_queue_depth", "Operations that wait for a commit now.", waiting),
		gauge("kort_posting_queue_limit", "Operations that may wait; more are refused as overloaded.", limit),
	)
}
