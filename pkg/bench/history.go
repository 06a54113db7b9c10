package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/kortwallet/kort/pkg/config"
)

// Targets of the history part.
var (
	firstByteGoal = Goal{AtMost: 50}
	flatGoal      = Goal{AtMost: 16}
	verifyGoal    = Goal{AtLeast: 200_000}
)

// measureHistory lists a long history: how long until something comes, and how much
// memory that takes.
func (b *benchmark) measureHistory(ctx context.Context, s *server, t *till) error {
	var first []time.Duration
	var growth int64
	path := "/cards/" + historyCard + "/transactions"
	for run := range b.Runs + 1 {
		b.tell(fmt.Sprintf("list %d transactions of one card, run %d of %d", b.HistoryTxns, run, b.Runs))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		before, err := resetPeak(s.pid())
		if err != nil {
			return err
		}
		answer, err := t.call(http.MethodGet, path, nil)
		if err != nil {
			return fmt.Errorf("list a long history: %w", err)
		}
		if got := strings.Count(string(answer), `"ref_id":`); got != b.HistoryTxns {
			return fmt.Errorf("%w: %d of %d transactions are listed", errLost, got, b.HistoryTxns)
		}
		after, err := usageOf(s.pid())
		if err != nil {
			return err
		}
		growth = max(growth, after.peakBytes-before) // the first time it grows most
		if run > 0 {                                 // the first time warms up
			first = append(first, t.connection.firstByte)
		}
	}
	slices.Sort(first)
	what := fmt.Sprintf("%d transactions of one card: ", b.HistoryTxns)
	b.report.add(b.Options, Row{
		Part: PartHistory, Engine: b.engine, What: what + "first byte", Value: micros(percentile(first, 0.5)) / 1000, Unit: " ms", Goal: firstByteGoal,
	}, Row{
		Part: PartHistory, Engine: b.engine, What: what + "most memory more while it is sent", Value: float64(growth) / megabyte, Unit: " MB", Goal: flatGoal,
	})
	return nil
}

// measureVerify runs the command that verifies a database.
func (b *benchmark) measureVerify(ctx context.Context, db *database, txns int64) error {
	var times []time.Duration
	var peak int64
	for run := range b.Runs {
		b.tell(fmt.Sprintf("verify %d transactions, run %d of %d", txns, run+1, b.Runs))
		elapsed, bytes, err := b.Server.verify(ctx, db)
		if err != nil {
			return err
		}
		times, peak = append(times, elapsed), max(peak, bytes)
	}
	slices.Sort(times)
	b.report.add(b.Options, Row{
		Part: PartHistory, Engine: b.engine, What: fmt.Sprintf("kort verify of %d transactions", txns),
		Value: float64(txns) / percentile(times, 0.5).Seconds(), Unit: "/s", Goal: verifyGoal,
	}, Row{
		Part: PartHistory, Engine: b.engine, What: "its peak of memory", Value: float64(peak) / megabyte, Unit: " MB",
	})
	return nil
}

// verify runs the command on a database. It fails if the command has findings.
func (p Program) verify(ctx context.Context, db *database) (elapsed time.Duration, peakBytes int64, err error) {
	args := []string{"verify"}
	command := exec.CommandContext(ctx, p.Path, append(args, "--data-dir", db.dir)...) //nolint:gosec // the caller's own program
	command.Env = slices.Clone(p.Env)
	if db.url != "" {
		command.Env = append(command.Env, config.EnvOf("database-url")+"="+db.url)
	}
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	start := time.Now()
	if err := command.Start(); err != nil {
		return 0, 0, fmt.Errorf("verify: %w", err)
	}
	peak := watchPeak(command.Process.Pid)
	err = command.Wait()
	elapsed, peakBytes = time.Since(start), peak()
	if err != nil {
		return 0, 0, errors.Join(fmt.Errorf("verify: %w: %s", err, strings.TrimSpace(said.String())), ctx.Err())
	}
	return elapsed, peakBytes, nil
}

// watchPeak looks at the most memory that was resident in a process until it is asked
// for it. What the operating system says about an ended child will not do: it counts the
// memory of the parent, from which the child has split off.
func watchPeak(pid int) (peak func() int64) {
	const interval = 20 * time.Millisecond
	stop, last := make(chan struct{}), make(chan int64)
	go func() {
		var most int64
		for {
			if u, err := usageOf(pid); err == nil { // there is none once it has ended
				most = max(most, u.peakBytes)
			}
			select {
			case <-time.After(interval):
			case <-stop:
				last <- most
				return
			}
		}
	}()
	return func() int64 {
		close(stop)
		return <-last
	}
}

// resetPeak makes the most memory that was resident be counted anew, and returns what
// is resident now. Where the operating system has no procfs it does nothing.
func resetPeak(pid int) (resident int64, err error) {
	const resetPeakOnly = "5"
	path := fmt.Sprintf("/proc/%d/clear_refs", pid)
	if err := os.WriteFile(path, []byte(resetPeakOnly), 0); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return 0, nil
		}
		return 0, fmt.Errorf("reset the peak of memory: %w", err)
	}
	u, err := usageOf(pid)
	return u.peakBytes, err
}
