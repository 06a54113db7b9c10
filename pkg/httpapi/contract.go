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
)

// basePath is where the contract's paths begin.
const basePath = "/v1"

// operation is what the contract says of one operation, made ready once.
type operation struct {
	id      string
	route   *routers.Route
	scopes  []string // alternatives
	query   openapi3.Parameters
	body    *strictjson.Schema // nil when the operation takes none
	maxBody int64
}

// operations reads the embedded contract.
func operations() (map[string]*operation, error) {
	spec, err := api.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("load the contract: %w", err)
	}
	all := make(map[string]*operation)
	for path, item := range spec.Paths.Map() {
		for method, op := range item.Operations() {
			o := &operation{
				id:      op.OperationID,
				route:   &routers.Route{Spec: spec, Path: path, PathItem: item, Method: method, Operation: op},
				scopes:  scopesOf(op),
				maxBody: maxBodyBytes,
			}
			for _, parameters := range []openapi3.Parameters{item.Parameters, op.Parameters} {
				for _, p := range parameters {
					if p.Value.In == openapi3.ParameterInQuery {
						o.query = append(o.query, p)
					}
				}
			}
			if op.RequestBody != nil {
				schema := op.RequestBody.Value.Content.Get(jsonType).Schema
				o.body = strictSchema(schema, map[*openapi3.Schema]*strictjson.Schema{})
			}
			if o.id == batchOperation {
				o.maxBody = maxBatchBytes
			}
			all[o.id] = o
		}
	}
	return all, nil
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

// strictSchema tells the strict reader what the contract knows of a body.
func strictSchema(ref *openapi3.SchemaRef, seen map[*openapi3.Schema]*strictjson.Schema) *strictjson.Schema {
	schema := ref.Value
	if known := seen[schema]; known != nil {
		return known
	}
	strict := &strictjson.Schema{Nullable: schema.Nullable}
	seen[schema] = strict
	switch {
	case schema.Type.Is(openapi3.TypeObject) && len(schema.Properties) == 0:
		strict.Kind = strictjson.Object
		strict.FreeForm = &strictjson.FreeForm{MaxBytes: maxMetadataBytes, MaxDepth: maxMetadataDepth}
	case schema.Type.Is(openapi3.TypeObject):
		strict.Kind = strictjson.Object
		strict.Properties = make(map[string]*strictjson.Schema, len(schema.Properties))
		for name, property := range schema.Properties {
			strict.Properties[name] = strictSchema(property, seen)
		}
	case schema.Type.Is(openapi3.TypeArray):
		strict.Kind = strictjson.Array
		strict.Items = strictSchema(schema.Items, seen)
	case schema.Type.Is(openapi3.TypeString):
		strict.Kind = strictjson.String
		strict.DateTime = schema.Format == "date-time"
	case schema.Type.Is(openapi3.TypeInteger):
		strict.Kind, strict.Integer = strictjson.Number, true
	case schema.Type.Is(openapi3.TypeNumber):
		strict.Kind = strictjson.Number
	case schema.Type.Is(openapi3.TypeBoolean):
		strict.Kind = strictjson.Boolean
	}
	return strict
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

// takesBody tells whether the operation reads a body.
func (o *operation) takesBody() bool { return o.body != nil && o.route.Method != http.MethodGet }
