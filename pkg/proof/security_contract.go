package proof

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/kortwallet/kort/openapi"
)

// operation is one of the contracts. An intruder tries all that it has, so what is
// added there is attacked here without a line of new code.
type operation struct {
	id, method, path string // the path is that on the server
	pathNames        []string
	queryNames       []string // of those that hold free text
	allQueryNames    []string
	bodies           []any // the contract's examples; one nil where no body is taken
}

// names are the values that requests are made with, by the contract's names for them.
type names map[string]string

// in are the values for requests in the path of an account.
func (n names) in(account string) names {
	n = n.with("aid", account).with("audience", audienceOf(account))
	n["url"] = n["receiver"] + "/" + account
	return n
}

// queryAliases says which value a filter or a cursor of the contract is about.
var queryAliases = map[string]string{"search": "card_id", "customer": "customer_id", "starting_after": "cursor"}

// alias is which one it is in an operation: the cursor of a list is an id of what is listed.
func (o *operation) alias(query string) string {
	if query == "starting_after" && strings.HasSuffix(o.path, "/deliveries") {
		return "delivery_id"
	}
	return queryAliases[query]
}

// contract reads the operations of all contracts that take an access token, ordered by
// their ids.
func contract() ([]*operation, error) {
	var all []*operation
	for _, text := range [][]byte{openapi.KortYAML, openapi.IdentityYAML, openapi.HooksYAML} {
		spec, err := openapi3.NewLoader().LoadFromData(text)
		if err != nil {
			return nil, fmt.Errorf("read a contract: %w", err)
		}
		some, err := operationsOf(spec)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	slices.SortFunc(all, func(a, b *operation) int { return strings.Compare(a.id, b.id) })
	return all, nil
}

// operationsOf reads the operations of one contract.
func operationsOf(spec *openapi3.T) ([]*operation, error) {
	base, err := spec.Servers.BasePath()
	if err != nil {
		return nil, fmt.Errorf("read the address of a contract: %w", err)
	}
	var all []*operation
	for path, item := range spec.Paths.Map() {
		for method, described := range item.Operations() {
			o := &operation{id: described.OperationID, method: method, path: strings.TrimSuffix(base, "/") + path}
			protected, err := takesToken(spec, described)
			if err != nil {
				return nil, err
			}
			if !protected {
				continue
			}
			for _, parameter := range slices.Concat(item.Parameters, described.Parameters) {
				if err := o.take(parameter.Value); err != nil {
					return nil, err
				}
			}
			if err := o.takeBodies(described); err != nil {
				return nil, err
			}
			all = append(all, o)
		}
	}
	return all, nil
}

// takesToken tells whether an operation asks for an access token. One that says nothing
// does: that somebody has forgotten to say it must not keep the intruder away.
func takesToken(spec *openapi3.T, described *openapi3.Operation) (bool, error) {
	security := described.Security
	if security == nil {
		security = &spec.Security
		if len(spec.Security) == 0 {
			return true, nil
		}
	}
	for _, alternative := range *security {
		for name := range alternative {
			switch scheme := spec.Components.SecuritySchemes[name]; {
			case scheme != nil && scheme.Value.Type == "oauth2":
				return true, nil
			case scheme == nil || scheme.Value.Scheme != "basic":
				return false, fmt.Errorf("%s asks for %s, which the proof does not know: teach it in takesToken", described.OperationID, name)
			}
		}
	}
	return false, nil
}

// take notes a parameter. One that holds free text and is not known is an error: it may
// be the way into somebody else's account.
func (o *operation) take(p *openapi3.Parameter) error {
	if p.In == openapi3.ParameterInQuery {
		o.allQueryNames = append(o.allQueryNames, p.Name)
	}
	switch {
	case p.In == openapi3.ParameterInPath:
		o.pathNames = append(o.pathNames, p.Name)
	case !isFreeText(p.Schema.Value):
	case p.In == openapi3.ParameterInQuery && o.alias(p.Name) != "":
		o.queryNames = append(o.queryNames, p.Name)
	default:
		return fmt.Errorf("%s has a parameter %s that the proof does not know: teach it in queryAliases", o.id, p.Name)
	}
	return nil
}

// isFreeText leaves out numbers, choices and dates.
func isFreeText(schema *openapi3.Schema) bool {
	return schema.Type.Is("string") && len(schema.Enum) == 0 && !strings.HasPrefix(schema.Pattern, "^[0-9]{4}-")
}

// takeBodies notes the examples of the body.
func (o *operation) takeBodies(described *openapi3.Operation) error {
	if described.RequestBody == nil {
		o.bodies = []any{nil}
		return nil
	}
	examples := described.RequestBody.Value.Content.Get("application/json").Examples
	for _, name := range slices.Sorted(maps.Keys(examples)) {
		text, err := json.Marshal(examples[name].Value.Value)
		if err != nil {
			return fmt.Errorf("read the example %s of %s: %w", name, o.id, err)
		}
		var body any
		if err := json.Unmarshal(text, &body); err != nil {
			return fmt.Errorf("read the example %s of %s: %w", name, o.id, err)
		}
		o.bodies = append(o.bodies, body)
	}
	if len(o.bodies) == 0 {
		return fmt.Errorf("%s has no example of its body", o.id)
	}
	return nil
}

// probe is one way to ask for an operation.
type probe struct {
	*operation
	body  any
	query string // a parameter with free text; empty for none
}

func (p probe) String() string { return strings.TrimSuffix(p.id+" "+p.query, " ") }

// probes are the ways to ask for an operation.
func (o *operation) probes() []probe {
	var all []probe
	for _, body := range o.bodies {
		all = append(all, probe{o, body, ""})
	}
	for _, name := range o.queryNames {
		all = append(all, probe{o, o.bodies[0], name})
	}
	return all
}

// ids are the names of what a request is about, but for its body.
func (p probe) ids() []string {
	ids := slices.DeleteFunc(slices.Clone(p.pathNames), func(name string) bool { return name == "aid" })
	if p.query != "" {
		ids = append(ids, p.alias(p.query))
	}
	return ids
}

// request makes the request with values of one's choice, in the path of an account.
func (p probe) request(account string, values names) (wireRequest, error) {
	values = values.in(account)
	target := p.path
	for _, name := range p.pathNames {
		value, known := values[name]
		if !known {
			return wireRequest{}, fmt.Errorf("%s has a parameter %s that the proof does not know: teach it in belonging or connections", p.id, name)
		}
		target = strings.ReplaceAll(target, "{"+name+"}", url.PathEscape(value))
	}
	if p.query != "" {
		target += "?" + p.query + "=" + url.QueryEscape(values[p.alias(p.query)])
	}
	r := wireRequest{method: p.method, target: target}
	if p.body == nil {
		return r, nil
	}
	var err error
	r.body, err = json.Marshal(fill(p.body, values))
	return r, err
}

func (n names) with(name, value string) names {
	changed := maps.Clone(n)
	changed[name] = value
	return changed
}

// fill copies an example with values in place of its own; of a list of objects only the
// first one.
func fill(example any, values names) any {
	switch e := example.(type) {
	case map[string]any:
		filled := make(map[string]any, len(e))
		for name, member := range e {
			if value, known := values[name]; known && isText(member) {
				filled[name] = value
			} else {
				filled[name] = fill(member, values)
			}
		}
		return filled
	case []any:
		if len(e) == 0 {
			return e
		}
		return []any{fill(e[0], values)}
	}
	return example
}

func isText(value any) bool {
	_, ok := value.(string)
	return ok
}

// wallets is the path of an account's wallets.
func wallets(account string) string { return accountPath(account) + "/wallets" }

// post is a request with a body.
func post(account, path string, body map[string]any) (wireRequest, error) {
	text, err := json.Marshal(body)
	return wireRequest{method: http.MethodPost, target: wallets(account) + path, body: text}, err
}

// get is a request without one.
func get(account, path string) wireRequest {
	return wireRequest{method: http.MethodGet, target: wallets(account) + path}
}
