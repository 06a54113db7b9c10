package strictjson

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// transaction is a schema like those the API has.
func transaction() *Schema {
	return &Schema{Kind: Object, Properties: map[string]*Schema{
		"amount":     {Kind: Number, Integer: true},
		"ref_id":     {Kind: String},
		"pending":    {Kind: Boolean},
		"kind":       {Kind: String},
		"expires_at": {Kind: String, DateTime: true},
		"note":       {Kind: String, Nullable: true},
		"rate":       {Kind: Number},
		"any":        {},
		"a/b~c":      {Kind: String},
		"metadata":   {Kind: Object, FreeForm: &FreeForm{MaxBytes: 40, MaxDepth: 3}},
		"cards": {Kind: Array, Items: &Schema{Kind: Object, Properties: map[string]*Schema{
			"card_id": {Kind: String},
		}}},
		"tags": {Kind: Array},
	}}
}

func TestCheckAccepts(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{}`,
		" \t\r\n{ } \n",
		`{"amount":0}`,
		`{"amount":-0}`,
		`{"amount":9223372036854775807}`,
		`{"amount":-9223372036854775808}`,
		`{"amount" : 1 , "ref_id" : "r" }`,
		`{"ref_id":"\u00e5\ud83d\ude00\/\"\\ åæø 😀"}`,
		`{"ref_id":"\u00a0\u00ad\u2028\ufffe"}`,
		"{\"ref_id\":\"\ufffd\"}", // the replacement character itself, not broken UTF-8
		`{"amou\u006et":1}`,
		`{"pending":true,"any":false}`,
		`{"note":null}`,
		`{"rate":-1.5e+300}`,
		`{"any":{"deep":[1,"two",{"AMOUNT":[]}]}}`,
		`{"metadata":{"Amount":null,"a":{"b":1e999}}}`,
		`{"metadata":{"a":{"b":[]}}}`,
		`{"metadata":{"k":"` + strings.Repeat("x", 32) + `"}}`,
		`{"unknown":null,"other":{"unknown":[null]}}`,
		`{"cards":[{"card_id":"a"},{"card_id":"b"}]}`,
		`{"tags":[null,1,"x"]}`,
		`{"expires_at":"2024-02-29T23:59:59.123456789+05:30"}`,
		`{"expires_at":"2024\u002d02-29T00:00:00Z"}`,
		`{"x":` + strings.Repeat("[", MaxDepth-1) + strings.Repeat("]", MaxDepth-1) + `}`,
		manyKeys(1000, ""),
	} {
		if problems, _ := Check([]byte(body), transaction()); problems != nil {
			t.Errorf("%.80s: %v", body, problems)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ body, pointer, reason string }{
		// the text as a whole
		{``, "", "is empty"},
		{" \n", "", "is empty"},
		{`{`, "", "ends before"},
		{`{"amount"`, "", "ends before"},
		{`{"amount":`, "/amount", "ends before"},
		{`{"amount":1`, "", "ends before"},
		{`{"ref_id":"x`, "/ref_id", "ends before"},
		{`{"ref_id":"x\`, "/ref_id", "ends before"},
		{`{"ref_id":"x\u00`, "/ref_id", "ends before"},
		{`{"amount":1}{"amount":2}`, "", "followed by more"},
		{`{} x`, "", "followed by more"},
		{"{}\x00", "", "followed by more"},
		{"\ufeff{}", "", "not valid JSON"},
		{`{"amount":1,}`, "", "not valid JSON"},
		{`{,}`, "", "not valid JSON"},
		{`{"tags":[1,]}`, "/tags", "not valid JSON"},
		{`{"tags":[1 2]}`, "/tags", "not valid JSON"},
		{`{"tags":[1}`, "/tags", "not valid JSON"},
		{`{'amount':1}`, "", "not valid JSON"},
		{`{amount:1}`, "", "not valid JSON"},
		{`{"amount"=1}`, "", "not valid JSON"},
		{`{"pending":True}`, "/pending", "not valid JSON"},
		{`{"pending":tru}`, "/pending", "not valid JSON"},
		{`{"note":nil}`, "/note", "not valid JSON"},
		{`{"any":NaN}`, "/any", "not valid JSON"},
		{`// no` + "\n{}", "", "not valid JSON"},
		{`[]`, "", "must be an object"},
		{`null`, "", "must not be null"},
		// numbers
		{`{"amount":01}`, "", "not valid JSON"},
		{`{"amount":+1}`, "/amount", "not valid JSON"},
		{`{"amount":-}`, "/amount", "not valid JSON"},
		{`{"amount":.5}`, "/amount", "not valid JSON"},
		{`{"rate":1.}`, "/rate", "not valid JSON"},
		{`{"rate":1e}`, "/rate", "not valid JSON"},
		{`{"rate":0x10}`, "", "not valid JSON"},
		{`{"amount":1.0}`, "/amount", "without fraction"},
		{`{"amount":1e3}`, "/amount", "without fraction"},
		{`{"amount":9223372036854775808}`, "/amount", "at most 64 bits"},
		{`{"amount":-9223372036854775809}`, "/amount", "at most 64 bits"},
		{`{"amount":10000000000000000000000}`, "/amount", "at most 64 bits"},
		{`{"amount":"1"}`, "/amount", "must be an integer"},
		// kinds and null
		{`{"rate":"1"}`, "/rate", "must be a number"},
		{`{"ref_id":1}`, "/ref_id", "must be a string"},
		{`{"pending":"true"}`, "/pending", "must be true or false"},
		{`{"metadata":[]}`, "/metadata", "must be an object"},
		{`{"cards":{}}`, "/cards", "must be an array"},
		{`{"amount":null}`, "/amount", "must not be null"},
		{`{"metadata":null}`, "/metadata", "must not be null"},
		{`{"any":null}`, "/any", "must not be null"},
		{`{"cards":[null]}`, "/cards/0", "must not be null"},
		// strings and keys
		{"{\"ref_id\":\"a\xff\"}", "/ref_id", "not valid UTF-8"},
		{"{\"ref_id\":\"\xed\xa0\x80\"}", "/ref_id", "not valid UTF-8"}, // a surrogate as bytes
		{"{\"ref_id\":\"\xc0\x80\"}", "/ref_id", "not valid UTF-8"},     // an overlong NUL
		{"{\"ref_id\":\"\\\"\xf0\x9f\"}", "/ref_id", "not valid UTF-8"},
		{"{\"k\xff\":1}", "", "not valid UTF-8"},
		{`{"ref_id":"\ud800"}`, "/ref_id", "half a surrogate"},
		{`{"ref_id":"\ud800x"}`, "/ref_id", "half a surrogate"},
		{`{"ref_id":"\ud800\n"}`, "/ref_id", "half a surrogate"},
		{`{"ref_id":"\ud800\ud800"}`, "/ref_id", "half a surrogate"},
		{`{"ref_id":"\udc00\ud800"}`, "/ref_id", "half a surrogate"},
		{`{"metadata":{"\ud800":1}}`, "/metadata", "half a surrogate"},
		{`{"ref_id":"\u0000"}`, "/ref_id", "control character"},
		{`{"ref_id":"\u007F"}`, "/ref_id", "control character"},
		{`{"ref_id":"\u0085"}`, "/ref_id", "control character"},
		{`{"ref_id":"\n"}`, "/ref_id", "control character"},
		{"{\"ref_id\":\"\n\"}", "/ref_id", "control character"},
		{"{\"ref_id\":\"\x7f\"}", "/ref_id", "control character"},
		{"{\"ref_id\":\"\u009f\"}", "/ref_id", "control character"},
		{`{"metadata":{"a\tb":1}}`, "/metadata", "control character"},
		{`{"unknown":"\u0001"}`, "", "control character"},
		{`{"ref_id":"\x41"}`, "/ref_id", "not valid JSON"},
		{`{"ref_id":"\u12G4"}`, "/ref_id", "not valid JSON"},
		// keys
		{`{"amount":1,"amount":1}`, "", "same key twice"},
		{`{"amount":1,"amou\u006et":-5}`, "", "same key twice"},
		{`{"unknown":1,"unknown":1}`, "", "same key twice"},
		{`{"":1,"":2}`, "", "same key twice"},
		{`{"metadata":{"a":{"b":1,"b":2}}}`, "/metadata", "same key twice"},
		{`{"cards":[{"card_id":"a"},{"card_id":"a","card_id":"b"}]}`, "/cards/1", "same key twice"},
		{manyKeys(1000, `,"k999":0`), "", "same key twice"},
		{manyKeys(1000, `,"k0":0`), "", "same key twice"},
		{`{"AMOUNT":1}`, "", `the key "amount"`},
		{`{"amount":1,"AMOUNT":-5}`, "", `the key "amount"`},
		{"{\"card\u017f\":1}", "", `the key "cards"`}, // U+017F folds to s
		{"{\"\u212aind\":1}", "", `the key "kind"`},   // the Kelvin sign folds to k
		{`{"\u212aind":1}`, "", `the key "kind"`},     // written as an escape
		{`{"cards":[{"Card_id":1}]}`, "/cards/0", `"card_id"`},
		// bounds
		{`{"metadata":{"a":{"b":{"c":{}}}}}`, "/metadata", "nested too deeply"},
		{`{"metadata":{"a":[[[]]]}}`, "/metadata", "nested too deeply"},
		{`{"metadata":{"k":"` + strings.Repeat("x", 33) + `"}}`, "/metadata", "longer than 40 bytes"},
		{`{"metadata":{` + strings.Repeat(" ", 39) + `}}`, "/metadata", "longer than 40 bytes"},
		{`{"x":` + strings.Repeat("[", MaxDepth), "", "nested too deeply"},
		{strings.Repeat(`{"any":`, MaxDepth+1), "/any", "nested too deeply"},
		// dates
		{`{"expires_at":1}`, "/expires_at", "must be a string"},
		{`{"expires_at":""}`, "/expires_at", "RFC 3339"},
		{`{"expires_at":"2024-01-01"}`, "/expires_at", "RFC 3339"},
		{`{"a/b~c":1}`, "/a~1b~0c", "must be a string"},
	}
	for _, test := range tests {
		problems, _ := Check([]byte(test.body), transaction())
		if len(problems) != 1 {
			t.Errorf("%.80q: %d problems %v, want one", test.body, len(problems), problems)
			continue
		}
		if got := problems[0]; got.Pointer != test.pointer || !strings.Contains(got.Reason, test.reason) {
			t.Errorf("%.80q: got %q %q, want %q %q", test.body, got.Pointer, got.Reason, test.pointer, test.reason)
		}
	}
}

func TestIsDateTime(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]bool{
		"2025-01-30T12:00:00Z":                     true,
		"2025-01-30T12:00:00+00:00":                true,
		"2025-01-30T12:00:00-23:59":                true,
		"2025-01-30T12:00:00.1Z":                   true,
		"2025-01-30T12:00:00.123456789012Z":        true,
		"0001-01-01T00:00:00Z":                     true,
		"9999-12-31T23:59:59Z":                     true,
		"2024-02-29T00:00:00Z":                     true,
		"2025-02-29T00:00:00Z":                     false,
		"2025-02-30T00:00:00Z":                     false,
		"2100-02-29T00:00:00Z":                     false,
		"2025-04-31T00:00:00Z":                     false,
		"2025-13-01T00:00:00Z":                     false,
		"2025-00-01T00:00:00Z":                     false,
		"2025-01-00T00:00:00Z":                     false,
		"2025-01-30T24:00:00Z":                     false,
		"2025-01-30T12:60:00Z":                     false,
		"2016-12-31T23:59:60Z":                     false,
		"0000-12-31T00:00:00Z":                     false,
		"0001-01-01T00:00:00+00:01":                false, // year 0 in UTC
		"9999-12-31T23:59:59-00:01":                false, // year 10000 in UTC
		"10000-01-01T00:00:00Z":                    false,
		"2025-01-30T12:00:00":                      false,
		"2025-01-30 12:00:00Z":                     false,
		"2025-01-30t12:00:00z":                     false,
		"2025-01-30T12:00Z":                        false,
		"2025-01-30T1:00:00Z":                      false,
		"2025-01-30T12:00:00,5Z":                   false,
		"2025-01-30T12:00:00.Z":                    false,
		"2025-01-30T12:00:00+24:00":                false,
		"2025-01-30T12:00:00+01:60":                false,
		"2025-01-30T12:00:00+0100":                 false,
		"2025-01-30T12:00:00+01":                   false,
		"2025-01-30T12:00:00X":                     false,
		" 2025-01-30T12:00:00Z":                    false,
		"2025-01-30T12:00:00Z ":                    false,
		"２025-01-30T12:00:00Z":                     false,
		"2025-01-30T12:00:00." + digits(64) + "1Z": false,
		"":         false,
		"T":        false,
		"tomorrow": false,
		"2025-01-30T12:00:00+" + strings.Repeat("0", 5): false,
	} {
		if got := isDateTime(text(content)); got != want {
			t.Errorf("%q: got %v, want %v", content, got, want)
		}
	}
}

func TestCheckReportsSeveralProblems(t *testing.T) {
	t.Parallel()
	body := `{"amount":1.5,"REF_ID":"x","cards":[{},{"card_id":7}],"note":nil}`
	want := []string{"/amount", "", "/cards/1/card_id", "/note"}
	var got []string
	problems, _ := Check([]byte(body), transaction())
	for _, p := range problems {
		got = append(got, p.Pointer)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCheckBoundsItsProblems(t *testing.T) {
	t.Parallel()
	body := `{"cards":[` + strings.TrimSuffix(strings.Repeat(`1,`, 1000), ",") + `]}`
	problems, _ := Check([]byte(body), transaction())
	if got := len(problems); got != MaxProblems {
		t.Errorf("got %d problems, want %d", got, MaxProblems)
	}
}

// A body may hold a PIN anywhere, as a key too.
func TestCheckEchoesNothing(t *testing.T) {
	t.Parallel()
	const secret = "s3cret"
	for _, body := range []string{
		`{"ref_id":"` + secret + `\u0000"}`,
		`{"` + secret + `":"x\u0000"}`,
		`{"` + secret + `":{"` + secret + `":1,"` + secret + `":2}}`,
		`{"` + secret + `\ud800":1}`,
		`{"amount":"` + secret + `"}`,
		`{"expires_at":"` + secret + `"}`,
		`{"metadata":{"` + secret + `":{"` + secret + `":{"` + secret + `":[]}}}}`,
		`{"metadata":{"` + secret + `":"` + strings.Repeat(secret, 10) + `"}}`,
		`{"` + secret + `":` + secret + `}`,
		secret,
	} {
		problems, _ := Check([]byte(body), transaction())
		if len(problems) == 0 {
			t.Errorf("%s: accepted", body)
		}
		if text := fmt.Sprint(problems); strings.Contains(text, secret) {
			t.Errorf("%s: %s repeats what was sent", body, text)
		}
	}
}

func TestCheckIsCheap(t *testing.T) {
	body := []byte(`{"amount":100,"ref_id":"order-1","metadata":{"order_id":"1"},"cards":[{"card_id":"a"},{"card_id":"b"}]}`)
	schema := transaction()
	const most = 3
	if got := testing.AllocsPerRun(100, func() {
		if problems, _ := Check(body, schema); problems != nil {
			t.Error("refused")
		}
	}); got > most {
		t.Errorf("%v allocations, at most %d expected", got, most)
	}
}

func BenchmarkCheck(b *testing.B) {
	body := []byte(`{"amount":100,"ref_id":"order-1","metadata":{"order_id":"1"},"cards":[{"card_id":"a"},{"card_id":"b"}],"expires_at":"2030-01-01T00:00:00Z"}`)
	schema := transaction()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if problems, _ := Check(body, schema); problems != nil {
			b.Fatal("refused")
		}
	}
}

// Each unknown key is compared with the known ones: a body full of them must not
// take long.
func BenchmarkCheckUnknownKeys(b *testing.B) {
	body := []byte(manyKeys(100_000, ""))
	schema := transaction()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if problems, _ := Check(body, schema); problems != nil {
			b.Fatal("refused")
		}
	}
}

func manyKeys(n int, last string) string {
	var b strings.Builder
	b.WriteString(`{"k":0`)
	for i := range n {
		fmt.Fprintf(&b, `,"k%d":0`, i)
	}
	return b.String() + last + "}"
}

func digits(n int) string { return strings.Repeat("0", n) }

// Rules decide whether a body conforms; breaking one is no problem of its own.
func TestCheckKeepsRules(t *testing.T) {
	t.Parallel()
	schema := &Schema{Kind: Object, Rules: Rules{Required: []string{"a", "b"}}, Properties: map[string]*Schema{
		"a": {Kind: String, Rules: Rules{MinLength: 2, MaxLength: 3}},
		"b": {Kind: Number, Integer: true, Rules: Rules{Range: &Range{Min: -1, Max: 2}}},
		"c": {Kind: String, Rules: Rules{Enum: []string{"x", "y"}}},
		"d": {Kind: String, Rules: Rules{Pattern: func(content []byte) bool { return string(content) == "é" }}},
		"e": {Kind: Array, Items: &Schema{Kind: String, Rules: Rules{MinLength: 1}}, Rules: Rules{MinItems: 1, MaxItems: 2}},
		"f": {Kind: Object, Properties: map[string]*Schema{"g": {Kind: Boolean}}, Rules: Rules{Required: []string{"g"}}},
	}}
	full := func(more string) string { return `{"a":"xx","b":0` + more + `}` }
	for body, want := range map[string]bool{
		full(""): true, `{"b":0}`: false, `{"a":"xx"}`: false, `{}`: false, `{"\u0061":"xx","b":0}`: true, manyKeys(20, `,"a":"xx","b":0`): true,
		manyKeys(20, `,"a":"xx"`): false,
		`{"a":"é","b":0}`:         false, `{"a":"éé","b":0}`: true, `{"a":"\u00e9\u00e9é","b":0}`: true, `{"a":"éééé","b":0}`: false,
		`{"a":"xx","b":-1}`: true, `{"a":"xx","b":-2}`: false, `{"a":"xx","b":2}`: true, `{"a":"xx","b":3}`: false,
		full(`,"c":"x"`): true, full(`,"c":"X"`): false, full(`,"c":""`): false, full(`,"c":"\u0079"`): true,
		full(`,"d":"\u00e9"`): true, full(`,"d":"e"`): false,
		full(`,"e":[]`): false, full(`,"e":["x"]`): true, full(`,"e":["x","y"]`): true, full(`,"e":["x","y","z"]`): false, full(`,"e":["x",""]`): false,
		full(`,"f":{}`): false, full(`,"f":{"g":true}`): true, full(`,"x":{"a":""}`): true,
	} {
		problems, conforms := Check([]byte(body), schema)
		if len(problems) > 0 || conforms != want {
			t.Errorf("%s: conforms is %t with %v, want %t", body, conforms, problems, want)
		}
	}
	if problems, conforms := Check([]byte(full(`,"c":1`)), schema); conforms || len(problems) == 0 {
		t.Errorf("a body with problems conforms is %t with %v", conforms, problems)
	}
}
