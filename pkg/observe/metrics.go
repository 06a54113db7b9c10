package observe

import (
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Path is where the metrics are, on an address of their own.
const Path = "/metrics"

const (
	// maxScrapes bounds how many scrapers are answered at once.
	maxScrapes = 4
	// scrapeTimeout bounds how long a scrape may take.
	scrapeTimeout = 10 * time.Second
)

// Build is what is known of the program.
type Build struct{ Version, Commit string }

// Metrics are the metrics of one server. They are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	requests *requestMetrics
	writes   *writeMetrics
	hooks    *hookMetrics
}

// NewMetrics starts to count, from zero.
func NewMetrics(build Build) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), requests: newRequestMetrics(), writes: newWriteMetrics(), hooks: newHookMetrics()}
	about := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "kort_build_info", Help: "Always 1. The labels say which program this is.",
		ConstLabels: prometheus.Labels{"version": build.Version, "commit": build.Commit, "go_version": runtime.Version()},
	})
	about.Set(1)
	m.registry.MustRegister(about, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(m.requests.collectors()...)
	m.registry.MustRegister(m.writes.collectors()...)
	m.registry.MustRegister(m.hooks.collectors()...)
	return m
}

// Handler serves the metrics at [Path], and nothing else.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+Path, promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelError),
		ErrorHandling:       promhttp.HTTPErrorOnError,
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTimeout,
	}))
	return mux
}

// latencyBuckets are upper bounds in seconds: what a request, a wait or a commit takes
// on a machine with nothing else to do, up to the time limit of a request.
func latencyBuckets() []float64 {
	return []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
}
