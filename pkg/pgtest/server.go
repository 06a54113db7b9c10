package pgtest

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

const (
	// maxConnections is ample for every package's parallel tests at once.
	maxConnections = 400
	// maxSocketPathBytes is what a Unix socket's address holds on every system
	// (macOS: 104 with the terminator; Linux: four more).
	maxSocketPathBytes = 103
	// socketName is what PostgreSQL calls its socket for port 5432.
	socketName = ".s.PGSQL.5432"
	readyLine  = "ready\n"
)

//go:embed watch.sh
var watchScript string

// server is a running PostgreSQL. It lives until stop is called, or until this
// process ends, or until nothing refers to it any more.
type server struct {
	dir  string
	stop func() error
}

// Start makes and starts a PostgreSQL of its own and waits until it takes
// connections; the URL names its database "postgres". The data goes into a new
// directory inside dir ("" means the temporary directory), which stop removes.
// With durable, a commit is on the disk before it is answered, as in production;
// without, it is fast and a crash of the machine loses the data. The context
// bounds the start only. Keep stop: the server may end once stop is unreachable.
// Each setting is a line for postgresql.conf.
func Start(ctx context.Context, dir string, durable bool, settings ...string) (serverURL string, stop func() error, err error) {
	s, err := start(ctx, dir, durable, settings...)
	if err != nil {
		return "", nil, err
	}
	return s.url().String(), s.stop, nil
}

func start(ctx context.Context, dir string, durable bool, settings ...string) (*server, error) {
	bin, err := findBinaries(ctx, candidateDirs())
	if err != nil {
		return nil, err
	}
	return startFrom(ctx, bin, dir, durable, settings...)
}

func startFrom(ctx context.Context, bin, dir string, durable bool, settings ...string) (*server, error) {
	credential, err := serverCredential(os.Geteuid())
	if err != nil {
		return nil, err
	}
	root, err := makeServerDir(dir, credential)
	if err != nil {
		return nil, err
	}
	mode := "immediate" // the data is thrown away: no reason to write it out first
	if durable {
		mode = "fast"
	}
	// The server lives on after the start is over, so the context must not end it.
	watch := exec.CommandContext(context.WithoutCancel(ctx), "/bin/sh", "-c", watchScript, "kort-postgres", bin, root, configuration(root, durable, settings...), mode)
	watch.Dir = "/" // ours may be closed to the server's user
	watch.Env = serverEnvironment()
	watch.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: credential}
	stop, err := launch(ctx, watch)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start PostgreSQL: %w", err), os.RemoveAll(root))
	}
	return &server{dir: root, stop: sync.OnceValue(func() error {
		return errors.Join(stop(), os.RemoveAll(root))
	})}, nil
}

// serverEnvironment leaves out ours: its PG* variables would have their say.
func serverEnvironment() []string { return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"} }

// makeServerDir creates the directory that holds data, log and socket. Its mode
// 0700 is what protects the server, which trusts whoever reaches the socket.
func makeServerDir(dir string, credential *syscall.Credential) (string, error) {
	parent, err := filepath.Abs(dir)
	if dir == "" {
		parent, err = os.TempDir(), nil
	}
	if err != nil {
		return "", fmt.Errorf("make server directory: %w", err)
	}
	root, err := os.MkdirTemp(parent, "kort-postgres-")
	if err != nil {
		return "", fmt.Errorf("make server directory: %w", err)
	}
	if length := len(filepath.Join(root, socketName)); length > maxSocketPathBytes {
		err = fmt.Errorf("its path leaves no room for a socket (%d bytes, at most %d)", length, maxSocketPathBytes)
	} else if credential != nil {
		err = os.Chown(root, int(credential.Uid), int(credential.Gid))
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("prepare server directory: %w", err), os.Remove(root))
	}
	return root, nil
}

// configuration returns the lines that go to the end of postgresql.conf. All that
// is not named keeps PostgreSQL's own default, so that a durable server is what a
// newly installed one would be.
func configuration(root string, durable bool, settings ...string) string {
	lines := []string{
		"listen_addresses = ''",
		`unix_socket_directories = '"` + strings.ReplaceAll(root, "'", "''") + `"'`,
		fmt.Sprintf("max_connections = %d", maxConnections),
	}
	if !durable {
		lines = append(lines, "fsync = off", "synchronous_commit = off", "full_page_writes = off")
	}
	return strings.Join(append(lines, settings...), "\n")
}

// launch starts the watching shell and returns when the server is ready. The
// returned stop ends the server and waits for it.
func launch(ctx context.Context, watch *exec.Cmd) (stop func() error, err error) {
	stdin, err := watch.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := watch.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var complaint strings.Builder
	watch.Stderr = &complaint
	if err := watch.Start(); err != nil {
		return nil, err
	}
	end := func() error {
		closeErr := stdin.Close()
		if err := watch.Wait(); err != nil {
			return fmt.Errorf("%w: %s", err, strings.TrimSpace(complaint.String()))
		}
		return closeErr
	}
	cancelled := context.AfterFunc(ctx, func() { _ = stdin.Close() }) // the shell then cleans up by itself
	said, err := io.ReadAll(stdout)
	if !cancelled() {
		return nil, errors.Join(ctx.Err(), watch.Wait())
	}
	if err != nil || string(said) != readyLine {
		return nil, errors.Join(err, end())
	}
	return func() error {
		if err := end(); err != nil {
			return fmt.Errorf("stop PostgreSQL: %w", err)
		}
		return nil
	}, nil
}

// url names every part that the PG* environment variables would otherwise fill.
func (s *server) url() *url.URL {
	query := url.Values{"host": {s.dir}, "port": {"5432"}, "sslmode": {"disable"}}
	return &url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/postgres", RawQuery: query.Encode()}
}
