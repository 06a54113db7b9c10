package auth

import (
	"encoding/json"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// Leeway is how far the clocks of issuer and server may be apart.
	Leeway = 60 * time.Second
	// MaxSubject is the longest subject, in characters.
	MaxSubject = 255

	// maxNumericDate is the last second of the year 9999.
	maxNumericDate = 253_402_300_799
)

type claims struct {
	issuer    string
	subject   string
	audiences []string
	scopes    []string
	expires   time.Time
	// notBefore and issued are zero when the token does not say.
	notBefore time.Time
	issued    time.Time
}

func parseClaims(data []byte) (claims, error) {
	members, ok := parseObject(data)
	if !ok {
		return claims{}, refused(ReasonMalformed)
	}
	var c claims
	if c.issuer, ok = members.text("iss"); !ok {
		return claims{}, refused(ReasonIssuer)
	}
	if c.subject, ok = members.text("sub"); !ok || !isSubject(c.subject) {
		return claims{}, refused(ReasonSubject)
	}
	if c.audiences, ok = members.texts("aud", func(one string) []string { return []string{one} }); !ok {
		return claims{}, refused(ReasonAudience)
	}
	if members.has("scope") {
		if c.scopes, ok = members.texts("scope", strings.Fields); !ok {
			return claims{}, refused(ReasonClaim)
		}
	}
	if c.expires, ok = members.date("exp"); !ok {
		return claims{}, refused(ReasonClaim)
	}
	if c.notBefore, ok = members.date("nbf"); !ok && members.has("nbf") {
		return claims{}, refused(ReasonClaim)
	}
	if c.issued, ok = members.date("iat"); !ok && members.has("iat") {
		return claims{}, refused(ReasonClaim)
	}
	return c, nil
}

// checkTimes is asked on every request, for a token that is remembered too.
func (c claims) checkTimes(now time.Time) error {
	switch {
	case !now.Before(c.expires.Add(Leeway)):
		return refused(ReasonExpired)
	case c.notBefore.After(now.Add(Leeway)):
		return refused(ReasonNotYetValid)
	case c.issued.After(now.Add(Leeway)):
		return refused(ReasonIssuedInFuture)
	}
	return nil
}

// isSubject keeps out what could not be stored and shown. The replacement character is what a lone surrogate turns into:
// different subjects would become one.
func isSubject(subject string) bool {
	return subject != "" && utf8.RuneCountInString(subject) <= MaxSubject &&
		!strings.ContainsFunc(subject, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError })
}

// texts returns a member that is an array of strings, or one string taken apart by split.
func (o object) texts(name string, split func(string) []string) ([]string, bool) {
	if one, ok := o.text(name); ok {
		return split(one), true
	}
	var items []*string
	if json.Unmarshal(o[name], &items) != nil || items == nil {
		return nil, false
	}
	texts := make([]string, len(items))
	for i, item := range items {
		if item == nil {
			return nil, false
		}
		texts[i] = *item
	}
	return texts, true
}

// date returns a member that is a number of seconds since 1970, fractions allowed.
func (o object) date(name string) (time.Time, bool) {
	var seconds *float64
	if json.Unmarshal(o[name], &seconds) != nil || seconds == nil || *seconds < 0 || *seconds > maxNumericDate {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(*seconds)
	return time.Unix(int64(whole), int64(fraction*float64(time.Second))).UTC(), true
}
