package openapi_test

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// eachSchema calls check for each schema that is written out somewhere in the contract, with its place. A $ref is not
// followed: what it points to has a place of its own.
func eachSchema(doc *openapi3.T, check func(place string, schema *openapi3.Schema)) {
	var walk func(place string, ref *openapi3.SchemaRef)
	walk = func(place string, ref *openapi3.SchemaRef) {
		if ref == nil || ref.Ref != "" {
			return
		}
		check(place, ref.Value)
		for name, property := range ref.Value.Properties {
			walk(place+"/"+name, property)
		}
		walk(place+"/items", ref.Value.Items)
		walk(place+"/additionalProperties", ref.Value.AdditionalProperties.Schema)
	}
	for name, ref := range doc.Components.Schemas {
		walk(name, ref)
	}
	for name, parameter := range doc.Components.Parameters {
		walk("parameter "+name, parameter.Value.Schema)
	}
	for name, header := range doc.Components.Headers {
		walk("header "+name, header.Value.Schema)
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			place := method + " " + path
			for _, parameter := range op.Parameters {
				if parameter.Ref == "" {
					walk(place+" "+parameter.Value.Name, parameter.Value.Schema)
				}
			}
			if op.RequestBody != nil {
				walk(place+" body", op.RequestBody.Value.Content["application/json"].Schema)
			}
			walk(place+" 200", op.Responses.Value("200").Value.Content["application/json"].Schema)
		}
	}
}

func TestSchemaHouseRules(t *testing.T) {
	doc := load(t)
	visited := 0
	eachSchema(doc, func(place string, schema *openapi3.Schema) {
		visited++
		_, isComponent := doc.Components.Schemas[place]
		if len(schema.Enum) > 0 && !isComponent {
			t.Errorf("%s: an enum must be a component", place)
		}
		if forbidsMore := schema.AdditionalProperties.Has; forbidsMore != nil && !*forbidsMore {
			t.Errorf("%s: additionalProperties is false, unknown fields are ignored", place)
		}
		if schema.ReadOnly || schema.WriteOnly || schema.Nullable {
			t.Errorf("%s: readOnly, writeOnly and nullable have no place here", place)
		}
		if len(schema.OneOf)+len(schema.AnyOf)+len(schema.AllOf) > 0 {
			t.Errorf("%s: schemas are flat", place)
		}
		if _, err := regexp.Compile(schema.Pattern); err != nil {
			t.Errorf("%s: %v", place, err)
		}
		for _, name := range schema.Required {
			if schema.Properties[name] == nil {
				t.Errorf("%s: required property %s is not described", place, name)
			}
		}
		for name := range schema.Extensions {
			if strings.HasPrefix(name, "x-go") || strings.HasPrefix(name, "x-oapi") {
				t.Errorf("%s: %s belongs in server.overlay.yaml", place, name)
			}
		}
	})
	if visited < 80 {
		t.Errorf("only %d schemas were visited", visited)
	}
}

// What a client can send is bounded: texts in length and without control characters, numbers and arrays at both ends.
func TestRequestsAreBounded(t *testing.T) {
	doc := load(t)
	bounded := 0
	var walk func(place string, schema *openapi3.Schema)
	walk = func(place string, schema *openapi3.Schema) {
		if problem := unbounded(schema); problem != "" {
			t.Errorf("%s: %s", place, problem)
		}
		bounded++
		for name, property := range schema.Properties {
			walk(place+"/"+name, property.Value)
		}
		if schema.Items != nil {
			walk(place+"/items", schema.Items.Value)
		}
	}
	for path, item := range doc.Paths.Map() {
		for _, parameter := range item.Parameters {
			walk(path+" "+parameter.Value.Name, parameter.Value.Schema.Value)
		}
		for _, op := range item.Operations() {
			for _, parameter := range op.Parameters {
				walk(op.OperationID+" "+parameter.Value.Name, parameter.Value.Schema.Value)
			}
			if op.RequestBody != nil {
				walk(op.OperationID, op.RequestBody.Value.Content["application/json"].Schema.Value)
			}
		}
	}
	if bounded < 100 {
		t.Errorf("only %d schemas were visited", bounded)
	}
}

