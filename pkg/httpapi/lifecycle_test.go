package httpapi_test

import (
	"fmt"
	"testing"
	"time"
)

func TestDeletion(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		card, token := a.cardWithToken(t, object{"customer_id": "c", "pin": object{}})
		hold := a.hold(t, card, 100)
		a.want(t, "card_has_pending", deleteCard(card["card_id"]))
		a.must(t, capture(hold["id"], a.ref(object{"amount": 1})))
		a.want(t, "card_has_pending", deleteCard(card["card_id"]))
		a.must(t, void(hold["id"], a.ref()))
		a.later(time.Hour)
		c := deleteCard(card["card_id"])
		c.token = a.as(t, "support", "write:wallets")
		gone := a.must(t, c)
		if gone["deleted_by"] != "support" || gone["deleted_at"] != "2026-06-30T10:15:00.123456Z" || gone["id"] != card["id"] {
			t.Errorf("the answer is %v", gone)
		}
		for _, c := range []call{
			deleteCard(card["card_id"]), getCard(card["card_id"]), getCustomerCard("c", card["card_id"]),
			listTransactions(card["card_id"]), info(object{"token": token}), info(object{"token": token, "pin": clearPIN(card)}),
			transact(a.txn(card, 1)), transact(a.pay(token, 1)), createToken(card["card_id"], a.newToken()),
			rotatePIN(card["card_id"], object{"pin": object{}}), activate(card["card_id"], money(1)),
			capture(hold["id"], a.ref()), void(hold["id"], a.ref()),
		} {
			a.want(t, "not_found", c)
		}
		if got := a.want(t, ok, listCustomerCards("c", "")).list(t); len(got) != 0 {
			t.Errorf("the customer still has %v", got)
		}
		listed := a.must(t, listCards("include_deleted=true"))["cards"].([]any)
		if len(listed) != 1 || listed[0].(object)["deleted_by"] != "support" {
			t.Errorf("include_deleted lists %v", listed)
		}
		again := a.card(t, object{"card_id": card["card_id"]})
		if got := a.want(t, ok, listTransactions(again["card_id"])).list(t); len(got) != 1 {
			t.Errorf("the new card has the history %v", got)
		}
		a.want(t, "not_found", info(object{"token": token}))
	})
}

func TestBatchAndActivation(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		var asked []object
		for i := range 1000 {
			asked = append(asked, object{"card_id": fmt.Sprintf("print %d", i), "type": "credit_note"})
		}
		made := a.must(t, createBatch(object{"cards": asked, "options": object{
			"pin":        object{"format": object{"length": 4, "numbers": true}},
			"card_token": object{"expires_after_transaction": false, "format": object{"length": 16, "numbers": true}},
		}}))["cards"].([]any)
		for i, card := range made {
			if got := card.(object); got["card_id"] != asked[i]["card_id"] || got["status"] != "inactive" || got["currency"] != nil {
				t.Fatalf("card %d is %v", i, got)
			}
		}
		card := made[7].(object)
		token := clearToken(card)
		a.must(t, info(object{"token": token, "pin": clearPIN(card)}))
		a.want(t, "card_inactive", transact(a.pay(token, 0)))
		a.must(t, createToken(card["card_id"], a.newToken()))

		a.later(time.Hour)
		sold := a.must(t, activate(card["card_id"], object{
			"amount": 500, "currency": "SEK", "customer_id": "c", "name": "n", "originated_by": "till",
			"expires_at": "2027-01-01T00:00:00+02:00", "metadata": object{"a": 1},
		}))
		want := object{
			"amount": 500, "currency": "SEK", "customer_id": "c", "name": "n", "originated_by": "till", "status": "unused",
			"expires_at": "2026-12-31T22:00:00Z", "active_from": "2026-06-30T10:15:00.123456Z",
			"created_at": "2026-06-30T09:15:00.123456Z", "type": "credit_note", "metadata": object{"a": 1},
		}
		for field, value := range want {
			if fmt.Sprint(sold[field]) != fmt.Sprint(value) {
				t.Errorf("%s is %v, want %v", field, sold[field], value)
			}
		}
		opening := a.want(t, ok, listTransactions(card["card_id"])).list(t)
		if len(opening) != 1 || opening[0]["ref_id"] != card["id"] || opening[0]["type"] != "fund" {
			t.Errorf("the transactions are %v", opening)
		}
		a.must(t, transact(a.pay(token, 500, object{"currency": "SEK", "pin": clearPIN(card)})))

		next := made[8].(object)
		plain := a.must(t, activate(next["card_id"], money(0)))
		if got := a.want(t, ok, listTransactions(next["card_id"])); string(got.body) != "[]\n" || plain["name"] != nil {
			t.Errorf("a card activated with nothing has %s", got.body)
		}
	})
}

