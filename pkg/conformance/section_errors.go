package conformance

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/kortwallet/kort/gen/client"
)

// sentinel is a text that must not come back.
const sentinel = "SENTINEL7f3a"

// points is a check that a refusal of a new card points at a field.
func points(name, sentence, pointer string, more object) Check {
	return rule("errors/"+name, sentence, func(t *trial) {
		items := value(t.createCard(t.cardBody(more)).refused(invalid).Errors)
		t.want(slices.ContainsFunc(items, func(i client.ErrorItem) bool { return i.Pointer == pointer }), "an item at "+pointer, items)
	})
}

// errorBodies is about what a refusal says.
var errorBodies = []Check{
	rule("errors/body", "A refusal is {error: {code, message}} as application/json, for every kind of it.", func(t *trial) {
		for want, a := range map[refusalOf]answer{
			notFound: t.getCard(t.name()), invalid: t.listCards("limit=0"), unauthorized: t.bearing("").listCards("limit=1"),
			wrongMethod: t.raw("", http.MethodPut, t.path("/cards"), nil),
		} {
			a.refused(want)
			t.want(strings.HasPrefix(a.header.Get("Content-Type"), jsonType), jsonType, a.header.Get("Content-Type"))
			body, _ := a.fields()["error"].(object)
			t.want(body["code"] != nil && body["message"] != nil, "code and message", a)
		}
	}).readOnly(),
	points("points-at-the-field", "An item points at the field that is wrong.", "/amount", object{"amount": -1}),
	points("points-at-the-missing-field", "An item points at the field that is missing.", "/currency", object{"currency": nil}),
	points("points-inside", "A pointer leads into objects.", "/pin/format/length", object{"pin": object{"format": object{"length": 1}}}),
	rule("errors/points-at-the-parameter", "An item names the parameter that is wrong.", func(t *trial) {
		items := value(t.listCards("limit=0").refused(invalid).Errors)
		t.want(len(items) == 1 && items[0].Pointer == "limit", "an item for limit", items)
	}).readOnly(),
	rule("errors/no-echo-of-bodies", "A value of a body is never repeated in a refusal.", func(t *trial) {
		for _, body := range []string{
			`{"card_id":"` + sentinel + `","amount":"` + sentinel + `","currency":"` + sentinel + `"}`,
			`{"card_id":"` + sentinel, sentinel, `{"` + sentinel + `":1,"` + sentinel + `":2}`,
			`{"card_id":"` + sentinel + `","amount":1,"currency":"NOK","expires_at":"` + sentinel + `"}`,
		} {
			a := t.rawPost(opCreate, "/cards", body)
			a.refused(invalid)
			t.want(!bytes.Contains(a.body, []byte(sentinel)), "a refusal without the value", a)
		}
	}),
	rule("errors/no-echo-of-queries", "A value of a query is never repeated in a refusal.", func(t *trial) {
		for _, query := range []string{"limit=", "created_at.gte=", "status=", "currency=", "starting_after=", "amount_balance="} {
			a := t.listCards(query + sentinel)
			a.refused(invalid)
			t.want(!bytes.Contains(a.body, []byte(sentinel)), "a refusal without the value", a)
		}
	}).readOnly(),
	rule("errors/no-echo-of-paths", "A card_id is not repeated in a 404.", func(t *trial) {
		a := t.getCard(sentinel + t.name())
		a.refused(notFound)
		t.want(!bytes.Contains(a.body, []byte(sentinel)), "a refusal without the value", a)
	}).readOnly(),
	rule("errors/no-echo-of-secrets", "A token and a PIN are not repeated in a refusal.", func(t *trial) {
		c, token := t.withPIN()
		for _, a := range []answer{
			t.info(object{"token": token, "pin": wrongPIN(c)}), t.transact(t.payment(token, -1)), t.info(object{"token": token + sentinel}),
		} {
			t.want(a.status >= 400, "a refusal", a.status)
			t.want(!bytes.Contains(a.body, []byte(token)) && !bytes.Contains(a.body, []byte(wrongPIN(c))), "no clear value", "one")
		}
	}).isPublished(),
	rule("errors/refusal-changes-nothing", "Refused transactions leave no trace in the history.", func(t *trial) {
		c := t.newCard()
		t.transact(t.txn(c.CardID, 10001))
		t.transact(t.txn(c.CardID, -1))
		t.transact(t.txn(c.CardID, 1, object{"currency": "SEK"}))
		equal(t, "transactions", len(t.history(c.CardID)), 1)
	}).isPublished(),
	unknowable("errors/internal", "An internal error is 500 with a constant text.", "the suite cannot break the server inside"),
	unknowable("errors/overloaded", "A full queue is 503 overloaded with Retry-After.", "the suite does not overload a server"),
	unknowable("errors/rate-limited", "Too many requests are 429 rate_limited with Retry-After.", "it is a setting of the server"),
}

