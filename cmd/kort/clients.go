package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/config"
	"github.com/kortwallet/kort/pkg/identity"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// clientsCmd is `kort clients`.
type clientsCmd struct {
	Create clientsCreateCmd `cmd:"" help:"Make an API client with a grant, and print its secret."`
	List   clientsListCmd   `cmd:"" help:"List the API clients of an account."`
	Revoke clientsRevokeCmd `cmd:"" help:"End an API client: it gets no tokens any more."`
}

// commandLine is who has made or ended a client without a token.
const commandLine = "kort clients"

// clientsCreateCmd is `kort clients create`.
type clientsCreateCmd struct {
	config.ClientsCreate
}

// Help is the long help.
func (clientsCreateCmd) Help() string {
	return `A client gets access tokens from a server of this database that has signing keys, at /v1/accounts/<account>/auth/token. The server may be running. The secret is printed once and stored as a hash under the data key, which therefore has to be given as to the server; the one that serve --dev keeps in its data directory is found there.

The scope admin:accounts lets a client make and revoke others over HTTP. It can be given here only.`
}

// Run prints the id and the secret.
func (c *clientsCreateCmd) Run(ctx context.Context, term *terminal) error {
	keys, err := readDataKeys(c.Secrets, dataDir(c.DataDir))
	if err != nil {
		return err
	}
	return onDatabase(ctx, c.Database, func(store *repository.Store) error {
		key, err := hashingKey(ctx, store, keys)
		if err != nil {
			return err
		}
		clients := identity.Clients{Store: store, Key: key, Now: time.Now}
		client, secret, err := clients.Create(ctx, identity.NewClient{
			Account: c.Account, Name: c.Name, Description: c.Description, Scopes: c.Scopes, By: commandLine,
		})
		if err != nil {
			return fmt.Errorf("create a client: %w", err)
		}
		term.printf("client_id %s\nclient_secret %s\n", client.ID, secret.Reveal())
		term.notef("The secret is not stored and will not be shown again.")
		return nil
	})
}

// clientsListCmd is `kort clients list`.
type clientsListCmd struct {
	config.Clients
}

// Run prints a line for each client.
func (c *clientsListCmd) Run(ctx context.Context, term *terminal) error {
	return onDatabase(ctx, c.Database, func(store *repository.Store) error {
		clients, err := store.Clients(ctx, c.Account)
		if err != nil {
			return err
		}
		grants, err := store.Grants(ctx, c.Account)
		if err != nil {
			return err
		}
		scopes := map[uuid.UUID][]string{}
		for _, grant := range grants {
			scopes[grant.ClientID] = grant.Scopes
		}
		for _, client := range clients {
			granted := strings.Join(scopes[client.ID], ",")
			if granted == "" {
				granted = "-"
			}
			term.printf("%s %s %s %q\n", client.ID, moment(client.CreatedAt.Time()), granted, client.Name)
		}
		return nil
	})
}

// clientsRevokeCmd is `kort clients revoke`.
type clientsRevokeCmd struct {
	config.ClientsRevoke
}

// Help is the long help.
func (clientsRevokeCmd) Help() string {
	return `Tokens that the client has work until they expire. To end them at once, rotate the signing key: kort signing-key rotate --in=0s --keep=0s ends those of all clients.`
}

// Run ends the client.
func (c *clientsRevokeCmd) Run(ctx context.Context, term *terminal) error {
	id, err := uuid.Parse(c.Client)
	if err != nil {
		return errors.New("--client: must be the id of a client, as kort clients list shows it")
	}
	return onDatabase(ctx, c.Database, func(store *repository.Store) error {
		clients := identity.Clients{Store: store, Now: time.Now}
		client, err := clients.Revoke(ctx, c.Account, id, commandLine)
		if errors.Is(err, repository.ErrNotFound) {
			return fmt.Errorf("the account %s has no client %s that is not revoked", c.Account, id)
		}
		if err != nil {
			return err
		}
		term.notef("The client %s (%q) is revoked.", client.ID, client.Name)
		return nil
	})
}

// onDatabase does something with a database that has the schema of this program, also beside a server.
func onDatabase(ctx context.Context, settings config.Database, do func(*repository.Store) error) (err error) {
	store, err := openDatabase(ctx, settings, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := requireSchema(ctx, store); err != nil {
		return err
	}
	return do(store)
}

// hashingKey is the key of a keyring under which servers of the database look for what is stored now. In a database that no server has
// used yet it is the first.
func hashingKey(ctx context.Context, store *repository.Store, keys cardcode.Keyring) (cardcode.Key, error) {
	var own []repository.DataKey
	for _, key := range keys.All() {
		own = append(own, repository.DataKey{ID: key.ID(), Fingerprint: key.Fingerprint()})
	}
	known, err := store.DataKeys(ctx)
	if err == nil && known.Current == "" {
		known, err = store.ClaimDataKeys(ctx, own, ledger.MicrosOf(time.Now()))
	}
	if err == nil {
		err = known.Missing(own)
	}
	if err != nil {
		return cardcode.Key{}, fmt.Errorf("data key: %w", err)
	}
	key, found := keys.Key(known.Current)
	if !found {
		return cardcode.Key{}, fmt.Errorf("data key %s: %w", known.Current, ledger.ErrUnknownKey)
	}
	return key, nil
}
