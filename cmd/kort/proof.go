package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/kortwallet/kort/pkg/config"
	"github.com/kortwallet/kort/pkg/proof"
)

// proofCmd is `kort proof`.
type proofCmd struct {
	config.Proof
}

// Help is the long help.
func (proofCmd) Help() string {
	return `Starts servers of this program on temporary databases, puts them under load from several clients, and kills, cuts off and starves them meanwhile. Afterwards everything that a client was told has to be there exactly once, everything else entirely or not at all, and the audit has to agree. PostgreSQL is started from the programs on this machine.

Exit code 1 when anything is found. The printed seed draws the same faults again; their timing it cannot repeat.`
}

// attackList names all attacks.
func attackList() string { return proof.ItemList() }

// Run attacks and prints the report on stdout.
func (c *proofCmd) Run(ctx context.Context, term *terminal) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	items, err := proof.ParseItems(c.Only)
	if err != nil {
		return fmt.Errorf("--only: %w", err)
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	options := proof.Options{
		Program: proof.Program{Path: program, Env: withoutSettings(os.Environ())},
		Items:   items, Budget: c.Budget(), Parallel: c.Parallel, Seed: c.Seed, Clients: c.Clients, Dir: c.Dir, Version: describe(info),
		Observe: func(phase string) { term.notef("%s", phase) },
	}
	if options.Seed == 0 {
		options.Seed = uint64(time.Now().UnixNano()) //nolint:gosec // any number will do
	}
	if c.SQLite() {
		options.Engines = append(options.Engines, proof.SQLite)
	}
	if c.Postgres() {
		options.Engines = append(options.Engines, proof.Postgres)
	}
	term.notef("seed %d", options.Seed)
	report, err := proof.Run(ctx, options)
	if err != nil {
		return err
	}
	if err := c.print(report, term); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	if !report.OK() {
		return proof.ErrViolated
	}
	return nil
}

func (c *proofCmd) print(report proof.Report, term *terminal) error {
	if !c.JSON {
		return report.Write(term.stdout)
	}
	encoder := json.NewEncoder(term.stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}
