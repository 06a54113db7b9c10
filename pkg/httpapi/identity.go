package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/kortwallet/kort/gen/api"
	idapi "github.com/kortwallet/kort/gen/identity"
	"github.com/kortwallet/kort/pkg/identity"
	"github.com/kortwallet/kort/pkg/repository"
)

// maxIdentityBytes bounds the body of a request of the identity API.
const maxIdentityBytes = 64 << 10

// Error codes of the identity API that the cards API does not have.
const (
	codeGrantExists = api.ErrorCode(idapi.ErrorCodeGrantExists)
	codeClientLimit = api.ErrorCode(idapi.ErrorCodeClientLimit)
)

// mountIdentity serves the identity API beside the cards API, with the same checks.
func (s *Server) mountIdentity(limits *rateLimits) error {
	spec, err := idapi.GetSpec()
	if err != nil {
		return fmt.Errorf("load the identity API: %w", err)
	}
	operations, err := operationsOf(spec)
	if err != nil {
		return err
	}
	maps.Copy(s.routed, operationNames("", operations))
	for _, o := range operations {
		o.maxBody, o.direct = maxIdentityBytes, true
	}
	idapi.RegisterHandlersWithOptions(s.echo, idapi.NewStrictHandler(&identityHandlers{s.c.Identity}, nil), idapi.RegisterHandlersOptions{
		OperationMiddlewares: s.chains(operations, limits),
	})
	return nil
}

// identityHandlers implements the generated interface of the identity API.
type identityHandlers struct {
	identity *identity.Provider
}

var _ idapi.StrictServerInterface = (*identityHandlers)(nil)

// AuthTokenPost implements the operation auth_token_post.
func (h *identityHandlers) AuthTokenPost(ctx context.Context, r idapi.AuthTokenPostRequestObject) (idapi.AuthTokenPostResponseObject, error) {
	token, err := h.identity.Token(ctx, r.Aid, clientOf(ctx), r.Body.Audience)
	if err != nil {
		return nil, refusedIdentity(err)
	}
	return idapi.AuthTokenPost200JSONResponse{
		AccessToken: token.Text, TokenType: idapi.TokenTypeBearer, ExpiresIn: int64(token.ExpiresIn / time.Second),
	}, nil
}

// AuthKeysGet implements the operation auth_keys_get.
func (h *identityHandlers) AuthKeysGet(context.Context, idapi.AuthKeysGetRequestObject) (idapi.AuthKeysGetResponseObject, error) {
	set, err := h.keys()
	return idapi.AuthKeysGet200JSONResponse(set.Keys), err
}

// JwksGet implements the operation jwks_get.
func (h *identityHandlers) JwksGet(context.Context, idapi.JwksGetRequestObject) (idapi.JwksGetResponseObject, error) {
	set, err := h.keys()
	return idapi.JwksGet200JSONResponse(set), err
}

func (h *identityHandlers) keys() (set idapi.JSONWebKeySet, err error) {
	document, err := h.identity.JWKS()
	if err != nil {
		return set, err
	}
	if err := json.Unmarshal(document, &set); err != nil {
		return set, fmt.Errorf("read the public keys: %w", err)
	}
	return set, nil
}

// AuthClientsPost implements the operation auth_clients_post.
func (h *identityHandlers) AuthClientsPost(ctx context.Context, r idapi.AuthClientsPostRequestObject) (idapi.AuthClientsPostResponseObject, error) {
	client, secret, err := h.identity.Create(ctx, identity.NewClient{
		Account: r.Aid, Name: r.Body.Name, Description: given(r.Body.Description), By: principalOf(ctx).Subject,
	})
	if err != nil {
		return nil, refusedIdentity(err)
	}
	shown := shownClient(&client)
	return idapi.AuthClientsPost200JSONResponse{
		ID: shown.ID, ClientID: shown.ClientID, ClientSecret: secret.Reveal(), Name: shown.Name, Description: shown.Description,
		CreatedAt: shown.CreatedAt, CreatedBy: shown.CreatedBy,
	}, nil
}

// AuthClientsGet implements the operation auth_clients_get.
func (h *identityHandlers) AuthClientsGet(ctx context.Context, r idapi.AuthClientsGetRequestObject) (idapi.AuthClientsGetResponseObject, error) {
	clients, err := h.identity.Store.Clients(ctx, r.Aid)
	shown := make(idapi.AuthClientsGet200JSONResponse, len(clients))
	for i := range clients {
		shown[i] = shownClient(&clients[i])
	}
	return shown, err
}

