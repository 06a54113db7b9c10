package proof

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// startTimeout bounds the start of a server, the recovery of its database included.
	startTimeout = time.Minute
	// stopTimeout bounds its orderly end.
	stopTimeout = 45 * time.Second
	// askAgain is how often somebody who waits looks.
	askAgain = 5 * time.Millisecond
	// logBytes is how much of a server's log an error shows.
	logBytes = 4 << 10
)

// server is a process that serves a site, and after it was killed the next one at the
// same address.
type server struct {
	site    *site
	addr    string
	flags   []string
	wrap    []string // the command line before the program, where there is one
	command *exec.Cmd
	// ended is closed when the process has ended, and then how tells how.
	ended chan struct{}
	how   error
}

// newServer prepares a server at an address of its own.
func (s *site) newServer(ctx context.Context, flags ...string) (*server, error) {
	addr, err := freeAddress(ctx)
	return &server{site: s, addr: addr, flags: flags}, err
}

func (s *server) url() string { return "http://" + s.addr }

// launch starts the process.
func (s *server) launch() (err error) {
	args := append([]string{
		"serve", "--migrate", "--addr", s.addr, "--issuer", issuer, "--jwks", s.site.keySet(), "--public-url", audience,
		"--data-key-file", s.site.dataKeyFile(), "--log-format", "json",
	}, s.flags...)
	line := append(append(append([]string(nil), s.wrap...), s.site.program.Path), args...)
	s.command = exec.Command(line[0], line[1:]...) //nolint:gosec,noctx // the caller's own program; it is killed, not cancelled
	s.command.Env = s.site.environment()
	// Ctrl-C on the terminal is for this process, which then ends the server.
	s.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := os.OpenFile(s.site.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the server's log: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }() // the process has its own
	s.command.Stdout, s.command.Stderr = log, log
	if err := s.command.Start(); err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	s.ended = make(chan struct{})
	go func(command *exec.Cmd, ended chan struct{}) {
		s.how = command.Wait()
		close(ended)
	}(s.command, s.ended)
	return nil
}

// start starts the process and waits until it is ready.
func (s *server) start(ctx context.Context) error {
	if err := s.launch(); err != nil {
		return err
	}
	return s.awaitReady(ctx)
}

// awaitReady waits until /readyz answers 200.
func (s *server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		if ok, err := s.ready(ctx); err == nil && ok {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("the server ended: %w\n%s", errors.Join(s.how, errEnded), s.complaint())
		case <-ctx.Done():
			return fmt.Errorf("wait for the server: %w\n%s", ctx.Err(), s.complaint())
		case <-time.After(askAgain):
		}
	}
}

var errEnded = errors.New("it was not asked to")

// ready asks the server whether it is.
func (s *server) ready(ctx context.Context) (bool, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url()+"/readyz", http.NoBody)
	if err != nil {
		return false, err
	}
	answer, err := (&http.Client{Timeout: startTimeout, Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		return false, err
	}
	return answer.StatusCode == http.StatusOK, answer.Body.Close()
}

// kill ends the process as a loss of power would end it, but for what is in the caches
// of the operating system.
func (s *server) kill() error {
	if s.command == nil {
		return nil
	}
	err := s.command.Process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	<-s.ended
	s.command = nil
	if err != nil {
		return fmt.Errorf("kill the server: %w", err)
	}
	return nil
}

// stop asks the process to end in order.
func (s *server) stop() error {
	if s.command == nil {
		return nil
	}
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return errors.Join(fmt.Errorf("stop the server: %w", err), s.kill())
	}
	select {
	case <-s.ended:
		s.command = nil
		if s.how != nil {
			return fmt.Errorf("the server did not end well: %w\n%s", s.how, s.complaint())
		}
		return nil
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("the server does not end within %s\n%s", stopTimeout, s.complaint()), s.kill())
	}
}

// complaint is the end of the log.
func (s *server) complaint() string {
	content, err := os.ReadFile(s.site.logFile())
	if err != nil {
		return err.Error()
	}
	return string(content[max(0, len(content)-logBytes):])
}

// reason is what the log says about a request.
func (s *server) reason(requestID string) string {
	if requestID == "" {
		return "nothing, as the answer has no request id"
	}
	content, err := os.ReadFile(s.site.logFile())
	if err != nil {
		return err.Error()
	}
	lines := slices.DeleteFunc(strings.Split(string(content), "\n"), func(line string) bool {
		return !strings.Contains(line, requestID)
	})
	return strings.Join(lines, "; ")
}
