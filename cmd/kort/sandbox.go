package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/config"
	"github.com/kortwallet/kort/pkg/sandbox"
)

// sandboxCmd is `kort sandbox`.
type sandboxCmd struct {
	config.Sandbox
}

// Help is the long help.
func (sandboxCmd) Help() string {
	return `Serves the API for tests, on a temporary database that is removed at the end. When it is ready it prints one line of JSON on stdout: the url, a fresh test account, a token for it with all rights, and the address of a page to try the API on with them.

Under ` + sandbox.BasePath + ` it has a control API for more accounts and for the clock of each; see openapi/sandbox.yaml.`
}

// ready is the line that says that a sandbox can be used.
type ready struct {
	URL     string `json:"url"`
	Account string `json:"account"`
	Token   string `json:"token"`
	Docs    string `json:"docs"`
}

// Run serves until the context ends.
func (c *sandboxCmd) Run(ctx context.Context, term *terminal) error {
	s, control, err := startSandbox(ctx, c.Sandbox, newLog(c.Log, term))
	if err != nil {
		return err
	}
	account, token, err := control.NewAccount()
	if err == nil {
		line := json.NewEncoder(term.stdout)
		line.SetEscapeHTML(false) // people copy the address from it
		err = line.Encode(ready{s.identity.PublicURL, account, token, s.docsURL(account, token)})
	}
	if err != nil {
		return stopped(ctx, s, fmt.Errorf("say that the sandbox is ready: %w", err))
	}
	return s.run(ctx)
}

// startSandbox starts a server on a temporary directory, with the control API before it.
func startSandbox(ctx context.Context, settings config.Sandbox, log *slog.Logger) (*server, *sandbox.Control, error) {
	directory, err := os.MkdirTemp("", "kort-sandbox-")
	if err != nil {
		return nil, nil, fmt.Errorf("make a temporary directory: %w", err)
	}
	clocks := sandbox.NewClocks(time.Now)
	s := newServer(settings.Serve(directory), log)
	s.onStop(func(context.Context) error { return os.RemoveAll(directory) })
	//nolint:contextcheck // it prepares checks of requests, which have contexts of their own
	control, err := sandbox.New(sandbox.Config{Mint: s.mintForTests, Clocks: clocks, Hosts: settings.Hosts, Log: log})
	if err != nil {
		return nil, nil, stopped(ctx, s, err)
	}
	s.clock, s.around, s.ephemeral = clocks.Now, control.Around, true
	if err := s.start(ctx); err != nil {
		return nil, nil, err
	}
	return s, control, nil
}

// mintForTests makes a token with all rights in an account.
func (s *server) mintForTests(account string) (string, error) {
	return s.signingKey.Mint(auth.Claims{
		Account: account, Issuer: s.identity.Issuer, AudienceBase: s.identity.AudienceBases[0],
		Subject: welcomeSubject, Scopes: []string{auth.ScopeAdmin}, TTL: welcomeTTL,
	}, time.Now())
}
