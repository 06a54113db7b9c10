package main

import (
	"bytes"
	"errors"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A fault asks for its own name, and its line is where it says; so a change of the server
// shows here what it has done to the list.
func TestFaultsFitTheSource(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	changed, err := changedFiles(root)
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range changed {
		if _, err := parser.ParseFile(token.NewFileSet(), file, text, 0); err != nil {
			t.Error(err)
		}
	}
	seen := map[string]bool{}
	for _, f := range faults {
		if seen[f.name] || f.rule == "" || !strings.Contains(f.new, `faulty("`+f.name+`")`) {
			t.Errorf("%s is twice in the list, breaks no rule, or asks for another name", f.name)
		}
		seen[f.name] = true
	}
	if len(seen) < 20 {
		t.Errorf("there are %d faults only", len(seen))
	}
}

// One fault of each kind: in the ledger, in the repository, at the edge. `make conformance`
// tries all. What a server does not let go of is reported, whatever it says about it.
func TestWrongServersAreNoticed(t *testing.T) {
	t.Parallel()
	program, err := build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	only := regexp.MustCompile("^(drawdown-taken-twice|cursor-on-the-last-page|no-replay-header)$")
	if err := judge(t.Context(), &printed, program, choose(only), 1); err != nil {
		t.Fatalf("%v\n%s", err, &printed)
	}
	for _, want := range []string{"money/drawdown", "lists/last-full-page", "ref_id/replay", "3 of 3 wrong servers were noticed"} {
		if !strings.Contains(printed.String(), want) {
			t.Errorf("the table does not say %q:\n%s", want, &printed)
		}
	}

	report, err := try(t.Context(), program, "deleted-cards-stay", regexp.MustCompile("^money/(opening|fund)$"))
	if err != nil {
		t.Fatal(err)
	}
	if len(failures(report)) > 0 || len(report.Leftovers) != 2 {
		t.Errorf("failed: %v, left behind: %v", failures(report), report.Leftovers)
	}
}

// A fault that no check notices is an error, with the table.
func TestUnnoticedFaultIsAnError(t *testing.T) {
	t.Parallel()
	var printed bytes.Buffer
	err := write(&printed, []*attempt{{fault: faults[0]}})
	if !errors.Is(err, errUnnoticed) || !strings.Contains(printed.String(), "0 of 1") {
		t.Errorf("got %v and\n%s", err, &printed)
	}
}
