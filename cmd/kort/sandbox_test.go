package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/sandbox"
)

// sandboxed is a `kort sandbox` under test.
type sandboxed struct {
	*instance
	ready ready
}

// sandboxHere starts a sandbox within this process and reads its ready line.
func sandboxHere(t *testing.T) *sandboxed {
	t.Helper()
	return sandboxWith(t)
}

func sandboxWith(t *testing.T, more ...string) *sandboxed {
	t.Helper()
	s := &sandboxed{instance: runHere(t, append([]string{"sandbox", "--addr=:0", "--log-format=json"}, more...)...)}
	s.awaitReady()
	return s
}

func (s *sandboxed) awaitReady() {
	s.t.Helper()
	eventually(s.t, "be ready", func() bool { return strings.HasSuffix(s.stdout.String(), "\n") })
	if err := json.Unmarshal([]byte(s.stdout.String()), &s.ready); err != nil {
		s.t.Fatalf("the output is not one line of JSON: %v: %s", err, s.stdout)
	}
}

// tester acts in an account of a sandbox.
type tester struct {
	s              *sandboxed
	account, token string
}

func (s *sandboxed) newTester() tester {
	s.t.Helper()
	made := s.send(http.MethodPost, sandbox.BasePath+"/accounts", "", "")
	if made.status != http.StatusCreated {
		s.t.Fatalf("make an account: %d %s", made.status, made.body)
	}
	return tester{s, made.field(s.t, "account"), made.field(s.t, "token")}
}

// do sends a request for something of the account, and returns "ok" or the code of the error with the answer.
func (u tester) do(method, path, body string) (string, answer) {
	u.s.t.Helper()
	a := u.s.send(method, "/v1/accounts/"+u.account+"/wallets"+path, u.token, body)
	if a.status == http.StatusOK {
		return "ok", a
	}
	return a.field(u.s.t, "error.code"), a
}

func (u tester) want(code, method, path, body string) answer {
	u.s.t.Helper()
	got, a := u.do(method, path, body)
	if got != code {
		u.s.t.Fatalf("%s %s: got %d %s, want %s", method, path, a.status, a.body, code)
	}
	return a
}

// card makes a card with a token, and with what else is said.
func (u tester) card(id, more string) answer {
	u.s.t.Helper()
	return u.want("ok", http.MethodPost, "/cards", `{"card_id":"`+id+`","amount":500,"currency":"NOK","card_token":{}`+more+`}`)
}

func (u tester) clock(method, path, body string) answer {
	u.s.t.Helper()
	a := u.s.send(method, sandbox.BasePath+"/accounts/"+u.account+"/clock"+path, "", body)
	if a.status != http.StatusOK {
		u.s.t.Fatalf("%s clock%s: %d %s", method, path, a.status, a.body)
	}
	return a
}

func (u tester) freeze() {
	u.s.t.Helper()
	u.clock(http.MethodPut, "", `{"now":"2030-01-01T00:00:00Z","frozen":true}`)
}

func (u tester) advance(by time.Duration) {
	u.s.t.Helper()
	u.clock(http.MethodPost, "/advance", fmt.Sprintf(`{"seconds":%d}`, by/time.Second))
}

func (u tester) status(card string) string {
	u.s.t.Helper()
	return u.want("ok", http.MethodGet, "/cards/"+card, "").field(u.s.t, "status")
}

const day = 24 * time.Hour

