package main

import (
	"context"
	"errors"

	"github.com/kortwallet/kort/pkg/config"
	"github.com/kortwallet/kort/pkg/repository"
)

// migrateCmd is `kort migrate`.
type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Bring the schema up to date."`
	Status migrateStatusCmd `cmd:"" help:"List the steps of the schema; exit code 1 when the database lacks some."`
}

// migrateUpCmd is `kort migrate up`.
type migrateUpCmd struct {
	config.Database
}

// Help is the long help.
func (migrateUpCmd) Help() string {
	return `A step either happens as a whole or not at all, and several processes may try at once. Nothing is ever dropped. An embedded SQLite is also brought up to date by serve.`
}

// Run brings the schema up to date. It creates a missing SQLite database.
func (c *migrateUpCmd) Run(ctx context.Context, term *terminal) (err error) {
	if !c.Postgres() {
		dir := dataDir(c.DataDir)
		if err := dir.exist(); err != nil {
			return err
		}
		unlock, err := dir.lock()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, unlock()) }()
		if err := createDatabase(c.SQLiteFile()); err != nil {
			return err
		}
	}
	store, err := repository.Open(ctx, repository.Options{PostgresURL: c.DatabaseURL.Reveal(), SQLitePath: c.SQLiteFile()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	steps, err := store.Migrate(ctx)
	if err != nil {
		return err
	}
	for _, step := range steps {
		term.printf("applied  %s\n", step)
	}
	term.printf("The schema is up to date.\n")
	return nil
}

// migrateStatusCmd is `kort migrate status`.
type migrateStatusCmd struct {
	config.Database
}

// Run lists the steps of the schema.
func (c *migrateStatusCmd) Run(ctx context.Context, term *terminal) (err error) {
	store, err := openDatabase(ctx, c.Database, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	steps, err := store.Migrations(ctx)
	if err != nil {
		return err
	}
	for _, step := range steps {
		state := "missing"
		if step.Applied {
			state = "applied"
		}
		term.printf("%s  %s\n", state, step.Name)
	}
	if err := requireSchema(ctx, store); err != nil {
		return err
	}
	term.printf("The schema is up to date.\n")
	return nil
}
