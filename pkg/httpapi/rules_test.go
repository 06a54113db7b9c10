package httpapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/labstack/echo/v4"

	"github.com/kortwallet/kort/gen/api"
)

// An operation is open to all only where the contract says so in so many words.
func TestWhoMayUseAnOperation(t *testing.T) {
	t.Parallel()
	spec := &openapi3.T{Components: &openapi3.Components{SecuritySchemes: openapi3.SecuritySchemes{
		"Client": {Value: openapi3.NewSecurityScheme().WithType("http").WithScheme("basic")},
		"JWT":    {Value: openapi3.NewSecurityScheme().WithType("oauth2")},
	}}}
	one := func(name string) *openapi3.SecurityRequirements {
		return &openapi3.SecurityRequirements{openapi3.SecurityRequirement{name: {}}}
	}
	for _, test := range []struct {
		security *openapi3.SecurityRequirements
		want     access
	}{{nil, byToken}, {&openapi3.SecurityRequirements{}, openToAll}, {one("JWT"), byToken}, {one("Client"), byClient}} {
		if got := accessOf(spec, &openapi3.Operation{Security: test.security}); got != test.want {
			t.Errorf("%v: got %d, want %d", test.security, got, test.want)
		}
	}
	all, err := operations()
	if err != nil {
		t.Fatal(err)
	}
	for id, o := range all {
		if o.access != byToken || len(o.scopes) == 0 {
			t.Errorf("%s is open to others than holders of a token", id)
		}
	}
}

// request is what an operation's rules are about.
type request struct {
	path  map[string]string
	query string
	body  string
}

// context is the request as it stands before the rules.
func (r request) context(o *operation) echo.Context {
	target := httptest.NewRequest(o.route.Method, "/", http.NoBody)
	target.Header.Set("Content-Type", jsonType)
	target.URL.RawQuery = r.query
	c := echo.New().NewContext(target, httptest.NewRecorder())
	names := slices.Sorted(maps.Keys(r.path))
	c.SetParamNames(names...)
	values := make([]string, len(names))
	for i, name := range names {
		values[i] = r.path[name]
	}
	c.SetParamValues(values...)
	return c
}

// reference judges a request as the OpenAPI validator does, which is asked about
// every request that is well written.
func reference(o *operation, r request) []problem {
	c := r.context(o)
	query, problems, _ := o.check(c, []byte(r.body))
	if len(problems) > 0 {
		return problems
	}
	if o.takesBody() {
		c.Request().Body = http.MaxBytesReader(nil, readCloser{strings.NewReader(r.body)}, maxBatchBytes)
	}
	return problemsOf(openapi3filter.ValidateRequest(c.Request().Context(), &openapi3filter.RequestValidationInput{
		Request: c.Request(), PathParams: r.path, QueryParams: query, Route: o.route,
		Options: &openapi3filter.Options{
			MultiError: true, SkipSettingDefaults: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
		},
	}))
}

type readCloser struct{ *strings.Reader }

// Close implements io.Closer.
func (readCloser) Close() error { return nil }

// compare judges a request both ways. The compiled rules have to come to the same
// verdict, and the server to the same words.
func compare(t *testing.T, o *operation, r request) (refused bool) {
	t.Helper()
	want := reference(o, r)
	c := r.context(o)
	if _, _, conforms := o.check(c, []byte(r.body)); conforms != (len(want) == 0) {
		t.Errorf("%s: the rules say %t to %+v, the validator says %v", o.id, conforms, r, want)
	}
	if got := o.problems(c, []byte(r.body)); !slices.Equal(got, want) {
		t.Errorf("%s: %+v: got %v, want %v", o.id, r, got, want)
	}
	return len(want) > 0
}