// AuthClientsClientIDDelete implements the operation auth_clients_client_id_delete.
func (h *identityHandlers) AuthClientsClientIDDelete(
	ctx context.Context, r idapi.AuthClientsClientIDDeleteRequestObject,
) (idapi.AuthClientsClientIDDeleteResponseObject, error) {
	client, err := h.identity.Revoke(ctx, r.Aid, r.ClientID, principalOf(ctx).Subject)
	if err != nil {
		return nil, refusedIdentity(err)
	}
	return idapi.AuthClientsClientIDDelete200JSONResponse(shownClient(&client)), nil
}

// AuthClientGrantsPost implements the operation auth_client_grants_post.
func (h *identityHandlers) AuthClientGrantsPost(
	ctx context.Context, r idapi.AuthClientGrantsPostRequestObject,
) (idapi.AuthClientGrantsPostResponseObject, error) {
	if _, err := h.identity.CheckAudience(r.Aid, r.Body.Audience); err != nil {
		return nil, refusedIdentity(err)
	}
	scopes := make([]string, len(r.Body.Scope))
	for i, scope := range r.Body.Scope {
		scopes[i] = string(scope)
	}
	grant, err := h.identity.Grant(ctx, r.Aid, r.Body.ClientID, r.Body.Audience, scopes, principalOf(ctx).Subject)
	if err != nil {
		return nil, refusedIdentity(err)
	}
	return idapi.AuthClientGrantsPost200JSONResponse(h.shownGrant(r.Aid, &grant)), nil
}

// AuthClientGrantsGet implements the operation auth_client_grants_get.
func (h *identityHandlers) AuthClientGrantsGet(ctx context.Context, r idapi.AuthClientGrantsGetRequestObject) (idapi.AuthClientGrantsGetResponseObject, error) {
	grants, err := h.identity.Store.Grants(ctx, r.Aid)
	shown := make(idapi.AuthClientGrantsGet200JSONResponse, len(grants))
	for i := range grants {
		shown[i] = h.shownGrant(r.Aid, &grants[i])
	}
	return shown, err
}

// AuthClientGrantsGrantIDDelete implements the operation auth_client_grants_grant_id_delete.
func (h *identityHandlers) AuthClientGrantsGrantIDDelete(
	ctx context.Context, r idapi.AuthClientGrantsGrantIDDeleteRequestObject,
) (idapi.AuthClientGrantsGrantIDDeleteResponseObject, error) {
	grant, err := h.identity.RevokeGrant(ctx, r.Aid, r.GrantID, principalOf(ctx).Subject)
	if err != nil {
		return nil, refusedIdentity(err)
	}
	return idapi.AuthClientGrantsGrantIDDelete200JSONResponse(h.shownGrant(r.Aid, &grant)), nil
}

// refusedIdentity turns a refusal into a failure. Other errors stay what they are.
func refusedIdentity(err error) error {
	switch {
	case errors.Is(err, identity.ErrAudience):
		return invalid("/audience", "must be an address of this server, /v1/accounts/ and the account")
	case errors.Is(err, identity.ErrNotGranted):
		return &failure{code: api.ErrorCodeForbidden, message: "The account of the audience is another one, or nothing is granted there."}
	case errors.Is(err, repository.ErrGrantExists):
		return fail(codeGrantExists)
	case errors.Is(err, repository.ErrTooManyClients):
		return fail(codeClientLimit)
	case errors.Is(err, repository.ErrConflict): // a lock that was not had in time
		return &failure{code: api.ErrorCodeOverloaded, retryAfter: overloadRetry, cause: err}
	}
	return err
}

func shownClient(c *repository.Client) idapi.Client {
	return idapi.Client{
		ID: c.ID, ClientID: c.ID, Name: c.Name, Description: some(c.Description), CreatedAt: c.CreatedAt.Time(), CreatedBy: c.CreatedBy,
		RevokedAt: timeOf(some(c.RevokedAt)), RevokedBy: some(c.RevokedBy),
	}
}

func (h *identityHandlers) shownGrant(account string, g *repository.Grant) idapi.Grant {
	return idapi.Grant{
		ID: g.ID, ClientID: g.ClientID, Audience: h.identity.Audience(account, g), Scope: g.Scopes, Type: idapi.GrantTypeClientCredentials,
		CreatedAt: g.CreatedAt.Time(), CreatedBy: g.CreatedBy, RevokedAt: timeOf(some(g.RevokedAt)), RevokedBy: some(g.RevokedBy),
	}
}
