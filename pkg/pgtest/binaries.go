package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
)

// oldestMajor is the oldest PostgreSQL that Kort supports.
const oldestMajor = 15

// errNoBinaries is returned where no usable PostgreSQL is installed.
var errNoBinaries = errors.New("postgres not found")

var versionPattern = regexp.MustCompile(`PostgreSQL\) (\d+)`)

// candidateDirs lists where initdb and pg_ctl may be: on the PATH, and where
// Debian, Red Hat and Homebrew keep their versions side by side.
func candidateDirs() []string {
	dirs := filepath.SplitList(os.Getenv("PATH"))
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
	} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			panic(err) // only a malformed pattern fails
		}
		dirs = append(dirs, found...)
	}
	return dirs
}

// findBinaries returns the directory with the newest PostgreSQL among dirs.
func findBinaries(ctx context.Context, dirs []string) (string, error) {
	newest, newestDir := 0, ""
	for _, dir := range dirs {
		major, err := majorVersion(ctx, dir)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		if major > newest {
			newest, newestDir = major, dir
		}
	}
	switch {
	case newest == 0:
		return "", errNoBinaries
	case newest < oldestMajor:
		return "", fmt.Errorf("%w: the newest one here is %d, which is older than %d", errNoBinaries, newest, oldestMajor)
	}
	return newestDir, nil
}

// majorVersion asks initdb for its version. The error is os.ErrNotExist where dir
// does not hold the programs that a server needs.
func majorVersion(ctx context.Context, dir string) (int, error) {
	for _, program := range []string{"initdb", "pg_ctl", "postgres"} {
		if _, err := os.Stat(filepath.Join(dir, program)); err != nil {
			return 0, os.ErrNotExist
		}
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "initdb"), "--version").Output()
	if ctx.Err() != nil { // which killed it
		return 0, ctx.Err()
	}
	if err != nil {
		return 0, fmt.Errorf("ask %s/initdb for its version: %w", dir, err)
	}
	match := versionPattern.FindSubmatch(out)
	if match == nil {
		return 0, fmt.Errorf("ask %s/initdb for its version: unexpected answer", dir)
	}
	return strconv.Atoi(string(match[1]))
}

// serverCredential returns whom the server is to run as; nil means as ourselves.
// PostgreSQL refuses to run as root.
func serverCredential(euid int) (*syscall.Credential, error) {
	if euid != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(account.Uid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("read the user id of %s: %w", name, err)
		}
		gid, err := strconv.ParseUint(account.Gid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("read the group id of %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody to run it as")
}

// Program finds a program that comes with PostgreSQL, such as pgbench: beside the
// newest server, or on the PATH where only the clients are installed.
func Program(ctx context.Context, name string) (string, error) {
	dir, err := findBinaries(ctx, candidateDirs())
	if err != nil && !errors.Is(err, errNoBinaries) {
		return "", err
	}
	if err == nil {
		path, err := beside(dir, name)
		if err == nil || !errors.Is(err, os.ErrNotExist) {
			return path, err
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s not found beside the PostgreSQL server or on the PATH: %w", name, err)
	}
	return path, nil
}

// beside finds a program in the directory of a server, or in the one that the server
// there is a link to. The error is os.ErrNotExist where neither has it.
func beside(dir, name string) (string, error) {
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return path, err
	}
	initdb, err := filepath.EvalSymlinks(filepath.Join(dir, "initdb"))
	if err != nil {
		return "", err
	}
	path = filepath.Join(filepath.Dir(initdb), name)
	_, err = os.Stat(path)
	return path, err
}
