package conformance

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/kortwallet/kort/gen/client"
)

// conflict sends a transaction, and again under the same ref_id with something else. The
// second has to be refused, naming the first.
func conflict(name, sentence, pointer string, first, second object) Check {
	return rule("ref_id/"+name, sentence, func(t *trial) {
		body := t.txn(t.newCard().CardID, 100, first)
		made := decode[client.Transaction](t.transact(body).ok())
		refused := t.transact(with(body, second)).refused(refConflict)
		items := value(refused.Errors)
		t.want(len(items) == 1 && strings.HasPrefix(items[0].Pointer, pointer) && value(items[0].ExistingID) == made.ID,
			"one item about "+pointer+" that names "+made.ID.String(), items)
	})
}

// same sends a transaction, and again in other words. The second has to be a replay.
func same(name, sentence string, first, second object) Check {
	return rule("ref_id/"+name, sentence, func(t *trial) {
		c := t.newCard()
		body := t.txn(c.CardID, 100, first)
		made := decode[client.Transaction](t.transact(body).ok())
		equal(t, "id", decode[client.Transaction](t.transact(with(body, second)).replayed()).ID, made.ID)
		equal(t, "transactions", len(t.history(c.CardID)), 2)
	})
}

// again sends a request a second time and wants the first answer, byte by byte.
func (t *trial) again(first answer, ask func() answer) {
	second := ask().replayed()
	t.want(bytes.Equal(first.body, second.body), "the first answer again: "+first.String(), second)
}

