package auth

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestVerifyAccepts(t *testing.T) {
	signers := sharedSigners()
	ed := signers["EdDSA"]
	verifier := newTestVerifier(t, staticKeys(t, signers["RS256"], signers["ES256"], ed))
	base := Principal{Subject: "client-1", Accounts: []string{testAccount}, Scopes: []string{"read:wallets", "write:wallets"}}
	with := func(change func(*Principal)) Principal { p := base; change(&p); return p }
	at := func(d time.Duration) int64 { return testNow().Add(d).Unix() }
	for name, test := range map[string]struct {
		token string
		want  Principal
	}{
		"RS256":                {signers["RS256"].token(t, nil), base},
		"ES256":                {signers["ES256"].token(t, nil), base},
		"EdDSA":                {ed.token(t, nil), base},
		"no kid, one key fits": {ed.tokenWithHeader(t, members{"kid": nil}), base},
		"no typ":               {ed.tokenWithHeader(t, members{"typ": nil}), base},
		"access token type":    {ed.tokenWithHeader(t, members{"typ": "application/at+JWT"}), base},
		"unknown header": {
			ed.tokenWithHeader(t, members{"x-trace": []any{1, members{"a": 1, "b": []int{}}, "text"}, "cty": "x"}), base,
		},
		"keys in the header are ignored": {
			ed.tokenWithHeader(t, members{"jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/", "jwk": newEdSigner(t, "x").jwk()}), base,
		},
		"two accounts": {
			ed.token(t, members{"aud": []string{testBase + "/v1/accounts/P00000001", "elsewhere", testBase + "/v1/accounts/T00000002"}}),
			with(func(p *Principal) { p.Accounts = []string{"P00000001", "T00000002"} }),
		},
		"scopes in an array": {
			ed.token(t, members{"scope": []string{"admin:wallets", "a b"}}),
			with(func(p *Principal) { p.Scopes = []string{"admin:wallets", "a b"} }),
		},
		"no scope":             {ed.token(t, members{"scope": nil}), with(func(p *Principal) { p.Scopes = nil })},
		"longest subject":      {ed.token(t, members{"sub": strings.Repeat("å", 255)}), with(func(p *Principal) { p.Subject = strings.Repeat("å", 255) })},
		"expired in leeway":    {ed.token(t, members{"exp": at(-59 * time.Second)}), base},
		"nbf in leeway":        {ed.token(t, members{"nbf": at(time.Minute)}), base},
		"iat in leeway":        {ed.token(t, members{"iat": at(time.Minute)}), base},
		"no iat":               {ed.token(t, members{"iat": nil}), base},
		"fraction of a second": {ed.token(t, members{"exp": float64(at(-time.Minute)) + 0.5}), base}, // which is in the leeway by it
		"end of the year 9999": {ed.token(t, members{"exp": 253_402_300_799}), base},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // The second time it is remembered.
				got, err := verifier.Verify(t.Context(), test.token)
				if err != nil || !reflect.DeepEqual(got, test.want) {
					t.Fatalf("got %+v, %v\nwant %+v", got, err, test.want)
				}
			}
		})
	}
}

