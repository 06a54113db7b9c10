package httpapi_test

import (
	"encoding/base64"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/auth"
)

// forged puts a token together from its parts in clear.
func forged(header, payload, signature string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(header)) + "." + encode([]byte(payload)) + "." + encode([]byte(signature))
}

// A token that cannot be trusted opens nothing, and the answer does not tell why.
func TestUntrustedTokens(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		good := s.mint(t, claims(a.id))
		minted := func(change func(*auth.Claims), at time.Time) string {
			c := claims(a.id)
			change(&c)
			token, err := s.key.Mint(c, at)
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		stranger, err := auth.OpenLocalKey(filepath.Join(t.TempDir(), "stranger.key"))
		if err != nil {
			t.Fatal(err)
		}
		strangers, err := stranger.Mint(claims(a.id), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(good, ".")
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			t.Fatal(err)
		}
		same := func(*auth.Claims) {}
		var bodies []string
		for name, token := range map[string]string{
			"garbled":              "SENTINEL",
			"three words":          "SENTINEL.SENTINEL.SENTINEL",
			"no signature":         parts[0] + "." + parts[1] + ".",
			"another signature":    parts[0] + "." + parts[1] + "." + strings.Split(strangers, ".")[2],
			"a changed payload":    parts[0] + "." + strings.Split(minted(func(c *auth.Claims) { c.Subject = "root" }, time.Now()), ".")[1] + "." + parts[2],
			"alg none":             forged(`{"alg":"none","typ":"JWT"}`, string(payload), ""),
			"an HMAC with the kid": forged(`{"alg":"HS256","typ":"JWT","kid":"`+s.key.ID()+`"}`, string(payload), "x"),
			"a stranger's":         strangers,
			"expired":              minted(same, time.Now().Add(-2*time.Hour)),
			"of tomorrow":          minted(same, time.Now().Add(24*time.Hour)),
			"another issuer":       minted(func(c *auth.Claims) { c.Issuer = "https://else.test" }, time.Now()),
			"too long":             strings.Repeat("a", 9000),
		} {
			r := a.want(t, "unauthorized", call{operation: "aid_cards_get", token: token})
			bodies = append(bodies, string(r.body))
			if r.header.Get("WWW-Authenticate") != "Bearer" || string(r.body) != bodies[0] {
				t.Errorf("%s: got %v %s", name, r.header, r.body)
			}
		}
		for _, header := range []http.Header{
			{"Authorization": {""}}, {"Authorization": {"Bearer"}}, {"Authorization": {"Basic " + good}}, {"Authorization": {good}},
			{"Authorization": {"Bearer " + good, "Bearer " + good}},
		} {
			a.want(t, "unauthorized", call{operation: "aid_cards_get", token: "none", header: header})
		}
		a.want(t, ok, call{operation: "aid_cards_get", token: "none", header: http.Header{"Authorization": {"bearer " + good}}})
	})
}

// A token says for which account it is; that the path agrees is not enough.
func TestWrongAudience(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		other := claims(a.id)
		other.AudienceBase = "https://else.test"
		for name, test := range map[string]struct {
			claims auth.Claims
			want   string
		}{
			"another server's account":  {other, "unauthorized"},
			"another account":           {claims("T99999999"), "forbidden"},
			"the live account of a kin": {claims("P" + a.id[1:]), "forbidden"},
		} {
			if got := a.do(t, call{operation: "aid_cards_get", token: s.mint(t, test.claims)}).code(t); got != test.want {
				t.Errorf("%s: got %s, want %s", name, got, test.want)
			}
		}
		live := &account{s: s, id: "P00000001"}
		live.want(t, ok, listCards(""))
		for _, id := range []string{"T1", "t00000001", "X00000001", "T000000012", "T0000000a", "..", "%"} {
			(&account{s: s, id: a.id}).want(t, "forbidden", call{operation: "aid_cards_get", path: object{"aid": id}})
		}
	})
}

// Who acts is kept: the token's sub.
func TestCreatedBy(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		by := func(c call) call { c.token = a.as(t, "Zoë <till>", auth.ScopeAdmin); return c }
		card := a.must(t, by(createCard(a.newCard())))
		txn := a.must(t, by(transact(a.txn(card, 1))))
		token := a.must(t, by(createToken(card["card_id"], a.newToken())))
		for _, made := range []object{card, txn, token, a.must(t, getCard(card["card_id"]))} {
			if made["created_by"] != "Zoë <till>" {
				t.Errorf("created_by is %v", made["created_by"])
			}
		}
	})
}
