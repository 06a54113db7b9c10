package httpapi

import (
	"context"

	"github.com/labstack/echo/v4"

	"github.com/kortwallet/kort/gen/api"
	"github.com/kortwallet/kort/pkg/auth"
)

// callerKey finds the caller in a request's context.
type callerKey struct{}

// caller is who has sent a request, once the token is verified, and the request's id.
type caller struct {
	principal auth.Principal
	requestID string
}

func principalOf(ctx context.Context) auth.Principal {
	who, _ := ctx.Value(callerKey{}).(caller)
	return who.principal
}

// authenticate verifies the access token, once per request. It gives the principal's
// context to the request.
func (s *Server) authenticate(ctx context.Context, c echo.Context) error {
	raw, err := auth.BearerToken(c.Request().Header)
	if err != nil {
		return &failure{code: api.ErrorCodeUnauthorized, cause: err}
	}
	principal, err := s.c.Verifier.Verify(ctx, raw)
	if err != nil {
		f := failureOf(err)
		if f.code == api.ErrorCodeInternal {
			f = &failure{code: api.ErrorCodeUnauthorized, cause: err}
		}
		return f
	}
	c.SetRequest(c.Request().WithContext(context.WithValue(ctx, callerKey{}, caller{principal, requestID(c)})))
	return nil
}

// authorise lets a principal through who has one of the operation's scopes, for
// an account that the token was issued for. Whether the account exists, and what
// is in it, plays no part.
func (o *operation) authorise(c echo.Context) error {
	principal := principalOf(c.Request().Context())
	account, err := pathValue(c, c.Param("aid"))
	if err != nil || !principal.HasScope(o.scopes...) || !principal.OpensAccount(account) {
		return fail(api.ErrorCodeForbidden)
	}
	if o.onlyUser(principal) {
		customer, err := pathValue(c, c.Param("customer_id"))
		if err != nil || customer != principal.Subject {
			return fail(api.ErrorCodeForbidden)
		}
	}
	return nil
}

// mayManage tells whether the principal may name cards directly and put money on
// them, which the scope for transactions alone does not allow.
func mayManage(ctx context.Context) bool {
	return principalOf(ctx).HasScope(auth.ScopeAdmin, auth.ScopeWrite)
}
