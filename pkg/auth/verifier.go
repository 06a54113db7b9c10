package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"time"
)

// VerifierConfig is what a Verifier needs to know; every field is required.
type VerifierConfig struct {
	// Issuer is the exact `iss` of every token.
	Issuer string
	// AudienceBases are the addresses below which `aud` names accounts, as <base>/v1/accounts/<account>. A slash at the end of
	// a base is ignored.
	AudienceBases []string
	// Keys are the issuer's.
	Keys *KeySource
	// Now is the clock.
	Now func() time.Time
}

// Verifier judges bearer tokens. It may be used by any number of goroutines.
type Verifier struct {
	issuer   string
	bases    []string
	keys     *KeySource
	now      func() time.Time
	verified *memory
}

// NewVerifier checks that the configuration is complete.
func NewVerifier(config VerifierConfig) (*Verifier, error) {
	switch {
	case config.Issuer == "":
		return nil, errors.New("verify tokens: no issuer configured")
	case len(config.AudienceBases) == 0:
		return nil, errors.New("verify tokens: no audience base configured")
	case config.Keys == nil:
		return nil, errors.New("verify tokens: no keys configured")
	case config.Now == nil:
		return nil, errors.New("verify tokens: no clock configured")
	}
	bases := make([]string, len(config.AudienceBases))
	for i, base := range config.AudienceBases {
		if bases[i] = trimBase(base); bases[i] == "" {
			return nil, errors.New("verify tokens: an audience base is empty")
		}
	}
	return &Verifier{issuer: config.Issuer, bases: bases, keys: config.Keys, now: config.Now, verified: newMemory()}, nil
}

// Verify returns the principal of a token. A token that is refused is a *TokenError, which is ErrUnauthorized; ErrUnavailable means that there
// are no keys to judge it by, or that ctx ended while they were fetched.
func (v *Verifier) Verify(ctx context.Context, raw string) (Principal, error) {
	if len(raw) > MaxTokenBytes {
		return Principal{}, refused(ReasonTooLong)
	}
	now := v.now()
	digest := sha256.Sum256([]byte(raw))
	if known, ok := v.verified.recall(digest, v.keys.current.Load()); ok {
		if err := known.claims.checkTimes(now); err != nil {
			return Principal{}, err
		}
		return known.principal, nil
	}
	parsed, err := parseToken(raw)
	if err != nil {
		return Principal{}, err
	}
	// The claims come before the key, so that a token for somebody else never makes us fetch keys.
	principal, err := v.judge(parsed.claims, now)
	if err != nil {
		return Principal{}, err
	}
	key, set, err := v.keys.find(ctx, parsed.algorithm, parsed.keyID)
	if err != nil {
		return Principal{}, err
	}
	if key.verifier.Verify([]byte(parsed.signed), parsed.signature, key.public) != nil {
		return Principal{}, refused(ReasonWrongSignature)
	}
	v.verified.remember(digest, verdict{principal: principal, claims: parsed.claims, keys: set})
	return principal, nil
}

func (v *Verifier) judge(c claims, now time.Time) (Principal, error) {
	if c.issuer != v.issuer {
		return Principal{}, refused(ReasonIssuer)
	}
	accounts := c.accountsUnder(v.bases)
	if len(accounts) == 0 {
		return Principal{}, refused(ReasonAudience)
	}
	if err := c.checkTimes(now); err != nil {
		return Principal{}, err
	}
	return Principal{Subject: c.subject, Accounts: accounts, Scopes: c.scopes}, nil
}

func trimBase(base string) string { return strings.TrimRight(base, "/") }
