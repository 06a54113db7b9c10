package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	checked = `package m

func Sign(a int) int {
	switch {
	case a < 0:
		return -1
	}
	return 1
}

func Untested(a, b int) bool { return a == b }
`
	test = `package m

import "testing"

func TestSign(t *testing.T) {
	if Sign(-1) != -1 || Sign(0) != 1 || Sign(1) != 1 {
		t.Fail()
	}
}
`
)

// A case condition is tried like any other, and what no test looks at survives, with
// a reason or without.
func TestTry(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"go.mod": "module m\n\ngo 1.24\n", "m.go": checked, "m_test.go": test,
		"reasons": "# why\n\nm/m.go Untested: func Untested(a, b int) bool { return a == b }: == -> != # nobody asks # twice\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	for _, c := range []struct {
		only, accepted                string
		killed, survived, unexplained int
	}{
		{"m.go:5:", "", 3, 0, 0}, {"m.go:11:", "", 0, 1, 1}, {"m.go:11:", "reasons", 0, 1, 0},
	} {
		known, err := readReasons(c.accepted)
		if err != nil {
			t.Fatal(err)
		}
		o := options{only: regexp.MustCompile(c.only), limit: time.Minute, jobs: 2, accepted: known}
		got, err := o.try("../m")
		if err != nil {
			t.Fatal(err)
		}
		if got.killed() != c.killed || got.count[survived] != c.survived || got.unexplained != c.unexplained {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestReasonIsMissing(t *testing.T) {
	name := filepath.Join(t.TempDir(), "reasons")
	if err := os.WriteFile(name, []byte("m/m.go: a < b: < -> <=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readReasons(name); err == nil || !strings.Contains(err.Error(), "reasons:1: no reason") {
		t.Error(err)
	}
}

func TestMutants(t *testing.T) {
	for source, want := range map[string][]string{
		checked: {
			"m.go:5: < -> <=", "m.go:5: < -> >=", "m.go:5: 0 -> (0+1)", "m.go:6: 1 -> (1+1)",
			"m.go:8: 1 -> (1+1)", "m.go:11: == -> !=",
		},
		"package m\n\nfunc Tell(err error) error {\n\tif a ||\n\t\tb {\n\t\treturn err\n\t}\n\treturn Other(err)\n}\n": {
			"m.go:4: a || b -> true || (a || b)", "m.go:4: a || b -> false && (a || b)", "m.go:4: || -> &&", "m.go:6: err -> nil",
		},
	} {
		found, err := mutants("m.go", []byte(source))
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, m := range found {
			texts = append(texts, m.String())
		}
		if !slices.Equal(texts, want) {
			t.Errorf("found %q, want %q", texts, want)
		}
	}
}
