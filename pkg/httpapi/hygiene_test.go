package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/httpapi"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/posting"
)

// plain sends a request without a body to any path, with an access token for the
// account if there is one.
func (s *server) plain(t *testing.T, method, path string, a *account) *reply {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.url+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if a != nil {
		request.Header.Set("Authorization", "Bearer "+s.mint(t, claims(a.id)))
	}
	return s.send(t, request)
}

func TestPathsAndMethods(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		base := "/v1/accounts/" + a.id + "/wallets"
		for _, test := range []struct {
			method, path string
			want         int
			allow        string
		}{
			{"GET", "/", 404, ""},
			{"GET", "/v1", 404, ""},
			{"GET", "/v2/accounts/" + a.id + "/wallets/cards", 404, ""},
			{"GET", base, 404, ""},
			{"GET", base + "/", 404, ""},
			{"GET", base + "/cards/", 404, ""},
			{"GET", base + "/cards/SENTINEL/", 404, ""},
			{"GET", base + "//cards", 404, ""},
			{"GET", "/v1/accounts//wallets/cards", 404, ""},
			{"GET", base + "/Cards", 404, ""},
			{"GET", base + "/cards/SENTINEL/unknown", 404, ""},
			{"GET", base + "/customers/SENTINEL", 404, ""},
			{"GET", base + "/customers//cards", 404, ""},
			{"GET", base + "/customers/SENTINEL/cards/", 404, ""},
			{"GET", base + "/customers/SENTINEL/cards/SENTINEL/more", 404, ""},
			{"POST", base + "/customers/SENTINEL/cards/SENTINEL/more", 404, ""},
			{"OPTIONS", base + "/unknown", 404, ""},
			{"HEAD", base + "/unknown", 404, ""},
			{"PUT", base + "/cards", 405, "GET, POST"},
			{"PATCH", base + "/cards/SENTINEL", 405, "DELETE, GET"},
			{"POST", base + "/cards/SENTINEL", 405, "DELETE, GET"},
			{"PUT", base + "/cards/batch", 405, "DELETE, GET, POST"},
			{"GET", base + "/cards/SENTINEL/tokens", 405, "POST"},
			{"POST", base + "/cards/SENTINEL/transactions", 405, "GET"},
			{"GET", base + "/cards/batch/activate", 405, "POST"},
			{"GET", base + "/info", 405, "POST"},
			{"GET", base + "/transactions", 405, "POST"},
			{"GET", base + "/transactions/SENTINEL/void", 405, "POST"},
			{"DELETE", base + "/customers/SENTINEL/cards", 405, "GET"},
			{"DELETE", base + "/customers/SENTINEL/cards/SENTINEL", 405, "GET"},
			{"OPTIONS", base + "/cards", 405, "GET, POST"},
			{"HEAD", base + "/cards", 405, "GET, POST"},
			{"SENTINEL", base + "/cards", 405, "GET, POST"},
			{"POST", "/healthz", 405, "GET, HEAD"},
		} {
			for _, who := range []*account{nil, a} {
				r := s.plain(t, test.method, test.path, who)
				if r.status != test.want || r.header.Get("Allow") != test.allow {
					t.Errorf("%s %s: got %d with Allow %q", test.method, test.path, r.status, r.header.Get("Allow"))
				}
				checkPlainFailure(t, test.method, r)
			}
		}
	})
}

// checkPlainFailure looks at an answer that belongs to no operation.
func checkPlainFailure(t *testing.T, method string, r *reply) {
	t.Helper()
	if r.header.Get("X-Request-Id") == "" || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("the headers are %v", r.header)
	}
	if r.header.Get("Cache-Control") != "no-store" || r.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("the answer may be cached or sniffed at: %v", r.header)
	}
	if method == http.MethodHead {
		return
	}
	want := map[int]string{
		404: `{"error":{"code":"not_found","message":"Not found."}}`,
		405: `{"error":{"code":"method_not_allowed","message":"The path exists, but not with this method."}}`,
	}[r.status]
	if strings.TrimSpace(string(r.body)) != want {
		t.Errorf("the body is %s", r.body)
	}
}

func TestRequestIDs(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		for sent, kept := range map[string]bool{
			"abc-DEF_1.2": true, strings.Repeat("a", 128): true, strings.Repeat("a", 129): false,
			"": false, "a b": false, "a/b": false, "ü": false, "<SENTINEL>": false, `a"b`: false, "a\tb": false,
		} {
			c := listCards("")
			c.header = http.Header{"X-Request-Id": {sent}}
			got := a.want(t, ok, c).header.Get("X-Request-Id")
			if (got == sent) != kept {
				t.Errorf("%q was answered with %q", sent, got)
			}
			if len(s.log.records(t, got)) != 1 {
				t.Errorf("%q has %d lines in the log, want 1", got, len(s.log.records(t, got)))
			}
		}
	})
}

