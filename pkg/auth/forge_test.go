package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"sync"
	"testing"
	"time"
)

const (
	testIssuer  = "https://issuer.example"
	testBase    = "https://cards.example"
	testAccount = "T12345678"
)

// testNow is the time on the clock of every test.
func testNow() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// Tokens are forged with the standard library alone, so that a mistake shared with the JOSE library would show.

// signer is a key pair with its id; alg goes into the header and picks the arithmetic.
type signer struct {
	id, alg string
	private crypto.Signer
}

func newRSASigner(t testing.TB, id string, bits int) signer {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return signer{id, "RS256", private}
}

func newECSigner(t testing.TB, id string, curve elliptic.Curve) signer {
	t.Helper()
	private, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{id, "ES256", private}
}

func newEdSigner(t testing.TB, id string) signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{id, "EdDSA", private}
}

// sharedSigners are drawn once: RSA keys are slow to find.
var sharedSigners = sync.OnceValue(func() map[string]signer {
	t := &testing.T{}
	return map[string]signer{
		"RS256": newRSASigner(t, "rsa-1", 2048),
		"ES256": newECSigner(t, "ec-1", elliptic.P256()),
		"EdDSA": newEdSigner(t, "ed-1"),
	}
})

func (s signer) jwk() map[string]any {
	encode := base64.RawURLEncoding.EncodeToString
	members := map[string]any{"kid": s.id, "alg": s.alg, "use": "sig"}
	switch public := s.private.Public().(type) {
	case *rsa.PublicKey:
		members["kty"], members["n"], members["e"] = "RSA", encode(public.N.Bytes()), encode(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		size := (public.Curve.Params().BitSize + 7) / 8
		point, err := public.Bytes()
		if err != nil {
			panic(err)
		}
		members["kty"], members["crv"] = "EC", public.Curve.Params().Name
		members["x"], members["y"] = encode(point[1:1+size]), encode(point[1+size:])
	case ed25519.PublicKey:
		members["kty"], members["crv"], members["x"] = "OKP", "Ed25519", encode(public)
	}
	return members
}

func jwks(t testing.TB, signers ...signer) []byte {
	t.Helper()
	keys := []map[string]any{}
	for _, s := range signers {
		keys = append(keys, s.jwk())
	}
	return encodeJSON(t, map[string]any{"keys": keys})
}

func staticKeys(t testing.TB, signers ...signer) *KeySource {
	t.Helper()
	source, err := StaticKeys(jwks(t, signers...))
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func newTestVerifier(t testing.TB, keys *KeySource) *Verifier {
	t.Helper()
	verifier, err := NewVerifier(VerifierConfig{
		Issuers: []Issuer{{testIssuer, keys}}, Audiences: audiences(t, testBase), Now: testNow,
	})
	if err != nil {
		t.Fatal(err)
	}
	return verifier
}

// members is a JSON object to be changed by a test; a nil value takes a member out.
type members map[string]any

func (m members) with(changes members) members {
	changed := maps.Clone(m)
	for name, value := range changes {
		if value == nil {
			delete(changed, name)
		} else {
			changed[name] = value
		}
	}
	return changed
}

func goodClaims() members {
	return members{
		"iss": testIssuer, "sub": "client-1", "aud": testBase + "/v1/accounts/" + testAccount,
		"scope": "read:wallets write:wallets", "iat": testNow().Unix(), "exp": testNow().Add(time.Hour).Unix(),
	}
}

func (s signer) header() members {
	return members{"alg": s.alg, "kid": s.id, "typ": "JWT"}
}

// token signs good claims with some changed.
func (s signer) token(t testing.TB, changes members) string {
	t.Helper()
	return s.sign(encodeJSON(t, s.header()), encodeJSON(t, goodClaims().with(changes)))
}

// tokenWithHeader signs good claims under a header with some members changed.
func (s signer) tokenWithHeader(t testing.TB, changes members) string {
	t.Helper()
	return s.sign(encodeJSON(t, s.header().with(changes)), encodeJSON(t, goodClaims()))
}

// sign makes a token of header and claims as they are.
func (s signer) sign(header, claims []byte) string {
	input := compact(header, claims)
	return input + "." + base64.RawURLEncoding.EncodeToString(s.signature(input))
}

func (s signer) signature(input string) []byte {
	digest := sha256.Sum256([]byte(input))
	switch private := s.private.(type) {
	case *ecdsa.PrivateKey:
		r, v, err := ecdsa.Sign(rand.Reader, private, digest[:])
		if err != nil {
			panic(err)
		}
		size := (private.Curve.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), v.FillBytes(make([]byte, size))...)
	case ed25519.PrivateKey:
		return ed25519.Sign(private, []byte(input))
	default:
		signature, err := private.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			panic(err)
		}
		return signature
	}
}

// signHMAC makes an HS256 token whose secret is anything an attacker may know.
func signHMAC(header, claims, secret []byte) string {
	input := compact(header, claims)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func compact(header, claims []byte) string {
	return base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
}

func encodeJSON(t testing.TB, value any) []byte {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}
