package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/kortwallet/kort/openapi"
)

// maxProblems is how many wrong answers of an operation are kept.
const maxProblems = 3

// document compares answers with what the contract says of them.
type document struct {
	operations map[string]*openapi3.Operation

	mu       sync.Mutex
	seen     map[string]int
	problems map[string][]Failure
}

func readDocument() (*document, error) {
	spec, err := openapi3.NewLoader().LoadFromData(openapi.KortYAML)
	if err != nil {
		return nil, fmt.Errorf("read the contract: %w", err)
	}
	d := &document{operations: map[string]*openapi3.Operation{}, seen: map[string]int{}, problems: map[string][]Failure{}}
	for _, item := range spec.Paths.Map() {
		for _, operation := range item.Operations() {
			d.operations[operation.OperationID] = operation
		}
	}
	return d, nil
}

// documents has a check for each operation: all answers of the run are as the document says.
func documents() []Check {
	all := []string{
		opCreate, opList, opGet, opDelete, opToken, opInfo, opCustomerCards, opCustomerCard, opTransactions, opTransact,
		opCapture, opVoid, opRotate, opBatch, opActivate,
	}
	checks := make([]Check, len(all))
	for i, operation := range all {
		checks[i] = Check{
			Name: "document/" + operation, reads: true, answersOf: operation,
			Rule: "Every answer of " + operation + " has a status, a code, a type and fields that the OpenAPI document lists.",
		}
	}
	return checks
}

// look compares an answer.
func (d *document) look(operation string, a answer) {
	described := d.operations[operation]
	if described == nil {
		return
	}
	problem := mismatch(described, a)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen[operation]++
	if problem != "" && len(d.problems[operation]) < maxProblems {
		d.problems[operation] = append(d.problems[operation], Failure{
			Expected: "an answer as the document describes it", Got: problem, Exchange: a.t.last,
		})
	}
}

// mismatch says what is wrong with an answer, or nothing. It quotes nothing of it.
func mismatch(operation *openapi3.Operation, a answer) string {
	response := operation.Responses.Status(a.status)
	if response == nil {
		return "the status " + strconv.Itoa(a.status)
	}
	media, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil || media != jsonType {
		return "a body that is not declared as " + jsonType
	}
	decoder := json.NewDecoder(bytes.NewReader(a.body))
	var body any
	if err := decoder.Decode(&body); err != nil || decoder.More() {
		return "a body that is not one JSON value"
	}
	schema := response.Value.Content.Get(jsonType).Schema.Value
	if err := schema.VisitJSON(body, openapi3.VisitAsResponse(), openapi3.SetSchemaErrorMessageCustomizer(brief)); err != nil {
		return err.Error()
	}
	if codes, ok := response.Value.Extensions["x-error-codes"].([]any); ok && a.status != http.StatusOK {
		if !slices.Contains(codes, any(string(a.code()))) {
			return "the code " + string(a.code()) + " with the status " + strconv.Itoa(a.status)
		}
	}
	if name := absent(body, ""); name != "" {
		return "null at " + name
	}
	return ""
}

// brief says what is wrong without the value: it may be a secret.
func brief(e *openapi3.SchemaError) string {
	text := "at"
	for _, step := range e.JSONPointer() {
		text += "/" + step
	}
	return text + ": " + e.Reason
}

// absent finds a null, which answers do not have outside of metadata.
func absent(value any, at string) string {
	switch v := value.(type) {
	case nil:
		return at
	case []any:
		for i, member := range v {
			if found := absent(member, at+"/"+strconv.Itoa(i)); found != "" {
				return found
			}
		}
	case map[string]any:
		for name, member := range v {
			if name == "metadata" {
				continue
			}
			if found := absent(member, at+"/"+name); found != "" {
				return found
			}
		}
	}
	return ""
}

// verdict is the result of a check on an operation.
func (d *document) verdict(check Check) Result {
	d.mu.Lock()
	defer d.mu.Unlock()
	problems := d.problems[check.answersOf]
	switch {
	case len(problems) > 0:
		return Result{Check: check, Outcome: Failed, Failure: &problems[0]}
	case d.seen[check.answersOf] == 0:
		return Result{Check: check, Outcome: Undecided, Reason: "no other check has asked for it"}
	}
	return Result{Check: check, Outcome: Passed}
}
