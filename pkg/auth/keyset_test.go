package auth

import (
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestParseKeySetForms(t *testing.T) {
	signers := sharedSigners()
	all := jwks(t, signers["RS256"], signers["ES256"], signers["EdDSA"])
	var set struct{ Keys json.RawMessage }
	if err := json.Unmarshal(all, &set); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		document string
		usable   int
		unusable int
	}{
		"set":            {string(all), 3, 0},
		"bare array":     {string(set.Keys), 3, 0},
		"space around":   {"\n " + string(all) + "\n", 3, 0},
		"no keys":        {`{"keys":[]}`, 0, 0},
		"bare, no keys":  {`[]`, 0, 0},
		"other members":  {`{"issuer":"x","keys":` + string(set.Keys) + `}`, 3, 0},
		"odd among good": {`[1,null,{},"x",` + string(set.Keys)[1:], 3, 4},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseKeySet([]byte(test.document))
			if err != nil {
				t.Fatal(err)
			}
			if len(got.keys) != test.usable || got.unusable != test.unusable {
				t.Errorf("%d usable and %d unusable keys", len(got.keys), got.unusable)
			}
		})
	}
}

func TestParseKeySetRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		document string
		want     error
	}{
		"empty":        {"", errNoKeySet},
		"HTML":         {"<html>", errNoKeySet},
		"null":         {"null", errNoKeySet},
		"no keys":      {"{}", errNoKeySet},
		"keys null":    {`{"keys":null}`, errNoKeySet},
		"keys object":  {`{"keys":{}}`, errNoKeySet},
		"KEYS":         {`{"KEYS":[]}`, errNoKeySet},
		"keys twice":   {`{"keys":[],"keys":[]}`, errNoKeySet},
		"one key":      {`{"kty":"OKP"}`, errNoKeySet},
		"cut off":      {`{"keys":[`, errNoKeySet},
		"array and so": {`[] x`, errNoKeySet},
		"too many":     {"[" + strings.Repeat("{},", maxKeys) + "{}]", errTooManyKeys},
		"too large":    {"[" + strings.Repeat(" ", maxKeySetBytes) + "]", errKeySetSize},
	} {
		t.Run(name, func(t *testing.T) {
			if set, err := parseKeySet([]byte(test.document)); !errors.Is(err, test.want) || set != nil {
				t.Errorf("got %v, %v; want %v", set, err, test.want)
			}
		})
	}
}

func TestParseKeySetUpToItsLimits(t *testing.T) {
	const longest, most = 262_144, 64
	for name, document := range map[string]string{
		"long": "[" + strings.Repeat(" ", longest-2) + "]",
		"many": "[" + strings.Repeat("{},", most-1) + "{}]",
	} {
		if _, err := parseKeySet([]byte(document)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := parseKeySet([]byte("[" + strings.Repeat(" ", longest-1) + "]")); !errors.Is(err, errKeySetSize) {
		t.Errorf("one byte more: %v", err)
	}
	if _, err := parseKeySet([]byte("[" + strings.Repeat("{},", most) + "{}]")); !errors.Is(err, errTooManyKeys) {
		t.Errorf("one key more: %v", err)
	}
}

func TestUsableKeys(t *testing.T) {
	signers := sharedSigners()
	rs, es, ed := members(signers["RS256"].jwk()), members(signers["ES256"].jwk()), members(signers["EdDSA"].jwk())
	for name, test := range map[string]struct {
		key    members
		usable bool
	}{
		"RSA":                     {rs, true},
		"EC":                      {es, true},
		"Ed25519":                 {ed, true},
		"no alg":                  {rs.with(members{"alg": nil}), true},
		"no use":                  {rs.with(members{"use": nil}), true},
		"no kid":                  {rs.with(members{"kid": nil}), true},
		"may verify":              {rs.with(members{"use": nil, "key_ops": []string{"verify"}}), true},
		"for encryption":          {rs.with(members{"use": "enc"}), false},
		"may only encrypt":        {rs.with(members{"use": nil, "key_ops": []string{"encrypt"}}), false},
		"RS512":                   {rs.with(members{"alg": "RS512"}), false},
		"PS256":                   {rs.with(members{"alg": "PS256"}), false},
		"RSA-OAEP":                {rs.with(members{"alg": "RSA-OAEP"}), false},
		"RSA that says ES256":     {rs.with(members{"alg": "ES256"}), false},
		"RSA that says HS256":     {rs.with(members{"alg": "HS256"}), false},
		"RSA that says none":      {rs.with(members{"alg": "none"}), false},
		"EC that says RS256":      {es.with(members{"alg": "RS256"}), false},
		"RSA, 1024 bits":          {newRSASigner(t, "a", 1024).jwk(), false},
		"RSA, even exponent":      {rs.with(members{"e": "Ag"}), false},
		"RSA, exponent 1":         {rs.with(members{"e": "AQ"}), false},
		"RSA, exponent 3":         {rs.with(members{"e": "Aw"}), true},
		"RSA, 2047 bits":          {rs.with(members{"n": "f___" + strings.Repeat("____", 84) + "_w"}), false},
		"RSA, 8192 bits":          {rs.with(members{"n": strings.Repeat("____", 341) + "_w"}), true},
		"RSA, 8193 bits":          {rs.with(members{"n": "Af__" + strings.Repeat("____", 340) + "__8"}), false},
		"RSA, no modulus":         {rs.with(members{"n": nil}), false},
		"RSA, 16384 bits":         {rs.with(members{"n": strings.Repeat("_w", 1024*4/3)}), false},
		"EC, P-384":               {newECSigner(t, "a", elliptic.P384()).jwk(), false},
		"EC, P-521":               {newECSigner(t, "a", elliptic.P521()).jwk(), false},
		"EC, not on the curve":    {es.with(members{"x": es["y"]}), false},
		"EC, no curve":            {es.with(members{"crv": nil}), false},
		"Ed25519, short":          {ed.with(members{"x": "AAAA"}), false},
		"Ed25519, no x":           {ed.with(members{"x": nil}), false},
		"X25519":                  {ed.with(members{"crv": "X25519"}), false},
		"symmetric":               {members{"kty": "oct", "k": base64.RawURLEncoding.EncodeToString(make([]byte, 32)), "alg": "HS256"}, false},
		"symmetric that says EdD": {members{"kty": "oct", "k": base64.RawURLEncoding.EncodeToString(make([]byte, 32)), "alg": "EdDSA"}, false},
		"unknown type":            {members{"kty": "X"}, false},
		"no type":                 {ed.with(members{"kty": nil}), false},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := parseKeySet(encodeJSON(t, []members{test.key}))
			if err != nil {
				t.Fatal(err)
			}
			if got := len(set.keys) == 1; got != test.usable {
				t.Errorf("usable: %v", got)
			}
		})
	}
}

