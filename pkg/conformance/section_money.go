package conformance

import (
	"time"

	"github.com/kortwallet/kort/gen/client"
)

// maxAmount is 2^53-1, the largest amount.
const maxAmount = 1<<53 - 1

// money is about the figures of a card.
var money = []Check{
	rule("money/opening", "The opening amount is the amount, the funds, the balance and what is available.", func(t *trial) {
		c := t.newCard()
		equal(t, "amount", c.Amount, 10000)
		t.stands(c.CardID, figures{funds: 10000})
	}).isPublished(),
	rule("money/opening-is-a-fund", "The opening amount is the first transaction, a fund whose ref_id is the id of the card.", func(t *trial) {
		c := t.newCard()
		all := t.history(c.CardID)
		t.want(len(all) == 1, "one transaction", len(all))
		equal(t, "type", all[0].Type, client.TransactionTypeFund)
		equal(t, "amount", all[0].Amount, 10000)
		equal(t, "ref_id", all[0].RefID, c.ID.String())
	}),
	rule("money/opening-of-nothing", "A card created with 0 has no transaction.", func(t *trial) {
		all := t.history(t.newCard(object{"amount": 0}).CardID)
		t.want(len(all) == 0, "an empty list", len(all))
	}),
	rule("money/fund", "A fund adds to funds, balance and available; amount stays.", func(t *trial) {
		c := t.newCard()
		t.post(c.CardID, 500, fund)
		t.stands(c.CardID, figures{funds: 10500})
		equal(t, "amount", t.show(c.CardID).Amount, 10000)
	}).isPublished(),
	rule("money/drawdown", "A drawdown adds to drawdown and takes from balance and available.", func(t *trial) {
		c := t.newCard()
		t.post(c.CardID, 300)
		t.stands(c.CardID, figures{funds: 10000, drawdown: 300})
	}).isPublished(),
	rule("money/pending", "A pending transaction leaves the balance and takes from what is available.", func(t *trial) {
		c := t.newCard()
		t.post(c.CardID, 1000, hold)
		t.stands(c.CardID, figures{funds: 10000, pending: 1000})
	}).isPublished(),
	rule("money/partial-capture", "A partial capture takes its part; the rest stays locked.", func(t *trial) {
		c := t.newCard()
		t.take(t.post(c.CardID, 1000, hold).ID, 300)
		t.stands(c.CardID, figures{funds: 10000, drawdown: 300, pending: 700})
	}).isPublished(),
	rule("money/void-the-rest", "A void after a partial capture releases the rest.", func(t *trial) {
		c := t.newCard()
		held := t.post(c.CardID, 1000, hold)
		t.take(held.ID, 300)
		released := decode[client.Transaction](t.void(held.ID, t.ref()).ok())
		equal(t, "amount of the void", released.Amount, 700)
		t.stands(c.CardID, figures{funds: 10000, drawdown: 300})
	}),
	rule("money/two-holds", "Pending is the sum of what all open holds lock.", func(t *trial) {
		c := t.newCard()
		t.post(c.CardID, 1000, hold)
		second := t.post(c.CardID, 2000, hold)
		t.stands(c.CardID, figures{funds: 10000, pending: 3000})
		t.void(second.ID, t.ref()).ok()
		t.stands(c.CardID, figures{funds: 10000, pending: 1000})
	}),
	rule("money/all-of-it", "A drawdown may take all that is available.", func(t *trial) {
		c := t.newCard()
		t.post(c.CardID, 10000)
		t.stands(c.CardID, figures{funds: 10000, drawdown: 10000})
	}).isPublished(),
	rule("money/insufficient", "A drawdown of more than is available is refused and changes nothing.", func(t *trial) {
		c := t.newCard()
		t.transact(t.txn(c.CardID, 10001)).refused(tooLittle)
		t.stands(c.CardID, figures{funds: 10000})
	}).isPublished(),
	rule("money/locked-is-not-available", "What is locked cannot be drawn.", func(t *trial) {
		c := t.newCard()
		t.post(c.CardID, 6000, hold)
		t.transact(t.txn(c.CardID, 4001)).refused(tooLittle)
		t.transact(t.txn(c.CardID, 4001, hold)).refused(tooLittle)
		t.post(c.CardID, 4000)
	}).isPublished(),
	rule("money/pending-insufficient", "A pending transaction of more than is available is refused.", func(t *trial) {
		c := t.newCard()
		t.transact(t.txn(c.CardID, 10001, hold)).refused(tooLittle)
		t.stands(c.CardID, figures{funds: 10000})
	}).isPublished(),
	rule("money/exact-largest", "2^53-1 comes back with every digit.", func(t *trial) {
		c := t.newCard(object{"amount": maxAmount})
		t.stands(c.CardID, figures{funds: maxAmount})
	}),
	rule("money/overflow", "A fund that would pass 2^53-1 is 409 amount_overflow and changes nothing.", func(t *trial) {
		c := t.newCard(object{"amount": maxAmount})
		t.transact(t.txn(c.CardID, 1, fund)).refused(overflow)
		t.stands(c.CardID, figures{funds: maxAmount})
	}),
	rule("money/overflow-counts-funds", "amount_funds stays in range too, whatever was drawn.", func(t *trial) {
		c := t.newCard(object{"amount": maxAmount})
		t.post(c.CardID, maxAmount)
		t.transact(t.txn(c.CardID, 1, fund)).refused(overflow)
	}),
	refusal("money/too-large", "2^53 is not an amount.", func(t *trial) answer {
		return t.createCard(t.cardBody(object{"amount": maxAmount + 1}))
	}),
	refusal("money/negative", "A negative amount is refused.", func(t *trial) answer {
		return t.transact(t.txn(t.newCard().CardID, -1))
	}).isPublished(),
	rule("money/nothing", "0 is an amount like any other, for every kind of transaction.", func(t *trial) {
		c := t.newCard(object{"amount": 0})
		t.post(c.CardID, 0)
		t.post(c.CardID, 0, fund)
		t.post(c.CardID, 0, hold)
		t.stands(c.CardID, figures{})
	}),
	rule("money/history-explains-the-balance", "The transactions of a card add up to its figures.", func(t *trial) {
		c := t.newCard()
		t.post(c.CardID, 500, fund)
		t.post(c.CardID, 1200)
		held := t.post(c.CardID, 1000, hold)
		t.take(held.ID, 400)
		t.void(held.ID, t.ref()).ok()
		var sum figures
		for _, txn := range t.history(c.CardID) {
			switch txn.Type {
			case client.TransactionTypeFund:
				sum.funds += txn.Amount
			case client.TransactionTypeDrawdown:
				sum.drawdown += txn.Amount
			case client.TransactionTypePendingCapture, client.TransactionTypeVoided:
			}
		}
		t.stands(c.CardID, sum)
		equal(t, "sum", sum, figures{funds: 10500, drawdown: 1600})
	}).isPublished(),
	rule("money/same-in-every-view", "A list, a customer's view and /info show the same figures as GET.", func(t *trial) {
		customer := t.name()
		c := t.newCard(object{"customer_id": customer, "card_token": object{}})
		t.post(c.CardID, 1000, hold)
		t.post(c.CardID, 300)
		want := t.show(c.CardID)
		listed := t.list("customer=" + customer).Cards
		t.want(len(listed) == 1, "one card", len(listed))
		seen := decode[client.Card](t.info(object{"token": c.CardToken.Token.Value}).ok())
		theirs := decode[client.CustomerCardState](t.customerCard(customer, c.CardID).ok())
		for _, got := range [][3]int64{
			{listed[0].AmountBalance, listed[0].AmountAvailable, listed[0].AmountPending},
			{seen.AmountBalance, seen.AmountAvailable, seen.AmountPending},
			{theirs.AmountBalance, theirs.AmountAvailable, theirs.AmountPending},
		} {
			equal(t, "balance, available, pending", got, [3]int64{want.AmountBalance, want.AmountAvailable, want.AmountPending})
		}
	}),
}

