package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The profiler of the processor is one for the whole process, so these are not parallel.
//
//nolint:paralleltest // see above
func TestProfilesAreWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "profiles")
	p, err := startProfiles(dir, "sqlite")
	if err != nil {
		t.Fatal(err)
	}
	if second, err := startProfiles(dir, "second"); err == nil || second != nil {
		t.Errorf("two profiles of the processor at a time: %v", second)
	}
	if err := p.finish(); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"cpu", "allocs", "mutex"} {
		files, err := filepath.Glob(filepath.Join(dir, "sqlite-*-"+kind+".pprof"))
		if err != nil || len(files) != 1 {
			t.Fatalf("%s: files %v, %v", kind, files, err)
		}
		content, err := os.ReadFile(files[0])
		if err != nil || !strings.HasPrefix(string(content), "\x1f\x8b") { // what gzip begins with
			t.Errorf("%s is no profile: %d bytes, %v", kind, len(content), err)
		}
	}
}

func TestNoProfilesUnlessAskedFor(t *testing.T) {
	t.Parallel()
	p, err := startProfiles("", "sqlite")
	if p != nil || err != nil {
		t.Errorf("profiles %v, %v", p, err)
	}
	if err := p.finish(); err != nil {
		t.Error(err)
	}
}
