package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/sandbox"
)

const (
	guides = "../../.github/guides"
	// guidePatience bounds a guide.
	guidePatience = 2 * time.Minute
	// promise begins a comment that says what the command before it prints.
	promise = "# -> "
	// segment ends what a command prints, in the output of a guide.
	segment = "@@ end of segment"
)

// Each guide runs as it is printed, and its commands print what it says.
func TestGuides(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(guides + "/*.md")
	if err != nil || len(files) < 2 {
		t.Fatalf("the guides are %v: %v", files, err)
	}
	words, _ := guideScript(t, filepath.Join(guides, "README.md"))
	index := readFile(t, filepath.Join(guides, "README.md"))
	s := sandboxHere(t)
	for _, file := range files {
		name := filepath.Base(file)
		if name == "README.md" {
			continue
		}
		if !strings.Contains(index, "]("+name+")") {
			t.Errorf("the list of guides does not name %s", name)
		}
		script, promises := guideScript(t, file)
		if len(promises) == 0 {
			t.Errorf("%s says nothing about what its commands print", name)
		}
		t.Run(name, func(t *testing.T) { runGuide(t, s, words+script, promises) })
	}
	s.close()
}

// guideScript joins the commands of a guide. Behind each that promises something it ends a segment of the output; the
// promises are those of each segment.
func guideScript(t *testing.T, file string) (script string, promises [][]string) {
	t.Helper()
	var lines []string
	promised := false
	for _, block := range shellBlock.FindAllStringSubmatch(readFile(t, file), -1) {
		for line := range strings.Lines(block[1]) {
			text, is := strings.CutPrefix(strings.TrimRight(line, "\n"), promise)
			switch {
			case is && promised:
				promises[len(promises)-1] = append(promises[len(promises)-1], text)
			case is:
				promises = append(promises, []string{text})
				lines = append(lines, "echo; echo '"+segment+"'\n")
			default:
				lines = append(lines, line)
			}
			promised = is
		}
	}
	return strings.Join(lines, ""), promises
}

func runGuide(t *testing.T, s *sandboxed, script string, promises [][]string) {
	t.Helper()
	made := s.send("POST", sandbox.BasePath+"/accounts", "", "")
	directory := t.TempDir()
	// The command is this test, as itself.
	command := fmt.Sprintf("#!/bin/sh\n%s=1 exec %s \"$@\"\n", envAsCommand, shellQuote(os.Args[0]))
	if err := os.WriteFile(filepath.Join(directory, "kort"), []byte(command), 0o700); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), guidePatience)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-eu", "-o", "pipefail")
	shell.Dir = directory
	shell.Env = append(os.Environ(),
		"PATH="+directory+string(os.PathListSeparator)+os.Getenv("PATH"), "URL=http://"+s.addr, "LIVE_ADDR="+freeAddress(t),
		"ACCOUNT="+made.field(t, "account"), "TOKEN="+made.field(t, "token"),
		"CLIENT_ID="+made.field(t, "client_id"), "CLIENT_SECRET="+made.field(t, "client_secret"),
	)
	shell.Stdin = strings.NewReader(script)
	printed, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	segments := strings.Split(string(printed), segment)
	if len(segments) != len(promises)+1 {
		t.Fatalf("%d segments for %d promises:\n%s", len(segments), len(promises), printed)
	}
	for i, texts := range promises {
		for _, text := range texts {
			if !strings.Contains(segments[i], text) {
				t.Errorf("%s is not printed, but\n%s", text, segments[i])
			}
		}
	}
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
