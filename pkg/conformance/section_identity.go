package conformance

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"github.com/kortwallet/kort/gen/client"
)

// everywhere sends every operation with names that nobody has, and with bodies that are
// valid, so that nothing but the access token decides.
func (t *trial) everywhere(see func(operation string, a answer)) {
	card := t.name()
	uuid := client.ObjectID{1, 2, 3, 4, 5, 6, 0x70, 8, 0x80}
	body, _ := t.batchOf(1)
	for operation, ask := range map[string]func() answer{
		opCreate:        func() answer { return t.createCard(t.cardBody()) },
		opList:          func() answer { return t.listCards("limit=1") },
		opGet:           func() answer { return t.getCard(card) },
		opDelete:        func() answer { return t.deleteCard(card) },
		opToken:         func() answer { return t.createToken(card, t.tokenBody()) },
		opInfo:          func() answer { return t.info(object{"token": card}) },
		opCustomerCards: func() answer { return t.customerCards(card, "") },
		opCustomerCard:  func() answer { return t.customerCard(card, card) },
		opTransactions:  func() answer { return t.transactions(card) },
		opTransact:      func() answer { return t.transact(t.payment(card, 1)) },
		opCapture:       func() answer { return t.capture(uuid, t.ref()) },
		opVoid:          func() answer { return t.void(uuid, t.ref()) },
		opRotate:        func() answer { return t.rotatePIN(card, object{"pin": object{}}) },
		opBatch:         func() answer { return t.batch(body) },
		opActivate:      func() answer { return t.activate(card, object{"amount": 1, "currency": "NOK"}) },
	} {
		see(operation, ask())
	}
}

// opens is a check of every operation with one scope.
func opens(who credential, scope string, operations ...string) Check {
	return rule("identity/scope-"+strings.TrimPrefix(string(who), "token-"),
		scope+" opens the operations that list it, and no other: 403 forbidden.", func(t *trial) {
			allowed := map[string]bool{}
			for _, operation := range operations {
				allowed[operation] = true
			}
			t.by(who).everywhere(func(operation string, a answer) {
				if !allowed[operation] {
					a.refused(forbidden)
				}
				t.want(a.status != http.StatusForbidden && a.status != http.StatusUnauthorized || !allowed[operation], "access to "+operation, a)
			})
		}).with(who).isPublished()
}

// notTrusted is a check that an access token made from the first one is refused.
func notTrusted(name, sentence string, change func(parts []string)) Check {
	return rule("identity/"+name, sentence, func(t *trial) {
		if strings.Count(t.Token, ".") != 2 {
			t.undecide("the access token is no JWT")
		}
		t.bearing(t.forged(change)).listCards("limit=1").refused(unauthorized)
	}).readOnly().isPublished()
}

// decoded is a part of a JWT in the clear.
func decoded(part string) string {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return ""
	}
	return string(text)
}

