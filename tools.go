//go:build tools

// Package tools pins the versions of the programs that `make generate` runs: a blank import keeps
// each in go.mod. It is never built.
package tools

import _ "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen"
