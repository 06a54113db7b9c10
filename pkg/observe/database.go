package observe

import (
	"database/sql"

	"github.com/prometheus/client_golang/prometheus"
)

// poolMetrics show how busy pools of database connections are. What they show is read
// when somebody asks.
type poolMetrics struct {
	stats                          func() map[string]sql.DBStats
	limit, open, used, waits, wait *prometheus.Desc
}

// WatchPools shows pools of connections, each under the name of what it is for.
func (m *Metrics) WatchPools(stats func() map[string]sql.DBStats) {
	describe := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, []string{"pool"}, nil) }
	m.registry.MustRegister(&poolMetrics{
		stats: stats,
		limit: describe("kort_db_connections_limit", "Connections to the database that there may be."),
		open:  describe("kort_db_connections_open", "Connections to the database that there are."),
		used:  describe("kort_db_connections_in_use", "Connections to the database that are at work."),
		waits: describe("kort_db_connection_waits_total", "How often somebody had to wait for a connection to the database."),
		wait:  describe("kort_db_connection_wait_seconds_total", "Time that was spent waiting for a connection to the database."),
	})
}

// Describe implements prometheus.Collector.
func (m *poolMetrics) Describe(all chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{m.limit, m.open, m.used, m.waits, m.wait} {
		all <- desc
	}
}

// Collect implements prometheus.Collector.
func (m *poolMetrics) Collect(all chan<- prometheus.Metric) {
	for pool, s := range m.stats() {
		gauge := func(desc *prometheus.Desc, value int) {
			all <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), pool)
		}
		gauge(m.limit, s.MaxOpenConnections)
		gauge(m.open, s.OpenConnections)
		gauge(m.used, s.InUse)
		all <- prometheus.MustNewConstMetric(m.waits, prometheus.CounterValue, float64(s.WaitCount), pool)
		all <- prometheus.MustNewConstMetric(m.wait, prometheus.CounterValue, s.WaitDuration.Seconds(), pool)
	}
}