// refIDs is about requests that are sent again.
var refIDs = []Check{
	rule("ref_id/replay", "The same transaction again is 200, the first answer and Idempotency-Replayed, and nothing is done.", func(t *trial) {
		c := t.newCard()
		body := t.txn(c.CardID, 100)
		ask := func() answer { return t.transact(body) }
		t.again(ask().fresh(), ask)
		t.stands(c.CardID, figures{funds: 10000, drawdown: 100})
	}),
	rule("ref_id/nothing-twice", "The same transaction again takes nothing a second time.", func(t *trial) {
		c := t.newCard()
		body := t.txn(c.CardID, 100)
		t.transact(body).ok()
		t.transact(body)
		t.stands(c.CardID, figures{funds: 10000, drawdown: 100})
	}).isPublished(),
	rule("ref_id/replay-of-a-fund", "A fund is done once.", func(t *trial) {
		c := t.newCard()
		body := t.txn(c.CardID, 100, fund)
		t.transact(body).fresh()
		t.transact(body).replayed()
		t.stands(c.CardID, figures{funds: 10100})
	}),
	rule("ref_id/replay-of-a-capture", "A capture is done once; its retry succeeds although the hold is closed.", func(t *trial) {
		c := t.newCard()
		held, body := t.post(c.CardID, 1000, hold), t.ref()
		ask := func() answer { return t.capture(held.ID, body) }
		t.again(ask().fresh(), ask)
		t.stands(c.CardID, figures{funds: 10000, drawdown: 1000})
	}),
	rule("ref_id/replay-of-a-void", "A void is done once; its retry succeeds although the hold is closed.", func(t *trial) {
		held, body := t.post(t.newCard().CardID, 1000, hold), t.ref()
		ask := func() answer { return t.void(held.ID, body) }
		t.again(ask().fresh(), ask)
	}),
	rule("ref_id/replay-after-capture", "The retry of a pending transaction succeeds after its capture, and locks nothing.", func(t *trial) {
		c := t.newCard()
		body := t.txn(c.CardID, 1000, hold)
		first := t.transact(body).ok()
		t.capture(decode[client.Transaction](first).ID, t.ref()).ok()
		t.again(first, func() answer { return t.transact(body) })
		t.stands(c.CardID, figures{funds: 10000, drawdown: 1000})
	}),
	rule("ref_id/replay-after-money-is-gone", "A retry succeeds although the money would not be enough.", func(t *trial) {
		c := t.newCard()
		body := t.txn(c.CardID, 6000)
		t.transact(body).ok()
		t.transact(body).replayed()
	}),
	rule("ref_id/replay-after-expiry", "A retry succeeds although the card has expired.", func(t *trial) {
		var body object
		t.soonExpired(func(c client.CardCreated) {
			body = t.txn(c.CardID, 100)
			t.transact(body).ok()
		})
		t.transact(body).replayed()
	}),
	rule("ref_id/replay-by-spent-token", "A retry by token succeeds although the token is spent.", func(t *trial) {
		c := t.newCard(object{"card_token": object{}})
		body := t.payment(c.CardToken.Token.Value, 100)
		t.transact(body).fresh()
		t.transact(body).replayed()
		t.stands(c.CardID, figures{funds: 10000, drawdown: 100})
	}),
	rule("ref_id/replay-by-expired-token", "A retry by token succeeds although the token has expired.", func(t *trial) {
		c := t.newCard()
		token := t.newToken(c.CardID, object{"expires_in": 4, "expires_after_transaction": false})
		body := t.payment(token.Token.Value, 100)
		t.transact(body).ok()
		for t.info(object{"token": token.Token.Value}).status == http.StatusOK {
			t.pause()
		}
		t.transact(body).replayed()
	}),
	rule("ref_id/replay-with-wrong-pin", "A retry is a retry whatever its pin: it is not compared, and not counted.", func(t *trial) {
		c := t.newCard(object{"pin": object{}, "card_token": object{}})
		body := t.payment(c.CardToken.Token.Value, 100, object{"pin": c.Pin.Pin.Value})
		t.transact(body).ok()
		for range 7 {
			t.transact(with(body, object{"pin": wrongPIN(c)})).replayed()
		}
	}),
	rule("ref_id/replay-while-locked", "A retry succeeds although the PIN is locked.", func(t *trial) {
		c, token := t.withPIN()
		body := t.payment(token, 100, object{"pin": c.Pin.Pin.Value})
		t.transact(body).ok()
		t.guess(c, 5)
		t.transact(body).replayed()
	}),
	rule("ref_id/capture-metadata", "The metadata of a capture is compared.", func(t *trial) {
		held, body := t.post(t.newCard().CardID, 1000, hold), t.ref(object{"amount": 1})
		t.capture(held.ID, body).ok()
		t.capture(held.ID, with(body, object{"metadata": object{"a": 1}})).refused(refConflict)
	}),
	rule("ref_id/void-metadata", "The metadata of a void is compared.", func(t *trial) {
		held, body := t.post(t.newCard().CardID, 1000, hold), t.ref(object{"metadata": object{"a": 1}})
		t.void(held.ID, body).ok()
		t.void(held.ID, with(body, object{"metadata": nil})).refused(refConflict)
	}),
	rule("ref_id/replay-on-deleted-card", "On a deleted card a retry is 404.", func(t *trial) {
		c := t.newCard()
		body := t.txn(c.CardID, 100)
		t.transact(body).ok()
		t.deleteCard(c.CardID).ok()
		t.transact(body).refused(notFound)
	}),
	conflict("other-amount", "Another amount under the same ref_id is 409 ref_id_conflict.", "/amount", nil, object{"amount": 101}),
	conflict("other-type", "Another type under the same ref_id is 409 ref_id_conflict.", "/type", nil, fund),
	conflict("other-pending", "A pending transaction is not the drawdown of the same ref_id.", "/pending", nil, hold),
	conflict("other-currency", "Another currency under the same ref_id is a conflict, not a currency_mismatch.", "/currency", nil, object{"currency": "SEK"}),
	conflict("other-metadata", "Metadata is compared.", "/metadata", object{"metadata": object{"a": 1}}, object{"metadata": object{"a": 2}}),
	conflict("metadata-in-depth", "Metadata is compared in full depth.", "/metadata",
		object{"metadata": object{"a": object{"b": []any{1, 2}}}}, object{"metadata": object{"a": object{"b": []any{2, 1}}}}),
	conflict("no-metadata", "No metadata is not the same as some.", "/metadata", object{"metadata": object{"a": 1}}, object{"metadata": nil}),
	conflict("other-origin", "originated_by is compared.", "/originated_by", object{"originated_by": "a"}, object{"originated_by": "b"}),
	same("defaults-are-equal", "A field that is left out equals its default.", nil, object{"type": "drawdown", "pending": false}),
	same("order-of-keys", "Metadata with its keys in another order is the same.",
		object{"metadata": object{"b": 1, "a": 2}}, object{"metadata": json.RawMessage(`{"b":1,"a":2}`)}),
	same("server-owned-fields", "Fields that the server owns, and unknown ones, are not compared.", nil, object{"status": "used", "loyalty": 1}),
	rule("ref_id/several-differences", "A conflict has an item for each field that differs.", func(t *trial) {
		body := t.txn(t.newCard().CardID, 100)
		t.transact(body).ok()
		items := value(t.transact(with(body, fund, object{"amount": 1, "originated_by": "x"})).refused(refConflict).Errors)
		equal(t, "items", len(items), 3)
	}),
	rule("ref_id/conflict-changes-nothing", "A conflict changes nothing.", func(t *trial) {
		c := t.newCard()
		body := t.txn(c.CardID, 100)
		t.transact(body).ok()
		t.transact(with(body, object{"amount": 200})).refused(refConflict)
		t.stands(c.CardID, figures{funds: 10000, drawdown: 100})
	}).isPublished(),
	rule("ref_id/token-is-not-card", "A card addressed by token is another request than by card_id.", func(t *trial) {
		c := t.newCard(object{"card_token": object{"expires_after_transaction": false}})
		body := t.txn(c.CardID, 100)
		t.transact(body).ok()
		t.transact(with(body, object{"card_id": nil, "token": c.CardToken.Token.Value})).refused(refConflict)
	}),
	rule("ref_id/other-token", "Another token of the same card is another request.", func(t *trial) {
		c := t.newCard(object{"card_token": object{}})
		body := t.payment(c.CardToken.Token.Value, 100)
		t.transact(body).ok()
		t.transact(with(body, object{"token": t.newToken(c.CardID).Token.Value})).refused(refConflict)
	}),
	rule("ref_id/capture-amount-is-compared", "A capture without amount differs from one with the equal amount.", func(t *trial) {
		held, body := t.post(t.newCard().CardID, 1000, hold), t.ref()
		t.capture(held.ID, body).ok()
		t.capture(held.ID, with(body, object{"amount": 1000})).refused(refConflict)
	}),
	rule("ref_id/other-hold", "A capture of another hold under the same ref_id is a conflict.", func(t *trial) {
		c := t.newCard()
		first, second, body := t.post(c.CardID, 100, hold), t.post(c.CardID, 100, hold), t.ref()
		t.capture(first.ID, body).ok()
		t.capture(second.ID, body).refused(refConflict)
		t.stands(c.CardID, figures{funds: 10000, drawdown: 100, pending: 100})
	}),
	rule("ref_id/void-is-not-capture", "Captures and voids share the ref_ids of the card.", func(t *trial) {
		held, body := t.post(t.newCard().CardID, 1000, hold), t.ref()
		t.capture(held.ID, with(body, object{"amount": 1})).ok()
		t.void(held.ID, body).refused(refConflict)
	}),
	rule("ref_id/capture-under-its-holds-ref", "A capture under the ref_id of its own hold is a conflict.", func(t *trial) {
		held := t.post(t.newCard().CardID, 1000, hold)
		t.capture(held.ID, object{"ref_id": held.RefID}).refused(refConflict)
	}),
	rule("ref_id/of-the-opening", "The ref_id of the opening amount is taken.", func(t *trial) {
		c := t.newCard()
		t.transact(t.txn(c.CardID, 1, object{"ref_id": c.ID.String()})).refused(refConflict)
	}),
	rule("ref_id/per-card", "The same ref_id on another card is another transaction.", func(t *trial) {
		ref := object{"ref_id": t.name()}
		first, second := t.newCard(), t.newCard()
		t.transact(t.txn(first.CardID, 100, ref)).fresh()
		t.transact(t.txn(second.CardID, 100, ref)).fresh()
	}),
	rule("ref_id/refusal-uses-none", "A refused request uses up no ref_id.", func(t *trial) {
		c := t.newCard()
		body := t.txn(c.CardID, 10001)
		t.transact(body).refused(tooLittle)
		t.transact(with(body, object{"amount": 10000})).fresh()
	}).isPublished(),
	rule("ref_id/refused-then-possible", "A request that was refused succeeds under the same ref_id once it is possible.", func(t *trial) {
		c := t.newCard()
		body := t.txn(c.CardID, 10001)
		t.transact(body).refused(tooLittle)
		t.post(c.CardID, 1, fund)
		t.transact(body).fresh()
	}).isPublished(),
	rule("ref_id/tokens-apart", "Tokens have a key space of their own on each card.", func(t *trial) {
		c, ref := t.newCard(), t.name()
		t.transact(t.txn(c.CardID, 1, object{"ref_id": ref})).fresh()
		t.createToken(c.CardID, object{"ref_id": ref, "expires_in": 60}).fresh()
	}),
	rule("ref_id/case-matters", "ref_ids that differ in upper and lower case are different.", func(t *trial) {
		c, ref := t.newCard(), t.name()
		t.transact(t.txn(c.CardID, 1, object{"ref_id": ref + "a"})).fresh()
		t.transact(t.txn(c.CardID, 1, object{"ref_id": ref + "A"})).fresh()
	}),
	rule("ref_id/after-recreation", "Refs of a deleted card do not carry over to a new one under its card_id.", func(t *trial) {
		c := t.newCard()
		body := t.txn(c.CardID, 100)
		t.transact(body).ok()
		t.deleteCard(c.CardID).ok()
		t.newCard(object{"card_id": c.CardID})
		t.transact(body).fresh()
	}),
	rule("ref_id/parallel", "The same request at the same time is done once, and every caller gets the same transaction.", func(t *trial) {
		c := t.newCard()
		body := t.txn(c.CardID, 100)
		statuses := t.atOnce(6, func(t *trial) answer { return t.transact(body) })
		for _, status := range statuses {
			equal(t, "status", status, http.StatusOK)
		}
		t.stands(c.CardID, figures{funds: 10000, drawdown: 100})
	}),
	refusal("ref_id/missing", "A transaction without ref_id is refused.", func(t *trial) answer {
		return t.transact(t.txn(t.newCard().CardID, 1, object{"ref_id": nil}))
	}).isPublished(),
	refusal("ref_id/empty", "An empty ref_id is refused.", func(t *trial) answer {
		return t.transact(t.txn(t.newCard().CardID, 1, object{"ref_id": ""}))
	}),
	rule("ref_id/longest", "A ref_id has up to 255 characters; one more is a 400.", func(t *trial) {
		c := t.newCard()
		t.transact(t.txn(c.CardID, 1, object{"ref_id": strings.Repeat("é", 255)})).ok()
		t.transact(t.txn(c.CardID, 1, object{"ref_id": strings.Repeat("é", 256)})).refused(invalid)
	}),
}
