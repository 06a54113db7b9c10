package httpapi_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/auth"
)

// property is what account B has. Everything in it is B's own.
type property struct {
	card, token, customer, hold, ref, cursor any
}

// nothing has the shape of property and exists nowhere.
func nothing() property {
	return property{
		"card of nobody", "DINCARD:" + uuid.NewString(), "customer of nobody", uuid.NewString(),
		"ref of nobody", uuid.NewString(),
	}
}

// probes are the requests of a thief, who knows ids, for each operation.
func probes(a *account) map[string]func(p property) call {
	return map[string]func(p property) call{
		"aid_cards_get":                  func(p property) call { return listCards(fmt.Sprintf("starting_after=%s", p.cursor)) },
		"aid_cards_get, a search":        func(p property) call { return listCards(fmt.Sprintf("search=%s", escape(p.card.(string)))) },
		"aid_cards_get, a customer":      func(p property) call { return listCards(fmt.Sprintf("customer=%s", escape(p.customer.(string)))) },
		"aid_cards_cardid_get":           func(p property) call { return getCard(p.card) },
		"aid_cards_cardid_delete":        func(p property) call { return deleteCard(p.card) },
		"aid_cards_cardid_activate_post": func(p property) call { return activate(p.card, money(1)) },
		"aid_cards_cardid_rotate_pin_post": func(p property) call {
			return rotatePIN(p.card, object{"pin": object{}})
		},
		"aid_cards_cardid_token_post": func(p property) call {
			return createToken(p.card, object{"ref_id": p.ref, "expires_in": 60})
		},
		"aid_cards_cardid_transactions_tid_get": func(p property) call { return listTransactions(p.card) },
		"aid_cards_token_post":                  func(p property) call { return info(object{"token": p.token}) },
		"aid_cards_token_post, with a PIN":      func(p property) call { return info(object{"token": p.token, "pin": "0000"}) },
		"aid_customers_cid_cards_get":           func(p property) call { return listCustomerCards(p.customer, "") },
		"aid_customers_cid_cards_get, a cursor": func(p property) call {
			return listCustomerCards(p.customer, fmt.Sprintf("starting_after=%s", p.cursor))
		},
		"aid_customers_cid_card_cid_get": func(p property) call { return getCustomerCard(p.customer, p.card) },
		"aid_cards_transactions_post, by card_id": func(p property) call {
			return transact(with(money(1), object{"card_id": p.card, "ref_id": p.ref}))
		},
		"aid_cards_transactions_post, by token": func(p property) call {
			return transact(with(money(1), object{"token": p.token, "ref_id": p.ref}))
		},
		"aid_cards_cardid_transactions_capture_post": func(p property) call { return capture(p.hold, object{"ref_id": p.ref}) },
		"aid_cards_cardid_transactions_void_post":    func(p property) call { return void(p.hold, object{"ref_id": p.ref}) },
		"aid_cards_post": func(p property) call {
			return call{operation: opCreate, body: with(money(1), object{"card_id": p.card})}
		},
		"aid_cards_batch_post": func(p property) call {
			return createBatch(object{"cards": []object{{"card_id": p.card}}})
		},
	}
}

// A client of account A learns nothing of what account B has: what is there is
// answered, to the byte, like what is nowhere.
func TestAccountsAreIsolated(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		b := s.account()
		card, token := b.cardWithToken(t, object{"customer_id": "customer of B", "pin": object{}})
		hold := b.hold(t, card, 100)
		theirs := property{card["card_id"], token, "customer of B", hold["id"], hold["ref_id"], card["id"]}
		before := b.must(t, getCard(card["card_id"]))

		covered := map[string]bool{}
		for name, probe := range probes(s.account()) {
			id, _, _ := strings.Cut(name, ",")
			covered[id] = true
			t.Run(name, func(t *testing.T) {
				if id == opCreate || id == opBatch {
					testOwnNamespace(t, s, probe(theirs))
					return
				}
				a := s.account()
				equalAnswers(t, a, a, probe(theirs), probe(nothing()))
				throughTheirPath := func(p property) call {
					c := probe(p)
					c.token = s.mint(t, claims(a.id))
					return c
				}
				equalAnswers(t, b, b, throughTheirPath(theirs), throughTheirPath(nothing()))
				nobody := &account{s: s, id: "T99999998"}
				equalAnswers(t, b, nobody, throughTheirPath(theirs), throughTheirPath(theirs))
			})
		}
		for _, id := range operationIDs(t) {
			if !covered[id] {
				t.Errorf("no probe of %s", id)
			}
		}
		after := b.must(t, getCard(card["card_id"]))
		if fmt.Sprint(before) != fmt.Sprint(after) {
			t.Errorf("B's card was %v, now it is %v", before, after)
		}
	})
}

