package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/schollz/progressbar/v3"

	"github.com/kortwallet/kort/pkg/bench"
	"github.com/kortwallet/kort/pkg/config"
	"github.com/kortwallet/kort/pkg/pgtest"
)

// benchCmd is `kort bench`.
type benchCmd struct {
	config.Bench
}

// Help is the long help.
func (benchCmd) Help() string {
	return `Starts a server in a process of its own on a new database, sends it requests over HTTP, each with a signed token, and prints requests per second, latencies, processor time and memory, each beside its target. Commits are durable, requests are validated and logged.

Each baseline is measured in turns with what it is compared with: drawdowns written by hand in SQL on tables of their own (pgbench with prepared statements on PostgreSQL, a loop with the same driver on SQLite), a bare Echo handler, and a server that commits each operation singly.

Afterwards the database is audited, and the transactions in it are compared with those that were acknowledged: a server that fails a request or loses a transaction gets no figures.

All data is temporary and removed at the end. The load comes from this machine too, so nothing else should run on it meanwhile.`
}

// Run measures and prints the report on stdout.
func (c *benchCmd) Run(ctx context.Context, term *terminal) (err error) {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	parts, err := bench.ParseParts(c.Only)
	if err != nil {
		return fmt.Errorf("--only: %w", err)
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	options := bench.Options{
		PostgresURL: c.DatabaseURL.Reveal(), PostgresSettings: c.PostgresSettings, Dir: c.Dir,
		Server:      bench.Program{Path: program, Args: c.serverArgs(), Env: withoutSettings(os.Environ())},
		Connections: c.Connections, Cards: c.Cards, Runs: c.Runs, Duration: c.Duration, Version: describe(info),
		Accounts: c.Accounts, Parts: parts, ListCards: c.ListCards, HistoryTxns: c.HistoryTxns,
		OverloadConnections: c.OverloadConnections, GrowthCards: c.GrowthCards, GrowthTxns: c.GrowthTxns,
	}
	if c.SQLite() {
		options.Engines = append(options.Engines, bench.SQLite)
	}
	if c.Postgres() {
		options.Engines = append(options.Engines, bench.Postgres)
	}
	if c.Postgres() && options.PostgresURL == "" {
		address, stop, err := c.startPostgres(ctx, term)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
		options.PostgresURL = address
	}
	progress := newBenchProgress(term)
	options.Observe = progress.show
	report, err := bench.Run(ctx, options)
	progress.finish()
	if err != nil {
		return err
	}
	if err := c.plot(report); err != nil {
		return err
	}
	return c.print(report, term.stdout)
}

// plot draws the part growth, if that was asked for.
func (c *benchCmd) plot(report bench.Report) (err error) {
	if c.Plot == "" {
		return nil
	}
	file, err := os.Create(c.Plot)
	if err != nil {
		return fmt.Errorf("--plot: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return report.WritePlot(file)
}

// startPostgres starts a server as a new installation would be, durability included, but
// for what is asked for.
func (c *benchCmd) startPostgres(ctx context.Context, term *terminal) (address string, stop func() error, err error) {
	term.notef("starting a PostgreSQL")
	address, stop, err = pgtest.Start(ctx, c.Dir, true, c.PostgresSettings...)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("start a PostgreSQL: %w; install PostgreSQL 15 or later, name one with --database-url, or measure with --engine sqlite", err)
	}
	return address, stop, err
}

func (c *benchCmd) print(report bench.Report, out io.Writer) error {
	if !c.JSON {
		return report.Write(out)
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(report); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	return nil
}

// withoutSettings leaves out what would configure the server that is measured.
func withoutSettings(environment []string) []string {
	return slices.DeleteFunc(environment, func(variable string) bool {
		return strings.HasPrefix(variable, "KORT_") || strings.HasPrefix(variable, "OTEL_")
	})
}

// benchProgress shows how far a benchmark has come: a bar on a terminal, elsewhere a
// line for each phase.
type benchProgress struct {
	term  *terminal
	bar   *progressbar.ProgressBar // on a terminal only
	phase string
}

func newBenchProgress(term *terminal) *benchProgress { return &benchProgress{term: term} }

func (p *benchProgress) show(now bench.Progress) {
	if p.term.interactive {
		p.draw(now)
		return
	}
	if now.Phase != p.phase {
		p.phase = now.Phase
		p.term.notef("%s", now.Phase)
	}
}

func (p *benchProgress) draw(now bench.Progress) {
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(now.Total.Milliseconds(),
			progressbar.OptionSetWriter(p.term.stderr),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(barInterval),
			progressbar.OptionFullWidth(),
		)
	}
	text := now.Phase
	if now.Rate > 0 {
		text = fmt.Sprintf("%s, %.0f/s", text, now.Rate)
	}
	p.bar.Describe(text)
	// A bar that cannot be drawn is no reason to fail what it is about.
	_ = p.bar.Set64(now.Done.Milliseconds())
}

// finish leaves the terminal ready for the next line.
func (p *benchProgress) finish() {
	if p.bar != nil {
		_ = p.bar.Clear() // as in draw
	}
}