func TestVerifyRefuses(t *testing.T) {
	signers := sharedSigners()
	rs, es, ed := signers["RS256"], signers["ES256"], signers["EdDSA"]
	verifier := newTestVerifier(t, staticKeys(t, rs, es, ed))
	stranger := newEdSigner(t, ed.id)
	good := ed.token(t, nil)
	parts := strings.Split(good, ".")
	header, claims := encodeJSON(t, ed.header()), encodeJSON(t, goodClaims())
	hmacHeader := []byte(`{"alg":"HS256","typ":"JWT","kid":"rsa-1"}`)
	publicDER, err := x509.MarshalPKIXPublicKey(rs.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicDER})
	rawClaims := func(text string) string { return ed.sign(header, []byte(text)) }
	rawHeader := func(text string) string { return ed.sign([]byte(text), claims) }
	at := func(d time.Duration) int64 { return testNow().Add(d).Unix() }

	for name, test := range map[string]struct {
		token  string
		reason Reason
	}{
		// The signature.
		"alg none, unsigned":         {compact([]byte(`{"alg":"none"}`), claims) + ".", ReasonAlgorithm},
		"alg None, signed":           {ed.tokenWithHeader(t, members{"alg": "None"}), ReasonAlgorithm},
		"no alg":                     {ed.tokenWithHeader(t, members{"alg": nil}), ReasonAlgorithm},
		"alg is a number":            {ed.tokenWithHeader(t, members{"alg": 1}), ReasonAlgorithm},
		"alg null":                   {rawHeader(`{"alg":null}`), ReasonAlgorithm},
		"alg in lower case":          {ed.tokenWithHeader(t, members{"alg": "eddsa"}), ReasonAlgorithm},
		"HMAC with the public PEM":   {signHMAC(hmacHeader, claims, publicPEM), ReasonAlgorithm},
		"HMAC with the public DER":   {signHMAC(hmacHeader, claims, publicDER), ReasonAlgorithm},
		"HMAC with the key set":      {signHMAC(hmacHeader, claims, jwks(t, rs)), ReasonAlgorithm},
		"PS256":                      {rs.tokenWithHeader(t, members{"alg": "PS256"}), ReasonAlgorithm},
		"RS512":                      {rs.tokenWithHeader(t, members{"alg": "RS512"}), ReasonAlgorithm},
		"signature taken off":        {parts[0] + "." + parts[1] + ".", ReasonWrongSignature},
		"no signature part":          {parts[0] + "." + parts[1], ReasonMalformed},
		"signature of other claims":  {compact(header, encodeJSON(t, goodClaims().with(members{"sub": "root"}))) + "." + parts[2], ReasonWrongSignature},
		"signature of other header":  {compact(encodeJSON(t, ed.header().with(members{"typ": nil})), claims) + "." + parts[2], ReasonWrongSignature},
		"signed by a stranger":       {stranger.token(t, nil), ReasonWrongSignature},
		"stranger brings his key":    {stranger.tokenWithHeader(t, members{"jwk": stranger.jwk()}), ReasonWrongSignature},
		"ES256 with an RSA key's id": {es.tokenWithHeader(t, members{"kid": rs.id}), ReasonUnknownKey},
		"RS256 said, EdDSA meant":    {ed.tokenWithHeader(t, members{"alg": "RS256"}), ReasonUnknownKey},
		"ES256 signature in DER":     {derSigned(t, es), ReasonWrongSignature},
		"ES256 signature of zeros":   {compact(encodeJSON(t, es.header()), claims) + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)), ReasonWrongSignature},

		// The key id.
		"unknown kid":            {ed.tokenWithHeader(t, members{"kid": "ed-2"}), ReasonUnknownKey},
		"kid in other case":      {ed.tokenWithHeader(t, members{"kid": "ED-1"}), ReasonUnknownKey},
		"kid with a space":       {ed.tokenWithHeader(t, members{"kid": "ed-1 "}), ReasonUnknownKey},
		"kid is a path":          {ed.tokenWithHeader(t, members{"kid": "../../../dev/null"}), ReasonUnknownKey},
		"kid is a query":         {ed.tokenWithHeader(t, members{"kid": "' OR 1=1 --"}), ReasonUnknownKey},
		"kid is an address":      {stranger.tokenWithHeader(t, members{"kid": "http://127.0.0.1:1/"}), ReasonUnknownKey},
		"kid empty":              {ed.tokenWithHeader(t, members{"kid": ""}), ReasonMalformed},
		"kid is a number":        {ed.tokenWithHeader(t, members{"kid": 1}), ReasonMalformed},
		"kid null":               {rawHeader(`{"alg":"EdDSA","kid":null}`), ReasonMalformed},
		"jku of a stranger":      {stranger.tokenWithHeader(t, members{"kid": "x", "jku": "http://127.0.0.1:1/"}), ReasonUnknownKey},
		"x5u of a stranger":      {stranger.tokenWithHeader(t, members{"x5u": "http://127.0.0.1:1/"}), ReasonWrongSignature},
		"stranger without a kid": {stranger.tokenWithHeader(t, members{"kid": nil}), ReasonWrongSignature},
		"crit":                   {ed.tokenWithHeader(t, members{"crit": []string{"exp"}}), ReasonCritical},
		"crit empty":             {ed.tokenWithHeader(t, members{"crit": []string{}}), ReasonCritical},
		"crit null":              {rawHeader(`{"alg":"EdDSA","crit":null}`), ReasonCritical},
		"b64 false":              {ed.tokenWithHeader(t, members{"b64": false}), ReasonCritical},
		"other type":             {ed.tokenWithHeader(t, members{"typ": "logout+jwt"}), ReasonType},
		"type is a number":       {ed.tokenWithHeader(t, members{"typ": 1}), ReasonType},

		// The form.
		"empty":                    {"", ReasonMalformed},
		"two dots":                 {"..", ReasonMalformed},
		"garbage":                  {"garbage", ReasonMalformed},
		"garbage in three parts":   {"gar.ba.ge", ReasonMalformed},
		"four parts":               {good + ".", ReasonMalformed},
		"five parts, encrypted":    {good + "..", ReasonMalformed},
		"padded":                   {parts[0] + "==." + parts[1] + "." + parts[2], ReasonMalformed},
		"line break inside":        {good[:10] + "\n" + good[10:], ReasonMalformed},
		"carriage return inside":   {good[:10] + "\r" + good[10:], ReasonMalformed},
		"space inside":             {good[:10] + " " + good[10:], ReasonMalformed},
		"space around":             {" " + good, ReasonMalformed},
		"signature not canonical":  {looseLastBits(good), ReasonMalformed},
		"standard alphabet":        {parts[0] + "." + parts[1] + ".+/" + parts[2][2:], ReasonMalformed},
		"header is an array":       {rawHeader(`[]`), ReasonMalformed},
		"header is null":           {rawHeader(`null`), ReasonMalformed},
		"header and more":          {rawHeader(string(header) + `{}`), ReasonMalformed},
		"header twice alg":         {rawHeader(`{"alg":"EdDSA","kid":"ed-1","alg":"EdDSA"}`), ReasonMalformed},
		"header alg, then escaped": {rawHeader(`{"alg":"none","kid":"ed-1","\u0061lg":"EdDSA"}`), ReasonMalformed},
		"header twice inside":      {rawHeader(`{"alg":"EdDSA","kid":"ed-1","x":[{"a":1,"b":{},"a":2}]}`), ReasonMalformed},
		"header ALG":               {rawHeader(`{"ALG":"EdDSA","kid":"ed-1"}`), ReasonAlgorithm},
		"claims an array":          {rawClaims(`[]`), ReasonMalformed},
		"claims null":              {rawClaims(`null`), ReasonMalformed},
		"claims a string":          {rawClaims(`"sub"`), ReasonMalformed},
		"claims empty":             {rawClaims(``), ReasonMalformed},
		"claims not UTF-8":         {rawClaims("{\"sub\":\"\xff\"}"), ReasonMalformed},
		"claims cut off":           {rawClaims(string(claims[:len(claims)-1])), ReasonMalformed},
		"claims and more":          {rawClaims(string(claims) + ` 1`), ReasonMalformed},
		"sub twice":                {rawClaims(`{"sub":"root",` + string(claims[1:])), ReasonMalformed},
		"sub twice, escaped":       {rawClaims(`{"s\u0075b":"root",` + string(claims[1:])), ReasonMalformed},
		"twice inside a claim":     {rawClaims(`{"x":{"y":[{"z":1,"z":1}]},` + string(claims[1:])), ReasonMalformed},
		"deeply nested":            {rawClaims(`{"x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`), ReasonTooLong},
		"huge":                     {ed.token(t, members{"pad": strings.Repeat("x", MaxTokenBytes)}), ReasonTooLong},
		"longest garbage":          {strings.Repeat("a", 8192), ReasonMalformed},
		"one byte longer":          {strings.Repeat("a", 8193), ReasonTooLong},
		"huge garbage":             {strings.Repeat("a.", 1<<20), ReasonTooLong},

		// The claims.
		"no iss":                  {ed.token(t, members{"iss": nil}), ReasonIssuer},
		"iss of others":           {ed.token(t, members{"iss": "https://evil.example"}), ReasonIssuer},
		"iss with a slash":        {ed.token(t, members{"iss": testIssuer + "/"}), ReasonIssuer},
		"iss an array":            {ed.token(t, members{"iss": []string{testIssuer}}), ReasonIssuer},
		"ISS":                     {ed.token(t, members{"iss": nil, "ISS": testIssuer}), ReasonIssuer},
		"no sub":                  {ed.token(t, members{"sub": nil}), ReasonSubject},
		"sub empty":               {ed.token(t, members{"sub": ""}), ReasonSubject},
		"sub a number":            {ed.token(t, members{"sub": 7}), ReasonSubject},
		"sub null":                {rawClaims(`{"iss":"https://issuer.example","sub":null}`), ReasonSubject},
		"sub with a NUL":          {ed.token(t, members{"sub": "a\x00b"}), ReasonSubject},
		"sub with a newline":      {ed.token(t, members{"sub": "a\nb"}), ReasonSubject},
		"sub with a C1 control":   {ed.token(t, members{"sub": "a\u0085b"}), ReasonSubject},
		"sub with half a pair":    {rawClaims(strings.Replace(string(claims), `"client-1"`, `"a\ud800"`, 1)), ReasonSubject},
		"sub too long":            {ed.token(t, members{"sub": strings.Repeat("å", 256)}), ReasonSubject},
		"no aud":                  {ed.token(t, members{"aud": nil}), ReasonAudience},
		"aud null":                {rawClaims(strings.Replace(string(claims), `"`+testBase+"/v1/accounts/"+testAccount+`"`, `null`, 1)), ReasonAudience},
		"aud empty":               {ed.token(t, members{"aud": []string{}}), ReasonAudience},
		"aud with a number":       {ed.token(t, members{"aud": []any{testBase + "/v1/accounts/T12345678", 1}}), ReasonAudience},
		"aud with null":           {ed.token(t, members{"aud": []any{testBase + "/v1/accounts/T12345678", nil}}), ReasonAudience},
		"aud of another server":   {ed.token(t, members{"aud": "https://other.example/v1/accounts/T12345678"}), ReasonAudience},
		"aud, base as a prefix":   {ed.token(t, members{"aud": testBase + ".evil.example/v1/accounts/T12345678"}), ReasonAudience},
		"aud without account":     {ed.token(t, members{"aud": testBase}), ReasonAudience},
		"aud with short account":  {ed.token(t, members{"aud": testBase + "/v1/accounts/T1234567"}), ReasonAudience},
		"aud with long account":   {ed.token(t, members{"aud": testBase + "/v1/accounts/T123456789"}), ReasonAudience},
		"aud with other letter":   {ed.token(t, members{"aud": testBase + "/v1/accounts/X12345678"}), ReasonAudience},
		"aud with two letters":    {ed.token(t, members{"aud": testBase + "/v1/accounts/TT1234567"}), ReasonAudience},
		"aud with other digits":   {ed.token(t, members{"aud": testBase + "/v1/accounts/T1234567٣"}), ReasonAudience},
		"aud with more path":      {ed.token(t, members{"aud": testBase + "/v1/accounts/T12345678/wallets"}), ReasonAudience},
		"aud with a slash":        {ed.token(t, members{"aud": testBase + "/v1/accounts/T12345678/"}), ReasonAudience},
		"aud in other case":       {ed.token(t, members{"aud": strings.ToUpper(testBase) + "/v1/accounts/T12345678"}), ReasonAudience},
		"scope a number":          {ed.token(t, members{"scope": 1}), ReasonClaim},
		"scope an object":         {ed.token(t, members{"scope": members{"admin:wallets": true}}), ReasonClaim},
		"scope with a number":     {ed.token(t, members{"scope": []any{"read:wallets", 1}}), ReasonClaim},
		"scope null":              {rawClaims(`{"scope":null,` + string(encodeJSON(t, goodClaims().with(members{"scope": nil})))[1:]), ReasonClaim},
		"no exp":                  {ed.token(t, members{"exp": nil}), ReasonClaim},
		"exp a string":            {ed.token(t, members{"exp": "4102444800"}), ReasonClaim},
		"exp negative":            {ed.token(t, members{"exp": -1}), ReasonClaim},
		"exp in the year 10000":   {ed.token(t, members{"exp": 253_402_300_800}), ReasonClaim},
		"exp beyond all years":    {ed.token(t, members{"exp": 1e300}), ReasonClaim},
		"exp no float":            {rawClaims(strings.Replace(string(claims), `"exp":`, `"exp":1e999,"x":`, 1)), ReasonClaim},
		"nbf a string":            {ed.token(t, members{"nbf": "0"}), ReasonClaim},
		"iat a boolean":           {ed.token(t, members{"iat": true}), ReasonClaim},
		"expired":                 {ed.token(t, members{"exp": at(-time.Minute)}), ReasonExpired},
		"expired long ago":        {ed.token(t, members{"exp": 0}), ReasonExpired},
		"not valid yet":           {ed.token(t, members{"nbf": at(61 * time.Second)}), ReasonNotYetValid},
		"issued in the future":    {ed.token(t, members{"iat": at(61 * time.Second)}), ReasonIssuedInFuture},
		"signed with P-384":       {newECSigner(t, es.id, elliptic.P384()).token(t, nil), ReasonWrongSignature},
		"expired, by a stranger":  {stranger.token(t, members{"exp": 0}), ReasonExpired},
		"kid injected, two verbs": {ed.tokenWithHeader(t, members{"kid": "%s%n"}), ReasonUnknownKey},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // A refusal must not be remembered as anything else.
				principal, err := verifier.Verify(t.Context(), test.token)
				requireRefusal(t, err, test.reason)
				if !reflect.DeepEqual(principal, Principal{}) {
					t.Errorf("principal %+v beside the refusal", principal)
				}
			}
		})
	}
}

