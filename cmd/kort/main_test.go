package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/pgtest"
)

// envAsCommand makes the test binary be the command itself, so that a test can have
// it as a process of its own and send it signals.
const envAsCommand = "KORT_TEST_AS_COMMAND"

// patience bounds every wait in these tests, on a busy machine.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(envAsCommand) != "" {
		main()
		return
	}
	// What the person who runs the tests has configured for a server is not for these.
	for _, setting := range os.Environ() {
		name, _, _ := strings.Cut(setting, "=")
		ours := strings.HasPrefix(name, "KORT_") && name != pgtest.EnvURL && name != pgtest.EnvPolicy
		if ours || strings.HasPrefix(name, "OTEL_") {
			if err := os.Unsetenv(name); err != nil {
				panic(err)
			}
		}
	}
	os.Exit(m.Run())
}

// outcome is what a command did.
type outcome struct {
	code           int
	stdout, stderr string
}

// kort runs a command to its end, within this process.
func kort(t *testing.T, args ...string) outcome {
	t.Helper()
	return kortWithin(t, patience, args...)
}

// kortWithin runs a command that may take a time of its own.
func kortWithin(t *testing.T, limit time.Duration, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var stdout, stderr bytes.Buffer
	code := run(ctx, &terminal{stdout: &stdout, stderr: &stderr}, args)
	return outcome{code, stdout.String(), stderr.String()}
}

// want checks the exit code, and texts on stdout and stderr together.
func (o outcome) want(t *testing.T, code int, texts ...string) {
	t.Helper()
	if o.code != code {
		t.Fatalf("exit code %d, want %d; it said:\n%s%s", o.code, code, o.stdout, o.stderr)
	}
	for _, text := range texts {
		if !strings.Contains(o.stdout+o.stderr, text) {
			t.Errorf("it does not say %q, but:\n%s%s", text, o.stdout, o.stderr)
		}
	}
}

// asProcess prepares a command as a process of its own.
func asProcess(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, os.Args[0], args...)
	command.Env = append(os.Environ(), envAsCommand+"=1")
	return command
}

// transcript collects what several goroutines write.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

// String is everything so far.
func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("%s: not within %s", what, patience)
}
