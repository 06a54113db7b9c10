package kortest

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"

	control "github.com/kortwallet/kort/gen/sandboxclient"
)

const (
	// EnvBinary names a kort to run, where [Binary] does not.
	EnvBinary = "KORT_BINARY"

	// module is what kort is built from where none is named.
	module = "github.com/kortwallet/kort"
	// buildTimeout bounds a build; the first one on a machine compiles SQLite.
	buildTimeout = 10 * time.Minute
	// lockPause is how often it is looked whether another build is over.
	lockPause = 100 * time.Millisecond
	// startTimeout bounds the time until the sandbox is ready.
	startTimeout = 30 * time.Second
	// stopTimeout bounds the time from the end of the test to that of the sandbox.
	stopTimeout = 10 * time.Second
)

// Option changes how a sandbox is started.
type Option func(*settings)

type settings struct {
	binary    string
	arguments []string
}

// Binary names the kort to run. Without it that is the one $KORT_BINARY names, or one that the Go tool builds of the version in
// the go.mod of the test.
func Binary(path string) Option { return func(s *settings) { s.binary = path } }

// DataDir keeps the database, the first account and its snapshots in a directory.
func DataDir(path string) Option {
	return func(s *settings) { s.arguments = append(s.arguments, "--data-dir", path) }
}

// Sandbox is a running sandbox and its first account. It is safe for concurrent use, so that one can serve all tests of a package;
// each then takes an account of its own.
type Sandbox struct {
	*Account
}

// Start starts a sandbox that ends with the test, or with the test's process, however that ends.
func Start(t testing.TB, options ...Option) *Sandbox {
	t.Helper()
	s := settings{binary: os.Getenv(EnvBinary)}
	for _, option := range options {
		option(&s)
	}
	if s.binary == "" {
		s.binary = built(t)
	}
	first := &Account{t: t}
	run(t, s, first)
	c, err := control.NewClientWithResponses(first.URL + "/sandbox/v1")
	if err != nil {
		t.Fatalf("kortest: make a client: %v", err)
	}
	first.control = c
	return &Sandbox{Account: first}
}

// NewAccount makes a fresh account.
func (s *Sandbox) NewAccount() *Account {
	s.t.Helper()
	answer, err := s.control.CreateAccountWithResponse(s.t.Context())
	must(s.t, "make an account", answer, err)
	return &Account{URL: s.URL, ID: answer.JSON201.Account, Token: answer.JSON201.Token, t: s.t, control: s.control}
}

// On is a sandbox that was started for another test, such as the one that t is a part of: what fails on it fails t.
func On(t testing.TB, s *Sandbox) *Sandbox {
	first := *s.Account
	first.t = t
	return &Sandbox{Account: &first}
}

// run starts the program and reads the line that says it is ready.
func run(t testing.TB, s settings, first *Account) {
	t.Helper()
	arguments := append([]string{"sandbox", "--addr=localhost:0", "--until-eof", "--log-level=warn"}, s.arguments...)
	command := exec.CommandContext(context.WithoutCancel(t.Context()), s.binary, arguments...) //nolint:gosec // whoever tests says what to run
	said := &transcript{}
	command.Stderr = said
	// The sandbox ends when this pipe does, which is also when this process dies without a word.
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatalf("kortest: %v", err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatalf("kortest: %v", err)
	}
	if err := command.Start(); err != nil {
		t.Fatalf("kortest: start %s: %v", s.binary, err)
	}
	started := false
	t.Cleanup(func() {
		_ = stdin.Close() // fails where the sandbox has ended already, which Wait tells
		giveUp := time.AfterFunc(stopTimeout, func() { _ = command.Process.Kill() })
		defer giveUp.Stop()
		if err := command.Wait(); err != nil && started { // otherwise it is known
			t.Errorf("kortest: the sandbox: %v\n%s", err, said)
		}
	})
	tooLong := time.AfterFunc(startTimeout, func() { _ = command.Process.Kill() })
	defer tooLong.Stop()
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		t.Fatalf("kortest: the sandbox does not start: %v\n%s", err, said)
	}
	ready := struct {
		URL     *string `json:"url"`
		Account *string `json:"account"`
		Token   *string `json:"token"`
	}{&first.URL, &first.ID, &first.Token}
	if err := json.Unmarshal(line, &ready); err != nil {
		t.Fatalf("kortest: the sandbox says %q: %v", line, err)
	}
	started = true
}

// built builds the program, once for all processes that want it at a time. What is up to date is not built again.
func built(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), buildTimeout)
	defer cancel()
	source, err := output(ctx, "list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		t.Fatalf("kortest: find %s: %v", module, err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	// One for each version and checkout: none takes the place of another that is starting.
	directory := filepath.Join(cache, "kortest", fmt.Sprintf("%x", sha256.Sum256([]byte(source))))
	if err := os.MkdirAll(directory, 0o700); err != nil {
		t.Fatalf("kortest: %v", err)
	}
	path := filepath.Join(directory, "kort")
	lock := flock.New(path + ".lock")
	if _, err := lock.TryLockContext(ctx, lockPause); err != nil {
		t.Fatalf("kortest: wait for another build of kort: %v", err)
	}
	defer func() { _ = lock.Unlock() }() // it ends with the process at the latest
	if _, err := output(ctx, "build", "-o", path, module+"/cmd/kort"); err != nil {
		t.Fatalf("kortest: build kort: %v\nName a kort that is there with kortest.Binary or $%s.", err, EnvBinary)
	}
	return path
}

// output runs the Go tool.
func output(ctx context.Context, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, "go", arguments...) //nolint:gosec // arguments of this file
	said := &transcript{}
	command.Stderr = said
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", arguments[0], err, said)
	}
	return strings.TrimSpace(string(out)), nil
}

// transcript keeps what a process says.
type transcript struct {
	mu   sync.Mutex
	said []byte
}

var _ io.Writer = (*transcript)(nil)

// Write implements io.Writer.
func (t *transcript) Write(part []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.said = append(t.said, part...)
	return len(part), nil
}

// String is all of it.
func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.said)
}
