package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/kortwallet/kort/pkg/strictjson"
)

// Rules of the contract, made ready once. What they allow, the OpenAPI validator
// allows; it is asked only about the rest, to say what is wrong. A rule that is not
// understood here keeps the server from starting: it would be ignored otherwise.

// maxExact is the largest integer that the validator, which reckons in floats,
// compares exactly.
const maxExact = 1<<53 - 1

// parameter is what the contract says of a parameter in the path or the query.
type parameter struct {
	name     string
	required bool
	schema   *strictjson.Schema
}

// allows tells whether the values that were sent keep the rules.
func (p *parameter) allows(sent ...string) bool {
	switch {
	case len(sent) == 0:
		return !p.required
	case p.schema.Kind == strictjson.Array:
		return p.schema.AllowsItems(len(sent)) &&
			!slices.ContainsFunc(sent, func(item string) bool { return !allowsValue(p.schema.Items, item) })
	}
	return len(sent) == 1 && allowsValue(p.schema, sent[0])
}

func allowsValue(schema *strictjson.Schema, value string) bool {
	switch schema.Kind {
	case strictjson.String:
		return value != "" && schema.AllowsText([]byte(value))
	case strictjson.Number:
		n, err := strconv.ParseInt(value, 10, 64)
		return err == nil && schema.AllowsInteger(n)
	case strictjson.Boolean:
		return value == "true" || value == "false"
	case strictjson.Any, strictjson.Object, strictjson.Array:
	}
	return false
}

// compiler makes the strict reader's schemas of the contract's.
type compiler struct {
	made map[*openapi3.Schema]*strictjson.Schema
}

// parameter makes one ready.
func (c compiler) parameter(p *openapi3.Parameter) (parameter, error) {
	made, err := c.parameterSchema(p)
	if err != nil {
		return parameter{}, fmt.Errorf("the parameter %s: %w", p.Name, err)
	}
	return parameter{name: p.Name, required: p.Required, schema: made}, nil
}

func (c compiler) parameterSchema(p *openapi3.Parameter) (*strictjson.Schema, error) {
	if err := knowsOnly(p, "name", "in", "required", "schema", "style", "explode"); err != nil {
		return nil, err
	}
	way, err := p.SerializationMethod()
	if err != nil {
		return nil, fmt.Errorf("serialisation: %w", err)
	}
	inPath := p.In == openapi3.ParameterInPath && way.Style == openapi3.SerializationSimple
	inQuery := p.In == openapi3.ParameterInQuery && way.Style == openapi3.SerializationForm && way.Explode
	made, err := c.schema(p.Schema)
	switch {
	case err != nil:
		return nil, err
	case !inPath && !inQuery:
		return nil, fmt.Errorf("in %s, style %s, explode %t is not understood", p.In, way.Style, way.Explode)
	case made.Kind == strictjson.Object || made.DateTime || (made.Kind == strictjson.Array && inPath):
		return nil, errors.New("its type is not understood in a parameter")
	}
	return made, nil
}

// schema makes one ready. Schemas that are used in several places are made once.
func (c compiler) schema(ref *openapi3.SchemaRef) (*strictjson.Schema, error) {
	from := ref.Value
	if made := c.made[from]; made != nil {
		return made, nil
	}
	made := &strictjson.Schema{Nullable: from.Nullable}
	c.made[from] = made
	var err error
	switch {
	case from.Type.Is(openapi3.TypeObject):
		err = c.object(made, from)
	case from.Type.Is(openapi3.TypeArray):
		err = c.array(made, from)
	case from.Type.Is(openapi3.TypeString):
		err = c.string(made, from)
	case from.Type.Is(openapi3.TypeInteger):
		err = c.integer(made, from)
	case from.Type.Is(openapi3.TypeBoolean):
		made.Kind = strictjson.Boolean
		err = knowsOnly(from)
	default:
		err = fmt.Errorf("the type %v is not understood", from.Type.Slice())
	}
	if err != nil && ref.Ref != "" {
		err = fmt.Errorf("%s: %w", ref.Ref, err)
	}
	return made, err
}

func (c compiler) object(made *strictjson.Schema, from *openapi3.Schema) error {
	made.Kind, made.Required = strictjson.Object, from.Required
	if err := knowsOnly(from, "properties", "required", "additionalProperties"); err != nil {
		return err
	}
	if more := from.AdditionalProperties; more.Schema != nil || (more.Has != nil && !*more.Has) {
		return errors.New("additionalProperties is understood only as true")
	}
	if len(from.Properties) == 0 {
		made.FreeForm = &strictjson.FreeForm{MaxBytes: maxMetadataBytes, MaxDepth: maxMetadataDepth}
		return nil
	}
	made.Properties = make(map[string]*strictjson.Schema, len(from.Properties))
	for _, name := range slices.Sorted(maps.Keys(from.Properties)) {
		property, err := c.schema(from.Properties[name])
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		made.Properties[name] = property
	}
	return nil
}

