package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/kortwallet/kort/openapi"
)

// operation is what the contract says of an operation. The tests read the contract
// as it was written; the server has it embedded with an overlay.
type operation struct {
	id, method, path string
	spec             *openapi3.T
	item             *openapi3.PathItem
	operation        *openapi3.Operation
}

// contract reads the operations once.
var contract = sync.OnceValues(func() (map[string]*operation, error) {
	spec, err := openapi3.NewLoader().LoadFromData(openapi.KortYAML)
	if err != nil {
		return nil, fmt.Errorf("load the contract: %w", err)
	}
	all := map[string]*operation{}
	for path, item := range spec.Paths.Map() {
		for method, o := range item.Operations() {
			all[o.OperationID] = &operation{
				id: o.OperationID, method: method, path: path, spec: spec, item: item, operation: o,
			}
		}
	}
	return all, nil
})

func contractOf(t testing.TB, id string) *operation {
	t.Helper()
	all, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	if all[id] == nil {
		t.Fatalf("the contract has no operation %q", id)
	}
	return all[id]
}

// operationIDs lists all operations.
func operationIDs(t testing.TB) []string {
	t.Helper()
	all, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, 0, len(all))
	for id := range all {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// codes lists the error codes that the operation may answer with, by status.
func (o *operation) codes(t testing.TB) map[int][]string {
	t.Helper()
	codes := map[int][]string{}
	for status, response := range o.operation.Responses.Map() {
		number, err := strconv.Atoi(status)
		if err != nil {
			t.Fatal(err)
		}
		listed, _ := response.Value.Extensions["x-error-codes"].([]any)
		for _, code := range listed {
			codes[number] = append(codes[number], code.(string))
		}
	}
	return codes
}

// headersOfHTTP are on answers because of how HTTP works, and no matter of the contract.
var headersOfHTTP = []string{"Content-Type", "Content-Length", "Date", "Connection", "Cache-Control", "X-Content-Type-Options"}

// check compares an answer with the contract: status, headers, schema, and what a
// schema does not say.
func (o *operation) check(t testing.TB, request *http.Request, r *reply) {
	t.Helper()
	err := openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: request,
			Route:   &routers.Route{Spec: o.spec, Path: o.path, PathItem: o.item, Method: o.method, Operation: o.operation},
		},
		Status: r.status, Header: r.header, Body: io.NopCloser(bytes.NewReader(r.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	if err != nil {
		t.Errorf("%s: the answer %d %s is not as the contract says: %v", o.id, r.status, r.body, err)
		return
	}
	declared := o.operation.Responses.Status(r.status).Value
	if got := r.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("%s: Content-Type is %q", o.id, got)
	}
	if r.header.Get("Cache-Control") != "no-store" || r.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s: a %d may be cached or sniffed at: %v", o.id, r.status, r.header)
	}
	for name := range r.header {
		known := false
		for declaredName := range declared.Headers {
			known = known || http.CanonicalHeaderKey(declaredName) == name
		}
		if !known && !slices.Contains(headersOfHTTP, name) {
			t.Errorf("%s: a %d has the undeclared header %s", o.id, r.status, name)
		}
	}
	var value any
	r.decode(t, &value)
	if r.status != http.StatusOK {
		o.checkFailure(t, declared, r)
	}
	for _, excess := range undeclared(declared.Content.Get("application/json").Schema.Value, value, "") {
		t.Errorf("%s: a %d has %s", o.id, r.status, excess)
	}
}

// checkFailure compares an error with the codes and the examples of its status.
func (o *operation) checkFailure(t testing.TB, declared *openapi3.Response, r *reply) {
	t.Helper()
	code := r.failure(t).Error.Code
	if !slices.Contains(o.codes(t)[r.status], code) {
		t.Errorf("%s: %d does not list the code %q", o.id, r.status, code)
	}
	example := declared.Content.Get("application/json").Examples[code]
	if example == nil {
		t.Errorf("%s: %d has no example of %q", o.id, r.status, code)
		return
	}
	shown, err := json.Marshal(example.Value.Value)
	if err != nil {
		t.Fatal(err)
	}
	want, got := (&reply{body: shown}).failure(t).Error, r.failure(t).Error
	if got.Message != want.Message {
		t.Errorf("%s: the message of %s is %q, the contract's example has %q", o.id, code, got.Message, want.Message)
	}
	for _, item := range got.Errors {
		if item.Reason == "" {
			t.Errorf("%s: %s has a problem without a reason", o.id, code)
		}
	}
}

// undeclared finds fields that the contract does not know, and nulls.
func undeclared(schema *openapi3.Schema, value any, pointer string) []string {
	var found []string
	switch v := value.(type) {
	case nil:
		return []string{"a null at " + pointer}
	case []any:
		for i, item := range v {
			found = append(found, undeclared(schema.Items.Value, item, fmt.Sprintf("%s/%d", pointer, i))...)
		}
	case object:
		if schema.AdditionalProperties.Has != nil && *schema.AdditionalProperties.Has {
			return nil // metadata is the client's
		}
		for name, field := range v {
			property := schema.Properties[name]
			if property == nil {
				found = append(found, "the undeclared field "+pointer+"/"+name)
				continue
			}
			found = append(found, undeclared(property.Value, field, pointer+"/"+name)...)
		}
	}
	return found
}
