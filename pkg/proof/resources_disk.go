package proof

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kortwallet/kort/pkg/pgtest"
)

const (
	// diskMiB is the size of a small file system: a PostgreSQL fits, with its log.
	diskMiB = 240
	// ballastBytes is how much a ballast grows by at once, at first, and how much in
	// the end.
	ballastBytes, lastBallastBytes = 1 << 20, 1 << 10
	// fileBytes is the length of the longest file when the length is limited.
	fileBytes = 64 << 10
	// maxSegments bounds the search for the end of PostgreSQL's disk.
	maxSegments = 16
	// databaseAnswer bounds the questions of the attack to a database.
	databaseAnswer = 3 * time.Second
)

// errNoSmallDisk means that this user cannot have a file system of a size.
var errNoSmallDisk = errors.New("a small file system cannot be mounted")

// fullDisk fills the disk of a database.
func (t *trial) fullDisk(ctx context.Context) error {
	err := t.withSmallDisk(ctx, func(d *disk) error {
		return t.withSiteOn(ctx, d.dir, func(s *site) error {
			return t.withServer(ctx, s, func(server *server) error {
				if t.engine == Postgres {
					return t.fullPostgres(ctx, s, server, d)
				}
				return t.scarce(ctx, s, server, func() scarcity {
					if t.random.IntN(2) == 0 && canLimit() {
						return server.shortFiles()
					}
					return scarcity{begin: d.fillBeside(s), end: d.empty, reads: true}
				})
			})
		})
	})
	if !errors.Is(err, errNoSmallDisk) {
		return err
	}
	if t.engine == Postgres || !canLimit() {
		t.note("NOT ATTACKED: needs a small file system, which only root may mount")
		return nil
	}
	t.note("by a limit on the length of files, as only root may mount a small file system")
	return t.withSite(ctx, func(s *site) error {
		return t.withServer(ctx, s, func(server *server) error {
			return t.scarce(ctx, s, server, server.shortFiles)
		})
	})
}

// canLimit tells whether limits of other processes can be changed here.
func canLimit() bool {
	_, err := exec.LookPath("prlimit")
	return err == nil
}

// shortFiles lets no file of the server be longer than a little.
func (s *server) shortFiles() scarcity {
	limit := func(soft string) func(context.Context) error {
		return func(ctx context.Context) error {
			return command(ctx, "prlimit", "--pid", strconv.Itoa(s.command.Process.Pid), "--fsize="+soft+":")
		}
	}
	return scarcity{begin: limit(strconv.Itoa(fileBytes)), end: limit("unlimited"), reads: true}
}

// disk is a small file system.
type disk struct{ dir string }

// withSmallDisk mounts one for something.
func (t *trial) withSmallDisk(ctx context.Context, use func(*disk) error) (err error) {
	dir, err := os.MkdirTemp(t.Dir, "kort-disk-")
	if err != nil {
		return fmt.Errorf("create a directory for a file system: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(dir)) }()
	if os.Geteuid() != 0 {
		return errNoSmallDisk
	}
	if err := command(ctx, "mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm,mode=0755", diskMiB), "kort-proof", dir); err != nil {
		return errors.Join(errNoSmallDisk, err)
	}
	defer func() { err = errors.Join(err, command(context.WithoutCancel(ctx), "umount", dir)) }()
	return use(&disk{dir})
}

func (d *disk) ballast() string { return filepath.Join(d.dir, "ballast") }

// fill leaves no room.
func (d *disk) fill(context.Context) (err error) {
	file, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("fill the disk: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	for size := ballastBytes; size >= lastBallastBytes; {
		_, err := file.Write(bytes.Repeat([]byte{1}, size))
		switch {
		case errors.Is(err, syscall.ENOSPC):
			size /= 2
		case err != nil:
			return fmt.Errorf("fill the disk: %w", err)
		}
	}
	return nil
}

// empty gives the room back.
func (d *disk) empty(context.Context) error {
	if err := os.Remove(d.ballast()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// fillBeside fills the disk when SQLite's log is short, so that it has to grow.
func (d *disk) fillBeside(s *site) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := s.withSQLite(ctx, func(conn *sqliteConn) error { return conn.emptyLog(ctx) }); err != nil {
			return err
		}
		return d.fill(ctx)
	}
}

// fullPostgres fills the disk of a PostgreSQL, sometimes so that it cannot write its
// log either: it ends then, and comes back by itself or has to be started.
func (t *trial) fullPostgres(ctx context.Context, s *site, server *server, d *disk) error {
	for _, statement := range []string{"ALTER SYSTEM SET max_wal_size = '48MB'", "ALTER SYSTEM SET min_wal_size = '32MB'", "SELECT pg_reload_conf()"} {
		if err := s.postgres(ctx, statement); err != nil {
			return err
		}
	}
	panics, starts := 0, 0
	err := t.scarce(ctx, s, server, func() scarcity {
		if t.random.IntN(2) == 0 && t.Faults > 0 {
			return scarcity{begin: d.fill, end: d.empty, reads: true}
		}
		begin := func(ctx context.Context) error {
			if err := d.fill(ctx); err != nil {
				return err
			}
			for range maxSegments {
				if s.postgres(ctx, "SELECT pg_logical_emit_message(true, 'kort', 'proof'), pg_switch_wal()") != nil {
					panics++ // there was no room for the next part of the log
					break
				}
			}
			return nil
		}
		end := func(ctx context.Context) error {
			if err := d.empty(ctx); err != nil {
				return err
			}
			started, err := s.startPostgres(ctx)
			if started {
				starts++
			}
			return err
		}
		return scarcity{begin: begin, end: end}
	})
	t.note("PostgreSQL could not write its log %d times, and had to be started %d times", panics, starts)
	return err
}

// postgres has a statement executed.
func (s *site) postgres(ctx context.Context, statement string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, databaseAnswer)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.databaseURL)
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, statement)
	return err
}

// startPostgres starts the PostgreSQL of a site again if it does not come back.
func (s *site) startPostgres(ctx context.Context) (started bool, err error) {
	config, err := pgx.ParseConfig(s.databaseURL)
	if err != nil {
		return false, errors.New("the database URL is not a valid postgres:// URL")
	}
	control, err := pgtest.Program(ctx, "pg_ctl")
	if err != nil {
		return false, err
	}
	owner, err := os.Stat(config.Host) // the directory with the socket is PostgreSQL's own
	if err != nil {
		return false, fmt.Errorf("find PostgreSQL: %w", err)
	}
	run := func(args ...string) error {
		command := exec.CommandContext(ctx, control, append([]string{"-D", filepath.Join(config.Host, "data")}, args...)...) //nolint:gosec // PostgreSQL's
		command.Dir = config.Host
		if who, ok := owner.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
			command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: who.Uid, Gid: who.Gid}}
		}
		return command.Run()
	}
	for begun := time.Now(); ; {
		if s.postgres(ctx, "SELECT 1") == nil {
			return started, nil
		}
		if time.Since(begun) > startTimeout {
			return started, errors.New("PostgreSQL does not come back")
		}
		if run("status") != nil { // it has given up
			if err := run("-l", filepath.Join(config.Host, "log"), "-w", "-t", "60", "start"); err != nil {
				return started, fmt.Errorf("start PostgreSQL again: %w", err)
			}
			started = true
		}
		if err := pause(ctx, 10*askAgain); err != nil {
			return started, err
		}
	}
}