func requireRefusal(t *testing.T, err error, reason Reason) {
	t.Helper()
	var refusal *TokenError
	if !errors.As(err, &refusal) || refusal.Reason != reason {
		t.Fatalf("got %v, want reason %s", err, reason)
	}
	if !errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrUnavailable) {
		t.Errorf("%v is not simply unauthorized", err)
	}
	if want := "token refused: " + string(reason); err.Error() != want {
		t.Errorf("text %q, want %q", err.Error(), want)
	}
}

// derSigned is an ES256 token signed the way TLS does it, not the way JOSE does.
func derSigned(t *testing.T, s signer) string {
	t.Helper()
	input := compact(encodeJSON(t, s.header()), encodeJSON(t, goodClaims()))
	digest := sha256.Sum256([]byte(input))
	signature, err := s.private.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// looseLastBits changes the bits of the last character that no byte uses: 64 bytes leave four of them.
func looseLastBits(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[last|1])
}

func TestAmbiguousKeys(t *testing.T) {
	first, second := newEdSigner(t, "same"), newEdSigner(t, "same")
	third := newEdSigner(t, "other")
	verifier := newTestVerifier(t, staticKeys(t, first, second, third))
	for name, token := range map[string]string{
		"kid twice in the set":   first.token(t, nil),
		"no kid, three keys fit": third.tokenWithHeader(t, members{"kid": nil}),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := verifier.Verify(t.Context(), token)
			requireRefusal(t, err, ReasonAmbiguousKey)
		})
	}
	if _, err := verifier.Verify(t.Context(), third.token(t, nil)); err != nil {
		t.Errorf("the key with a name of its own: %v", err)
	}
}

