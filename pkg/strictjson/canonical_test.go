package strictjson

import (
	"bytes"
	"strings"
	"testing"
)

func TestCanonical(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		` { } `:                                `{}`,
		"[ ]":                                  `[]`,
		` null`:                                `null`,
		`[true , false,null]`:                  `[true,false,null]`,
		`{"b":1,"a":2}`:                        `{"a":2,"b":1}`,
		`{"a":1, "b":2}`:                       `{"a":1,"b":2}`,
		`{"a":{"z":[{"y":1,"x":2}],"b":3}}`:    `{"a":{"b":3,"z":[{"x":2,"y":1}]}}`,
		`{"\u0062":1,"a":2}`:                   `{"a":2,"b":1}`,
		`{"ab":1,"a":2,"":3,"B":4}`:            `{"":3,"B":4,"a":2,"ab":1}`,
		"{\"\U0001f600\":1,\"\uffee\":2}":      "{\"\uffee\":2,\"\U0001f600\":1}", // by code point, not by UTF-16 unit
		`"\u003c&>\/\u2028\u00e5\ud83d\ude00"`: "\"<&>/\u2028å😀\"",
		`"\"\\\u0022\u005c"`:                   `"\"\\\"\\"`,
		`[1.0,1,1e3,1E+3,-0,0.10,12345678901234567890123]`: `[1.0,1,1e3,1E+3,-0,0.10,12345678901234567890123]`,
	} {
		got, err := Canonical([]byte(raw))
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v, want %s", raw, got, err, want)
		}
	}
}

func TestCanonicalRefuses(t *testing.T) {
	t.Parallel()
	for raw, reason := range map[string]string{
		``:                         "is empty",
		`{"a":1`:                   "ends before",
		`{"a":1}}`:                 "more text",
		`{"a":1,}`:                 "not valid JSON",
		`[1,]`:                     "not valid JSON",
		`nul`:                      "not valid JSON",
		`{"a":1,"b":2,"\u0061":3}`: "same key twice",
		"\"\xff\"":                 "UTF-8",
		`"\ud800"`:                 "surrogate",
		`"\u0000"`:                 "control",
		strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1): "nested",
	} {
		got, err := Canonical([]byte(raw))
		if err == nil || got != nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%q: got %s, %v, want %s", raw, got, err, reason)
		}
	}
}

// The input belongs to the request and may still be read by others.
func TestCanonicalLeavesItsInput(t *testing.T) {
	t.Parallel()
	raw := []byte(`{"b":"\u0041","a":1}`)
	before := bytes.Clone(raw)
	got, err := Canonical(raw)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i] = 'x'
	}
	if !bytes.Equal(raw, before) {
		t.Errorf("the input became %s", raw)
	}
}
