package httpapi_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/httpapi"
)

// scenario fills a cell of the matrix: an operation and a code, with a way to get
// there. To cover a cell, add a row to one of the tables below.
type scenario struct {
	operation, code string
	name            string // says what is special, where a cell has several rows
	// act prepares the account and returns the call that must get the code.
	act func(t *testing.T, a *account) call
}

// worlds are the servers of one engine, by the name that a scenario of any
// operation asks for. They share one database.
type worlds struct{ normal, limited, panicking, keyless *server }

// TestMatrix runs every scenario on both engines and fails where the contract
// declares a code that no scenario has shown.
func TestMatrix(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		w := worlds{normal: s}
		w.limited = s.variant(t, func(c *httpapi.Config) { c.RatePerSecond, c.RateBurst = 0.001, 1 })
		w.panicking = s.variant(t, func(c *httpapi.Config) {
			c.Verifier = newVerifier(t, s.keys, func() time.Time { panic("the clock broke") })
		})
		w.keyless = s.variant(t, func(c *httpapi.Config) { c.Verifier = newVerifier(t, deadKeys(t), time.Now) })

		covered := map[[2]string]bool{}
		run := func(sc scenario, s *server) {
			t.Run(strings.TrimSpace(sc.operation+" "+sc.code+" "+sc.name), func(t *testing.T) {
				a := s.account()
				prepared := sc.act(t, &account{s: w.normal, id: a.id})
				a.want(t, sc.code, prepared)
				covered[[2]string{sc.operation, sc.code}] = !t.Failed()
			})
		}
		for _, sc := range slices.Concat(successes(t), commonFailures(t), ownFailures) {
			run(sc, w.normal)
		}
		for _, sc := range successes(t) {
			sc.code = "internal"
			run(sc, w.panicking)
			sc.code = "overloaded"
			run(sc, w.keyless)
			sc.code = "rate_limited"
			run(spent(sc, w.limited), w.limited)
		}
		reportMatrix(t, covered)
	})
}

// reportMatrix prints which cells of the contract are covered, and fails for each
// that is not, and for each that the contract does not have.
func reportMatrix(t *testing.T, covered map[[2]string]bool) {
	t.Helper()
	var table strings.Builder
	for _, id := range operationIDs(t) {
		codes := []string{ok}
		for _, listed := range contractOf(t, id).codes(t) {
			codes = append(codes, listed...)
		}
		slices.Sort(codes)
		for _, code := range codes {
			cell := [2]string{id, code}
			answer := "yes"
			if !covered[cell] {
				answer = "no"
				t.Errorf("no scenario shows %s with %s", id, code)
			}
			fmt.Fprintf(&table, "%-45s %-25s %s\n", id, code, answer)
			delete(covered, cell)
		}
	}
	for cell := range covered {
		t.Errorf("a scenario shows %s with %s, which the contract does not list", cell[0], cell[1])
	}
	t.Logf("operation, code, covered:\n%s", table.String())
}

