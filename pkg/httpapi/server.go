package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/kortwallet/kort/gen/api"
	"github.com/kortwallet/kort/pkg/apidocs"
	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/hooks"
	"github.com/kortwallet/kort/pkg/identity"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

const (
	// requestTimeout bounds the work on one request, from its authentication on, waiting
	// for its commit included.
	requestTimeout = 30 * time.Second
	// readyTimeout bounds the look at the database for /readyz.
	readyTimeout = 2 * time.Second
)

// Config is what a Server is made of.
type Config struct {
	Store *repository.Store
	// Submit posts an operation and waits for its commit, as [posting.Poster.Submit]
	// does. A benchmark of the edge alone has one that commits nothing.
	Submit func(ctx context.Context, account string, op ledger.Operation) (ledger.Result, error)
	// Overloaded tells that Submit would take no operation now, so that a request for
	// one can be refused before anything is spent on it. Nil is never.
	Overloaded func() bool
	Verifier   *auth.Verifier
	DataKeys   cardcode.Keyring
	// Identity gives out access tokens. Nil leaves that, and the paths for it, to others.
	Identity *identity.Provider
	// KeysComplete tells whether DataKeys has every key of the database. While it has
	// not, no request is answered but with 503: a token of another key would seem not to
	// exist, and its value could be given out once more. Nil is always.
	KeysComplete func() bool
	// Hooks sends events to their subscribers; nil for a server without webhooks.
	Hooks *hooks.Dispatcher
	// Clock tells the moment at which an account's requests are judged.
	Clock func(account string) ledger.Micros
	// RequirePIN makes cards that have a PIN demand it beside a token.
	RequirePIN bool
	// RatePerSecond and RateBurst limit each principal; a rate of 0 does not.
	RatePerSecond float64
	RateBurst     int
	// ValidateResponses checks each answer against the contract before it is sent.
	ValidateResponses bool
	// Pages describe the API to whoever asks, without a token. None is a server without a description.
	Pages []apidocs.Page
	Log   *slog.Logger
	// Observer is told about each request. Without one nothing is measured.
	Observer Observer
}

// Server serves the contract. It is an http.Handler, safe for concurrent use.
type Server struct {
	c      Config
	echo   *echo.Echo
	routes []*echo.Route
	// routed says which operation each of them is for.
	routed map[routeKey]string
	// busy is the whole answer to a request that is refused for overload.
	busy      []byte
	turnstile *turnstile
	draining  atomic.Bool
}

// New assembles a server. An error means that the embedded contract is broken.
func New(c Config) (*Server, error) {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	s := &Server{c: c, echo: echo.New(), turnstile: newTurnstile(c.Overloaded)}
	s.echo.HideBanner, s.echo.HidePort = true, true
	s.echo.Binder = binder{}
	s.echo.HTTPErrorHandler = s.sendError
	operations, err := operations()
	if err != nil {
		return nil, err
	}
	s.routed = operationNames(basePath, operations)
	s.echo.Use(s.protect, s.identify)
	if c.Observer.End != nil {
		s.echo.Use(s.observe)
	}
	s.echo.Use(s.log, s.recover, s.route)
	if s.busy, err = busyAnswer(); err != nil {
		return nil, err
	}
	limits := newRateLimits(c.RatePerSecond, c.RateBurst)
	h := &handlers{Config: c}
	api.RegisterHandlersWithOptions(s.echo, api.NewStrictHandler(h, nil), api.RegisterHandlersOptions{
		BaseURL: basePath, OperationMiddlewares: s.chains(operations, limits),
	})
	if c.Identity != nil {
		if err := s.mountIdentity(limits); err != nil {
			return nil, err
		}
	}
	if c.Hooks != nil {
		if err := s.registerHooks(limits); err != nil {
			return nil, err
		}
	}
	s.echo.Match(probeMethods(), healthPath, s.health)
	s.echo.Match(probeMethods(), readyPath, s.ready)
	s.mountPages()
	s.routes = s.echo.Routes()
	for _, route := range s.routes {
		if s.routed[routeKey{route.Method, route.Path}] == "" {
			return nil, fmt.Errorf("the route %s %s belongs to no operation", route.Method, route.Path)
		}
	}
	return s, nil
}

// Where the probes are.
const (
	healthPath = "/healthz"
	readyPath  = "/readyz"
)

func probeMethods() []string { return []string{http.MethodGet, http.MethodHead} }