// The line of a request says what happened, and nothing that a client made up.
func TestRequestLog(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		for name, test := range map[string]struct {
			call call
			want object
		}{
			"a success": {listCards("search=SENTINEL"), object{"status": 200.0, "account": a.id, "subject": "backend"}},
			"a refusal": {getCard("SENTINEL"), object{"status": 404.0, "code": "not_found", "account": a.id}},
			"no access": {
				call{operation: "aid_cards_get", token: "SENTINEL.SENTINEL.SENTINEL"},
				object{"status": 401.0, "code": "unauthorized", "reason": "unauthorized: malformed"},
			},
		} {
			t.Run(name, func(t *testing.T) {
				id := uuid.NewString()
				test.call.header = http.Header{"X-Request-Id": {id}}
				r := a.do(t, test.call)
				record := s.log.records(t, id)[0]
				for key, value := range with(test.want, object{
					"bytes": float64(len(r.body)), "method": "GET",
					"route": "/v1" + routeOf(contractOf(t, test.call.operation).path),
				}) {
					if key == "reason" {
						continue // the words are auth's
					}
					if record[key] != value {
						t.Errorf("%s is %v, want %v", key, record[key], value)
					}
				}
				if _, there := record["duration_us"]; !there || (test.want["reason"] != nil) != (record["reason"] != nil) {
					t.Errorf("the record is %v", record)
				}
			})
		}
		foreign := listCards("")
		foreign.token = s.mint(t, claims("T99999999"))
		foreign.header = http.Header{"X-Request-Id": {"foreign"}}
		a.want(t, "forbidden", foreign)
		if _, there := s.log.records(t, "foreign")[0]["account"]; there {
			t.Error("the log has an account that the token does not open")
		}
	})
}

// routeOf writes a path of the contract as the router does.
func routeOf(path string) string { return strings.NewReplacer("{", ":", "}", "").Replace(path) }

// No clear value gets into the log, whatever becomes of the request that carries it.
func TestNoSecretInTheLog(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		long := object{"format": object{"length": 32, "barcode": true}}
		card := a.card(t, object{"pin": long, "card_token": with(long, object{"expires_after_transaction": false})})
		token, pin := clearToken(card), clearPIN(card)
		rotated := clearPIN(a.must(t, rotatePIN(card["card_id"], object{"pin": long})))
		second := clearOf(a.must(t, createToken(card["card_id"], a.newToken(long))))
		printed := a.inactiveCard(t, object{"pin": long, "card_token": long})

		a.want(t, "invalid_pin", info(object{"token": token, "pin": pin}))
		a.must(t, transact(a.pay(second, 1, object{"pin": rotated})))
		a.want(t, "token_used", transact(a.pay(second, 1)))
		a.want(t, "not_found", getCard(token))
		a.want(t, "invalid_request", info(object{"token": token, "pin": 7, pin: rotated}))
		a.want(t, "invalid_request", call{operation: opInfo, body: `{"token":"` + token + `","` + pin})
		a.want(t, "not_found", createToken(token, object{"ref_id": rotated, "expires_in": 1}))
		a.want(t, "invalid_request", listCards("status="+escape(token)))
		a.must(t, listCards("search="+strings.ReplaceAll(escape(token), "+", "%2B")))
		s.plain(t, http.MethodGet, "/"+escape(token)+"/"+escape(pin), nil)
		s.plain(t, http.MethodPut, "/v1/accounts/"+escape(token)+"/wallets/cards/"+escape(pin), nil)
		s.plain(t, http.MethodGet, "/v1/accounts/"+escape(pin)+"/wallets/cards", a)
		a.want(t, "unauthorized", call{operation: "aid_cards_get", token: token})

		log := s.log.String()
		for _, secret := range []string{token, pin, rotated, second, clearToken(printed), clearPIN(printed)} {
			if strings.Contains(log, secret) {
				t.Errorf("the log holds %q", secret)
			}
		}
	})
}

