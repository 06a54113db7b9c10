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

	"github.com/labstack/echo/v4"

	api "github.com/kortwallet/kort/gen/sandbox"
)

// BasePath is where the paths of the control API begin.
const BasePath = "/sandbox/v1"

// Config is what a Control is made of.
type Config struct {
	// Mint makes an access token with all rights in an account.
	Mint func(account string) (string, error)
	// NewClient makes an API client with all rights in an account.
	NewClient func(ctx context.Context, account string) (id, secret string, err error)
	Clocks    *Clocks
	// Hosts are names in a Host header that are let in, besides localhost and IP addresses.
	Hosts []string
	Log   *slog.Logger
}

// Control serves the control API. It is safe for concurrent use.
type Control struct {
	c    Config
	echo *echo.Echo

	mu    sync.Mutex
	drawn map[string]bool // accounts that were handed out
}

var _ api.StrictServerInterface = (*Control)(nil)

// New assembles a control API. An error means that its embedded specification is broken.
func New(c Config) (*Control, error) {
	control := &Control{c: c, echo: echo.New(), drawn: map[string]bool{}}
	control.echo.HTTPErrorHandler = control.sendError
	control.echo.Use(control.keepPagesOut)
	checks, err := checks()
	if err != nil {
		return nil, err
	}
	api.RegisterHandlersWithOptions(control.echo, api.NewStrictHandler(control, nil), api.RegisterHandlersOptions{
		BaseURL: BasePath, OperationMiddlewares: checks,
	})
	return control, nil
}

// Around answers the requests for the control API and leaves all others to next.
func (c *Control) Around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == BasePath || strings.HasPrefix(r.URL.Path, BasePath+"/") {
			c.echo.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// accounts is how many test accounts there can be: T and eight digits.
const accounts = 100_000_000

// NewAccount draws an account that was not handed out before, with a token and a client for it.
func (c *Control) NewAccount(ctx context.Context) (made api.Account, err error) {
	if made.Account, err = c.draw(); err != nil {
		return made, err
	}
	c.c.Clocks.Reset(made.Account) // somebody may have set it before there was such an account
	if made.Token, err = c.c.Mint(made.Account); err != nil {
		return made, fmt.Errorf("token of a new account: %w", err)
	}
	if made.ClientID, made.ClientSecret, err = c.c.NewClient(ctx, made.Account); err != nil {
		return made, fmt.Errorf("client of a new account: %w", err)
	}
	return made, nil
}

func (c *Control) draw() (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		number, err := rand.Int(rand.Reader, big.NewInt(accounts))
		if err != nil {
			return "", fmt.Errorf("draw an account: %w", err)
		}
		account := fmt.Sprintf("T%08d", number)
		if !c.drawn[account] {
			c.drawn[account] = true
			return account, nil
		}
	}
}

// CreateAccount implements the operation create_account.
func (c *Control) CreateAccount(ctx context.Context, _ api.CreateAccountRequestObject) (api.CreateAccountResponseObject, error) {
	made, err := c.NewAccount(ctx)
	if err != nil {
		return nil, err
	}
	return api.CreateAccount201JSONResponse(made), nil
}

// GetClock implements the operation get_clock.
func (c *Control) GetClock(_ context.Context, r api.GetClockRequestObject) (api.GetClockResponseObject, error) {
	return api.GetClock200JSONResponse{ClockJSONResponse: shown(c.c.Clocks.Read(r.Aid))}, nil
}

// SetClock implements the operation set_clock.
func (c *Control) SetClock(_ context.Context, r api.SetClockRequestObject) (api.SetClockResponseObject, error) {
	reading, err := c.c.Clocks.Set(r.Aid, r.Body.Now, r.Body.Frozen)
	if err != nil {
		return nil, echo.NewHTTPError(http.StatusBadRequest, err.Error())
	}
	return api.SetClock200JSONResponse{ClockJSONResponse: shown(reading)}, nil
}

// ResetClock implements the operation reset_clock.
func (c *Control) ResetClock(_ context.Context, r api.ResetClockRequestObject) (api.ResetClockResponseObject, error) {
	return api.ResetClock200JSONResponse{ClockJSONResponse: shown(c.c.Clocks.Reset(r.Aid))}, nil
}

// AdvanceClock implements the operation advance_clock.
func (c *Control) AdvanceClock(_ context.Context, r api.AdvanceClockRequestObject) (api.AdvanceClockResponseObject, error) {
	reading, err := c.c.Clocks.Advance(r.Aid, time.Duration(r.Body.Seconds)*time.Second)
	if err != nil {
		return nil, echo.NewHTTPError(http.StatusBadRequest, err.Error())
	}
	return api.AdvanceClock200JSONResponse{ClockJSONResponse: shown(reading)}, nil
}

func shown(r Reading) api.ClockJSONResponse {
	return api.ClockJSONResponse{Now: r.Now.Time(), Frozen: r.Frozen}
}
