package conformance

import (
	"net/http"
	"slices"

	"github.com/kortwallet/kort/gen/client"
)

// ahead is when cards become active that are not active in our time.
const ahead = "2099-01-01T00:00:00Z"

// transactions is about what may happen to a card.
var transactions = []Check{
	rule("transactions/drawdown", "A transaction without a type is a drawdown, with the fields of the request and no parent.", func(t *trial) {
		body := t.txn(t.newCard().CardID, 100, object{"originated_by": "till 7", "metadata": object{"receipt": "4711"}})
		txn := decode[client.Transaction](t.transact(body).ok())
		equal(t, "type", txn.Type, client.TransactionTypeDrawdown)
		equal(t, "amount", txn.Amount, 100)
		equal(t, "currency", txn.Currency, client.CurrencyNOK)
		equal(t, "ref_id", txn.RefID, body["ref_id"].(string))
		equal(t, "originated_by", value(txn.OriginatedBy), "till 7")
		equal(t, "receipt", value(txn.Metadata)["receipt"], any("4711"))
		t.want(txn.ParentID == nil, "no parent_id", txn.ParentID)
	}).isPublished(),
	rule("transactions/fund", "type: fund makes a fund.", func(t *trial) {
		equal(t, "type", t.post(t.newCard().CardID, 100, fund).Type, client.TransactionTypeFund)
	}).isPublished(),
	rule("transactions/pending", "pending: true makes a pending_capture.", func(t *trial) {
		equal(t, "type", t.post(t.newCard().CardID, 100, hold).Type, client.TransactionTypePendingCapture)
	}).isPublished(),
	refusal("transactions/pending-fund", "A fund cannot be pending.", func(t *trial) answer {
		return t.transact(t.txn(t.newCard().CardID, 100, fund, hold))
	}),
	rule("transactions/capture", "A capture is a new drawdown whose parent is the pending transaction.", func(t *trial) {
		held := t.post(t.newCard().CardID, 100, hold)
		taken := decode[client.Transaction](t.capture(held.ID, t.ref()).ok())
		equal(t, "type", taken.Type, client.TransactionTypeDrawdown)
		equal(t, "parent_id", value(taken.ParentID), held.ID)
		t.want(taken.ID != held.ID, "an id of its own", taken.ID)
	}).isPublished(),
	rule("transactions/capture-without-amount", "A capture without amount takes all that is still locked.", func(t *trial) {
		c := t.newCard()
		held := t.post(c.CardID, 1000, hold)
		t.take(held.ID, 300)
		equal(t, "amount", decode[client.Transaction](t.capture(held.ID, t.ref()).ok()).Amount, 700)
		t.stands(c.CardID, figures{funds: 10000, drawdown: 1000})
	}).isPublished(),
	rule("transactions/several-captures", "A pending transaction can be captured in several parts.", func(t *trial) {
		c := t.newCard()
		held := t.post(c.CardID, 1000, hold)
		for range 3 {
			t.take(held.ID, 200)
		}
		t.stands(c.CardID, figures{funds: 10000, drawdown: 600, pending: 400})
	}),
	rule("transactions/capture-too-much", "A capture of more than is still locked is refused and changes nothing.", func(t *trial) {
		c := t.newCard()
		held := t.post(c.CardID, 1000, hold)
		t.take(held.ID, 300)
		t.capture(held.ID, t.ref(object{"amount": 701})).refused(exceedsReserved)
		t.stands(c.CardID, figures{funds: 10000, drawdown: 300, pending: 700})
	}).isPublished(),
	rule("transactions/capture-twice", "A hold that was captured entirely is closed.", func(t *trial) {
		held := t.post(t.newCard().CardID, 1000, hold)
		t.capture(held.ID, t.ref()).ok()
		t.capture(held.ID, t.ref()).refused(notPending)
	}).isPublished(),
	rule("transactions/void", "A void is a new transaction of the amount that it releases.", func(t *trial) {
		held := t.post(t.newCard().CardID, 1000, hold)
		released := decode[client.Transaction](t.void(held.ID, t.ref()).ok())
		equal(t, "type", released.Type, client.TransactionTypeVoided)
		equal(t, "amount", released.Amount, 1000)
		equal(t, "parent_id", value(released.ParentID), held.ID)
	}).isPublished(),
	rule("transactions/void-twice", "A hold that was voided is closed.", func(t *trial) {
		held := t.post(t.newCard().CardID, 1000, hold)
		t.void(held.ID, t.ref()).ok()
		t.void(held.ID, t.ref()).refused(notPending)
	}).isPublished(),
	rule("transactions/capture-after-void", "A voided hold cannot be captured.", func(t *trial) {
		c := t.newCard()
		held := t.post(c.CardID, 1000, hold)
		t.void(held.ID, t.ref()).ok()
		t.capture(held.ID, t.ref(object{"amount": 1})).refused(notPending)
		t.stands(c.CardID, figures{funds: 10000})
	}).isPublished(),
	rule("transactions/void-after-capture", "A hold that was captured entirely cannot be voided.", func(t *trial) {
		held := t.post(t.newCard().CardID, 1000, hold)
		t.capture(held.ID, t.ref()).ok()
		t.void(held.ID, t.ref()).refused(notPending)
	}).isPublished(),
	rule("transactions/capture-of-a-drawdown", "Only a pending transaction can be captured or voided.", func(t *trial) {
		c := t.newCard()
		drawn := t.post(c.CardID, 1000)
		t.capture(drawn.ID, t.ref()).refused(notPending)
		t.void(drawn.ID, t.ref()).refused(notPending)
		t.void(t.history(c.CardID)[0].ID, t.ref()).refused(notPending)
	}).isPublished(),
	rule("transactions/hold-of-nothing", "A hold of 0 is open until its first capture or void.", func(t *trial) {
		c := t.newCard()
		held := t.post(c.CardID, 0, hold)
		t.deleteCard(c.CardID).refused(hasPending)
		t.capture(held.ID, t.ref()).ok()
		t.void(held.ID, t.ref()).refused(notPending)
	}),
	rule("transactions/capture-of-nothing", "A capture of 0 takes nothing and leaves the hold open.", func(t *trial) {
		c := t.newCard()
		held := t.post(c.CardID, 1000, hold)
		t.take(held.ID, 0)
		t.stands(c.CardID, figures{funds: 10000, pending: 1000})
		t.capture(held.ID, t.ref()).ok()
	}),
	rule("transactions/unknown-hold", "A capture or void of a transaction that nobody made is 404.", func(t *trial) {
		for _, below := range []string{"/capture", "/void"} {
			t.raw("", http.MethodPost, t.path("/transactions/"+nobody+below), t.ref()).refused(notFound)
		}
	}).isPublished(),
	refusal("transactions/hold-that-is-no-uuid", "A transaction_id that is no UUID is a 400.", func(t *trial) answer {
		return t.raw(opCapture, http.MethodPost, t.path("/transactions/none/capture"), t.ref())
	}),
	rule("transactions/unknown-card", "A transaction on a card that nobody made is 404.", func(t *trial) {
		t.transact(t.txn(t.name(), 1)).refused(notFound)
	}).isPublished(),
	refusal("transactions/token-and-card", "A token and a card_id together are a 400.", func(t *trial) answer {
		c := t.newCard(object{"card_token": object{}})
		return t.transact(t.txn(c.CardID, 1, object{"token": c.CardToken.Token.Value}))
	}),
	refusal("transactions/neither-token-nor-card", "Neither a token nor a card_id is a 400.", func(t *trial) answer {
		return t.transact(t.txn("", 1, object{"card_id": nil}))
	}).isPublished(),
	rule("transactions/currency", "A transaction in another currency than the card's is refused.", func(t *trial) {
		c := t.newCard()
		t.transact(t.txn(c.CardID, 1, object{"currency": "SEK"})).refused(otherCurrency)
		t.transact(t.txn(c.CardID, 1, fund, object{"currency": "EUR"})).refused(otherCurrency)
		t.stands(c.CardID, figures{funds: 10000})
	}).isPublished(),
	rule("transactions/every-currency", "NOK, SEK, DKK, EUR and USD are currencies of a card.", func(t *trial) {
		for _, currency := range []string{"NOK", "SEK", "DKK", "EUR", "USD"} {
			c := t.newCard(object{"currency": currency})
			equal(t, "currency", t.post(c.CardID, 1, object{"currency": currency}).Currency, client.Currency(currency))
		}
	}).isPublished(),
	rule("transactions/not-active-yet", "Before active_from a drawdown and a pending transaction are refused.", func(t *trial) {
		c := t.newCard(object{"active_from": ahead})
		t.transact(t.txn(c.CardID, 1)).refused(notActiveYet)
		t.transact(t.txn(c.CardID, 1, hold)).refused(notActiveYet)
		t.stands(c.CardID, figures{funds: 10000})
	}).isPublished(),
	rule("transactions/fund-before-active", "Before active_from a fund is allowed.", func(t *trial) {
		c := t.newCard(object{"active_from": ahead})
		t.post(c.CardID, 1, fund)
		t.stands(c.CardID, figures{funds: 10001})
	}).isPublished(),
	rule("transactions/expired", "On an expired card drawdown, pending and fund are refused.", func(t *trial) {
		c := t.newCard(object{"expires_at": past})
		for _, kind := range []object{{}, hold, fund} {
			t.transact(t.txn(c.CardID, 1, kind)).refused(cardExpired)
		}
		t.stands(c.CardID, figures{funds: 10000})
	}).isPublished(),
	rule("transactions/capture-on-expired", "A hold that was made in time can be captured on an expired card.", func(t *trial) {
		var held client.Transaction
		c := t.soonExpired(func(c client.CardCreated) { held = t.post(c.CardID, 1000, hold) })
		t.take(held.ID, 400)
		t.stands(c.CardID, figures{funds: 10000, drawdown: 400, pending: 600})
	}),
	rule("transactions/void-on-expired", "A hold that was made in time can be voided on an expired card.", func(t *trial) {
		var held client.Transaction
		c := t.soonExpired(func(c client.CardCreated) { held = t.post(c.CardID, 1000, hold) })
		t.void(held.ID, t.ref()).ok()
		t.stands(c.CardID, figures{funds: 10000})
	}),
	rule("transactions/oldest-first", "The transactions of a card are listed in the order in which they happened.", func(t *trial) {
		c := t.newCard()
		want := []client.ObjectID{t.history(c.CardID)[0].ID, t.post(c.CardID, 1).ID, t.post(c.CardID, 2, fund).ID}
		held := t.post(c.CardID, 3, hold)
		want = append(want, held.ID, t.take(held.ID, 1).ID)
		var got []client.ObjectID
		for _, txn := range t.history(c.CardID) {
			got = append(got, txn.ID)
		}
		t.want(slices.Equal(got, want), "transactions in the order of their requests", got)
	}),
	rule("transactions/in-one-piece", "The transactions of a card come in one piece, however many there are.", func(t *trial) {
		const many = 120 // more than any page of a list has
		c := t.newCard(object{"amount": 0})
		for range many {
			t.post(c.CardID, 1, fund)
		}
		equal(t, "transactions", len(t.history(c.CardID)), many)
	}),
	rule("transactions/time-never-runs-back", "created_at never runs backwards within a card.", func(t *trial) {
		c := t.newCard()
		for range 5 {
			t.post(c.CardID, 1)
		}
		all := t.history(c.CardID)
		t.want(len(all) == 6, "6 transactions", len(all))
		t.want(slices.IsSortedFunc(all, func(a, b client.Transaction) int { return a.CreatedAt.Compare(b.CreatedAt) }),
			"created_at in order", "another order")
	}),
	rule("transactions/immutable", "A capture does not change the pending transaction in the list.", func(t *trial) {
		c := t.newCard()
		held := t.post(c.CardID, 1000, hold)
		t.take(held.ID, 400)
		same := t.history(c.CardID)[1]
		equal(t, "id", same.ID, held.ID)
		equal(t, "amount", same.Amount, 1000)
		equal(t, "type", same.Type, client.TransactionTypePendingCapture)
	}),
	rule("transactions/metadata-of-captures", "A capture and a void keep their metadata.", func(t *trial) {
		held := t.post(t.newCard().CardID, 1000, hold)
		note := object{"metadata": object{"a": "b"}}
		taken := decode[client.Transaction](t.capture(held.ID, t.ref(object{"amount": 1}, note)).ok())
		equal(t, "metadata", value(taken.Metadata)["a"], any("b"))
		released := decode[client.Transaction](t.void(held.ID, t.ref(note)).ok())
		equal(t, "metadata", value(released.Metadata)["a"], any("b"))
	}).isPublished(),
	rule("transactions/parallel-drawdowns", "Drawdowns at the same time never take more than there is.", func(t *trial) {
		c := t.newCard(object{"amount": 300})
		statuses := t.atOnce(8, func(t *trial) answer { return t.transact(t.txn(c.CardID, 100)) })
		taken := 0
		for _, status := range statuses {
			t.want(status == http.StatusOK || status == http.StatusConflict || t.Published, "200 or 409", status)
			if status == http.StatusOK {
				taken++
			}
		}
		equal(t, "successful drawdowns", taken, 3)
		t.stands(c.CardID, figures{funds: 300, drawdown: 300})
	}).isPublished(),
	rule("transactions/opening-is-not-pending", "The opening amount cannot be voided.", func(t *trial) {
		c := t.newCard()
		t.void(t.history(c.CardID)[0].ID, t.ref()).refused(notPending)
		t.stands(c.CardID, figures{funds: 10000})
	}),
	rule("transactions/fields-of-the-card", "originated_by of a card comes back.", func(t *trial) {
		equal(t, "originated_by", value(t.newCard(object{"originated_by": "shop 3"}).OriginatedBy), "shop 3")
	}),
}
