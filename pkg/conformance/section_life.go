package conformance

import (
	"fmt"
	"strings"

	"github.com/kortwallet/kort/gen/client"
)

// deletion is about the end of cards.
var deletion = []Check{
	rule("deletion/answers-the-card", "Deleting answers 200 and the card, with deleted_at and deleted_by.", func(t *trial) {
		c := t.newCard()
		gone := decode[client.CardDetails](t.deleteCard(c.CardID).ok())
		equal(t, "id", gone.ID, c.ID)
		t.want(gone.DeletedAt != nil && value(gone.DeletedBy) == c.CreatedBy, "deleted_at, and deleted_by "+c.CreatedBy, gone.DeletedAt)
	}),
	rule("deletion/gone", "A deleted card, its transactions and its tokens are 404.", func(t *trial) {
		c := t.newCard(object{"card_token": object{"expires_after_transaction": false}})
		t.deleteCard(c.CardID).ok()
		t.getCard(c.CardID).refused(notFound)
		t.transactions(c.CardID).refused(notFound)
		t.info(object{"token": c.CardToken.Token.Value}).refused(notFound)
		t.transact(t.txn(c.CardID, 1)).refused(notFound)
		t.transact(t.payment(c.CardToken.Token.Value, 1)).refused(notFound)
		t.createToken(c.CardID, t.tokenBody()).refused(notFound)
	}).isPublished(),
	rule("deletion/with-money", "A card with money on it can be deleted, expired or not.", func(t *trial) {
		t.deleteCard(t.newCard().CardID).ok()
		t.deleteCard(t.newCard(object{"expires_at": past}).CardID).ok()
	}),
	rule("deletion/twice", "Deleting again is 404.", func(t *trial) {
		c := t.newCard()
		t.deleteCard(c.CardID).ok()
		t.deleteCard(c.CardID).refused(notFound)
	}).isPublished(),
	rule("deletion/unknown", "Deleting a card that nobody made is 404.", func(t *trial) {
		t.deleteCard(t.name()).refused(notFound)
	}).isPublished(),
	rule("deletion/with-pending", "A card with an open pending transaction is 409 card_has_pending and stays.", func(t *trial) {
		c := t.newCard()
		t.post(c.CardID, 100, hold)
		t.deleteCard(c.CardID).refused(hasPending)
		t.stands(c.CardID, figures{funds: 10000, pending: 100})
	}),
	rule("deletion/after-partial-capture", "A hold that was captured in part is still open.", func(t *trial) {
		c := t.newCard()
		t.take(t.post(c.CardID, 100, hold).ID, 40)
		t.deleteCard(c.CardID).refused(hasPending)
	}),
	rule("deletion/after-void", "Once its holds are closed a card can be deleted.", func(t *trial) {
		c := t.newCard()
		first, second := t.post(c.CardID, 100, hold), t.post(c.CardID, 100, hold)
		t.void(first.ID, t.ref()).ok()
		t.capture(second.ID, t.ref()).ok()
		t.deleteCard(c.CardID).ok()
	}),
	rule("deletion/capture-afterwards", "The transactions of a deleted card cannot be captured: 404.", func(t *trial) {
		c := t.newCard()
		held := t.post(c.CardID, 100, hold)
		t.void(held.ID, t.ref()).ok()
		t.deleteCard(c.CardID).ok()
		t.capture(held.ID, t.ref()).refused(notFound)
		t.void(held.ID, t.ref()).refused(notFound)
	}),
	rule("deletion/listed-on-request", "Lists show deleted cards with include_deleted=true only.", func(t *trial) {
		customer, cards := t.family(2)
		t.deleteCard(cards[1].CardID).ok()
		t.found("customer="+customer, cards[0].CardID)
		t.found("customer="+customer+"&include_deleted=false", cards[0].CardID)
		t.found("customer="+customer+"&include_deleted=true", cardIDs(cards...)...)
		listed := t.list("customer=" + customer + "&include_deleted=true").Cards
		t.want(listed[0].DeletedAt != nil && listed[0].DeletedBy != nil, "deleted_at and deleted_by", "none")
		t.want(listed[1].DeletedAt == nil, "no deleted_at on the other", listed[1].DeletedAt)
	}).isPublished(),
	rule("deletion/card-id-is-free", "The card_id of a deleted card may be given to a new one, which has a history of its own.", func(t *trial) {
		c := t.newCard()
		t.post(c.CardID, 100)
		t.deleteCard(c.CardID).ok()
		second := t.newCard(object{"card_id": c.CardID, "amount": 5})
		t.want(second.ID != c.ID, "another id", second.ID)
		t.stands(c.CardID, figures{funds: 5})
		equal(t, "transactions", len(t.history(c.CardID)), 1)
	}),
	rule("deletion/both-are-listed", "With include_deleted=true a deleted card and the new one under its card_id are both listed.", func(t *trial) {
		c := t.newCard()
		t.deleteCard(c.CardID).ok()
		t.newCard(object{"card_id": c.CardID})
		t.found("search="+c.CardID+"&include_deleted=true", c.CardID, c.CardID)
		t.found("search="+c.CardID, c.CardID)
	}),
	rule("deletion/token-stays-taken", "The token of a deleted card does not open the new one under its card_id.", func(t *trial) {
		c := t.newCard(object{"card_token": object{}})
		t.deleteCard(c.CardID).ok()
		t.newCard(object{"card_id": c.CardID})
		t.info(object{"token": c.CardToken.Token.Value}).refused(notFound)
	}),
	rule("deletion/customer", "A deleted card is 404 for its customer too.", func(t *trial) {
		customer, cards := t.family(1)
		t.deleteCard(cards[0].CardID).ok()
		t.customerCard(customer, cards[0].CardID).refused(notFound)
	}).isPublished(),
}

