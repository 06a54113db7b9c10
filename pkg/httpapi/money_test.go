package httpapi_test

import (
	"fmt"
	"testing"
)

// figures are a card's amounts in the order of the table in the contract.
func figures(card object) string {
	return fmt.Sprintf("%v %v %v %v %v %v %v %v", card["amount"], card["amount_funds"], card["amount_drawdown"],
		card["amount_balance"], card["amount_pending"], card["amount_reserved"], card["amount_available"], card["status"])
}

func TestWorkedExample(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		card := a.card(t)
		expect := func(step, want string) {
			t.Helper()
			if got := figures(a.must(t, getCard(card["card_id"]))); got != want {
				t.Errorf("after %s: got %s, want %s", step, got, want)
			}
		}
		expect("fund", "10000 10000 0 10000 0 0 10000 unused")
		hold := a.hold(t, card, 1000)
		expect("pending", "10000 10000 0 10000 1000 1000 9000 unused")
		taken := a.must(t, capture(hold["id"], a.ref(object{"amount": 300})))
		expect("capture", "10000 10000 300 9700 700 700 9000 partially_used")
		released := a.must(t, void(hold["id"], a.ref()))
		expect("void", "10000 10000 300 9700 0 0 9700 partially_used")

		list := a.want(t, ok, listTransactions(card["card_id"])).list(t)
		var lines []string
		for _, txn := range list {
			lines = append(lines, fmt.Sprintf("%v %v %v", txn["type"], txn["amount"], txn["parent_id"] == hold["id"]))
		}
		want := "[fund 10000 false pending_capture 1000 false drawdown 300 true voided 700 true]"
		if fmt.Sprint(lines) != want {
			t.Errorf("the list is %v, want %v", lines, want)
		}
		if list[0]["ref_id"] != card["id"] {
			t.Errorf("the opening fund has the ref_id %v, want the card's id %v", list[0]["ref_id"], card["id"])
		}
		if list[2]["id"] != taken["id"] || list[3]["id"] != released["id"] {
			t.Error("the list shows other ids than the answers")
		}
	})
}