// unbounded says what a schema leaves open, or nothing.
func unbounded(schema *openapi3.Schema) string {
	switch {
	case schema.Type.Is("string"):
		return unboundedText(schema)
	case schema.Type.Is("integer") && (schema.Min == nil || schema.Max == nil):
		return "a number needs minimum and maximum"
	case schema.Type.Is("number"):
		return "there are only whole numbers"
	case schema.Type.Is("array") && (schema.MinItems == 0 || schema.MaxItems == nil):
		return "an array needs minItems and maxItems"
	}
	return ""
}

func unboundedText(schema *openapi3.Schema) string {
	if len(schema.Enum) > 0 || schema.Format == "date-time" {
		return ""
	}
	if schema.Format != "uuid" && (schema.MinLength == 0 || schema.MaxLength == nil) {
		return "a text needs minLength and maxLength"
	}
	if schema.Pattern == "" {
		return "a text needs a pattern"
	}
	// A pattern that is not anchored at the end is for texts that are parsed; there the parser refuses the rest.
	if pattern := regexp.MustCompile(schema.Pattern); strings.HasSuffix(schema.Pattern, "$") {
		for _, control := range []string{"\x00", "\t", "\n", "\x1f", "\x7f", "\u0085", "\u009f"} {
			if pattern.MatchString("abc"+control+"def") || pattern.MatchString(control) {
				return fmt.Sprintf("the pattern lets %q pass", control)
			}
		}
	}
	return ""
}

func TestIDs(t *testing.T) {
	doc := load(t)
	longest := strings.Repeat("ø", 255)
	cases := map[string]bool{
		"a": true, "-": true, "ab": true, "a.": true, ".a": true, "...": true, "a b": true, "a/b%2F+ø 😀": true, longest: true,
		"a\u2003b": true,
		"":         false, ".": false, "..": false, " ": false, "  ": false, " a": false, "a ": false, "a b ": false, longest + "x": false,
		"\u00a0a": false, "a\u00a0": false, "a\u1680": false, "\u2003a": false, "abc\u2028": false, "\u2029": false, "\u202fab": false,
		"ab\u205f": false, "\u3000abc": false, "a\u0085": false, "a\tb": false, "a\x00b": false, "a\u009fb": false, "\n": false,
	}
	for _, name := range []string{"CardId", "CustomerId", "OriginatedBy"} {
		schema := doc.Components.Schemas[name].Value
		for id, want := range cases {
			if got := schema.VisitJSON(id) == nil; got != want {
				t.Errorf("%s takes %q: %v, want %v", name, id, got, want)
			}
		}
	}
}

func TestAmounts(t *testing.T) {
	doc := load(t)
	const largest = 1<<53 - 1
	for name, ref := range doc.Components.Schemas {
		if !strings.HasSuffix(name, "Amount") && !strings.HasPrefix(name, "Amount") {
			continue
		}
		for amount, want := range map[int64]bool{-1: false, 0: true, 1: true, largest: true, largest + 1: false} {
			if got := ref.Value.VisitJSON(amount) == nil; got != want {
				t.Errorf("%s takes %d: %v, want %v", name, amount, got, want)
			}
		}
	}
}