// testOwnNamespace makes a card in another account under an id that B has.
func testOwnNamespace(t *testing.T, s *server, c call) {
	t.Helper()
	s.account().must(t, c)
}

// equalAnswers sends a call in the path of an account, another in the path of
// another, and compares the answers to the byte.
func equalAnswers(t *testing.T, first, second *account, there, nowhere call) {
	t.Helper()
	requestID := http.Header{"X-Request-Id": {"probe"}}
	there.header, nowhere.header = requestID, requestID
	got, want := first.do(t, there), second.do(t, nowhere)
	for _, r := range []*reply{got, want} {
		r.header.Del("Date")
	}
	same := maps.EqualFunc(got.header, want.header, func(a, b []string) bool { return fmt.Sprint(a) == fmt.Sprint(b) })
	if got.status != want.status || string(got.body) != string(want.body) || !same {
		t.Errorf("what is there gets %d %v %s, what is nowhere gets %d %v %s",
			got.status, got.header, got.body, want.status, want.header, want.body)
	}
	if got.status == http.StatusOK && strings.Contains(string(got.body), `"id"`) {
		t.Errorf("there is data in the answer: %s", got.body)
	}
}

// The spaces in which values have to be unique belong to one account each.
func TestAccountsDoNotShareTokensAndRefs(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a, b := s.account(), s.account()
		exhaust(t, b)
		card := a.card(t)
		a.must(t, createToken(card["card_id"], a.newToken(digit)))

		body := a.txn(card, 1)
		a.must(t, transact(body))
		theirs := b.card(t, object{"card_id": card["card_id"]})
		answer := b.want(t, ok, transact(body))
		if answer.header.Get("Idempotency-Replayed") != "" {
			t.Error("a ref_id of account A is a replay in account B")
		}
		if got := b.must(t, getCard(theirs["card_id"]))["amount_drawdown"]; fmt.Sprint(got) != "1" {
			t.Errorf("amount_drawdown is %v, want 1", got)
		}
	})
}

// user:wallets opens the cards of the customer whose id is the token's sub, in the
// two operations that have the scope.
func TestCustomersSeeThemselvesOnly(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		for _, me := range []string{"customer-77", "ünïcode/with slash", "100%+1"} {
			mine := a.card(t, object{"customer_id": me})
			other := a.card(t, object{"customer_id": "customer-78"})
			user := func(c call) call { c.token = a.as(t, me, auth.ScopeUser); return c }

			list := a.want(t, ok, user(listCustomerCards(me, ""))).list(t)
			if len(list) != 1 || list[0]["id"] != mine["id"] {
				t.Errorf("%s: the list is %v", me, list)
			}
			a.must(t, user(getCustomerCard(me, mine["card_id"])))
			a.want(t, "not_found", user(getCustomerCard(me, other["card_id"])))
			a.want(t, "forbidden", user(listCustomerCards("customer-78", "")))
			a.want(t, "forbidden", user(getCustomerCard("customer-78", other["card_id"])))
			a.want(t, "forbidden", user(getCustomerCard("customer-78", mine["card_id"])))

			support := a.as(t, me, auth.ScopeUser, auth.ScopeRead)
			c := listCustomerCards("customer-78", "")
			c.token = support
			a.want(t, ok, c)
		}
	})
}

// Every scope opens exactly the operations that list it.
func TestScopes(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		for _, id := range operationIDs(t) {
			opens := map[string]bool{}
			for _, alternative := range *contractOf(t, id).operation.Security {
				for _, scopes := range alternative {
					opens[scopes[0]] = true
				}
			}
			for _, scope := range auth.WalletScopes() {
				a := s.account()
				c := good(t, id, a)
				subject := "backend"
				if customer, names := c.path["customer_id"].(string); names {
					subject = customer
				}
				if scope == auth.ScopeWriteTransactions && id == opTxn { // which cannot name cards
					_, token := a.cardWithToken(t)
					c = transact(a.pay(token, 1))
				}
				c.token = a.as(t, subject, scope)
				want := "forbidden"
				if opens[scope] {
					want = ok
				}
				if got := a.do(t, c).code(t); got != want {
					t.Errorf("%s with %s: got %s, want %s", id, scope, got, want)
				}
			}
		}
	})
}
