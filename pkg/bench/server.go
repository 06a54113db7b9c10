package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kortwallet/kort/pkg/config"
)

const (
	// startTimeout bounds the start of the server, its migrations included.
	startTimeout = time.Minute
	// stopTimeout bounds its end; then it is killed.
	stopTimeout = time.Minute
	// complaintBytes is how much of what the server wrote on stderr is kept.
	complaintBytes = 4 << 10
)

// Program says how to start a server to measure. It is run with the settings of serve
// as flags, and with --account, --tokens, --accounts and --kind. When it accepts requests it writes an
// [Announcement] in JSON on stdout. It stops in order when its stdin ends: that
// happens even if this process is killed.
type Program struct {
	Path string
	Args []string // before the flags
	Env  []string // in the form of os.Environ, without settings of Kort
}

// Announcement is what a server to measure says when it has started.
type Announcement struct {
	// Addr is where it listens, as host:port.
	Addr string `json:"addr"`
	// Tokens are bearer tokens for the account, as many as were asked for.
	Tokens []string `json:"tokens"`
	// AccountTokens are one for each further account, in order: the first is for
	// Account(1).
	AccountTokens []string `json:"account_tokens,omitempty"`
}

// Kind is what a program serves.
type Kind string

// The kinds of servers.
const (
	KindKort     Kind = "kort"      // the server as it is
	KindSingly   Kind = "singly"    // commits each operation by itself, without queue or batch
	KindNoLedger Kind = "no-ledger" // commits nothing and answers as if
	KindEcho     Kind = "echo"      // a bare Echo handler
)

// request says which server to start.
type request struct {
	kind             Kind // empty for KindKort
	tokens, accounts int
	flags            []string // further settings of serve
}

// server is a running server.
type server struct {
	Announcement
	command   *exec.Cmd
	stop      context.CancelFunc
	complaint *tail
}

// start starts a server on a database and waits until it accepts requests.
func (p Program) start(ctx context.Context, db *database, r request) (*server, error) {
	ctx, stop := context.WithCancel(ctx)
	if r.kind == "" {
		r.kind = KindKort
	}
	args := append(slices.Clone(p.Args),
		"--dev", "--migrate", "--addr", "127.0.0.1:0", "--data-dir", db.dir, "--account", account,
		"--tokens", strconv.Itoa(r.tokens), "--accounts", strconv.Itoa(r.accounts), "--kind", string(r.kind))
	args = append(args, r.flags...)
	command := exec.CommandContext(ctx, p.Path, args...) //nolint:gosec // the caller's own program
	command.Env = slices.Clone(p.Env)
	if db.url != "" { // not as a flag: other users can read a command line
		command.Env = append(command.Env, config.EnvOf("database-url")+"="+db.url)
	}
	// Ctrl-C on the terminal is for this process, which then ends the server.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s := &server{command: command, stop: stop, complaint: &tail{}}
	command.Stderr = s.complaint
	stdout, err := s.launch()
	if err != nil {
		stop()
		return nil, fmt.Errorf("start the server: %w", err)
	}
	if err := s.listen(stdout, r); err != nil {
		return nil, s.stopped(fmt.Errorf("start the server: %w", err))
	}
	return s, nil
}

// launch starts the process. It is told to stop by the end of its stdin.
func (s *server) launch() (stdout io.Reader, err error) {
	stdin, err := s.command.StdinPipe()
	if err != nil {
		return nil, err
	}
	s.command.Cancel, s.command.WaitDelay = stdin.Close, stopTimeout
	stdout, err = s.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return stdout, s.command.Start()
}

// listen waits for the announcement.
func (s *server) listen(stdout io.Reader, r request) error {
	late := time.AfterFunc(startTimeout, s.stop)
	defer late.Stop()
	if err := json.NewDecoder(stdout).Decode(&s.Announcement); err != nil {
		return fmt.Errorf("it does not say where it listens: %w", err)
	}
	if len(s.Tokens) != r.tokens || len(s.AccountTokens) != r.accounts {
		return fmt.Errorf("it gave %d and %d tokens instead of %d and %d", len(s.Tokens), len(s.AccountTokens), r.tokens, r.accounts)
	}
	return nil
}

func (s *server) pid() int { return s.command.Process.Pid }

// stopped stops the server and waits for its end. The cause is why it is stopped, nil
// when all went well; a server that is to blame has probably said why.
func (s *server) stopped(cause error) error {
	s.stop()
	err := s.command.Wait()
	if errors.Is(err, context.Canceled) { // it ended well, because we asked
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("stop the server: %w", err)
	}
	err = errors.Join(cause, err)
	if complaint := strings.TrimSpace(string(s.complaint.kept)); err != nil && complaint != "" {
		return fmt.Errorf("%w\nthe server wrote:\n%s", err, complaint)
	}
	return err
}

// tail keeps the end of what is written.
type tail struct{ kept []byte }

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if excess := len(t.kept) - complaintBytes; excess > 0 {
		t.kept = slices.Delete(t.kept, 0, excess)
	}
	return len(p), nil
}