func TestFormatsDifferInTheirLength(t *testing.T) {
	doc := load(t)
	for _, c := range []struct {
		schema string
		length int
		want   bool
	}{
		{"Format", 0, false}, {"Format", 1, true}, {"Format", 255, true}, {"Format", 256, false},
		{"PinFormat", 3, false}, {"PinFormat", 4, true}, {"PinFormat", 64, true}, {"PinFormat", 65, false},
	} {
		value := map[string]any{"length": float64(c.length)}
		if got := doc.Components.Schemas[c.schema].Value.VisitJSON(value) == nil; got != c.want {
			t.Errorf("%s takes the length %d: %v, want %v", c.schema, c.length, got, c.want)
		}
	}
	// A default on any of these would change the shape for clients that fill defaults in.
	for _, schema := range []string{"Format", "PinFormat"} {
		for name, property := range doc.Components.Schemas[schema].Value.Properties {
			if name != "barcode" && property.Value.Default != nil {
				t.Errorf("%s/%s has a default", schema, name)
			}
		}
	}
}

// optional lists, for each schema of an answer, what is left out when it has no value; all else is always there.
var optional = map[string][]string{
	"Card": {"active_from", "currency", "customer_id", "deleted_at", "deleted_by", "expires_at", "metadata", "name",
		"originated_by", "pin"},
	"CardCreated": {"active_from", "card_token", "currency", "customer_id", "expires_at", "metadata", "name", "originated_by",
		"pin"},
	"CardDetails": {"active_from", "currency", "customer_id", "deleted_at", "deleted_by", "expires_at", "metadata", "name",
		"originated_by", "pin"},
	"CardList":          {"starting_after"},
	"CustomerCard":      {"active_from", "expires_at", "metadata", "name", "originated_by", "pin"},
	"CustomerCardState": {"active_from", "currency", "expires_at", "metadata", "name", "originated_by", "pin"},
	"BatchCreated":      nil,
	"PinRotated":        nil,
	"PinGenerated":      {"format"},
	"TokenGenerated":    {"expires_in", "format"},
	"ClearValue":        {"barcode_128"},
	"CardPin":           {"format"},
	"MaskedToken":       {"expires_at", "format"},
	"Token":             {"format", "metadata", "token"},
	"Transaction":       {"metadata", "originated_by", "parent_id"},
	"Error":             nil,
	"ErrorBody":         {"errors"},
	"ErrorItem":         {"existing_id"},
}

func TestAnswersAreExact(t *testing.T) {
	doc := load(t)
	for name, want := range optional {
		schema := doc.Components.Schemas[name].Value
		var got []string
		for property := range schema.Properties {
			if !slices.Contains(schema.Required, property) {
				got = append(got, property)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s may leave out %v, want %v", name, got, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	schemas := load(t).Components.Schemas
	got := map[string]any{
		"type of a card":            schemas["CardCreate"].Value.Properties["type"].Value.Default,
		"type of a batch card":      schemas["BatchCard"].Value.Properties["type"].Value.Default,
		"type of a transaction":     schemas["TransactionCreate"].Value.Properties["type"].Value.Default,
		"pending":                   schemas["TransactionCreate"].Value.Properties["pending"].Value.Default,
		"expires_after_transaction": schemas["TokenCreate"].Value.Properties["expires_after_transaction"].Value.Default,
		"barcode":                   schemas["Format"].Value.Properties["barcode"].Value.Default,
	}
	want := map[string]any{
		"type of a card": "gift_card", "type of a batch card": "gift_card", "type of a transaction": "drawdown", "pending": false,
		"expires_after_transaction": true, "barcode": false,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("defaults %v, want %v", got, want)
	}
	// The same enums filter lists and stand in answers; a default there would say that nothing is sent unless asked.
	for _, name := range []string{"CardType", "CardStatus", "Currency", "TransactionType"} {
		if schemas[name].Value.Default != nil {
			t.Errorf("%s has a default", name)
		}
	}
}

func TestCardCreateTypeIsCardType(t *testing.T) {
	schemas := load(t).Components.Schemas
	if a, b := schemas["CardCreateType"].Value.Enum, schemas["CardType"].Value.Enum; !reflect.DeepEqual(a, b) {
		t.Errorf("CardCreateType has %v, CardType %v", a, b)
	}
}
