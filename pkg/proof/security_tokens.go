package proof

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// algorithms: the signature is none, or made with what everybody knows.
func (f *forger) algorithms() {
	claims := []byte(f.open(goodClaims(time.Now())) + "}")
	for _, spelling := range []string{"none", "None", "NONE", "nOnE", "", " none", "none\u0000", "nоne"} { // the last with a Cyrillic o
		header := f.open(members{"alg": spelling, "typ": "JWT"}) + "}"
		for _, signature := range []string{"", "AAAA"} {
			f.add("alg "+spelling+", signed with "+signature)(unsigned([]byte(header), claims)+"."+signature, nil)
		}
		f.add("alg "+spelling+", two parts")(unsigned([]byte(header), claims), nil)
	}
	for _, s := range f.signers.all() {
		der, err := x509.MarshalPKIXPublicKey(s.private.Public())
		f.err = errors.Join(f.err, err)
		key, err := s.jwk()
		f.err = errors.Join(f.err, err)
		text := f.open(key) + "}"
		for name, secret := range map[string][]byte{
			"PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "DER": der, "JWK": []byte(text),
			"key set": []byte(`{"keys":[` + text + `]}`), "bytes": f.bytesOf(key), "nothing": {}, "zeros": make([]byte, 32),
		} {
			for _, alg := range []string{"HS256", "hs256"} {
				header := f.open(members{"alg": alg, "kid": s.id, "typ": "JWT"}) + "}"
				f.add(alg+" with the "+name+" of "+s.id)(signHMAC([]byte(header), claims, secret), nil)
			}
		}
		for _, alg := range []string{"RS256", "ES256", "EdDSA", "PS256", "RS384", "RS512", "ES384", "ES512", "ES256K", "HS256", "eddsa", "dir", "RSA1_5"} {
			if alg == s.alg {
				continue
			}
			f.add(s.alg + " said to be " + alg)(s.token(members{"alg": alg}, nil))
		}
		f.add(s.alg + " without alg")(s.token(members{"alg": nil}, nil))
		f.add(s.alg + " in a list")(s.token(members{"alg": []string{s.alg}}, nil))
	}
}

