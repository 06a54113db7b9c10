package observe

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kortwallet/kort/pkg/hooks"
)

// hookMetrics are what is counted of webhooks.
type hookMetrics struct {
	attempts *prometheus.CounterVec
	// attemptsBy are the children of attempts.
	attemptsBy map[hooks.Outcome]prometheus.Counter
	lag        prometheus.Histogram
}

// hookLagBuckets go from what a receiver next door takes to the days of the last attempts, in seconds.
func hookLagBuckets() []float64 {
	return []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 4 * 3600, 24 * 3600}
}

func newHookMetrics() *hookMetrics {
	m := &hookMetrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kort_webhook_attempts_total", Help: "Attempts to deliver an event, by the outcome. One that has failed is tried again.",
		}, []string{"outcome"}),
		attemptsBy: map[hooks.Outcome]prometheus.Counter{},
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kort_webhook_lag_seconds", Help: "Time from what an event tells of to its delivery.", Buckets: hookLagBuckets(),
		}),
	}
	for _, outcome := range hooks.Outcomes() {
		m.attemptsBy[outcome] = m.attempts.WithLabelValues(string(outcome))
	}
	return m
}

func (m *hookMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.attempts, m.lag}
}

func (m *hookMetrics) attempted(a hooks.Attempted) {
	m.attemptsBy[a.Outcome].Inc()
	if a.Outcome == hooks.OutcomeDelivered {
		m.lag.Observe(a.Lag.Seconds())
	}
}

// Hooks is for whoever sends events. Without metrics it is nil.
func (w Watch) Hooks() func(hooks.Attempted) {
	if w.Metrics == nil {
		return nil
	}
	return w.Metrics.hooks.attempted
}
