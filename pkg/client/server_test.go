package client_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/client"
	"github.com/kortwallet/kort/pkg/httpapi"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/posting"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

const (
	issuer  = "https://issuer.test"
	account = "T12345678"
)

// server is a real server, with a bad line before it.
type server struct {
	database repotest.Database
	handler  *httpapi.Server
	url      string
	token    string

	mu       sync.Mutex
	mishaps  []mishap // of the next requests, one each
	endless  bool     // whether the mishaps begin again
	next     int
	requests int
}

// mishap is what happens to a request: it is answered in the server's place, or its answer is handed on in its own way.
type mishap func(w http.ResponseWriter, r *http.Request, real http.Handler)

// each runs a test against a server on every engine, each with a database of its own.
func each(t *testing.T, test func(t *testing.T, s *server)) {
	t.Helper()
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		t.Helper()
		test(t, newServer(t, d))
	})
}

func newServer(t *testing.T, d repotest.Database) *server {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key, err := auth.OpenLocalKey(filepath.Join(t.TempDir(), "signing.key"))
	must(err)
	document, err := key.JWKS()
	must(err)
	keys, err := auth.StaticKeys(document)
	must(err)
	audiences, err := auth.NewAudiences(issuer)
	must(err)
	verifier, err := auth.NewVerifier(auth.VerifierConfig{
		Issuers: []auth.Issuer{{Name: issuer, Keys: keys}}, Audiences: audiences, Now: time.Now,
	})
	must(err)
	dataKey, err := cardcode.NewKey()
	must(err)
	now := func(string) ledger.Micros { return ledger.MicrosOf(time.Now()) }
	quiet := slog.New(slog.DiscardHandler)
	poster := posting.New(d.Store, posting.Options{Clock: now, Log: quiet})
	t.Cleanup(func() { must(poster.Close(context.Background())) }) // the test's context has ended

	s := &server{database: d}
	s.handler, err = httpapi.New(httpapi.Config{
		Store: d.Store, Submit: poster.Submit, Verifier: verifier, DataKeys: cardcode.NewKeyring(dataKey),
		Clock: now, ValidateResponses: true, Log: quiet,
	})
	must(err)
	s.token, err = key.Mint(auth.Claims{
		Account: account, Issuer: issuer, AudienceBase: issuer, Subject: "shop", Scopes: []string{auth.ScopeAdmin}, TTL: time.Hour,
	}, time.Now())
	must(err)
	listening := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(listening.Close)
	s.url = listening.URL
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests++
	var happens mishap
	if s.next < len(s.mishaps) {
		happens = s.mishaps[s.next]
		s.next++
		if s.endless {
			s.next %= len(s.mishaps)
		}
	}
	s.mu.Unlock()
	if happens == nil {
		s.handler.ServeHTTP(w, r)
		return
	}
	happens(w, r, s.handler)
}

// meets says what happens to the requests from now on.
func (s *server) meets(mishaps ...mishap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mishaps, s.next, s.requests, s.endless = mishaps, 0, 0, false
}

// sent is how many requests have come since then.
func (s *server) sent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// client makes a client of the server.
func (s *server) client(t *testing.T, change func(*client.Config)) *client.Client {
	t.Helper()
	config := client.Config{URL: s.url + "/", Account: account, Token: client.StaticToken(s.token)}
	if change != nil {
		change(&config)
	}
	c, err := client.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// passed lets a request through.
func passed(w http.ResponseWriter, r *http.Request, real http.Handler) { real.ServeHTTP(w, r) }

// answered keeps a request from the server. A code makes it an answer of the API.
func answered(status int, code, retryAfter string) mishap {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(status)
		if code == "" {
			_, _ = io.WriteString(w, "<html>nobody here</html>")
			return
		}
		_, _ = io.WriteString(w, `{"error":{"code":"`+code+`","message":"Not now."}}`)
	}
}

// lost lets the server do its work and loses the answer.
func lost(_ http.ResponseWriter, r *http.Request, real http.Handler) {
	real.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// cut loses the end of the answer.
func cut(w http.ResponseWriter, r *http.Request, real http.Handler) {
	whole := httptest.NewRecorder()
	real.ServeHTTP(whole, r)
	w.Header().Set("Content-Length", "100000")
	w.WriteHeader(whole.Code)
	_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
	panic(http.ErrAbortHandler)
}

// disowned does the work and says that it could not be done in time.
func disowned(w http.ResponseWriter, r *http.Request, real http.Handler) {
	real.ServeHTTP(httptest.NewRecorder(), r)
	answered(http.StatusServiceUnavailable, "overloaded", "")(w, r, real)
}
