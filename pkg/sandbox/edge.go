package sandbox

import (
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/labstack/echo/v4"

	api "github.com/kortwallet/kort/gen/sandbox"
)

const (
	jsonType = "application/json"
	// maxBodyBytes bounds a request body.
	maxBodyBytes = 8 << 20
)

// keepPagesOut refuses what a web page in a browser of this machine can send: browsers add an Origin to whatever
// changes something, and a page whose name was made to point here has that name in Host.
func (c *Control) keepPagesOut(next echo.HandlerFunc) echo.HandlerFunc {
	return func(ctx echo.Context) error {
		r := ctx.Request()
		if len(r.Header.Values(echo.HeaderOrigin)) > 0 {
			return echo.NewHTTPError(http.StatusForbidden, "requests of web pages, which have an Origin header, are refused")
		}
		if host := hostName(r.Host); host != "localhost" && net.ParseIP(host) == nil && !slices.Contains(c.c.Hosts, host) {
			return echo.NewHTTPError(http.StatusForbidden, "the Host header names neither localhost, nor an IP address, nor a host given with --host")
		}
		return next(ctx)
	}
}

// hostName is a Host header without port and brackets, in small letters.
func hostName(header string) string {
	host, _, err := net.SplitHostPort(header)
	if err != nil { // there is no port
		host = strings.Trim(header, "[]")
	}
	return strings.ToLower(host)
}

// checks makes the check of each operation's requests ready, by operation id.
func checks(spec *openapi3.T) map[string][]echo.MiddlewareFunc {
	all := map[string][]echo.MiddlewareFunc{}
	for path, item := range spec.Paths.Map() {
		for method, operation := range item.Operations() {
			route := &routers.Route{Spec: spec, Path: path, PathItem: item, Method: method, Operation: operation}
			all[operation.OperationID] = []echo.MiddlewareFunc{checkOf(route)}
		}
	}
	return all
}

// checkOf refuses requests that are not as the specification says.
func checkOf(route *routers.Route) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(ctx echo.Context) error {
			r := ctx.Request()
			if route.Operation.RequestBody != nil {
				if mediaType, _, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType)); err != nil || mediaType != jsonType {
					return echo.NewHTTPError(http.StatusUnsupportedMediaType, "the body must be declared as "+jsonType)
				}
			}
			r.Body = http.MaxBytesReader(ctx.Response(), r.Body, maxBodyBytes)
			path := map[string]string{}
			for i, name := range ctx.ParamNames() {
				path[name] = ctx.ParamValues()[i]
			}
			if err := openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
				Request: r, PathParams: path, QueryParams: r.URL.Query(), Route: route,
				Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
			}); err != nil {
				return echo.NewHTTPError(http.StatusBadRequest, reason(err))
			}
			return next(ctx)
		}
	}
}

// reason says which rule a request breaks, and where.
func reason(err error) string {
	where := "body"
	if request, ok := errors.AsType[*openapi3filter.RequestError](err); ok && request.Parameter != nil {
		where = request.Parameter.Name
	}
	schema, ok := errors.AsType[*openapi3.SchemaError](err)
	if !ok {
		return where + ": is not what the specification says: well-formed JSON of the declared form"
	}
	if pointer := schema.JSONPointer(); len(pointer) > 0 {
		where = "/" + strings.Join(pointer, "/")
	}
	return where + ": " + schema.Reason
}

// sendError answers with the message of an HTTP error. Other errors are logged and not shown.
func (c *Control) sendError(err error, ctx echo.Context) {
	status, message := http.StatusInternalServerError, "internal error; the log of the sandbox says more"
	if known, ok := errors.AsType[*echo.HTTPError](err); ok {
		status, message = known.Code, fmt.Sprint(known.Message)
	} else {
		c.c.Log.Error("control API", "error", err)
	}
	if err := ctx.JSON(status, api.Problem{Message: message}); err != nil {
		c.c.Log.Warn("answer of the control API", "error", err)
	}
}
