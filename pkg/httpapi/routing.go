package httpapi

import (
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/kortwallet/kort/gen/api"
)

// routeKey is what a route is found by, once Echo has routed a request.
type routeKey struct{ method, path string }

// route answers for paths and methods that the contract does not have. The router
// alone would let the last parameter of a path swallow slashes, answer OPTIONS, and
// name in Allow the methods of only one of the paths that fit.
func (s *Server) route(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		path := echo.GetPath(c.Request())
		if s.routed[routeKey{c.Request().Method, c.Path()}] != "" && fits(c.Path(), path) {
			return next(c)
		}
		methods := s.methods(path)
		if len(methods) == 0 {
			return fail(api.ErrorCodeNotFound)
		}
		if !slices.Contains(methods, c.Request().Method) {
			slices.Sort(methods)
			c.Response().Header().Set(echo.HeaderAllow, strings.Join(methods, ", "))
			return fail(api.ErrorCodeMethodNotAllowed)
		}
		return next(c)
	}
}

// methods lists what can be done with a path. A card may be called like a path.
func (s *Server) methods(path string) []string {
	var methods []string
	for _, route := range s.routes {
		if fits(route.Path, path) {
			methods = append(methods, route.Method)
		}
	}
	return methods
}

// fits compares a path, escaped as it came, with a route segment by segment.
func fits(route, path string) bool {
	for {
		want, routeRest, more := strings.Cut(route, "/")
		got, pathRest, moreOfPath := strings.Cut(path, "/")
		if more != moreOfPath || (want != got && (got == "" || !strings.HasPrefix(want, ":"))) {
			return false
		}
		if !more {
			return true
		}
		route, path = routeRest, pathRest
	}
}
