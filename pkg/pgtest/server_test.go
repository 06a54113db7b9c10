package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// envOwner makes TestOwnerProcess start a server and wait to be killed.
const envOwner = "KORT_TEST_PGTEST_OWNER"

func TestStartDurability(t *testing.T) {
	t.Parallel()
	for _, durable := range []bool{true, false} {
		t.Run(fmt.Sprintf("durable=%v", durable), func(t *testing.T) {
			t.Parallel()
			dir := reachableDir(t)
			serverURL, stop := startOrSkip(t, dir, durable)
			conn := connect(t, serverURL)
			safety := map[bool]string{true: "on", false: "off"}[durable]
			for setting, want := range map[string]string{
				"fsync": safety, "synchronous_commit": safety, "full_page_writes": safety, "work_mem": "5MB",
			} {
				var got string
				if err := conn.QueryRow(t.Context(), "SHOW "+setting).Scan(&got); err != nil {
					t.Fatal(err)
				}
				if got != want {
					t.Errorf("%s is %s, want %s", setting, got, want)
				}
			}
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			if err := stop(); err != nil {
				t.Errorf("a second stop: %v", err)
			}
			assertNothingLeft(t, dir, serverURL)
		})
	}
}

// A test binary that times out or is killed runs no cleanup of its own.
func TestServerEndsWithItsOwner(t *testing.T) {
	t.Parallel()
	requirePostgres(t)
	dir := reachableDir(t)
	owner := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOwnerProcess$", "-test.v")
	owner.Env = append(os.Environ(), envOwner+"="+dir)
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	serverURL := ""
	for serverURL == "" && lines.Scan() {
		if strings.HasPrefix(lines.Text(), "postgres://") {
			serverURL = lines.Text()
		}
	}
	if serverURL == "" {
		t.Fatal("the owner started no server")
	}
	connect(t, serverURL) // proves that it runs, and is in use when the owner dies
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := owner.Wait(); err == nil {
		t.Error("the owner ended well, want killed")
	}
	assertNothingLeft(t, dir, serverURL)
}

func TestOwnerProcess(t *testing.T) {
	dir := os.Getenv(envOwner)
	if dir == "" {
		t.Log("only for TestServerEndsWithItsOwner")
		return
	}
	serverURL, _, err := Start(t.Context(), dir, false)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\n%s\n", serverURL)
	select {} // until killed: sharedServer and stop must not matter
}

func TestStartCancelled(t *testing.T) {
	t.Parallel()
	requirePostgres(t)
	dir := reachableDir(t)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, _, err := Start(ctx, dir, false); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
	assertEmpty(t, dir)
}

func TestStartReportsWhatTheServerSaid(t *testing.T) {
	t.Parallel()
	dir := reachableDir(t)
	bin := fakeBinaries(t, "#!/bin/sh\necho 'initdb: error: no space for it' >&2\nexit 1\n")
	_, err := startFrom(t.Context(), bin, dir, false)
	if err == nil || !strings.Contains(err.Error(), "no space for it") {
		t.Errorf("got %v, want what initdb said", err)
	}
	assertEmpty(t, dir)
}

func TestStartRefusesALongPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("x", maxSocketPathBytes))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := makeServerDir(dir, nil); err == nil || !strings.Contains(err.Error(), "socket") {
		t.Errorf("got %v, want an error about the socket", err)
	}
	assertEmpty(t, dir)
}

func TestFindBinaries(t *testing.T) {
	t.Parallel()
	version := func(v string) string {
		return fakeBinaries(t, "#!/bin/sh\necho 'initdb (PostgreSQL) "+v+"'\n")
	}
	empty, v14, v15, v17, odd := t.TempDir(), version("14.9"), version("15.2 (Debian 15.2-1)"), version("17beta1"), version("x")
	tests := []struct {
		name string
		dirs []string
		want string
		err  string
	}{
		{"nowhere", []string{empty, "/does/not/exist"}, "", "postgres not found"},
		{"the only one", []string{empty, v15}, v15, ""},
		{"the newest", []string{v15, v17, v14}, v17, ""},
		{"too old", []string{v14}, "", "older than 15"},
		{"unreadable version", []string{odd}, "", "unexpected answer"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := findBinaries(t.Context(), test.dirs)
			if got != test.want || (err == nil) != (test.err == "") {
				t.Fatalf("got %q, %v", got, err)
			}
			if err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("got %v, want %s", err, test.err)
			}
		})
	}
}

func fakeBinaries(t *testing.T, initdb string) string {
	t.Helper()
	dir := reachableDir(t)
	for name, script := range map[string]string{"initdb": initdb, "pg_ctl": "", "postgres": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// reachableDir is a short temporary directory that the server's user can enter,
// which t.TempDir is not when the tests run as root.
func reachableDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgtest-") //nolint:usetesting // t.TempDir is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	// Everybody may write, as in /tmp: otherwise only a stop, and not the shell of
	// a killed owner, could remove the server's directory.
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	return dir
}

// requirePostgres is for tests that start a server themselves.
func requirePostgres(t *testing.T) {
	t.Helper()
	err := policy(os.Getenv)
	if err == nil {
		_, err = findBinaries(t.Context(), candidateDirs())
	}
	if errors.Is(err, errNoBinaries) && os.Getenv(EnvURL) == "" {
		err = missing(os.Getenv, err)
	}
	if errors.Is(err, ErrLeftOut) || errors.Is(err, errNoBinaries) && os.Getenv(EnvURL) != "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func startOrSkip(t *testing.T, dir string, durable bool) (string, func() error) {
	t.Helper()
	requirePostgres(t)
	serverURL, stop, err := Start(t.Context(), dir, durable, "work_mem = 5MB")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return serverURL, stop
}

// assertNothingLeft waits until the server is gone with all that it had made.
func assertNothingLeft(t *testing.T, dir, serverURL string) {
	t.Helper()
	u, err := url.Parse(serverURL)
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		if _, err := os.Stat(u.Query().Get("host")); errors.Is(err, os.ErrNotExist) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the server's directory is still there")
		}
		time.Sleep(20 * time.Millisecond)
	}
	assertEmpty(t, dir)
	if conn, err := pgx.Connect(t.Context(), serverURL); err == nil {
		t.Error("the server still takes connections", conn.Close(t.Context()))
	}
}

func assertEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		t.Errorf("left behind: %s", entry.Name())
	}
}
