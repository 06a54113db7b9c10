package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kortwallet/kort/pkg/pgtest"
)

// What became of a mutant. One that does not compile is not counted.
const (
	killed    = "KILLED"
	timedOut  = "TIMED OUT"
	survived  = "SURVIVED"
	notViable = "NOT VIABLE"
)

// tally counts the mutants of one package.
type tally struct {
	mu          sync.Mutex
	count       map[string]int
	unexplained int
}

func (t *tally) killed() int  { return t.count[killed] + t.count[timedOut] }
func (t *tally) counted() int { return t.killed() + t.count[survived] }

func (t *tally) percent() float64 {
	return 100 * float64(t.killed()) / float64(max(t.counted(), 1))
}

func (t *tally) String() string {
	return fmt.Sprintf("%d of %d killed (%.1f %%; %d by time), %d survived, %d of them without a reason; %d did not compile",
		t.killed(), t.counted(), t.percent(), t.count[timedOut], t.count[survived], t.unexplained, t.count[notViable])
}

// pkg is a package on trial.
type pkg struct {
	options
	dir string
	// stages are the ways to run its tests, the quicker ones first.
	stages []stage
}

// stage is an environment, and the time after which a mutant's tests are ended in it.
type stage struct {
	env   []string
	limit time.Duration
}

// longestTrial bounds the tests without a mutant.
const longestTrial = 10 * time.Minute

// try runs the mutants of one package.
func (o options) try(dir string) (*tally, error) {
	p := &pkg{options: o, dir: dir, stages: []stage{{}}}
	onPostgres, err := p.usesPostgres()
	if err != nil {
		return nil, err
	}
	if onPostgres {
		p.stages = []stage{{env: []string{pgtest.EnvPolicy + "=off", pgtest.EnvURL + "="}}, {}}
	}
	for i := range p.stages {
		if err := p.setLimit(&p.stages[i]); err != nil {
			return nil, err
		}
	}
	found, err := p.mutants()
	if err != nil {
		return nil, err
	}
	t := &tally{count: map[string]int{}}
	var group errgroup.Group
	group.SetLimit(max(o.jobs, 1))
	for _, m := range found {
		group.Go(func() error { return p.judge(m, t) })
	}
	return t, group.Wait()
}

// setLimit runs the tests without a mutant, and lets them take much longer with one.
func (p *pkg) setLimit(s *stage) error {
	start := time.Now()
	if result, output := p.run(stage{s.env, longestTrial}, ""); result != survived {
		return fmt.Errorf("%s: the tests fail without a mutant: %s", p.dir, output)
	}
	if s.limit = p.limit; s.limit == 0 {
		s.limit = 10*time.Second + 10*time.Since(start)
	}
	return nil
}

// usesPostgres tells whether a second run of the package's tests makes a difference.
func (p *pkg) usesPostgres() (bool, error) {
	if os.Getenv(pgtest.EnvURL) == "" {
		return false, nil
	}
	names, err := filepath.Glob(filepath.Join(p.dir, "*_test.go"))
	if err != nil {
		return false, err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return false, err
		}
		if strings.Contains(string(text), "/pkg/pgtest\"") {
			return true, nil
		}
	}
	return false, nil
}

// mutants returns those of the package that --only matches.
func (p *pkg) mutants() ([]mutant, error) {
	names, err := filepath.Glob(filepath.Join(p.dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var chosen []mutant
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		found, err := mutants(name, source)
		if err != nil {
			return nil, err
		}
		for _, m := range found {
			if p.only.MatchString(fmt.Sprintf("%s:%d:", m.file, m.line)) {
				chosen = append(chosen, m)
			}
		}
	}
	return chosen, nil
}

// judge tries one mutant and counts the result.
func (p *pkg) judge(m mutant, t *tally) error {
	overlay, err := m.overlay()
	if err != nil {
		return err
	}
	result := p.test(overlay)
	if err := os.RemoveAll(filepath.Dir(overlay)); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count[result]++
	reason := p.accepted[m.key()]
	if result == survived && reason == "" {
		t.unexplained++
	}
	if p.verbose || result == survived {
		fmt.Printf("%s line %d of %s # %s\n", result, m.line, m.key(), reason)
	}
	return nil
}

// overlay writes the mutant and the file that tells go of it, in a new directory.
func (m mutant) overlay() (string, error) {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return "", err
	}
	original, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	text := string(m.source[:m.start]) + m.text + string(m.source[m.end:])
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

// test says what the tests make of a mutant. A later stage sees only what survived the
// ones before it.
func (p *pkg) test(overlay string) string {
	for _, s := range p.stages {
		if result, _ := p.run(s, overlay); result != survived {
			return result
		}
	}
	return survived
}

// run runs the tests once, and returns what they printed.
func (p *pkg) run(s stage, overlay string) (result, output string) {
	args := []string{"test", "-failfast", "-count=1", "-vet=off", "-timeout", s.limit.String(), "-overlay", overlay}
	if p.short {
		args = append(args, "-short")
	}
	cmd := exec.CommandContext(context.Background(), "go", append(args, p.dir)...) //nolint:gosec // a package of this tree
	cmd.Env = append(os.Environ(), s.env...)
	printed, err := cmd.CombinedOutput()
	return verdict(string(printed), err), string(printed)
}

func verdict(output string, err error) string {
	switch {
	case err == nil:
		return survived
	case strings.Contains(output, "[build failed]"), strings.Contains(output, "[setup failed]"):
		return notViable
	case strings.Contains(output, "panic: test timed out"):
		return timedOut
	}
	return killed
}
