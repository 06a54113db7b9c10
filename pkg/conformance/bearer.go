package conformance

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
)

// credential names an access token, as its flag does.
type credential string

// The access tokens beside the first.
const (
	reader   credential = "token-reader"
	writer   credential = "token-writer"
	till     credential = "token-till"
	info     credential = "token-info"
	customer credential = "token-customer"
	other    credential = "token-other"
	expired  credential = "token-expired"
)

// claims are those of an access token that the suite reads, without believing them.
type claims struct {
	Subject  string          `json:"sub"`
	Audience json.RawMessage `json:"aud"`
}

var errNoJWT = errors.New("it is not a JWT")

// readClaims reads the middle part of a JWT.
func readClaims(token string) (claims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return claims{}, errNoJWT
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return claims{}, errNoJWT
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return claims{}, errNoJWT
	}
	return c, nil
}

// AccountOf is the first account that an access token is for, as it says itself, or
// nothing.
func AccountOf(token string) string {
	c, err := readClaims(token)
	if err != nil {
		return ""
	}
	return c.account()
}

// account is the first account that the audience names, or nothing.
func (c claims) account() string {
	var several []string
	if json.Unmarshal(c.Audience, &several) != nil {
		var one string
		if json.Unmarshal(c.Audience, &one) != nil {
			return ""
		}
		several = []string{one}
	}
	for _, audience := range several {
		if _, account, found := strings.Cut(audience, base+"/accounts/"); found {
			return account
		}
	}
	return ""
}

// forged is the first access token with other parts.
func (s *suite) forged(change func(parts []string)) string {
	parts := strings.Split(s.Token, ".")
	change(parts)
	return strings.Join(parts, ".")
}

// segment is a part of a JWT.
func segment(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
