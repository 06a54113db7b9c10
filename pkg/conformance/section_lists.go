package conformance

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kortwallet/kort/gen/client"
)

// found ends the check unless a query finds exactly these cards, in this order.
func (t *trial) found(query string, want ...string) {
	var got []string
	for _, card := range t.list("limit=100&" + query).Cards {
		got = append(got, card.CardID)
	}
	t.want(slices.Equal(got, want), fmt.Sprintf("the cards %v", want), got)
}

// family is some cards of one customer, oldest first, with 100, 200, … on them.
func (t *trial) family(size int, more ...object) (customer string, cards []client.CardCreated) {
	customer = t.name()
	for i := range size {
		cards = append(cards, t.newCard(append([]object{{"customer_id": customer, "amount": (i + 1) * 100}}, more...)...))
	}
	return customer, cards
}

// cardIDs are those of cards, newest first.
func cardIDs(cards ...client.CardCreated) []string {
	var ids []string
	for _, card := range slices.Backward(cards) {
		ids = append(ids, card.CardID)
	}
	return ids
}

// filter is a check that a query, added to that for the customer, finds some of three cards.
func filter(name, sentence, query string, want ...int) Check {
	return rule("lists/"+name, sentence, func(t *trial) {
		customer, cards := t.family(3)
		t.post(cards[1].CardID, 50, hold)
		var chosen []client.CardCreated
		for _, i := range want {
			chosen = append(chosen, cards[i])
		}
		t.found("customer="+customer+"&"+query, cardIDs(chosen...)...)
	}).isPublished()
}

// badQuery is a list with a parameter that must be refused.
func badQuery(name, sentence string, queries ...string) Check {
	return rule("lists/"+name, sentence, func(t *trial) {
		for _, query := range queries {
			t.listCards(query).refused(invalid)
		}
	}).readOnly()
}