func TestKeyWithoutID(t *testing.T) {
	nameless := newEdSigner(t, "")
	keys := encodeJSON(t, []any{members(nameless.jwk()).with(members{"kid": nil})})
	source, err := StaticKeys(keys)
	if err != nil {
		t.Fatal(err)
	}
	verifier := newTestVerifier(t, source)
	if _, err := verifier.Verify(t.Context(), nameless.tokenWithHeader(t, members{"kid": nil})); err != nil {
		t.Errorf("neither token nor key has a name: %v", err)
	}
	_, err = verifier.Verify(t.Context(), nameless.tokenWithHeader(t, members{"kid": "a"}))
	requireRefusal(t, err, ReasonUnknownKey)
}

func TestAudienceBases(t *testing.T) {
	ed := sharedSigners()["EdDSA"]
	verifier, err := NewVerifier(VerifierConfig{
		Issuers: []Issuer{{testIssuer, staticKeys(t, ed)}}, Audiences: audiences(t, "https://a.example/", "http://localhost:8080"), Now: testNow,
	})
	if err != nil {
		t.Fatal(err)
	}
	for audience, opens := range map[string]bool{
		"https://a.example/v1/accounts/T12345678":     true,
		"http://localhost:8080/v1/accounts/T12345678": true,
		"https://a.example//v1/accounts/T12345678":    false,
		"https://b.example/v1/accounts/T12345678":     false,
	} {
		principal, err := verifier.Verify(t.Context(), ed.token(t, members{"aud": audience}))
		if got := err == nil && principal.OpensAccount("T12345678"); got != opens {
			t.Errorf("%s opens: %v (%v)", audience, got, err)
		}
		if principal.OpensAccount("P12345678") {
			t.Errorf("%s opens the live account too", audience)
		}
	}
}

