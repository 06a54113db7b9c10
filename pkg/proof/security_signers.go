package proof

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
	"errors"
	"fmt"
	"maps"
	"math/big"
	"os"
	"strings"
	"time"
)

// rsaBits is the size of the RSA keys that the servers trust.
const rsaBits = 2048

// signer is a key pair of an issuer, or of somebody who would like to be one. Tokens are
// put together here byte by byte, with nothing but the standard library's arithmetic.
type signer struct {
	id, alg string
	private crypto.Signer
}

// signers are the keys that the servers trust beside that of the site.
type signers struct{ rsa, ec, ed signer }

func (s signers) all() []signer { return []signer{s.rsa, s.ec, s.ed} }

func newSigners() (s signers, err error) {
	private, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return s, fmt.Errorf("draw a key: %w", err)
	}
	s.rsa = signer{"rsa-1", "RS256", private}
	if s.ec, err = newEC("ec-1"); err != nil {
		return s, err
	}
	s.ed, err = newEd("ed-1")
	return s, err
}

func newEC(id string) (signer, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return signer{}, fmt.Errorf("draw a key: %w", err)
	}
	return signer{id, "ES256", private}, nil
}

func newEd(id string) (signer, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return signer{}, fmt.Errorf("draw a key: %w", err)
	}
	return signer{id, "EdDSA", private}, nil
}

// jwk is the public half.
func (s signer) jwk() (members, error) {
	encode := base64.RawURLEncoding.EncodeToString
	key := members{"kid": s.id, "alg": s.alg, "use": "sig"}
	switch public := s.private.Public().(type) {
	case *rsa.PublicKey:
		key["kty"], key["n"], key["e"] = "RSA", encode(public.N.Bytes()), encode(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			return nil, fmt.Errorf("encode a key: %w", err)
		}
		half := (len(point) - 1) / 2 // after a byte that says: not compressed
		key["kty"], key["crv"], key["x"], key["y"] = "EC", "P-256", encode(point[1:1+half]), encode(point[1+half:])
	case ed25519.PublicKey:
		key["kty"], key["crv"], key["x"] = "OKP", "Ed25519", encode(public)
	}
	return key, nil
}

// signature signs as the algorithm of the key says.
func (s signer) signature(input string) ([]byte, error) {
	digest := sha256.Sum256([]byte(input))
	switch private := s.private.(type) {
	case ed25519.PrivateKey:
		return ed25519.Sign(private, []byte(input)), nil
	case *ecdsa.PrivateKey:
		r, v, err := ecdsa.Sign(rand.Reader, private, digest[:])
		if err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
		const half = 32 // bytes
		return append(r.FillBytes(make([]byte, half)), v.FillBytes(make([]byte, half))...), nil
	}
	return s.private.Sign(rand.Reader, digest[:], crypto.SHA256)
}

// sign makes a token of header and claims as they are.
func (s signer) sign(header, claims []byte) (string, error) {
	input := unsigned(header, claims)
	signature, err := s.signature(input)
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), err
}

// token signs good claims under a good header, some of both changed.
func (s signer) token(header, claims members) (string, error) {
	h, err := json.Marshal(s.header().with(header))
	if err != nil {
		return "", err
	}
	c, err := json.Marshal(goodClaims(time.Now()).with(claims))
	if err != nil {
		return "", err
	}
	return s.sign(h, c)
}

func (s signer) header() members { return members{"alg": s.alg, "kid": s.id, "typ": "JWT"} }

// unsigned is the part of a token that is signed.
func unsigned(header, claims []byte) string {
	return base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
}

// signHMAC makes a token whose key is anything that an attacker knows.
func signHMAC(header, claims, secret []byte) string {
	input := unsigned(header, claims)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// members are those of a JSON object.
type members map[string]any

// with changes some; nil takes one out.
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

// goodClaims open the victim's account.
func goodClaims(now time.Time) members {
	return members{
		"iss": issuer, "sub": "forger", "aud": audienceOf(victim), "scope": "admin:wallets",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}

func audienceOf(account string) string { return audience + "/v1/accounts/" + account }

// publish makes keys those that the servers trust, beside that of the site.
func (i *intruder) publish(trusted ...signer) error {
	public, err := i.site.key.JWKS()
	if err != nil {
		return err
	}
	var set struct {
		Keys []members `json:"keys"`
	}
	if err := json.Unmarshal(public, &set); err != nil {
		return fmt.Errorf("read the key set: %w", err)
	}
	for _, s := range trusted {
		key, err := s.jwk()
		if err != nil {
			return err
		}
		set.Keys = append(set.Keys, key)
	}
	text, err := json.Marshal(set)
	if err != nil {
		return fmt.Errorf("write the key set: %w", err)
	}
	draft := i.site.keySet() + ".new"
	if err := os.WriteFile(draft, text, 0o600); err != nil {
		return fmt.Errorf("write the key set: %w", err)
	}
	if err := os.Rename(draft, i.site.keySet()); err != nil {
		return fmt.Errorf("write the key set: %w", err)
	}
	return nil
}

// flip changes one character of a token into another of the alphabet.
func flip(token string, position, step int) (string, error) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	at := strings.IndexByte(alphabet, token[position])
	if at < 0 {
		return "", errors.New("a dot is not to be flipped")
	}
	other := alphabet[(at+1+step%(len(alphabet)-1))%len(alphabet)]
	return token[:position] + string(other) + token[position+1:], nil
}
