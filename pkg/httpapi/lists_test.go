package httpapi_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// cardIDs are the card_ids of a page.
func cardIDs(cards []any) []string {
	var ids []string
	for _, card := range cards {
		ids = append(ids, card.(object)["card_id"].(string))
	}
	return ids
}

func TestPaging(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		var made []string
		for i := range 25 {
			id := fmt.Sprintf("card %02d", i)
			a.card(t, object{"card_id": id, "customer_id": "c"})
			made = append(made, id)
		}
		slices.Reverse(made)
		for query, sizes := range map[string][]int{
			"": {10, 10, 5}, "limit=25": {25}, "limit=5": {5, 5, 5, 5, 5}, "limit=24": {24, 1}, "limit=100": {25}, "limit=1&search=card%200": nil,
		} {
			var got []string
			var pages []int
			for after := ""; ; {
				page := a.must(t, listCards(strings.Trim(query+"&"+after, "&")))
				ids := cardIDs(page["cards"].([]any))
				got, pages = append(got, ids...), append(pages, len(ids))
				next, more := page["starting_after"].(string)
				if !more {
					break
				}
				after = "starting_after=" + next
			}
			want := made
			if sizes == nil { // a filter that finds the first ten
				want, sizes = made[15:], slices.Repeat([]int{1}, 10)
			}
			if !slices.Equal(got, want) || !slices.Equal(pages, sizes) {
				t.Errorf("%q: got pages %v with %v", query, pages, got)
			}
		}
	})
}

// A customer's list has no cursor: the last item's id is the next one.
func TestPagingOfACustomer(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		for i := range 7 {
			a.card(t, object{"card_id": fmt.Sprint(i), "customer_id": "c"})
			a.card(t, object{"card_id": fmt.Sprint(100 + i), "customer_id": "other"})
		}
		var got []string
		after := ""
		for {
			page := a.want(t, ok, listCustomerCards("c", "limit=3"+after)).list(t)
			for _, card := range page {
				got = append(got, card["card_id"].(string))
			}
			if len(page) < 3 {
				break
			}
			after = "&starting_after=" + page[2]["id"].(string)
		}
		if strings.Join(got, "") != "6543210" {
			t.Errorf("the pages list %v", got)
		}
		foreign := a.card(t, object{"customer_id": "other"})
		a.want(t, "invalid_request", listCustomerCards("c", "starting_after="+foreign["id"].(string)))
		a.must(t, deleteCard("3"))
		page := a.want(t, ok, listCustomerCards("c", "limit=3"+after)).list(t)
		if len(page) != 1 || page[0]["card_id"] != "0" {
			t.Errorf("after a cursor whose card was deleted, or near it: %v", page)
		}
		if got := len(a.want(t, ok, listCustomerCards("c", "")).list(t)); got != 6 {
			t.Errorf("the customer has %d cards, want 6", got)
		}
		if got := a.want(t, ok, listCustomerCards("nobody", "")); string(got.body) != "[]\n" {
			t.Errorf("nobody's list is %s", got.body)
		}
	})
}

// A cursor may have been deleted since.
func TestPagingAfterADeletedCard(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		for i := range 4 {
			a.card(t, object{"card_id": fmt.Sprint(i)})
		}
		page := a.must(t, listCards("limit=2"))
		a.must(t, deleteCard("2"))
		next := a.must(t, listCards("limit=2&starting_after="+page["starting_after"].(string)))
		if got := cardIDs(next["cards"].([]any)); !slices.Equal(got, []string{"1", "0"}) {
			t.Errorf("the next page is %v", got)
		}
		upper := strings.ToUpper(page["starting_after"].(string))
		a.must(t, listCards("starting_after="+upper))
	})
}