// huge is a body above every limit but that of a batch.
var huge = `{"a":"` + strings.Repeat("x", 1<<20) + `"}`

// order is about which of several faults is answered.
var order = []Check{
	rule("order/path-before-token", "An unknown path is 404 also without an access token.", func(t *trial) {
		t.bearing("").raw("", http.MethodGet, t.path("/vouchers"), nil).refused(notFound)
	}).readOnly(),
	rule("order/method-before-token", "An unknown method is 405 also without an access token.", func(t *trial) {
		t.bearing("").raw("", http.MethodPut, t.path("/cards"), nil).refused(wrongMethod)
	}).readOnly(),
	rule("order/length-before-token", "A declared length above the limit is 413 also without an access token.", func(t *trial) {
		t.bearing("").rawPost(opCreate, "/cards", huge).refused(tooLarge)
	}).readOnly(),
	rule("order/token-before-request", "A request that is not valid is 401 without an access token.", func(t *trial) {
		t.bearing("").listCards("limit=0").refused(unauthorized)
		t.bearing("").rawPost(opTransact, "/transactions", "{").refused(unauthorized)
	}).readOnly(),
	rule("order/media-type-before-json", "The media type comes before the JSON.", func(t *trial) {
		t.sending("Content-Type", "text/plain").createCard(raw("{")).refused(wrongMedia)
	}),
	rule("order/request-before-card", "A request that is not valid is 400 also for an unknown card.", func(t *trial) {
		t.transact(t.txn(t.name(), -1)).refused(invalid)
		t.createToken(t.name(), object{}).refused(invalid)
	}),
	rule("order/card-before-pin", "An unknown card is 404 before its PIN is looked at.", func(t *trial) {
		t.transact(t.txn(t.name(), 1, object{"pin": "123456"})).refused(notFound)
	}),
	rule("order/conflict-before-pin", "A ref_id conflict comes before the PIN.", func(t *trial) {
		c, _ := t.withPIN()
		body := t.txn(c.CardID, 1)
		t.transact(body).ok()
		t.transact(with(body, object{"amount": 2, "pin": wrongPIN(c)})).refused(refConflict)
	}),
	rule("order/pin-before-expired", "The PIN comes before the expiry of the card.", func(t *trial) {
		c, _ := t.withPIN(object{"expires_at": past})
		t.transact(t.txn(c.CardID, 1, object{"pin": wrongPIN(c)})).refused(invalidPIN)
	}),
	rule("order/expired-before-currency", "The expiry of the card comes before its currency.", func(t *trial) {
		t.transact(t.txn(t.newCard(object{"expires_at": past}).CardID, 1, object{"currency": "SEK"})).refused(cardExpired)
	}),
	rule("order/currency-before-active", "The currency comes before active_from.", func(t *trial) {
		t.transact(t.txn(t.newCard(object{"active_from": ahead}).CardID, 1, object{"currency": "SEK"})).refused(otherCurrency)
	}),
	rule("order/active-before-spent-token", "active_from comes before a spent token.", func(t *trial) {
		c := t.newCard(object{"active_from": ahead, "card_token": object{}})
		t.transact(t.payment(c.CardToken.Token.Value, 1, fund)).ok()
		t.transact(t.payment(c.CardToken.Token.Value, 1)).refused(notActiveYet)
	}),
	rule("order/spent-token-before-amount", "A spent token comes before the amount.", func(t *trial) {
		c := t.newCard(object{"card_token": object{}})
		t.transact(t.payment(c.CardToken.Token.Value, 1)).ok()
		t.transact(t.payment(c.CardToken.Token.Value, maxAmount)).refused(tokenUsed)
	}),
	rule("order/closed-before-amount", "A closed hold comes before the amount of a capture.", func(t *trial) {
		held := t.post(t.newCard().CardID, 100, hold)
		t.void(held.ID, t.ref()).ok()
		t.capture(held.ID, t.ref(object{"amount": 101})).refused(notPending)
	}),
	rule("order/expired-before-amount", "The expiry of the card comes before the amount.", func(t *trial) {
		t.transact(t.txn(t.newCard(object{"expires_at": past}).CardID, maxAmount)).refused(cardExpired)
	}),
}

