package sandbox_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/sandbox"
)

func TestClocksGoOnFromWhatTheyShow(t *testing.T) {
	t.Parallel()
	real := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	clocks := sandbox.NewClocks(func() time.Time { return real })
	const account = "T00000001"
	wantShown := func(want time.Time) {
		t.Helper()
		if got := clocks.Now(account).Time(); !got.Equal(want) {
			t.Errorf("the clock shows %s, want %s", got, want)
		}
	}
	must := func(_ sandbox.Reading, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	frozen, moving, past := true, false, real.AddDate(-3, 0, 0)
	wantShown(real)
	must(clocks.Set(account, &past, nil))
	real = real.Add(time.Hour)
	wantShown(past.Add(time.Hour))
	must(clocks.Set(account, nil, &frozen))
	real = real.Add(time.Hour)
	wantShown(past.Add(time.Hour))
	must(clocks.Advance(account, -time.Hour))
	wantShown(past)
	must(clocks.Set(account, nil, &moving))
	wantShown(past)
	real = real.Add(time.Minute)
	wantShown(past.Add(time.Minute))
	if _, err := clocks.Advance(account, 200*365*24*time.Hour); err == nil {
		t.Error("a clock may leave its years")
	}
	wantShown(past.Add(time.Minute))
	clocks.Reset(account)
	wantShown(real)
}

// Nothing happens for a request that is not as the specification says, or that a web page could have sent.
func TestControlRefuses(t *testing.T) {
	t.Parallel()
	clocks := sandbox.NewClocks(time.Now)
	control, err := sandbox.New(sandbox.Config{
		Mint:      func(a sandbox.Access) (string, error) { return "token of " + a.Account, nil },
		NewClient: func(_ context.Context, account string) (string, string, error) { return account, "secret", nil },
		Clocks:    clocks, Hosts: []string{"kort"}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	const account = "/sandbox/v1/accounts/T00000001"
	const set, clock, faults, ok = `{"frozen":true}`, account + "/clock", account + "/faults", http.StatusOK
	for _, test := range []struct {
		name, method, path, body string
		header                   [2]string
		status                   int
		says                     string
	}{
		{"all right", "PUT", clock, set, [2]string{}, ok, `"frozen":true`},
		{"an IP address", "GET", clock, "", [2]string{"Host", "[::1]:8080"}, ok, ""},
		{"a host that was named", "GET", clock, "", [2]string{"Host", "Kort:8080"}, ok, ""},
		{"a host that was not", "GET", clock, "", [2]string{"Host", "evil.example"}, 403, "Host"},
		{"no host", "GET", clock, "", [2]string{"Host", ""}, 403, "Host"},
		{"a web page", "PUT", clock, set, [2]string{"Origin", "http://localhost"}, 403, "Origin"},
		{"a form", "PUT", clock, set, [2]string{"Content-Type", "text/plain"}, 415, "application/json"},
		{"a live account", "GET", "/sandbox/v1/accounts/P00000001/clock", "", [2]string{}, 400, "aid: "},
		{"nothing to set", "PUT", clock, `{}`, [2]string{}, 400, "body: "},
		{"what it does not know", "PUT", clock, `{"frozen":true,"x":1}`, [2]string{}, 400, "unsupported"},
		{"no time", "PUT", clock, `{"now":"today"}`, [2]string{}, 400, "/now: "},
		{"a time far away", "PUT", clock, `{"now":"1999-12-31T23:59:59Z"}`, [2]string{}, 400, "2000 to 2199"},
		{"no JSON", "PUT", clock, `{`, [2]string{}, 400, "body: "},
		{"too far", "POST", clock + "/advance", `{"seconds":9223372036854775807}`, [2]string{}, 400, "/seconds: "},
		{"no such path", "GET", "/sandbox/v1/secrets", "", [2]string{}, 404, "message"},
		{"a fault of nothing", "POST", faults, `{"times":1}`, [2]string{}, 400, "body: one of latency_ms"},
		{"a fault of two kinds", "POST", faults, `{"code":"overloaded","connection":"reset"}`, [2]string{}, 400, "/connection: "},
		{"a fault of no operation", "POST", faults, `{"code":"overloaded","operation":"x"}`, [2]string{}, 400, "/operation: "},
		{"a fault of no code", "POST", faults, `{"code":"teapot"}`, [2]string{}, 400, "/code: "},
		{"a fault that never strikes", "POST", faults, `{"code":"overloaded","probability":0}`, [2]string{}, 400, "/probability: "},
		{"a fault without an end", "POST", faults, `{"code":"overloaded","times":0}`, [2]string{}, 400, "/times: "},
		{"a snapshot of an odd name", "PUT", account + "/snapshots/a%20b", "", [2]string{}, 400, "name: "},
		{"a seed for another account", "POST", account + "/seed", `{"account":"T00000002","cards":[]}`, [2]string{}, 400, "/account: "},
		{"a seed without cards", "POST", account + "/seed", `{}`, [2]string{}, 400, "/cards: "},
		{"a token with a space", "POST", account + "/seed", `{"cards":[{"card":{},"tokens":[{"value":"a b"}]}]}`, [2]string{}, 400, "/cards/0/tokens/0/value: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			clocks.Reset("T00000001")
			request := httptest.NewRequest(test.method, "http://localhost:8080"+test.path, strings.NewReader(test.body))
			request.Header.Set("Content-Type", "application/json")
			if name, value := test.header[0], test.header[1]; name == "Host" {
				request.Host = value
			} else if name != "" {
				request.Header.Set(name, value)
			}
			answer := httptest.NewRecorder()
			control.ServeHTTP(answer, request)
			if body := answer.Body.String(); answer.Code != test.status || !strings.Contains(body, test.says) {
				t.Errorf("got %d %s, want %d and %q", answer.Code, body, test.status, test.says)
			}
			if test.status != ok && clocks.Read("T00000001").Frozen {
				t.Error("the clock was set")
			}
		})
	}
}
