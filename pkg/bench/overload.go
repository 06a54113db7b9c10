package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// overloadFactor is how much more is offered than the server can take.
	overloadFactor = 3
	// paceInterval is how often the requests that are due are handed out.
	paceInterval = time.Millisecond
	// codeOverloaded is the code of the answer to what was not accepted.
	codeOverloaded = "overloaded"
)

// Targets under overload.
var (
	overloadGoal = Goal{AtLeast: 0.8}
	waitGoal     = Goal{AtMost: 1000}
	refusalGoal  = Goal{AtMost: 100}
)

// errNoRetryAfter says that a refusal leaves the client in the dark.
var errNoRetryAfter = errors.New("a refusal says not when to try again")

// OverloadResult is what one engine did with more requests than it can take.
type OverloadResult struct {
	Engine Engine `json:"engine"`
	// MaxPerSecond is the most that clients got who waited for each answer.
	MaxPerSecond float64 `json:"max_per_second"`
	// Connections is how many requests could be under way.
	Connections int `json:"connections"`
	// The medians over the runs.
	Wanted   float64 `json:"offered_per_second_wanted"`
	Offered  float64 `json:"offered_per_second"`
	Accepted Figures `json:"accepted"`
	Refused  Figures `json:"refused"`
	// What was resident before, with all connections open, and at most.
	ResidentBefore, ResidentPeak int64
}

// runOverload finds the capacity with clients that wait for their answers, and then
// offers three times as many requests, by the clock and not by the answers.
func (b *benchmark) runOverload(ctx context.Context) error {
	return b.withDatabase(ctx, func(db *database) error {
		result := OverloadResult{Engine: b.engine, Connections: b.OverloadConnections}
		var acknowledged int64
		quiet := request{tokens: b.Connections, flags: []string{"--quiet"}}
		err := b.withServer(ctx, db, quiet, func(s *server) error {
			const waiting = 16 // times the connections, at most
			err := b.withClients(ctx, s, waiting*b.Connections, &acknowledged, func(l *load) error {
				if err := l.createCards(ctx, b.Connections, unobserved); err != nil {
					return err
				}
				if err := db.settle(ctx); err != nil {
					return err
				}
				return b.findCapacity(ctx, l, &result)
			})
			if err != nil {
				return err
			}
			return b.withClients(ctx, s, b.OverloadConnections, &acknowledged, func(l *load) error {
				for _, t := range l.tills {
					t.number += waiting * b.Connections // no ref_id is used a second time
				}
				return b.overload(ctx, l, &result)
			})
		})
		if err != nil {
			return err
		}
		b.tell("audit the database")
		if _, err := db.audit(ctx, acknowledged); err != nil {
			return err
		}
		b.report.Overload = append(b.report.Overload, result)
		b.report.add(b.Options, result.rows()...)
		return nil
	})
}

// withClients connects so many clients, and adds up what they were acknowledged.
func (b *benchmark) withClients(ctx context.Context, s *server, connections int, acknowledged *int64, use func(*load) error) error {
	l, err := newWideLoad(ctx, s, b.Cards, connections)
	if err != nil {
		return err
	}
	if err = l.greet(ctx); err == nil {
		err = use(l)
	}
	*acknowledged += l.acknowledged()
	return errors.Join(err, l.close())
}

// greet sends a request over each connection: a server does not wait long for a client
// that has never said anything, and what a connection takes in memory is there now.
func (l *load) greet(ctx context.Context) error {
	_, err := l.each(ctx, l.tills, 0, unobserved, func(t *till) error {
		_, err := t.call(http.MethodGet, "/cards?limit=1", nil)
		return err
	})
	return err
}

// unobserved ignores progress.
func unobserved(int64, time.Duration) {}

// capacitySeries are clients that wait for their answers, few and many: where a commit
// is shared, more of them get more.
func (b *benchmark) capacitySeries(l *load) []series {
	var all []series
	for _, tills := range []int{b.Connections, 4 * b.Connections, 16 * b.Connections} {
		w := spreadWorkload(b.Cards)
		w.tills = tills
		all = append(all, series{
			name: w.name, title: fmt.Sprintf("%s, %d connections", w.title, w.tills), kort: true,
			window: func(ctx context.Context, length time.Duration, watch watcher) (Figures, error) {
				return l.window(ctx, w, length, watch)
			},
		})
	}
	return all
}

// findCapacity measures the most that clients get who wait.
func (b *benchmark) findCapacity(ctx context.Context, l *load, result *OverloadResult) error {
	results, err := b.measure(ctx, b.capacitySeries(l))
	if err != nil {
		return err
	}
	for _, r := range results {
		result.MaxPerSecond = max(result.MaxPerSecond, r.Median.PerSecond)
	}
	b.report.keep(b.engine, results)
	return nil
}