// body is that of a new card with something more, as it is written.
func (t *trial) written(more string) string {
	return fmt.Sprintf(`{"card_id":%q,"amount":1,"currency":"NOK"%s}`, t.id(), more)
}

// misread is a check that a body of a new card is refused.
func misread(name, sentence string, write func(valid string) string) Check {
	return rule("reading/"+name, sentence, func(t *trial) {
		t.rawPost(opCreate, "/cards", write(t.written(""))).refused(invalid)
	})
}

// more is a check that a new card with more members is refused for each of them.
func more(name, sentence string, members ...string) Check {
	return rule("reading/"+name, sentence, func(t *trial) {
		for _, member := range members {
			t.rawPost(opCreate, "/cards", t.written(","+member)).refused(invalid)
		}
	})
}

// badID is a check that ids are refused as a card_id.
func badID(name, sentence string, ids ...string) Check {
	return rule("reading/"+name, sentence, func(t *trial) {
		for _, id := range ids {
			t.createCard(t.cardBody(object{"card_id": id})).refused(invalid)
			t.createCard(t.cardBody(object{"customer_id": id})).refused(invalid)
		}
	})
}

// nested is an object in which objects are nested, itself counted.
func nested(levels int) string {
	return strings.Repeat(`{"a":`, levels-1) + `{}` + strings.Repeat(`}`, levels-1)
}

