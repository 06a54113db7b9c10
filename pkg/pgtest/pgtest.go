// Package pgtest gives a test its own database on a real PostgreSQL.
//
// Purpose: everything that touches SQL is tested against the engine that
// production uses, with nothing to set up: the server is made from the binaries
// on the machine, and goes away with the process that asked for it.
//
// Non-goals: mocks, containers, migrations (the caller runs its own).
//
// The surprising decision: the server is watched by a shell that reads from a
// pipe which only this process holds open. However this process ends (return,
// panic, timeout, SIGKILL), the kernel closes the pipe, the shell wakes, stops
// the server and removes its directory. No test needs a TestMain, and nothing
// leaks. `make test` starts one server for all packages through withpostgres.
package pgtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// The environment variables that steer this package.
const (
	// EnvURL names a PostgreSQL to use instead of starting one. Its user must be
	// allowed to create databases.
	EnvURL = "KORT_TEST_POSTGRES_URL"
	// EnvPolicy is "required" (a missing PostgreSQL fails the test), "off" (the
	// tests are left out even where PostgreSQL is present) or empty (left out
	// only where it is missing). CI=true means required, whatever this says.
	EnvPolicy = "KORT_TEST_POSTGRES"
)

// databaseTimeout bounds each statement of this package on a busy machine.
const databaseTimeout = 60 * time.Second

// ErrLeftOut is returned where tests on PostgreSQL are to be left out; its text
// says how to include them.
var ErrLeftOut = errors.New("PostgreSQL tests left out")

// sharedServer is process-wide on purpose: a server costs a second to make and a
// database a few milliseconds, so all tests of one binary share the first.
var sharedServer = sync.OnceValues(func() (*server, error) {
	return start(context.Background(), "", false)
})

// URL returns the connection URL of a new, empty database, dropped at the end of
// the test. It may be called from parallel tests. Where PostgreSQL is missing the
// test is skipped, or fails if [EnvPolicy] or CI says that it must not be.
func URL(t testing.TB) string {
	t.Helper()
	base, err := ServerURL()
	if errors.Is(err, ErrLeftOut) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	name, err := createDatabase(base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := execute(base, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop test database: %v", err)
		}
	})
	return withDatabase(base, name)
}

// ServerURL returns the URL of the server that this process's tests share,
// starting it if need be. The error is [ErrLeftOut] where tests on PostgreSQL are
// to be left out.
func ServerURL() (*url.URL, error) {
	if err := policy(os.Getenv); err != nil {
		return nil, err
	}
	if raw := os.Getenv(EnvURL); raw != "" {
		return parseServerURL(raw)
	}
	s, err := sharedServer()
	if errors.Is(err, errNoBinaries) {
		return nil, missing(os.Getenv, err)
	}
	if err != nil {
		return nil, err
	}
	return s.url(), nil
}

// policy returns an error where the environment asks for no PostgreSQL at all.
func policy(getenv func(string) string) error {
	switch value := getenv(EnvPolicy); {
	case value == "off" && !required(getenv):
		return fmt.Errorf("%w: %s is off; unset it to include them", ErrLeftOut, EnvPolicy)
	case value != "" && value != "off" && value != "required":
		return fmt.Errorf("%s must be required, off or empty", EnvPolicy)
	}
	return nil
}

// missing turns the absence of a server into ErrLeftOut, unless one is required.
func missing(getenv func(string) string, cause error) error {
	const remedy = "install PostgreSQL 15+ or set " + EnvURL
	if required(getenv) {
		return fmt.Errorf("%w: %s (it is required here: CI=true or %s=required)", cause, remedy, EnvPolicy)
	}
	return fmt.Errorf("%w: %w: %s", ErrLeftOut, cause, remedy)
}

func required(getenv func(string) string) bool {
	return getenv("CI") == "true" || getenv(EnvPolicy) == "required"
}

// parseServerURL accepts the URL form only: the key=value form has no path to put
// a database name into. The URL may hold a password, so no error repeats it.
func parseServerURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return nil, fmt.Errorf("%s must look like postgres://user:password@host:5432/postgres", EnvURL)
	}
	return u, nil
}

func createDatabase(base *url.URL) (string, error) {
	var random [10]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", fmt.Errorf("name test database: %w", err)
	}
	name := "kort_test_" + hex.EncodeToString(random[:])
	// template0: template1 may hold objects, and refuses while somebody is
	// connected to it.
	if err := execute(base, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'UTF8'"); err != nil {
		return "", fmt.Errorf("create test database: %w", err)
	}
	return name, nil
}

// execute runs one statement on a connection of its own: databases are made and
// dropped rarely, and an idle pool would outlive the test that opened it.
func execute(server *url.URL, statement string) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), databaseTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, server.String())
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, statement)
	return err
}

func withDatabase(server *url.URL, name string) string {
	database := *server
	database.Path, database.RawPath = "/"+name, ""
	return database.String()
}
