package openapi_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/kortwallet/kort/openapi"
)

// load parses and validates the contract, the examples included.
func load(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openapi.KortYAML)
	if err != nil {
		t.Fatalf("load kort.yaml: %v", err)
	}
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatalf("validate kort.yaml: %v", err)
	}
	return doc
}

// expectation is what the contract must say about one operation.
type expectation struct {
	method, path string
	scopes       []string
	codes403     []string
	codes409     []string // none: no 409
	codes429     []string
	notFound     bool // something is addressed that may not exist
	replays      bool // has a ref_id
}

const base = "/accounts/{aid}/wallets"

var (
	readers   = []string{"admin:wallets", "read:wallets"}
	writers   = []string{"admin:wallets", "write:wallets"}
	customers = []string{"admin:wallets", "read:wallets", "user:wallets"}
	lookups   = []string{"admin:wallets", "write:wallets", "write:wallets:/info"}
	payers    = []string{"admin:wallets", "write:wallets", "write:wallets:/transactions"}

	forbidden   = []string{"forbidden"}
	rateLimited = []string{"rate_limited"}
	withPIN403  = []string{"forbidden", "invalid_pin"}
	withPIN429  = []string{"pin_locked", "rate_limited"}
)

var operations = map[string]expectation{
	"aid_cards_post": {
		"POST", base + "/cards", writers,
		forbidden, []string{"card_exists", "token_space_exhausted"}, rateLimited, false, false,
	},
	"aid_cards_get": {
		"GET", base + "/cards", readers,
		forbidden, nil, rateLimited, false, false,
	},
	"aid_cards_batch_post": {
		"POST", base + "/cards/batch", writers,
		forbidden, []string{"card_exists", "token_space_exhausted"}, rateLimited, false, false,
	},
	"aid_cards_cardid_get": {
		"GET", base + "/cards/{card_id}", readers,
		forbidden, nil, rateLimited, true, false,
	},
	"aid_cards_cardid_delete": {
		"DELETE", base + "/cards/{card_id}", writers,
		forbidden, []string{"card_has_pending"}, rateLimited, true, false,
	},
	"aid_cards_cardid_activate_post": {
		"POST", base + "/cards/{card_id}/activate", writers,
		forbidden, []string{"card_already_active"}, rateLimited, true, false,
	},
	"aid_cards_cardid_rotate_pin_post": {
		"POST", base + "/cards/{card_id}/rotate-pin", writers,
		forbidden, nil, rateLimited, true, false,
	},
	"aid_cards_cardid_token_post": {
		"POST", base + "/cards/{card_id}/tokens", writers,
		forbidden, []string{"ref_id_conflict", "token_space_exhausted"}, rateLimited, true, true,
	},
	"aid_cards_cardid_transactions_tid_get": {
		"GET", base + "/cards/{card_id}/transactions", readers,
		forbidden, nil, rateLimited, true, false,
	},
	"aid_cards_token_post": {
		"POST", base + "/info", lookups,
		withPIN403, nil, withPIN429, true, false,
	},
	"aid_customers_cid_cards_get": {
		"GET", base + "/customers/{customer_id}/cards", customers,
		forbidden, nil, rateLimited, false, false,
	},
	"aid_customers_cid_card_cid_get": {
		"GET", base + "/customers/{customer_id}/cards/{card_id}", customers,
		forbidden, nil, rateLimited, true, false,
	},
	"aid_cards_transactions_post": {
		"POST", base + "/transactions", payers,
		withPIN403, []string{
			"ref_id_conflict", "card_inactive", "card_expired", "currency_mismatch", "card_not_active_yet",
			"token_used", "insufficient_funds", "amount_overflow",
		}, withPIN429, true, true,
	},
	"aid_cards_cardid_transactions_capture_post": {
		"POST", base + "/transactions/{transaction_id}/capture", payers,
		forbidden, []string{"ref_id_conflict", "transaction_not_pending", "amount_exceeds_reserved"}, rateLimited, true, true,
	},
	"aid_cards_cardid_transactions_void_post": {
		"POST", base + "/transactions/{transaction_id}/void", payers,
		forbidden, []string{"ref_id_conflict", "transaction_not_pending"}, rateLimited, true, true,
	},
}

// statusOf is the status that each error code comes with.
var statusOf = map[string]string{
	"invalid_request": "400", "unauthorized": "401", "forbidden": "403", "invalid_pin": "403", "not_found": "404",
	"method_not_allowed": "405", "card_exists": "409", "ref_id_conflict": "409", "currency_mismatch": "409",
	"insufficient_funds": "409", "card_expired": "409", "card_not_active_yet": "409", "card_inactive": "409",
	"card_already_active": "409", "card_has_pending": "409", "token_used": "409", "token_space_exhausted": "409",
	"transaction_not_pending": "409", "amount_exceeds_reserved": "409", "amount_overflow": "409",
	"request_too_large": "413", "unsupported_media_type": "415", "pin_locked": "429", "rate_limited": "429",
	"internal": "500", "overloaded": "503",
}