// reading is about how strictly requests are read.
var reading = []Check{
	misread("no-body", "A body is needed.", func(string) string { return "" }),
	misread("not-json", "A body that is not JSON is refused.", func(string) string { return "amount=1" }).isPublished(),
	misread("cut-off", "A body that is cut off is refused.", func(valid string) string { return valid[:len(valid)-1] }).isPublished(),
	misread("array", "An array in place of an object is refused.", func(valid string) string { return "[" + valid + "]" }).isPublished(),
	misread("second-value", "Nothing may follow the JSON value.", func(valid string) string { return valid + "{}" }),
	misread("trailing-comma", "A trailing comma is refused.", func(valid string) string { return valid[:len(valid)-1] + ",}" }),
	misread("byte-order-mark", "A byte order mark is refused.", func(valid string) string { return "\ufeff" + valid }),
	misread("missing-card-id", "card_id is needed.", func(string) string { return `{"amount":1,"currency":"NOK"}` }).isPublished(),
	more("key-twice", "A key that stands twice is refused, known or not.", `"amount":2`, `"x":1,"x":2`, `"\u0061mount":1`),
	more("key-in-other-case", "A key that equals a known one but for case is refused.", `"AMOUNT":-5`, `"Name":"x"`, `"expire\u017f_at":"x"`),
	more("key-in-other-case-inside", "The same holds inside of objects.", `"pin":{"format":{"LENGTH":4}}`),
	misread("key-in-other-case-alone", "A key in capitals does not stand for the known one.", func(valid string) string {
		return strings.Replace(valid, `"amount"`, `"Amount"`, 1)
	}),
	misread("fraction", "A number with a fraction is no amount.", func(valid string) string { return strings.Replace(valid, ":1,", ":1.5,", 1) }).isPublished(),
	misread("whole-with-a-point", "1.0 is no amount.", func(valid string) string { return strings.Replace(valid, ":1,", ":1.0,", 1) }),
	misread("exponent", "1e3 is no amount.", func(valid string) string { return strings.Replace(valid, ":1,", ":1e3,", 1) }),
	misread("amount-as-text", "A text is no amount.", func(valid string) string { return strings.Replace(valid, ":1,", `:"1",`, 1) }).isPublished(),
	misread("amount-that-wraps", "2^64+1 is refused, not wrapped.", func(valid string) string {
		return strings.Replace(valid, ":1,", ":18446744073709551617,", 1)
	}),
	more("null", "null for an optional field is refused.", `"name":null`, `"metadata":null`, `"expires_at":null`, `"pin":{"format":null}`),
	more("control-characters", "Control characters are refused, in metadata too.", `"name":"a\u0000"`, `"name":"a\nb"`, `"name":"\u007f"`,
		`"name":"\u0085"`, `"metadata":{"a":"\u0007"}`, `"metadata":{"\u0000":1}`),
	more("surrogates", "Lone surrogates are refused.", `"name":"\ud800"`, `"name":"\udc00 x"`, `"metadata":{"a":"\udfff"}`),
	more("utf-8", "Broken UTF-8 is refused.", "\"name\":\"\xff\"", "\"name\":\"\xc0\xaf\"", "\"name\":\"\xed\xa0\x80\""),
	more("dates", "Dates in bodies are RFC 3339 with their zone.", `"expires_at":"2099-06-30"`, `"expires_at":"2099-06-30T12:00:00"`,
		`"expires_at":"2099-02-30T12:00:00Z"`, `"active_from":"soon"`),
	more("enums", "Unknown types and wrong kinds of values are refused.", `"type":"voucher"`, `"name":7`, `"metadata":[]`, `"pin":true`),
	more("metadata-depth", "Metadata has at most 8 levels.", `"metadata":`+nested(9)),
	rule("reading/metadata-eight-levels", "Metadata of 8 levels is accepted.", func(t *trial) {
		t.rawPost(opCreate, "/cards", t.written(`,"metadata":`+nested(8))).ok()
	}),
	more("metadata-size", "Metadata is at most 16 KiB.", `"metadata":{"a":"`+strings.Repeat("x", 16<<10)+`"}`),
	more("long-name", "A name has at most 255 characters.", `"name":"`+strings.Repeat("é", 256)+`"`),
	more("long-origin", "originated_by has at most 255 characters.", `"originated_by":"`+strings.Repeat("é", 256)+`"`),
	more("spaces-around-origin", "originated_by has no white space at its ends.", `"originated_by":" till"`),
	badID("spaces-around", "Ids have no white space at their ends, of any kind.", " a", "a ", "\u00a0a", "a\u3000", "a\u2028"),
	badID("empty", "An id is not empty.", ""),
	badID("dots", "An id is neither one dot nor two.", ".", ".."),
	badID("too-long", "An id has at most 255 characters.", strings.Repeat("é", 256)),
	rule("reading/longest", "An id and a name have up to 255 characters, counted as Unicode.", func(t *trial) {
		id := t.claim("")
		id += strings.Repeat("é", 255-len(id))
		t.ids = append(t.ids, id)
		t.newCard(object{"card_id": id, "name": strings.Repeat("😀", 255)})
		equal(t, "card_id", t.show(id).CardID, id)
	}),
	rule("reading/media-type", "A body that is not declared as application/json is 415.", func(t *trial) {
		for _, media := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json-patch+json"} {
			t.sending("Content-Type", media).createCard(t.cardBody()).refused(wrongMedia)
		}
		t.sending("Content-Type", "application/json; charset=utf-8").createCard(t.cardBody()).ok()
	}),
	rule("reading/body-limit", "A body above 1 MiB is 413.", func(t *trial) {
		t.rawPost(opCreate, "/cards", t.written(`,"x":"`+strings.Repeat("x", 1<<20)+`"`)).refused(tooLarge)
	}),
	rule("reading/batch-limit", "A batch may be up to 8 MiB; above that it is 413.", func(t *trial) {
		padding := func(size int) string { return `,"x":"` + strings.Repeat("x", size) + `"}` }
		t.rawPost(opBatch, "/cards/batch", fmt.Sprintf(`{"cards":[{"card_id":%q}]`, t.id())+padding(2<<20)).ok()
		t.rawPost(opBatch, "/cards/batch", fmt.Sprintf(`{"cards":[{"card_id":%q}]`, t.id())+padding(8<<20)).refused(tooLarge)
	}),
	rule("reading/path-with-control-character", "A control character or broken UTF-8 in a path is a 400.", func(t *trial) {
		for _, id := range []string{"a%00b", "a%0Ab", "%FF", "%C2%85"} {
			t.raw(opGet, http.MethodGet, t.path("/cards/"+id), nil).refused(invalid)
		}
	}).readOnly(),
	rule("reading/path-with-spaces-around", "An id with white space at its ends is a 400 in a path too.", func(t *trial) {
		t.raw(opGet, http.MethodGet, t.path("/cards/%20a"), nil).refused(invalid)
	}).readOnly(),
	rule("reading/query-with-control-character", "A control character or broken UTF-8 in a query is a 400.", func(t *trial) {
		for _, query := range []string{"search=a%00b", "customer=%FF", "search=%0A"} {
			t.listCards(query).refused(invalid)
		}
	}).readOnly(),
	rule("reading/account-pattern", "An account that is not P or T and eight digits is refused.", func(t *trial) {
		for _, account := range []string{"X12345678", "T1234567", "T123456789", "t12345678"} {
			a := t.raw("", http.MethodGet, base+"/accounts/"+account+"/wallets/cards", nil)
			t.want(a.status == 400 || a.status == 403 || a.status == 404, "400, 403 or 404", a)
		}
	}).readOnly().isPublished(),
}
