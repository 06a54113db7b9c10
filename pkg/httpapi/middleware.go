package httpapi

import (
	"fmt"
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
		attributes := []any{
			"request_id", requestID(c), "method", methodName(c.Request().Method), "route", c.Path(),
			"status", response.Status, "bytes", response.Size, "duration_us", time.Since(start).Microseconds(),
		}
		if principal := principalOf(c.Request().Context()); principal.Subject != "" {
			attributes = append(attributes, "subject", principal.Subject)
			if account, err := pathValue(c, c.Param("aid")); err == nil && principal.OpensAccount(account) {
				attributes = append(attributes, "account", account) // any other is only what the client wrote
			}
		}
		if f, failed := c.Get(failureKey).(*failure); failed {
			attributes = append(attributes, "code", f.code)
			if f.code == api.ErrorCodeUnauthorized {
				attributes = append(attributes, "reason", fmt.Sprint(f.cause))
			}
		}
		s.c.Log.Info("request", attributes...)
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
