package auth

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwa"
)

// MaxTokenBytes is the longest token that is looked at; [Verifier.Verify] turns away a longer one.
const MaxTokenBytes = 8 << 10

// token is a JWT taken apart. Nothing in it may be believed before its signature is verified.
type token struct {
	algorithm jwa.SignatureAlgorithm
	// keyID is the `kid`, empty when the header has none.
	keyID     string
	claims    claims
	signed    string
	signature []byte
}

// parseToken reads a JWT in compact form. Keys and certificates in the header (jwk, jku, x5c, x5u) are not looked at: who
// believes them lets a token vouch for itself.
func parseToken(raw string) (token, error) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return token{}, refused(ReasonMalformed)
	}
	var decoded [3][]byte
	for i, part := range parts {
		data, ok := decodePart(part)
		if !ok {
			return token{}, refused(ReasonMalformed)
		}
		decoded[i] = data
	}
	parsed := token{signed: raw[:len(raw)-len(parts[2])-1], signature: decoded[2]}
	if err := parsed.readHeader(decoded[0]); err != nil {
		return token{}, err
	}
	var err error
	parsed.claims, err = parseClaims(decoded[1])
	return parsed, err
}

// decodePart takes base64url without padding, in its one canonical form. The decoder alone would skip line breaks.
func decodePart(part string) ([]byte, bool) {
	if strings.ContainsAny(part, "\r\n") {
		return nil, false
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(part)
	return data, err == nil
}

func (t *token) readHeader(data []byte) error {
	header, ok := parseObject(data)
	if !ok {
		return refused(ReasonMalformed)
	}
	for _, extension := range []string{"crit", "b64"} {
		if _, found := header[extension]; found {
			return refused(ReasonCritical)
		}
	}
	algorithm, ok := header.text("alg")
	if !ok || !isAllowed(jwa.SignatureAlgorithm(algorithm)) {
		return refused(ReasonAlgorithm)
	}
	t.algorithm = jwa.SignatureAlgorithm(algorithm)
	if header.has("kid") {
		if t.keyID, ok = header.text("kid"); !ok || t.keyID == "" {
			return refused(ReasonMalformed)
		}
	}
	return checkType(header)
}

// checkType keeps out the other JWTs an issuer may sign with the same key, such as logout tokens.
func checkType(header object) error {
	if !header.has("typ") {
		return nil
	}
	kind, ok := header.text("typ")
	kind = strings.TrimPrefix(strings.ToLower(kind), "application/")
	if !ok || kind != "jwt" && kind != "at+jwt" {
		return refused(ReasonType)
	}
	return nil
}

// isAllowed is the allow-list of algorithms. HMAC is not on it: with it, whoever knows a public key could sign.
func isAllowed(algorithm jwa.SignatureAlgorithm) bool {
	return algorithm == jwa.RS256 || algorithm == jwa.ES256 || algorithm == jwa.EdDSA
}

// object is a JSON object by exact member names.
type object map[string]json.RawMessage

func (o object) has(name string) bool {
	_, found := o[name]
	return found
}

// text returns a member that is a string.
func (o object) text(name string) (string, bool) {
	var text *string
	if json.Unmarshal(o[name], &text) != nil || text == nil {
		return "", false
	}
	return *text, true
}
