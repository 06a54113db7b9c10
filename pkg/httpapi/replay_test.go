package httpapi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// replays sends a call again and expects the first answer.
func (a *account) replays(t *testing.T, first *reply, again call) {
	t.Helper()
	r := a.want(t, ok, again)
	if string(r.body) != string(first.body) {
		t.Errorf("the first answer was %s, the replay is %s", first.body, r.body)
	}
	if got := r.header.Get("Idempotency-Replayed"); got != "true" {
		t.Errorf("Idempotency-Replayed is %q", got)
	}
}

// first sends a call that is no replay.
func (a *account) first(t *testing.T, c call) *reply {
	t.Helper()
	r := a.want(t, ok, c)
	if got, there := r.header["Idempotency-Replayed"]; there {
		t.Errorf("a first answer has Idempotency-Replayed: %s", got)
	}
	return r
}

func TestReplays(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		for name, test := range map[string]func(t *testing.T, a *account){
			"a fund, a drawdown and a pending transaction": func(t *testing.T, a *account) {
				card := a.card(t)
				for _, kind := range []object{{"type": "fund"}, {}, {"type": "drawdown"}, {"pending": true}} {
					body := a.txn(card, 100, kind)
					first := a.first(t, transact(body))
					for range 3 {
						a.replays(t, first, transact(body))
					}
				}
				if got := len(a.want(t, ok, listTransactions(card["card_id"])).list(t)); got != 5 {
					t.Errorf("there are %d transactions, want 5", got)
				}
			},
			"a default that is left out and one that is sent": func(t *testing.T, a *account) {
				body := a.txn(a.card(t), 100)
				first := a.first(t, transact(body))
				a.replays(t, first, transact(with(body, object{"type": "drawdown", "pending": false})))
			},
			"an expired card": func(t *testing.T, a *account) {
				card := a.card(t, object{"expires_at": start.Add(time.Minute)})
				body := a.txn(card, 100)
				first := a.first(t, transact(body))
				a.later(time.Minute)
				a.replays(t, first, transact(body))
				a.want(t, "card_expired", transact(a.txn(card, 100)))
			},
			"an expired token": func(t *testing.T, a *account) {
				card := a.card(t)
				token := clearOf(a.must(t, createToken(card["card_id"], a.newToken(object{"expires_in": 60}))))
				body := a.pay(token, 100)
				first := a.first(t, transact(body))
				a.later(time.Minute)
				a.replays(t, first, transact(body))
				a.want(t, "not_found", transact(a.pay(token, 100)))
			},
			"a spent token": func(t *testing.T, a *account) {
				_, token := a.cardWithToken(t, object{"card_token": object{}})
				body := a.pay(token, 100)
				first := a.first(t, transact(body))
				a.replays(t, first, transact(body))
				a.want(t, "token_used", transact(a.pay(token, 100)))
			},
			"a locked PIN, another PIN, no PIN": func(t *testing.T, a *account) {
				card, token := a.cardWithToken(t, object{"pin": object{}})
				pin := clearPIN(card)
				body := a.pay(token, 100, object{"pin": pin})
				first := a.first(t, transact(body))
				for range 5 {
					a.want(t, "invalid_pin", transact(a.pay(token, 100, object{"pin": wrong(pin)})))
				}
				a.want(t, "pin_locked", transact(a.pay(token, 100, object{"pin": pin})))
				a.replays(t, first, transact(body))
				a.replays(t, first, transact(with(body, object{"pin": wrong(pin)})))
				a.replays(t, first, transact(without(body, "pin")))
			},
			"a closed hold": func(t *testing.T, a *account) {
				hold := a.hold(t, a.card(t), 100)
				partly, rest, released := a.ref(object{"amount": 30}), a.ref(), a.ref()
				first := a.first(t, capture(hold["id"], partly))
				a.replays(t, first, capture(hold["id"], partly))
				void1 := a.first(t, void(hold["id"], released))
				a.replays(t, first, capture(hold["id"], partly))
				a.replays(t, void1, void(hold["id"], released))
				a.want(t, "transaction_not_pending", capture(hold["id"], rest))
			},
			"metadata in another order and with other escapes": func(t *testing.T, a *account) {
				card := a.card(t)
				body := `{"ref_id":"r","amount":1,"currency":"NOK","card_id":"` + fmt.Sprint(card["card_id"]) + `","metadata":%s}`
				first := a.first(t, text(opTxn, fmt.Sprintf(body, `{"a":{"b":1,"c":"é"},"d":[1,2]}`)))
				a.replays(t, first, text(opTxn, fmt.Sprintf(body, `{ "d" : [1, 2], "a":{"c":"\u00e9","b":1} }`)))
				for _, other := range []string{`{"a":{"b":1.0,"c":"é"},"d":[1,2]}`, `{"a":{"b":1,"c":"é"},"d":[2,1]}`, `{}`} {
					r := a.want(t, "ref_id_conflict", text(opTxn, fmt.Sprintf(body, other)))
					if got := r.pointers(t); !slices.Equal(got, []string{"/metadata"}) {
						t.Errorf("%s: the conflict points at %q", other, got)
					}
				}
			},
			"a refused request uses up no ref_id": func(t *testing.T, a *account) {
				card := a.card(t)
				body := a.txn(card, 10_001)
				a.want(t, "insufficient_funds", transact(body))
				a.first(t, transact(with(body, object{"amount": 10_000})))
			},
			"a deleted card, and a new one under its card_id": func(t *testing.T, a *account) {
				card := a.card(t)
				body := a.txn(card, 100)
				before := a.first(t, transact(body))
				a.must(t, deleteCard(card["card_id"]))
				a.want(t, "not_found", transact(body))
				a.card(t, object{"card_id": card["card_id"]})
				after := a.first(t, transact(body))
				if before.object(t)["id"] == after.object(t)["id"] {
					t.Error("the ref_id of the deleted card lives on")
				}
			},
			"a token, without its clear value": func(t *testing.T, a *account) {
				card := a.card(t)
				body := a.newToken(object{"format": object{"length": 20, "barcode": true}, "metadata": object{"a": 1}})
				first := a.first(t, createToken(card["card_id"], body)).object(t)
				a.later(2 * time.Hour)
				r := a.want(t, ok, createToken(card["card_id"], body))
				if r.header.Get("Idempotency-Replayed") != "true" || strings.Contains(string(r.body), "barcode_128") {
					t.Errorf("the replay is %s", r.body)
				}
				if got := r.object(t); fmt.Sprint(got) != fmt.Sprint(without(first, "token")) {
					t.Errorf("the first answer was %v, the replay is %v", first, got)
				}
			},
			"a token's ref_id is not a transaction's": func(t *testing.T, a *account) {
				card := a.card(t)
				a.first(t, createToken(card["card_id"], object{"ref_id": "same", "expires_in": 60}))
				a.first(t, transact(a.txn(card, 1, object{"ref_id": "same"})))
				a.first(t, transact(a.txn(a.card(t), 1, object{"ref_id": "same"})))
			},
		} {
			t.Run(name, func(t *testing.T) { test(t, s.account()) })
		}
	})
}