// identity is about who may do what.
var identity = []Check{
	rule("identity/no-token", "Without an access token every operation is 401 unauthorized, with WWW-Authenticate: Bearer.", func(t *trial) {
		t.bearing("").everywhere(func(_ string, a answer) {
			a.refused(unauthorized)
			t.want(strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer"), "WWW-Authenticate: Bearer", a.header.Get("WWW-Authenticate"))
		})
	}),
	rule("identity/no-token-lists", "Without an access token a list is 401.", func(t *trial) {
		t.bearing("").listCards("limit=1").refused(unauthorized)
	}).readOnly().isPublished(),
	rule("identity/garbage", "An access token that is no JWT is 401.", func(t *trial) {
		for _, garbage := range []string{"x", "a.b.c", "....", strings.Repeat("x", 3000)} {
			t.bearing(garbage).listCards("limit=1").refused(unauthorized)
		}
	}).readOnly().isPublished(),
	rule("identity/other-scheme", "Another scheme than Bearer is 401.", func(t *trial) {
		t.bearing("").sending("Authorization", "Basic "+t.Token).listCards("limit=1").refused(unauthorized)
	}).readOnly(),
	notTrusted("other-signature", "An access token with another signature is 401.", func(parts []string) {
		parts[2] = segment(strings.Repeat("x", len(decoded(parts[2]))))
	}),
	notTrusted("no-signature", "An access token without its signature is 401.", func(parts []string) { parts[2] = "" }),
	notTrusted("alg-none", "An access token with alg none is 401.", func(parts []string) {
		parts[0], parts[2] = segment(`{"alg":"none","typ":"JWT"}`), ""
	}),
	notTrusted("hmac", "An access token signed with HMAC is 401.", func(parts []string) {
		parts[0] = segment(`{"alg":"HS256","typ":"JWT"}`)
		mac := hmac.New(sha256.New, []byte("secret"))
		fmt.Fprintf(mac, "%s.%s", parts[0], parts[1])
		parts[2] = segment(string(mac.Sum(nil)))
	}),
	notTrusted("other-claims", "An access token whose claims were changed is 401.", func(parts []string) {
		parts[1] = segment(strings.Replace(decoded(parts[1]), `"sub":"`, `"sub":"x`, 1))
	}),
	rule("identity/expired", "An expired access token is 401.", func(t *trial) {
		t.by(expired).listCards("limit=1").refused(unauthorized)
	}).readOnly().with(expired).isPublished(),
	rule("identity/other-account", "An access token for one account opens no other: 403 forbidden, for every operation.", func(t *trial) {
		t.by(other).everywhere(func(_ string, a answer) { a.refused(forbidden) })
	}).with(other).isPublished(),
	rule("identity/into-another-account", "Our access token opens no other account.", func(t *trial) {
		foreign := "T00000000"
		if t.Account == foreign {
			foreign = "T00000001"
		}
		t.raw(opList, http.MethodGet, base+"/accounts/"+foreign+"/wallets/cards", nil).refused(forbidden)
	}).readOnly().isPublished(),
	opens(reader, "read:wallets", opList, opGet, opCustomerCards, opCustomerCard, opTransactions),
	opens(writer, "write:wallets", opCreate, opDelete, opToken, opInfo, opTransact, opCapture, opVoid, opRotate, opBatch, opActivate),
	opens(till, "write:wallets:/transactions", opTransact, opCapture, opVoid),
	opens(info, "write:wallets:/info", opInfo),
	opens(customer, "user:wallets"),
	rule("identity/scope-admin", "admin:wallets opens every operation.", func(t *trial) {
		t.everywhere(func(operation string, a answer) {
			t.want(a.status == http.StatusOK || a.status == http.StatusNotFound, "access to "+operation, a)
		})
	}),
	rule("identity/till-by-token-only", "With write:wallets:/transactions alone card_id and type: fund are 403; a payment by token succeeds.", func(t *trial) {
		c := t.newCard(object{"card_token": object{"expires_after_transaction": false}})
		token := c.CardToken.Token.Value
		t.by(till).transact(t.txn(c.CardID, 100)).refused(forbidden)
		t.by(till).transact(t.payment(token, 100, fund)).refused(forbidden)
		t.by(till).transact(t.payment(token, 100)).ok()
		t.stands(c.CardID, figures{funds: 10000, drawdown: 100})
	}).with(till).isPublished(),
	rule("identity/till-captures", "With write:wallets:/transactions a hold can be captured and voided.", func(t *trial) {
		held := t.post(t.newCard().CardID, 100, hold)
		t.by(till).capture(held.ID, t.ref(object{"amount": 1})).ok()
		t.by(till).void(held.ID, t.ref()).ok()
	}).with(till).isPublished(),
	rule("identity/scope-before-request", "The scope for the operation comes before the request is read.", func(t *trial) {
		t.by(reader).rawPost(opTransact, "/transactions", "{").refused(forbidden)
	}).readOnly().with(reader),
	rule("identity/scope-before-media-type", "The scope for the operation comes before the media type.", func(t *trial) {
		t.by(reader).sending("Content-Type", "text/plain").transact(raw("{")).refused(forbidden)
	}).readOnly().with(reader),
	rule("identity/account-before-request", "The account comes before the request is read.", func(t *trial) {
		t.by(other).listCards("limit=0").refused(forbidden)
	}).readOnly().with(other),
	rule("identity/request-before-body-scope", "A request that is not valid is 400 before the scope that its body needs.", func(t *trial) {
		t.by(till).transact(t.txn(t.name(), -1)).refused(invalid)
	}).with(till),
	rule("identity/body-scope-before-card", "The scope that the body needs comes before the card is looked for.", func(t *trial) {
		t.by(till).transact(t.txn(t.name(), 1)).refused(forbidden)
	}).with(till),
	rule("identity/customer-in-person", "user:wallets opens the cards of the customer that is its sub, and of no other.", func(t *trial) {
		claims, err := readClaims(t.bearers[customer])
		if err != nil || claims.Subject == "" {
			t.undecide("the customer's access token cannot be read")
		}
		mine := t.newCard(object{"customer_id": claims.Subject})
		stranger, cards := t.family(1)
		t.by(customer).customerCard(claims.Subject, mine.CardID).ok()
		t.by(customer).customerCards(claims.Subject, "").ok()
		t.by(customer).customerCard(stranger, cards[0].CardID).refused(forbidden)
		t.by(customer).customerCards(stranger, "").refused(forbidden)
	}).with(customer).isPublished(),
	rule("identity/customer-cannot-borrow", "A card of somebody else is 404 under one's own customer_id.", func(t *trial) {
		claims, err := readClaims(t.bearers[customer])
		if err != nil || claims.Subject == "" {
			t.undecide("the customer's access token cannot be read")
		}
		_, cards := t.family(1)
		t.by(customer).customerCard(claims.Subject, cards[0].CardID).refused(notFound)
	}).with(customer).isPublished(),
	rule("identity/accounts-apart", "A card, a token and a transaction of one account do not exist in another.", func(t *trial) {
		foreign, err := readClaims(t.bearers[other])
		if err != nil || foreign.account() == "" || foreign.account() == t.Account {
			t.undecide("the other access token does not name another account")
		}
		c := t.newCard(object{"card_token": object{}})
		held := t.post(c.CardID, 100, hold)
		there := base + "/accounts/" + foreign.account() + "/wallets"
		o := t.by(other)
		o.raw(opGet, http.MethodGet, there+"/cards/"+c.CardID, nil).refused(notFound)
		o.raw(opInfo, http.MethodPost, there+"/info", object{"token": c.CardToken.Token.Value}).refused(notFound)
		o.raw(opTransact, http.MethodPost, there+"/transactions", t.txn(c.CardID, 1)).refused(notFound)
		o.raw(opTransact, http.MethodPost, there+"/transactions", t.payment(c.CardToken.Token.Value, 1)).refused(notFound)
		o.raw(opVoid, http.MethodPost, there+"/transactions/"+held.ID.String()+"/void", t.ref()).refused(notFound)
		o.raw(opDelete, http.MethodDelete, there+"/cards/"+c.CardID, nil).refused(notFound)
		t.stands(c.CardID, figures{funds: 10000, pending: 100})
	}).with(other).isPublished(),
	unknowable("identity/leeway", "The clock leeway is 60 seconds at most.", "it needs tokens that expired at exact times"),
	unknowable("identity/required-claims", "A token without exp or sub is 401.", "it needs the issuer's key"),
	unknowable("identity/foreign-issuer", "A token of another issuer is 401, signed with a good key or not.", "it needs the issuer's key"),
}
