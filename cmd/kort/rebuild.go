package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/kortwallet/kort/pkg/audit"
	"github.com/kortwallet/kort/pkg/config"
)

// rebuildCmd is `kort rebuild`.
type rebuildCmd struct {
	config.Rebuild
}

// Help is the long help.
func (rebuildCmd) Help() string {
	return `Replays the history of each card and compares. Without --apply nothing is changed and a line says what would be; exit code 1 when there is something. With --apply the stored figures become what the history says; on SQLite the server has to be stopped for it. History itself is never changed, and a card whose history is damaged is left as it is.`
}

// Run replays and reports.
func (c *rebuildCmd) Run(ctx context.Context, term *terminal) (err error) {
	if c.Apply && !c.Postgres() {
		if err := haveDatabase(c.Database); err != nil {
			return err
		}
		unlock, err := dataDir(c.DataDir).lock()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, unlock()) }()
	}
	store, err := openDatabase(ctx, c.Database, !c.Apply)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := requireSchema(ctx, store); err != nil {
		return err
	}
	p := newProgress(term, "transactions")
	outcome, err := audit.Rebuild(ctx, store, audit.Options{Account: c.Account, Apply: c.Apply, Progress: p.update})
	p.finish()
	printOutcome(term, outcome, c.Apply)
	if err != nil {
		return fmt.Errorf("rebuild: %w", err)
	}
	return unfinished(outcome)
}

func printOutcome(term *terminal, outcome audit.Outcome, applied bool) {
	printScope(term, "Replayed", outcome.Scope)
	printFindings(term, outcome.Changes)
	if outcome.Left.Total > 0 {
		term.printf("Left as they are, because their history is damaged:\n")
		printFindings(term, outcome.Left)
	}
	switch {
	case applied && outcome.Wrong > 0:
		term.printf("Corrected %d of %s.\n", outcome.Restored, count(outcome.Wrong, "card"))
	case outcome.Wrong > 0:
		term.printf("Nothing was changed. To correct %s: kort rebuild --apply\n", count(outcome.Wrong, "card"))
	case outcome.Left.Total == 0:
		term.printf("%s\n", agreement(outcome.Scope))
	}
}

// unfinished is an error where something is still wrong.
func unfinished(outcome audit.Outcome) error {
	if wrong := outcome.Wrong - outcome.Restored + outcome.Left.Total; wrong > 0 {
		return fmt.Errorf("%s not as the history says", count(wrong, "card"))
	}
	return nil
}
