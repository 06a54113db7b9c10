package sandbox

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"

	api "github.com/kortwallet/kort/gen/sandbox"
	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/httpapi"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// BasePath is where the paths of the control API begin.
const BasePath = "/sandbox/v1"

// Config is what a Control is made of.
type Config struct {
	// API is the cards API, which requests for anything else than the control API go to.
	API *httpapi.Server
	// Submit posts an operation and waits for its commit.
	Submit func(ctx context.Context, account string, op ledger.Operation) (ledger.Result, error)
	// DataKeys hash the tokens and PINs of a seed.
	DataKeys cardcode.Keyring
	Testbed  *repository.Testbed
	// Mint makes an access token. An error is about what was asked for.
	Mint func(Access) (string, error)
	// NewClient makes an API client with all rights in an account.
	NewClient func(ctx context.Context, account string) (id, secret string, err error)
	Clocks    *Clocks
	// Hosts are names in a Host header that are let in, besides localhost and IP addresses.
	Hosts []string
	Log   *slog.Logger
}

// Access is what an access token opens.
type Access struct {
	Account, Subject string
	Scopes           []string
	TTL              time.Duration
}

const (
	// tester is who acts with the tokens that come with an account.
	tester = "dev"
	// accessTime is how long those are valid.
	accessTime = 24 * time.Hour
)

// Control serves the control API, and stands before the cards API. It is safe for concurrent use.
type Control struct {
	c          Config
	echo       *echo.Echo
	operations operations
	seeds      *openapi3.Schema // of a seed

	mu       sync.Mutex
	accounts map[string]*account
	drawn    map[string]bool // accounts that were handed out
}

var _ api.StrictServerInterface = (*Control)(nil)

// New assembles a control API. An error means that an embedded specification is broken.
func New(c Config) (*Control, error) {
	control := &Control{c: c, echo: echo.New(), accounts: map[string]*account{}, drawn: map[string]bool{}}
	control.echo.HTTPErrorHandler = control.sendError
	control.echo.Use(control.keepPagesOut)
	spec, err := api.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("load the specification of the sandbox: %w", err)
	}
	control.seeds = spec.Components.Schemas["Seed"].Value
	if control.operations, err = allOperations(); err != nil {
		return nil, err
	}
	api.RegisterHandlersWithOptions(control.echo, api.NewStrictHandler(control, nil), api.RegisterHandlersOptions{
		BaseURL: BasePath, OperationMiddlewares: checks(spec),
	})
	return control, nil
}

// ServeHTTP answers the requests for the control API, and has the cards API answer all others.
func (c *Control) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.EscapedPath(); {
	case path == BasePath || strings.HasPrefix(path, BasePath+"/"):
		c.echo.ServeHTTP(w, r)
	case accountOf(path) != "":
		c.serveAccount(w, r, accountOf(path))
	default:
		c.c.API.ServeHTTP(w, r)
	}
}

// numbers is how many test accounts there can be: T and eight digits.
const numbers = 100_000_000

// NewAccount draws an account that was not handed out before, with a token and a client for it.
func (c *Control) NewAccount(ctx context.Context) (api.Account, error) {
	number, err := c.draw(ctx)
	if err != nil {
		return api.Account{}, err
	}
	c.account(number).forget() // somebody may have steered it before there was such an account
	c.c.Clocks.Reset(number)
	return c.access(ctx, number)
}

// Adopt hands out a certain account, which no later one will be.
func (c *Control) Adopt(ctx context.Context, number string) (api.Account, error) {
	c.take(number)
	return c.access(ctx, number)
}

// access makes a token and a client for an account.
func (c *Control) access(ctx context.Context, number string) (made api.Account, err error) {
	made.Account = number
	if made.Token, err = c.Token(number); err != nil {
		return made, err
	}
	if made.ClientID, made.ClientSecret, err = c.c.NewClient(ctx, number); err != nil {
		return made, fmt.Errorf("make a client: %w", err)
	}
	return made, nil
}

// Token makes a token with all rights in an account.
func (c *Control) Token(account string) (string, error) {
	token, err := c.c.Mint(Access{Account: account, Subject: tester, Scopes: []string{auth.ScopeAdmin, auth.ScopeAdminHooks}, TTL: accessTime})
	if err != nil {
		return "", fmt.Errorf("make a token: %w", err)
	}
	return token, nil
}

// CreateAccessToken implements the operation create_access_token.
func (c *Control) CreateAccessToken(_ context.Context, r api.CreateAccessTokenRequestObject) (api.CreateAccessTokenResponseObject, error) {
	ttl := accessTime
	if r.Body.ExpiresIn != nil {
		ttl = time.Duration(*r.Body.ExpiresIn) * time.Second
	}
	token, err := c.c.Mint(Access{Account: r.Aid, Subject: r.Body.Subject, Scopes: r.Body.Scopes, TTL: ttl})
	if err != nil {
		return nil, echo.NewHTTPError(http.StatusBadRequest, err.Error())
	}
	return api.CreateAccessToken201JSONResponse{Token: token}, nil
}

// draw finds a number that neither this sandbox nor an earlier one on the same database has handed out and used.
func (c *Control) draw(ctx context.Context) (string, error) {
	for {
		number, err := rand.Int(rand.Reader, big.NewInt(numbers))
		if err != nil {
			return "", fmt.Errorf("draw an account: %w", err)
		}
		account := fmt.Sprintf("T%08d", number)
		if used, err := c.c.Testbed.Used(ctx, account); err != nil {
			return "", fmt.Errorf("draw an account: %w", err)
		} else if !used && c.take(account) {
			return account, nil
		}
	}
}

// take tells whether an account was not handed out before, and now is.
func (c *Control) take(account string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drawn[account] {
		return false
	}
	c.drawn[account] = true
	return true
}

// CreateAccount implements the operation create_account.
func (c *Control) CreateAccount(ctx context.Context, _ api.CreateAccountRequestObject) (api.CreateAccountResponseObject, error) {
	made, err := c.NewAccount(ctx)
	if err != nil {
		return nil, err
	}
	return api.CreateAccount201JSONResponse(made), nil
}