func TestNewVerifierNeedsEverything(t *testing.T) {
	keys := staticKeys(t, sharedSigners()["EdDSA"])
	full := VerifierConfig{Issuers: []Issuer{{testIssuer, keys}}, Audiences: audiences(t, testBase), Now: testNow}
	for says, change := range map[string]func(*VerifierConfig){
		"no issuer":        func(c *VerifierConfig) { c.Issuers = nil },
		"no name":          func(c *VerifierConfig) { c.Issuers = []Issuer{{"", keys}} },
		"no keys":          func(c *VerifierConfig) { c.Issuers = []Issuer{{testIssuer, nil}} },
		"configured twice": func(c *VerifierConfig) { c.Issuers = []Issuer{{testIssuer, keys}, {testIssuer, keys}} },
		"no audience":      func(c *VerifierConfig) { c.Audiences = Audiences{} },
		"no clock":         func(c *VerifierConfig) { c.Now = nil },
	} {
		config := full
		change(&config)
		if _, err := NewVerifier(config); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	for _, bases := range [][]string{nil, {""}, {testBase, "/"}} {
		if _, err := NewAudiences(bases...); err == nil || !strings.Contains(err.Error(), "audience base") {
			t.Errorf("bases %q: %v", bases, err)
		}
	}
}

func audiences(t testing.TB, bases ...string) Audiences {
	t.Helper()
	a, err := NewAudiences(bases...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestRememberedTokenStillExpires(t *testing.T) {
	ed := sharedSigners()["EdDSA"]
	now := testNow()
	verifier, err := NewVerifier(VerifierConfig{
		Issuers: []Issuer{{testIssuer, staticKeys(t, ed)}}, Audiences: audiences(t, testBase), Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	token := ed.token(t, members{"nbf": testNow().Unix(), "exp": testNow().Add(time.Minute).Unix()})
	for _, step := range []struct {
		after  time.Duration
		reason Reason
	}{
		{0, ""}, {119 * time.Second, ""}, {120 * time.Second, ReasonExpired}, {-60 * time.Second, ""}, {-61 * time.Second, ReasonNotYetValid}, {0, ""},
	} {
		now = testNow().Add(step.after)
		_, err := verifier.Verify(t.Context(), token)
		if step.reason != "" {
			requireRefusal(t, err, step.reason)
		} else if err != nil {
			t.Errorf("after %v: %v", step.after, err)
		}
	}
}

func TestMemory(t *testing.T) {
	set, other := &keySet{}, &keySet{}
	digest := func(i int) tokenDigest { return tokenDigest{byte(i), byte(i >> 8), byte(i >> 16)} }
	m := newMemory()
	for i := range 5 * maxRemembered {
		m.remember(digest(i), verdict{principal: Principal{Subject: fmt.Sprint(i)}, keys: set})
		if _, ok := m.recall(digest(0), set); !ok {
			t.Fatalf("a token in use is forgotten after %d others", i)
		}
		if m.verdicts.Len() > 2*maxRemembered {
			t.Fatalf("%d tokens remembered", m.verdicts.Len())
		}
	}
	for i := 5*maxRemembered - 4096; i < 5*maxRemembered; i++ {
		if _, ok := m.recall(digest(i), set); !ok {
			t.Fatalf("token %d of the last 4096 is forgotten", i)
		}
	}
	if _, ok := m.recall(digest(1), set); ok {
		t.Error("a token long out of use is still remembered")
	}
	last := 5*maxRemembered - 1
	if known, ok := m.recall(digest(last), set); !ok || known.principal.Subject != fmt.Sprint(last) {
		t.Error("the newest token is not remembered as what it is")
	}
	if _, ok := m.recall(digest(last), other); ok {
		t.Error("a verdict outlives its key set")
	}
}

func TestOnlyGoodTokensAreRemembered(t *testing.T) {
	ed := newEdSigner(t, "ed-1")
	verifier := newTestVerifier(t, staticKeys(t, ed))
	for _, token := range []string{ed.token(t, nil), ed.token(t, nil), newEdSigner(t, "ed-1").token(t, nil), ed.token(t, members{"exp": 0})} {
		_, _ = verifier.Verify(t.Context(), token)
	}
	if n := verifier.issuers[0].verified.verdicts.Len(); n != 1 {
		t.Errorf("%d tokens remembered, want 1", n)
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		s := sharedSigners()[alg]
		verifier, token := newTestVerifier(b, staticKeys(b, s)), s.token(b, nil)
		b.Run(alg, func(b *testing.B) {
			for b.Loop() {
				verifier.issuers[0].verified = newMemory()
				if _, err := verifier.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(alg+" remembered", func(b *testing.B) {
			for b.Loop() {
				if _, err := verifier.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
