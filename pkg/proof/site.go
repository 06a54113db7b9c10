package proof

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/config"
	"github.com/kortwallet/kort/pkg/pgtest"
)

// What the servers of a site and the tokens for them agree on.
const (
	account  = "T12345678"
	issuer   = "https://issuer.example.com"
	audience = "https://cards.example.com"
	tokenTTL = 24 * time.Hour
)

// site is where servers run: a database, and the keys that they share.
type site struct {
	program Program
	engine  Engine
	dir     string
	// data is the data directory, with the database of SQLite in it.
	data string
	// databaseURL is that of PostgreSQL; empty for SQLite.
	databaseURL string
	key         *auth.LocalKey
}

// withSite makes an empty site for something, with a PostgreSQL of its own where that is
// attacked, and removes it afterwards.
func (t *trial) withSite(ctx context.Context, use func(*site) error) error {
	return t.withSiteOn(ctx, "", use)
}

// withSiteOn makes one whose database is in a directory that exists; where none is
// named, beside everything else.
func (t *trial) withSiteOn(ctx context.Context, volume string, use func(*site) error) (err error) {
	databaseURL := ""
	if t.engine == Postgres {
		address, stop, err := pgtest.Start(ctx, cmp.Or(volume, t.Dir), true)
		if err != nil {
			return fmt.Errorf("start a PostgreSQL: %w", err)
		}
		defer func() { err = errors.Join(err, stop()) }()
		databaseURL = address
	}
	s, err := t.newSite(databaseURL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.remove()) }()
	if t.engine == SQLite {
		s.data = cmp.Or(volume, s.data)
	}
	return use(s)
}

// withServer starts a server for something, and stops what is there in the end.
func (t *trial) withServer(ctx context.Context, s *site, use func(*server) error, flags ...string) (err error) {
	server, err := s.newServer(ctx, flags...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	if err := server.start(ctx); err != nil {
		return err
	}
	return use(server)
}

// newSite makes an empty one. The database of PostgreSQL exists already.
func (t *trial) newSite(databaseURL string) (*site, error) {
	dir, err := os.MkdirTemp(t.Dir, "kort-proof-")
	if err != nil {
		return nil, fmt.Errorf("create a directory for the data: %w", err)
	}
	s := &site{program: t.Program, engine: t.engine, dir: dir, data: dir, databaseURL: databaseURL}
	if s.key, err = auth.OpenLocalKey(filepath.Join(dir, "signing-key.json")); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	public, err := s.key.JWKS()
	if err == nil {
		err = os.WriteFile(s.keySet(), public, 0o600)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write the key set: %w", err), s.remove())
	}
	dataKey, err := cardcode.NewKey()
	if err == nil {
		err = auth.CreateSecretFile(s.dataKeyFile(), []byte(dataKey.Reveal()+"\n"))
	}
	if err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

func (s *site) keySet() string      { return filepath.Join(s.dir, "keys.json") }
func (s *site) dataKeyFile() string { return filepath.Join(s.dir, "data-key") }
func (s *site) ringFile() string    { return filepath.Join(s.dir, "issuing-keys.json") }
func (s *site) logFile() string     { return filepath.Join(s.dir, "server.log") }

// remove leaves nothing behind.
func (s *site) remove() error { return os.RemoveAll(s.dir) }

// token is one for an account.
func (s *site) token(account, subject string, scopes ...string) (string, error) {
	return s.key.Mint(auth.Claims{
		Account: account, Issuer: issuer, AudienceBase: audience, Subject: subject, Scopes: scopes, TTL: tokenTTL,
	}, time.Now())
}

// environment is that of every command on the site.
func (s *site) environment() []string {
	environment := append([]string(nil), s.program.Env...)
	environment = append(environment, config.EnvOf("data-dir")+"="+s.data)
	if s.databaseURL != "" {
		environment = append(environment, config.EnvOf("database-url")+"="+s.databaseURL)
	}
	return environment
}

// run runs a command of the program that ends by itself, and returns what it said.
func (s *site) run(ctx context.Context, args ...string) (said string, err error) {
	command := exec.CommandContext(ctx, s.program.Path, args...) //nolint:gosec // the caller's own program
	command.Env = s.environment()
	output, err := command.CombinedOutput()
	return strings.TrimSpace(string(output)), err
}

// freeAddress is one that nothing listens on.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}
