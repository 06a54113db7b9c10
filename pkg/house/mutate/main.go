// Command mutate changes one small thing of a package at a time and looks whether
// its tests notice. The tree stays as it is: `go test -overlay` reads the mutant.
//
//	go run ./pkg/house/mutate --short ./pkg/ledger
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

type options struct {
	only  *regexp.Regexp
	limit time.Duration
	short bool
	least float64
}

func main() {
	only := flag.String("only", "", "try only mutants whose file:line: matches this expression")
	var o options
	flag.DurationVar(&o.limit, "limit", 2*time.Minute, "a mutant whose tests take longer is killed")
	flag.BoolVar(&o.short, "short", false, "run the tests with -short")
	flag.Float64Var(&o.least, "least", 90, "percentage to kill in each package")
	flag.Parse()
	o.only = regexp.MustCompile(*only)
	code := 0
	for _, dir := range flag.Args() {
		percent, err := o.try(dir)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		if percent < o.least {
			code = 1
		}
	}
	os.Exit(code)
}

// try runs the mutants of one package and returns the percentage killed.
func (o options) try(dir string) (float64, error) {
	if result, output := o.test(dir, ""); result != "SURVIVED" {
		return 0, fmt.Errorf("%s: the tests fail without a mutant: %s", dir, output)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return 0, err
	}
	count := map[string]int{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		if err := o.file(dir, name, count); err != nil {
			return 0, err
		}
	}
	killed := count["KILLED"] + count["TIMED OUT"]
	counted := killed + count["SURVIVED"]
	percent := 100 * float64(killed) / float64(max(counted, 1))
	fmt.Printf("%s: %d of %d killed (%.1f %%), %v\n", dir, killed, counted, percent, count)
	return percent, nil
}

func (o options) file(dir, name string, count map[string]int) error {
	source, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	found, err := mutants(name, source)
	if err != nil {
		return err
	}
	for _, m := range found {
		if !o.only.MatchString(fmt.Sprintf("%s:%d:", m.file, m.line)) {
			continue
		}
		overlay, err := m.overlay(source)
		if err != nil {
			return err
		}
		result, _ := o.test(dir, overlay)
		if err := os.RemoveAll(filepath.Dir(overlay)); err != nil {
			return err
		}
		count[result]++
		fmt.Println(result, m)
	}
	return nil
}

// overlay writes the mutant and the file that tells go of it, in a new directory.
func (m mutant) overlay(source []byte) (string, error) {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return "", err
	}
	original, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	text := string(source[:m.start]) + m.text + string(source[m.end:])
	changed := filepath.Join(dir, "mutant.go")
	if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
		return "", err
	}
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, list, 0o600)
}

// test says what the tests of a package make of a mutant, and what they printed.
func (o options) test(dir, overlay string) (result, output string) {
	args := []string{"test", "-failfast", "-count=1", "-vet=off", "-timeout", o.limit.String(), "-overlay", overlay}
	if o.short {
		args = append(args, "-short")
	}
	printed, err := exec.CommandContext(context.Background(), "go", append(args, dir)...).CombinedOutput() //nolint:gosec // a package of this tree
	output = string(printed)
	switch {
	case err == nil:
		return "SURVIVED", output
	case strings.Contains(output, "[build failed]"), strings.Contains(output, "[setup failed]"):
		return "NOT VIABLE", output
	case strings.Contains(output, "panic: test timed out"):
		return "TIMED OUT", output
	}
	return "KILLED", output
}
