package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/auth"
)

// huge is a body above the limit of every operation but a batch.
var huge = strings.Repeat("{", 1<<20+1)

// The order in which a request is checked is part of the contract. Each row breaks
// a rule and the one after it in the list, most of them several more, and must get
// the answer of the earlier.
func TestOrderOfChecks(t *testing.T) {
	rows := []scenario{
		{opTxn, "request_too_large", "the declared length before the access token", func(_ *testing.T, _ *account) call {
			return call{operation: opTxn, body: huge, token: "none"}
		}},
		{opTxn, "unauthorized", "the access token before the account", func(t *testing.T, a *account) call {
			return call{operation: opTxn, body: "{", token: a.s.mint(t, claims("T99999999")) + "x"}
		}},
		{opTxn, "forbidden", "the scope before the media type", func(t *testing.T, a *account) call {
			return call{
				operation: opTxn, body: "{", token: a.scoped(t, auth.ScopeRead),
				header: http.Header{"Content-Type": {"text/plain"}},
			}
		}},
		{opTxn, "forbidden", "the account before the media type", func(t *testing.T, a *account) call {
			return call{
				operation: opTxn, body: "{", token: a.s.mint(t, claims("T99999999")),
				header: http.Header{"Content-Type": {"text/plain"}},
			}
		}},
		{"aid_customers_cid_cards_get", "forbidden", "the customer before the query", func(t *testing.T, a *account) call {
			c := listCustomerCards("somebody else", "limit=0")
			c.token = a.scoped(t, auth.ScopeUser)
			return c
		}},
		{"aid_customers_cid_card_cid_get", "forbidden", "the customer before the path", func(t *testing.T, a *account) call {
			c := getCustomerCard("somebody else", " ")
			c.token = a.scoped(t, auth.ScopeUser)
			return c
		}},
		{opTxn, "unsupported_media_type", "the media type before the size", func(_ *testing.T, _ *account) call {
			return call{
				operation: opTxn, body: chunked(huge), header: http.Header{"Content-Type": {"text/plain"}},
			}
		}},
		{opTxn, "request_too_large", "the size before the JSON", func(_ *testing.T, _ *account) call {
			return call{operation: opTxn, body: chunked(huge)}
		}},
		{opTxn, "invalid_request", "the contract before the scope that the body asks for", func(t *testing.T, a *account) call {
			c := transact(a.txn(object{"card_id": "unknown"}, 1, object{"token": "unknown", "type": "fund", "pin": "0"}))
			c.token = a.till(t)
			return c
		}},
		{opTxn, "invalid_request", "a pending fund before its scope", func(t *testing.T, a *account) call {
			c := transact(a.pay("unknown", 1, object{"type": "fund", "pending": true}))
			c.token = a.till(t)
			return c
		}},
		{opTxn, "forbidden", "the scope before the card", func(t *testing.T, a *account) call {
			c := transact(a.txn(object{"card_id": "unknown"}, 1))
			c.token = a.till(t)
			return c
		}},
		{opTxn, "not_found", "the card before everything about it", func(_ *testing.T, a *account) call {
			return transact(a.txn(object{"card_id": "unknown"}, maxAmount, object{"pin": "0000"}))
		}},
		{opTxn, "not_found", "an expired token before the PIN", func(t *testing.T, a *account) call {
			card := a.card(t, object{"pin": object{}})
			token := clearOf(a.must(t, createToken(card["card_id"], a.newToken())))
			a.later(time.Hour)
			return transact(a.pay(token, 1, object{"pin": wrong(clearPIN(card))}))
		}},
		{opTxn, ok, "a replay before the PIN", func(t *testing.T, a *account) call {
			card := a.card(t, object{"pin": object{}})
			body := a.txn(card, 1)
			a.must(t, transact(body))
			return transact(with(body, object{"pin": wrong(clearPIN(card))}))
		}},
		{opTxn, "ref_id_conflict", "a conflict before the PIN", func(t *testing.T, a *account) call {
			card := a.card(t, object{"pin": object{}})
			body := a.txn(card, 1)
			a.must(t, transact(body))
			return transact(with(body, object{"amount": 2, "pin": wrong(clearPIN(card))}))
		}},
		{opTxn, "invalid_pin", "the PIN before an inactive card", func(t *testing.T, a *account) call {
			card := a.inactiveCard(t, object{"pin": object{}})
			return transact(a.txn(card, 1, object{"pin": wrong(clearPIN(card))}))
		}},
		{opTxn, "pin_locked", "a locked PIN before an inactive card", func(t *testing.T, a *account) call {
			card := a.inactiveCard(t, object{"pin": object{}})
			for range 5 {
				a.want(t, "invalid_pin", transact(a.txn(card, 1, object{"pin": wrong(clearPIN(card))})))
			}
			return transact(a.txn(card, 1, object{"pin": clearPIN(card)}))
		}},
		{opTxn, "card_inactive", "inactive before the currency", func(t *testing.T, a *account) call {
			return transact(a.txn(a.inactiveCard(t, nil), maxAmount, object{"currency": "SEK"}))
		}},
		{opTxn, "card_expired", "expired before the currency", func(t *testing.T, a *account) call {
			card := a.card(t, object{"expires_at": start, "active_from": start.Add(time.Hour)})
			return transact(a.txn(card, maxAmount, object{"currency": "SEK"}))
		}},
		{opTxn, "currency_mismatch", "the currency before active_from", func(t *testing.T, a *account) call {
			return transact(a.txn(a.card(t, object{"active_from": start.Add(time.Hour)}), maxAmount, object{"currency": "SEK"}))
		}},
		{opTxn, "card_not_active_yet", "active_from before a spent token", func(t *testing.T, a *account) call {
			_, token := a.cardWithToken(t, object{"active_from": start.Add(time.Hour), "card_token": object{}})
			a.must(t, transact(a.pay(token, 1, object{"type": "fund"})))
			return transact(a.pay(token, maxAmount))
		}},
		{opTxn, "token_used", "a spent token before the amount", func(t *testing.T, a *account) call {
			_, token := a.cardWithToken(t, object{"card_token": object{}})
			a.must(t, transact(a.pay(token, 1)))
			return transact(a.pay(token, maxAmount))
		}},
		{opCapture, "invalid_request", "the request before the transaction", func(_ *testing.T, _ *account) call {
			return capture(uuid.New(), object{"amount": -1})
		}},
		{opCapture, "not_found", "the transaction before the amount", func(_ *testing.T, a *account) call {
			return capture(uuid.New(), a.ref(object{"amount": maxAmount}))
		}},
		{opCapture, "ref_id_conflict", "the ref_id before a closed hold", func(t *testing.T, a *account) call {
			hold, ref := a.hold(t, a.card(t), 10), a.ref()
			a.must(t, capture(hold["id"], ref))
			return capture(hold["id"], with(ref, object{"amount": 11}))
		}},
		{opCapture, "transaction_not_pending", "a closed hold before the amount", func(t *testing.T, a *account) call {
			hold := a.hold(t, a.card(t), 10)
			a.must(t, void(hold["id"], a.ref()))
			return capture(hold["id"], a.ref(object{"amount": 11}))
		}},
		{"aid_cards_cardid_activate_post", "not_found", "the card before its state", func(_ *testing.T, _ *account) call {
			return activate("unknown", money(1))
		}},
		{opToken, "not_found", "the card before the token space", func(t *testing.T, a *account) call {
			exhaust(t, a)
			return createToken("unknown", a.newToken(digit))
		}},
		{opToken, "ref_id_conflict", "the ref_id before the token space", func(t *testing.T, a *account) call {
			card, body := exhaust(t, a), a.newToken()
			a.must(t, createToken(card["card_id"], body))
			return createToken(card["card_id"], with(body, digit))
		}},
		{opCreate, "card_exists", "the card_id before the token space", func(t *testing.T, a *account) call {
			return createCard(a.newCard(object{"card_id": exhaust(t, a)["card_id"], "card_token": digit}))
		}},
		{opBatch, "request_too_large", "the declared length before the access token", func(_ *testing.T, _ *account) call {
			return call{operation: opBatch, body: strings.Repeat(" ", 8<<20+1), token: "none"}
		}},
	}
	each(t, func(t *testing.T, s *server) {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				a := s.account()
				a.want(t, row.code, row.act(t, a))
			})
		}
	})
}

// The path comes before the method, and the method before everything else.
func TestPathBeforeMethodBeforeLength(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		base := s.url + "/v1/accounts/T00000001/wallets"
		for _, row := range []struct {
			name, method, target string
			want                 int
		}{
			{"no such path, no such method, too long, no token", http.MethodPatch, base + "/unknown", http.StatusNotFound},
			{"no such method, too long, no token", http.MethodPatch, base + "/cards", http.StatusMethodNotAllowed},
			{"too long, no token", http.MethodPost, base + "/cards", http.StatusRequestEntityTooLarge},
		} {
			request, err := http.NewRequestWithContext(t.Context(), row.method, row.target, strings.NewReader(huge))
			if err != nil {
				t.Fatal(err)
			}
			if r := s.send(t, request); r.status != row.want {
				t.Errorf("%s: got %d %s, want %d", row.name, r.status, r.body, row.want)
			}
		}
	})
}
