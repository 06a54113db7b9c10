package httpapi_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
)

// TestExamples sends the contract's examples, as a reader would, and compares the
// fields of each answer with those of the example of the same name. What only an
// answer can tell (tokens, PINs, ids) is filled in.
func TestExamples(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		e := &examples{a: s.account(), sent: map[string]bool{}}
		card := object{"card_id": "order-10042-1"}
		e.try(t, opCreate, "gift_card", nil, nil)
		second := e.try(t, opCreate, "with_pin_and_token", nil, nil)
		e.try(t, opBatch, "printed_cards", nil, nil)
		e.try(t, "aid_cards_cardid_activate_post", "sold_at_till", object{"card_id": "print-2026-000001"}, nil)
		token := object{"token": clearOf(e.try(t, opToken, "one_hour", card, nil))}
		e.try(t, opToken, "with_barcode", card, nil)
		e.try(t, opInfo, "token", nil, token)
		e.try(t, opInfo, "token_and_pin", nil, object{"token": clearToken(second), "pin": clearPIN(second)})
		e.try(t, "aid_cards_cardid_rotate_pin_post", "six_digits", card, nil)
		e.try(t, "aid_cards_cardid_rotate_pin_post", "with_barcode", card, nil)
		e.try(t, opTxn, "drawdown_by_token", nil, token)
		hold := object{"transaction_id": e.try(t, opTxn, "pending_by_card_id", nil, nil)["id"]}
		e.try(t, opTxn, "fund", nil, nil)
		e.try(t, opCapture, "partial", hold, nil)
		e.try(t, opCapture, "all", hold, nil)
		other := object{"transaction_id": e.a.hold(t, card, 700)["id"]}
		e.try(t, opVoid, "void", other, nil)

		for _, id := range operationIDs(t) {
			body := contractOf(t, id).operation.RequestBody
			if body == nil {
				continue
			}
			for name := range body.Value.Content.Get("application/json").Examples {
				if !e.sent[id+" "+name] {
					t.Errorf("the example %q of %s was not tried", name, id)
				}
			}
		}
	})
}

type examples struct {
	a    *account
	sent map[string]bool
}

// try sends an example with some fields replaced.
func (e *examples) try(t *testing.T, operation, name string, path, replace object) object {
	t.Helper()
	o := contractOf(t, operation).operation
	e.sent[operation+" "+name] = true
	asked := o.RequestBody.Value.Content.Get("application/json").Examples[name].Value.Value.(object)
	answer := e.a.must(t, call{operation: operation, path: path, body: with(asked, replace)})
	shown := o.Responses.Status(200).Value.Content.Get("application/json").Examples[name]
	if shown == nil {
		return answer // it looks like that of another example
	}
	if got, want := fieldsOf(answer, ""), fieldsOf(shown.Value.Value, ""); !slices.Equal(got, want) {
		t.Errorf("%s, %s: the answer has the fields %v, the example has %v", operation, name, got, want)
	}
	return answer
}

// fieldsOf lists the fields of an object in depth.
func fieldsOf(value any, pointer string) []string {
	switch v := value.(type) {
	case []any:
		var all []string
		for i, item := range v {
			all = append(all, fieldsOf(item, fmt.Sprintf("%s/%d", pointer, i))...)
		}
		return all
	case object:
		var all []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			all = append(all, fieldsOf(v[name], pointer+"/"+name)...)
		}
		return all
	}
	return []string{pointer}
}
