// Command withpostgres runs a command with one PostgreSQL that all of its
// processes share, so that `go test ./...` starts one server and not one for
// every package:
//
//	go run ./pkg/pgtest/withpostgres go test ./...
//
// Where no PostgreSQL is installed the command runs all the same, and the last
// line says that its tests were left out and how to include them. Non-goal: a
// server that outlives the command.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/kortwallet/kort/pkg/pgtest"
)

// killDelay is how long the command may take to end after an interrupt.
const killDelay = 10 * time.Second

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: withpostgres COMMAND [ARGUMENT ...]")
		os.Exit(2)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	cancel()
	os.Exit(code)
}

// run returns the exit code of the command. The server ends with this process.
func run(ctx context.Context, command []string, stdout, stderr io.Writer) int {
	server, err := pgtest.ServerURL()
	leftOut := errors.Is(err, pgtest.ErrLeftOut)
	if err != nil && !leftOut {
		fmt.Fprintln(stderr, err)
		return 1
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, stdout, stderr
	cmd.Env = os.Environ()
	if !leftOut {
		cmd.Env = append(cmd.Env, pgtest.EnvURL+"="+server.String())
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = killDelay
	code := exitCode(cmd.Run(), stderr)
	if leftOut {
		fmt.Fprintf(stdout, "\nNOTE: %v\n", err)
	}
	return code
}

func exitCode(err error, stderr io.Writer) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode()
	}
	fmt.Fprintln(stderr, err) // not found, or ended by a signal
	return 1
}
