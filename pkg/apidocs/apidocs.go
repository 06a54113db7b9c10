// Package apidocs makes the pages that describe the API to whoever reaches a server: the contract as YAML and as JSON,
// and a reference to be read, and tried out, in a browser.
//
// Non-goals: it routes nothing and knows nobody's access token.
//
// The surprising decision: the page that comes with the module of Swagger UI is not used, only its script and style. A
// page of our own has no script and no style in itself, so that its Content-Security-Policy can allow this server and
// nothing else; and it works without any other host.
package apidocs

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/swaggest/swgui/v5/static"

	"github.com/kortwallet/kort/openapi"
)

// Config says what the pages show.
type Config struct {
	// PublicURL is where clients reach the server, without /v1 and without a slash at the end.
	PublicURL string
	// TryIt lets the reference send requests to the server that it came from.
	TryIt bool
}

// Where the pages are.
const (
	YAMLPath = "/openapi.yaml"
	JSONPath = "/openapi.json"
	DocsPath = "/docs"
)

// policy of the reference: its own files, pictures within the style, and no frame around it. Swagger UI sets style
// attributes, which can load nothing that the rest of the policy forbids.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed page
var page embed.FS

// tryItMark is what the page says of trying it out.
const tryItMark = `data-try-it="false"`

// Pages makes all pages. An error means that what is embedded is broken.
func Pages(c Config) ([]Page, error) {
	contract, err := contractFor(c.PublicURL)
	if err != nil {
		return nil, err
	}
	pages := []Page{
		{path: YAMLPath, contentType: "application/yaml", body: ready(contract)},
		// Hardly anybody asks for it, and it takes a tenth of a second that every start would be late by.
		{path: JSONPath, contentType: "application/json", body: sync.OnceValues(func() ([]byte, error) { return jsonOf(contract) })},
	}
	for _, asset := range []struct {
		files                   fs.FS
		file, path, contentType string
	}{
		{page, "page/docs.html", DocsPath, "text/html; charset=utf-8"},
		{page, "page/docs.js", DocsPath + "/docs.js", "text/javascript; charset=utf-8"},
		{page, "page/docs.css", DocsPath + "/docs.css", "text/css; charset=utf-8"},
		{static.FS, "swagger-ui-bundle.js.gz", DocsPath + "/swagger-ui-bundle.js", "text/javascript; charset=utf-8"},
		{static.FS, "swagger-ui.css.gz", DocsPath + "/swagger-ui.css", "text/css; charset=utf-8"},
		{static.FS, "favicon-32x32.png", DocsPath + "/favicon.png", "image/png"},
	} {
		body, err := fs.ReadFile(asset.files, asset.file)
		if err != nil {
			return nil, fmt.Errorf("read a part of the reference: %w", err)
		}
		if asset.path == DocsPath && c.TryIt {
			body = []byte(strings.Replace(string(body), tryItMark, `data-try-it="true"`, 1))
		}
		pages = append(pages, Page{
			path: asset.path, contentType: asset.contentType, policy: policy, body: ready(body),
			gzipped: strings.HasSuffix(asset.file, ".gz"),
		})
	}
	return pages, nil
}

// ready is a body that need not be made first.
func ready(body []byte) func() ([]byte, error) { return func() ([]byte, error) { return body, nil } }

// placeholder is the address that the contract has where a server has its own.
const placeholder = "servers:\n" +
	"  - url: http://localhost:8080/v1\n" +
	"    description: A server of your own, as `make run` starts it.\n"

// contractFor is the contract as it was written, with the address of the server.
func contractFor(publicURL string) ([]byte, error) {
	text := string(openapi.KortYAML)
	if strings.Count(text, placeholder) != 1 {
		return nil, fmt.Errorf("the contract does not have the one address that a server puts its own in the place of")
	}
	// A quoted text in YAML means what it means in Go, for all that an address may hold.
	return []byte(strings.Replace(text, placeholder, fmt.Sprintf("servers:\n  - url: %q\n", publicURL+"/v1"), 1)), nil
}

func jsonOf(contract []byte) ([]byte, error) {
	document, err := openapi3.NewLoader().LoadFromData(contract)
	if err != nil {
		return nil, fmt.Errorf("load the contract: %w", err)
	}
	text, err := document.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("write the contract as JSON: %w", err)
	}
	return text, nil
}
