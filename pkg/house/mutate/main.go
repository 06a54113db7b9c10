// Command mutate changes one small thing of a package at a time and looks whether
// its tests notice. The tree stays as it is: `go test -overlay` reads the mutant.
//
//	go run ./pkg/house/mutate --short ./pkg/ledger
//
// It prints each mutant that survived. One that no test can notice, or that is not
// worth a test, is listed with its reason in the file --accepted names; it counts as
// a survivor all the same.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"time"
)

type options struct {
	only     *regexp.Regexp
	limit    time.Duration
	jobs     int
	short    bool
	verbose  bool
	least    float64
	accepted reasons
}

func main() {
	only := flag.String("only", "", "try only mutants whose file:line: matches this expression")
	accepted := flag.String("accepted", "", "file of survivors and their reasons")
	var o options
	flag.DurationVar(&o.limit, "limit", 0, "a mutant whose tests take longer is killed (by default 10 s and ten times what they take without one)")
	flag.IntVar(&o.jobs, "jobs", runtime.NumCPU(), "mutants tried at the same time")
	flag.BoolVar(&o.short, "short", false, "run the tests with -short")
	flag.BoolVar(&o.verbose, "v", false, "print what became of each mutant")
	flag.Float64Var(&o.least, "least", 90, "percentage to kill in each package")
	flag.Parse()
	o.only = regexp.MustCompile(*only)
	if err := o.tryAll(*accepted, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// tryAll tries each package, and fails when one of them was noticed too little or when
// a survivor has no reason.
func (o options) tryAll(accepted string, dirs []string) (err error) {
	if o.accepted, err = readReasons(accepted); err != nil {
		return err
	}
	var failed error
	for _, dir := range dirs {
		t, err := o.try(dir)
		if err != nil {
			return err
		}
		fmt.Printf("%s: %v\n", dir, t)
		if t.percent() < o.least || t.unexplained > 0 && accepted != "" {
			failed = fmt.Errorf("%s: %.1f %% killed (at least %v), %d survivors without a reason", dir, t.percent(), o.least, t.unexplained)
		}
	}
	return failed
}