// samples are values in JSON of which every rule of the contract refuses some and
// allows others.
func samples() []string {
	all := []string{
		`null`, `true`, `false`, `{}`, `[]`, `[null]`, `{"a":1}`, `{"format":{"length":3}}`, `{"length":3,"prefix":""}`, `[{}]`,
		`0`, `-0`, `-1`, `1`, `3`, `4`, `64`, `65`, `255`, `256`, `100`, `101`, `1.0`, `1.5`, `1e2`, `1e400`,
		`3153600000`, `3153600001`, `9007199254740991`, `9007199254740992`, `9007199254740993`, `-9007199254740993`,
		`9223372036854775807`, `9223372036854775808`, `-9223372036854775808`,
		`"\u0000"`, `"a\nb"`, `"\u007f"`, `"\u0085"`, `"\ud800"`, "\"\xff\"", `"\u002e"`, `"\u00a0"`,
		`"true"`, `"1"`, `"+1"`, `"01"`, `"NOK"`, `"nok"`, `"NOK "`, `"SEK"`, `"fund"`, `"drawdown"`, `"gift_card"`, `"used"`,
		`"2026-06-30T09:15:00.123456Z"`, `"2026-06-30T09:15:00+23:59"`, `"2026-06-30"`, `"2026-02-30T00:00:00Z"`, `"T12345678"`,
		`"P1234567"`, `"X12345678"`, `"019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071"`, `"019A2B3C-4D5E-7F60-8A1B-2C3D4E5F607G"`,
	}
	for _, id := range ids() {
		text, err := json.Marshal(id)
		if err != nil {
			panic(err)
		}
		all = append(all, string(text))
	}
	for _, length := range []int{64, 65, 128, 129, 255, 256, 512, 513} {
		all = append(all, `"`+strings.Repeat("a", length)+`"`, `"`+strings.Repeat("😀", length)+`"`)
	}
	return all
}

// ids are texts around the rules for ids.
func ids() []string {
	all := []string{"", "a", ".", "..", "...", ".a", "a.", "ab", "a b", "é", "\u200b", "\ufeff", "\x00", "a\tb", "a\u0085b", "a/b", "*~ "}
	for _, space := range " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000" {
		s := string(space)
		all = append(all, s, s+"a", "a"+s, "a"+s+"b", "."+s, s+".", s+s)
	}
	return all
}

// valid is a request that the operation allows: the contract's own example.
func valid(o *operation) (r request, body map[string]any) {
	r.path = map[string]string{}
	for _, parameters := range []openapi3.Parameters{o.route.PathItem.Parameters, o.route.Operation.Parameters} {
		for _, p := range parameters {
			if p.Value.In == openapi3.ParameterInPath {
				r.path[p.Value.Name] = p.Value.Example.(string)
			}
		}
	}
	if o.takesBody() {
		schema := o.route.Operation.RequestBody.Value.Content.Get(jsonType).Schema.Value
		r.body = encode(exampleOf(schema))
		// A copy of its own: the examples belong to the contract, which operations share.
		if err := json.Unmarshal([]byte(r.body), &body); err != nil {
			panic(err)
		}
	}
	return r, body
}

// exampleOf has all that a schema knows of, one of each.
func exampleOf(schema *openapi3.Schema) any {
	switch {
	case len(schema.Properties) > 0:
		full := map[string]any{}
		for name, property := range schema.Properties {
			full[name] = exampleOf(property.Value)
		}
		return full
	case schema.Items != nil:
		return []any{exampleOf(schema.Items.Value), exampleOf(schema.Items.Value)}
	case schema.Example == nil && schema.Type.Is(openapi3.TypeBoolean):
		return true
	}
	return schema.Example
}

func encode(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// mutate calls use with every variation of a value: each part of it left out, and
// replaced by each sample.
func mutate(value any, set func(any), replacements []json.RawMessage, use func()) {
	for _, replacement := range replacements {
		set(replacement)
		use()
	}
	set(value)
	switch v := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			inner := v[name]
			delete(v, name)
			use()
			mutate(inner, func(other any) { v[name] = other }, replacements, use)
		}
	case []any:
		for i := range v {
			mutate(v[i], func(other any) { v[i] = other }, replacements, use)
		}
		for _, length := range []int{0, 1, 5, 6, 1000, 1001} {
			items := make([]any, length)
			for i := range items {
				items[i] = v[0]
			}
			set(items)
			use()
		}
		set(value)
	}
}

// mustOperations compiles the embedded contract.
func mustOperations(t testing.TB) []*operation {
	t.Helper()
	all, err := operations()
	if err != nil {
		t.Fatal(err)
	}
	sorted := make([]*operation, 0, len(all))
	for _, id := range slices.Sorted(maps.Keys(all)) {
		sorted = append(sorted, all[id])
	}
	return sorted
}

