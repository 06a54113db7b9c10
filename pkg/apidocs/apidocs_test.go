package apidocs_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/kortwallet/kort/openapi"
	"github.com/kortwallet/kort/pkg/apidocs"
)

const publicURL = "https://cards.example.com/a \"b\""

// get asks one of the pages for itself.
func get(t *testing.T, c apidocs.Config, method, path, encoding string) *httptest.ResponseRecorder {
	t.Helper()
	pages, err := apidocs.Pages(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		if page.Path() != path {
			continue
		}
		request := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
		request.Header.Set("Accept-Encoding", encoding)
		recorder := httptest.NewRecorder()
		page.ServeHTTP(recorder, request)
		return recorder
	}
	t.Fatalf("there is no %s", path)
	return nil
}

// Both forms say what the contract says, but for the address.
func TestContractIsServed(t *testing.T) {
	t.Parallel()
	load := func(text []byte) *openapi3.T {
		document, err := openapi3.NewLoader().LoadFromData(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := document.Validate(t.Context()); err != nil {
			t.Fatal(err)
		}
		return document
	}
	plain := func(document *openapi3.T) map[string]any {
		document.Servers = nil
		made, err := document.MarshalYAML()
		if err != nil {
			t.Fatal(err)
		}
		return made.(map[string]any)
	}
	want := plain(load(openapi.KortYAML))
	for path, contentType := range map[string]string{
		apidocs.YAMLPath: "application/yaml", apidocs.JSONPath: "application/json",
	} {
		response := get(t, apidocs.Config{PublicURL: publicURL}, http.MethodGet, path, "gzip")
		if got := response.Header().Get("Content-Type"); got != contentType || response.Code != http.StatusOK {
			t.Errorf("%s: %d of type %s", path, response.Code, got)
		}
		document := load(response.Body.Bytes())
		if len(document.Servers) != 1 || document.Servers[0].URL != publicURL+"/v1" {
			t.Errorf("%s: the address is %+v", path, document.Servers)
		}
		if got := plain(document); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is not the contract", path)
		}
	}
}

// The page loads what is served beside it, all of it, and nothing else.
func TestReferenceIsComplete(t *testing.T) {
	t.Parallel()
	page := get(t, apidocs.Config{}, http.MethodGet, apidocs.DocsPath, "").Body.String()
	links := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page, -1)
	if len(links) != 6 {
		t.Errorf("the page links to %q", links)
	}
	for _, link := range links {
		response := get(t, apidocs.Config{}, http.MethodGet, "/"+link[1], "")
		if response.Code != http.StatusOK || response.Body.Len() == 0 {
			t.Errorf("%s: %d, %d bytes", link[1], response.Code, response.Body.Len())
		}
	}
	if strings.Contains(page, "<style") || regexp.MustCompile(`<script(>| [^>]*>)[^<]`).MatchString(page) {
		t.Error("the page has a script or a style in itself, which its policy forbids")
	}
}

func TestReferencePolicyAllowsOnlyItself(t *testing.T) {
	t.Parallel()
	for _, path := range []string{apidocs.DocsPath, apidocs.DocsPath + "/docs.js"} {
		policy := get(t, apidocs.Config{}, http.MethodGet, path, "").Header().Get("Content-Security-Policy")
		for _, directive := range strings.Split(policy, "; ") {
			name, sources, _ := strings.Cut(directive, " ")
			if directive == "img-src 'self' data:" || directive == "style-src-attr 'unsafe-inline'" {
				continue
			}
			if sources != "'self'" && sources != "'none'" {
				t.Errorf("%s: %s allows %s", path, name, sources)
			}
		}
		for _, needed := range []string{"default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
			if !strings.Contains(policy, needed) {
				t.Errorf("%s: the policy has no %s", path, needed)
			}
		}
	}
}

func TestTryingItOutIsOffUnlessAskedFor(t *testing.T) {
	t.Parallel()
	for tryIt, want := range map[bool]string{false: `data-try-it="false"`, true: `data-try-it="true"`} {
		page := get(t, apidocs.Config{TryIt: tryIt}, http.MethodGet, apidocs.DocsPath, "").Body.String()
		if !strings.Contains(page, want) || strings.Count(page, "data-try-it") != 1 {
			t.Errorf("with TryIt %t the page is %s", tryIt, page)
		}
	}
}

// A client that cannot unpack gets the same script, unpacked.
func TestEncodings(t *testing.T) {
	t.Parallel()
	const path = apidocs.DocsPath + "/swagger-ui-bundle.js"
	whole := get(t, apidocs.Config{}, http.MethodGet, path, "").Body.String()
	if !strings.Contains(whole, "SwaggerUIBundle") {
		t.Fatal("this is no Swagger UI")
	}
	for header, packed := range map[string]bool{
		"": false, "identity": false, "gzipped": false, "br": false, "gzip;q=0": false, "gzip; q=0.000": false,
		"gzip": true, "GZIP": true, "br, gzip": true, "gzip;q=0.5": true,
	} {
		response := get(t, apidocs.Config{}, http.MethodGet, path, header)
		var body io.Reader = response.Body
		if got := response.Header().Get("Content-Encoding") == "gzip"; got != packed {
			t.Errorf("%q: packed is %t", header, got)
		} else if got {
			var err error
			if body, err = gzip.NewReader(body); err != nil {
				t.Fatal(err)
			}
		}
		content, err := io.ReadAll(body)
		if err != nil || string(content) != whole {
			t.Errorf("%q gets something else", header)
		}
		if response.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: a cache would not know that there are two forms", header)
		}
	}
	response := get(t, apidocs.Config{}, http.MethodHead, path, "gzip")
	if announced := response.Header().Get("Content-Length"); response.Body.Len() != 0 || len(announced) != 6 {
		t.Errorf("HEAD: %s bytes announced, %d sent", announced, response.Body.Len())
	}
}
