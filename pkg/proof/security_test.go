package proof

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

// durations draws times around a mean, with a tail as answers have it.
func durations(random *rand.Rand, n int, mean time.Duration) []time.Duration {
	all := make([]time.Duration, n)
	for i := range all {
		all[i] = mean/2 + time.Duration(random.ExpFloat64()*float64(mean)/2)
	}
	return all
}

func TestTimesApart(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	const ms = time.Millisecond
	base := durations(random, 500, 2*ms)
	for _, test := range []struct {
		mean time.Duration
		want bool
	}{{2 * ms, false}, {3 * ms, true}, {ms, true}} {
		other := durations(random, 500, test.mean)
		z := rankSum(base, other)
		found := apart(median(base), median(other)) && (z > timingZ || z < -timingZ)
		if found != test.want {
			t.Errorf("2 ms against %s: medians %s and %s, z %.1f", test.mean, median(base), median(other), z)
		}
	}
	if z := rankSum(base, base); z > 0.001 || z < -0.001 {
		t.Errorf("a sample against itself: z %.3f", z)
	}
	if apart(100*time.Microsecond, 200*time.Microsecond) || apart(10*ms, 11*ms) {
		t.Error("a difference that is small, or small in proportion, counts")
	}
}

func TestSecretsAreFoundInAnyForm(t *testing.T) {
	t.Parallel()
	const secret = "Hush-hush-PIN-0042"
	h := newHaystack()
	for form, text := range forms(secret) {
		h.seek(form, text)
	}
	for form, text := range forms(secret) {
		content := "before " + string(text) + " after"
		if found := h.find([]byte(content)); !slices.Contains(found, form) {
			t.Errorf("%s is not found: %v", form, found)
		}
		if found := h.find([]byte(content)[:len(content)-len(" after")]); !slices.Contains(found, form) {
			t.Errorf("%s is not found at the end", form)
		}
	}
	if found := h.find([]byte(strings.Replace(secret, "42", "43", 1))); len(found) > 0 {
		t.Errorf("%v in what is another value", found)
	}
}

func TestSecretsAreLearned(t *testing.T) {
	t.Parallel()
	s := noSecrets()
	s.learn(answer{status: 200, body: []byte(`{"cards":[{"pin":{"pin":{"value":"123456789012"}},"card_token":{"token":{"value":"DINCARD:1234"}},
		"name":{"value":"no secret at all"}}],"pin":{"pin":{"value":"1234"}}}`)})
	s.learn(answer{status: 200, body: []byte(`{"id":"1","config":{"secret":"whsec_AAECAwQFBgcICQoLDA0ODw=="}}`)})
	s.learn(answer{status: 200, body: []byte(`{"client_id":"no secret","client_secret":"of an API client"}`)})
	for value, what := range map[string]string{
		"whsec_AAECAwQFBgcICQoLDA0ODw==": "the secret of a subscription", "of an API client": "the secret of an API client",
		"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f": "the key of a subscription",
	} {
		if s.known[value] != what {
			t.Errorf("%q is %q, want %q", value, s.known[value], what)
		}
		delete(s.known, value)
	}
	if len(s.known) != 2 || s.known["123456789012"] != "a pin" || s.known["DINCARD:1234"] != "a token" {
		t.Errorf("got %v", s.known)
	}
}

// Every operation of the contracts is asked for, with nothing left of its examples where
// an id stands.
func TestProbesOfTheContract(t *testing.T) {
	t.Parallel()
	operations, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	values := names{
		"card_id": "C1", "customer_id": "U1", "transaction_id": "X1", "token": "K1", "pin": "P1", "ref_id": "R1", "cursor": "S1",
		"hid": "H1", "delivery_id": "D1", "client_id": "A1", "grant_id": "G1", "receiver": "http://127.0.0.1:1",
	}
	seen := map[string]string{}
	for _, o := range operations {
		for _, p := range o.probes() {
			r, err := p.request(thief, values)
			if err != nil {
				t.Fatal(err)
			}
			seen[p.String()] = r.target
			sent := r.target + string(r.body)
			for _, example := range []string{"order-10042", "DINCARD", "shop.example", "4444", victim} {
				if strings.Contains(sent, example) {
					t.Errorf("%s, with %s: %s", p, example, r)
				}
			}
			if strings.ContainsAny(r.target, "{}") || !strings.HasPrefix(r.target, "/v1/accounts/"+thief+"/") {
				t.Errorf("%s: %s", p, r)
			}
			if r.body != nil && !json.Valid(r.body) {
				t.Errorf("%s: %s", p, r.body)
			}
		}
	}
	if len(operations) < 29 { // of all three contracts
		t.Errorf("%d operations", len(operations))
	}
	base := "/v1/accounts/" + thief
	for probe, target := range map[string]string{
		"aid_cards_cardid_get": base + "/wallets/cards/C1",
		"aid_hooks_subscriptions_hid_deliveries_get starting_after": base + "/hooks/subscriptions/H1/deliveries?starting_after=D1",
		"auth_client_grants_grant_id_delete":                        base + "/auth/client-grants/G1",
		"auth_token_post":                                           "", // takes no access token
		"auth_keys_get":                                             "",
	} {
		if seen[probe] != target {
			t.Errorf("%s is at %q, want %q", probe, seen[probe], target)
		}
	}
}