// eachOperation calls check for each operation of the contract.
func eachOperation(t *testing.T, doc *openapi3.T, check func(t *testing.T, path, method string, op *openapi3.Operation)) {
	t.Helper()
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			t.Run(method+" "+path, func(t *testing.T) { check(t, path, method, op) })
		}
	}
}

// wantCodes is the error codes of an operation by status.
func (e expectation) wantCodes(hasBody bool) map[string][]string {
	want := map[string][]string{
		"400": {"invalid_request"}, "401": {"unauthorized"}, "403": e.codes403,
		"429": e.codes429, "500": {"internal"}, "503": {"overloaded"},
	}
	if e.notFound {
		want["404"] = []string{"not_found"}
	}
	if e.codes409 != nil {
		want["409"] = e.codes409
	}
	if hasBody {
		want["413"] = []string{"request_too_large"}
		want["415"] = []string{"unsupported_media_type"}
	}
	return want
}

func TestOperationsAreThePublishedOnes(t *testing.T) {
	seen := map[string]bool{}
	eachOperation(t, load(t), func(t *testing.T, path, method string, op *openapi3.Operation) {
		want, known := operations[op.OperationID]
		if !known {
			t.Fatalf("unknown operation id %q", op.OperationID)
		}
		if method != want.method || path != want.path {
			t.Errorf("operation %s is %s %s, want %s %s", op.OperationID, method, path, want.method, want.path)
		}
		if len(op.Tags) != 1 || op.Summary == "" || op.Description == "" {
			t.Error("an operation needs one tag, a summary and a description")
		}
		if got := singleScopes(t, op); !slices.Equal(got, want.scopes) {
			t.Errorf("scopes %v, want %v", got, want.scopes)
		}
		seen[op.OperationID] = true
	})
	if len(seen) != len(operations) {
		t.Errorf("%d operations, want %d", len(seen), len(operations))
	}
}

// singleScopes is the scopes of an operation; each must be a requirement of its own, for several scopes in one mean "all of them".
func singleScopes(t *testing.T, op *openapi3.Operation) []string {
	t.Helper()
	if op.Security == nil {
		t.Fatal("no security")
	}
	var scopes []string
	for _, requirement := range *op.Security {
		if len(requirement) != 1 || len(requirement["JWT"]) != 1 {
			t.Fatalf("requirement %v is not one scope of JWT", requirement)
		}
		scopes = append(scopes, requirement["JWT"][0])
	}
	return scopes
}

func TestResponsesListTheirErrorCodes(t *testing.T) {
	doc := load(t)
	used := map[string]bool{}
	eachOperation(t, doc, func(t *testing.T, _, _ string, op *openapi3.Operation) {
		want := operations[op.OperationID].wantCodes(op.RequestBody != nil)
		want["200"] = nil
		got := op.Responses.Map()
		if a, b := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(a, b) {
			t.Fatalf("statuses %v, want %v", a, b)
		}
		for status, response := range got {
			codes := errorCodes(t, response.Value)
			if !slices.Equal(codes, want[status]) {
				t.Errorf("%s has x-error-codes %v, want %v", status, codes, want[status])
			}
			for _, code := range codes {
				used[code] = true
				if statusOf[code] != status {
					t.Errorf("code %s stands under %s, want %s", code, status, statusOf[code])
				}
			}
		}
	})
	for _, value := range doc.Components.Schemas["ErrorCode"].Value.Enum {
		code := value.(string)
		if statusOf[code] == "" {
			t.Errorf("code %s has no status", code)
		}
		// No operation has a 405: it answers a method that is none.
		if !used[code] && code != "method_not_allowed" {
			t.Errorf("code %s is in no response", code)
		}
	}
	if got := len(doc.Components.Schemas["ErrorCode"].Value.Enum); got != len(statusOf) {
		t.Errorf("ErrorCode has %d values, want %d", got, len(statusOf))
	}
}

// errorCodes is the value of x-error-codes.
func errorCodes(t *testing.T, response *openapi3.Response) []string {
	t.Helper()
	var codes []string
	list, _ := response.Extensions["x-error-codes"].([]any)
	for _, item := range list {
		code, ok := item.(string)
		if !ok {
			t.Fatalf("x-error-codes has %v, which is no text", item)
		}
		codes = append(codes, code)
	}
	return codes
}

func TestErrorResponsesHaveAnExampleOfEachCode(t *testing.T) {
	for name, response := range load(t).Components.Responses {
		codes := errorCodes(t, response.Value)
		examples := response.Value.Content["application/json"].Examples
		if len(codes) == 0 || len(codes) != len(examples) {
			t.Errorf("%s has %d codes and %d examples", name, len(codes), len(examples))
		}
		for _, code := range codes {
			example, there := examples[code]
			if !there {
				t.Errorf("%s has no example %s", name, code)
				continue
			}
			body := example.Value.Value.(map[string]any)["error"].(map[string]any)
			if body["code"] != code {
				t.Errorf("example %s of %s has the code %v", code, name, body["code"])
			}
		}
	}
}

