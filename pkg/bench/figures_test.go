package bench

import (
	"math"
	"testing"
	"time"
)

// latenciesTo makes 1 ms … n ms, the longest first.
func latenciesTo(n int) []time.Duration {
	all := make([]time.Duration, n)
	for i := range all {
		all[i] = time.Duration(n-i) * time.Millisecond
	}
	return all
}

func TestFigures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		n                        int
		p50, p95, p99, p999, max float64 // ms
	}{
		{1, 1, 1, 1, 1, 1},
		{2, 1, 2, 2, 2, 2},
		{3, 2, 3, 3, 3, 3},
		{100, 50, 95, 99, 100, 100},
		{101, 51, 96, 100, 101, 101},
		{1000, 500, 950, 990, 999, 1000},
		{10000, 5000, 9500, 9900, 9990, 10000},
	}
	for _, test := range tests {
		f := figuresOf(latenciesTo(test.n), 2*time.Second)
		want := Figures{
			Requests: test.n, Seconds: 2, PerSecond: float64(test.n) / 2,
			P50Micros: test.p50 * 1000, P95Micros: test.p95 * 1000, P99Micros: test.p99 * 1000, P999Micros: test.p999 * 1000, MaxMicros: test.max * 1000,
		}
		if f != want {
			t.Errorf("%d latencies:\n got %+v\nwant %+v", test.n, f, want)
		}
	}
	if f := figuresOf(nil, time.Second); f != (Figures{}) {
		t.Errorf("no latencies: %+v", f)
	}
}

func TestPercentileIsNotRoundedUp(t *testing.T) {
	t.Parallel()
	sorted := make([]time.Duration, 100)
	for i := range sorted {
		sorted[i] = time.Duration(i + 1)
	}
	for percent := 1; percent <= 100; percent++ {
		if got := percentile(sorted, float64(percent)/100); got != time.Duration(percent) {
			t.Errorf("p%d of 1 … 100 is %d", percent, got)
		}
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	runs := []Figures{
		{Requests: 10, Seconds: 1, PerSecond: 30, P50Micros: 1, P99Micros: 9, MaxMicros: 50, ServerCPUMicros: 3, PeakBytes: 5},
		{Requests: 20, Seconds: 2, PerSecond: 10, P50Micros: 3, P99Micros: 7, MaxMicros: 90, ServerCPUMicros: 1, PeakBytes: 9},
		{Requests: 30, Seconds: 3, PerSecond: 20, P50Micros: 2, P99Micros: 8, MaxMicros: 10, ServerCPUMicros: 2, PeakBytes: 7},
	}
	want := Figures{Requests: 60, Seconds: 6, PerSecond: 20, P50Micros: 2, P99Micros: 8, MaxMicros: 90, ServerCPUMicros: 2, PeakBytes: 9}
	if got := median(runs); got != want {
		t.Errorf("of three:\n got %+v\nwant %+v", got, want)
	}
	if got := median(runs[:2]); got.PerSecond != 20 || got.P50Micros != 2 {
		t.Errorf("of two: %+v", got)
	}
	if got := median(runs[:1]); got != runs[0] {
		t.Errorf("of one: %+v", got)
	}
}

func TestUsageBecomesFigures(t *testing.T) {
	t.Parallel()
	before := usages{server: usage{cpu: time.Second}, client: usage{cpu: 2 * time.Second}}
	after := usages{server: usage{cpu: 3 * time.Second, peakBytes: 7}, client: usage{cpu: 3 * time.Second}}
	f := Figures{Requests: 1000}
	f.add(before, after)
	if f.ServerCPUMicros != 2000 || f.ClientCPUMicros != 1000 || f.PeakBytes != 7 {
		t.Errorf("got %+v", f)
	}
	var none Figures
	none.add(before, after)
	if math.IsInf(none.ServerCPUMicros, 0) || none != (Figures{}) {
		t.Errorf("without requests: %+v", none)
	}
}
