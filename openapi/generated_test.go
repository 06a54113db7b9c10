package openapi_test

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/kortwallet/kort/gen/api"
	"github.com/kortwallet/kort/gen/identity"
	"github.com/kortwallet/kort/pkg/auth"
)

// The settings in server.yaml and server.overlay.yaml exist for these properties of the generated code.

func TestEmbeddedContractIsTheContract(t *testing.T) {
	embedded, err := api.GetSpec()
	if err != nil {
		t.Fatalf("load the embedded contract: %v", err)
	}
	if err := embedded.Validate(t.Context()); err != nil {
		t.Fatalf("validate the embedded contract: %v", err)
	}
	found := 0
	for path, item := range load(t).Paths.Map() {
		for method, op := range item.Operations() {
			twin := embedded.Paths.Value(path).GetOperation(method)
			if twin == nil || twin.OperationID != op.OperationID {
				t.Errorf("%s %s is not %s in gen/api", method, path, op.OperationID)
			}
			found++
		}
	}
	if found != len(operations) {
		t.Errorf("%d operations, want %d", found, len(operations))
	}
}

// The identity API stands beside the contract: it has operations of its own and the same errors, but for two codes.
func TestIdentityAPIGoesWithTheContract(t *testing.T) {
	spec, err := identity.GetSpec()
	if err != nil {
		t.Fatalf("load the identity API: %v", err)
	}
	if err := spec.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatalf("validate the identity API: %v", err)
	}
	contract := load(t)
	for path, item := range spec.Paths.Map() {
		for method, op := range item.Operations() {
			if contract.Paths.Value(path) != nil {
				t.Errorf("%s %s is in both", method, path)
			}
			if op.Security == nil {
				t.Errorf("%s does not say who may use it", op.OperationID)
			}
			for status, response := range op.Responses.Map() {
				if len(response.Value.Content) != 1 || response.Value.Content.Get("application/json") == nil {
					t.Errorf("%s: %s has no JSON body", op.OperationID, status)
				}
			}
		}
	}
	ours := []any{string(identity.ErrorCodeGrantExists), string(identity.ErrorCodeClientLimit)}
	known := contract.Components.Schemas["ErrorCode"].Value.Enum
	for _, code := range spec.Components.Schemas["ErrorCode"].Value.Enum {
		if slices.Contains(ours, code) == slices.Contains(known, code) {
			t.Errorf("the code %s is not the contract's", code)
		}
	}
	var grantable []any
	for _, scope := range auth.WalletScopes() {
		grantable = append(grantable, scope)
	}
	if got := spec.Components.Schemas["GrantableScope"].Value.Enum; !slices.Equal(got, grantable) {
		t.Errorf("can be granted: %v, want %v", got, grantable)
	}
}

func TestReplayHeaderIsLeftOut(t *testing.T) {
	fresh := httptest.NewRecorder()
	// A middleware has set the request id before the handler runs.
	fresh.Header().Set("X-Request-Id", "r-1")
	if err := (api.AidCardsTransactionsPost200JSONResponse{}).VisitAidCardsTransactionsPostResponse(fresh); err != nil {
		t.Fatal(err)
	}
	if _, there := fresh.Header()["Idempotency-Replayed"]; there {
		t.Error("Idempotency-Replayed is there on an answer that is no replay")
	}
	if got := fresh.Header().Get("X-Request-Id"); got != "r-1" {
		t.Errorf("X-Request-Id is %q, want the one of the middleware", got)
	}

	replay := api.AidCardsTransactionsPost200JSONResponse{}
	replayed := true
	replay.Headers.IdempotencyReplayed = &replayed
	again := httptest.NewRecorder()
	if err := replay.VisitAidCardsTransactionsPostResponse(again); err != nil {
		t.Fatal(err)
	}
	if got := again.Header().Get("Idempotency-Replayed"); got != "true" {
		t.Errorf("Idempotency-Replayed is %q on a replay", got)
	}
}

func TestMetadataKeepsItsDigits(t *testing.T) {
	const sent = `{"ref_id":"r","metadata":{"b":12345678901234567890.10,"a":1e400}}`
	var body api.VoidBody
	if err := json.Unmarshal([]byte(sent), &body); err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(api.Transaction{Metadata: body.Metadata})
	if err != nil {
		t.Fatal(err)
	}
	if want := `"metadata":{"b":12345678901234567890.10,"a":1e400}`; !strings.Contains(string(got), want) {
		t.Errorf("metadata became %s", got)
	}

	none, err := json.Marshal(api.Transaction{})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(none), "metadata") {
		t.Error("metadata is there without a value")
	}
}