// mountPages serves what describes the API.
func (s *Server) mountPages() {
	for _, page := range s.c.Pages {
		for _, method := range probeMethods() {
			s.echo.Add(method, page.Path(), echo.WrapHandler(page))
			s.routed[routeKey{method, page.Path()}] = OperationDocs
		}
	}
}

// chains are what requests go through before the handlers of operations, by their ids.
func (s *Server) chains(operations map[string]*operation, limits *rateLimits) map[string][]echo.MiddlewareFunc {
	chains := make(map[string][]echo.MiddlewareFunc, len(operations))
	for id, o := range operations {
		chain := []echo.MiddlewareFunc{(&gate{s, o, limits}).guard}
		if s.c.ValidateResponses {
			chain = append([]echo.MiddlewareFunc{o.checkResponse}, chain...)
		}
		chains[id] = chain
	}
	return chains
}

// gate stands before an operation's handler.
type gate struct {
	*Server
	operation *operation
	limits    *rateLimits
}

// guard lets a request through to its handler. The order of what it asks for is part
// of the contract. An overload comes as early as it can: under three times the load
// that a server can take, the refusals decide how much is left for the rest.
func (g *gate) guard(next echo.HandlerFunc) echo.HandlerFunc {
	o := g.operation
	return func(c echo.Context) error {
		if err := o.declaredLength(c); err != nil {
			return err
		}
		if g.c.Overloaded != nil && o.writes() && g.c.Overloaded() {
			return errBusy
		}
		if !g.keysComplete() {
			return errKeyMissing
		}
		letIn(c.Request().Context())
		ctx, cancel := context.WithTimeout(c.Request().Context(), requestTimeout)
		defer cancel()
		if err := g.admit(ctx, c); err != nil {
			return err
		}
		if err := o.validate(c); err != nil {
			return err
		}
		return next(c)
	}
}

// admit finds out who sends a request and whether they may. It gives ctx to the request.
func (g *gate) admit(ctx context.Context, c echo.Context) error {
	switch g.operation.access {
	case openToAll:
		c.SetRequest(c.Request().WithContext(ctx))
		return nil
	case byClient:
		if err := g.authenticateClient(ctx, c); err != nil {
			return err
		}
	case byToken:
		if err := g.authenticate(ctx, c); err != nil {
			return err
		}
		if err := g.operation.authorise(c); err != nil { //nolint:contextcheck // it is in the request
			return err
		}
	}
	return g.limits.limit(c) //nolint:contextcheck // it is in the request
}

func (s *Server) keysComplete() bool { return s.c.KeysComplete == nil || s.c.KeysComplete() }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.echo.ServeHTTP(w, r) }

// Drain makes /readyz answer 503 from now on, so that nobody sends new requests
// while the accepted ones are finished.
func (s *Server) Drain() { s.draining.Store(true) }

// health tells that the process runs.
func (s *Server) health(c echo.Context) error {
	return c.JSON(http.StatusOK, map[string]string{"status": "ok"})
}

// ready tells whether requests can be served: the database answers, there are keys to
// verify tokens with, and the data keys are all there.
func (s *Server) ready(c echo.Context) error {
	letIn(c.Request().Context()) // it may have to wait for the database
	ctx, cancel := context.WithTimeout(c.Request().Context(), readyTimeout)
	defer cancel()
	switch {
	case s.draining.Load():
		return c.JSON(http.StatusServiceUnavailable, map[string]string{"status": "shutting down"})
	case s.c.Store.Ping(ctx) != nil:
		return c.JSON(http.StatusServiceUnavailable, map[string]string{"status": "the database does not answer"})
	case s.c.Verifier != nil && !s.c.Verifier.Ready():
		return c.JSON(http.StatusServiceUnavailable, map[string]string{"status": "no keys to verify tokens with"})
	case !s.keysComplete():
		return c.JSON(http.StatusServiceUnavailable, map[string]string{"status": "a data key is missing or could not be looked for"})
	}
	return c.JSON(http.StatusOK, map[string]string{"status": "ok"})
}

// handlers implements the generated interface. Each method translates a request
// into an operation or a read, and the result into an answer.
type handlers struct {
	Config
}

var _ api.StrictServerInterface = (*handlers)(nil)

// newID draws an object id: a UUIDv7, so that ids sort by creation.
func newID() (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return id, fmt.Errorf("draw an id: %w", err)
	}
	return id, nil
}
