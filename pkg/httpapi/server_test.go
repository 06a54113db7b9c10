package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/httpapi"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/posting"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

const (
	issuer       = "https://issuer.test"
	audienceBase = "https://kort.test"
	// minSecret is the shortest clear value that is looked for in logs after every
	// test: shorter ones turn up in request ids and durations by chance.
	minSecret = 12
)

// start is the moment at which every account stands until a test moves it.
var start = time.Date(2026, 6, 30, 9, 15, 0, 123_456_000, time.UTC)

// each runs a test against a server on every engine, in parallel, each with a
// database of its own.
func each(t *testing.T, test func(t *testing.T, s *server)) {
	t.Helper()
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		t.Helper()
		test(t, newServer(t, d))
	})
}

// server is the real thing, reached over HTTP.
type server struct {
	database repotest.Database
	config   httpapi.Config
	handler  *httpapi.Server
	url      string
	key      *auth.LocalKey
	keys     *auth.KeySource
	clock    *clock
	log      *journal
	names    *atomic.Int64
}

// newServer serves a database.
func newServer(t testing.TB, d repotest.Database) *server {
	t.Helper()
	s := &server{database: d, clock: &clock{}, log: &journal{}, names: &atomic.Int64{}}
	var err error
	if s.key, err = auth.OpenLocalKey(filepath.Join(t.TempDir(), "signing.key")); err != nil {
		t.Fatal(err)
	}
	document, err := s.key.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	if s.keys, err = auth.StaticKeys(document); err != nil {
		t.Fatal(err)
	}
	dataKey, err := cardcode.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.config = httpapi.Config{
		Store: d.Store, Submit: newPoster(t, d, posting.Options{Clock: s.clock.now, Log: log}).Submit,
		Verifier: newVerifier(t, s.keys, time.Now), DataKeys: cardcode.NewKeyring(dataKey), Clock: s.clock.now,
		ValidateResponses: true, Log: log,
	}
	t.Cleanup(func() { s.log.mustBeDiscreet(t) })
	s.serve(t)
	return s
}

func newPoster(t testing.TB, d repotest.Database, o posting.Options) *posting.Poster {
	t.Helper()
	poster := posting.New(d.Store, o)
	t.Cleanup(func() {
		if err := poster.Close(context.Background()); err != nil { // the test's context has ended
			t.Errorf("close the poster: %v", err)
		}
	})
	return poster
}

func newVerifier(t testing.TB, keys *auth.KeySource, now func() time.Time) *auth.Verifier {
	t.Helper()
	v, err := auth.NewVerifier(auth.VerifierConfig{
		Issuers: []auth.Issuer{{Name: issuer, Keys: keys}}, Audiences: audiences(t), Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// audiences are those that name an account of the server.
func audiences(t testing.TB) auth.Audiences {
	t.Helper()
	a, err := auth.NewAudiences(audienceBase)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (s *server) serve(t testing.TB) {
	t.Helper()
	var err error
	if s.handler, err = httpapi.New(s.config); err != nil {
		t.Fatal(err)
	}
	listening := httptest.NewUnstartedServer(s.handler)
	listening.Config.ErrorLog = slog.NewLogLogger(s.config.Log.Handler(), slog.LevelError)
	listening.Start()
	t.Cleanup(listening.Close)
	s.url = listening.URL
}

// variant is a second server on the same database, set up differently.
func (s *server) variant(t testing.TB, change func(*httpapi.Config)) *server {
	t.Helper()
	v := *s
	change(&v.config)
	v.serve(t)
	return &v
}

// next makes a name that no other test of this server uses.
func (s *server) next(kind string) string { return fmt.Sprintf("%s-%d", kind, s.names.Add(1)) }

// account opens an account that nobody else uses: accounts never meet, so that
// tests can share a database.
func (s *server) account() *account { return &account{s: s, id: fmt.Sprintf("T%08d", s.names.Add(1))} }

// claims are those of an access token for everything.
func claims(account string) auth.Claims {
	return auth.Claims{
		Account: account, Issuer: issuer, AudienceBase: audienceBase, Subject: "backend",
		Scopes: []string{auth.ScopeAdmin}, TTL: time.Hour,
	}
}

// mint signs an access token.
func (s *server) mint(t testing.TB, c auth.Claims) string {
	t.Helper()
	token, err := s.key.Mint(c, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s.log.mustNotHold(token)
	return token
}

// clock stands still, for each account at its own moment.
type clock struct {
	moments sync.Map // account → ledger.Micros
}

func (c *clock) now(account string) ledger.Micros {
	if moment, moved := c.moments.Load(account); moved {
		return moment.(ledger.Micros)
	}
	return ledger.MicrosOf(start)
}

// journal keeps the log, and knows what must not be in it.
type journal struct {
	mu      sync.Mutex
	text    bytes.Buffer
	secrets []string
}

// Write implements io.Writer.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// records reads the log's lines that have the request id.
func (j *journal) records(t testing.TB, requestID string) []object {
	t.Helper()
	var found []object
	for line := range strings.Lines(j.String()) {
		var record object
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("a line of the log is not JSON: %v", err)
		}
		if record["request_id"] == requestID {
			found = append(found, record)
		}
	}
	return found
}

// mustNotHold notes a secret.
func (j *journal) mustNotHold(secret string) {
	if len(secret) < minSecret {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.secrets = append(j.secrets, secret)
}

// clearValues finds the tokens and PINs of an answer.
var clearValues = regexp.MustCompile(`"value":"([^"]+)"`)

func (j *journal) mustNotHoldValuesOf(body []byte) {
	for _, match := range clearValues.FindAllSubmatch(body, -1) {
		j.mustNotHold(string(match[1]))
	}
}

func (j *journal) mustBeDiscreet(t testing.TB) {
	t.Helper()
	text := j.String()
	for _, secret := range j.secrets {
		if strings.Contains(text, secret) {
			t.Errorf("the log holds a secret: %s", secret)
		}
	}
	if strings.Contains(text, "SENTINEL") {
		t.Error("the log repeats a value that was sent")
	}
	if strings.Contains(text, "superfluous") {
		t.Error("an answer was begun twice")
	}
}

// statusOf is the status each error code comes with.
var statusOf = map[string]int{
	"invalid_request": 400, "unauthorized": 401, "forbidden": 403, "invalid_pin": 403, "not_found": 404,
	"method_not_allowed": 405, "request_too_large": 413, "unsupported_media_type": 415,
	"card_exists": 409, "ref_id_conflict": 409, "currency_mismatch": 409, "insufficient_funds": 409,
	"card_expired": 409, "card_not_active_yet": 409, "card_inactive": 409, "card_already_active": 409,
	"card_has_pending": 409, "token_used": 409, "token_space_exhausted": 409, "transaction_not_pending": 409,
	"amount_exceeds_reserved": 409, "amount_overflow": 409,
	"pin_locked": 429, "rate_limited": 429, "internal": 500, "overloaded": 503, ok: http.StatusOK,
}
