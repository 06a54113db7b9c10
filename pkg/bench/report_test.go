package bench

import (
	"strings"
	"testing"
)

func TestReportText(t *testing.T) {
	t.Parallel()
	drawdowns := Result{Title: "drawdown", Baseline: "plain", Median: Figures{
		PerSecond: 12345.6, P50Micros: 4100, P99Micros: 9876, P999Micros: 12000, MaxMicros: 30000, ServerCPUMicros: 81.4, PeakBytes: 64 << 20,
	}}
	reads := Result{Title: "get card", Median: Figures{PerSecond: 9000, P50Micros: 100, P99Micros: 200, P999Micros: 300, MaxMicros: 400}}
	engine := EngineResult{
		Database: "SQLite 3", Durability: "WAL", Workloads: []Result{drawdowns, reads},
		Baselines:    []Result{{Name: "plain", Title: "plain SQL, one drawdown per commit", Median: Figures{PerSecond: 5000, P50Micros: 200}}},
		Transactions: 42,
	}
	engine.compare()
	report := Report{
		Version: "v1", Machine: Machine{Cores: 2, CPU: "EPYC", Filesystem: "ext4"},
		Connections: 64, Cards: 10, RunCount: 3, RunSeconds: 5, Engines: []EngineResult{engine},
		PostgresSettings: []string{"shared_buffers = 2GB", "max_wal_size = 8GB"},
	}
	var text strings.Builder
	if err := report.Write(&text); err != nil {
		t.Fatal(err)
	}
	const want = `kort v1
2 cores, EPYC, temporary data on ext4
connections: 64, cards: 10, runs: 3 of 5s each (medians; max is that of all); load generator on the same machine
PostgreSQL with shared_buffers = 2GB, max_wal_size = 8GB

SQLite 3, WAL
NOT DURABLE: a crash of the machine loses acknowledged transactions, so these figures say little.
                                      requests/s  p50 ms  p99 ms  p99.9 ms  max ms  errors  server CPU µs/request  peak MiB  ÷ baseline
drawdown                                   12346    4.10    9.88     12.00   30.00       0                     81        64        2.47
get card                                    9000    0.10    0.20      0.30    0.40       0                      –         –           –
plain SQL, one drawdown per commit          5000    0.20    0.00      0.00    0.00       0                      –         –           –
42 transactions acknowledged, found in the database, and audited without findings.
`
	if got := text.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
