package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"

	"github.com/kortwallet/kort/pkg/config"
	"github.com/kortwallet/kort/pkg/conformance"
)

// conformanceCmd is `kort conformance`.
type conformanceCmd struct {
	config.Conformance
}

// Help is the long help.
func (conformanceCmd) Help() string {
	return `Asks a server of this API, by requests alone, whether it keeps the contract. Each check proves one rule; the report lists them by section, and for each that failed what was expected, what came and the request. What could not be decided is listed with the reason.

With --allow-writes it makes cards under ids that begin with conformance-, on the account of the token, and removes them, also when it is interrupted. A server may keep removed cards in its history.

Exit code 0 when no check failed, 1 when one did, 2 when none could be carried out.`
}

var (
	errNotConforming = errors.New("the server does not keep the contract")
	errUndecided     = errors.New("checks were left undecided that further settings would decide")
	errLeftBehind    = errors.New("not every card could be removed")
)

// Run checks a server and prints the report on stdout.
func (c *conformanceCmd) Run(ctx context.Context, term *terminal) error {
	options, err := c.options()
	if err != nil {
		return err
	}
	if c.List {
		for _, check := range conformance.Selected(options) {
			term.printf("%-44s %s\n", check.Name, check.Rule)
		}
		return nil
	}
	report, err := conformance.Run(ctx, options)
	if err != nil {
		return err
	}
	if err := report.Write(term.stdout); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	if err := c.writeJUnit(report); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return errInterrupted
	case report.Count(conformance.Failed) > 0:
		return errNotConforming
	case len(report.Leftovers) > 0:
		return errLeftBehind
	case c.Strict && report.Open() > 0:
		return errUndecided
	}
	return nil
}

func (c *conformanceCmd) options() (conformance.Options, error) {
	only, err := regexp.Compile(c.Only)
	if err != nil {
		return conformance.Options{}, fmt.Errorf("--only: %w", err)
	}
	return conformance.Options{
		URL: c.URL, Account: c.Account, Token: c.Token.Reveal(),
		Others: conformance.Others{
			Reader: c.TokenReader.Reveal(), Writer: c.TokenWriter.Reveal(), Till: c.TokenTill.Reveal(), Info: c.TokenInfo.Reveal(),
			Customer: c.TokenCustomer.Reveal(), Other: c.TokenOther.Reveal(), Expired: c.TokenExpired.Reveal(),
		},
		AllowWrites: c.AllowWrites, AllowLive: c.AllowLive, Published: c.Published,
		Only: only, Parallel: c.Parallel, Timeout: c.Timeout,
	}, nil
}

func (c *conformanceCmd) writeJUnit(report conformance.Report) (err error) {
	if c.JUnit == "" {
		return nil
	}
	file, err := os.Create(c.JUnit)
	if err != nil {
		return fmt.Errorf("write the JUnit report: %w", err)
	}
	err = report.WriteJUnit(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write the JUnit report: %w", err)
	}
	return nil
}