// Every operation, with the contract's examples and each part of them replaced by
// everything, gets the verdict of the OpenAPI validator.
func TestRulesAgreeWithTheValidator(t *testing.T) {
	t.Parallel()
	replacements := make([]json.RawMessage, 0, len(samples()))
	for _, sample := range samples() {
		replacements = append(replacements, json.RawMessage(sample))
	}
	for _, o := range mustOperations(t) {
		t.Run(o.id, func(t *testing.T) {
			t.Parallel()
			good, body := valid(o)
			if compare(t, o, good) {
				t.Errorf("the contract's example is refused: %+v", good)
			}
			refused, all := 0, 0
			try := func(r request) {
				all++
				if compare(t, o, r) {
					refused++
				}
			}
			for name, value := range good.path {
				for _, id := range append(ids(), strings.Repeat("é", 255), strings.Repeat("é", 256), "T1234567", "t12345678", value+"0", "x"+value) {
					try(request{path: withValue(good.path, name, id), query: good.query, body: good.body})
				}
			}
			for _, query := range queries(o) {
				try(request{path: good.path, query: query, body: good.body})
			}
			if body != nil {
				var whole any = body
				mutate(whole, func(other any) { whole = other }, replacements, func() {
					try(request{path: good.path, body: raw(whole)})
				})
			}
			t.Logf("%d of %d requests are refused", refused, all)
			if refused == 0 || refused == all {
				t.Errorf("%d of %d requests are refused", refused, all)
			}
		})
	}
}

func withValue(all map[string]string, name, value string) map[string]string {
	changed := maps.Clone(all)
	changed[name] = value
	return changed
}

// raw writes a value with the samples in it as they are, also those that are no JSON.
func raw(value any) string {
	switch v := value.(type) {
	case json.RawMessage:
		return string(v)
	case map[string]any:
		var members []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			members = append(members, encode(name)+":"+raw(v[name]))
		}
		return "{" + strings.Join(members, ",") + "}"
	case []any:
		var items []string
		for _, item := range v {
			items = append(items, raw(item))
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	return encode(value)
}

// queries has each parameter of an operation with every sample, once and twice.
func queries(o *operation) []string {
	all := []string{"", "unknown=", "%zz", "a;b"}
	for _, p := range o.query {
		all = append(all, p.name, p.name+"="+strings.Repeat(","+p.name, 3))
		for _, sample := range samples() {
			var value any
			if json.Unmarshal([]byte(sample), &value) != nil {
				continue
			}
			text, isText := value.(string)
			if !isText {
				text = sample
			}
			one := url.Values{p.name: {text}}.Encode()
			all = append(all, one, one+"&"+one, one+"&"+p.name+"=NOK", strings.Repeat(one+"&", 6))
		}
	}
	return all
}

// FuzzRules looks for a request about which the rules and the validator differ.
func FuzzRules(f *testing.F) {
	all := mustOperations(f)
	for i, o := range all {
		good, _ := valid(o)
		f.Add(uint(i), good.path["card_id"], "", good.body)
		for _, query := range []string{"limit=10&currency=NOK&currency=SEK", "amount_balance.gte=-1&status=used&search=", "include_deleted=true"} {
			f.Add(uint(i), "a\u3000", query, `{"amount":9007199254740992,"ref_id":"..","currency":"NOK","cards":[{"card_id":"."}]}`)
		}
	}
	f.Fuzz(func(t *testing.T, index uint, id, query, body string) {
		o := all[index%uint(len(all))]
		r, _ := valid(o)
		for name := range r.path {
			if name != "aid" {
				r.path[name] = id
			}
		}
		r.query, r.body = query, body
		compare(t, o, r)
	})
}

// The two patterns that are matched by hand match what their expressions do.
func FuzzPatterns(f *testing.F) {
	for _, id := range ids() {
		f.Add(id)
	}
	rows := []struct {
		expression string
		byHand     func([]byte) bool
		compiled   *regexp.Regexp
	}{{expression: textPattern, byHand: isText}, {expression: idPattern, byHand: isID}}
	for i := range rows {
		rows[i].compiled = regexp.MustCompile(rows[i].expression)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, row := range rows {
			if want := row.compiled.MatchString(text); row.byHand([]byte(text)) != want {
				t.Errorf("%q is %t by hand, want %t", text, !want, want)
			}
		}
	})
}

// A pattern that is written otherwise in the contract would be matched slowly, and
// nobody would notice.
func TestPatternsOfTheContract(t *testing.T) {
	t.Parallel()
	spec := mustSpec(t)
	for name, want := range map[string]string{
		"CardId": idPattern, "CustomerId": idPattern, "OriginatedBy": idPattern,
		"RefId": textPattern, "Name": textPattern, "TokenValue": textPattern, "PinValue": textPattern,
	} {
		if got := spec.Components.Schemas[name].Value.Pattern; got != want {
			t.Errorf("the pattern of %s is %q, want %q", name, got, want)
		}
	}
}

