package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/bench"
	"github.com/kortwallet/kort/pkg/config"
	"github.com/kortwallet/kort/pkg/pgtest"
)

// benchTokenTTL outlives any benchmark.
const benchTokenTTL = 7 * 24 * time.Hour

// benchCmd is `kort bench`.
type benchCmd struct {
	config.Bench
}

// Help is the long help.
func (benchCmd) Help() string {
	return `Starts a server in a process of its own on a new database, sends it requests over HTTP, each with a signed token, and prints requests per second, latencies, processor time and memory, beside what plain SQL reaches on the same tables. Commits are durable, requests are validated and logged.

Afterwards the database is audited, and the transactions in it are compared with those that were acknowledged: a server that fails a request or loses a transaction gets no figures.

All data is temporary and removed at the end. The load comes from this machine too, so nothing else should run on it meanwhile.`
}

// Run measures and prints the report on stdout.
func (c *benchCmd) Run(ctx context.Context, term *terminal) (err error) {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	options := bench.Options{
		PostgresURL: c.DatabaseURL.Reveal(), Dir: c.Dir,
		Server:      bench.Program{Path: program, Args: []string{"bench-server"}, Env: withoutSettings(os.Environ())},
		Connections: c.Connections, Cards: c.Cards, Runs: c.Runs, Duration: c.Duration, Version: describe(info),
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
	return c.print(report, term.stdout)
}

// startPostgres starts a server as a new installation would be, durability included.
func (c *benchCmd) startPostgres(ctx context.Context, term *terminal) (address string, stop func() error, err error) {
	term.notef("starting a PostgreSQL")
	address, stop, err = pgtest.Start(ctx, c.Dir, true)
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
	return slices.DeleteFunc(environment, func(variable string) bool { return strings.HasPrefix(variable, "KORT_") })
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

// benchServerCmd is the server that `kort bench` measures. It is the one of serve,
// with its default settings; only its log goes nowhere, but for what is wrong.
type benchServerCmd struct {
	config.BenchServer
}

// Run serves until stdin ends, which it does however the benchmark ends.
func (c *benchServerCmd) Run(ctx context.Context, term *terminal) (err error) {
	sink, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	defer func() { err = errors.Join(err, sink.Close()) }()
	// Writing a line for each request is part of the work that is measured.
	log := slog.New(slog.NewMultiHandler(
		slog.NewJSONHandler(sink, nil),
		slog.NewTextHandler(term.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}),
	))
	s, err := startServer(ctx, c.Serve, log)
	if err != nil {
		return err
	}
	if err := c.announce(s, term.stdout); err != nil {
		return stopped(ctx, s, err)
	}
	left := make(chan struct{})
	go func() {
		defer close(left)
		_, _ = io.Copy(io.Discard, os.Stdin) // an error is an end as well
	}()
	select {
	case <-left:
	case <-ctx.Done():
	case err := <-s.failed:
		return stopped(ctx, s, fmt.Errorf("serve: %w", err))
	}
	return stopped(ctx, s, nil)
}

// announce says where the server listens, and hands out the tokens.
func (c *benchServerCmd) announce(s *server, out io.Writer) error {
	said := bench.Announcement{Addr: s.listener.Addr().String()}
	for i := range c.Tokens {
		token, err := s.signingKey.Mint(auth.Claims{
			Account: c.Account, Issuer: s.identity.Issuer, AudienceBase: s.identity.AudienceBases[0],
			Subject: fmt.Sprintf("till-%d", i), Scopes: []string{auth.ScopeRead, auth.ScopeWrite}, TTL: benchTokenTTL,
		}, time.Now())
		if err != nil {
			return err
		}
		said.Tokens = append(said.Tokens, token)
	}
	if err := json.NewEncoder(out).Encode(said); err != nil {
		return fmt.Errorf("announce the server: %w", err)
	}
	return nil
}
