package httpapi

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/kortwallet/kort/gen/api"
	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/identity"
)

// clientChallenge is how an API client is asked who it is.
const clientChallenge = `Basic realm="kort", charset="UTF-8"`

// clientKey finds the id of the API client in a request's context.
type clientKey struct{}

func clientOf(ctx context.Context) uuid.UUID {
	id, _ := ctx.Value(clientKey{}).(uuid.UUID)
	return id
}

// wrongClient is the answer to whoever is not a client: one who names none, or whose secret is another.
func wrongClient(cause error) *failure {
	return &failure{
		code: api.ErrorCodeUnauthorized, cause: cause, challenge: clientChallenge, message: "The id and the secret of an API client are required.",
	}
}

// errNoClient is why a request without one well-formed Authorization header of HTTP Basic is refused.
var errNoClient = errors.New("no client id and secret")

// authenticateClient checks the secret of an API client of the path's account. It gives the client's context to the request.
func (s *Server) authenticateClient(ctx context.Context, c echo.Context) error {
	id, secret, ok := c.Request().BasicAuth()
	if !ok || len(c.Request().Header.Values(echo.HeaderAuthorization)) != 1 {
		return wrongClient(errNoClient)
	}
	account, err := pathValue(c, c.Param("aid"))
	if err != nil {
		account = "" // which nobody is a client of
	}
	client, err := s.c.Identity.Authenticate(ctx, account, id, cardcode.Secret(secret))
	if tooMany, is := errors.AsType[*identity.GuessError](err); is {
		return &failure{code: api.ErrorCodeRateLimited, retryAfter: tooMany.RetryAfter, cause: err}
	}
	if errors.Is(err, identity.ErrCredentials) {
		return wrongClient(err)
	}
	if err != nil {
		return err
	}
	principal := auth.Principal{Subject: client.ID.String(), Accounts: []string{account}}
	ctx = context.WithValue(ctx, callerKey{}, caller{principal, requestID(c)})
	c.SetRequest(c.Request().WithContext(context.WithValue(ctx, clientKey{}, client.ID)))
	return nil
}