// Whether an operation is attacked is read from what protects it.
func TestOperationsThatTakeATokenAreAttacked(t *testing.T) {
	t.Parallel()
	const contract = `{"openapi":"3.0.3","info":{"title":"t","version":"1"},"servers":[{"url":"/base"}],
		"components":{"securitySchemes":{"A":{"type":"oauth2","flows":{}},"B":{"type":"http","scheme":"basic"},"C":{"type":"apiKey","in":"header","name":"x"}}},
		"paths":{"/x":{"get":{"operationId":"x","responses":{}SECURITY}}}}`
	for security, want := range map[string]struct {
		attacked int
		unknown  bool
	}{
		"": {1, false}, `,"security":[]`: {0, false}, `,"security":[{"A":["s"]}]`: {1, false}, `,"security":[{"B":[]}]`: {0, false},
		`,"security":[{"B":[]},{"A":["s"]}]`: {1, false}, `,"security":[{"C":[]}]`: {0, true}, `,"security":[{"D":[]}]`: {0, true},
	} {
		spec, err := openapi3.NewLoader().LoadFromData([]byte(strings.Replace(contract, "SECURITY", security, 1)))
		if err != nil {
			t.Fatal(err)
		}
		found, err := operationsOf(spec)
		if len(found) != want.attacked || (err != nil) != want.unknown {
			t.Errorf("%s: %d operations, %v", security, len(found), err)
		}
		if len(found) > 0 && found[0].path != "/base/x" {
			t.Errorf("%s: the path is %s", security, found[0].path)
		}
	}
}

// An injection is in exactly the place that is meant.
func TestPlants(t *testing.T) {
	t.Parallel()
	body := map[string]any{"a": "x", "b": []any{map[string]any{"c": "y", "n": 1.0}}}
	want := []string{
		`{"a":"@@injected@@","b":[{"c":"y","n":1}]}`,
		`{"a":"x","b":[{"c":"@@injected@@","n":1}]}`,
		`{"@@injected@@":"@@injected@@","a":"x","b":[{"c":"y","n":1}]}`,
		`{"a":"x","b":[{"c":"y","n":1}],"metadata":{"@@injected@@":"@@injected@@","list":["@@injected@@"]}}`,
	}
	if got := countTexts(body); got != 2 {
		t.Errorf("%d texts", got)
	}
	for leaf, want := range want {
		seen := 0
		got, err := json.Marshal(plant(body, leaf, &seen))
		if err != nil || string(got) != want {
			t.Errorf("place %d: %s, want %s", leaf, got, want)
		}
	}
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	one := answer{status: 404, header: map[string][]string{"Date": {"today"}, "X-A": {"b"}}, body: []byte("x")}
	later, other, longer := one, one, one
	later.header = map[string][]string{"Date": {"tomorrow"}, "X-A": {"b"}}
	other.header = map[string][]string{"X-A": {"c"}}
	longer.body = []byte("xx")
	if !same(one, later) || same(one, other) || same(one, longer) {
		t.Error("answers are compared wrongly")
	}
	if !sameShape([]byte(`{"id":"a","n":1}`), []byte(`{"id":"b","n":1}`)) || sameShape([]byte(`{"id":"a","n":1}`), []byte(`{"id":"a","n":2}`)) {
		t.Error("shapes are compared wrongly")
	}
}
