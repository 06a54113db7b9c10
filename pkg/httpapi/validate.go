package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/labstack/echo/v4"

	"github.com/kortwallet/kort/gen/api"
	"github.com/kortwallet/kort/pkg/strictjson"
)

const (
	jsonType = "application/json"
	// firstBodyBytes is how much room a body gets before any of it has arrived,
	// whatever length it declares.
	firstBodyBytes = 16 << 10
)

// checkedBody is a body that is as the contract says. It waits for the binder.
type checkedBody struct {
	io.ReadCloser
	text []byte
}

// declaredLength refuses a body whose declared length is too large, before anybody
// is asked who they are: nothing of it has been read.
func (o *operation) declaredLength(c echo.Context) error {
	if o.takesBody() && c.Request().ContentLength > o.maxBody {
		return fail(api.ErrorCodeRequestTooLarge)
	}
	return nil
}

// validate checks the whole request against the contract.
func (o *operation) validate(c echo.Context) error {
	var body []byte
	if o.takesBody() {
		var err error
		if body, err = o.readBody(c.Request()); err != nil {
			return err
		}
		c.Request().Body = &checkedBody{ReadCloser: http.NoBody, text: body}
	}
	if problems := o.problems(c, body); len(problems) > 0 {
		return fail(api.ErrorCodeInvalidRequest, problems...)
	}
	return nil
}

// readBody reads a JSON body up to the limit.
func (o *operation) readBody(r *http.Request) ([]byte, error) {
	if !declaresJSON(r.Header) {
		return nil, fail(api.ErrorCodeUnsupportedMediaType)
	}
	var body bytes.Buffer
	body.Grow(int(min(max(r.ContentLength, 0), firstBodyBytes)) + bytes.MinRead)
	if _, err := body.ReadFrom(io.LimitReader(r.Body, o.maxBody+1)); err != nil {
		return nil, &failure{
			code: api.ErrorCodeInvalidRequest, cause: err,
			problems: []problem{{Pointer: "", Reason: "could not be read to its end"}},
		}
	}
	if int64(body.Len()) > o.maxBody {
		return nil, fail(api.ErrorCodeRequestTooLarge)
	}
	return body.Bytes(), nil
}

// declaresJSON tells whether the header declares a body of plain JSON in UTF-8.
func declaresJSON(header http.Header) bool {
	if encodings := header.Values(echo.HeaderContentEncoding); len(encodings) > 0 {
		if encoded := strings.Join(encodings, ","); encoded != "" && encoded != "identity" {
			return false
		}
	}
	declared := header.Get(echo.HeaderContentType)
	if declared == jsonType {
		return true
	}
	mediaType, parameters, err := mime.ParseMediaType(declared)
	charset := parameters["charset"]
	return err == nil && mediaType == jsonType && (charset == "" || strings.EqualFold(charset, "utf-8"))
}

// problems finds what is wrong with a request: first in how it is written, then
// in what it says.
func (o *operation) problems(c echo.Context, body []byte) []problem {
	query, problems, conforms := o.check(c, body)
	if conforms || len(problems) > 0 {
		return problems
	}
	return o.explain(c, query, body)
}

// check finds what is wrong with how a request is written, and tells whether all it
// says is as the contract wants it.
func (o *operation) check(c echo.Context, body []byte) (query url.Values, problems []problem, conforms bool) {
	problems, conforms = o.checkPath(c)
	query, queryProblems, queryConforms := o.checkQuery(c.Request().URL.RawQuery)
	problems, conforms = append(problems, queryProblems...), conforms && queryConforms
	if o.takesBody() {
		written, bodyConforms := strictjson.Check(body, o.body)
		for _, p := range written {
			problems = append(problems, problem{Pointer: p.Pointer, Reason: p.Reason})
		}
		conforms = conforms && bodyConforms
	}
	return query, problems, conforms && len(problems) == 0
}

