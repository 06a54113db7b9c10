package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// Refusals of a token.
var (
	// ErrCredentials means that there is no such client, or that the secret is not its own.
	ErrCredentials = errors.New("no such client, or not its secret")
	// ErrAudience means that the audience names no account of this server.
	ErrAudience = errors.New("the audience names no account here")
	// ErrNotGranted means that the audience is another account, or that the client has no grant.
	ErrNotGranted = errors.New("not granted")
)

// GuessError refuses a wrong secret after too many others. It is ErrCredentials as well.
type GuessError struct {
	// RetryAfter is when a wrong secret gets an answer of its own again.
	RetryAfter time.Duration
}

// Error names the reason.
func (*GuessError) Error() string { return "too many wrong secrets" }

// Is makes every GuessError an ErrCredentials.
func (*GuessError) Is(target error) bool { return target == ErrCredentials }

// Config is what a Provider is made of; every field is required.
type Config struct {
	Store *repository.Store
	// DataKeys hash the secrets of clients.
	DataKeys cardcode.Keyring
	// Keys sign the tokens.
	Keys *auth.SigningKeys
	// Issuer is the `iss` of the tokens.
	Issuer string
	// Audiences tell which accounts of this server can be asked for.
	Audiences auth.Audiences
	// TTL is how long a token is valid, at least a second.
	TTL time.Duration
	// Now is the clock.
	Now func() time.Time
}

// Provider gives out access tokens. It is safe for concurrent use.
type Provider struct {
	Clients
	c       Config
	guesses *guesses
}

// New makes a provider.
func New(c Config) *Provider {
	return &Provider{Clients: Clients{Store: c.Store, Key: c.DataKeys.Current(), Now: c.Now}, c: c, guesses: newGuesses()}
}

// nobody is what the secret of a client that does not exist is compared with. No hash has this form.
var nobody = strings.Repeat("x", 64) //nolint:mnd // the length of a hash

// Authenticate finds a client of an account by its id and its secret. ErrCredentials refuses both alike: in either case there is one query
// and one hash.
func (p *Provider) Authenticate(ctx context.Context, account, clientID string, secret cardcode.Secret) (repository.Client, error) {
	client, err := p.find(ctx, account, clientID)
	exists := err == nil
	if !exists && !errors.Is(err, repository.ErrNotFound) {
		return client, fmt.Errorf("find the client: %w", err)
	}
	key, stored := p.Key, nobody
	if exists {
		var found bool
		if key, found = p.c.DataKeys.Key(client.SecretKeyID); !found {
			return client, fmt.Errorf("secret of a client, key %s: %w", client.SecretKeyID, ledger.ErrUnknownKey)
		}
		stored = client.SecretHash
	}
	if key.EqualClientSecret(stored, account, client.ID, secret) && exists {
		return client, nil
	}
	if wait := p.guesses.wrong(account, clientID, p.Now()); wait > 0 {
		return repository.Client{}, &GuessError{RetryAfter: wait}
	}
	return repository.Client{}, ErrCredentials
}

// find looks a client up, also under an account or an id that nothing can have.
func (p *Provider) find(ctx context.Context, account, clientID string) (repository.Client, error) {
	id, err := uuid.Parse(clientID)
	if err != nil || id.String() != clientID || !auth.IsAccount(account) {
		account, id = "", uuid.Nil
	}
	return p.Store.Client(ctx, account, id)
}

// Token is an access token that was given out.
type Token struct {
	Text string
	// ExpiresIn is how long it is valid.
	ExpiresIn time.Duration
}

// Token signs a token for a client of an account. ErrAudience and ErrNotGranted refuse it.
func (p *Provider) Token(ctx context.Context, account string, client uuid.UUID, audience string) (Token, error) {
	base, err := p.CheckAudience(account, audience)
	if err != nil {
		return Token{}, err
	}
	grant, err := p.Store.GrantOf(ctx, account, client)
	if errors.Is(err, repository.ErrNotFound) {
		return Token{}, ErrNotGranted
	}
	if err != nil {
		return Token{}, fmt.Errorf("find the grant: %w", err)
	}
	text, err := p.c.Keys.Mint(auth.Claims{
		Account: account, Issuer: p.c.Issuer, AudienceBase: base, Subject: client.String(), Scopes: grant.Scopes, TTL: p.c.TTL,
	})
	return Token{Text: text, ExpiresIn: p.c.TTL.Truncate(time.Second)}, err
}

// Audience is that of a grant, or the first of its account where nobody has asked for one.
func (p *Provider) Audience(account string, grant *repository.Grant) string {
	if grant.Audience != "" {
		return grant.Audience
	}
	return p.c.Audiences.Of(account)
}

// CheckAudience returns the base of an audience of the account. It is ErrAudience where there is no such account here, and
// ErrNotGranted where it is another one.
func (p *Provider) CheckAudience(account, audience string) (base string, err error) {
	base, asked, ok := p.c.Audiences.Split(audience)
	switch {
	case !ok:
		return "", ErrAudience
	case asked != account:
		return "", ErrNotGranted
	}
	return base, nil
}

// JWKS are the public keys as a JSON Web Key set.
func (p *Provider) JWKS() ([]byte, error) { return p.c.Keys.JWKS() }
