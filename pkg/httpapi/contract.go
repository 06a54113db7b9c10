package httpapi

import (
	"fmt"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"

	"github.com/kortwallet/kort/gen/api"
	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/strictjson"
)

const (
	// maxBodyBytes bounds a request body.
	maxBodyBytes = 1 << 20
	// maxBatchBytes bounds the body of a batch.
	maxBatchBytes = 8 << 20
	// maxMetadataBytes bounds metadata, as JSON text.
	maxMetadataBytes = 16 << 10
	// maxMetadataDepth bounds how deep metadata may nest.
	maxMetadataDepth = 8

	batchOperation = "aid_cards_batch_post"
	// infoOperation looks a card up; only a PIN makes it write.
	infoOperation = "aid_cards_token_post"
)

// basePath is where the contract's paths begin.
const basePath = "/v1"

// operation is what the contract says of one operation, made ready once.
type operation struct {
	id      string
	route   *routers.Route
	scopes  []string // alternatives
	path    []parameter
	query   []parameter
	body    *strictjson.Schema // nil when the operation takes none
	maxBody int64
	access  access
	// direct tells that what it writes does not wait in the queue of operations on cards.
	direct bool
}

// access is who may use an operation.
type access uint8

const (
	byToken  access = iota // whoever has an access token with one of the scopes; also where the contract says nothing
	byClient               // an API client, by its secret
	openToAll
)

// accessOf reads who may use an operation.
func accessOf(spec *openapi3.T, op *openapi3.Operation) access {
	if op.Security == nil {
		return byToken
	}
	for _, alternative := range *op.Security {
		for name := range alternative {
			if spec.Components.SecuritySchemes[name].Value.Scheme == "basic" {
				return byClient
			}
		}
	}
	if len(*op.Security) == 0 {
		return openToAll
	}
	return byToken
}

// operations reads the embedded contract.
func operations() (map[string]*operation, error) {
	spec, err := api.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("load the contract: %w", err)
	}
	return operationsOf(spec)
}

func operationsOf(spec *openapi3.T) (map[string]*operation, error) {
	all := make(map[string]*operation)
	rules := compiler{made: map[*openapi3.Schema]*strictjson.Schema{}}
	for path, item := range spec.Paths.Map() {
		for method, op := range item.Operations() {
			o := &operation{
				id:      op.OperationID,
				route:   &routers.Route{Spec: spec, Path: path, PathItem: item, Method: method, Operation: op},
				scopes:  scopesOf(op),
				maxBody: maxBodyBytes,
				access:  accessOf(spec, op),
			}
			if err := o.compile(rules); err != nil {
				return nil, fmt.Errorf("read the contract: %s: %w", o.id, err)
			}
			if o.id == batchOperation {
				o.maxBody = maxBatchBytes
			}
			all[o.id] = o
		}
	}
	return all, nil
}

// compile makes the rules for the operation's requests ready.
func (o *operation) compile(rules compiler) error {
	for _, parameters := range []openapi3.Parameters{o.route.PathItem.Parameters, o.route.Operation.Parameters} {
		for _, ref := range parameters {
			made, err := rules.parameter(ref.Value)
			if err != nil {
				return err
			}
			if ref.Value.In == openapi3.ParameterInPath {
				o.path = append(o.path, made)
			} else {
				o.query = append(o.query, made)
			}
		}
	}
	if o.route.Operation.RequestBody == nil {
		return nil
	}
	body, err := rules.schema(o.route.Operation.RequestBody.Value.Content.Get(jsonType).Schema)
	if err != nil {
		return fmt.Errorf("the body: %w", err)
	}
	o.body = body
	return nil
}

// scopesOf lists the scopes that open an operation. Each alternative of the
// contract names one.
func scopesOf(op *openapi3.Operation) []string {
	var scopes []string
	if op.Security == nil {
		return nil
	}
	for _, alternative := range *op.Security {
		for _, required := range alternative {
			scopes = append(scopes, required...)
		}
	}
	return scopes
}

// onlyUser tells whether the principal is let in by user:wallets alone, which
// opens the principal's own cards.
func (o *operation) onlyUser(p auth.Principal) bool {
	for _, scope := range o.scopes {
		if scope != auth.ScopeUser && p.HasScope(scope) {
			return false
		}
	}
	return true
}

// writes tells whether the operation cannot do without the writer.
func (o *operation) writes() bool {
	return o.route.Method != http.MethodGet && o.id != infoOperation && !o.direct
}

// takesBody tells whether the operation reads a body.
func (o *operation) takesBody() bool { return o.body != nil && o.route.Method != http.MethodGet }
