package identity

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

const (
	// secretBytes is the size of a client's secret before it is written in base64.
	secretBytes = 32
	// writeTimeout bounds a change. It is not the caller's: a caller who leaves must not cut a commit in two.
	writeTimeout = 15 * time.Second
)

// Clients makes and ends API clients. It is safe for concurrent use.
type Clients struct {
	Store *repository.Store
	// Key hashes the secrets of new clients. The database has to have noted it.
	Key cardcode.Key
	Now func() time.Time
}

// NewClient says what a client is to be.
type NewClient struct {
	Account           string
	Name, Description string // the description may be empty
	// Scopes are granted with the client; without any it has no grant.
	Scopes []string
	// By is who makes it.
	By string
}

// Create makes a client and returns it with its secret, which is not kept. [repository.ErrTooManyClients] refuses it.
func (c *Clients) Create(ctx context.Context, n NewClient) (repository.Client, cardcode.Secret, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return repository.Client{}, "", fmt.Errorf("draw an id: %w", err)
	}
	var random [secretBytes]byte
	if _, err := rand.Read(random[:]); err != nil {
		return repository.Client{}, "", fmt.Errorf("draw a secret: %w", err)
	}
	secret := cardcode.Secret(base64.RawURLEncoding.EncodeToString(random[:]))
	now := ledger.MicrosOf(c.Now())
	client := repository.Client{
		ID: id, Name: n.Name, Description: n.Description, SecretHash: c.Key.ClientSecretHash(n.Account, id, secret), SecretKeyID: c.Key.ID(),
		CreatedAt: now, CreatedBy: n.By,
	}
	var grant *repository.Grant
	if len(n.Scopes) > 0 {
		made, err := newGrant(id, "", n.Scopes, n.By, now)
		if err != nil {
			return repository.Client{}, "", err
		}
		grant = &made
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	if err := c.Store.AddClient(ctx, n.Account, &client, grant); err != nil {
		return repository.Client{}, "", err
	}
	return client, secret, nil
}

// Grant permits a client what the scopes open. [repository.ErrNotFound] means that the account has no such client,
// [repository.ErrGrantExists] that it has a grant.
func (c *Clients) Grant(ctx context.Context, account string, client uuid.UUID, audience string, scopes []string, by string) (repository.Grant, error) {
	grant, err := newGrant(client, audience, scopes, by, ledger.MicrosOf(c.Now()))
	if err != nil {
		return repository.Grant{}, err
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	return grant, c.Store.AddGrant(ctx, account, &grant)
}

// Revoke ends a client and its grant. [repository.ErrNotFound] means that the account has no such client.
func (c *Clients) Revoke(ctx context.Context, account string, client uuid.UUID, by string) (repository.Client, error) {
	ctx, cancel := detached(ctx)
	defer cancel()
	return c.Store.RevokeClient(ctx, account, client, by, ledger.MicrosOf(c.Now()))
}

// RevokeGrant ends a grant. [repository.ErrNotFound] means that the account has no such grant.
func (c *Clients) RevokeGrant(ctx context.Context, account string, grant uuid.UUID, by string) (repository.Grant, error) {
	ctx, cancel := detached(ctx)
	defer cancel()
	return c.Store.RevokeGrant(ctx, account, grant, by, ledger.MicrosOf(c.Now()))
}

func newGrant(client uuid.UUID, audience string, scopes []string, by string, now ledger.Micros) (repository.Grant, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return repository.Grant{}, fmt.Errorf("draw an id: %w", err)
	}
	return repository.Grant{ID: id, ClientID: client, Audience: audience, Scopes: scopes, CreatedAt: now, CreatedBy: by}, nil
}

func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
}
