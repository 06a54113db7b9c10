package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Engine is a database that a server can be measured on.
type Engine string

// The engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// longestWarmUp bounds what comes before the first measured window; shorter windows
// have a warm-up of their own length.
const longestWarmUp = 2 * time.Second

// Options say what to measure. All fields but PostgresURL, Dir, Version and Observe
// are required.
type Options struct {
	// Engines are measured one after the other.
	Engines []Engine
	// PostgresURL is a postgres:// URL whose user may create databases. A database is
	// made there and dropped afterwards; no other is touched.
	PostgresURL string
	// Dir is where the temporary data goes; empty for the system's directory.
	Dir string
	// Server starts the server to measure.
	Server Program
	// Connections send requests at the same time.
	Connections int
	// Cards is how many cards there are.
	Cards int
	// Runs is how many windows of each workload are measured.
	Runs int
	// Duration is the length of a window.
	Duration time.Duration
	// Version is what the report calls the program.
	Version string
	// Observe, when set, is told how far the benchmark has come: at the start of each
	// phase and a few times a second, always by the goroutine that called Run.
	Observe func(Progress)
}

// Progress says how far a benchmark has come.
type Progress struct {
	// Phase is for people.
	Phase string
	// Rate is the requests per second so far in this phase; 0 where none are sent.
	Rate float64
	// Done and Total are times of measuring. What comes before and after the
	// measuring is not counted.
	Done, Total time.Duration
}

// Run measures each engine. With an error there are no figures: the context ended, a
// request failed, or the database is not what the answers said.
func Run(ctx context.Context, o Options) (Report, error) {
	machine, err := thisMachine(o.Dir)
	if err != nil {
		return Report{}, err
	}
	report := Report{
		Version: o.Version, Started: time.Now().UTC(), Machine: machine,
		Connections: o.Connections, Cards: o.Cards, RunSeconds: o.Duration.Seconds(), RunCount: o.Runs,
	}
	clock := &stopwatch{observe: o.Observe, total: o.total()}
	for _, engine := range o.Engines {
		b := benchmark{Options: o, engine: engine, clock: clock}
		result, err := b.run(ctx)
		if err != nil {
			if ctx.Err() != nil { // whatever broke then, broke because of it
				return Report{}, ctx.Err()
			}
			return Report{}, fmt.Errorf("measure %s: %w", engine, err)
		}
		report.Engines = append(report.Engines, result)
	}
	return report, nil
}

// warmUp is the length of the window that is not measured.
func (o Options) warmUp() time.Duration { return min(o.Duration, longestWarmUp) }

// total is the time of all windows: each workload's and the baseline's.
func (o Options) total() time.Duration {
	series := o.warmUp() + time.Duration(o.Runs)*o.Duration
	return time.Duration(len(o.Engines)*(len(workloads(o.Cards))+1)) * series
}

// stopwatch keeps the time of a whole benchmark and passes it on.
type stopwatch struct {
	observe     func(Progress)
	total, done time.Duration
}

// tell reports a phase of which some time has passed that is not yet among the done.
func (s *stopwatch) tell(phase string, rate float64, elapsed time.Duration) {
	if s.observe != nil {
		s.observe(Progress{Phase: phase, Rate: rate, Done: s.done + elapsed, Total: s.total})
	}
}

// benchmark is the measuring of one engine.
type benchmark struct {
	Options
	engine Engine
	clock  *stopwatch
}

// run makes a database, measures a server on it, checks what it left behind and only
// then believes it.
func (b *benchmark) run(ctx context.Context) (result EngineResult, err error) {
	b.tell("create a database")
	db, err := b.createDatabase(ctx)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, db.remove(ctx)) }()
	if result, err = db.describe(ctx); err != nil {
		return result, err
	}
	var acknowledged int64
	if result.Workloads, acknowledged, err = b.measureServer(ctx, db); err != nil {
		return result, err
	}
	b.tell("audit the database")
	if result.Transactions, err = db.audit(ctx, acknowledged); err != nil {
		return result, err
	}
	if result.Baseline, err = b.measureBaseline(ctx, db); err != nil {
		return result, err
	}
	result.compare()
	return result, nil
}

// measureServer runs all workloads against one server, and returns how many
// transactions it acknowledged.
func (b *benchmark) measureServer(ctx context.Context, db *database) (results []Result, acknowledged int64, err error) {
	b.tell("start the server")
	s, err := b.Server.start(ctx, db, b.Connections)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = s.stopped(err) }()
	l, err := newLoad(ctx, s, b.Cards)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	phase := fmt.Sprintf("create %d cards", b.Cards)
	b.tell(phase)
	if err := l.createCards(ctx, b.watch(phase, 0)); err != nil {
		return nil, 0, err
	}
	if err := db.settle(ctx); err != nil {
		return nil, 0, err
	}
	for _, w := range workloads(b.Cards) {
		result, err := b.measure(w.name, w.title, func(d time.Duration, watch watcher) (Figures, error) {
			return l.window(ctx, w, d, watch)
		})
		if err != nil {
			return nil, 0, err
		}
		result.transactions = w.transactions
		results = append(results, result)
	}
	return results, l.acknowledged(), nil
}

// watcher is told how many requests a phase has sent in how much time.
type watcher func(requests int64, elapsed time.Duration)

// measure warms up and then measures the windows of a workload.
func (b *benchmark) measure(name, title string, window func(time.Duration, watcher) (Figures, error)) (Result, error) {
	result := Result{Name: name, Title: title}
	for i := range b.Runs + 1 {
		length, phase := b.Duration, fmt.Sprintf("%s, run %d of %d", title, i, b.Runs)
		if i == 0 {
			length, phase = b.warmUp(), title+", warm-up"
		}
		b.tell(phase)
		figures, err := window(length, b.watch(phase, length))
		if err != nil {
			return result, fmt.Errorf("%s: %w", title, err)
		}
		b.clock.done += length
		if i > 0 {
			result.Runs = append(result.Runs, figures)
		}
	}
	result.Median = median(result.Runs)
	return result, nil
}

// tell reports the start of a phase.
func (b *benchmark) tell(phase string) { b.clock.tell(string(b.engine)+": "+phase, 0, 0) }

// watch reports how a phase goes on that counts for so much time of measuring.
func (b *benchmark) watch(phase string, length time.Duration) watcher {
	return func(requests int64, elapsed time.Duration) {
		b.clock.tell(string(b.engine)+": "+phase, float64(requests)/elapsed.Seconds(), min(elapsed, length))
	}
}