// explain lets the OpenAPI validator say which rules a request breaks. It has the
// last word: what it allows is allowed.
func (o *operation) explain(c echo.Context, query url.Values, body []byte) []problem {
	path := make(map[string]string, len(o.path))
	for i, name := range c.ParamNames() {
		path[name], _ = pathValue(c, c.ParamValues()[i]) // it was decoded before
	}
	request := c.Request().WithContext(c.Request().Context())
	request.Body = io.NopCloser(bytes.NewReader(body))
	err := openapi3filter.ValidateRequest(request.Context(), &openapi3filter.RequestValidationInput{
		Request: request, PathParams: path, QueryParams: query, Route: o.route,
		Options: &openapi3filter.Options{
			MultiError: true, SkipSettingDefaults: true,
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
		},
	})
	return problemsOf(err)
}

// checkPath decodes the path parameters, each exactly once, and tells whether they
// keep the contract's rules.
func (o *operation) checkPath(c echo.Context) (problems []problem, conforms bool) {
	names, values := c.ParamNames(), c.ParamValues()
	conforms = len(names) == len(o.path)
	for i, name := range names {
		value, err := pathValue(c, values[i])
		if err != nil || !wellFormed(value) {
			problems = append(problems, problem{Pointer: name, Reason: "must be UTF-8 without control characters"})
		}
		conforms = conforms && slices.ContainsFunc(o.path, func(p parameter) bool { return p.name == name && p.allows(value) })
	}
	return problems, conforms
}

// pathValue decodes a path segment. Echo routes on the escaped path where it
// differs from the default way of escaping, and on the decoded one where not.
func pathValue(c echo.Context, segment string) (string, error) {
	if c.Request().URL.RawPath == "" {
		return segment, nil
	}
	return url.PathUnescape(segment)
}

// checkQuery reads the query. An empty value, and a second one where the contract
// has one, are problems: a filter is never dropped in silence.
func (o *operation) checkQuery(raw string) (values url.Values, problems []problem, conforms bool) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, []problem{{Pointer: "query", Reason: "is not a well-formed query"}}, false
	}
	for _, all := range values {
		for _, value := range all {
			if !wellFormed(value) {
				return nil, []problem{{Pointer: "query", Reason: "must be UTF-8 without control characters"}}, false
			}
		}
	}
	conforms = true
	for i := range o.query {
		p := &o.query[i]
		sent := values[p.name]
		if len(sent) > 1 && p.schema.Kind != strictjson.Array {
			problems = append(problems, problem{Pointer: p.name, Reason: "must be sent once"})
			continue
		}
		for _, value := range sent {
			if reason := queryReason(p.schema, value); reason != "" {
				problems = append(problems, problem{Pointer: p.name, Reason: reason})
				break
			}
		}
		conforms = conforms && p.allows(sent...)
	}
	return values, problems, conforms
}

// queryReason checks how a value is written, where the validator is lenient.
func queryReason(schema *strictjson.Schema, value string) string {
	switch {
	case value == "":
		return "must not be empty"
	case schema.Integer && !plainInteger(value):
		return "must be an integer written in digits"
	case schema.Kind == strictjson.Boolean && value != "true" && value != "false":
		return "must be true or false"
	}
	return ""
}

// plainInteger accepts what a JSON integer looks like.
func plainInteger(text string) bool {
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || (len(digits) > 1 && digits[0] == '0') {
		return false
	}
	return strings.Trim(digits, "0123456789") == ""
}

