package strictjson

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"testing"
	"time"
)

func seeds(f *testing.F) {
	f.Helper()
	for _, seed := range []string{
		`{"amount":1,"ref_id":"r","pending":false,"expires_at":"2025-01-30T12:00:00.5+01:00"}`,
		`{"AMOUNT":1,"amount":2}`, `{"amount":1}{}`, `{"card\u017f":[]}`, `{"amount":-0}`, `{"amount":1e2}`,
		`{"metadata":{"b":[1,2.50,1e999],"a":"\ud83d\ude00\u00e5\"\\\/"},"note":null}`,
		`{"cards":[{"card_id":"a"},{"card_id":"b","x":{"y":[]}}],"tags":[[],{}]}`,
		`{"ref_id":"\udc00"}`, "{\"ref_id\":\"\xff\"}", `[`, ` `, `"\u000a"`, `{"a":1,"a":2}`,
	} {
		f.Add([]byte(seed))
	}
}

// decoded has the fields of the schema as encoding/json knows them.
type decoded struct {
	Amount    int64           `json:"amount"`
	RefID     string          `json:"ref_id"`
	Pending   bool            `json:"pending"`
	Kind      string          `json:"kind"`
	ExpiresAt time.Time       `json:"expires_at"`
	Note      *string         `json:"note"`
	Rate      json.Number     `json:"rate"`
	Any       any             `json:"any"`
	Odd       string          `json:"a/b~c"`
	Metadata  json.RawMessage `json:"metadata"`
	Cards     []struct {
		CardID string `json:"card_id"`
	} `json:"cards"`
	Tags []any `json:"tags"`
}

// What Check accepts, encoding/json decodes into a struct, and the struct holds
// what the exact keys said. What encoding/json refuses as a text, Check refuses.
func FuzzCheck(f *testing.F) {
	seeds(f)
	schema := transaction()
	f.Fuzz(func(t *testing.T, body []byte) {
		problems, _ := Check(body, schema)
		if len(problems) > MaxProblems {
			t.Fatalf("%d problems", len(problems))
		}
		if problems != nil {
			return
		}
		exact, ok := decodeAny(t, body).(map[string]any)
		if !ok {
			t.Fatal("accepted something other than an object")
		}
		var got decoded
		if err := decode(body, &got); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		compare(t, got, exact)
	})
}

// compare fails if a field of the struct was filled from anything but its key.
func compare(t *testing.T, got decoded, exact map[string]any) {
	t.Helper()
	number, _ := exact["amount"].(json.Number)
	if amount, err := number.Int64(); number != "" && (err != nil || amount != got.Amount) || number == "" && got.Amount != 0 {
		t.Errorf("amount is %q, decoded as %d", number, got.Amount)
	}
	for key, value := range map[string]string{"ref_id": got.RefID, "kind": got.Kind, "a/b~c": got.Odd} {
		if want, _ := exact[key].(string); value != want {
			t.Errorf("%s is %q, decoded as %q", key, want, value)
		}
	}
	if want, _ := exact["pending"].(bool); got.Pending != want {
		t.Errorf("pending is %v", want)
	}
	if sent, ok := exact["expires_at"].(string); ok {
		if want, err := time.Parse(time.RFC3339, sent); err != nil || !got.ExpiresAt.Equal(want) {
			t.Errorf("expires_at is %q, decoded as %v", sent, got.ExpiresAt)
		}
	} else if !got.ExpiresAt.IsZero() {
		t.Errorf("expires_at was not sent, decoded as %v", got.ExpiresAt)
	}
	if _, err := got.ExpiresAt.UTC().MarshalText(); err != nil {
		t.Errorf("expires_at cannot be written back: %v", err)
	}
	if !reflect.DeepEqual(got.Any, exact["any"]) {
		t.Errorf("any is %v, decoded as %v", exact["any"], got.Any)
	}
	cards, _ := exact["cards"].([]any)
	if len(cards) != len(got.Cards) {
		t.Errorf("%d cards, decoded %d", len(cards), len(got.Cards))
	}
}

// Canonical accepts what Check does without a schema, keeps the value and does not
// change its own output.
func FuzzCanonical(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		once, err := Canonical(raw)
		problems, _ := Check(raw, &Schema{Nullable: true})
		if (err == nil) != (problems == nil) {
			t.Fatalf("Canonical says %v, Check says %v", err, problems)
		}
		if err != nil {
			return
		}
		if len(once) > len(raw) {
			t.Errorf("%d bytes became %d", len(raw), len(once))
		}
		twice, err := Canonical(once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%s became %s, %v", once, twice, err)
		}
		if before, after := decodeAny(t, raw), decodeAny(t, once); !reflect.DeepEqual(before, after) {
			t.Fatalf("%v became %v", before, after)
		}
	})
}

func decodeAny(t *testing.T, raw []byte) any {
	t.Helper()
	var value any
	if err := decode(raw, &value); err != nil {
		t.Fatalf("accepted what encoding/json refuses: %v", err)
	}
	return value
}

// decode reads exactly one value with encoding/json.
func decode(raw []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return io.ErrUnexpectedEOF
	}
	return nil
}
