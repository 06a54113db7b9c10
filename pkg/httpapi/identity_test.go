package httpapi_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/httpapi"
	"github.com/kortwallet/kort/pkg/identity"
)

const (
	ownIssuer = "https://kort.test/own"
	tokenTTL  = 4 * time.Hour
)

// issuing is a server that gives out tokens, and accepts those of an issuer as well.
type issuing struct {
	*server
	ring     string // file of the signing keys
	provider *identity.Provider
	now      *atomic.Int64 // the time of the tokens, in seconds
}

func eachIssuing(t *testing.T, test func(t *testing.T, s *issuing)) {
	t.Helper()
	each(t, func(t *testing.T, s *server) {
		t.Helper()
		test(t, newIssuing(t, s))
	})
}

func newIssuing(t testing.TB, s *server) *issuing {
	t.Helper()
	i := &issuing{ring: filepath.Join(t.TempDir(), "ring.json"), now: &atomic.Int64{}}
	i.now.Store(time.Now().Unix())
	if _, err := auth.OpenRing(i.ring); err != nil {
		t.Fatal(err)
	}
	keys, err := auth.FollowRing(i.ring, i.clock, auth.SourceOptions{Interval: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(keys.Close)
	i.provider = identity.New(identity.Config{
		Store: s.database.Store, DataKeys: s.config.DataKeys, Keys: keys, Issuer: ownIssuer, Audiences: audiences(t), TTL: tokenTTL, Now: i.clock,
	})
	i.server = s.variant(t, func(c *httpapi.Config) {
		c.Identity = i.provider
		c.Verifier = verifierOf(t, i.clock, auth.Issuer{Name: issuer, Keys: s.keys}, auth.Issuer{Name: ownIssuer, Keys: keys.Source()})
	})
	return i
}

func verifierOf(t testing.TB, now func() time.Time, issuers ...auth.Issuer) *auth.Verifier {
	t.Helper()
	v, err := auth.NewVerifier(auth.VerifierConfig{Issuers: issuers, Audiences: audiences(t), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (s *issuing) clock() time.Time { return time.Unix(s.now.Load(), 0) }

// rotate adds a signing key to the server's file.
func (s *issuing) rotate(t testing.TB, keep time.Duration) {
	t.Helper()
	ring, err := auth.LoadRing(s.ring)
	if err == nil {
		ring, err = ring.Rotate(s.clock(), s.clock(), keep)
	}
	var content []byte
	if err == nil {
		content, err = ring.Encode()
	}
	if err == nil {
		err = auth.ReplaceSecretFile(s.ring, content)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// ask is a request to the identity API.
type ask struct {
	method, path string
	client       *apiClient // who asks, by HTTP Basic
	token        string     // or by an access token
	body         any        // string as it is
	header       http.Header
}

type apiClient struct{ id, secret string }

func (s *issuing) ask(t testing.TB, a ask) *reply {
	t.Helper()
	r := s.send(t, s.request(t, a))
	if r.status >= http.StatusInternalServerError {
		t.Errorf("%s %s: %d %s", a.method, a.path, r.status, r.body)
	}
	return r
}

func (s *issuing) request(t testing.TB, a ask) *http.Request {
	t.Helper()
	var body io.Reader = http.NoBody
	switch b := a.body.(type) {
	case nil:
	case string:
		body = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(t.Context(), a.method, s.url+a.path, body)
	if err != nil {
		t.Fatal(err)
	}
	if a.body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if a.client != nil {
		request.SetBasicAuth(a.client.id, a.client.secret)
	}
	if a.token != "" {
		request.Header.Set("Authorization", "Bearer "+a.token)
	}
	for name, values := range a.header {
		request.Header[name] = values
	}
	return request
}

// wantAsk sends a request and expects a code.
func (s *issuing) wantAsk(t testing.TB, code string, a ask) *reply {
	t.Helper()
	r := s.ask(t, a)
	if got := r.code(t); got != code {
		t.Fatalf("%s %s: got %d %s, want %s", a.method, a.path, r.status, r.body, code)
	}
	return r
}

func authPath(account, rest string) string { return "/v1/accounts/" + account + "/auth/" + rest }

func audienceOf(account string) string { return audienceBase + "/v1/accounts/" + account }

func tokenRequest(audience string) object {
	return object{"grant_type": "client_credentials", "audience": audience}
}

func (s *issuing) askToken(account string, c *apiClient, audience string) ask {
	return ask{method: http.MethodPost, path: authPath(account, "token"), client: c, body: tokenRequest(audience)}
}

// accessToken gets one.
func (s *issuing) accessToken(t testing.TB, account string, c *apiClient) string {
	t.Helper()
	token := s.wantAsk(t, ok, s.askToken(account, c, audienceOf(account))).object(t)["access_token"].(string)
	s.log.mustNotHold(token)
	return token
}

// seed makes a client as the command line does.
func (s *issuing) seed(t testing.TB, account string, scopes ...string) *apiClient {
	t.Helper()
	client, secret, err := s.provider.Create(t.Context(), identity.NewClient{Account: account, Name: "seed", Scopes: scopes, By: "test"})
	if err != nil {
		t.Fatal(err)
	}
	s.log.mustNotHold(secret.Reveal())
	return &apiClient{client.ID.String(), secret.Reveal()}
}

// create makes a client over HTTP.
func (s *issuing) create(t testing.TB, account, token, name string) *apiClient {
	t.Helper()
	made := s.wantAsk(t, ok, ask{method: http.MethodPost, path: authPath(account, "clients"), token: token, body: object{"name": name}}).object(t)
	if made["id"] != made["client_id"] || made["name"] != name {
		t.Errorf("made %v", made)
	}
	c := &apiClient{made["client_id"].(string), made["client_secret"].(string)}
	s.log.mustNotHold(c.secret)
	return c
}

func grantOf(account string, c *apiClient, scopes ...string) object {
	return object{"client_id": c.id, "audience": audienceOf(account), "scope": scopes, "type": "client_credentials"}
}

// From the first client of an account to a card, and to the end of the client that made it.
func TestTokensFromTheServerItself(t *testing.T) {
	eachIssuing(t, func(t *testing.T, s *issuing) {
		a := s.account()
		admin := s.accessToken(t, a.id, s.seed(t, a.id, auth.ScopeAccounts))
		shop := s.create(t, a.id, admin, "web shop")
		s.wantAsk(t, "forbidden", s.askToken(a.id, shop, audienceOf(a.id))) // nothing is granted yet
		grants := ask{method: http.MethodPost, path: authPath(a.id, "client-grants"), token: admin, body: grantOf(a.id, shop, auth.ScopeWrite, auth.ScopeRead)}
		grant := s.wantAsk(t, ok, grants).object(t)
		s.wantAsk(t, "grant_exists", grants)

		r := s.wantAsk(t, ok, s.askToken(a.id, shop, audienceOf(a.id)))
		answer := r.object(t)
		if answer["token_type"] != "Bearer" || fmt.Sprint(answer["expires_in"]) != fmt.Sprint(int(tokenTTL/time.Second)) || len(answer) != 3 {
			t.Errorf("the answer is %s", r.body)
		}
		token := answer["access_token"].(string)
		s.log.mustNotHold(token)
		card := a.must(t, call{operation: "aid_cards_post", body: a.newCard(), token: token})
		if card["created_by"] != shop.id {
			t.Errorf("created_by is %v, want the client's id", card["created_by"])
		}

		listed := s.wantAsk(t, ok, ask{method: http.MethodGet, path: authPath(a.id, "clients"), token: admin})
		if names := fmt.Sprint(listed.list(t)[0]["name"], listed.list(t)[1]["name"]); names != "seedweb shop" || strings.Contains(string(listed.body), "secret") {
			t.Errorf("the clients are %s", listed.body)
		}
		listedGrants := s.wantAsk(t, ok, ask{method: http.MethodGet, path: authPath(a.id, "client-grants"), token: admin}).list(t)
		if len(listedGrants) != 2 || listedGrants[0]["audience"] != audienceOf(a.id) || listedGrants[1]["id"] != grant["id"] ||
			fmt.Sprint(listedGrants[1]["scope"]) != "[write:wallets read:wallets]" {
			t.Errorf("the grants are %v", listedGrants)
		}

		// Revoked: no new tokens, whatever is tried; the old one works until it expires.
		end := ask{method: http.MethodDelete, path: authPath(a.id, "clients/"+shop.id), token: admin}
		if gone := s.wantAsk(t, ok, end).object(t); gone["id"] != shop.id || gone["revoked_at"] == nil || gone["revoked_by"] == nil {
			t.Errorf("revoked: %v", gone)
		}
		s.wantAsk(t, "not_found", end)
		s.wantAsk(t, "unauthorized", s.askToken(a.id, shop, audienceOf(a.id)))
		s.wantAsk(t, "not_found", grants)
		s.wantAsk(t, "not_found", ask{method: http.MethodDelete, path: authPath(a.id, "client-grants/"+grant["id"].(string)), token: admin})
		a.must(t, call{operation: "aid_cards_cardid_get", path: object{"card_id": card["card_id"]}, token: token})
		s.now.Add(int64((tokenTTL + 2*auth.Leeway) / time.Second))
		a.want(t, "unauthorized", call{operation: "aid_cards_cardid_get", path: object{"card_id": card["card_id"]}, token: token})
	})
}

// A grant that is taken back ends new tokens, and another one brings them again.
func TestGrantTakenBack(t *testing.T) {
	eachIssuing(t, func(t *testing.T, s *issuing) {
		a := s.account()
		admin := s.accessToken(t, a.id, s.seed(t, a.id, auth.ScopeAccounts))
		till := s.create(t, a.id, admin, "till")
		grant := func(scopes ...string) string {
			return s.wantAsk(t, ok, ask{
				method: http.MethodPost, path: authPath(a.id, "client-grants"), token: admin, body: grantOf(a.id, till, scopes...),
			}).object(t)["id"].(string)
		}
		first := grant(auth.ScopeWrite)
		if gone := s.wantAsk(t, ok, ask{method: http.MethodDelete, path: authPath(a.id, "client-grants/"+first), token: admin}).object(t); gone["revoked_at"] == nil {
			t.Errorf("taken back: %v", gone)
		}
		s.wantAsk(t, "forbidden", s.askToken(a.id, till, audienceOf(a.id)))
		grant(auth.ScopeRead)
		token := s.accessToken(t, a.id, till)
		a.want(t, ok, call{operation: "aid_cards_get", token: token})
		a.want(t, "forbidden", call{operation: "aid_cards_post", body: a.newCard(), token: token})
	})
}

// A token opens what its grant names, and nothing else; the scope for clients is not to be had over HTTP.
func TestScopesOfClients(t *testing.T) {
	eachIssuing(t, func(t *testing.T, s *issuing) {
		a := s.account()
		clients := ask{method: http.MethodPost, path: authPath(a.id, "clients"), body: object{"name": "x"}}
		for _, scope := range auth.WalletScopes() {
			clients.token = s.accessToken(t, a.id, s.seed(t, a.id, scope))
			s.wantAsk(t, "forbidden", clients)
			s.wantAsk(t, "forbidden", ask{method: http.MethodGet, path: authPath(a.id, "client-grants"), token: clients.token})
		}
		admin := s.accessToken(t, a.id, s.seed(t, a.id, auth.ScopeAccounts))
		a.want(t, "forbidden", call{operation: "aid_cards_get", token: admin})
		till := s.create(t, a.id, admin, "till")
		for _, scopes := range [][]string{{auth.ScopeAccounts}, {auth.ScopeRead, auth.ScopeAccounts}, {"admin:everything"}, {"read:wallets admin:accounts"}, {}} {
			r := s.wantAsk(t, "invalid_request", ask{
				method: http.MethodPost, path: authPath(a.id, "client-grants"), token: admin, body: grantOf(a.id, till, scopes...),
			})
			if pointer := r.pointers(t)[0]; !strings.HasPrefix(pointer, "/scope") {
				t.Errorf("%v: the fault is at %s", scopes, pointer)
			}
		}
		s.wantAsk(t, "forbidden", s.askToken(a.id, till, audienceOf(a.id)))
		// An issuer that is trusted may give the scope.
		s.wantAsk(t, ok, ask{method: http.MethodGet, path: authPath(a.id, "clients"), token: a.scoped(t, auth.ScopeAccounts)})
	})
}

// Nobody of one account gets anything of another.
func TestClientsOfAnotherAccount(t *testing.T) {
	eachIssuing(t, func(t *testing.T, s *issuing) {
		a, b := s.account(), s.account()
		mine, theirs := s.seed(t, a.id, auth.ScopeAccounts), s.seed(t, b.id, auth.ScopeAdmin)
		admin := s.accessToken(t, a.id, mine)
		live := "P" + a.id[1:]

		s.wantAsk(t, "forbidden", s.askToken(a.id, mine, audienceOf(b.id)))
		s.wantAsk(t, "forbidden", s.askToken(a.id, mine, audienceOf(live)))
		s.wantAsk(t, "unauthorized", s.askToken(b.id, mine, audienceOf(b.id)))
		s.wantAsk(t, "unauthorized", s.askToken(b.id, mine, audienceOf(a.id)))
		s.wantAsk(t, "unauthorized", s.askToken(live, mine, audienceOf(live)))

		name := object{"name": "x"}
		theirGrant := s.wantAsk(t, ok, ask{method: http.MethodGet, path: authPath(b.id, "client-grants"), token: b.scoped(t, auth.ScopeAccounts)}).list(t)[0]
		for _, account := range []string{b.id, live} {
			for _, forbidden := range []ask{
				{method: http.MethodPost, path: authPath(account, "clients"), body: name},
				{method: http.MethodGet, path: authPath(account, "clients")},
				{method: http.MethodDelete, path: authPath(account, "clients/"+theirs.id)},
				{method: http.MethodPost, path: authPath(account, "client-grants"), body: grantOf(account, theirs, auth.ScopeAdmin)},
				{method: http.MethodGet, path: authPath(account, "client-grants")},
				{method: http.MethodDelete, path: authPath(account, "client-grants/"+theirGrant["id"].(string))},
			} {
				forbidden.token = admin
				s.wantAsk(t, "forbidden", forbidden)
			}
		}
		s.wantAsk(t, "not_found", ask{method: http.MethodDelete, path: authPath(a.id, "clients/"+theirs.id), token: admin})
		s.wantAsk(t, "not_found", ask{method: http.MethodDelete, path: authPath(a.id, "client-grants/"+theirGrant["id"].(string)), token: admin})
		s.wantAsk(t, "not_found", ask{method: http.MethodPost, path: authPath(a.id, "client-grants"), token: admin, body: grantOf(a.id, theirs, auth.ScopeAdmin)})
		s.wantAsk(t, "forbidden", ask{method: http.MethodPost, path: authPath(a.id, "client-grants"), token: admin, body: grantOf(b.id, mine, auth.ScopeAdmin)})
		s.accessToken(t, b.id, theirs) // untouched
	})
}

// Wrong secrets are counted for each client id, of clients that do not exist too; the right one always gets in.
func TestWrongSecretsAreLimited(t *testing.T) {
	eachIssuing(t, func(t *testing.T, s *issuing) {
		a := s.account()
		real := s.seed(t, a.id, auth.ScopeRead)
		const nobody = "0192f3a4-0000-7000-8000-000000000000"
		guess := func(id string) *reply {
			return s.ask(t, s.askToken(a.id, &apiClient{id, "SENTINEL-guess"}, audienceOf(a.id)))
		}
		for _, id := range []string{real.id, nobody} {
			for n := range 13 {
				r := guess(id)
				want := "unauthorized"
				if n >= 10 {
					want = "rate_limited"
				}
				if r.code(t) != want {
					t.Fatalf("guess %d: %d %s, want %s", n+1, r.status, r.body, want)
				}
				if seconds := r.header.Get("Retry-After"); want == "rate_limited" && (seconds == "" || retryAfter(t, r) < 1 || retryAfter(t, r) > 60) {
					t.Errorf("Retry-After is %q", seconds)
				}
			}
			s.accessToken(t, a.id, real)
		}
		s.accessToken(t, a.id, s.seed(t, a.id, auth.ScopeRead))
		s.now.Add(60)
		if code := guess(real.id).code(t); code != "unauthorized" {
			t.Errorf("a minute later: %s", code)
		}
	})
}

// Who does not get in learns nothing from the answer.
func TestRefusedClientsLookAlike(t *testing.T) {
	eachIssuing(t, func(t *testing.T, s *issuing) {
		a := s.account()
		real, revoked := s.seed(t, a.id, auth.ScopeRead), s.seed(t, a.id, auth.ScopeRead)
		admin := s.accessToken(t, a.id, s.seed(t, a.id, auth.ScopeAccounts))
		s.wantAsk(t, ok, ask{method: http.MethodDelete, path: authPath(a.id, "clients/"+revoked.id), token: admin})
		var first string
		for name, request := range map[string]ask{
			"wrong secret":          s.askToken(a.id, &apiClient{real.id, "x"}, audienceOf(a.id)),
			"no secret":             s.askToken(a.id, &apiClient{real.id, ""}, audienceOf(a.id)),
			"another's secret":      s.askToken(a.id, &apiClient{real.id, revoked.secret}, audienceOf(a.id)),
			"a revoked client":      s.askToken(a.id, revoked, audienceOf(a.id)),
			"an unknown client":     s.askToken(a.id, &apiClient{"0192f3a4-0000-7000-8000-000000000000", real.secret}, audienceOf(a.id)),
			"no id":                 s.askToken(a.id, &apiClient{"", ""}, audienceOf(a.id)),
			"no id at all":          s.askToken(a.id, &apiClient{"SENTINEL'; --", "SENTINEL"}, audienceOf(a.id)),
			"the id in capitals":    s.askToken(a.id, &apiClient{strings.ToUpper(real.id), real.secret}, audienceOf(a.id)),
			"the id in braces":      s.askToken(a.id, &apiClient{"{" + real.id + "}", real.secret}, audienceOf(a.id)),
			"an unknown account":    s.askToken("T99999999", real, audienceOf(a.id)),
			"a partner":             s.askToken("P123", real, audienceOf(a.id)),
			"no account":            s.askToken("%00%ff", real, audienceOf(a.id)),
			"no credentials":        {method: http.MethodPost, path: authPath(a.id, "token"), body: tokenRequest(audienceOf(a.id))},
			"a bearer token":        {method: http.MethodPost, path: authPath(a.id, "token"), body: tokenRequest(audienceOf(a.id)), token: admin},
			"Basic without a colon": {method: http.MethodPost, path: authPath(a.id, "token"), body: "{}", header: http.Header{"Authorization": {"Basic eA=="}}},
			"Basic that is not":     {method: http.MethodPost, path: authPath(a.id, "token"), body: "{}", header: http.Header{"Authorization": {"Basic SENTINEL!"}}},
			"Basic without more":    {method: http.MethodPost, path: authPath(a.id, "token"), body: "{}", header: http.Header{"Authorization": {"Basic"}}},
			"Basic twice":           {method: http.MethodPost, path: authPath(a.id, "token"), body: "{}", header: http.Header{"Authorization": {basic(real), basic(real)}}},
		} {
			r := s.wantAsk(t, "unauthorized", request)
			if got := string(r.body); first == "" {
				first = got
			} else if got != first {
				t.Errorf("%s: %s, others: %s", name, got, first)
			}
			if got := r.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, `Basic realm="`) {
				t.Errorf("%s: WWW-Authenticate is %q", name, got)
			}
		}
		s.accessToken(t, a.id, real)
	})
}

func basic(c *apiClient) string {
	request := http.Request{Header: http.Header{}}
	request.SetBasicAuth(c.id, c.secret)
	return request.Header.Get("Authorization")
}

// Requests that are not as the contract says get exact answers.
func TestBadIdentityRequests(t *testing.T) {
	eachIssuing(t, func(t *testing.T, s *issuing) {
		a := s.account()
		client := s.seed(t, a.id, auth.ScopeRead)
		admin := s.accessToken(t, a.id, s.seed(t, a.id, auth.ScopeAccounts))
		audience, huge := audienceOf(a.id), strings.Repeat("x", 64<<10)
		grant := func(client, audience, scope string) string {
			return `{"client_id":` + client + `,"audience":` + audience + `,"scope":` + scope + `}`
		}
		quoted, sound := `"`+client.id+`"`, `"`+audience+`"`
		for _, test := range []struct {
			name, method, path, body, code string
			pointers                       string
		}{
			{"another grant type", "POST", "token", `{"grant_type":"password","audience":"` + audience + `"}`, "invalid_request", "/grant_type"},
			{"no grant type", "POST", "token", `{"audience":"` + audience + `"}`, "invalid_request", "/grant_type"},
			{"no audience", "POST", "token", `{"grant_type":"client_credentials"}`, "invalid_request", "/audience"},
			{"an audience that is none", "POST", "token", `{"grant_type":"client_credentials","audience":"SENTINEL"}`, "invalid_request", "/audience"},
			{"another base", "POST", "token", `{"grant_type":"client_credentials","audience":"https://evil.test/v1/accounts/` + a.id + `"}`, "invalid_request", "/audience"},
			{"a base and more", "POST", "token", `{"grant_type":"client_credentials","audience":"` + audience + `/"}`, "invalid_request", "/audience"},
			{"an audience of numbers", "POST", "token", `{"grant_type":"client_credentials","audience":1}`, "invalid_request", "/audience"},
			{"an audience of null", "POST", "token", `{"grant_type":"client_credentials","audience":null}`, "invalid_request", "/audience"},
			{"a long audience", "POST", "token", `{"grant_type":"client_credentials","audience":"` + huge[:2000] + `"}`, "invalid_request", "/audience"},
			{"control characters", "POST", "token", `{"grant_type":"client_credentials","audience":"SENTINEL\u0000"}`, "invalid_request", "/audience"},
			{"a key twice", "POST", "token", `{"grant_type":"client_credentials","audience":"` + audience + `","audience":"x"}`, "invalid_request", ""},
			{"a key in capitals", "POST", "token", `{"grant_type":"client_credentials","AUDIENCE":"` + audience + `"}`, "invalid_request", ""},
			{"a form", "POST", "token", `grant_type=client_credentials`, "invalid_request", ""},
			{"half of it", "POST", "token", `{"grant_type":`, "invalid_request", ""},
			{"two values", "POST", "token", `{"grant_type":"client_credentials","audience":"` + audience + `"}{}`, "invalid_request", ""},
			{"a list", "POST", "token", `[]`, "invalid_request", ""},
			{"a huge body", "POST", "token", `{"x":"` + huge + `"}`, "request_too_large", ""},
			{"unknown fields", "POST", "token", `{"grant_type":"client_credentials","audience":"` + audience + `","scope":"x","x":{}}`, ok, ""},

			{"no name", "POST", "clients", `{}`, "invalid_request", "/name"},
			{"an empty name", "POST", "clients", `{"name":""}`, "invalid_request", "/name"},
			{"a long name", "POST", "clients", `{"name":"` + huge[:256] + `"}`, "invalid_request", "/name"},
			{"a name of two lines", "POST", "clients", `{"name":"SENTINEL\n"}`, "invalid_request", "/name"},
			{"a name of half a character", "POST", "clients", `{"name":"\ud800"}`, "invalid_request", "/name"},
			{"a huge client", "POST", "clients", `{"name":"` + huge + `"}`, "request_too_large", ""},
			{"an odd name", "POST", "clients", `{"name":"Ærø's \"shop\"; DROP TABLE api_clients --","description":"💳"}`, ok, ""},
			{"no such client", "DELETE", "clients/0192f3a4-0000-7000-8000-000000000000", "", "not_found", ""},
			{"no id", "DELETE", "clients/SENTINEL", "", "invalid_request", "client_id"},
			{"an id in capitals", "DELETE", "clients/" + strings.ToUpper(client.id), "", "invalid_request", "client_id"},
			{"no grant", "DELETE", "client-grants/0192f3a4-0000-7000-8000-000000000000", "", "not_found", ""},
			{"no id of a grant", "DELETE", "client-grants/1", "", "invalid_request", "grant_id"},

			{"a grant for nobody", "POST", "client-grants", grant(`"0192f3a4-0000-7000-8000-000000000000"`, sound, `["read:wallets"]`), "not_found", ""},
			{"a grant for no id", "POST", "client-grants", grant(`"SENTINEL"`, sound, `["read:wallets"]`), "invalid_request", "/client_id"},
			{"a grant elsewhere", "POST", "client-grants", grant(quoted, `"https://evil.test/v1/accounts/`+a.id+`"`, `["read:wallets"]`), "invalid_request", "/audience"},
			{"scopes as a text", "POST", "client-grants", grant(quoted, sound, `"read:wallets"`), "invalid_request", "/scope"},
			{"no scopes", "POST", "client-grants", grant(quoted, sound, `[]`), "invalid_request", "/scope"},
			{"null for a scope", "POST", "client-grants", grant(quoted, sound, `[null]`), "invalid_request", "/scope/0"},
			{"many scopes", "POST", "client-grants", grant(quoted, sound, `["read:wallets"`+strings.Repeat(`,"read:wallets"`, 16)+`]`), "invalid_request", "/scope"},
			{"a second grant", "POST", "client-grants", grant(quoted, sound, `["read:wallets"]`), "grant_exists", ""},

			{"another method", "PUT", "token", "{}", "method_not_allowed", ""},
			{"to read a token", "GET", "token", "", "method_not_allowed", ""},
			{"to change keys", "POST", "keys", "{}", "method_not_allowed", ""},
			{"another path", "GET", "secrets", "", "not_found", ""},
		} {
			request := ask{method: test.method, path: authPath(a.id, test.path), token: admin}
			if test.body != "" {
				request.body = test.body
			}
			if test.path == "token" {
				request.token, request.client = "", client
			}
			r := s.ask(t, request)
			if got := r.code(t); got != test.code || r.status != statusWith(test.code) {
				t.Errorf("%s: got %d %s, want %s", test.name, r.status, r.body, test.code)
			} else if test.pointers != "" && !slices.Contains(r.pointers(t), test.pointers) {
				t.Errorf("%s: the faults are at %v, want %s", test.name, r.pointers(t), test.pointers)
			}
			if bytes.Contains(r.body, []byte("SENTINEL")) {
				t.Errorf("%s: the answer repeats what was sent: %s", test.name, r.body)
			}
		}
		form := ask{method: http.MethodPost, path: authPath(a.id, "token"), client: client, body: "x", header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}
		s.wantAsk(t, "unsupported_media_type", form)
		s.wantAsk(t, "invalid_request", ask{method: http.MethodGet, path: authPath("P123", "keys")})
	})
}

// statusWith is statusOf with the codes of the identity API.
func statusWith(code string) int {
	if code == "grant_exists" || code == "client_limit" {
		return http.StatusConflict
	}
	return statusOf[code]
}

// A rotation of the signing key while the server runs: the new key signs, tokens of both are good, and both keys are published.
func TestSigningKeyRotates(t *testing.T) {
	eachIssuing(t, func(t *testing.T, s *issuing) {
		a := s.account()
		client := s.seed(t, a.id, auth.ScopeRead)
		published := func() []object {
			t.Helper()
			list := func() []object {
				t.Helper()
				return s.wantAsk(t, ok, ask{method: http.MethodGet, path: authPath(a.id, "keys")}).list(t)
			}
			bare := list()
			set := s.wantAsk(t, ok, ask{method: http.MethodGet, path: "/.well-known/jwks.json"}).object(t)
			if again := list(); fmt.Sprint(again) == fmt.Sprint(bare) && fmt.Sprint(set["keys"]) != fmt.Sprint(bare) { // no rotation between
				t.Errorf("the keys are %v and %v", bare, set)
			}
			for _, key := range bare {
				if key["d"] != nil || key["kid"] == "" || key["alg"] != "EdDSA" || key["use"] != "sig" {
					t.Errorf("a key is %v", key)
				}
			}
			return bare
		}
		// await returns the published keys, once there are so many and the last is another than before.
		await := func(count int, before any) []object {
			t.Helper()
			for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
				if keys := published(); len(keys) == count && keys[count-1]["kid"] != before {
					return keys
				}
			}
			t.Fatalf("published are %v, want %d keys", published(), count)
			return nil
		}
		reads := func(code, token string) {
			t.Helper()
			a.want(t, code, call{operation: "aid_cards_get", token: token})
		}
		old := s.accessToken(t, a.id, client)
		reads(ok, old)
		s.rotate(t, 24*time.Hour)
		keys := await(2, nil)
		fresh := s.accessToken(t, a.id, client)
		if kid := headerOf(t, fresh)["kid"]; kid == headerOf(t, old)["kid"] || kid != keys[1]["kid"] {
			t.Errorf("the new token is signed by %v, the keys are %v", kid, keys)
		}
		reads(ok, old)
		reads(ok, fresh)
		s.rotate(t, 0) // the key is in wrong hands
		s.now.Add(int64(2 * auth.Leeway / time.Second))
		await(2, keys[1]["kid"]) // the first one has still its time
		// What is published is read a moment before tokens are judged by it.
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if r := a.do(t, call{operation: "aid_cards_get", token: fresh}); r.status != http.StatusOK {
				break
			}
		}
		reads("unauthorized", fresh)
		reads(ok, old)
		reads(ok, s.accessToken(t, a.id, client))
		s.now.Add(int64(24 * time.Hour / time.Second))
		await(1, nil)
	})
}

func headerOf(t testing.TB, token string) object {
	t.Helper()
	header, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	var decoded object
	if err == nil {
		err = json.Unmarshal(header, &decoded)
	}
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}

// Three issuers at once: the server itself and two others. Each is believed about its own tokens only.
func TestIssuersBesideTheServer(t *testing.T) {
	eachIssuing(t, func(t *testing.T, s *issuing) {
		a := s.account()
		other, err := auth.OpenLocalKey(filepath.Join(t.TempDir(), "other.key"))
		if err != nil {
			t.Fatal(err)
		}
		document, err := other.JWKS()
		if err != nil {
			t.Fatal(err)
		}
		keys, err := auth.StaticKeys(document)
		if err != nil {
			t.Fatal(err)
		}
		ownKeys, err := auth.FollowRing(s.ring, s.clock, auth.SourceOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(ownKeys.Close)
		const otherIssuer = "https://other.test/"
		a = a.after(s.variant(t, func(c *httpapi.Config) {
			c.Verifier = verifierOf(t, s.clock,
				auth.Issuer{Name: otherIssuer, Keys: keys}, auth.Issuer{Name: issuer, Keys: s.keys}, auth.Issuer{Name: ownIssuer, Keys: ownKeys.Source()})
		}))
		signed := func(key *auth.LocalKey, issuer string) string {
			c := claims(a.id)
			c.Issuer = issuer
			token, err := key.Mint(c, s.clock())
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		for range 2 {
			for _, good := range []string{s.accessToken(t, a.id, s.seed(t, a.id, auth.ScopeRead)), signed(s.key, issuer), signed(other, otherIssuer)} {
				a.want(t, ok, call{operation: "aid_cards_get", token: good})
			}
			for _, forged := range []string{
				signed(s.key, otherIssuer), signed(s.key, ownIssuer), signed(other, issuer), signed(other, ownIssuer), signed(other, "https://nobody.test/"),
			} {
				a.want(t, "unauthorized", call{operation: "aid_cards_get", token: forged})
			}
		}
	})
}

// A secret is found under the data key that it was stored under, whichever is the current one.
func TestClientsAndTheDataKey(t *testing.T) {
	eachIssuing(t, func(t *testing.T, s *issuing) {
		a := s.account()
		before := s.seed(t, a.id, auth.ScopeRead)
		key, err := cardcode.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		rotated := newIssuing(t, s.variant(t, func(c *httpapi.Config) { c.DataKeys = cardcode.NewKeyring(key, c.DataKeys.All()...) }))
		rotated.accessToken(t, a.id, before)
		after := rotated.seed(t, a.id, auth.ScopeRead)
		rotated.accessToken(t, a.id, after)
		rotated.wantAsk(t, "unauthorized", rotated.askToken(a.id, &apiClient{before.id, after.secret}, audienceOf(a.id)))
		ids := s.database.Raw(t).Rows(t, "SELECT secret_key_id FROM api_clients WHERE account_id = ? ORDER BY id", a.id)
		if ids[0][0] == ids[1][0] || ids[1][0] != key.ID() {
			t.Errorf("the secrets are under %v", ids)
		}
		s.accessToken(t, a.id, before)
	})
}

// Tokens are given out while the queue of operations on cards is full, but not while a data key is missing or the database is gone; and
// a limit of rates holds for a client as for anybody.
func TestTokensUnderPressure(t *testing.T) {
	eachIssuing(t, func(t *testing.T, s *issuing) {
		a := s.account()
		client, slow := s.seed(t, a.id, auth.ScopeWrite), s.seed(t, a.id, auth.ScopeAccounts)
		with := func(change func(*httpapi.Config)) *issuing {
			v := *s
			v.server = s.variant(t, change)
			return &v
		}
		busy := with(func(c *httpapi.Config) { c.Overloaded = func() bool { return true } })
		token := busy.accessToken(t, a.id, client)
		a.after(busy.server).want(t, "overloaded", call{operation: "aid_cards_post", body: a.newCard(), token: token})
		request := s.askToken(a.id, client, audienceOf(a.id))

		limited := with(func(c *httpapi.Config) { c.RatePerSecond, c.RateBurst = 0.01, 2 })
		admin := limited.accessToken(t, a.id, slow)
		limited.wantAsk(t, ok, ask{method: http.MethodGet, path: authPath(a.id, "clients"), token: admin})
		for _, more := range []ask{s.askToken(a.id, slow, audienceOf(a.id)), {method: http.MethodGet, path: authPath(a.id, "clients"), token: admin}} {
			if r := limited.wantAsk(t, "rate_limited", more); retryAfter(t, r) < 1 {
				t.Errorf("Retry-After is %q", r.header.Get("Retry-After"))
			}
		}
		limited.wantAsk(t, ok, request)
		for range 5 {
			limited.wantAsk(t, ok, ask{method: http.MethodGet, path: authPath(a.id, "keys")})
		}

		keyless := with(func(c *httpapi.Config) { c.KeysComplete = func() bool { return false } })
		if r := keyless.send(t, keyless.request(t, request)); r.code(t) != "overloaded" || r.header.Get("Retry-After") == "" {
			t.Errorf("without a data key: %d %s", r.status, r.body)
		}
		if err := s.database.Close(); err != nil {
			t.Fatal(err)
		}
		if r := s.send(t, s.request(t, request)); r.status < http.StatusInternalServerError {
			t.Errorf("without a database: %d %s", r.status, r.body)
		}
	})
}

// Without a signing key there is nothing of this.
func TestServersThatIssueNothing(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		for _, path := range []string{"/.well-known/jwks.json", authPath("T12345678", "keys"), authPath("T12345678", "token"), authPath("T12345678", "clients")} {
			if r := s.plain(t, http.MethodGet, path, nil); r.status != http.StatusNotFound {
				t.Errorf("%s: %d %s", path, r.status, r.body)
			}
		}
	})
}