// past is when cards expired that may never have been valid.
const past = "2020-01-01T00:00:00Z"

// soonExpired is a card that expires in a moment, after something was done with it.
func (t *trial) soonExpired(do func(client.CardCreated)) client.CardCreated {
	const valid = 4 * time.Second
	c := t.newCard(object{"expires_at": time.Now().Add(valid).UTC().Format(time.RFC3339Nano)})
	do(c)
	for t.show(c.CardID).Status != client.CardStatusExpired {
		t.pause()
	}
	return c
}

// pause waits a moment, at most as long as the check has.
func (t *trial) pause() {
	select {
	case <-time.After(waitStep):
	case <-t.ctx.Done():
		t.fail("that it is over in time", "it is not")
	}
}

// status is about what a card is said to be.
var status = []Check{
	rule("status/unused", "A card from which nothing was drawn is unused, funded or not.", func(t *trial) {
		c := t.newCard()
		t.post(c.CardID, 500, fund)
		equal(t, "status", t.show(c.CardID).Status, client.CardStatusUnused)
	}).isPublished(),
	rule("status/partially-used", "A card from which a part was drawn is partially_used.", func(t *trial) {
		c := t.newCard()
		t.post(c.CardID, 1)
		equal(t, "status", t.show(c.CardID).Status, client.CardStatusPartiallyUsed)
	}).isPublished(),
	rule("status/used", "A card from which all was drawn is used.", func(t *trial) {
		c := t.newCard()
		t.post(c.CardID, 10000)
		equal(t, "status", t.show(c.CardID).Status, client.CardStatusUsed)
	}).isPublished(),
	rule("status/used-and-funded", "A used card that is funded again is partially_used.", func(t *trial) {
		c := t.newCard()
		t.post(c.CardID, 10000)
		t.post(c.CardID, 1, fund)
		equal(t, "status", t.show(c.CardID).Status, client.CardStatusPartiallyUsed)
	}),
	rule("status/empty-from-the-start", "A card of 0 from which nothing was drawn is unused.", func(t *trial) {
		equal(t, "status", t.newCard(object{"amount": 0}).Status, client.CardStatusUnused)
	}),
	rule("status/a-lock-is-no-use", "A pending transaction does not make a card used; its capture does.", func(t *trial) {
		c := t.newCard()
		held := t.post(c.CardID, 10000, hold)
		equal(t, "status", t.show(c.CardID).Status, client.CardStatusUnused)
		t.take(held.ID, 1)
		equal(t, "status", t.show(c.CardID).Status, client.CardStatusPartiallyUsed)
	}),
	rule("status/created-expired", "A card may be created already expired, with its opening amount.", func(t *trial) {
		c := t.newCard(object{"expires_at": past})
		equal(t, "status", c.Status, client.CardStatusExpired)
		t.stands(c.CardID, figures{funds: 10000})
	}),
	rule("status/expired-comes-first", "A card that was used and has expired is expired.", func(t *trial) {
		t.soonExpired(func(c client.CardCreated) { t.post(c.CardID, 10000) })
	}),
	rule("status/not-yet-expired", "A card with an expiry ahead is not expired.", func(t *trial) {
		equal(t, "status", t.newCard(object{"expires_at": "2099-01-01T00:00:00Z"}).Status, client.CardStatusUnused)
	}).isPublished(),
	rule("status/filter-agrees", "The status filter finds a card under its status and under no other.", func(t *trial) {
		customer := t.name()
		used := t.newCard(object{"customer_id": customer})
		t.post(used.CardID, 10000)
		part := t.newCard(object{"customer_id": customer})
		t.post(part.CardID, 1)
		for want, id := range map[client.CardStatus]string{
			client.CardStatusUsed: used.CardID, client.CardStatusPartiallyUsed: part.CardID,
			client.CardStatusUnused:  t.newCard(object{"customer_id": customer}).CardID,
			client.CardStatusExpired: t.newCard(object{"customer_id": customer, "expires_at": past}).CardID,
		} {
			t.found("customer="+customer+"&status="+string(want), id)
		}
	}),
}