// batchOf is the body of a batch with some new cards.
func (t *trial) batchOf(size int, more ...object) (body object, ids []string) {
	cards := make([]object, size)
	for i := range cards {
		cards[i] = object{"card_id": t.id()}
		ids = append(ids, cards[i]["card_id"].(string))
	}
	return with(object{"cards": cards}, more...), ids
}

// inactive is a card that was made in a batch.
func (t *trial) inactive(more ...object) client.CardCreated {
	body, _ := t.batchOf(1, more...)
	return decode[client.BatchCreated](t.batch(body).ok()).Cards[0]
}

// batches is about cards that are made to be printed, and are sold later.
var batches = []Check{
	rule("batch/creates-inactive", "A batch makes inactive cards without money and currency, in the order of the request.", func(t *trial) {
		body, ids := t.batchOf(3)
		made := decode[client.BatchCreated](t.batch(body).ok()).Cards
		equal(t, "cards", len(made), 3)
		for i, card := range made {
			equal(t, "card_id", card.CardID, ids[i])
			equal(t, "status", card.Status, client.CardStatusInactive)
			t.want(card.Currency == nil, "no currency", value(card.Currency))
			t.stands(card.CardID, figures{})
		}
	}),
	rule("batch/type", "A card of a batch may be a credit_note.", func(t *trial) {
		c := decode[client.BatchCreated](t.batch(object{"cards": []object{{"card_id": t.id(), "type": "credit_note"}}}).ok()).Cards[0]
		equal(t, "type", c.Type, client.CardTypeCreditNote)
	}),
	rule("batch/options", "options give every card a PIN and a token of its own.", func(t *trial) {
		body, _ := t.batchOf(2, object{"options": object{"pin": object{}, "card_token": object{}}})
		made := decode[client.BatchCreated](t.batch(body).ok()).Cards
		t.want(made[0].CardToken.Token.Value != made[1].CardToken.Token.Value, "two tokens", "one")
		t.info(object{"token": made[1].CardToken.Token.Value, "pin": made[1].Pin.Pin.Value}).ok()
	}),
	rule("batch/no-transactions", "A card of a batch has no transactions.", func(t *trial) {
		equal(t, "transactions", len(t.history(t.inactive().CardID)), 0)
	}),
	rule("batch/existing-card", "A card_id that is taken is 409 card_exists at its place, and no card is made.", func(t *trial) {
		c := t.newCard()
		body, ids := t.batchOf(2)
		body["cards"] = append(body["cards"].([]object), object{"card_id": c.CardID})
		items := value(t.batch(body).refused(cardExists).Errors)
		t.want(len(items) == 1 && strings.HasPrefix(items[0].Pointer, "/cards/2") && value(items[0].ExistingID) == c.ID,
			"one item at /cards/2 that names the card", items)
		t.getCard(ids[0]).refused(notFound)
	}),
	rule("batch/twice-inside", "A card_id that stands twice in the batch is 409 card_exists, and no card is made.", func(t *trial) {
		body, ids := t.batchOf(2)
		body["cards"] = append(body["cards"].([]object), object{"card_id": ids[0]})
		items := value(t.batch(body).refused(cardExists).Errors)
		t.want(len(items) == 1 && strings.HasPrefix(items[0].Pointer, "/cards/2"), "one item at /cards/2", items)
		t.getCard(ids[0]).refused(notFound)
		t.getCard(ids[1]).refused(notFound)
	}),
	refusal("batch/empty", "A batch without cards is refused.", func(t *trial) answer { return t.batch(object{"cards": []object{}}) }),
	refusal("batch/too-many", "A batch of 1001 cards is refused.", func(t *trial) answer {
		cards := make([]object, 1001)
		for i := range cards {
			cards[i] = object{"card_id": fmt.Sprint(t.name(), i)}
		}
		return t.batch(object{"cards": cards})
	}),
	rule("batch/inactive-refuses", "On an inactive card drawdown, pending and fund are 409 card_inactive.", func(t *trial) {
		c := t.inactive()
		for _, kind := range []object{{}, hold, fund} {
			t.transact(t.txn(c.CardID, 0, kind)).refused(cardInactive)
		}
	}),
	rule("batch/inactive-can-be-read", "Reading, /info, tokens, rotating and deleting work on inactive cards.", func(t *trial) {
		c := t.inactive(object{"options": object{"card_token": object{}}})
		equal(t, "status", decode[client.Card](t.info(object{"token": c.CardToken.Token.Value}).ok()).Status, client.CardStatusInactive)
		t.newToken(c.CardID)
		t.rotatePIN(c.CardID, object{"pin": object{}}).ok()
		t.deleteCard(c.CardID).ok()
	}),
	rule("batch/no-currency-filter", "No currency filter finds an inactive card; status=inactive does.", func(t *trial) {
		c := t.inactive()
		t.found("search=" + c.CardID + "&currency=NOK&currency=SEK&currency=DKK&currency=EUR&currency=USD")
		t.found("search="+c.CardID+"&status=inactive", c.CardID)
		t.found("search=" + c.CardID + "&status=unused")
	}),
	rule("activate/makes-a-card", "Activating gives an inactive card its money, currency, customer and name.", func(t *trial) {
		c, customer := t.inactive(), t.name()
		body := object{
			"amount": 500, "currency": "SEK", "customer_id": customer, "name": "Sold", "expires_at": ahead,
			"metadata": object{"receipt": "1"}, "originated_by": "till 1",
		}
		sold := decode[client.CardDetails](t.activate(c.CardID, body).ok())
		equal(t, "status", sold.Status, client.CardStatusUnused)
		equal(t, "currency", value(sold.Currency), client.CurrencySEK)
		equal(t, "customer_id", value(sold.CustomerID), customer)
		equal(t, "name", value(sold.Name), "Sold")
		equal(t, "amount", sold.Amount, 500)
		t.want(sold.ActiveFrom != nil, "active_from", "none")
		t.stands(c.CardID, figures{funds: 500})
		t.post(c.CardID, 100, object{"currency": "SEK"})
	}),
	rule("activate/opening-is-a-fund", "The amount of an activation is a fund whose ref_id is the id of the card.", func(t *trial) {
		c := t.inactive()
		t.activate(c.CardID, object{"amount": 500, "currency": "NOK"}).ok()
		all := t.history(c.CardID)
		t.want(len(all) == 1 && all[0].RefID == c.ID.String() && all[0].Amount == 500, "a fund of 500", all)
	}),
	rule("activate/twice", "A second activation is 409 card_already_active and changes nothing.", func(t *trial) {
		c := t.inactive()
		t.activate(c.CardID, object{"amount": 500, "currency": "NOK"}).ok()
		t.activate(c.CardID, object{"amount": 500, "currency": "NOK"}).refused(alreadyActive)
		t.stands(c.CardID, figures{funds: 500})
	}),
	rule("activate/ordinary-card", "A card that was never inactive cannot be activated.", func(t *trial) {
		t.activate(t.newCard().CardID, object{"amount": 500, "currency": "NOK"}).refused(alreadyActive)
	}),
	rule("activate/unknown", "Activating a card that nobody made is 404.", func(t *trial) {
		t.activate(t.name(), object{"amount": 500, "currency": "NOK"}).refused(notFound)
	}),
	refusal("activate/without-currency", "An activation needs amount and currency.", func(t *trial) answer {
		c := t.inactive()
		t.activate(c.CardID, object{"currency": "NOK"}).refused(invalid)
		return t.activate(c.CardID, object{"amount": 1})
	}),
	rule("activate/expired", "A card may be activated already expired.", func(t *trial) {
		c := t.inactive()
		t.activate(c.CardID, object{"amount": 500, "currency": "NOK", "expires_at": past}).ok()
		equal(t, "status", t.show(c.CardID).Status, client.CardStatusExpired)
		t.stands(c.CardID, figures{funds: 500})
	}),
	rule("activate/active-from", "active_from of an activation is kept, and refuses drawdowns before it.", func(t *trial) {
		c := t.inactive()
		t.activate(c.CardID, object{"amount": 500, "currency": "NOK", "active_from": ahead}).ok()
		t.transact(t.txn(c.CardID, 1)).refused(notActiveYet)
	}),
	rule("activate/token-of-the-batch", "The token of a printed card pays once the card is active.", func(t *trial) {
		c := t.inactive(object{"options": object{"card_token": object{}}})
		token := c.CardToken.Token.Value
		t.transact(t.payment(token, 100)).refused(cardInactive)
		t.activate(c.CardID, object{"amount": 500, "currency": "NOK"}).ok()
		t.transact(t.payment(token, 100)).ok()
	}),
}
