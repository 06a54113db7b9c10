package openapi_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/kortwallet/kort/gen/hooks"
	"github.com/kortwallet/kort/openapi"
)

// The contract of the webhooks is valid with its examples, keeps the house rules that
// matter to a client, and is what the server has embedded.
func TestHooksContract(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData(openapi.HooksYAML)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatal(err)
	}
	embedded, err := hooks.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			found++
			if twin := embedded.Paths.Value(path).GetOperation(method); twin == nil || twin.OperationID != op.OperationID {
				t.Errorf("%s %s is not embedded", method, path)
			}
			checkHookScopes(t, method, op)
			checkHookAnswers(t, op)
		}
	}
	if found != 8 {
		t.Errorf("%d operations, want 8", found)
	}
}

func checkHookScopes(t *testing.T, method string, op *openapi3.Operation) {
	t.Helper()
	want := []string{"admin:hooks", "write:hooks"}
	if method == "GET" {
		want[1] = "read:hooks"
	}
	var scopes []string
	for _, alternative := range *op.Security {
		scopes = append(scopes, alternative["JWT"]...)
	}
	if !slices.Equal(scopes, want) {
		t.Errorf("%s: the scopes are %v, want %v", op.OperationID, scopes, want)
	}
}

func checkHookAnswers(t *testing.T, op *openapi3.Operation) {
	t.Helper()
	for _, status := range []string{"400", "401", "403", "429", "500", "503"} {
		if op.Responses.Value(status) == nil {
			t.Errorf("%s has no %s", op.OperationID, status)
		}
	}
	for status, ref := range op.Responses.Map() {
		if strings.HasPrefix(status, "2") {
			continue
		}
		codes, _ := ref.Value.Extensions["x-error-codes"].([]any)
		examples := ref.Value.Content.Get("application/json").Examples
		for _, code := range codes {
			if examples[code.(string)] == nil {
				t.Errorf("%s: %s has no example of %s", op.OperationID, status, code)
			}
		}
		if len(codes) == 0 {
			t.Errorf("%s: %s lists no code", op.OperationID, status)
		}
	}
}
