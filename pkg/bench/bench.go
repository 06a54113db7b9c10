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

// longestRest bounds the pause before a window.
const longestRest = time.Second

// Options say what to measure. All fields but PostgresURL, Dir, Version and Observe
// are required; the sizes of parts that are not asked for do not matter.
type Options struct {
	// Engines are measured one after the other.
	Engines []Engine
	// PostgresURL is a postgres:// URL whose user may create databases. A database is
	// made there and dropped afterwards; no other is touched.
	PostgresURL string
	// PostgresSettings are what the report says that this server was started with.
	PostgresSettings []string
	// Dir is where the temporary data goes; empty for the system's directory.
	Dir string
	// Server starts the server to measure.
	Server Program
	// Connections send requests at the same time.
	Connections int
	// Cards is how many cards there are.
	Cards int
	// Accounts is over how many accounts of a few cards the requests are spread.
	Accounts int
	// Parts are what to measure.
	Parts []Part
	// ListCards is how many cards an account has whose cards are listed.
	ListCards int
	// HistoryTxns is how many transactions a card has whose history is listed.
	HistoryTxns int
	// OverloadConnections is how many connections offer more than the server can take.
	// It refuses only what does not fit into its queue, so they have to be more than
	// that is long.
	OverloadConnections int
	// GrowthCards and GrowthTxns are the size of the largest database.
	GrowthCards, GrowthTxns int
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
		PostgresSettings: o.PostgresSettings,
	}
	clock := &stopwatch{observe: o.Observe, total: o.total()}
	for _, engine := range o.Engines {
		b := benchmark{Options: o, engine: engine, clock: clock, report: &report}
		if err := b.run(ctx); err != nil {
			if ctx.Err() != nil { // whatever broke then, broke because of it
				return Report{}, ctx.Err()
			}
			return Report{}, fmt.Errorf("measure %s: %w", engine, err)
		}
	}
	report.sortRows()
	return report, nil
}

// warmUp is the length of the window that is not measured.
func (o Options) warmUp() time.Duration { return min(o.Duration, longestWarmUp) }

// total is the time of all windows.
func (o Options) total() time.Duration {
	series := 0
	for _, engine := range o.Engines {
		b := benchmark{Options: o, engine: engine}
		for _, g := range b.wanted(&stage{}) {
			series += len(g)
		}
		if o.wants(PartLone) {
			series += len(b.loneSeries(nil, nil))
		}
		if b.measuresEdge() {
			series += len(b.edgeSeries(nil, nil))
		}
		if o.wants(PartOverload) {
			series += len(b.capacitySeries(nil))
		}
		if o.wants(PartGrowth) {
			series += growthWindows * len(o.growthSizes())
		}
	}
	return time.Duration(series) * (o.warmUp() + time.Duration(o.Runs)*o.Duration)
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
	report *Report
}

// run measures all parts that were asked for.
func (b *benchmark) run(ctx context.Context) error {
	for _, step := range []struct {
		wanted bool
		run    func(context.Context) error
	}{
		{len(b.wanted(&stage{})) > 0, b.runThroughput},
		{b.wants(PartLone), b.runLone},
		{b.measuresEdge(), b.runEdge},
		{b.wants(PartFootprint) && b.engine == SQLite, b.runColdStart},
		{b.wants(PartLists, PartHistory), b.runLists},
		{b.wants(PartOverload), b.runOverload},
		{b.wants(PartGrowth), b.runGrowth},
	} {
		if !step.wanted {
			continue
		}
		if err := step.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// withDatabase makes a database for something and removes it afterwards.
func (b *benchmark) withDatabase(ctx context.Context, use func(*database) error) (err error) {
	b.tell("create a database")
	db, err := b.createDatabase(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.remove(ctx)) }()
	return use(db)
}

// withServer starts a server and stops it afterwards.
func (b *benchmark) withServer(ctx context.Context, db *database, r request, use func(*server) error) (err error) {
	b.tell("start the server")
	s, err := b.Server.start(ctx, db, r)
	if err != nil {
		return err
	}
	defer func() { err = s.stopped(err) }()
	return use(s)
}

// withLoad connects to a server, and creates the cards where there are none.
func (b *benchmark) withLoad(ctx context.Context, s *server, use func(*load) error) (err error) {
	l, err := newLoad(ctx, s, b.Cards)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	phase := fmt.Sprintf("create %d cards", b.Cards)
	b.tell(phase)
	if err := l.createCards(ctx, len(l.tills), b.watch(phase, 0)); err != nil {
		return err
	}
	return use(l)
}

// watcher is told how many requests a phase has sent in how much time.
type watcher func(requests int64, elapsed time.Duration)

// series is a row of windows of one kind.
type series struct {
	name, title string
	// baseline names the series that this one is compared with; a baseline has none.
	baseline string
	// kort tells that the server is measured, and not what it is compared with.
	kort   bool
	window measuring
}

// measuring is one window: it lasts as long as it is told, and says what happened.
type measuring = func(context.Context, time.Duration, watcher) (Figures, error)

// measure warms up and then measures the windows of some series, in turns: what
// disturbs the machine for a while disturbs both sides of a comparison.
func (b *benchmark) measure(ctx context.Context, all []series) ([]Result, error) {
	results := make([]Result, len(all))
	for run := range b.Runs + 1 {
		for i, s := range all {
			results[i].Name, results[i].Title, results[i].Baseline = s.name, s.title, s.baseline
			length, phase := b.Duration, fmt.Sprintf("%s, run %d of %d", s.title, run, b.Runs)
			if run == 0 {
				length, phase = b.warmUp(), s.title+", warm-up"
			}
			b.tell(phase)
			if err := b.rest(ctx, length); err != nil {
				return nil, err
			}
			figures, err := s.window(ctx, length, b.watch(phase, length))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.title, err)
			}
			b.clock.done += length
			if run > 0 {
				results[i].Runs = append(results[i].Runs, figures)
			}
		}
	}
	for i := range results {
		results[i].Median = median(results[i].Runs)
	}
	return results, nil
}

// rest is a pause, in which the machine ends what the window before has left behind. Right
// after 64 clients of pgbench have hung up, the first requests of the next window take up
// to half a second, reads as well.
func (b *benchmark) rest(ctx context.Context, length time.Duration) error {
	select {
	case <-time.After(min(length, longestRest)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tell reports the start of a phase.
func (b *benchmark) tell(phase string) { b.clock.tell(string(b.engine)+": "+phase, 0, 0) }

// watch reports how a phase goes on that counts for so much time of measuring.
func (b *benchmark) watch(phase string, length time.Duration) watcher {
	return func(requests int64, elapsed time.Duration) {
		b.clock.tell(string(b.engine)+": "+phase, float64(requests)/elapsed.Seconds(), min(elapsed, length))
	}
}