// deadKeys is an issuer that never answered.
func deadKeys(t testing.TB) *auth.KeySource {
	t.Helper()
	keys, err := auth.URLKeys("http://127.0.0.1:1/keys", auth.SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(keys.Close)
	return keys
}

// spent is the scenario of a principal who has just used up the rate.
func spent(sc scenario, limited *server) scenario {
	act := sc.act
	sc.act = func(t *testing.T, a *account) call {
		c := act(t, a)
		c.token = a.as(t, a.s.next("customer"), auth.ScopeAdmin)
		(&account{s: limited, id: a.id}).do(t, c)
		return c
	}
	return sc
}

// good prepares what an operation is about and returns a call that succeeds.
func good(t testing.TB, operation string, a *account) call {
	t.Helper()
	customer := object{"customer_id": a.s.next("customer")}
	switch operation {
	case "aid_cards_post":
		return createCard(a.newCard())
	case "aid_cards_batch_post":
		return createBatch(object{"cards": []object{{"card_id": a.s.next("card")}, {"card_id": a.s.next("card")}}})
	case "aid_cards_cardid_activate_post":
		return activate(a.inactiveCard(t, nil)["card_id"], money(500))
	case "aid_cards_cardid_transactions_capture_post":
		return capture(a.hold(t, a.card(t), 1000)["id"], a.ref(object{"amount": 300}))
	case "aid_cards_cardid_transactions_void_post":
		return void(a.hold(t, a.card(t), 1000)["id"], a.ref())
	case "aid_cards_token_post":
		_, token := a.cardWithToken(t)
		return info(object{"token": token})
	}
	card := a.card(t, customer)
	switch operation {
	case "aid_cards_get":
		return listCards("limit=5")
	case "aid_cards_cardid_get":
		return getCard(card["card_id"])
	case "aid_cards_cardid_delete":
		return deleteCard(card["card_id"])
	case "aid_cards_cardid_token_post":
		return createToken(card["card_id"], a.newToken())
	case "aid_cards_cardid_rotate_pin_post":
		return rotatePIN(card["card_id"], object{"pin": object{}})
	case "aid_cards_cardid_transactions_tid_get":
		return listTransactions(card["card_id"])
	case "aid_customers_cid_cards_get":
		return listCustomerCards(customer["customer_id"], "")
	case "aid_customers_cid_card_cid_get":
		return getCustomerCard(customer["customer_id"], card["card_id"])
	case "aid_cards_transactions_post":
		return transact(a.txn(card, 1000))
	}
	t.Fatalf("no good call for %s: add one", operation)
	return call{}
}

// successes is a scenario per operation.
func successes(t *testing.T) []scenario {
	t.Helper()
	var all []scenario
	for _, id := range operationIDs(t) {
		all = append(all, scenario{id, ok, "", func(t *testing.T, a *account) call { return good(t, id, a) }})
	}
	return all
}

// spoilers turn a good call into one that gets the code, for every operation whose
// contract lists it.
var spoilers = map[string]func(t *testing.T, a *account, c call) call{
	"unauthorized": func(_ *testing.T, _ *account, c call) call { c.token = "none"; return c },
	"forbidden": func(t *testing.T, a *account, c call) call {
		c.token = a.scoped(t, "read:everything")
		return c
	},
	"invalid_request": func(_ *testing.T, _ *account, c call) call {
		switch {
		case c.body != nil:
			c.body = object{"amount": "much"}
		case c.path["card_id"] != nil:
			c.path = with(c.path, object{"card_id": " space"})
		default:
			c.query = "limit=0"
		}
		return c
	},
	"not_found": func(_ *testing.T, a *account, c call) call {
		unknown := a.s.next("unknown")
		switch body, _ := c.body.(object); {
		case c.path["transaction_id"] != nil:
			c.path = object{"transaction_id": uuid.NewString()}
		case c.path["card_id"] != nil:
			c.path = with(c.path, object{"card_id": unknown})
		case body["card_id"] != nil:
			c.body = with(body, object{"card_id": unknown})
		default:
			c.body = with(body, object{"token": unknown})
		}
		return c
	},
	"request_too_large": func(_ *testing.T, _ *account, c call) call {
		limit := 1 << 20
		if c.operation == "aid_cards_batch_post" {
			limit = 8 << 20
		}
		c.body = strings.Repeat(" ", limit+1)
		return c
	},
	"unsupported_media_type": func(_ *testing.T, _ *account, c call) call {
		c.header = http.Header{"Content-Type": {"text/plain"}}
		return c
	},
}

// commonFailures are the spoilt calls of each operation.
func commonFailures(t *testing.T) []scenario {
	t.Helper()
	var all []scenario
	for _, id := range operationIDs(t) {
		for _, codes := range contractOf(t, id).codes(t) {
			for _, code := range codes {
				if spoil, common := spoilers[code]; common {
					all = append(all, scenario{id, code, "", func(t *testing.T, a *account) call {
						return spoil(t, a, good(t, id, a))
					}})
				}
			}
		}
	}
	return all
}

const (
	opCreate  = "aid_cards_post"
	opBatch   = "aid_cards_batch_post"
	opToken   = "aid_cards_cardid_token_post"
	opInfo    = "aid_cards_token_post"
	opTxn     = "aid_cards_transactions_post"
	opCapture = "aid_cards_cardid_transactions_capture_post"
	opVoid    = "aid_cards_cardid_transactions_void_post"
)

// digit is the smallest space of tokens: ten values.
var digit = object{"format": object{"length": 1, "numbers": true}}

// exhaust uses up the ten values of digit.
func exhaust(t testing.TB, a *account) object {
	t.Helper()
	card := a.card(t)
	for range 10 {
		a.must(t, createToken(card["card_id"], a.newToken(digit)))
	}
	return card
}

// lock tries five wrong PINs and returns the card's token.
func lock(t testing.TB, a *account) (card object, token string) {
	t.Helper()
	card, token = a.cardWithToken(t, object{"pin": object{}})
	for range 5 {
		a.want(t, "invalid_pin", info(object{"token": token, "pin": wrong(clearPIN(card))}))
	}
	return card, token
}

// ownFailures are the codes that only some operations have.
var ownFailures = []scenario{
	{opCreate, "card_exists", "", func(t *testing.T, a *account) call {
		return createCard(a.newCard(object{"card_id": a.card(t)["card_id"]}))
	}},
	{opCreate, "token_space_exhausted", "", func(t *testing.T, a *account) call {
		exhaust(t, a)
		return createCard(a.newCard(object{"card_token": digit}))
	}},
	{opBatch, "card_exists", "in the account", func(t *testing.T, a *account) call {
		return createBatch(object{"cards": []object{{"card_id": "new"}, {"card_id": a.card(t)["card_id"]}}})
	}},
	{opBatch, "card_exists", "in the batch", func(_ *testing.T, _ *account) call {
		return createBatch(object{"cards": []object{{"card_id": "same"}, {"card_id": "same"}}})
	}},
	{opBatch, "token_space_exhausted", "", func(_ *testing.T, a *account) call {
		cards := make([]object, 11)
		for i := range cards {
			cards[i] = object{"card_id": a.s.next("card")}
		}
		return createBatch(object{"cards": cards, "options": object{"card_token": digit}})
	}},
	{"aid_cards_cardid_activate_post", "card_already_active", "a card that was never inactive", func(t *testing.T, a *account) call {
		return activate(a.card(t)["card_id"], money(500))
	}},
	{"aid_cards_cardid_activate_post", "card_already_active", "twice", func(t *testing.T, a *account) call {
		again := activate(a.inactiveCard(t, nil)["card_id"], money(500))
		a.must(t, again)
		return again
	}},
	{"aid_cards_cardid_delete", "card_has_pending", "", func(t *testing.T, a *account) call {
		card := a.card(t)
		a.hold(t, card, 0)
		return deleteCard(card["card_id"])
	}},
	{opToken, "ref_id_conflict", "", func(t *testing.T, a *account) call {
		card, body := a.card(t), a.newToken()
		a.must(t, createToken(card["card_id"], body))
		return createToken(card["card_id"], with(body, object{"expires_in": 3601}))
	}},
	{opToken, "token_space_exhausted", "", func(t *testing.T, a *account) call {
		return createToken(exhaust(t, a)["card_id"], a.newToken(digit))
	}},
	{opInfo, "invalid_pin", "wrong", func(t *testing.T, a *account) call {
		card, token := a.cardWithToken(t, object{"pin": object{}})
		return info(object{"token": token, "pin": wrong(clearPIN(card))})
	}},
	{opInfo, "invalid_pin", "for a card without one", func(t *testing.T, a *account) call {
		_, token := a.cardWithToken(t)
		return info(object{"token": token, "pin": "0000"})
	}},
	{opInfo, "pin_locked", "", func(t *testing.T, a *account) call {
		card, token := lock(t, a)
		return info(object{"token": token, "pin": clearPIN(card)})
	}},
	{opTxn, "invalid_pin", "", func(t *testing.T, a *account) call {
		card := a.card(t, object{"pin": object{}})
		return transact(a.txn(card, 1, object{"pin": wrong(clearPIN(card))}))
	}},
	{opTxn, "pin_locked", "", func(t *testing.T, a *account) call {
		card, token := lock(t, a)
		return transact(a.pay(token, 1, object{"pin": clearPIN(card)}))
	}},
	{opTxn, "ref_id_conflict", "", func(t *testing.T, a *account) call {
		body := a.txn(a.card(t), 1)
		a.must(t, transact(body))
		return transact(with(body, object{"amount": 2}))
	}},
	{opTxn, "card_inactive", "", func(t *testing.T, a *account) call {
		return transact(a.txn(a.inactiveCard(t, nil), 1, object{"type": "fund"}))
	}},
	{opTxn, "card_expired", "", func(t *testing.T, a *account) call {
		return transact(a.txn(a.card(t, object{"expires_at": start}), 1, object{"type": "fund"}))
	}},
	{opTxn, "currency_mismatch", "", func(t *testing.T, a *account) call {
		return transact(a.txn(a.card(t), 1, object{"currency": "SEK"}))
	}},
	{opTxn, "card_not_active_yet", "a drawdown", func(t *testing.T, a *account) call {
		return transact(a.txn(a.card(t, object{"active_from": start.Add(time.Second)}), 1))
	}},
	{opTxn, "card_not_active_yet", "a pending transaction", func(t *testing.T, a *account) call {
		return transact(a.txn(a.card(t, object{"active_from": start.Add(time.Second)}), 1, object{"pending": true}))
	}},
	{opTxn, "token_used", "", func(t *testing.T, a *account) call {
		_, token := a.cardWithToken(t, object{"card_token": object{}})
		a.must(t, transact(a.pay(token, 1)))
		return transact(a.pay(token, 1))
	}},
	{opTxn, "insufficient_funds", "a drawdown", func(t *testing.T, a *account) call {
		return transact(a.txn(a.card(t), 10_001))
	}},
	{opTxn, "insufficient_funds", "a pending transaction, by what is locked", func(t *testing.T, a *account) call {
		card := a.card(t)
		a.hold(t, card, 10_000)
		return transact(a.txn(card, 1, object{"pending": true}))
	}},
	{opTxn, "amount_overflow", "", func(t *testing.T, a *account) call {
		return transact(a.txn(a.card(t, money(maxAmount)), 1, object{"type": "fund"}))
	}},
	{opTxn, "not_found", "an unknown token", func(_ *testing.T, a *account) call {
		return transact(a.pay("unknown", 1))
	}},
	{opTxn, "forbidden", "a till with a card_id", func(t *testing.T, a *account) call {
		c := transact(a.txn(a.card(t), 1))
		c.token = a.till(t)
		return c
	}},
	{opTxn, "forbidden", "a till that funds", func(t *testing.T, a *account) call {
		_, token := a.cardWithToken(t)
		c := transact(a.pay(token, 1, object{"type": "fund"}))
		c.token = a.till(t)
		return c
	}},
	{opCapture, "ref_id_conflict", "", func(t *testing.T, a *account) call {
		hold, ref := a.hold(t, a.card(t), 1000), a.ref(object{"amount": 1})
		a.must(t, capture(hold["id"], ref))
		return capture(hold["id"], with(ref, object{"amount": 2}))
	}},
	{opCapture, "transaction_not_pending", "captured whole", func(t *testing.T, a *account) call {
		hold := a.hold(t, a.card(t), 1000)
		a.must(t, capture(hold["id"], a.ref()))
		return capture(hold["id"], a.ref())
	}},
	{opCapture, "transaction_not_pending", "a drawdown", func(t *testing.T, a *account) call {
		return capture(a.must(t, transact(a.txn(a.card(t), 1000)))["id"], a.ref())
	}},
	{opCapture, "amount_exceeds_reserved", "", func(t *testing.T, a *account) call {
		return capture(a.hold(t, a.card(t), 1000)["id"], a.ref(object{"amount": 1001}))
	}},
	{opVoid, "ref_id_conflict", "", func(t *testing.T, a *account) call {
		hold, ref := a.hold(t, a.card(t), 1000), a.ref(object{"amount": 1})
		a.must(t, capture(hold["id"], ref))
		return void(hold["id"], without(ref, "amount"))
	}},
	{opVoid, "transaction_not_pending", "", func(t *testing.T, a *account) call {
		hold := a.hold(t, a.card(t), 0)
		a.must(t, void(hold["id"], a.ref()))
		return void(hold["id"], a.ref())
	}},
}

// maxAmount is the largest amount there is.
const maxAmount = 1<<53 - 1