// bytesOf is a public key without any wrapping: the modulus, or a point's coordinate.
func (f *forger) bytesOf(key members) []byte {
	text, ok := key["x"].(string)
	if !ok {
		text, _ = key["n"].(string)
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	f.err = errors.Join(f.err, err)
	return raw
}

// keyIDs: the key is somebody else's, or somewhere else.
func (f *forger) keyIDs() {
	stranger, err := newEd("stranger")
	f.err = errors.Join(f.err, err)
	for _, id := range []string{
		"stranger", "../../../../dev/null", "/dev/null", "/proc/self/environ", `..\..\nul`, "' OR 1=1 --", "1; DROP TABLE cards",
		"x' UNION SELECT 'key", "", " ", "*", "%", "null", "0", "ed-1 ", "ED-1", "ed-1\x00", "ed-1\n", "file:///dev/null", f.lure,
		"|/usr/bin/id", "$(id)", "{{7*7}}", strings.Repeat("k", 4000), "rsa-1", "ec-1", "ed-1",
	} {
		f.add("the key of a stranger, called " + shorten(id))(stranger.token(members{"kid": id}, nil))
	}
	for _, id := range []any{nil, 0, true, []string{"ed-1"}, members{"kid": "ed-1"}} {
		f.add(fmt.Sprintf("the key of a stranger, kid %v", id))(stranger.token(members{"kid": id}, nil))
	}
	ed := f.signers.ed
	for _, id := range []string{"ed-2", "ed-1 ", "Ed-1", "ed-1\x00", "rsa-1", "ec-1"} {
		f.add("a good key under the id " + id)(ed.token(members{"kid": id}, nil))
	}
}

// headers: the token brings a key along, or says that it is to be read differently.
func (f *forger) headers() {
	stranger, err := newEd("stranger")
	f.err = errors.Join(f.err, err)
	key, err := stranger.jwk()
	f.err = errors.Join(f.err, err)
	for _, id := range []string{"stranger", "ed-1", "unknown"} {
		for name, value := range map[string]any{
			"jku": f.lure, "x5u": f.lure, "jwk": key, "x5c": []string{"MIIB"}, "x5t": "AAAA", "url": f.lure,
		} {
			f.add(name + " of a stranger, kid " + id)(stranger.token(members{"kid": id, name: value}, nil))
		}
		f.add("all of them, kid " + id)(stranger.token(members{"kid": id, "jku": f.lure, "x5u": f.lure, "jwk": key}, nil))
	}
	f.add("iss is the address of keys")(stranger.token(nil, members{"iss": f.lure}))
	ed := f.signers.ed
	for name, value := range map[string]any{
		"crit": []string{"exp"}, "b64": false, "typ": "logout+jwt", "zip": "DEF", "enc": "A256GCM",
	} {
		if name == "zip" || name == "enc" { // means nothing in a signed token, so a stranger's it is
			f.add(name)(stranger.token(members{"kid": "ed-1", name: value}, nil))
			continue
		}
		f.add(name)(ed.token(members{name: value}, nil))
	}
	f.add("crit, empty")(ed.token(members{"crit": []string{}}, nil))
	claims := f.open(goodClaims(time.Now())) + "}"
	header := f.open(ed.header())
	f.raw("alg twice", header+`,"alg":"none"}`, claims)
	f.raw("alg twice, the same", header+`,"alg":"EdDSA"}`, claims)
	f.raw("kid twice", header+`,"kid":"ed-1"}`, claims)
	f.raw("alg twice, in two ways to write it", header+`,"\u0061lg":"none"}`, claims)
	f.raw("a header and more", header+`}{}`, claims)
	f.raw("a header in an array", "["+header+"}]", claims)
	f.raw("no header", "", claims)
	f.raw("null for a header", "null", claims)
}

// claims: well signed, and missing or twisted in what it says.
func (f *forger) claims() {
	for _, name := range []string{"iss", "sub", "aud", "exp"} {
		f.add("no " + name)(f.signers.ed.token(nil, members{name: nil}))
		for _, value := range []any{"", 7, true, []any{}, []any{nil}, []any{7}, members{}, [][]string{{"x"}}} {
			f.add(fmt.Sprintf("%s is %v", name, value))(f.signers.ed.token(nil, members{name: value}))
		}
	}
	for _, other := range []string{issuer + "/", strings.ToUpper(issuer), issuer + ".evil.example", " " + issuer, "https://evil.example", issuer + "\x00", audience} { // the last is the server's own name, for other keys
		f.add("iss " + other)(f.signers.rsa.token(nil, members{"iss": other}))
	}
	f.add("several issuers")(f.signers.rsa.token(nil, members{"iss": []string{issuer}}))
	for _, subject := range []string{"a\nb", "\x00", "\u0085", strings.Repeat("s", 256)} {
		f.add("sub " + shorten(subject))(f.signers.ec.token(nil, members{"sub": subject}))
	}
	header, claims := f.open(f.signers.ed.header())+"}", f.open(goodClaims(time.Now()))
	for name, more := range map[string]string{
		"aud twice": `"aud":"` + audienceOf(victim) + `"`, "sub twice": `"sub":"x"`, "exp twice": `"exp":9999999999`,
		"iss twice": `"iss":"` + issuer + `"`, "sub twice, in two ways to write it": `"\u0073ub":"x"`, "scope twice": `"scope":"x"`,
	} {
		f.raw(name, header, claims+","+more+"}")
	}
	f.raw("claims and more", header, claims+"} x")
	f.raw("claims that end early", header, claims)
	f.raw("no claims", header, "")
	f.raw("an array of claims", header, "["+claims+"}]")
	f.raw("claims that are no UTF-8", header, claims+",\"x\":\"\xff\"}")
	f.raw("a lone surrogate in sub", header, strings.Replace(claims, `"forger"`, `"\ud800"`, 1)+"}")
}

// times: too late, too early, or no time at all.
func (f *forger) times() {
	now := time.Now()
	for name, changes := range map[string]members{
		"expired": {"exp": now.Add(-2 * time.Minute).Unix()}, "expired long ago": {"exp": 1},
		"not yet valid": {"nbf": now.Add(10 * time.Minute).Unix()}, "issued in the future": {"iat": now.Add(10 * time.Minute).Unix()},
		"exp in milliseconds": {"exp": now.Add(time.Hour).UnixMilli()}, "nbf as a text": {"nbf": "0"}, "iat as a text": {"iat": "0"},
	} {
		f.add(name)(f.signers.ed.token(nil, changes))
	}
	header := f.open(f.signers.ed.header()) + "}"
	claims := f.open(goodClaims(now).with(members{"exp": nil}))
	for _, exp := range []string{
		`"9999999999"`, `null`, `true`, `[9999999999]`, `{"$gt":0}`, `-1`, `0`, `-0`, `1e400`, `1e30`, `NaN`, `Infinity`, `0x7fffffff`,
		`9223372036854775807`, `9223372036854775808`, `18446744073709551616`, `1` + strings.Repeat("0", 500), `253402300800`, `"never"`, ``,
	} {
		f.raw("exp "+shorten(exp), header, claims+`,"exp":`+exp+"}")
	}
}

// audiences: for somebody else, in words that look alike.
func (f *forger) audiences() {
	good := audienceOf(victim)
	for _, other := range []string{
		audience, audience + "/", audience + "/v1/accounts/", audience + "/v1/accounts", good + "/", good + "0", good[:len(good)-1],
		good + "\x00", good + " ", " " + good, good + "?x", good + "#x", good + "/../" + thief, audience + "//v1/accounts/" + victim,
		audience + "/v1/accounts/../accounts/" + victim, audience + "/v1/accounts/%5412345678", strings.ToUpper(good), strings.ToLower(good),
		"http" + strings.TrimPrefix(good, "https"), "https://cards.example.com.evil.example/v1/accounts/" + victim,
		"https://evil.example/" + good, victim, "*", audience + "/v1/accounts/*", audience + "/v1/accounts/T" + "1234567８", good + "," + good,
	} {
		f.add("aud " + other)(f.signers.ed.token(nil, members{"aud": other}))
		f.add("aud in a list, " + other)(f.signers.ed.token(nil, members{"aud": []string{other, "elsewhere"}}))
	}
	f.add("aud in a list in a list")(f.signers.ed.token(nil, members{"aud": [][]string{{good}}}))
	f.add("aud in an object")(f.signers.ed.token(nil, members{"aud": members{"0": good}}))
	f.add("aud and null")(f.signers.ed.token(nil, members{"aud": []any{good, nil}}))
	f.add("aud and a number")(f.signers.ed.token(nil, members{"aud": []any{good, 1}}))
}

// forms: cut, glued, and written differently.
func (f *forger) forms() {
	for _, s := range f.signers.all() {
		good, err := s.token(nil, nil)
		f.err = errors.Join(f.err, err)
		parts := strings.Split(good, ".")
		signature, err := base64.RawURLEncoding.DecodeString(parts[2])
		f.err = errors.Join(f.err, err)
		begin := parts[0] + "." + parts[1] + "."
		encode := base64.RawURLEncoding.EncodeToString
		for name, token := range map[string]string{
			"no signature": begin, "two parts": strings.TrimSuffix(begin, "."), "one part": parts[0], "four parts": good + ".",
			"five parts": good + "..", "half a signature": begin + encode(signature[:len(signature)/2]),
			"a byte less": begin + encode(signature[:len(signature)-1]), "a byte more": begin + encode(append(signature, 0)),
			"a signature of zeros": begin + encode(make([]byte, len(signature))), "padding": good + "=", "padding in front": "=" + good,
			"no claims": parts[0] + ".." + parts[2], "twice": good + good, "claims twice": parts[0] + "." + parts[1] + parts[1] + "." + parts[2],
			"another order": parts[1] + "." + parts[0] + "." + parts[2], "quotes": `"` + good + `"`, "a comma": good + "," + good,
			"non-ASCII": good + "é", "a percent": strings.Replace(good, ".", "%2E", 1), "a slash": begin + "/" + parts[2][1:] + "+",
			"another's signature": f.graft(s, begin),
		} {
			f.add(s.alg+", "+name)(token, nil)
		}
	}
	for _, text := range []string{"x", ".", "..", "...", "null", "undefined", "e30.e30.", "e30.e30.e30", "é.é.é", "%00", "\\0"} {
		f.lines("garbage "+text, "Authorization: Bearer "+text)
	}
	f.list = append(f.list, forgery{name: "NUL", lines: []string{"Authorization: Bearer a\x00.b.c"}, wild: true})
}

// graft puts the good signature of other claims on a token.
func (f *forger) graft(s signer, begin string) string {
	other, err := s.token(nil, members{"aud": audienceOf(thief)})
	f.err = errors.Join(f.err, err)
	return begin + other[strings.LastIndex(other, ".")+1:]
}

// schemes: a good token in the wrong place.
func (f *forger) schemes() {
	good, err := f.signers.ed.token(nil, nil)
	f.err = errors.Join(f.err, err)
	f.secrets.keep("an access token", good)
	f.lines("two headers", "Authorization: Bearer "+good, "Authorization: Bearer "+good)
	f.lines("two headers, one of them bad", "Authorization: Bearer x", "Authorization: Bearer "+good)
	f.lines("two headers, one of them empty", "Authorization:", "Authorization: Bearer "+good)
	for _, value := range []string{
		good, "Bearer", "Bearer ", "Bearer" + good, "Bearer\t" + good, "Bearer: " + good, "Bearer=" + good, "Bearer token=" + good,
		"Basic " + base64.StdEncoding.EncodeToString([]byte("Bearer:"+good)), "Basic " + good, "JWT " + good, "Token " + good,
		"DPoP " + good, "Bearer Bearer " + good, "Bearer x " + good, "Bearer " + good + " x", "Negotiate, Bearer " + good, "Bеarer " + good,
	} {
		f.lines("Authorization "+shorten(value), "Authorization: "+value)
	}
	for _, name := range []string{"X-Authorization", "Proxy-Authorization", "Authorisation", "X-Forwarded-Authorization", "Cookie"} {
		f.lines(name, name+": Bearer "+good)
	}
	f.lines("a principal in a header", "X-Subject: admin", "X-Forwarded-User: admin", "X-Account: "+victim, "X-Original-URL: /healthz")
}

// sizes: up to and beyond what a header may have.
func (f *forger) sizes() {
	for _, size := range []int{9 << 10, 16 << 10, 30 << 10, 40 << 10, 200 << 10, 2 << 20} {
		token, err := f.signers.ed.token(nil, members{"padding": strings.Repeat("p", size*3/4)})
		f.err = errors.Join(f.err, err)
		f.list = append(f.list, forgery{
			name: fmt.Sprintf("a good token of %d KiB", size>>10), lines: []string{"Authorization: Bearer " + token}, wild: size > 30<<10,
		})
	}
	deep, err := f.signers.ed.sign([]byte(f.open(f.signers.ed.header())+"}"), []byte(strings.Repeat("[", 5000)))
	f.add("claims 5000 levels deep")(deep, err)
	f.list = append(f.list, forgery{name: "10000 headers", lines: strings.Split(strings.Repeat("X-A: b\n", 10_000)+"X-A: b", "\n"), wild: true})
	var many []string
	for n := range 300 {
		many = append(many, fmt.Sprintf("account-%d", n))
	}
	text, err := json.Marshal(many)
	f.err = errors.Join(f.err, err)
	f.raw("300 audiences", f.open(f.signers.ed.header())+"}", f.open(goodClaims(time.Now()).with(members{"aud": nil}))+`,"aud":`+string(text)+"}")
}