func TestRateLimit(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		limited := s.variant(t, func(c *httpapi.Config) { c.RatePerSecond, c.RateBurst = 0.1, 2 })
		a := limited.account()
		slow := func(subject string) call {
			return call{operation: "aid_cards_get", token: a.as(t, subject, auth.ScopeRead)}
		}
		a.want(t, ok, slow("one"))
		a.want(t, ok, slow("one"))
		if got := retryAfter(t, a.want(t, "rate_limited", slow("one"))); got < 9 || got > 10 {
			t.Errorf("Retry-After is %d, want 10", got)
		}
		a.want(t, ok, slow("another"))
		sameName := limited.account() // whose customer has the same id
		sameName.want(t, ok, call{operation: "aid_cards_get", token: sameName.as(t, "one", auth.ScopeRead)})
		stranger := slow("one")
		stranger.token = "none"
		a.want(t, "unauthorized", stranger)
	})
}

// What is broken is told apart from what is only busy.
func TestOutages(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		id := s.account().id
		closed := posting.New(s.database.Store, posting.Options{Clock: s.clock.now, Log: s.config.Log})
		if err := closed.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		draining := &account{s: s.variant(t, func(c *httpapi.Config) { c.Submit = closed.Submit }), id: id}
		if got := retryAfter(t, draining.want(t, "overloaded", createCard(draining.newCard()))); got != 1 {
			t.Errorf("Retry-After is %d, want 1", got)
		}
		draining.want(t, ok, listCards(""))

		broken := &account{s: s.variant(t, func(c *httpapi.Config) {
			c.Clock = func(string) ledger.Micros { panic("the clock broke") }
		}), id: id}
		c := listCards("")
		c.header = http.Header{"X-Request-Id": {"panic"}}
		r := broken.want(t, "internal", c)
		if strings.Contains(string(r.body), "clock") || r.header.Get("X-Request-Id") != "panic" {
			t.Errorf("the answer is %v %s", r.header, r.body)
		}
		records := s.log.records(t, "panic")
		if len(records) != 2 || !strings.Contains(fmt.Sprint(records[0]["cause"]), "the clock broke") {
			t.Errorf("the log has %v", records)
		}
		broken.s.config.ValidateResponses = false
		broken.s.serve(t)
		broken.want(t, "internal", listCards(""))
	})
}

// A full queue is told at once.
func TestFullQueue(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		deciding, release := make(chan struct{}, 2), make(chan struct{})
		clock := func(account string) ledger.Micros {
			deciding <- struct{}{}
			<-release
			return s.clock.now(account)
		}
		poster := newPoster(t, s.database, posting.Options{Clock: clock, Log: s.config.Log, MaxQueue: 1, MaxBatch: 1, Committers: 1})
		a := s.variant(t, func(c *httpapi.Config) { c.Submit = poster.Submit }).account()
		answers := make(chan string)
		ask := func() { answers <- a.do(t, createCard(a.newCard())).code(t) }
		go ask()
		<-deciding // or it would be in the queue, where there is one place
		for range 9 {
			go ask()
		}
		for range 8 { // one is being decided, one waits
			if got := <-answers; got != "overloaded" {
				t.Errorf("got %s", got)
			}
		}
		close(release)
		for range 2 {
			if got := <-answers; got != ok {
				t.Errorf("got %s", got)
			}
		}
	})
}

// A database that is gone is a 503 where it can be told, never a hanging request.
func TestDatabaseIsGone(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		card := a.card(t)
		if r := s.plain(t, http.MethodGet, "/readyz", nil); r.status != http.StatusOK {
			t.Errorf("/readyz: %d %s", r.status, r.body)
		}
		if err := s.database.Close(); err != nil {
			t.Fatal(err)
		}
		for _, c := range []call{getCard(card["card_id"]), transact(a.txn(card, 1))} {
			if r := a.do(t, c); r.status < 500 {
				t.Errorf("got %d %s", r.status, r.body)
			}
		}
		if r := s.plain(t, http.MethodGet, "/readyz", nil); r.status != http.StatusServiceUnavailable {
			t.Errorf("/readyz: %d %s", r.status, r.body)
		}
		if r := s.plain(t, http.MethodGet, "/healthz", nil); r.status != http.StatusOK {
			t.Errorf("/healthz: %d %s", r.status, r.body)
		}
	})
}

func TestReadiness(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		keyless := s.variant(t, func(c *httpapi.Config) { c.Verifier = newVerifier(t, deadKeys(t), time.Now) })
		if r := keyless.plain(t, http.MethodGet, "/readyz", nil); r.status != http.StatusServiceUnavailable {
			t.Errorf("without keys: %d %s", r.status, r.body)
		}
		a := s.account()
		for _, path := range []string{"/healthz", "/readyz"} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				if r := s.plain(t, method, path, nil); r.status != http.StatusOK || r.header.Get("X-Request-Id") == "" {
					t.Errorf("%s %s: %d %s", method, path, r.status, r.body)
				}
			}
		}
		s.handler.Drain()
		if r := s.plain(t, http.MethodGet, "/readyz", nil); r.status != http.StatusServiceUnavailable {
			t.Errorf("while draining: %d %s", r.status, r.body)
		}
		a.want(t, ok, listCards(""))
	})
}

