package auth

import (
	"errors"
	"strings"
)

const accountsPath = "/v1/accounts/"

// Audiences tell which texts name an account of a server: <base>/v1/accounts/<account>.
type Audiences struct {
	bases   []string // without a slash at the end
	anyBase bool
}

// NewAudiences accepts the bases, of which there must be one. A slash at the end of a base is ignored.
func NewAudiences(bases ...string) (Audiences, error) {
	if len(bases) == 0 {
		return Audiences{}, errors.New("no audience base configured")
	}
	trimmed := make([]string, len(bases))
	for i, base := range bases {
		if trimmed[i] = trimBase(base); trimmed[i] == "" {
			return Audiences{}, errors.New("an audience base is empty")
		}
	}
	return Audiences{bases: trimmed}, nil
}

// WithAnyBase accepts every other base too. Whoever signs tokens for another server with the same key then opens this one: it is
// for servers whose key nobody else has.
func (a Audiences) WithAnyBase() Audiences { return Audiences{bases: a.bases, anyBase: true} }

// Split takes an audience apart. It reports false for a text that names no account here.
func (a Audiences) Split(audience string) (base, account string, ok bool) {
	at := strings.LastIndex(audience, accountsPath)
	if at < 0 || !IsAccount(audience[at+len(accountsPath):]) {
		return "", "", false
	}
	base, account = audience[:at], audience[at+len(accountsPath):]
	if a.anyBase && base != "" {
		return base, account, true
	}
	for _, accepted := range a.bases {
		if base == accepted {
			return base, account, true
		}
	}
	return "", "", false
}

// Of is the first of an account's audiences.
func (a Audiences) Of(account string) string { return a.bases[0] + accountsPath + account }

// accounts returns those that the texts name.
func (a Audiences) accounts(audiences []string) []string {
	var accounts []string
	for _, audience := range audiences {
		if _, account, ok := a.Split(audience); ok {
			accounts = append(accounts, account)
		}
	}
	return accounts
}

// IsAccount accepts P or T and eight digits.
func IsAccount(id string) bool {
	return len(id) == 9 && (id[0] == 'P' || id[0] == 'T') && strings.Trim(id[1:], "0123456789") == ""
}

func trimBase(base string) string { return strings.TrimRight(base, "/") }