func TestRequestsAndSuccessesHaveExamples(t *testing.T) {
	eachOperation(t, load(t), func(t *testing.T, _, _ string, op *openapi3.Operation) {
		if op.RequestBody != nil {
			body := op.RequestBody.Value
			if !body.Required {
				t.Error("the body is not required")
			}
			if len(body.Content) != 1 || len(body.Content["application/json"].Examples) == 0 {
				t.Error("the request has no example")
			}
		}
		success := op.Responses.Value("200").Value
		if len(success.Content) != 1 || len(success.Content["application/json"].Examples) == 0 {
			t.Error("the success has no example")
		}
		for _, parameter := range op.Parameters {
			if parameter.Value.Example == nil {
				t.Errorf("parameter %s has no example", parameter.Value.Name)
			}
		}
	})
}

func TestResponseHeaders(t *testing.T) {
	eachOperation(t, load(t), func(t *testing.T, _, _ string, op *openapi3.Operation) {
		for status, response := range op.Responses.Map() {
			want := []string{"X-Request-Id"}
			switch {
			case status == "200" && operations[op.OperationID].replays:
				want = append(want, "Idempotency-Replayed")
			case status == "401":
				want = append(want, "WWW-Authenticate")
			case status == "429" || status == "503":
				want = append(want, "Retry-After")
			}
			slices.Sort(want)
			if got := slices.Sorted(maps.Keys(response.Value.Headers)); !slices.Equal(got, want) {
				t.Errorf("%s has the headers %v, want %v", status, got, want)
			}
			for name, header := range response.Value.Headers {
				if always := name != "Idempotency-Replayed"; header.Value.Required != always {
					t.Errorf("header %s of %s: required is %v", name, status, header.Value.Required)
				}
			}
		}
	})
}

// The introduction is read by people, the enum by programs; neither may know a code that the other does not.
func TestIntroductionExplainsEachErrorCode(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| ([0-9]{3}) \\| `([a-z_]+)` \\|")
	explained := map[string]string{}
	for _, match := range row.FindAllStringSubmatch(load(t).Info.Description, -1) {
		explained[match[2]] = match[1]
	}
	if !maps.Equal(explained, statusOf) {
		t.Errorf("the introduction has %v, want %v", explained, statusOf)
	}
}

func TestIntroductionNamesTheSymbols(t *testing.T) {
	doc := load(t)
	symbols, _ := doc.Components.Schemas["UseSymbols"].Value.Extensions["x-alphabet"].(string)
	if symbols == "" || !strings.Contains(doc.Info.Description, "`"+symbols+"`") {
		t.Errorf("the introduction does not name the symbols %q", symbols)
	}
	for _, symbol := range symbols {
		// Code 128 set B has printable ASCII; the others would be escaped in JSON, or taken for a mask.
		if symbol <= ' ' || symbol > '~' || strings.ContainsRune(`"\<>&*`, symbol) {
			t.Errorf("symbol %q cannot be used", symbol)
		}
	}
}

// An example that does not add up teaches the wrong rule.
func TestExampleFiguresAddUp(t *testing.T) {
	checked := 0
	eachOperation(t, load(t), func(t *testing.T, _, _ string, op *openapi3.Operation) {
		for name, example := range op.Responses.Value("200").Value.Content["application/json"].Examples {
			for _, card := range cardsIn(example.Value.Value) {
				checked++
				checkFigures(t, name, card)
			}
		}
	})
	if checked < 10 {
		t.Errorf("only %d cards with figures were found", checked)
	}
}

// cardsIn finds the objects with figures in an example.
func cardsIn(value any) []map[string]any {
	var cards []map[string]any
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			cards = append(cards, cardsIn(item)...)
		}
	case map[string]any:
		if value["amount_balance"] != nil {
			return []map[string]any{value}
		}
		for _, item := range value {
			cards = append(cards, cardsIn(item)...)
		}
	}
	return cards
}

func checkFigures(t *testing.T, name string, card map[string]any) {
	t.Helper()
	figure := func(field string) float64 { return card["amount_"+field].(float64) }
	if figure("balance") != figure("funds")-figure("drawdown") ||
		figure("available") != figure("balance")-figure("reserved") || figure("reserved") != figure("pending") {
		t.Errorf("the figures of %v in example %s do not add up", card["card_id"], name)
	}
	_, hasCurrency := card["currency"]
	if inactive := card["status"] == "inactive"; inactive == hasCurrency {
		t.Errorf("%v in example %s: a card has a currency unless it is inactive", card["card_id"], name)
	}
	if card["status"] == "unused" && figure("drawdown") != 0 || card["status"] == "partially_used" && figure("drawdown") == 0 {
		t.Errorf("%v in example %s is not %v", card["card_id"], name, card["status"])
	}
}