// wellFormed tells whether text is UTF-8 without control characters.
func wellFormed(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// problemsOf turns the validator's errors into problems. Only pointers and reasons
// that the contract determines are taken over: the errors' texts quote values.
func problemsOf(err error) []problem {
	if err == nil {
		return nil
	}
	var all []problem
	collect("", err, &all)
	if len(all) == 0 {
		all = append(all, problem{Pointer: "", Reason: "does not match the contract"})
	}
	return all
}

// collect walks the tree of errors. The place is the parameter's name, or empty
// for the body.
func collect(place string, err error, all *[]problem) {
	var many openapi3.MultiError
	var request *openapi3filter.RequestError
	var schema *openapi3.SchemaError
	switch {
	case isMulti(err, &many):
		for _, one := range many {
			collect(place, one, all)
		}
	case asRequest(err, &request):
		if request.Parameter != nil {
			place = request.Parameter.Name
		}
		if request.Err == nil {
			*all = append(*all, problem{Pointer: place, Reason: "must be given"})
			return
		}
		collect(place, request.Err, all)
	case errors.As(err, &schema):
		pointer := place
		if place == "" {
			pointer = pointerOf(schema.JSONPointer())
		}
		*all = append(*all, problem{Pointer: pointer, Reason: reasonOf(schema)})
	case errors.Is(err, openapi3filter.ErrInvalidRequired):
		*all = append(*all, problem{Pointer: place, Reason: "must be given"})
	default:
		*all = append(*all, problem{Pointer: place, Reason: "is not of the type that the contract asks for"})
	}
}

// isMulti looks at the error itself only: errors.As would search inside a request
// error and lose its parameter.
func isMulti(err error, many *openapi3.MultiError) bool {
	m, ok := err.(openapi3.MultiError) //nolint:errorlint // see above
	*many = m
	return ok
}

func asRequest(err error, request **openapi3filter.RequestError) bool {
	r, ok := err.(*openapi3filter.RequestError) //nolint:errorlint // see isMulti
	*request = r
	return ok
}

// pointerOf writes a JSON pointer.
func pointerOf(segments []string) string {
	var b strings.Builder
	for _, segment := range segments {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(segment))
	}
	return b.String()
}

// reasonOf says what the contract asks for at the place of a schema error.
func reasonOf(e *openapi3.SchemaError) string {
	s := e.Schema
	switch e.SchemaField {
	case "required":
		return "must be given"
	case "type":
		return "must be of type " + strings.Join(s.Type.Slice(), " or ")
	case "enum":
		return "must be one of " + strings.Join(enumOf(s), ", ")
	case "minimum":
		return "must be at least " + limit(s.Min)
	case "maximum":
		return "must be at most " + limit(s.Max)
	case "minLength":
		return fmt.Sprintf("must have at least %d characters", s.MinLength)
	case "maxLength":
		return fmt.Sprintf("must have at most %d characters", *s.MaxLength)
	case "minItems":
		return fmt.Sprintf("must have at least %d items", s.MinItems)
	case "maxItems":
		return fmt.Sprintf("must have at most %d items", *s.MaxItems)
	case "nullable":
		return "must not be null"
	case "pattern":
		return "has characters, or a form, that the contract does not allow here"
	case "format":
		return "is not of the format " + s.Format
	default:
		return "does not match the contract"
	}
}

// enumOf lists the values that the contract allows.
func enumOf(s *openapi3.Schema) []string {
	values := make([]string, len(s.Enum))
	for i, value := range s.Enum {
		values[i] = fmt.Sprint(value)
	}
	return values
}

// limit writes a bound without exponent.
func limit(bound *float64) string { return fmt.Sprintf("%.0f", *bound) }

// binder hands the handlers exactly the bytes that were validated. The strict
// reader has seen to it that encoding/json, which ignores the case of keys, can
// decode them in one way only.
type binder struct{}

// Bind implements echo.Binder.
func (binder) Bind(target any, c echo.Context) error {
	body, ok := c.Request().Body.(*checkedBody)
	if !ok {
		return fail(api.ErrorCodeInternal)
	}
	if err := decodeBody(body.text, target); err != nil {
		return &failure{code: api.ErrorCodeInvalidRequest, cause: errors.New("a validated body could not be decoded")}
	}
	return nil
}