// A token of a 1024-bit key is refused although it is signed well and its key is in the set.
func TestShortRSAKeyOpensNothing(t *testing.T) {
	short, good := newRSASigner(t, "short", 1024), newEdSigner(t, "good")
	verifier := newTestVerifier(t, staticKeys(t, short, good))
	_, err := verifier.Verify(t.Context(), short.token(t, nil))
	requireRefusal(t, err, ReasonUnknownKey)
}

func TestStaticKeysNeedAKey(t *testing.T) {
	for _, document := range []string{`{"keys":[]}`, `{"keys":[{"kty":"oct","k":"AA"}]}`, ``} {
		if _, err := StaticKeys([]byte(document)); err == nil {
			t.Errorf("no error for %q", document)
		}
	}
}

func FuzzParseKeySet(f *testing.F) {
	signers := sharedSigners()
	for _, s := range signers {
		f.Add(jwks(f, s))
	}
	f.Add([]byte(`[{"kty":"OKP","crv":"Ed25519","x":"","d":"AA"}]`))
	f.Add([]byte(`[{"kty":"RSA","n":"AQ","e":"AQAB","d":"AQ","p":"AQ","q":"AQ"}]`))
	f.Add([]byte(`[{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA","x5c":["AA"]}]`))
	f.Fuzz(func(t *testing.T, document []byte) {
		set, err := parseKeySet(document)
		if err != nil {
			return
		}
		for _, key := range set.keys {
			if !isAllowed(key.algorithm) {
				t.Fatalf("algorithm %s came through", key.algorithm)
			}
			if key.verifier.Verify([]byte("a"), make([]byte, 64), key.public) == nil {
				t.Fatal("a signature of zeros is good")
			}
		}
	})
}

func FuzzVerify(f *testing.F) {
	ed := newEdSigner(f, "ed-1")
	good := ed.token(f, nil)
	f.Add(good)
	f.Add(good[:len(good)-2])
	f.Add(compact([]byte(`{"alg":"none"}`), []byte(`{}`)) + ".")
	f.Add(ed.sign([]byte(`{"alg":"EdDSA","kid":"ed-1","x":[{}]}`), []byte(`{"exp":1e3}`)))
	verifier := newTestVerifier(f, staticKeys(f, ed))
	f.Fuzz(func(t *testing.T, token string) {
		principal, err := verifier.Verify(t.Context(), token)
		if err == nil && token != good {
			t.Fatalf("a token nobody signed is %+v", principal)
		}
		if err != nil && !errors.Is(err, ErrUnauthorized) {
			t.Fatalf("refused without a reason: %v", err)
		}
	})
}
