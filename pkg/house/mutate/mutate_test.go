package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
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

// A case condition is tried like any other, and what no test looks at survives.
func TestTry(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module m\n\ngo 1.24\n", "m.go": checked, "m_test.go": test} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	for only, want := range map[string]float64{"m.go:5:": 100, "m.go:11:": 0} {
		o := options{only: regexp.MustCompile(only), limit: time.Minute}
		if percent, err := o.try("."); err != nil || percent != want {
			t.Errorf("%s: %v %% killed, %v; want %v", only, percent, err, want)
		}
	}
}

func TestMutants(t *testing.T) {
	found, err := mutants("m.go", []byte(checked))
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, m := range found {
		texts = append(texts, m.String())
	}
	want := []string{
		"m.go:5: < -> <=", "m.go:5: < -> >=", "m.go:5: 0 -> (0+1)", "m.go:6: 1 -> (1+1)",
		"m.go:8: 1 -> (1+1)", "m.go:11: == -> !=",
	}
	if !slices.Equal(texts, want) {
		t.Errorf("found %q, want %q", texts, want)
	}
}
