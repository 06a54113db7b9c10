package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/kortwallet/kort/gen/api"
	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/posting"
	"github.com/kortwallet/kort/pkg/repository"
)

// Names, in place of an operation's id, for requests that are none of the contract's.
const (
	OperationHealth = "healthz"
	OperationReady  = "readyz"
	OperationDocs   = "docs"
	OperationNone   = "none" // there is no such path, or not with this method
)

// replayHeader tells that an answer is the one of an earlier request.
const replayHeader = "Idempotency-Replayed"

// Observer is told about each request, by the request's own goroutine: its functions
// must be quick, and safe for concurrent use. One that is nil is not called.
type Observer struct {
	// Begin is called before anything is done for a request. The context that it returns
	// is the request's from then on.
	Begin func(r *http.Request, route Route) context.Context
	// End is called once for each request, when it has been answered, with a context
	// that derives from the one of Begin.
	End func(ctx context.Context, a Answered)
}

// Route is what a request is about. Nothing of it was made up by the client.
type Route struct {
	Operation string // the operation's id in the contract, or one of the constants
	Method    string
	Path      string // with parameters in place of values; empty where there is no such path
}

// Answered is what became of a request. But for RequestID and Account, all texts are
// from closed lists.
type Answered struct {
	Route
	Status int
	// Code is that of a refusal, as in the answer; empty where there was none.
	Code string
	// Overload says more about [api.ErrorCodeOverloaded]; empty for other codes.
	Overload Overload
	// Replayed tells that the answer is that of an earlier request.
	Replayed bool
	// LockedPIN tells that this request's wrong PIN is the one that locked the card's.
	LockedPIN bool
	Took      time.Duration
	// RequestID may be the client's choice, and Account is what a verified token opens;
	// empty where there was none.
	RequestID, Account string
}

// Overload says why a request was told to come back later.
type Overload string

// The reasons.
const (
	OverloadQueue    Overload = "queue_full"           // too many operations wait for a commit, or the server stops
	OverloadRivals   Overload = "contention"           // other servers came first too often
	OverloadDatabase Overload = "database_unavailable" // it is down, or too slow
	OverloadDataKey  Overload = "data_key_missing"     // this server lacks a data key of the database
	OverloadIssuer   Overload = "issuer_unavailable"   // there are no keys to verify tokens with
	OverloadTime     Overload = "timeout"              // the request took too long
	OverloadClient   Overload = "client_gone"          // nobody waits for the answer any more
)

// Overloads lists all of them.
func Overloads() []Overload {
	return []Overload{
		OverloadQueue, OverloadRivals, OverloadDatabase, OverloadDataKey, OverloadIssuer, OverloadTime, OverloadClient,
	}
}

// overload classifies a failure.
func (f *failure) overload() Overload {
	switch {
	case f.code != api.ErrorCodeOverloaded:
		return ""
	case f == errKeyMissing:
		return OverloadDataKey
	case errors.Is(f.cause, posting.ErrContended):
		return OverloadRivals
	case errors.Is(f.cause, repository.ErrUnavailable):
		return OverloadDatabase
	case errors.Is(f.cause, auth.ErrUnavailable):
		return OverloadIssuer
	case errors.Is(f.cause, context.DeadlineExceeded):
		return OverloadTime
	case errors.Is(f.cause, context.Canceled):
		return OverloadClient
	}
	return OverloadQueue
}

// Operations lists what the field Operation of a [Route] may be.
func (s *Server) Operations() []string {
	known := map[string]bool{OperationNone: true}
	for _, operation := range s.routed {
		known[operation] = true // some have several routes
	}
	return slices.Collect(maps.Keys(known))
}

// observe tells the observer of each request. One that is cut off by a panic counts as
// an internal error, whatever status was sent before.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start, route, aborted := time.Now(), s.routeOf(c), true
		if s.c.Observer.Begin != nil {
			if ctx := s.c.Observer.Begin(c.Request(), route); ctx != c.Request().Context() {
				c.SetRequest(c.Request().WithContext(ctx))
			}
		}
		defer func() {
			a := s.answered(c, route)
			a.Took = time.Since(start)
			if aborted {
				a.Code = string(api.ErrorCodeInternal)
			}
			s.c.Observer.End(c.Request().Context(), a)
		}()
		err := next(c)
		aborted = false
		return err
	}
}

func (s *Server) routeOf(c echo.Context) Route {
	method := c.Request().Method
	operation := s.routed[routeKey{method, c.Path()}]
	if operation == "" {
		return Route{Operation: OperationNone, Method: methodName(method)}
	}
	return Route{Operation: operation, Method: method, Path: c.Path()}
}

func (s *Server) answered(c echo.Context, route Route) Answered {
	header := c.Response().Header()
	a := Answered{
		Route: route, Status: c.Response().Status, RequestID: requestID(c), Account: accountOf(c),
		Replayed: header.Get(replayHeader) != "",
	}
	if f, failed := c.Get(failureKey).(*failure); failed {
		a.Code, a.Overload, a.LockedPIN = string(f.code), f.overload(), f.locksPIN
	}
	return a
}

// accountOf is the account of the path where the principal's token opens it. Any other
// is only what the client wrote.
func accountOf(c echo.Context) string {
	principal := principalOf(c.Request().Context())
	if principal.Subject == "" {
		return ""
	}
	account, err := pathValue(c, c.Param("aid"))
	if err != nil || !principal.OpensAccount(account) {
		return ""
	}
	return account
}

// operationNames says which operation each of Echo's routes is for, those of the probes included.
func operationNames(base string, operations map[string]*operation) map[routeKey]string {
	names := make(map[routeKey]string, len(operations))
	for id, o := range operations {
		path := strings.NewReplacer("{", ":", "}", "").Replace(o.route.Path)
		names[routeKey{o.route.Method, base + path}] = id
	}
	for _, method := range probeMethods() {
		names[routeKey{method, healthPath}], names[routeKey{method, readyPath}] = OperationHealth, OperationReady
	}
	return names
}

// RequestAttr names the request of a context in the log. It is empty before the
// request's token was verified.
func RequestAttr(ctx context.Context) slog.Attr {
	who, known := ctx.Value(callerKey{}).(caller)
	if !known {
		return slog.Attr{}
	}
	return slog.String("request_id", who.requestID)
}
