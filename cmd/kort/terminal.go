package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/kortwallet/kort/pkg/config"
)

// terminal is where a command says something: results on stdout, everything else on
// stderr, so that results can be piped.
type terminal struct {
	stdout, stderr io.Writer
	// interactive says whether a person watches stderr.
	interactive bool
}

func newTerminal(stdout, stderr *os.File) *terminal {
	return &terminal{stdout: stdout, stderr: stderr, interactive: term.IsTerminal(int(stderr.Fd()))}
}

// printf writes a part of the result.
func (t *terminal) printf(format string, args ...any) { fmt.Fprintf(t.stdout, format, args...) }

// notef writes a line for the person who waits.
func (t *terminal) notef(format string, args ...any) { fmt.Fprintf(t.stderr, format+"\n", args...) }

// fail says why a command did not work.
func (t *terminal) fail(err error) { t.notef("kort: %s", indent(err.Error())) }

// failUsage says what is wrong with a command line, and where to read more.
func (t *terminal) failUsage(err error) {
	command := "kort"
	if parse, ok := errors.AsType[*kong.ParseError](err); ok && parse.Context != nil {
		if selected := parse.Context.Selected(); selected != nil {
			command = selected.FullPath()
		}
	}
	if problems, ok := errors.AsType[config.Problems](err); ok {
		t.notef("kort: some settings are missing or wrong\n  %s", indent(problems.Error()))
	} else {
		t.fail(err)
	}
	t.notef("Run %q for all settings.", command+" --help")
}

// indent keeps the lines of one message together.
func indent(text string) string { return strings.ReplaceAll(text, "\n", "\n  ") }

// invocation is how this program was started, for commands that are printed to be
// copied. What `go run` built is gone by the time somebody copies it.
func invocation(program string) string {
	if strings.Contains(filepath.ToSlash(program), "/go-build") {
		return "go run ./cmd/kort"
	}
	return shellQuote(program)
}

// shellQuote writes a word so that a shell reads it as it is.
func shellQuote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-:=@%+", r)
	}
	if word != "" && strings.TrimFunc(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
