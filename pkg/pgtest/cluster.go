package pgtest

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// clusterTimeout bounds each program that a cluster runs, and each wait for it.
	clusterTimeout = 3 * time.Minute
	// clusterPause is how long a wait pauses between two looks.
	clusterPause = 20 * time.Millisecond
)

//go:embed keep.sh
var keepScript string

// Owner is whom a cluster belongs to: a test, or a program that can fail and clean up
// in the same ways. Fatal, Fatalf and Skip do not return.
type Owner interface {
	Helper()
	Context() context.Context
	Cleanup(release func())
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Skip(args ...any)
}

// Cluster is a PostgreSQL whose data directory is in the hands of a test: it can be
// crashed and started again, copied while it runs, be made to follow another, be
// restored to a moment of the past, and be promoted. Its settings are those of a newly
// installed server, so that what it has acknowledged is on the disk.
//
// A cluster has one owner and is used by one goroutine at a time. What does not
// work fails the test. Server and directory go away with the test, or with its
// process, however that ends.
type Cluster struct {
	t          Owner
	dir        string // holds data, log and socket
	credential *syscall.Credential
}

// NewCluster makes a cluster that is not started yet. Each setting is a line for
// postgresql.conf. Where no PostgreSQL is installed the test is skipped, or fails if
// [EnvPolicy] or CI says that it must not be; [EnvURL] does not help here, as a server
// elsewhere cannot be crashed.
func NewCluster(t Owner, settings ...string) *Cluster {
	t.Helper()
	c := emptyCluster(t)
	c.Run("initdb", "-D", c.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	c.Configure(configuration(c.dir, true))
	c.Configure(settings...)
	return c
}

// emptyCluster makes the directory of a cluster, and sees to it that it goes.
func emptyCluster(t Owner) *Cluster {
	t.Helper()
	bin, err := installed(t.Context(), os.Getenv)
	if errors.Is(err, ErrLeftOut) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	credential, err := serverCredential(os.Geteuid())
	if err != nil {
		t.Fatal(err)
	}
	dir, err := makeServerDir("", credential)
	if err != nil {
		t.Fatal(err)
	}
	release, err := keep(bin, dir, credential)
	if err != nil {
		t.Fatal(errors.Join(err, os.RemoveAll(dir)))
	}
	t.Cleanup(func() {
		if err := errors.Join(release(), os.RemoveAll(dir)); err != nil {
			t.Errorf("remove the cluster: %v", err)
		}
	})
	return &Cluster{t: t, dir: dir, credential: credential}
}

// installed finds the programs of a server, as far as the environment wants tests on
// PostgreSQL.
func installed(ctx context.Context, getenv func(string) string) (bin string, err error) {
	if err := policy(getenv); err != nil {
		return "", err
	}
	bin, err = findBinaries(ctx, candidateDirs())
	if errors.Is(err, errNoBinaries) {
		return "", missing(getenv, err)
	}
	return bin, err
}

// keep starts the shell that looks after a cluster's directory; release ends it.
func keep(bin, dir string, credential *syscall.Credential) (release func() error, err error) {
	shell := exec.CommandContext(context.Background(), "/bin/sh", "-c", keepScript, "kort-cluster", bin, dir) // not a test's context: it outlives the test
	shell.Dir, shell.Env = "/", serverEnvironment()
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: credential}
	stdin, err := shell.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := shell.Start(); err != nil {
		return nil, err
	}
	return func() error { return errors.Join(stdin.Close(), shell.Wait()) }, nil
}

// URL names the database "postgres" of the cluster, which is empty at first.
func (c *Cluster) URL() string { return (&server{dir: c.dir}).url().String() }

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// Configure adds lines to postgresql.conf, where the last word on a setting counts.
// The next start reads them.
func (c *Cluster) Configure(settings ...string) {
	c.t.Helper()
	name := filepath.Join(c.data(), "postgresql.conf")
	file, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	_, err = file.WriteString(strings.Join(settings, "\n") + "\n")
	if err := errors.Join(err, file.Close()); err != nil {
		c.t.Fatalf("configure PostgreSQL: %v", err)
	}
}

// MakeDir makes a directory beside the data that the server may write to, such as
// for an archive of its write-ahead log, and returns its path.
func (c *Cluster) MakeDir(name string) string {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	if err := errors.Join(os.Mkdir(path, 0o700), c.giveAway(path)); err != nil {
		c.t.Fatal(err)
	}
	return path
}

// giveAway makes the server's user the owner of what we have made.
func (c *Cluster) giveAway(path string) error {
	if c.credential == nil {
		return nil
	}
	return os.Chown(path, int(c.credential.Uid), int(c.credential.Gid))
}

// Run runs a program that comes with PostgreSQL, as the server's user, and returns
// what it has printed.
func (c *Cluster) Run(program string, args ...string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), clusterTimeout)
	defer cancel()
	path, err := Program(ctx, program)
	if err != nil {
		c.t.Fatal(err)
	}
	command := exec.CommandContext(ctx, path, args...)
	command.Dir, command.Env = "/", serverEnvironment()
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: c.credential}
	printed, err := command.CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s: %v\n%s%s", program, err, printed, c.lastWords())
	}
	return string(printed)
}

// lastWords are the last lines of the server's log, if it has one.
func (c *Cluster) lastWords() []byte {
	const most = 20 // lines
	content, err := os.ReadFile(c.log())
	if err != nil {
		return nil
	}
	lines := bytes.SplitAfter(content, []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-most):], nil)
}

func (c *Cluster) log() string { return filepath.Join(c.dir, "log") }

// Start starts the server and waits until it takes connections; after a crash, until
// it has recovered.
func (c *Cluster) Start() {
	c.t.Helper()
	c.Run("pg_ctl", "-D", c.data(), "-l", c.log(), "-w", "-t", "120", "start")
}

