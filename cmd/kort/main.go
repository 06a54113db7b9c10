// Command kort serves the cards API and looks after its data.
//
// Purpose: one file for each subcommand, the flags and the environment, and the
// start and the end of the server.
//
// Non-goals: rules of any kind. What a command does is in pkg; here it is put
// together and its outcome said in words.
//
// The surprising decision: a server starts as a list of steps, and each step that
// succeeds leaves behind how to undo it. Shutting down, and failing to start, is
// that list backwards; there is no second description of the order to keep in line.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/config"
	"github.com/kortwallet/kort/pkg/conformance"
	"github.com/kortwallet/kort/pkg/posting"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1 // something did not work, or was found to be wrong
	exitUsage   = 2 // the command line or the configuration is wrong
)

// commands are the subcommands, in the order of the help. To add one, add a line.
type commands struct {
	Serve   serveCmd   `cmd:"" help:"Serve the API."`
	Sandbox sandboxCmd `cmd:"" help:"Serve the API for tests, with clocks that can be set."`
	Token   tokenCmd   `cmd:"" help:"Print a token for a server started with serve --dev."`
	Migrate migrateCmd `cmd:"" help:"Look after the schema of the database."`
	Verify  verifyCmd  `cmd:"" help:"Check every balance against the history of its card."`
	Rebuild rebuildCmd `cmd:"" help:"Work out balances from the history again, and correct them on request."`
	Backup  backupCmd  `cmd:"" help:"Copy the embedded database into a file, also beside a running server."`
	Restore restoreCmd `cmd:"" help:"Put a backup of an embedded database into a data directory."`
	Bench   benchCmd   `cmd:"" help:"Measure requests per second and latencies on this machine."`
	Proof   proofCmd   `cmd:"" help:"Attack servers of this program and check that nothing is lost."`
	Keys    keysCmd    `cmd:"" help:"Look after the keys under which tokens and PINs are stored."`
	Health  healthCmd  `cmd:"" help:"Ask a server on this machine whether it is ready."`
	Clients clientsCmd `cmd:"" help:"Look after the API clients that get tokens from the server."`
	Hooks   hooksCmd   `cmd:"" help:"Receive events while you write what they are for."`
	Version versionCmd `cmd:"" help:"Print the version."`

	SigningKey  signingKeyCmd  `cmd:"" help:"Look after the keys that sign the server's own tokens."`
	Conformance conformanceCmd `cmd:"" help:"Check whether a server, this one or another, keeps the contract of the API."`

	DataKey     keysCmd        `cmd:"" hidden:"" help:"The older name of keys."`
	ConfigTable configTableCmd `cmd:"" hidden:"" help:"Print the table of all settings in Markdown."`
	BenchServer benchServerCmd `cmd:"" hidden:"" help:"Serve for bench until stdin ends."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for an orderly end. From then on signals mean what they
	// usually do, so that a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, newTerminal(os.Stdout, os.Stderr), os.Args[1:]))
}

// run executes a command line and returns the exit code.
func run(ctx context.Context, term *terminal, args []string) int {
	var all commands
	all.Serve.DataKey = config.Secret(os.Getenv(config.EnvDataKey))
	all.Serve.Tracing = config.TracingFrom(os.Getenv)
	all.Clients.Create.DataKey = all.Serve.DataKey
	helped := false // the parser goes on after --help
	parser, err := newParser(&all, term, func(int) { helped = true })
	if err != nil {
		term.fail(err)
		return exitFailure
	}
	bare := len(args) == 0
	if bare {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	switch {
	case helped && bare:
		return exitUsage
	case helped:
		return exitOK
	}
	if err != nil {
		term.failUsage(err)
		return exitUsage
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	parsed.Bind(term, parser)
	if err := parsed.Run(); err != nil {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			err = errInterrupted
		}
		term.fail(err)
		if errors.Is(err, conformance.ErrCannotRun) {
			return exitUsage
		}
		return exitFailure
	}
	return exitOK
}

var errInterrupted = errors.New("interrupted")

// helpWidth is the widest help, in characters.
const helpWidth = 100

func newParser(all *commands, term *terminal, exit func(int)) (*kong.Kong, error) {
	return kong.New(all,
		kong.Name("kort"),
		kong.Description("Kort keeps gift cards and wallets: a server for the Wallet / Cards API, with its data in an embedded SQLite "+
			"or on PostgreSQL. To try it: kort serve --dev"),
		kong.Writers(term.stdout, term.stderr),
		kong.Exit(exit),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: helpWidth}),
		kong.ValueFormatter(flagHelp),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(decodeDuration)),
		kong.Vars{
			"scopes":     strings.Join(auth.Scopes(), ","),
			"scope_list": strings.Join(auth.Scopes(), ", "),
			"max_queue":  fmt.Sprint(posting.DefaultMaxQueue),
			"max_batch":  fmt.Sprint(posting.DefaultMaxBatch),
			"committers": fmt.Sprint(posting.DefaultCommitters),
			"attacks":    attackList(),
		},
	)
}

// decodeDuration says what a duration looks like, where the parser's own says that
// it is none.
func decodeDuration(from *kong.DecodeContext, target reflect.Value) error {
	var text string
	if err := from.Scan.PopValueInto("duration", &text); err != nil {
		return err
	}
	duration, err := time.ParseDuration(text)
	if err != nil {
		return errors.New("must be a duration, such as 500ms, 30s, 5m or 2h")
	}
	target.Set(reflect.ValueOf(duration))
	return nil
}

// flagHelp is what a flag means, with its default and its environment variable.
func flagHelp(value *kong.Value) string {
	var facts []string
	if value.HasDefault && value.Default != "" {
		facts = append(facts, "default "+value.Default)
	}
	if envs := value.Tag.Envs; len(envs) > 0 {
		facts = append(facts, "$"+envs[0])
	}
	if len(facts) == 0 {
		return value.Help
	}
	return value.Help + " [" + strings.Join(facts, ", ") + "]"
}