const longHistory = 5000

// longCard makes a card with many transactions, past HTTP.
func longCard(t *testing.T, a *account) object {
	t.Helper()
	card := a.card(t, money(maxAmount))
	for range longHistory / 250 {
		done := make(chan error)
		for range 250 {
			go func() {
				_, err := a.s.config.Submit(t.Context(), a.id, &ledger.Transact{
					ID: uuid.Must(uuid.NewV7()), Action: ledger.ActionDrawdown, RefID: uuid.NewString(),
					CardID: card["card_id"].(string), Amount: 7, AmountGiven: true, Currency: ledger.NOK, By: "test",
					Metadata: `{"text":"` + strings.Repeat("x", 200) + `"}`,
				})
				done <- err
			}()
		}
		for range 250 {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	}
	return a.must(t, getCard(card["card_id"]))
}

// A long list comes whole, in order, and comes to the balance.
func TestLongHistory(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		card := longCard(t, a)
		streaming := &account{s: s.variant(t, func(c *httpapi.Config) { c.ValidateResponses = false }), id: a.id}
		for _, a := range []*account{a, streaming} {
			var list []struct {
				ID, Type  string
				CreatedAt time.Time `json:"created_at"`
				Amount    int64
			}
			if err := json.Unmarshal(a.want(t, ok, listTransactions(card["card_id"])).body, &list); err != nil {
				t.Fatal(err)
			}
			var balance int64
			seen := map[string]bool{}
			for i, txn := range list {
				seen[txn.ID] = true
				if i > 0 && txn.CreatedAt.Before(list[i-1].CreatedAt) {
					t.Fatalf("transaction %d is older than the one before it", i)
				}
				if txn.Type == "fund" {
					balance += txn.Amount
				} else {
					balance -= txn.Amount
				}
			}
			if len(list) != longHistory+1 || len(seen) != len(list) || list[0].Type != "fund" {
				t.Errorf("the list has %d items, %d of them different, the first is a %s", len(list), len(seen), list[0].Type)
			}
			if fmt.Sprint(balance) != fmt.Sprint(card["amount_balance"]) {
				t.Errorf("the list comes to %d, the card has %v", balance, card["amount_balance"])
			}
		}
		testHangUp(t, streaming, card)
		testCutOff(t, streaming, card)
	})
}

// testHangUp leaves in the middle of a list, and of a payment, which goes on.
func testHangUp(t *testing.T, a *account, card object) {
	t.Helper()
	ctx, hangUp := context.WithCancel(t.Context())
	c := listTransactions(card["card_id"])
	request := a.request(t, contractOf(t, c.operation), c).WithContext(ctx)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(response.Body, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	hangUp()
	_ = response.Body.Close()

	body := a.txn(card, 1)
	ctx, hangUp = context.WithTimeout(t.Context(), time.Millisecond)
	defer hangUp()
	c = transact(body)
	request = a.request(t, contractOf(t, c.operation), c).WithContext(ctx)
	if response, err := http.DefaultClient.Do(request); err == nil {
		_ = response.Body.Close()
	}
	a.must(t, transact(body)) // a replay or not, it is done once
	a.want(t, ok, transact(body))
}

// testCutOff breaks the list when a part of it was sent: half a list must not look
// like a whole one.
func testCutOff(t *testing.T, a *account, card object) {
	t.Helper()
	c := listTransactions(card["card_id"])
	// However busy the machine is, not all of the list fits on its way.
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			err = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		}
		return conn, err
	}}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(a.request(t, contractOf(t, c.operation), c))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := a.s.database.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadAll(response.Body)
	if err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("the list ended with %v although the database was gone", err)
	}
	if !strings.Contains(a.s.log.String(), "cut off") {
		t.Error("the log does not say that a list was cut off")
	}
}

// Where the server's own answer is not as the contract says, nobody sees it.
func TestAnswersAreChecked(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		card := a.card(t)
		s.database.Raw(t).MustExec(t, "UPDATE cards SET created_by = '' WHERE account_id = ?", a.id)
		c := getCard(card["card_id"])
		c.header = http.Header{"X-Request-Id": {"unlike-the-contract"}}
		a.want(t, "internal", c)
		records := s.log.records(t, "unlike-the-contract")
		if len(records) != 2 || !strings.Contains(fmt.Sprint(records[0]["cause"]), "/created_by") {
			t.Errorf("the log has %v", records)
		}
	})
}
