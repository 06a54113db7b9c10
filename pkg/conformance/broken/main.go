// Command broken shows that the conformance suite notices a server that breaks a rule:
//
//	go run ./pkg/conformance/broken
//
// It builds the server once with every fault of a list in it, starts it once for each with
// the name of that fault, and once without any, and prints which checks failed.
//
// Non-goals: the tests of the server, for which pkg/house/mutate does the same, and faults
// that only load or a crash would show.
//
// The surprising decision: the wrong servers are this one with a line changed, not a proxy
// that spoils its answers, so that what they do is what such a mistake does, with all that
// follows from it. `go build -overlay` reads the changed lines; the tree stays as it is, and
// no fault can ever be in a server that was not built here.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/kortwallet/kort/pkg/conformance"
)

func main() {
	only := flag.String("only", "", "try only faults whose names match this expression")
	jobs := flag.Int("jobs", runtime.NumCPU(), "servers tried at the same time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, regexp.MustCompile(*only), *jobs); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

var (
	errUnnoticed = errors.New("the suite does not notice every fault")
	errControl   = errors.New("the suite finds faults in a server that has none")
)

// run builds the server and tries the chosen faults.
func run(ctx context.Context, out io.Writer, only *regexp.Regexp, jobs int) (err error) {
	dir, err := os.MkdirTemp("", "kort-broken-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	program, err := build(ctx, dir)
	if err != nil {
		return err
	}
	return judge(ctx, out, program, choose(only), jobs)
}

// judge tries faults and prints the table. The error says whether each was noticed.
func judge(ctx context.Context, out io.Writer, program string, attempts []*attempt, jobs int) error {
	// Without a fault there must be nothing to notice, or the rest would say nothing.
	control, err := try(ctx, program, "", nil)
	if err != nil {
		return err
	}
	if failed := failures(control); len(failed) > 0 {
		return fmt.Errorf("%w: %s", errControl, strings.Join(failed, ", "))
	}
	if err := tryAll(ctx, program, attempts, jobs); err != nil {
		return err
	}
	return write(out, attempts)
}

// attempt is a fault, and which checks noticed it.
type attempt struct {
	fault
	noticedBy []string
	err       error
}

func choose(only *regexp.Regexp) []*attempt {
	var chosen []*attempt
	for _, f := range faults {
		if only.MatchString(f.name) {
			chosen = append(chosen, &attempt{fault: f})
		}
	}
	return chosen
}

// tryAll tries faults, some at the same time.
func tryAll(ctx context.Context, program string, attempts []*attempt, jobs int) error {
	var group sync.WaitGroup
	slots := make(chan struct{}, max(jobs, 1))
	for _, a := range attempts {
		slots <- struct{}{}
		group.Go(func() {
			report, err := try(ctx, program, a.name, nil)
			a.noticedBy, a.err = failures(report), err
			<-slots
		})
	}
	group.Wait()
	var failed error
	for _, a := range attempts {
		failed = errors.Join(failed, a.err)
	}
	return failed
}

// failures are the names of the checks that failed.
func failures(report conformance.Report) []string {
	var names []string
	for _, result := range report.Results {
		if result.Outcome == conformance.Failed {
			names = append(names, result.Check.Name)
		}
	}
	return names
}

// shownChecks is how many checks a line of the table names.
const shownChecks = 4

// write prints a line for each fault, and fails where one was not noticed.
func write(out io.Writer, attempts []*attempt) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "fault\trule broken\tfailed\tchecks")
	noticed := 0
	for _, a := range attempts {
		if len(a.noticedBy) > 0 {
			noticed++
		}
		shown := strings.Join(a.noticedBy[:min(len(a.noticedBy), shownChecks)], " ")
		if more := len(a.noticedBy) - shownChecks; more > 0 {
			shown += fmt.Sprintf(" and %d more", more)
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", a.name, a.rule, len(a.noticedBy), shown)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%d of %d wrong servers were noticed\n", noticed, len(attempts))
	if noticed < len(attempts) {
		return errUnnoticed
	}
	return nil
}
