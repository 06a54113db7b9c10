package main

import (
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

// page asks a server for one of the pages that describe the API.
func (i *instance) page(path string) string {
	i.t.Helper()
	got := i.send(http.MethodGet, path, "", "")
	if got.status != http.StatusOK {
		i.t.Fatalf("GET %s: %d %s", path, got.status, got.body)
	}
	return got.body
}

// Any server describes the API; requests are sent from the page only where that was asked for.
func TestDocsOfAServer(t *testing.T) {
	t.Parallel()
	setUp := newProduction(t)
	for flag, want := range map[string]string{"": `data-try-it="false"`, "--docs-try-it": `data-try-it="true"`} {
		args := setUp.args([]string{"--data-dir=" + t.TempDir()})
		if flag != "" {
			args = append(args, flag)
		}
		server := serveHere(t, args...)
		if page := server.page("/docs"); !strings.Contains(page, want) {
			t.Errorf("with %q the page is %s", flag, page)
		}
		for _, path := range []string{"/openapi.yaml", "/openapi.json"} {
			if page := server.page(path); !strings.Contains(page, `"`+fixedURL+`/v1"`) {
				t.Errorf("%s does not name the server", path)
			}
		}
		server.close()
	}
}

// A development server and a sandbox print an address that has all a reader needs.
func TestPrintedDocsAddress(t *testing.T) {
	t.Parallel()
	dev := serveHere(t, "--dev", "--data-dir="+filepath.Join(t.TempDir(), "new"))
	defer dev.close()
	eventually(t, "print all", func() bool { return strings.Contains(dev.stdout.String(), "Ctrl-C") })
	_, printed, _ := strings.Cut(dev.stdout.String(), "try it in a browser")
	printed, _, _ = strings.Cut(strings.TrimSpace(printed), "\n")
	sandbox := sandboxHere(t)
	defer sandbox.close()
	if text := sandbox.stdout.String(); !strings.Contains(text, sandbox.ready.Docs) {
		t.Errorf("the address cannot be copied from %s", text)
	}
	for address, server := range map[string]*instance{printed: dev, sandbox.ready.Docs: sandbox.instance} {
		parsed, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if page := server.page(parsed.Path); !strings.Contains(page, `data-try-it="true"`) {
			t.Errorf("the page is %s", page)
		}
		given, err := url.ParseQuery(parsed.Fragment)
		if err != nil {
			t.Fatal(err)
		}
		cards := "/v1/accounts/" + given.Get("account") + "/wallets/cards"
		if got := server.send(http.MethodGet, cards, given.Get("token"), ""); got.status != http.StatusOK {
			t.Errorf("the token of %s opens nothing: %d %s", address, got.status, got.body)
		}
	}
}