// Stop ends the server in good order, cutting connections off.
func (c *Cluster) Stop() {
	c.t.Helper()
	c.Run("pg_ctl", "-D", c.data(), "-m", "fast", "-w", "-t", "120", "stop")
}

// Promote makes a server that follows another, or that recovers, one of its own, and
// waits until it takes writes.
func (c *Cluster) Promote() {
	c.t.Helper()
	c.Run("pg_ctl", "-D", c.data(), "-w", "-t", "120", "promote")
	c.AwaitPrimary()
}

// Kill ends all processes of the server at once with SIGKILL, as the end of its machine
// would; nothing can say goodbye or write anything. It returns when they are gone.
func (c *Cluster) Kill() {
	c.t.Helper()
	lock := filepath.Join(c.data(), "postmaster.pid")
	content, err := os.ReadFile(lock)
	if err != nil {
		c.t.Fatalf("kill PostgreSQL: %v", err)
	}
	first, _, _ := strings.Cut(string(content), "\n")
	postmaster, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || postmaster <= 1 {
		c.t.Fatalf("kill PostgreSQL: its process is %q (%v)", first, err)
	}
	if err := syscall.Kill(postmaster, syscall.SIGSTOP); err != nil { // so that it starts no more processes
		c.t.Fatalf("kill PostgreSQL: %v", err)
	}
	doomed := func(p process) bool { return p.id == postmaster || p.parent == postmaster }
	victims := running(c.t, doomed)
	for _, p := range victims {
		if err := syscall.Kill(p.id, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			c.t.Fatalf("kill PostgreSQL: %v", err)
		}
	}
	c.await("die", func() bool {
		return len(running(c.t, func(p process) bool { return slices.ContainsFunc(victims, p.is) })) == 0
	})
	// To the next start a process looks alive until somebody has asked how it ended.
	if err := errors.Join(os.Remove(lock), os.Remove(filepath.Join(c.dir, socketName+".lock"))); err != nil {
		c.t.Fatalf("kill PostgreSQL: %v", err)
	}
}

// process is an entry in the list of the machine's processes.
type process struct {
	id, parent int
	state      string
}

func (p process) is(other process) bool { return p.id == other.id }

// running lists the processes that are wanted and have not ended.
func running(t Owner, wanted func(process) bool) []process {
	t.Helper()
	printed, err := exec.CommandContext(t.Context(), "ps", "-A", "-o", "pid=", "-o", "ppid=", "-o", "state=").Output()
	if err != nil {
		t.Fatalf("list processes: %v", err)
	}
	var list []process
	for line := range strings.Lines(string(printed)) {
		var p process
		if _, err := fmt.Sscan(line, &p.id, &p.parent, &p.state); err != nil {
			t.Fatalf("list processes: %q: %v", line, err)
		}
		if ended := strings.HasPrefix(p.state, "Z"); !ended && wanted(p) {
			list = append(list, p)
		}
	}
	return list
}

// BaseBackup copies the running cluster with pg_basebackup into a new one, which is
// not started yet. Started as it is, the copy goes on from the moment of the backup as
// a server of its own.
func (c *Cluster) BaseBackup(settings ...string) *Cluster {
	c.t.Helper()
	backup := emptyCluster(c.t)
	c.Run("pg_basebackup", "-D", backup.data(), "-d", c.URL(), "--checkpoint=fast", "--no-sync")
	backup.Configure(configuration(backup.dir, true))
	backup.Configure(settings...)
	return backup
}

// Follow makes a base backup stream from another cluster when it is started, as a
// standby that takes no writes until it is promoted.
func (c *Cluster) Follow(primary *Cluster, settings ...string) {
	c.t.Helper()
	c.Configure(fmt.Sprintf("primary_conninfo = '%s'", primary.URL()))
	c.Configure(settings...)
	c.mark("standby.signal")
}

// Recover makes a base backup replay an archive of the write-ahead log when it is
// started, as the settings say: restore_command, and recovery_target_name or another
// moment to stop at. Until then it takes no writes; see [Cluster.AwaitPrimary].
func (c *Cluster) Recover(settings ...string) {
	c.t.Helper()
	c.Configure(settings...)
	c.mark("recovery.signal")
}

// mark makes an empty file in the data directory, which tells the next start what to do.
func (c *Cluster) mark(name string) {
	c.t.Helper()
	path := filepath.Join(c.data(), name)
	if err := errors.Join(os.WriteFile(path, nil, 0o600), c.giveAway(path)); err != nil {
		c.t.Fatal(err)
	}
}

// AwaitPrimary waits until the server takes writes.
func (c *Cluster) AwaitPrimary() {
	c.t.Helper()
	c.await("take writes", func() bool { return c.Query("SELECT pg_is_in_recovery()::text") == "false" })
}

// Query runs one statement as the superuser, and returns the text that it gives.
func (c *Cluster) Query(statement string, args ...any) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), databaseTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.URL())
	if err != nil {
		c.t.Fatalf("connect: %v\n%s", err, c.lastWords())
	}
	var text string
	err = conn.QueryRow(ctx, statement, args...).Scan(&text)
	if err := errors.Join(err, conn.Close(ctx)); err != nil {
		c.t.Fatalf("%s: %v", statement, err)
	}
	return text
}

func (c *Cluster) await(what string, holds func() bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), clusterTimeout)
	defer cancel()
	for !holds() {
		select {
		case <-time.After(clusterPause):
		case <-ctx.Done():
			c.t.Fatalf("PostgreSQL did not %s within %s\n%s", what, clusterTimeout, c.lastWords())
		}
	}
}