func (c compiler) array(made *strictjson.Schema, from *openapi3.Schema) (err error) {
	made.Kind = strictjson.Array
	if err := knowsOnly(from, "items", "minItems", "maxItems"); err != nil {
		return err
	}
	if made.MinItems, made.MaxItems, err = sizes("Items", from.MinItems, from.MaxItems); err != nil {
		return err
	}
	made.Items, err = c.schema(from.Items)
	return err
}

func (compiler) string(made *strictjson.Schema, from *openapi3.Schema) (err error) {
	made.Kind, made.DateTime = strictjson.String, from.Format == "date-time"
	if err := knowsOnly(from, "minLength", "maxLength", "pattern", "enum", "format"); err != nil {
		return err
	}
	switch {
	case from.Format == "" || made.DateTime:
	case from.Format == "uuid" && from.Pattern != "": // the pattern says it; the validator knows no such format either
	default:
		return fmt.Errorf("the format %s is not understood", from.Format)
	}
	for _, value := range from.Enum {
		text, ok := value.(string)
		if !ok {
			return errors.New("enum is understood only for strings")
		}
		made.Enum = append(made.Enum, text)
	}
	if made.MinLength, made.MaxLength, err = sizes("Length", from.MinLength, from.MaxLength); err != nil {
		return err
	}
	made.Pattern, err = pattern(from.Pattern)
	return err
}

func (compiler) integer(made *strictjson.Schema, from *openapi3.Schema) error {
	made.Kind, made.Integer = strictjson.Number, true
	if err := knowsOnly(from, "minimum", "maximum", "format"); err != nil {
		return err
	}
	if from.Format != "" && from.Format != "int64" {
		return fmt.Errorf("the format %s is not understood", from.Format)
	}
	for _, bound := range []*float64{from.Min, from.Max} {
		if bound == nil || *bound != math.Trunc(*bound) || math.Abs(*bound) > maxExact {
			return errors.New("an integer needs minimum and maximum, integers of at most 53 bits")
		}
	}
	made.Range = &strictjson.Range{Min: int64(*from.Min), Max: int64(*from.Max)}
	return nil
}

// sizes reads two bounds. None at all is 0 to the strict reader.
func sizes(of string, least uint64, most *uint64) (from, to int, err error) {
	if most == nil {
		most = new(uint64)
	} else if *most == 0 {
		return 0, 0, fmt.Errorf("max%s is understood only above 0", of)
	}
	if least > math.MaxInt32 || *most > math.MaxInt32 {
		return 0, 0, fmt.Errorf("min%s and max%s are understood only below 2^31", of, of)
	}
	return int(least), int(*most), nil
}

// annotations are keywords that allow and forbid nothing. A default is not filled
// in: what the client sent stays what it sent.
func annotations() []string {
	return []string{"type", "title", "description", "example", "examples", "externalDocs", "deprecated", "default", "nullable"}
}

// knowsOnly checks that an object of the contract has no keywords but the known.
func knowsOnly(from json.Marshaler, known ...string) error {
	text, err := from.MarshalJSON()
	if err != nil {
		return fmt.Errorf("list keywords: %w", err)
	}
	var keywords map[string]json.RawMessage
	if err := json.Unmarshal(text, &keywords); err != nil {
		return fmt.Errorf("list keywords: %w", err)
	}
	known = append(known, annotations()...)
	for _, keyword := range slices.Sorted(maps.Keys(keywords)) {
		if !slices.Contains(known, keyword) && !strings.HasPrefix(keyword, "x-") {
			return fmt.Errorf("the keyword %s is not understood here", keyword)
		}
	}
	return nil
}

// The patterns that nearly every request meets. Matching them as regular expressions
// takes longer than all else that is done to a string.
const (
	controls = `\x00-\x1f\x7f-\x9f`
	spaces   = `\x20\xa0` + "\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
	atEnd    = `[^` + controls + spaces + `]`
	notDot   = `[^` + controls + spaces + `.]`

	textPattern = `^[^` + controls + `]+$`
	idPattern   = `^(?:` + notDot + `|` + notDot + atEnd + `|\.` + notDot + `|` + atEnd + `[^` + controls + `]+` + atEnd + `)$`
)

// pattern makes a pattern ready.
func pattern(expression string) (func([]byte) bool, error) {
	switch expression {
	case "":
		return nil, nil
	case textPattern:
		return isText, nil
	case idPattern:
		return isID, nil
	}
	compiled, err := regexp.Compile(expression)
	if err != nil {
		return nil, fmt.Errorf("compile a pattern: %w", err)
	}
	return compiled.Match, nil
}

// isText matches textPattern.
func isText(content []byte) bool {
	return len(content) > 0 && !bytes.ContainsFunc(content, unicode.IsControl)
}

// isID matches idPattern.
func isID(content []byte) bool {
	return isText(content) && len(bytes.TrimSpace(content)) == len(content) && string(content) != "." && string(content) != ".."
}
