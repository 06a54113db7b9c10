package conformance

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/kortwallet/kort/gen/client"
)

// nobody is a transaction that does not exist.
const nobody = "019a2b50-aaaa-7bbb-8ccc-ddddeeeeffff"

// surface is about paths, methods and the fields of cards.
var surface = []Check{
	rule("surface/create-answers-200", "Creating a card answers 200 and the card.", func(t *trial) {
		body := t.cardBody()
		equal(t, "card_id", decode[client.CardCreated](t.createCard(body).ok()).CardID, body["card_id"].(string))
	}).isPublished(),
	rule("surface/create-defaults", "A card is a gift_card and unused unless more is said.", func(t *trial) {
		c := t.newCard()
		equal(t, "type", c.Type, client.CardTypeGiftCard)
		equal(t, "status", c.Status, client.CardStatusUnused)
	}).isPublished(),
	rule("surface/create-keeps-fields", "What a card is created with comes back in the answer and from GET.", func(t *trial) {
		body := t.cardBody(object{
			"customer_id": t.name(), "name": "A name", "type": "credit_note", "originated_by": "till 7",
			"metadata": object{"order": "10042"}, "expires_at": "2099-06-30T22:00:00Z", "active_from": "2020-01-01T00:00:00Z",
		})
		a := t.createCard(body).ok()
		for _, fields := range []object{a.fields(), t.getCard(body["card_id"].(string)).ok().fields()} {
			for name, sent := range body {
				equal(t, name, fmt.Sprint(fields[name]), fmt.Sprint(sent))
			}
		}
	}),
	rule("surface/credit-note", "A card may be a credit_note.", func(t *trial) {
		equal(t, "type", t.newCard(object{"type": "credit_note"}).Type, client.CardTypeCreditNote)
	}).isPublished(),
	rule("surface/created-at-is-now", "created_at is the time of creation.", func(t *trial) {
		age := time.Since(t.newCard().CreatedAt).Abs()
		t.want(age < 10*time.Minute, "created_at within ten minutes of this machine's clock", age)
	}).isPublished(),
	rule("surface/created-by", "created_by is the sub of the access token.", func(t *trial) {
		c := t.newCard()
		if t.claims.Subject == "" {
			t.undecide("the access token cannot be read")
		}
		equal(t, "created_by", c.CreatedBy, t.claims.Subject)
	}),
	rule("surface/card-exists", "A second card under a card_id is 409 card_exists, and existing_id names the first.", func(t *trial) {
		c := t.newCard()
		body := t.createCard(t.cardBody(object{"card_id": c.CardID})).refused(cardExists)
		items := value(body.Errors)
		t.want(len(items) == 1 && value(items[0].ExistingID) == c.ID, "existing_id "+c.ID.String(), items)
	}),
	rule("surface/card-exists-changes-nothing", "A refused creation leaves the card as it was.", func(t *trial) {
		c := t.newCard()
		t.createCard(t.cardBody(object{"card_id": c.CardID, "amount": 1})).refused(cardExists)
		t.stands(c.CardID, figures{funds: 10000})
	}).isPublished(),
	rule("surface/get", "GET shows the card that was made, with tokens as an array.", func(t *trial) {
		c := t.newCard()
		got := t.show(c.CardID)
		equal(t, "id", got.ID, c.ID)
		t.want(got.Tokens != nil && len(got.Tokens) == 0, "tokens: []", got.Tokens)
	}).isPublished(),
	rule("surface/server-owned-fields-are-ignored", "status, deleted_at, id and the like are accepted in a request and ignored.", func(t *trial) {
		c := t.newCard(object{"status": "used", "deleted_at": "2020-01-01T00:00:00Z", "deleted_by": "x", "id": nobody, "amount_balance": 1})
		equal(t, "status", c.Status, client.CardStatusUnused)
		t.want(c.ID.String() != nobody, "an id of the server's own", c.ID)
		t.stands(c.CardID, figures{funds: 10000})
	}).isPublished(),
	rule("surface/unknown-fields-are-ignored", "Fields that nobody knows are accepted and not stored.", func(t *trial) {
		_, there := t.createCard(t.cardBody(object{"loyalty": object{"points": 7}})).ok().fields()["loyalty"]
		t.want(!there, "no field loyalty in the answer", there)
	}),
	rule("surface/left-out-not-null", "Fields without a value are left out of answers.", func(t *trial) {
		fields := t.getCard(t.newCard().CardID).ok().fields()
		for _, name := range []string{"customer_id", "name", "expires_at", "active_from", "pin", "deleted_at", "deleted_by", "originated_by", "metadata"} {
			_, there := fields[name]
			t.want(!there, "no field "+name, there)
		}
	}),
	rule("surface/no-clear-values-on-get", "GET shows neither card_token nor a PIN.", func(t *trial) {
		c := t.newCard(object{"pin": object{}, "card_token": object{}})
		a := t.getCard(c.CardID).ok()
		t.want(!strings.Contains(string(a.body), c.CardToken.Token.Value), "no clear token", "one")
		_, there := a.fields()["card_token"]
		t.want(!there, "no field card_token", there)
	}).isPublished(),
	rule("surface/odd-card-ids", "A card_id may hold spaces, slashes, percent signs, pluses and any letters, and is reached by its path.", func(t *trial) {
		for _, ending := range []string{" with space", "/slash", "%2F", "%", "+plus", "ø漢😀", "?q#f", "a..b", ";x=1"} {
			c := t.newCard(object{"card_id": t.claim(ending)})
			equal(t, "card_id", t.show(c.CardID).CardID, c.CardID)
		}
	}),
	rule("surface/odd-customer-ids", "A customer_id may hold the same characters, and is reached by its path.", func(t *trial) {
		for _, ending := range []string{" with space", "/slash", "%2F", "+plus", "ø漢😀"} {
			customer := t.name() + ending
			c := t.newCard(object{"customer_id": customer})
			equal(t, "customer_id", decode[client.CustomerCardState](t.customerCard(customer, c.CardID).ok()).CustomerID, customer)
		}
	}),
	rule("surface/no-normalisation", "Two spellings of one letter are two card_ids.", func(t *trial) {
		id := t.name()
		t.ids = append(t.ids, id+"é", id+"e\u0301")
		t.newCard(object{"card_id": id + "\u00e9"})
		t.getCard(id + "e\u0301").refused(notFound)
		t.newCard(object{"card_id": id + "e\u0301"})
	}),
	rule("surface/card-ids-differ-by-case", "card_ids that differ in upper and lower case are different cards.", func(t *trial) {
		c := t.newCard(object{"card_id": t.claim("a")})
		t.getCard(strings.TrimSuffix(c.CardID, "a") + "A").refused(notFound)
	}),
	rule("surface/metadata-comes-back", "Metadata comes back exactly; large numbers keep their digits.", func(t *trial) {
		id := t.id()
		metadata := `{"big":12345678901234567890123,"exact":0.1000000000000000055511151231257827,"nested":{"list":[1,"two",null,true]},"ø":"漢"}`
		a := t.createCard(raw(fmt.Sprintf(`{"card_id":%q,"amount":1,"currency":"NOK","metadata":%s}`, id, metadata))).ok()
		want := fmt.Sprint(answer{t: t, body: []byte(metadata)}.fields())
		equal(t, "metadata", fmt.Sprint(a.fields()["metadata"]), want)
		equal(t, "metadata of GET", fmt.Sprint(t.getCard(id).ok().fields()["metadata"]), want)
	}),
	rule("surface/unknown-card", "A card that nobody made is 404.", func(t *trial) {
		t.getCard(t.name()).refused(notFound)
	}).readOnly().isPublished(),
	rule("surface/transactions-of-unknown-card", "The transactions of a card that nobody made are 404.", func(t *trial) {
		t.transactions(t.name()).refused(notFound)
	}).readOnly().isPublished(),
	rule("surface/unknown-path", "A path that the API does not have is 404 in the form of every error.", func(t *trial) {
		t.raw("", http.MethodGet, t.path("/vouchers"), nil).refused(notFound)
	}).readOnly(),
	rule("surface/unknown-method", "A method that a path does not have is 405.", func(t *trial) {
		t.raw("", http.MethodPut, t.path("/cards"), nil).refused(wrongMethod)
		t.raw("", http.MethodPatch, t.path("/cards/"+t.name()), nil).refused(wrongMethod)
	}).readOnly(),
	rule("surface/get-of-transactions", "There is no list of all transactions of an account: 405.", func(t *trial) {
		t.raw("", http.MethodGet, t.path("/transactions"), nil).refused(wrongMethod)
	}).readOnly(),
	rule("surface/card-called-batch", "A GET of a card called batch or info looks for a card.", func(t *trial) {
		for _, id := range []string{"batch", "info"} {
			a := t.getCard(id)
			t.want(a.status == http.StatusOK || a.status == http.StatusNotFound, "200 or 404", a)
		}
	}).readOnly(),
	rule("surface/request-id", "Every answer carries an X-Request-Id; a sane one of the client comes back.", func(t *trial) {
		t.want(t.listCards("limit=1").header.Get("X-Request-Id") != "", "a header X-Request-Id", "none")
		mine := "conformance.run-1_a"
		equal(t, "X-Request-Id", t.sending("X-Request-Id", mine).listCards("limit=1").header.Get("X-Request-Id"), mine)
	}).readOnly(),
	rule("surface/request-id-of-errors", "A refusal carries an X-Request-Id too.", func(t *trial) {
		t.want(t.getCard(t.name()).header.Get("X-Request-Id") != "", "a header X-Request-Id", "none")
	}).readOnly(),
	rule("surface/request-id-not-sane", "An X-Request-Id with other characters is replaced.", func(t *trial) {
		got := t.sending("X-Request-Id", "a b<script>").listCards("limit=1").header.Get("X-Request-Id")
		t.want(got != "" && !strings.Contains(got, "script"), "another X-Request-Id", got)
	}).readOnly(),
}