// What is printed is all that a test needs, and nothing is left behind.
func TestSandboxIsReady(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	start := time.Now()
	s := sandboxHere(t)
	t.Logf("ready after %s", time.Since(start))
	if s.ready.URL != "http://localhost:"+s.addr[strings.LastIndex(s.addr, ":")+1:] {
		t.Errorf("it listens on %s and says %s", s.addr, s.ready.URL)
	}
	u := tester{s, s.ready.Account, s.ready.Token}
	u.card("first", "")
	if other := s.newTester(); other.account == u.account {
		t.Error("the account is given out twice")
	} else if code, a := other.do(http.MethodGet, "/cards/first", ""); code == "ok" {
		t.Errorf("another account has the card: %s", a.body)
	}
	s.close()
	if lines := strings.Count(s.stdout.String(), "\n"); lines != 1 {
		t.Errorf("%d lines on stdout, want 1: %s", lines, s.stdout)
	}
	err := filepath.WalkDir(os.TempDir(), func(path string, _ fs.DirEntry, err error) error {
		if strings.Contains(path, "kort-sandbox-") {
			t.Errorf("%s is left behind", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestSandboxClockOfACard(t *testing.T) {
	t.Parallel()
	s := sandboxHere(t)
	defer s.close()
	u, other := s.newTester(), s.newTester()
	for _, each := range []tester{u, other} {
		each.freeze()
		each.card("gift", `,"active_from":"2030-01-10T00:00:00Z","expires_at":"2030-02-01T00:00:00Z"`)
	}
	if created := u.want("ok", http.MethodGet, "/cards/gift", "").field(t, "created_at"); !strings.HasPrefix(created, "2030-01-01T00:00:00") {
		t.Errorf("created_at is %s", created)
	}
	sale := func(ref string) string {
		return `{"ref_id":"` + ref + `","card_id":"gift","amount":1,"currency":"NOK"}`
	}
	u.want("card_not_active_yet", http.MethodPost, "/transactions", sale("early"))
	u.advance(15 * day)
	u.want("ok", http.MethodPost, "/transactions", sale("in time"))
	u.advance(30 * day)
	u.want("card_expired", http.MethodPost, "/transactions", sale("late"))
	if got := u.status("gift"); got != "expired" {
		t.Errorf("the status is %s, want expired", got)
	}
	if got := other.status("gift"); got == "expired" {
		t.Error("the clock of another account moved")
	}
	u.advance(-20 * day)
	u.want("ok", http.MethodPost, "/transactions", sale("back in time"))
}

// A PIN lock ends, and a token expires and comes back, as the clock is moved.
func TestSandboxClockOfATokenAndAPIN(t *testing.T) {
	t.Parallel()
	s := sandboxHere(t)
	defer s.close()
	u := s.newTester()
	u.freeze()
	card := u.want("ok", http.MethodPost, "/cards", `{"card_id":"gift","amount":500,"currency":"NOK","card_token":{"expires_in":604800},"pin":{}}`)
	pin := card.field(t, "pin.pin.value")
	token := `{"token":"` + card.field(t, "card_token.token.value") + `"`
	right := token + `,"pin":"` + pin + `"}`
	wrong := token + `,"pin":"` + strings.Map(func(digit rune) rune { return '0' + (digit-'0'+1)%10 }, pin) + `"}`
	u.want("ok", http.MethodPost, "/info", right)
	for tries := 0; ; tries++ {
		if code, a := u.do(http.MethodPost, "/info", wrong); code == "pin_locked" {
			break
		} else if code != "invalid_pin" || tries > 20 {
			t.Fatalf("a wrong PIN, try %d: %d %s", tries, a.status, a.body)
		}
	}
	u.want("pin_locked", http.MethodPost, "/info", right)
	u.advance(15*time.Minute - time.Second)
	u.want("pin_locked", http.MethodPost, "/info", right)
	u.advance(time.Second)
	u.want("ok", http.MethodPost, "/info", right)

	u.advance(8 * day)
	if code, a := u.do(http.MethodPost, "/info", right); code == "ok" {
		t.Errorf("the token did not expire: %s", a.body)
	}
	u.advance(-2 * day)
	u.want("ok", http.MethodPost, "/info", right)
}

// The times on a card never run backwards, though the clock does.
func TestSandboxClockBackwards(t *testing.T) {
	t.Parallel()
	s := sandboxHere(t)
	defer s.close()
	u := s.newTester()
	u.freeze()
	u.card("gift", "")
	u.clock(http.MethodPut, "", `{"now":"2020-01-01T00:00:00Z"}`)
	sold := u.want("ok", http.MethodPost, "/transactions", `{"ref_id":"r","card_id":"gift","amount":1,"currency":"NOK"}`)
	card := u.want("ok", http.MethodGet, "/cards/gift", "")
	if sold.field(t, "created_at") < card.field(t, "created_at") {
		t.Errorf("a transaction of %s on a card of %s", sold.field(t, "created_at"), card.field(t, "created_at"))
	}
	now := u.clock(http.MethodDelete, "", "").field(t, "now")
	if shown, err := time.Parse(time.RFC3339Nano, now); err != nil || time.Since(shown) > time.Hour {
		t.Errorf("after a reset the clock shows %s: %v", now, err)
	}
}

// Whatever a sandbox can do, a server cannot.
func TestServeHasNoControlAPI(t *testing.T) {
	t.Parallel()
	server := serveHere(t, "--dev", "--data-dir="+t.TempDir())
	defer server.close()
	for _, request := range [][2]string{
		{http.MethodPost, "/accounts"},
		{http.MethodGet, "/accounts/T12345678/clock"},
		{http.MethodPut, "/accounts/T12345678/clock"},
		{http.MethodDelete, "/accounts/T12345678/clock"},
		{http.MethodPost, "/accounts/T12345678/clock/advance"},
	} {
		if got := server.send(request[0], sandbox.BasePath+request[1], server.token(), ""); got.status != http.StatusNotFound {
			t.Errorf("%s %s: got %d %s, want 404", request[0], request[1], got.status, got.body)
		}
	}
}

func TestSandboxRefusesSettings(t *testing.T) {
	t.Parallel()
	kort(t, "sandbox", "--addr=nowhere").want(t, exitUsage, "--addr", "must be a host and a port")
}