// A conflict names every field that differs, and what was there first.
func TestConflictsNameWhatDiffers(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		card, token := a.cardWithToken(t)
		other := clearOf(a.must(t, createToken(card["card_id"], a.newToken(object{"expires_after_transaction": false}))))
		hold := a.hold(t, card, 1000)
		expect := func(first, second call, pointers ...string) {
			t.Helper()
			made := a.first(t, first).object(t)
			r := a.want(t, "ref_id_conflict", second)
			if got := r.pointers(t); !slices.Equal(got, pointers) {
				t.Errorf("the conflict points at %q, want %q", got, pointers)
			}
			for _, item := range r.failure(t).Error.Errors {
				if item.ExistingID != made["id"] {
					t.Errorf("existing_id is %q, want %q", item.ExistingID, made["id"])
				}
			}
		}
		by := func(changes ...object) (object, object) {
			body := a.txn(card, 100)
			return body, with(body, changes...)
		}
		first, second := by(object{"amount": 101, "currency": "SEK", "pending": true, "metadata": object{}, "originated_by": "till"})
		expect(transact(first), transact(second), "/pending", "/amount", "/currency", "/metadata", "/originated_by")
		first, second = by(object{"type": "fund"})
		expect(transact(first), transact(second), "/type")
		first, second = by(object{"token": token})
		expect(transact(first), transact(without(second, "card_id")), "/token")
		paid := a.pay(token, 1)
		expect(transact(paid), transact(with(paid, object{"token": other})), "/token")
		paid = a.pay(token, 1)
		expect(transact(paid), transact(with(without(paid, "token"), object{"card_id": card["card_id"]})), "/card_id")

		ref := a.ref(object{"amount": 10})
		expect(capture(hold["id"], ref), capture(hold["id"], with(ref, object{"amount": 11, "metadata": object{"a": 1}})), "/amount", "/metadata")
		ref = a.ref(object{"amount": 10})
		expect(capture(hold["id"], ref), void(hold["id"], without(ref, "amount")), "/type", "/amount")
		second2 := a.hold(t, card, 10)
		ref = a.ref(object{"amount": 10})
		expect(capture(hold["id"], ref), capture(second2["id"], ref), "transaction_id")
		ref = a.ref()
		expect(capture(second2["id"], ref), capture(second2["id"], with(ref, object{"amount": 10})), "/amount")

		tokenBody := a.newToken()
		expect(createToken(card["card_id"], tokenBody), createToken(card["card_id"], with(tokenBody, object{
			"expires_in": 1, "expires_after_transaction": false, "format": object{"length": 5}, "metadata": object{},
		})), "/format", "/expires_in", "/expires_after_transaction", "/metadata")
	})
}

// The opening fund's ref_id is the card's id; a client cannot take it.
func TestOpeningFundIsNoOnesReplay(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		card := a.card(t)
		r := a.want(t, "ref_id_conflict", transact(a.txn(card, 10_000, object{"type": "fund", "ref_id": card["id"]})))
		if got := r.pointers(t); !slices.Equal(got, []string{"/ref_id"}) {
			t.Errorf("the conflict points at %q", got)
		}
	})
}

// The answer to card_exists names the card, or the place in a batch.
func TestTakenCardIDs(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		card := a.card(t)
		body := a.want(t, "card_exists", createCard(a.newCard(object{"card_id": card["card_id"]}))).failure(t).Error
		if len(body.Errors) != 1 || body.Errors[0].Pointer != "/card_id" || body.Errors[0].ExistingID != card["id"] {
			t.Errorf("got %+v", body)
		}
		batch := []object{{"card_id": "new"}, {"card_id": card["card_id"]}, {"card_id": "new"}}
		body = a.want(t, "card_exists", createBatch(object{"cards": batch})).failure(t).Error
		if len(body.Errors) != 2 || body.Errors[0].Pointer != "/cards/1/card_id" || body.Errors[0].ExistingID != card["id"] ||
			body.Errors[1].Pointer != "/cards/2/card_id" || body.Errors[1].ExistingID != "" {
			t.Errorf("got %+v", body)
		}
		a.want(t, "not_found", getCard("new"))
	})
}