func mustSpec(t *testing.T) *openapi3.T {
	t.Helper()
	spec, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// A rule that is not understood keeps the server from starting.
func TestUnknownRulesAreRefused(t *testing.T) {
	t.Parallel()
	yes, no, one := true, false, 1.0
	schemaOf := func(name string, change func(*openapi3.Schema)) func(*openapi3.T) {
		return func(spec *openapi3.T) { change(spec.Components.Schemas[name].Value) }
	}
	refID := func(change func(*openapi3.Schema)) func(*openapi3.T) { return schemaOf("RefId", change) }
	amount := func(change func(*openapi3.Schema)) func(*openapi3.T) { return schemaOf("Amount", change) }
	body := func(change func(*openapi3.Schema)) func(*openapi3.T) { return schemaOf("TransactionCreate", change) }
	limit := func(change func(*openapi3.Parameter)) func(*openapi3.T) {
		return func(spec *openapi3.T) { change(spec.Components.Parameters["LimitQuery"].Value) }
	}
	for want, change := range map[string]func(*openapi3.T){
		"format email":         refID(func(s *openapi3.Schema) { s.Format = "email" }),
		"format uuid":          refID(func(s *openapi3.Schema) { s.Format, s.Pattern = "uuid", "" }),
		"keyword readOnly":     refID(func(s *openapi3.Schema) { s.ReadOnly = true }),
		"keyword allOf":        refID(func(s *openapi3.Schema) { s.AllOf = openapi3.SchemaRefs{openapi3.NewStringSchema().NewRef()} }),
		"keyword oneOf":        body(func(s *openapi3.Schema) { s.OneOf = openapi3.SchemaRefs{openapi3.NewStringSchema().NewRef()} }),
		"keyword not":          amount(func(s *openapi3.Schema) { s.Not = openapi3.NewStringSchema().NewRef() }),
		"keyword const":        amount(func(s *openapi3.Schema) { s.Const = 1 }),
		"keyword maxItems":     refID(func(s *openapi3.Schema) { s.MaxItems = new(uint64) }),
		"keyword somethingNew": refID(func(s *openapi3.Schema) { s.Extensions = map[string]any{"somethingNew": 1} }),
		"enum is understood":   refID(func(s *openapi3.Schema) { s.Enum = []any{1} }),
		"maxLength":            refID(func(s *openapi3.Schema) { s.MaxLength = new(uint64) }),
		"compile a pattern":    refID(func(s *openapi3.Schema) { s.Pattern = `(?=look)` }),
		"type [number]":        amount(func(s *openapi3.Schema) { s.Type = &openapi3.Types{"number"} }),
		"type []":              amount(func(s *openapi3.Schema) { s.Type = nil }),
		"format int32":         amount(func(s *openapi3.Schema) { s.Format = "int32" }),
		"multipleOf":           amount(func(s *openapi3.Schema) { s.MultipleOf = &one }),
		"exclusiveMinimum":     amount(func(s *openapi3.Schema) { s.ExclusiveMin = openapi3.ExclusiveBound{Bool: &yes} }),
		"minimum and maximum":  amount(func(s *openapi3.Schema) { s.Max = nil }),
		"minProperties":        body(func(s *openapi3.Schema) { s.MinProps = 1 }),
		"additionalProperties": body(func(s *openapi3.Schema) { s.AdditionalProperties.Has = &no }),
		"uniqueItems": func(spec *openapi3.T) {
			schemaOf("BatchCreate", func(s *openapi3.Schema) { s.Properties["cards"].Value.UniqueItems = true })(spec)
		},
		"allowEmptyValue": limit(func(p *openapi3.Parameter) { p.AllowEmptyValue = true }),
		"keyword content": limit(func(p *openapi3.Parameter) {
			p.Schema, p.Content = nil, openapi3.NewContentWithJSONSchema(openapi3.NewStringSchema())
		}),
		"in header":                     limit(func(p *openapi3.Parameter) { p.In = "header" }),
		"spaceDelimited":                limit(func(p *openapi3.Parameter) { p.Style = "spaceDelimited" }),
		"explode false":                 limit(func(p *openapi3.Parameter) { p.Explode = &no }),
		"not understood in a parameter": limit(func(p *openapi3.Parameter) { p.Schema = openapi3.NewDateTimeSchema().NewRef() }),
	} {
		spec := mustSpec(t)
		change(spec)
		if _, err := operationsOf(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
	if _, err := operationsOf(mustSpec(t)); err != nil {
		t.Errorf("the contract itself: %v", err)
	}
}
