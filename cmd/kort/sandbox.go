package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	api "github.com/kortwallet/kort/gen/sandbox"
	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/config"
	"github.com/kortwallet/kort/pkg/httpapi"
	"github.com/kortwallet/kort/pkg/identity"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/sandbox"
)

// sandboxCmd is `kort sandbox`.
type sandboxCmd struct {
	config.Sandbox
}

// Help is the long help.
func (sandboxCmd) Help() string {
	return `Serves the API for tests, on a temporary database that is removed at the end, or on a kept one. When it is ready it prints one line of JSON on stdout: the url, a test account, a token for it with all rights, the id and the secret of an API client that gets such tokens, and the address of a page to try the API on.

Under ` + sandbox.BasePath + ` it has a control API: more accounts, and for each of them the clock, contents from a seed, snapshots, faults and a log of its requests; see openapi/sandbox.yaml.`
}

// ready is the line that says that a sandbox can be used.
type ready struct {
	URL          string `json:"url"`
	Account      string `json:"account"`
	Token        string `json:"token"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	Docs         string `json:"docs"`
}

// Run serves until the context ends.
func (c *sandboxCmd) Run(ctx context.Context, term *terminal) error {
	s, err := c.start(ctx, newLog(c.Log, term))
	if err != nil {
		return err
	}
	line, err := s.begin(ctx, c.Sandbox)
	if err == nil {
		out := json.NewEncoder(term.stdout)
		out.SetEscapeHTML(false) // people copy addresses from it
		err = out.Encode(line)   //nolint:gosec // the secret is for whoever has started the sandbox
	}
	if err != nil {
		return stopped(ctx, s.server, err)
	}
	if c.UntilEOF {
		return stopped(ctx, s.server, untilStdinEnds(ctx, s.failed))
	}
	return s.run(ctx)
}

// sandboxServer is a server with a control API before it.
type sandboxServer struct {
	*server
	control *sandbox.Control
	testbed *repository.Testbed
}

// start starts a server on a directory, which is removed at the end unless it is to be kept.
func (c *sandboxCmd) start(ctx context.Context, log *slog.Logger) (*sandboxServer, error) {
	directory := c.DataDir
	if directory == "" {
		var err error
		if directory, err = os.MkdirTemp("", "kort-sandbox-"); err != nil {
			return nil, fmt.Errorf("make a temporary directory: %w", err)
		}
	}
	s := &sandboxServer{server: newServer(c.Serve(directory), log)}
	if c.DataDir == "" {
		s.onStop(func(context.Context) error { return os.RemoveAll(directory) })
		s.ephemeral = true
	}
	clocks := sandbox.NewClocks(time.Now)
	s.clock, s.anyBase = clocks.Now, true
	s.around = func(ctx context.Context, edge *httpapi.Server) (http.Handler, error) {
		if err := s.openTestbed(ctx); err != nil {
			return nil, err
		}
		var err error
		//nolint:contextcheck // it prepares checks of requests, which have contexts of their own
		s.control, err = sandbox.New(sandbox.Config{
			API: edge, Submit: s.poster.Submit, DataKeys: s.dataKeys, Testbed: s.testbed,
			Mint: s.mintForTests, NewClient: s.newClientForTests, Clocks: clocks, Hosts: c.Hosts, Log: log,
		})
		return s.control, err
	}
	return s, s.server.start(ctx)
}

func (s *sandboxServer) openTestbed(ctx context.Context) (err error) {
	aside := ""
	if !s.ephemeral {
		aside = dataDir(s.settings.DataDir).snapshotFile()
	}
	if s.testbed, err = repository.OpenTestbed(ctx, s.settings.SQLiteFile(), aside); err != nil {
		return fmt.Errorf("open the snapshots: %w", err)
	}
	s.onStop(func(context.Context) error { return s.testbed.Close() })
	return nil
}

// begin has the account that is printed, with what a seed puts there.
func (s *sandboxServer) begin(ctx context.Context, settings config.Sandbox) (ready, error) {
	var line ready
	seed, err := s.readSeed(settings.Seed)
	if err != nil {
		return line, err
	}
	kept, err := s.keptAccount()
	if err != nil {
		return line, err
	}
	if seed != nil && seed.Account != nil {
		kept = *seed.Account
	}
	var made api.Account
	if kept == "" {
		made, err = s.control.NewAccount(ctx)
	} else {
		made, err = s.control.Adopt(ctx, kept)
	}
	if err != nil {
		return line, err
	}
	line = ready{
		s.identity.PublicURL, made.Account, made.Token, made.ClientID, made.ClientSecret, s.docsURL(made.Account, made.Token),
	}
	return line, errors.Join(s.sow(ctx, made.Account, seed), s.keepAccount(made.Account))
}

// readSeed reads the file that was named, if one was.
func (s *sandboxServer) readSeed(name string) (*api.Seed, error) {
	var file []byte
	var err error
	switch name {
	case "":
		return nil, nil
	case "-":
		file, err = io.ReadAll(os.Stdin)
	default:
		file, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, fmt.Errorf("--seed: %w", err)
	}
	seed, err := s.control.ReadSeed(file)
	if err != nil {
		return nil, fmt.Errorf("--seed: %s: %w", name, err)
	}
	return seed, nil
}

// sow adds what a seed has to an account that has nothing yet.
func (s *sandboxServer) sow(ctx context.Context, account string, seed *api.Seed) error {
	if seed == nil {
		return nil
	}
	used, err := s.testbed.Used(ctx, account)
	if err != nil {
		return fmt.Errorf("--seed: %w", err)
	}
	if used {
		s.log.Info("the account has cards already and is not seeded", "account", account)
		return nil
	}
	if err := s.control.Seed(ctx, account, seed); err != nil {
		return fmt.Errorf("--seed: %w", err)
	}
	return nil
}

// keptAccount is the account that a kept sandbox printed before.
func (s *sandboxServer) keptAccount() (string, error) {
	content, err := os.ReadFile(dataDir(s.settings.DataDir).accountFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("find the account: %w", err)
	}
	return strings.TrimSpace(string(content)), nil
}

func (s *sandboxServer) keepAccount(account string) error {
	if err := os.WriteFile(dataDir(s.settings.DataDir).accountFile(), []byte(account+"\n"), fileMode); err != nil {
		return fmt.Errorf("keep the account: %w", err)
	}
	return nil
}

// mintForTests makes an access token.
func (s *server) mintForTests(access sandbox.Access) (string, error) {
	return s.signingKeys.Mint(auth.Claims{
		Account: access.Account, Issuer: s.identity.Issuer, AudienceBase: s.identity.AudienceBases[0],
		Subject: access.Subject, Scopes: access.Scopes, TTL: access.TTL,
	})
}

// newClientForTests makes an API client with all rights in an account, on clients and grants too.
func (s *server) newClientForTests(ctx context.Context, account string) (id, secret string, err error) {
	clients := identity.Clients{Store: s.store, Key: s.dataKeys.Current(), Now: time.Now}
	client, value, err := clients.Create(ctx, identity.NewClient{
		Account: account, Name: "sandbox", Scopes: []string{auth.ScopeAdmin, auth.ScopeAccounts, auth.ScopeAdminHooks}, By: welcomeSubject,
	})
	return client.ID.String(), value.Reveal(), err
}
