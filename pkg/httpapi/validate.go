package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
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
	bodyKey  = "kort.body" // where the validated bytes wait for the binder
)

// declaredLength refuses a body whose declared length is too large, before anybody
// is asked who they are: nothing of it has been read.
func (o *operation) declaredLength(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if o.takesBody() && c.Request().ContentLength > o.maxBody {
			return fail(api.ErrorCodeRequestTooLarge)
		}
		return next(c)
	}
}

// validate checks the whole request against the contract.
func (o *operation) validate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if o.takesBody() {
			body, err := o.readBody(c.Request())
			if err != nil {
				return err
			}
			c.Set(bodyKey, body)
			c.Request().Body = io.NopCloser(bytes.NewReader(body))
		}
		problems := o.problems(c)
		if len(problems) > 0 {
			return fail(api.ErrorCodeInvalidRequest, problems...)
		}
		return next(c)
	}
}

// readBody reads a JSON body up to the limit.
func (o *operation) readBody(r *http.Request) ([]byte, error) {
	mediaType, parameters, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType))
	charset := parameters["charset"]
	encoded := strings.Join(r.Header.Values(echo.HeaderContentEncoding), ",")
	if err != nil || mediaType != jsonType || (charset != "" && !strings.EqualFold(charset, "utf-8")) ||
		(encoded != "" && encoded != "identity") {
		return nil, fail(api.ErrorCodeUnsupportedMediaType)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, o.maxBody+1))
	if err != nil {
		return nil, &failure{
			code: api.ErrorCodeInvalidRequest, cause: err,
			problems: []problem{{Pointer: "", Reason: "could not be read to its end"}},
		}
	}
	if int64(len(body)) > o.maxBody {
		return nil, fail(api.ErrorCodeRequestTooLarge)
	}
	return body, nil
}

// problems finds what is wrong with a request: first in how it is written, then
// in what it says.
func (o *operation) problems(c echo.Context) []problem {
	path, problems := pathValues(c)
	query, queryProblems := o.queryValues(c.Request().URL.RawQuery)
	problems = append(problems, queryProblems...)
	if body, ok := c.Get(bodyKey).([]byte); ok {
		for _, p := range strictjson.Check(body, *o.body) {
			problems = append(problems, problem{Pointer: p.Pointer, Reason: p.Reason})
		}
	}
	if len(problems) > 0 {
		return problems
	}
	err := openapi3filter.ValidateRequest(c.Request().Context(), &openapi3filter.RequestValidationInput{
		Request: c.Request(), PathParams: path, QueryParams: query, Route: o.route,
		Options: &openapi3filter.Options{
			MultiError: true, SkipSettingDefaults: true,
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
		},
	})
	return problemsOf(err)
}

// pathValues decodes the path parameters, each exactly once.
func pathValues(c echo.Context) (map[string]string, []problem) {
	values := make(map[string]string, len(c.ParamNames()))
	var problems []problem
	for i, name := range c.ParamNames() {
		value, err := pathValue(c, c.ParamValues()[i])
		if err != nil || !wellFormed(value) {
			problems = append(problems, problem{Pointer: name, Reason: "must be UTF-8 without control characters"})
		}
		values[name] = value
	}
	return values, problems
}

// pathValue decodes a path segment. Echo routes on the escaped path where it
// differs from the default way of escaping, and on the decoded one where not.
func pathValue(c echo.Context, segment string) (string, error) {
	if c.Request().URL.RawPath == "" {
		return segment, nil
	}
	return url.PathUnescape(segment)
}

// queryValues reads the query. An empty value, and a second one where the
// contract has one, are problems: a filter is never dropped in silence.
func (o *operation) queryValues(raw string) (url.Values, []problem) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, []problem{{Pointer: "query", Reason: "is not a well-formed query"}}
	}
	for _, all := range values {
		for _, value := range all {
			if !wellFormed(value) {
				return nil, []problem{{Pointer: "query", Reason: "must be UTF-8 without control characters"}}
			}
		}
	}
	var problems []problem
	for _, p := range o.query {
		sent := values[p.Value.Name]
		if len(sent) > 1 && !p.Value.Schema.Value.Type.Is(openapi3.TypeArray) {
			problems = append(problems, problem{Pointer: p.Value.Name, Reason: "must be sent once"})
			continue
		}
		for _, value := range sent {
			if reason := queryReason(p.Value.Schema.Value, value); reason != "" {
				problems = append(problems, problem{Pointer: p.Value.Name, Reason: reason})
				break
			}
		}
	}
	return values, problems
}

// queryReason checks how a value is written, where the validator is lenient.
func queryReason(schema *openapi3.Schema, value string) string {
	switch {
	case value == "":
		return "must not be empty"
	case schema.Type.Is(openapi3.TypeInteger) && !plainInteger(value):
		return "must be an integer written in digits"
	case schema.Type.Is(openapi3.TypeBoolean) && value != "true" && value != "false":
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
	body, ok := c.Get(bodyKey).([]byte)
	if !ok {
		return fail(api.ErrorCodeInternal)
	}
	if err := decodeBody(body, target); err != nil {
		return &failure{code: api.ErrorCodeInvalidRequest, cause: errors.New("a validated body could not be decoded")}
	}
	return nil
}
