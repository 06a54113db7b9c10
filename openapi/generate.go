// Package openapi holds the contract of Kort: kort.yaml, written by hand, and the settings that
// turn it into gen/api and gen/client; sandbox.yaml, the control API of the sandbox, which becomes
// gen/sandbox and gen/sandboxclient; identity.yaml, the token endpoint and its clients, which
// becomes gen/identity; and hooks.yaml, the webhooks, which become gen/hooks.
//
// It has no logic. What the contract cannot say in a schema it says in prose, and the server
// checks it. The surprising decision: Go matters (x-go-type …) live in server.overlay.yaml and not
// in the contract, so that it reads the same to every language; the contract embedded in gen/api is
// the one with the overlay applied, KortYAML is the contract itself.
package openapi

import _ "embed"

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config server.yaml kort.yaml
//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config client.yaml kort.yaml
//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config sandbox.server.yaml sandbox.yaml
//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config sandbox.client.yaml sandbox.yaml
//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config identity.server.yaml identity.yaml
//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config hooks.server.yaml hooks.yaml

// KortYAML is the contract as it was written, in OpenAPI 3.0.3, ready to be served or parsed.
// Callers must not change it.
//
//go:embed kort.yaml
var KortYAML []byte

// HooksYAML is the contract of the webhooks, as KortYAML is that of the cards.
//
//go:embed hooks.yaml
var HooksYAML []byte

// IdentityYAML is the contract of the token endpoint and its clients, as KortYAML is that of the cards.
//
//go:embed identity.yaml
var IdentityYAML []byte
