package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kortwallet/kort/pkg/audit"
	"github.com/kortwallet/kort/pkg/config"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// verifyCmd is `kort verify`.
type verifyCmd struct {
	config.Verify
}

// Help is the long help.
func (verifyCmd) Help() string {
	return `Reads one snapshot of the database, also beside running servers, and compares what is stored with a replay of the history and with sums that the database makes. Changes nothing. Exit code 1 and a line for each disagreement when there is one.

What a database says about itself can be made to agree by whoever may write to it: a card that is gone with all its rows leaves no trace, nor does a history whose digests were all made anew. --heads prints a line for each account that shows both when --head is given it later. With --since only what is new is read.`
}

// Run checks and reports.
func (c *verifyCmd) Run(ctx context.Context, term *terminal) (err error) {
	against, err := c.keptHeads()
	if err != nil {
		return err
	}
	store, err := openDatabase(ctx, c.Database, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := requireSchema(ctx, store); err != nil {
		return err
	}
	now := time.Now()
	o := audit.Options{
		Account: c.Account, Heads: c.Heads, Until: ledger.MicrosOf(now.Add(-c.HeadMargin)), Against: against,
	}
	if c.Since != "" {
		file, err := os.Open(c.Since)
		if err != nil {
			return fmt.Errorf("open the saved state: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		if o.Since, err = audit.OpenState(file); err != nil {
			return fmt.Errorf("%s: %w", c.Since, err)
		}
	}
	if c.Save == "" {
		return verifyStore(ctx, term, store, o)
	}
	return c.verifyAndSave(ctx, term, store, o, now)
}

// disagreements is the error of an audit that has found so many.
type disagreements int64

// Error says how many there are.
func (d disagreements) Error() string { return "found " + count(int64(d), "disagreement") }

// verifyStore audits a database and reports. What it finds are [disagreements].
func verifyStore(ctx context.Context, term *terminal, store *repository.Store, o audit.Options) error {
	p := newProgress(term, "transactions")
	o.Progress = p.update
	report, err := audit.Verify(ctx, store, o)
	p.finish()
	if o.Since == nil {
		printScope(term, "Checked", report.Scope)
	} else {
		term.printf("Checked %s, %s and %s since %s.\n", count(report.Accounts, "account"), count(report.Cards, "card"),
			count(report.Transactions, "transaction"), o.Since.Time.Format(time.RFC3339))
	}
	printFindings(term, report.Findings)
	switch {
	case err != nil:
		return fmt.Errorf("verify: %w", err)
	case !report.OK():
		return disagreements(report.Findings.Total)
	}
	term.printf("%s\n", agreement(report.Scope))
	if len(o.Against) > 0 {
		term.printf("What %s stood for is still there.\n", count(int64(len(o.Against)), "kept head"))
	}
	printHeads(term, report.Heads)
	return nil
}

// printHeads shows heads in the form that --head-file takes. Heads of a database that
// disagrees are not shown: they would vouch for it.
func printHeads(term *terminal, heads []audit.AccountHead) {
	for _, head := range heads {
		term.printf("head %s\n", head)
	}
	if len(heads) > 0 {
		term.printf("The heads stand for what was made up to %s. Keep them where nobody can write who can write to the database; "+
			"later: kort verify --head HEAD\n", heads[0].Until.Time().Format(time.RFC3339))
	}
}

// verifyAndSave audits, and leaves a state in the place of the file only when everything
// agrees.
func (c *verifyCmd) verifyAndSave(
	ctx context.Context, term *terminal, store *repository.Store, o audit.Options, now time.Time,
) (err error) {
	draft, err := os.CreateTemp(filepath.Dir(c.Save), ".kort-state-*") // mode 0600
	if err != nil {
		return fmt.Errorf("save the state: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, draft.Close(), os.Remove(draft.Name()))
		}
	}()
	o.Save = audit.NewStateWriter(draft, now, c.Account)
	if err := verifyStore(ctx, term, store, o); err != nil {
		return err
	}
	if err := errors.Join(o.Save.Close(), draft.Sync()); err != nil {
		return err
	}
	if err := os.Rename(draft.Name(), c.Save); err != nil {
		return fmt.Errorf("save the state: %w", err)
	}
	if err := draft.Close(); err != nil {
		term.notef("kort: %v", err) // it is synchronised, and in its place
	}
	term.printf("Saved the verified state in %s.\n", c.Save)
	return nil
}

// keptHeads are the heads to compare with, of the command line and of the file.
func (c *verifyCmd) keptHeads() (heads []audit.AccountHead, err error) {
	texts := c.Head
	if c.HeadFile != "" {
		more, err := headLines(c.HeadFile)
		if err != nil {
			return nil, err
		}
		texts = append(texts[:len(texts):len(texts)], more...)
	}
	for _, text := range texts {
		head, err := audit.ParseHead(text)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
		if c.Account == "" || c.Account == head.Account {
			heads = append(heads, head)
		}
	}
	return heads, nil
}

// headLines are the heads in the lines of a file that begin with the word.
func headLines(name string) (heads []string, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read heads: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if head, is := strings.CutPrefix(strings.TrimSpace(lines.Text()), "head "); is {
			heads = append(heads, strings.TrimSpace(head))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read heads: %w", err)
	}
	if len(heads) == 0 {
		return nil, fmt.Errorf("read heads: %s has no line that begins with the word head", name)
	}
	return heads, nil
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