// The dates of a card decide at the exact instant.
func TestDates(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		card, token := a.cardWithToken(t, object{
			"active_from": start.Add(time.Hour), "expires_at": start.Add(2 * time.Hour), "customer_id": "c",
		})
		status := func(want string) {
			t.Helper()
			filtered := a.must(t, listCards("status="+want))["cards"].([]any)
			if len(filtered) != 1 {
				t.Fatalf("the filter on %s finds %v", want, filtered)
			}
			for where, card := range map[string]object{
				"the card": a.must(t, getCard(card["card_id"])), "the list": filtered[0].(object),
				"the customer's card": a.must(t, getCustomerCard("c", card["card_id"])),
				"the customer's list": a.want(t, ok, listCustomerCards("c", "")).list(t)[0],
				"the token":           a.must(t, info(object{"token": token})),
			} {
				if card["status"] != want {
					t.Errorf("in the answer for %s the status is %v, want %s", where, card["status"], want)
				}
			}
		}
		a.at(start.Add(time.Hour - time.Microsecond))
		a.want(t, "card_not_active_yet", transact(a.txn(card, 1)))
		a.must(t, transact(a.txn(card, 1, object{"type": "fund"})))
		a.later(time.Microsecond)
		a.must(t, transact(a.txn(card, 1)))
		hold := a.hold(t, card, 1000)
		status("partially_used")
		a.at(start.Add(2*time.Hour - time.Microsecond))
		a.must(t, transact(a.txn(card, 1)))
		status("partially_used")
		a.later(time.Microsecond)
		status("expired")
		for _, kind := range []object{{}, {"type": "fund"}, {"pending": true}} {
			a.want(t, "card_expired", transact(a.txn(card, 0, kind)))
		}
		a.must(t, capture(hold["id"], a.ref(object{"amount": 1})))
		a.must(t, void(hold["id"], a.ref()))
		a.must(t, rotatePIN(card["card_id"], object{"pin": object{}}))
		a.must(t, deleteCard(card["card_id"]))
	})
}

// A card may be created when it has expired already, and with nothing on it.
func TestCardsThatStartOdd(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		old := a.card(t, object{"expires_at": start.Add(-time.Hour)})
		if old["status"] != "expired" || fmt.Sprint(old["amount_balance"]) != "10000" {
			t.Errorf("the card is %v", old)
		}
		empty := a.card(t, object{"amount": 0})
		if empty["status"] != "unused" {
			t.Errorf("an empty card is %v", empty["status"])
		}
		a.must(t, transact(a.txn(empty, 0)))
		hold := a.hold(t, empty, 0)
		a.must(t, capture(hold["id"], a.ref()))
		a.want(t, "transaction_not_pending", void(hold["id"], a.ref()))
		a.want(t, "insufficient_funds", transact(a.txn(empty, 1)))
	})
}

// created_at never runs backwards within a card, whatever the clock does.
func TestTimeNeverRunsBackwards(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		card := a.card(t)
		a.later(time.Hour)
		late := a.must(t, transact(a.txn(card, 1)))
		a.at(start)
		next := a.must(t, transact(a.txn(card, 1)))
		if late["created_at"] != next["created_at"] {
			t.Errorf("after %v came %v", late["created_at"], next["created_at"])
		}
	})
}
