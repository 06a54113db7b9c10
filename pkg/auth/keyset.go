package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// Limits of a key set.
const (
	maxKeySetBytes = 256 << 10
	maxKeys        = 64

	// A shorter RSA key can be factored, a longer one makes each verification expensive.
	minRSABits = 2048
	maxRSABits = 8192
)

var (
	errNoKeySet    = errors.New("not a JSON Web Key set")
	errKeySetSize  = errors.New("key set too large")
	errTooManyKeys = errors.New("key set has too many keys")
	errNoUsableKey = errors.New("key set has no usable key: expected RSA (2048 to 8192 bits), EC P-256 or Ed25519 signing keys")
)

// keySet holds the keys of one document that may verify tokens. It never changes; a new document makes a new set.
type keySet struct {
	document [sha256.Size]byte
	keys     []verificationKey
	// unusable counts the keys of the document that were left out.
	unusable int
}

type verificationKey struct {
	id        string
	algorithm jwa.SignatureAlgorithm
	public    any
	verifier  jws.Verifier
}

// find returns the key for a token. Without a key id, and with one that occurs twice, the algorithm must leave one key only: a
// token is not tried against several keys.
func (s *keySet) find(algorithm jwa.SignatureAlgorithm, keyID string) (verificationKey, error) {
	var fits []verificationKey
	for _, key := range s.keys {
		if key.algorithm == algorithm && (keyID == "" || key.id == keyID) {
			fits = append(fits, key)
		}
	}
	switch len(fits) {
	case 0:
		return verificationKey{}, refused(ReasonUnknownKey)
	case 1:
		return fits[0], nil
	default:
		return verificationKey{}, refused(ReasonAmbiguousKey)
	}
}

// parseKeySet reads a key set, as {"keys": […]} or as a bare array. Keys that may not verify are left out; a set without keys is valid and lets
// nobody in, which is how an issuer withdraws them all.
func parseKeySet(document []byte) (*keySet, error) {
	if len(document) > maxKeySetBytes {
		return nil, errKeySetSize
	}
	items, err := keyItems(document)
	if err != nil {
		return nil, err
	}
	if len(items) > maxKeys {
		return nil, errTooManyKeys
	}
	set := &keySet{document: sha256.Sum256(document)}
	for _, item := range items {
		if key, ok := parseVerificationKey(item); ok {
			set.keys = append(set.keys, key)
		} else {
			set.unusable++
		}
	}
	return set, nil
}

func keyItems(document []byte) ([]json.RawMessage, error) {
	var items []json.RawMessage
	if bytes.HasPrefix(bytes.TrimLeft(document, " \t\r\n"), []byte("[")) {
		if json.Unmarshal(document, &items) != nil {
			return nil, errNoKeySet
		}
		return items, nil
	}
	members, ok := parseObject(document)
	if !ok || json.Unmarshal(members["keys"], &items) != nil || items == nil {
		return nil, errNoKeySet
	}
	return items, nil
}

func parseVerificationKey(item []byte) (verificationKey, bool) {
	parsed, err := jwk.ParseKey(item)
	if err != nil || parsed.KeyType() == jwa.OctetSeq || !maySign(parsed) {
		return verificationKey{}, false
	}
	// A private key does not belong here, but its public half is as good as any.
	half, err := parsed.PublicKey()
	if err != nil {
		return verificationKey{}, false
	}
	var public any
	if half.Raw(&public) != nil {
		return verificationKey{}, false
	}
	algorithm, ok := algorithmFor(public)
	if named := parsed.Algorithm(); !ok || named != nil && named.String() != "" && named.String() != algorithm.String() {
		return verificationKey{}, false
	}
	verifier, err := jws.NewVerifier(algorithm)
	if err != nil {
		return verificationKey{}, false
	}
	return verificationKey{id: parsed.KeyID(), algorithm: algorithm, public: public, verifier: verifier}, true
}

func maySign(key jwk.Key) bool {
	if use := key.KeyUsage(); use != "" && use != string(jwk.ForSignature) {
		return false
	}
	operations := key.KeyOps()
	return len(operations) == 0 ||
		slices.Contains(operations, jwk.KeyOpVerify) || slices.Contains(operations, jwk.KeyOpSign)
}

// algorithmFor ties each kind of key to the one algorithm it may verify, whatever a token's header says.
func algorithmFor(public any) (jwa.SignatureAlgorithm, bool) {
	switch key := public.(type) {
	case *rsa.PublicKey:
		bits := key.N.BitLen()
		return jwa.RS256, bits >= minRSABits && bits <= maxRSABits && key.E >= 3 && key.E%2 == 1
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return "", false
		}
		// ECDH refuses a point that is not on the curve.
		_, err := key.ECDH()
		return jwa.ES256, err == nil
	case ed25519.PublicKey:
		return jwa.EdDSA, len(key) == ed25519.PublicKeySize
	default:
		return "", false
	}
}