func TestFilters(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		a.must(t, createBatch(object{"cards": []object{{"card_id": "inactive", "type": "credit_note"}}}))
		a.later(time.Hour)
		a.card(t, object{"card_id": "expired", "expires_at": start, "amount": 3, "currency": "SEK"})
		a.later(time.Hour)
		a.card(t, object{"card_id": "unused", "customer_id": "Größe_1%", "amount": 0})
		a.later(time.Hour)
		part := a.card(t, object{"card_id": "part", "customer_id": "ΣΊΣΥΦΟΣ", "currency": "EUR"})
		a.must(t, transact(a.txn(part, 300, object{"currency": "EUR"})))
		a.must(t, transact(a.txn(part, 700, object{"currency": "EUR", "pending": true})))
		used := a.card(t, object{"card_id": "used", "type": "credit_note", "expires_at": start.Add(24 * time.Hour)})
		a.must(t, transact(a.txn(used, 10_000)))
		a.card(t, object{"card_id": "deleted"})
		a.must(t, deleteCard("deleted"))

		for query, want := range map[string]string{
			"":                                      "used part unused expired inactive",
			"include_deleted=false":                 "used part unused expired inactive",
			"include_deleted=true":                  "deleted used part unused expired inactive",
			"status=inactive":                       "inactive",
			"status=expired":                        "expired",
			"status=unused":                         "unused",
			"status=partially_used":                 "part",
			"status=used":                           "used",
			"type=credit_note":                      "used inactive",
			"currency=NOK":                          "used unused",
			"currency=SEK&currency=EUR":             "part expired",
			"currency=USD":                          "",
			"amount_balance=9700":                   "part",
			"amount_balance.gte=1":                  "part expired",
			"amount_balance.lte=3":                  "used unused expired inactive",
			"amount_available=9000":                 "part",
			"amount_available.gte=9001":             "",
			"amount_available.lte=0":                "used unused inactive",
			"amount_balance=3&amount_balance.lte=2": "",
			"amount_balance=3&amount_balance.gte=4": "",
			"amount_balance=3&amount_balance.gte=1&amount_balance.lte=9": "expired",
			"search=USE":          "used unused",
			"search=10000":        "used part",
			"search=größe_":       "unused",
			"search=GRÖSSE_1%25":  "unused",
			"search=%25":          "unused",
			"search=_":            "unused",
			"search=σίσυφος":      "part",
			"customer=Größe_1%25": "unused",
			"customer=größe_1%25": "",
			"created_at.gte=2026-06-30T11:15:00.123456Z":       "used part unused",
			"created_at.lte=2026-06-30T09:15:00.123456Z":       "inactive",
			"created_at.lte=2026-06-30T09:15:00.123455Z":       "",
			"created_at.gte=2026-07-01":                        "",
			"created_at.lte=2026-07-01":                        "used part unused expired inactive",
			"created_at.gte=2026-06-30T13:15:00+02:00":         "used part unused",
			"created_at.gte=2026-06-30T13:15:00%2B02:00":       "used part unused",
			"created_at.gte=2026-06-30T11:15:00":               "used part unused",
			"created_at.gte=2026-06-30T11:16":                  "used part",
			"expires_at.gte=2026-06-30":                        "used expired",
			"expires_at.lte=2026-06-30T23:59:59Z":              "expired",
			"expires_at.gte=2026-06-30&status=used&search=use": "used",
			"status=used&currency=SEK":                         "",
		} {
			page := a.must(t, listCards(escapeQuery(query)))
			if got := strings.Join(cardIDs(page["cards"].([]any)), " "); got != want {
				t.Errorf("%q: got %q, want %q", query, got, want)
			}
			if _, more := page["starting_after"]; more {
				t.Errorf("%q: the last page has a cursor", query)
			}
		}
	})
}

// escapeQuery escapes what is not ASCII and leaves the rest as a client wrote it.
func escapeQuery(query string) string {
	var escaped strings.Builder
	for _, r := range query {
		if r < 0x80 {
			escaped.WriteRune(r)
		} else {
			escaped.WriteString(url.QueryEscape(string(r)))
		}
	}
	return escaped.String()
}

// What a list says of a card is what the card says of itself.
func TestListsAgreeWithCards(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		card := a.card(t, object{
			"customer_id": "c", "name": "n", "originated_by": "o", "metadata": object{"a": 1}, "pin": object{}, "card_token": object{},
			"active_from": start, "expires_at": start.Add(time.Hour), "type": "credit_note",
		})
		a.hold(t, card, 10)
		alone := a.must(t, getCard(card["card_id"]))
		listed := a.must(t, listCards(""))["cards"].([]any)[0].(object)
		if fmt.Sprint(listed) != fmt.Sprint(without(alone, "tokens")) {
			t.Errorf("the card is %v, the list has %v", alone, listed)
		}
		ofCustomer := a.must(t, getCustomerCard("c", card["card_id"]))
		if fmt.Sprint(ofCustomer) != fmt.Sprint(without(alone, "amount")) {
			t.Errorf("the card is %v, the customer's is %v", alone, ofCustomer)
		}
		inList := a.want(t, ok, listCustomerCards("c", "")).list(t)[0]
		bare := without(alone, "tokens", "currency", "amount", "amount_balance", "amount_available", "amount_funds",
			"amount_drawdown", "amount_pending", "amount_reserved")
		if fmt.Sprint(inList) != fmt.Sprint(bare) {
			t.Errorf("the card is %v, the customer's list has %v", bare, inList)
		}
		byToken := a.must(t, info(object{"token": clearToken(card)}))
		if fmt.Sprint(byToken) != fmt.Sprint(without(alone, "tokens")) {
			t.Errorf("the card is %v, by token it is %v", alone, byToken)
		}
	})
}
