package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
)

// Issuer is somebody whose tokens are accepted.
type Issuer struct {
	// Name is the exact `iss` of the tokens.
	Name string
	// Keys are the issuer's, and nobody else's.
	Keys *KeySource
}

// VerifierConfig is what a Verifier needs to know; every field is required.
type VerifierConfig struct {
	// Issuers have different names; there is at least one.
	Issuers []Issuer
	// Audiences tell which accounts a token names.
	Audiences Audiences
	// Now is the clock.
	Now func() time.Time
}

// Verifier judges bearer tokens. It may be used by any number of goroutines.
type Verifier struct {
	issuers   []trusted
	audiences Audiences
	now       func() time.Time
}

// trusted is an issuer and the tokens that were verified with its keys. Each has a memory of its own: the tokens of one never push out
// those of another, and a change of its keys voids no verdict but its own.
type trusted struct {
	Issuer
	verified *memory
}

// NewVerifier checks that the configuration is complete.
func NewVerifier(config VerifierConfig) (*Verifier, error) {
	switch {
	case len(config.Issuers) == 0:
		return nil, errors.New("verify tokens: no issuer configured")
	case len(config.Audiences.bases) == 0:
		return nil, errors.New("verify tokens: no audience configured")
	case config.Now == nil:
		return nil, errors.New("verify tokens: no clock configured")
	}
	v := &Verifier{audiences: config.Audiences, now: config.Now}
	for _, one := range config.Issuers {
		switch {
		case one.Name == "":
			return nil, errors.New("verify tokens: an issuer has no name")
		case one.Keys == nil:
			return nil, errors.New("verify tokens: an issuer has no keys")
		case v.issuer(one.Name) != nil:
			return nil, fmt.Errorf("verify tokens: the issuer %q is configured twice", one.Name)
		}
		v.issuers = append(v.issuers, trusted{one, newMemory()})
	}
	return v, nil
}

// issuer finds an issuer by its name; nil if it is none of ours.
func (v *Verifier) issuer(name string) *trusted {
	for i := range v.issuers {
		if v.issuers[i].Name == name {
			return &v.issuers[i]
		}
	}
	return nil
}

// Ready says whether there are keys to judge tokens by, of one issuer at least: where there are several, one that is out of reach
// must not keep the tokens of the others out.
func (v *Verifier) Ready() bool {
	for _, one := range v.issuers {
		if one.Keys.Ready() {
			return true
		}
	}
	return false
}

// Verify returns the principal of a token. A token that is refused is a *TokenError, which is ErrUnauthorized; ErrUnavailable means that there
// are no keys to judge it by, or that ctx ended while they were fetched.
func (v *Verifier) Verify(ctx context.Context, raw string) (Principal, error) {
	if len(raw) > MaxTokenBytes {
		return Principal{}, refused(ReasonTooLong)
	}
	now := v.now()
	digest := sha256.Sum256([]byte(raw))
	for _, one := range v.issuers {
		if known, ok := one.verified.recall(digest, one.Keys.current.Load()); ok {
			if err := known.claims.checkTimes(now); err != nil {
				return Principal{}, err
			}
			return known.principal, nil
		}
	}
	parsed, err := parseToken(raw)
	if err != nil {
		return Principal{}, err
	}
	// What a token says of its issuer only chooses whose keys have to have signed it.
	from := v.issuer(parsed.claims.issuer)
	if from == nil {
		return Principal{}, refused(ReasonIssuer)
	}
	// The claims come before the key, so that a token for somebody else never makes us fetch keys.
	principal, err := v.judge(parsed.claims, now)
	if err != nil {
		return Principal{}, err
	}
	key, set, err := from.Keys.find(ctx, parsed.algorithm, parsed.keyID)
	if err != nil {
		return Principal{}, err
	}
	if key.verifier.Verify([]byte(parsed.signed), parsed.signature, key.public) != nil {
		return Principal{}, refused(ReasonWrongSignature)
	}
	from.verified.remember(digest, verdict{principal: principal, claims: parsed.claims, keys: set})
	return principal, nil
}

func (v *Verifier) judge(c claims, now time.Time) (Principal, error) {
	accounts := v.audiences.accounts(c.audiences)
	if len(accounts) == 0 {
		return Principal{}, refused(ReasonAudience)
	}
	if err := c.checkTimes(now); err != nil {
		return Principal{}, err
	}
	return Principal{Subject: c.subject, Accounts: accounts, Scopes: c.scopes}, nil
}
