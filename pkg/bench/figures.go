package bench

import (
	"math"
	"slices"
	"time"
)

// Figures are what a window showed. Latencies are exact: each one is kept, and a
// percentile is the smallest latency that so many per cent of all do not exceed.
type Figures struct {
	Requests int     `json:"requests"`
	Seconds  float64 `json:"seconds"` // from the first request to the last answer

	PerSecond float64 `json:"requests_per_second"`
	// MeanMicros stands for the percentiles where nothing else is known.
	MeanMicros float64 `json:"mean_us,omitempty"`
	P50Micros  float64 `json:"p50_us"`
	P95Micros  float64 `json:"p95_us"`
	P99Micros  float64 `json:"p99_us"`
	P999Micros float64 `json:"p99_9_us"`
	MaxMicros  float64 `json:"max_us"`
	// Errors is always 0 in a report: one failed request, and there is none.
	Errors int `json:"errors"`

	// What the operating system noted about the server and the load generator, in
	// microseconds of processor time for each request and in bytes. They are 0 where
	// it cannot be asked, and for a baseline, which has no server.
	ServerCPUMicros float64 `json:"server_cpu_us_per_request,omitempty"`
	ClientCPUMicros float64 `json:"client_cpu_us_per_request,omitempty"`
	// PeakBytes is the most memory that was resident since the server's start.
	PeakBytes float64 `json:"server_peak_memory_bytes,omitempty"`
}

// figuresOf sorts the latencies and sums them up.
func figuresOf(latencies []time.Duration, elapsed time.Duration) Figures {
	if len(latencies) == 0 || elapsed <= 0 {
		return Figures{}
	}
	slices.Sort(latencies)
	return Figures{
		Requests:   len(latencies),
		Seconds:    elapsed.Seconds(),
		PerSecond:  float64(len(latencies)) / elapsed.Seconds(),
		P50Micros:  micros(percentile(latencies, 0.50)),
		P95Micros:  micros(percentile(latencies, 0.95)),
		P99Micros:  micros(percentile(latencies, 0.99)),
		P999Micros: micros(percentile(latencies, 0.999)),
		MaxMicros:  micros(latencies[len(latencies)-1]),
	}
}

// percentile is the nearest rank in what is sorted and not empty.
func percentile(sorted []time.Duration, share float64) time.Duration {
	// Without the allowance 0.07 × 100 is rounded up to the 8th of 100.
	const allowance = 1e-9
	rank := int(math.Ceil(share*float64(len(sorted)) - allowance))
	return sorted[max(rank, 1)-1]
}

// median takes the median of each figure over the runs, but the worst of what is
// itself a worst case: a longest wait that two runs of three did not see was still
// there. Requests, seconds and errors add up.
func median(runs []Figures) Figures {
	figure := func(of func(Figures) float64) []float64 {
		values := make([]float64, len(runs))
		for i, run := range runs {
			values[i] = of(run)
		}
		return values
	}
	middle := func(of func(Figures) float64) float64 { return middleOf(figure(of)) }
	worst := func(of func(Figures) float64) float64 { return slices.Max(figure(of)) }

	m := Figures{
		PerSecond:       middle(func(f Figures) float64 { return f.PerSecond }),
		MeanMicros:      middle(func(f Figures) float64 { return f.MeanMicros }),
		P50Micros:       middle(func(f Figures) float64 { return f.P50Micros }),
		P95Micros:       middle(func(f Figures) float64 { return f.P95Micros }),
		P99Micros:       middle(func(f Figures) float64 { return f.P99Micros }),
		P999Micros:      middle(func(f Figures) float64 { return f.P999Micros }),
		MaxMicros:       worst(func(f Figures) float64 { return f.MaxMicros }),
		ServerCPUMicros: middle(func(f Figures) float64 { return f.ServerCPUMicros }),
		ClientCPUMicros: middle(func(f Figures) float64 { return f.ClientCPUMicros }),
		PeakBytes:       worst(func(f Figures) float64 { return f.PeakBytes }),
	}
	for _, run := range runs {
		m.Requests += run.Requests
		m.Seconds += run.Seconds
		m.Errors += run.Errors
	}
	return m
}

// middleOf is the median of what is not empty; it sorts the values.
func middleOf(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
