package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/kortwallet/kort/pkg/audit"
	"github.com/kortwallet/kort/pkg/config"
	"github.com/kortwallet/kort/pkg/repository"
)

// verifyCmd is `kort verify`.
type verifyCmd struct {
	config.Verify
}

// Help is the long help.
func (verifyCmd) Help() string {
	return `Reads one snapshot of the database, also beside running servers, and compares what is stored with a replay of the history and with sums that the database makes. Changes nothing. Exit code 1 and a line for each disagreement when there is one.`
}

// Run checks and reports.
func (c *verifyCmd) Run(ctx context.Context, term *terminal) (err error) {
	store, err := openDatabase(ctx, c.Database, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := requireSchema(ctx, store); err != nil {
		return err
	}
	return verifyStore(ctx, term, store, audit.Options{Account: c.Account, Heads: c.Heads})
}

// disagreements is the error of an audit that has found so many.
type disagreements int64

// Error says how many there are.
func (d disagreements) Error() string { return "found " + count(int64(d), "disagreement") }

// verifyStore audits a database and reports. What it finds are [disagreements].
func verifyStore(ctx context.Context, term *terminal, store *repository.Store, options audit.Options) error {
	p := newProgress(term, "transactions")
	options.Progress = p.update
	report, err := audit.Verify(ctx, store, options)
	p.finish()
	printScope(term, "Checked", report.Scope)
	for _, head := range report.Heads {
		term.printf("head of %s: %s over %s and %s\n",
			head.Account, head.Root, count(head.Cards, "card"), count(head.Transactions, "transaction"))
	}
	printFindings(term, report.Findings)
	switch {
	case err != nil:
		return fmt.Errorf("verify: %w", err)
	case !report.OK():
		return disagreements(report.Findings.Total)
	}
	term.printf("%s\n", agreement(report.Scope))
	return nil
}

// agreement does not praise what was not looked at: the account may be a slip.
func agreement(scope audit.Scope) string {
	if scope.Cards == 0 {
		return "There are no cards."
	}
	return "Everything agrees."
}

func printScope(term *terminal, verb string, scope audit.Scope) {
	term.printf("%s %s, %s, %s and %s.\n", verb, count(scope.Accounts, "account"), count(scope.Cards, "card"),
		count(scope.Transactions, "transaction"), count(scope.Tokens, "token"))
}

func printFindings(term *terminal, findings audit.Findings) {
	for _, finding := range findings.First {
		term.printf("%s\n", finding)
	}
	if more := findings.Total - int64(len(findings.First)); more > 0 {
		term.printf("and %d more\n", more)
	}
}
