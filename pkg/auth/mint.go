package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// Claims is what a minted token says.
type Claims struct {
	// Account is the one account the token opens.
	Account string
	// Issuer is the `iss` the server expects.
	Issuer string
	// AudienceBase is one of the server's audience bases, usually its public URL.
	AudienceBase string
	// Subject is who the token stands for.
	Subject string
	// Scopes are what it permits, at least one.
	Scopes []string
	// TTL is how long it lives, at least a second; parts of a second are dropped.
	TTL time.Duration
}

// Mint signs a token that is valid from now on. It fails, naming the claim, when one is missing or wrong.
func (k *LocalKey) Mint(claims Claims, now time.Time) (string, error) {
	if err := claims.check(); err != nil {
		return "", fmt.Errorf("mint token: %w", err)
	}
	payload, err := json.Marshal(map[string]any{
		"iss":   claims.Issuer,
		"sub":   claims.Subject,
		"aud":   trimBase(claims.AudienceBase) + accountsPath + claims.Account,
		"scope": strings.Join(claims.Scopes, " "),
		"iat":   now.Unix(),
		"exp":   now.Unix() + int64(claims.TTL/time.Second),
	})
	if err != nil {
		return "", fmt.Errorf("mint token: %w", err)
	}
	header := jws.NewHeaders()
	for name, value := range map[string]string{jws.KeyIDKey: k.id, jws.TypeKey: "JWT"} {
		if err := header.Set(name, value); err != nil {
			return "", fmt.Errorf("mint token: %w", err)
		}
	}
	signed, err := jws.Sign(payload, jws.WithKey(jwa.EdDSA, k.private, jws.WithProtectedHeaders(header)))
	if err != nil {
		return "", fmt.Errorf("mint token: %w", err)
	}
	if len(signed) > MaxTokenBytes {
		return "", fmt.Errorf("mint token: longer than the %d bytes a server reads", MaxTokenBytes)
	}
	return string(signed), nil
}

func (c Claims) check() error {
	switch {
	case !IsAccount(c.Account):
		return errors.New("account must be P or T and eight digits")
	case c.Issuer == "":
		return errors.New("issuer is missing")
	case trimBase(c.AudienceBase) == "":
		return errors.New("audience base is missing")
	case !isSubject(c.Subject):
		return fmt.Errorf("subject must have 1 to %d characters and no control characters", MaxSubject)
	case len(c.Scopes) == 0:
		return errors.New("scopes are missing")
	case c.TTL < time.Second:
		return errors.New("lifetime must be at least a second")
	}
	for _, scope := range c.Scopes {
		if fields := strings.Fields(scope); len(fields) != 1 || fields[0] != scope {
			return errors.New("a scope must not be empty or contain white space")
		}
	}
	return nil
}
