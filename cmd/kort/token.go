package main

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/config"
)

// tokenCmd is `kort token`.
type tokenCmd struct {
	config.Token
}

// Help is the long help.
func (tokenCmd) Help() string {
	return `Mints with the signing key that serve --dev keeps in its data directory, for the server that was last started there; it may be running. On other servers tokens come from their issuer.`
}

// Run prints a token, and nothing else, on stdout.
func (c *tokenCmd) Run(term *terminal) error {
	dir := dataDir(c.DataDir)
	keys, err := auth.LoadRing(dir.signingKeyFile())
	var server serverIdentity
	if err == nil {
		server, err = dir.recallIdentity()
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no development server has run in %s: start one with kort serve --dev, or name its directory with %s",
			dir, config.Name("data-dir"))
	}
	if err != nil {
		return err
	}
	now := time.Now()
	key, err := keys.Signer(now)
	if err != nil {
		return err
	}
	token, err := key.Mint(auth.Claims{
		Account: c.Account, Issuer: server.Issuer, AudienceBase: server.AudienceBases[0],
		Subject: c.Subject, Scopes: c.Scopes, TTL: c.TTL,
	}, now)
	if err != nil {
		return err
	}
	term.printf("%s\n", token)
	return nil
}
