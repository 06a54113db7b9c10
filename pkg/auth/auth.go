// Package auth turns a bearer token into the principal it stands for: it checks a JWT's signature with the issuer's keys, its issuer,
// its times and its audience, and says which accounts and scopes it opens. It also keeps the keys of a server that issues tokens itself,
// and mints tokens with them.
//
// Non-goals: it does not know who may have a token (identity), nor which operation needs which scope; the specification says that,
// and the edge asks HasScope.
//
// The surprising decision: the token is taken apart here and only the signature is left to the JOSE library. What is verified is
// then exactly what was read: duplicate members, keys a token brings along and critical extensions never reach a more generous
// parser.
package auth

import (
	"net/http"
	"slices"
	"strings"
)

// The scopes of the wallets API.
const (
	ScopeAdmin             = "admin:wallets"
	ScopeWrite             = "write:wallets"
	ScopeRead              = "read:wallets"
	ScopeWriteInfo         = "write:wallets:/info"
	ScopeWriteTransactions = "write:wallets:/transactions"
	ScopeUser              = "user:wallets"
)

// ScopeAccounts opens the operations on API clients and their grants, in the account of the token.
const ScopeAccounts = "admin:accounts"

// The scopes of the webhooks API.
const (
	ScopeAdminHooks = "admin:hooks"
	ScopeWriteHooks = "write:hooks"
	ScopeReadHooks  = "read:hooks"
)

// WalletScopes lists all scopes of the wallets API.
func WalletScopes() []string {
	return []string{ScopeAdmin, ScopeWrite, ScopeRead, ScopeWriteInfo, ScopeWriteTransactions, ScopeUser}
}

// Scopes lists all scopes there are.
func Scopes() []string {
	return append(WalletScopes(), ScopeAccounts, ScopeAdminHooks, ScopeWriteHooks, ScopeReadHooks)
}

// Principal is who sent a request and what that opens. Requests share it: do not change it.
type Principal struct {
	// Subject is the client or user, 1 … 255 characters without control characters.
	Subject string
	// Accounts are the ids of the accounts the token was issued for, at least one.
	Accounts []string
	// Scopes are what the token permits, in the order it names them; none is possible.
	Scopes []string
}

// HasScope says whether the token has at least one of the alternatives.
func (p Principal) HasScope(alternatives ...string) bool {
	return slices.ContainsFunc(alternatives, func(scope string) bool { return slices.Contains(p.Scopes, scope) })
}

// OpensAccount says whether the token was issued for the account.
func (p Principal) OpensAccount(account string) bool {
	return slices.Contains(p.Accounts, account)
}

// BearerToken takes the token out of the Authorization header. It fails with ReasonMissing when there is none, when there is more than
// one such header, or when the scheme is another.
func BearerToken(header http.Header) (string, error) {
	values := header.Values("Authorization")
	if len(values) != 1 {
		return "", refused(ReasonMissing)
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimLeft(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", refused(ReasonMissing)
	}
	return token, nil
}
