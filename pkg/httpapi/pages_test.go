package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/kortwallet/kort/pkg/apidocs"
	"github.com/kortwallet/kort/pkg/httpapi"
)

// The description is there without a token and while the server has too much to do, and keeps the rules of all paths.
func TestPages(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		pages, err := apidocs.Pages(apidocs.Config{PublicURL: s.url})
		if err != nil {
			t.Fatal(err)
		}
		described := s.variant(t, func(c *httpapi.Config) {
			c.Pages, c.Overloaded = pages, func() bool { return true }
		})
		for _, page := range pages {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				r := described.plain(t, method, page.Path(), nil)
				if r.status != http.StatusOK || (len(r.body) == 0) != (method == http.MethodHead) {
					t.Errorf("%s %s: %d, %d bytes", method, page.Path(), r.status, len(r.body))
				}
				for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
					if got := r.header.Get(name); got != want {
						t.Errorf("%s %s: %s is %q", method, page.Path(), name, got)
					}
				}
				if r.header.Get("X-Request-Id") == "" {
					t.Errorf("%s %s has no request id", method, page.Path())
				}
			}
			for _, method := range []string{http.MethodPost, http.MethodOptions} {
				r := described.plain(t, method, page.Path(), nil)
				if r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") != "GET, HEAD" {
					t.Errorf("%s %s: %d with Allow %q", method, page.Path(), r.status, r.header.Get("Allow"))
				}
				checkPlainFailure(t, method, r)
			}
			for _, path := range []string{page.Path() + "/", page.Path() + "/SENTINEL", "/v1" + page.Path()} {
				r := described.plain(t, http.MethodGet, path, nil)
				if r.status != http.StatusNotFound {
					t.Errorf("GET %s: %d", path, r.status)
				}
				checkPlainFailure(t, http.MethodGet, r)
			}
			if r := s.plain(t, http.MethodGet, page.Path(), nil); r.status != http.StatusNotFound {
				t.Errorf("a server without a description has %s: %d", page.Path(), r.status)
			}
		}
	})
}