// lists is about lists of cards, their pages and filters.
var lists = []Check{
	rule("lists/newest-first", "Cards are listed newest first.", func(t *trial) {
		customer, cards := t.family(4)
		t.found("customer="+customer, cardIDs(cards...)...)
	}),
	rule("lists/pages", "Pages follow each other by starting_after, each card once; the last has none.", func(t *trial) {
		customer, cards := t.family(5)
		var got []string
		cursor, pages := "", 0
		for ; pages < 10; pages++ {
			page := t.list("customer=" + customer + "&limit=2" + cursor)
			for _, card := range page.Cards {
				got = append(got, card.CardID)
			}
			if page.StartingAfter == nil {
				break
			}
			equal(t, "cards on a full page", len(page.Cards), 2)
			cursor = "&starting_after=" + url.QueryEscape(*page.StartingAfter)
		}
		t.want(slices.Equal(got, cardIDs(cards...)), "every card once, newest first", got)
	}).isPublished(),
	rule("lists/last-full-page", "A full page that is the last has no starting_after.", func(t *trial) {
		customer, _ := t.family(2)
		page := t.list("customer=" + customer + "&limit=2")
		t.want(len(page.Cards) == 2 && page.StartingAfter == nil, "two cards and no starting_after", value(page.StartingAfter))
	}),
	rule("lists/cursor-is-an-id", "starting_after of the answer is the id of the last card of the page.", func(t *trial) {
		customer, cards := t.family(3)
		equal(t, "starting_after", value(t.list("customer="+customer+"&limit=2").StartingAfter), cards[1].ID.String())
	}),
	rule("lists/cursor-of-a-deleted-card", "The card of a cursor may have been deleted meanwhile.", func(t *trial) {
		customer, cards := t.family(3)
		t.deleteCard(cards[1].CardID).ok()
		t.found("customer="+customer+"&starting_after="+cards[1].ID.String(), cards[0].CardID)
	}),
	rule("lists/new-cards-do-not-shift", "A card that is created between two pages shifts nothing.", func(t *trial) {
		customer, cards := t.family(3)
		cursor := value(t.list("customer=" + customer + "&limit=1").StartingAfter)
		t.newCard(object{"customer_id": customer})
		t.found("customer="+customer+"&starting_after="+cursor, cards[1].CardID, cards[0].CardID)
	}),
	badQuery("unknown-cursor", "An id that the account does not know is no cursor: 400.", "starting_after="+nobody),
	badQuery("cursor-that-is-no-id", "A cursor that is no id is a 400.", "starting_after=none"),
	rule("lists/default-limit", "A page has 10 cards unless a limit is sent.", func(t *trial) {
		customer, _ := t.family(11)
		page := t.list("customer=" + customer)
		t.want(len(page.Cards) == 10 && page.StartingAfter != nil, "10 cards and starting_after", len(page.Cards))
	}).isPublished(),
	rule("lists/limits", "limit is 1 to 100.", func(t *trial) {
		t.list("limit=1")
		t.list("limit=100")
		t.listCards("limit=0").refused(invalid)
		t.listCards("limit=101").refused(invalid)
	}).readOnly().isPublished(),
	badQuery("malformed", "A malformed parameter is a 400, never a filter dropped.",
		"limit=ten", "limit=1.0", "amount_balance=1e2", "amount_balance.gte=x", "amount_available.lte=-1", "type=voucher",
		"status=new", "currency=XXX", "currency=nok", "include_deleted=yes"),
	badQuery("malformed-dates", "A malformed date is a 400.",
		"created_at.gte=yesterday", "created_at.lte=2026-13-01", "expires_at.gte=2026-02-30", "expires_at.lte=20260630", "created_at.gte=2026-06-30T25:00:00Z"),
	badQuery("empty", "An empty parameter is a 400, never a filter dropped.",
		"search=", "customer=", "status=", "type=", "currency=", "amount_balance=", "created_at.gte=", "limit=", "starting_after=", "include_deleted="),
	badQuery("twice", "The same parameter twice is a 400, currency apart.", "limit=1&limit=2", "status=used&status=unused", "search=a&search=b"),
	rule("lists/unknown-parameters", "Unknown parameters are ignored.", func(t *trial) {
		t.list("limit=1&colour=red")
	}).readOnly(),
	filter("customer", "customer finds the cards of one customer.", "include_deleted=false", 0, 1, 2),
	filter("balance", "amount_balance is exact.", "amount_balance=200", 1),
	filter("balance-gte", "amount_balance.gte is a lower bound, itself included.", "amount_balance.gte=200", 1, 2),
	filter("balance-lte", "amount_balance.lte is an upper bound, itself included.", "amount_balance.lte=200", 0, 1),
	filter("available", "amount_available is exact, and without what is locked.", "amount_available=150", 1),
	filter("available-gte", "amount_available.gte is a lower bound.", "amount_available.gte=151", 2),
	filter("available-lte", "amount_available.lte is an upper bound.", "amount_available.lte=150", 0, 1),
	filter("filters-combine", "Filters combine with AND.", "amount_balance.gte=200&amount_available.lte=150", 1),
	filter("currency", "currency finds the cards in it.", "currency=NOK", 0, 1, 2),
	filter("other-currency", "currency does not find others.", "currency=SEK"),
	filter("several-currencies", "A repeated currency is an OR.", "currency=SEK&currency=NOK", 0, 1, 2),
	filter("created-since", "created_at.gte finds what was created since.", "created_at.gte=2020-01-01", 0, 1, 2),
	filter("created-until", "created_at.lte does not find what was created later.", "created_at.lte=2020-01-01T00:00:00Z"),
	filter("status", "status goes by the drawdown, not by locks.", "status=unused", 0, 1, 2),
	filter("expiry-of-none", "A card without an expiry is not found by expires_at.", "expires_at.gte=2000-01-01"),
	rule("lists/exact-created-at", "created_at bounds are exact to the microsecond, themselves included.", func(t *trial) {
		customer, cards := t.family(2)
		at := url.QueryEscape(cards[1].CreatedAt.UTC().Format(time.RFC3339Nano))
		t.found("customer="+customer+"&created_at.gte="+at, cards[1].CardID)
		t.found("customer="+customer+"&created_at.lte="+at, cardIDs(cards...)...)
	}),
	rule("lists/expires-at", "expires_at bounds find the cards that expire between them.", func(t *trial) {
		customer, cards := t.family(1, object{"expires_at": "2099-06-30T12:00:00Z"})
		for query, there := range map[string]bool{
			"expires_at.gte=2099-06-30T12:00:00Z": true, "expires_at.lte=2099-06-30T12:00:00Z": true,
			"expires_at.gte=2099-06-30T12:00:01Z": false, "expires_at.lte=2099-06-30": false,
		} {
			want := cardIDs(cards...)
			if !there {
				want = nil
			}
			t.found("customer="+customer+"&"+query, want...)
		}
	}).isPublished(),
	rule("lists/dates-without-zone", "A date alone, or without zone, is UTC; a plus that arrives as a space is a plus.", func(t *trial) {
		customer, cards := t.family(1, object{"expires_at": "2099-06-30T00:00:00Z"})
		for _, query := range []string{
			"expires_at.lte=2099-06-30", "expires_at.lte=2099-06-30T00:00:00", "expires_at.lte=2099-06-30T02:00:00+02:00",
			"expires_at.lte=2099-06-30T02:00:00%2B02:00",
		} {
			t.found("customer="+customer+"&"+query, cards[0].CardID)
		}
		t.found("customer=" + customer + "&expires_at.lte=2099-06-30T01:59:59%2B02:00")
	}),
	rule("lists/type", "type finds the cards of that type.", func(t *trial) {
		customer, cards := t.family(1)
		note := t.newCard(object{"customer_id": customer, "type": "credit_note"})
		t.found("customer="+customer+"&type=credit_note", note.CardID)
		t.found("customer="+customer+"&type=gift_card", cards[0].CardID)
	}).isPublished(),
	rule("lists/search-card-id", "search finds a part of the card_id, upper and lower case alike.", func(t *trial) {
		c := t.newCard()
		part := c.CardID[3:]
		t.found("search="+part, c.CardID)
		t.found("search="+strings.ToUpper(part), c.CardID)
	}).isPublished(),
	rule("lists/search-folds-letters", "search folds letters beyond ASCII too.", func(t *trial) {
		c := t.newCard(object{"card_id": t.claim("-ÆØÅ")})
		t.found("search="+url.QueryEscape(strings.TrimSuffix(c.CardID, "ÆØÅ")+"æøå"), c.CardID)
	}),
	rule("lists/search-customer", "search finds a part of the customer_id.", func(t *trial) {
		customer, cards := t.family(1)
		t.found("search="+customer[2:], cards[0].CardID)
	}).isPublished(),
	rule("lists/search-amount", "search finds the exact amount.", func(t *trial) {
		customer, cards := t.family(3)
		t.found("customer="+customer+"&search=200", cards[1].CardID)
	}).isPublished(),
	rule("lists/search-wildcards", "% and _ in search stand for themselves.", func(t *trial) {
		c := t.newCard(object{"card_id": t.claim("a_b%c")})
		t.newCard(object{"card_id": t.claim("aXbYc")})
		stem := strings.TrimSuffix(c.CardID, "a_b%c")
		t.found("search="+url.QueryEscape(stem+"a_b%c"), c.CardID)
		t.found("search=" + url.QueryEscape(stem[:5]+"%"+stem[8:]))
		t.found("search=" + url.QueryEscape(strings.Replace(stem, "-", "_", 1)))
		customer, _ := t.family(1)
		t.found("customer=" + customer + "&search=%25")
		t.found("customer=" + customer + "&search=_")
	}),
	rule("lists/customer-cards", "A customer's cards are a bare array, newest first, without figures.", func(t *trial) {
		customer, cards := t.family(3)
		a := t.customerCards(customer, "").ok()
		var got []string
		for _, card := range decode[[]client.CustomerCard](a) {
			got = append(got, card.CardID)
		}
		t.want(slices.Equal(got, cardIDs(cards...)), "the customer's cards", got)
		t.want(!strings.Contains(string(a.body), "amount"), "no figures", "some")
	}),
	rule("lists/customer-pages", "A customer's cards come in pages of limit, after starting_after.", func(t *trial) {
		customer, cards := t.family(3)
		page := decode[[]client.CustomerCard](t.customerCards(customer, "limit=2").ok())
		equal(t, "cards on the first page", len(page), 2)
		rest := decode[[]client.CustomerCard](t.customerCards(customer, "limit=2&starting_after="+page[1].ID.String()).ok())
		t.want(len(rest) == 1 && rest[0].CardID == cards[0].CardID, "the oldest card", rest)
	}).isPublished(),
	rule("lists/customer-limits", "The list of a customer's cards has the same limits, and refuses the same cursors.", func(t *trial) {
		for _, query := range []string{"limit=0", "limit=101", "limit=x", "starting_after=" + nobody, "starting_after=none", "starting_after="} {
			t.customerCards(t.name(), query).refused(invalid)
		}
	}).readOnly(),
	rule("lists/customer-cursor-of-another", "The card of another customer is no cursor of a customer's list.", func(t *trial) {
		_, foreign := t.family(1)
		customer, _ := t.family(1)
		t.customerCards(customer, "starting_after="+foreign[0].ID.String()).refused(invalid)
	}),
	rule("lists/customer-with-expired", "A customer's list has the expired cards, and not the deleted ones.", func(t *trial) {
		customer, cards := t.family(2, object{"expires_at": past})
		t.deleteCard(cards[0].CardID).ok()
		page := decode[[]client.CustomerCard](t.customerCards(customer, "").ok())
		t.want(len(page) == 1 && page[0].CardID == cards[1].CardID, "the card that was not deleted", page)
	}),
	rule("lists/customer-without-cards", "A customer without cards has an empty array.", func(t *trial) {
		equal(t, "body", strings.TrimSpace(string(t.customerCards(t.name(), "").ok().body)), "[]")
	}).readOnly(),
	rule("lists/customer-card", "A customer's card has figures and tokens, and no opening amount.", func(t *trial) {
		customer, cards := t.family(1, object{"card_token": object{}})
		a := t.customerCard(customer, cards[0].CardID).ok()
		equal(t, "tokens", len(decode[client.CustomerCardState](a).Tokens), 1)
		_, there := a.fields()["amount"]
		t.want(!there, "no field amount", there)
	}),
	rule("lists/card-of-another-customer", "A card under another customer is 404.", func(t *trial) {
		_, cards := t.family(1)
		t.customerCard(t.name(), cards[0].CardID).refused(notFound)
	}).isPublished(),
	rule("lists/nothing-found", "A list that finds nothing is an empty array.", func(t *trial) {
		page := t.list("customer=" + t.name())
		t.want(page.Cards != nil && len(page.Cards) == 0 && page.StartingAfter == nil, "cards: [] and no starting_after", page)
	}).readOnly().isPublished(),
}
