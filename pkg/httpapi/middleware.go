package httpapi

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/kortwallet/kort/gen/api"
)

// maxRequestID bounds the request id that a client may choose, in characters.
const maxRequestID = 128

// maxLogAttributes is how many attributes a line of the log can have.
const maxLogAttributes = 10

// protect marks every answer as data that belongs to one client: no cache between may
// keep it, and no browser may take it for a page or a script.
func (s *Server) protect(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		header := c.Response().Header()
		header.Set(echo.HeaderCacheControl, "no-store")
		header.Set(echo.HeaderXContentTypeOptions, "nosniff")
		return next(c)
	}
}

// identify gives each request an id: the client's, when it sent a sane one.
func (s *Server) identify(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := c.Request().Header.Get(echo.HeaderXRequestID)
		if !saneRequestID(id) {
			id = uuid.NewString()
		}
		c.Response().Header().Set(echo.HeaderXRequestID, id)
		return next(c)
	}
}

func saneRequestID(id string) bool {
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
	return id != "" && len(id) <= maxRequestID && strings.Trim(id, allowed) == ""
}

func requestID(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }

// log writes a line per request. It names the route, not the path: a path holds
// what the client made up.
func (s *Server) log(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		err := next(c)
		if err != nil {
			c.Error(err) // answers now, so that the status below is the one that was sent
		}
		response := c.Response()
		attributes := append(make([]slog.Attr, 0, maxLogAttributes),
			slog.String("request_id", requestID(c)), slog.String("method", methodName(c.Request().Method)),
			slog.String("route", c.Path()), slog.Int("status", response.Status), slog.Int64("bytes", response.Size),
			slog.Int64("duration_us", time.Since(start).Microseconds()))
		if principal := principalOf(c.Request().Context()); principal.Subject != "" {
			attributes = append(attributes, slog.String("subject", principal.Subject))
			if account := accountOf(c); account != "" {
				attributes = append(attributes, slog.String("account", account))
			}
		}
		if f, failed := c.Get(failureKey).(*failure); failed {
			attributes = append(attributes, slog.String("code", string(f.code)))
			if f.code == api.ErrorCodeUnauthorized {
				attributes = append(attributes, slog.String("reason", fmt.Sprint(f.cause)))
			}
		}
		s.c.Log.LogAttrs(c.Request().Context(), slog.LevelInfo, "request", attributes...)
		return nil
	}
}

// methodName is the method, unless the client made it up.
func methodName(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodHead, http.MethodOptions, http.MethodPut,
		http.MethodPatch:
		return method
	}
	return "other"
}

// recover turns a panic into a 500 with the request id.
func (s *Server) recover(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch value := recover(); value {
			case nil:
			case http.ErrAbortHandler: // a deliberate end of the connection
				panic(value)
			default:
				err = &failure{code: api.ErrorCodeInternal, cause: fmt.Errorf("panic: %v\n%s", value, debug.Stack())}
			}
		}()
		return next(c)
	}
}