// overload measures what is accepted and what is refused.
func (b *benchmark) overload(ctx context.Context, l *load, result *OverloadResult) (err error) {
	result.Wanted = overloadFactor * result.MaxPerSecond
	if result.ResidentBefore, err = resetPeak(l.server.pid()); err != nil {
		return err
	}
	var accepted, refused []Figures
	var offered []float64
	for run := range b.Runs + 1 {
		b.tell(fmt.Sprintf("offer %.0f requests/s, run %d of %d", result.Wanted, run, b.Runs))
		length := b.Duration
		if run == 0 {
			length = b.warmUp()
		}
		good, bad, err := l.offer(ctx, result.Wanted, length)
		if err != nil {
			return err
		}
		if run > 0 {
			accepted, refused = append(accepted, good), append(refused, bad)
			offered = append(offered, good.PerSecond+bad.PerSecond)
		}
	}
	after, err := usageOf(l.server.pid())
	result.ResidentPeak = after.peakBytes
	result.Accepted, result.Refused, result.Offered = median(accepted), median(refused), middleOf(offered)
	return err
}

// offer sends requests at a rate for a time. A request that is due while every
// connection waits for an answer is not sent at all, and nobody waits for one that was
// refused.
func (l *load) offer(ctx context.Context, rate float64, length time.Duration) (accepted, refused Figures, err error) {
	due := make(chan struct{}) // has a receiver only where a connection is free
	var clients sync.WaitGroup
	for _, t := range l.tills {
		t.latencies, t.refusals, t.late, t.deadline = t.latencies[:0], t.refusals[:0], 0, time.Now().Add(length)
		clients.Go(func() {
			for range due {
				if err := t.offered(); err != nil && !t.fail(err) {
					return
				}
			}
		})
	}
	l.hurry(time.Now().Add(length + answerTimeout))
	start := time.Now()
	pace(ctx, due, rate, length)
	close(due)
	elapsed := time.Since(start)
	clients.Wait()
	if err := l.verdict(ctx); err != nil {
		return accepted, refused, err
	}
	var refusals []time.Duration
	late := 0
	for _, t := range l.tills {
		refusals, late = append(refusals, t.refusals...), late+t.late
	}
	accepted, refused = figuresOf(latenciesOf(l.tills), elapsed), figuresOf(refusals, elapsed)
	// What was still in the queue at the end has a latency, but is no throughput.
	accepted.PerSecond = float64(accepted.Requests-late) / elapsed.Seconds()
	return accepted, refused, nil
}

// pace hands out requests as they become due.
func pace(ctx context.Context, due chan<- struct{}, rate float64, length time.Duration) {
	ticker := time.NewTicker(paceInterval)
	defer ticker.Stop()
	start, handed := time.Now(), 0
	for elapsed := time.Duration(0); elapsed < length && ctx.Err() == nil; elapsed = time.Since(start) {
		for ; float64(handed) < rate*elapsed.Seconds(); handed++ {
			select {
			case due <- struct{}{}:
			default: // every connection is busy
			}
		}
		<-ticker.C
	}
}

// offered sends a drawdown that may be refused for want of room.
func (t *till) offered() error {
	err := t.drawdown(anyCard(t))
	if err == nil && time.Now().After(t.deadline) {
		t.late++
	}
	refused, ok := errors.AsType[*refusal](err)
	if !ok || refused.status != http.StatusServiceUnavailable || refused.code != codeOverloaded {
		return err
	}
	if !t.connection.retryAfter {
		return errNoRetryAfter
	}
	last := len(t.latencies) - 1 // call noted it among the others
	t.refusals = append(t.refusals, t.latencies[last])
	t.latencies = t.latencies[:last]
	return nil
}

func (r *OverloadResult) rows() []Row {
	row := func(what string, value float64, unit string, goal Goal) Row {
		return Row{Part: PartOverload, Engine: r.Engine, What: what, Value: value, Unit: unit, Goal: goal}
	}
	compared := func(r Row, baseline string, value float64) Row {
		r.Baseline, r.BaselineValue, r.Ratio = baseline, value, r.Value/value
		return r
	}
	return []Row{
		compared(row("accepted", r.Accepted.PerSecond, "/s", overloadGoal), "most that is accepted from clients that wait", r.MaxPerSecond),
		compared(row(fmt.Sprintf("offered, over %d connections", r.Connections), r.Offered, "/s", Goal{}), "three times that", r.Wanted),
		row("refused, each with a Retry-After", r.Refused.PerSecond, "/s", Goal{}),
		row("p99 of what is accepted", r.Accepted.P99Micros/1000, " ms", waitGoal),
		row("p99 of what is refused", r.Refused.P99Micros/1000, " ms", refusalGoal),
		compared(row("resident memory, at most", float64(r.ResidentPeak)/megabyte, " MB", Goal{AtMost: 1.5}), "before", float64(r.ResidentBefore)/megabyte),
	}
}
