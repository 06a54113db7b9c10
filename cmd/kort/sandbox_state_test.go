package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/sandbox"
)

// steer sends a request of the control API for the account, and wants a status.
func (u tester) steer(want int, method, path, body string) answer {
	u.s.t.Helper()
	a := u.s.send(method, sandbox.BasePath+"/accounts/"+u.account+path, "", body)
	if a.status != want {
		u.s.t.Fatalf("%s %s: got %d %s, want %d", method, path, a.status, a.body, want)
	}
	return a
}

func (u tester) sell(ref string, amount string) answer {
	u.s.t.Helper()
	return u.want("ok", http.MethodPost, "/transactions", saleOf(ref, amount))
}

func saleOf(ref, amount string) string {
	return `{"ref_id":"` + ref + `","card_id":"gift","amount":` + amount + `,"currency":"NOK"}`
}

func (u tester) balance() string {
	u.s.t.Helper()
	var card struct {
		Balance json.Number `json:"amount_balance"`
	}
	u.decode(u.want("ok", http.MethodGet, "/cards/gift", ""), &card)
	return card.Balance.String()
}

func (u tester) decode(a answer, into any) {
	u.s.t.Helper()
	if err := json.Unmarshal([]byte(a.body), into); err != nil {
		u.s.t.Fatalf("%v: %s", err, a.body)
	}
}

// verified checks the whole database of a sandbox that has stopped.
func verified(t *testing.T, directory string) {
	t.Helper()
	kort(t, "verify", "--data-dir="+directory).want(t, exitOK)
}

func TestSandboxReset(t *testing.T) {
	t.Parallel()
	s := sandboxHere(t)
	defer s.close()
	u, other := s.newTester(), s.newTester()
	for _, each := range []tester{u, other} {
		each.freeze()
		each.card("gift", "")
	}
	u.steer(http.StatusCreated, http.MethodPost, "/faults", `{"code":"overloaded","times":9,"operation":"aid_cards_transactions_post"}`)
	u.steer(http.StatusNoContent, http.MethodPost, "/reset", "")
	if got := u.steer(http.StatusOK, http.MethodGet, "/requests", ""); strings.TrimSpace(got.body) != "[]" {
		t.Errorf("the log has %s", got.body)
	}
	u.want("not_found", http.MethodGet, "/cards/gift", "")
	if found := u.want("ok", http.MethodGet, "/cards?include_deleted=true&search=gift", ""); strings.Contains(found.body, "gift") {
		t.Errorf("a search still finds %s", found.body)
	}
	if clock := u.clock(http.MethodGet, "", ""); !strings.Contains(clock.body, `"frozen":false`) {
		t.Errorf("the clock shows %s", clock.body)
	}
	u.card("gift", "")
	u.sell("r", "1")
	other.sell("r", "1")
	if got := other.status("gift"); got != "partially_used" {
		t.Errorf("the other account's card is %s", got)
	}
}

// An account comes back as it was, in everything that a client can see, however often.
func TestSandboxSnapshot(t *testing.T) {
	t.Parallel()
	s := sandboxHere(t)
	defer s.close()
	u := s.newTester()
	u.freeze()
	made := u.card("gift", `,"metadata":{"n":12345678901234567890}`)
	token := made.field(t, "card_token.token.value")
	u.want("ok", http.MethodPost, "/transactions", `{"ref_id":"hold","card_id":"gift","amount":100,"currency":"NOK","pending":true}`)
	everything := func() string {
		t.Helper()
		return u.want("ok", http.MethodGet, "/cards", "").body + u.want("ok", http.MethodGet, "/cards/gift", "").body +
			u.want("ok", http.MethodGet, "/cards/gift/transactions", "").body +
			u.want("ok", http.MethodGet, "/cards?search=gift", "").body + u.clock(http.MethodGet, "", "").body
	}
	before := everything()
	u.steer(http.StatusOK, http.MethodPut, "/snapshots/start", "")
	for range 3 {
		u.advance(time.Hour)
		u.want("ok", http.MethodPost, "/transactions", `{"ref_id":"spend","token":"`+token+`","amount":400,"currency":"NOK"}`)
		u.want("token_used", http.MethodPost, "/transactions", `{"ref_id":"again","token":"`+token+`","amount":0,"currency":"NOK"}`)
		u.card("later", "")
		u.steer(http.StatusNoContent, http.MethodPost, "/snapshots/start/restore", "")
		if after := everything(); after != before {
			t.Fatalf("got\n%s\nwant\n%s", after, before)
		}
	}
	if all := u.steer(http.StatusOK, http.MethodGet, "/snapshots", ""); strings.Count(all.body, `"name":"start"`) != 1 {
		t.Errorf("the snapshots are %s", all.body)
	}
	u.steer(http.StatusNotFound, http.MethodPost, "/snapshots/none/restore", "")
	s.newTester().steer(http.StatusNotFound, http.MethodPost, "/snapshots/start/restore", "")
	u.steer(http.StatusNoContent, http.MethodDelete, "/snapshots/start", "")
	u.steer(http.StatusNotFound, http.MethodDelete, "/snapshots/start", "")
	if after := everything(); after != before {
		t.Errorf("after a snapshot that is not there: %s", after)
	}
}

// A snapshot and a restore in the midst of requests: no sale is half there.
func TestSandboxRestoreUnderLoad(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	s := sandboxWith(t, "--data-dir="+directory)
	u := s.newTester()
	u.card("gift", "")
	u.steer(http.StatusOK, http.MethodPut, "/snapshots/start", "")
	done := make(chan struct{})
	var clients sync.WaitGroup
	for client := range 4 {
		clients.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
					if code, a := u.do(http.MethodPost, "/transactions", saleOf(strings.Repeat("x", 1+client)+"-"+time.Duration(i).String(), "1")); code != "ok" && code != "insufficient_funds" {
						t.Errorf("a sale: %d %s", a.status, a.body)
						return
					}
				}
			}
		})
	}
	for range 10 {
		u.steer(http.StatusNoContent, http.MethodPost, "/snapshots/start/restore", "")
	}
	close(done)
	clients.Wait()
	u.steer(http.StatusNoContent, http.MethodPost, "/snapshots/start/restore", "")
	if got := u.balance(); got != "500" {
		t.Errorf("the balance is %s", got)
	}
	s.close()
	verified(t, directory)
}

const seedFile = `{"account":"T00000042","cards":[
	{"card":{"card_id":"gift","amount":500,"currency":"NOK","metadata":{"n":12345678901234567890}},"pin":"4711",
	 "tokens":[{"value":"1234567890123","expires_after_transaction":false},{"value":"DINCARD:0a0a0a0a-1b1b-2c2c-3d3d-4e4e4e4e4e4e","expires_in":60}],
	 "transactions":[{"type":"drawdown","ref_id":"a","amount":100},{"type":"drawdown","ref_id":"b","amount":50,"pending":true}]},
	{"card":{"card_id":"old","amount":1,"currency":"SEK","expires_at":"2020-01-01T00:00:00Z"}}]}`

func TestSandboxSeed(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	file := filepath.Join(directory, "seed.json")
	if err := os.WriteFile(file, []byte(seedFile), fileMode); err != nil {
		t.Fatal(err)
	}
	s := sandboxWith(t, "--data-dir="+directory, "--seed="+file)
	if s.ready.Account != "T00000042" {
		t.Fatalf("the account is %s", s.ready.Account)
	}
	u := tester{s, s.ready.Account, s.ready.Token}
	u.want("ok", http.MethodPost, "/info", `{"token":"1234567890123","pin":"4711"}`)
	u.want("invalid_pin", http.MethodPost, "/info", `{"token":"1234567890123","pin":"4712"}`)
	card := u.want("ok", http.MethodGet, "/cards/gift", "")
	for _, want := range []string{
		`"amount_available":350`, `"amount_pending":50`, `12345678901234567890`, `"masked_code":"*********0123"`, `"masked_code":"DINCARD:********-****-****-****-*******e4e4e"`,
	} {
		if !strings.Contains(card.body, want) {
			t.Errorf("%s is not in %s", want, card.body)
		}
	}
	if got := u.status("old"); got != "expired" {
		t.Errorf("the old card is %s", got)
	}
	u.advance(2 * time.Minute)
	u.want("not_found", http.MethodPost, "/info", `{"token":"DINCARD:0a0a0a0a-1b1b-2c2c-3d3d-4e4e4e4e4e4e"}`)
	u.want("ok", http.MethodPost, "/transactions", `{"ref_id":"c","token":"1234567890123","amount":1,"currency":"NOK"}`)
	u.steer(http.StatusOK, http.MethodPut, "/snapshots/seeded", "")
	s.close()
	verified(t, directory)

	// What was kept is not seeded again.
	s = sandboxWith(t, "--data-dir="+directory, "--seed="+file)
	u = tester{s, s.ready.Account, s.ready.Token}
	if got := u.balance(); got != "399" {
		t.Errorf("the balance is %s", got)
	}
	u.sell("d", "9")
	u.steer(http.StatusNoContent, http.MethodPost, "/snapshots/seeded/restore", "")
	if got := u.balance(); got != "399" {
		t.Errorf("the balance is %s after the snapshot of an earlier run", got)
	}
	s.close()
	verified(t, directory)
}

// A seed that cannot be had to its end leaves the account as it was, and says which part is wrong.
func TestSandboxSeedAllOrNothing(t *testing.T) {
	t.Parallel()
	s := sandboxHere(t)
	defer s.close()
	u := s.newTester()
	u.card("mine", "")
	const good = `{"card":{"card_id":"gift","amount":500,"currency":"NOK"},"tokens":[{"value":"code"}]}`
	for says, cards := range map[string]string{
		`/cards/1/card: card_exists`:                  good + `,{"card":{"card_id":"mine","amount":1,"currency":"NOK"}}`,
		`/cards/1/card: invalid_request`:              good + `,{"card":{"card_id":"x","amount":-1,"currency":"NOK"}}`,
		`/cards/1/tokens/0: token_space_exhausted`:    good + `,{"card":{"card_id":"x","amount":1,"currency":"NOK"},"tokens":[{"value":"code"}]}`,
		`/cards/1/transactions/0: insufficient_funds`: good + `,{"card":{"card_id":"x","amount":1,"currency":"NOK"},"transactions":[{"type":"drawdown","amount":2,"ref_id":"r"}]}`,
		`/cards/1/transactions/0: invalid_request`:    good + `,{"card":{"card_id":"x","amount":1,"currency":"NOK"},"transactions":[{"type":"drawdown","amount":2}]}`,
		`/cards/1/pin: `:                              good + `,{"card":{"card_id":"x","amount":1,"currency":"NOK"},"pin":"123"}`,
		`/cards/1/card: property`:                     good + `,{}`,
		`/cards/0/tokens/1: token_space_exhausted`:    `{"card":{"card_id":"x","amount":1,"currency":"NOK"},"tokens":[{"value":"same"},{"value":"same"}]}`,
	} {
		a := u.s.send(http.MethodPost, sandbox.BasePath+"/accounts/"+u.account+"/seed", "", `{"cards":[`+cards+`]}`)
		if a.status != http.StatusBadRequest || !strings.Contains(a.body, says) {
			t.Errorf("got %d %s, want %s", a.status, a.body, says)
		}
		if left := u.want("ok", http.MethodGet, "/cards", ""); strings.Count(left.body, `"card_id"`) != 1 {
			t.Errorf("%s: left is %s", says, left.body)
		}
	}
	if all := u.steer(http.StatusOK, http.MethodGet, "/snapshots", ""); strings.TrimSpace(all.body) != "[]" {
		t.Errorf("the snapshots are %s", all.body)
	}
	u.steer(http.StatusNoContent, http.MethodPost, "/seed", `{"cards":[`+good+`]}`)
	u.want("ok", http.MethodPost, "/info", `{"token":"code"}`)
}

func TestSandboxRefusesSeedFiles(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	for content, says := range map[string]string{
		`{`: "is no JSON", `{"cards":[{}]}`: "/cards/0/card", `{"account":"P00000001","cards":[]}`: "/account",
		`{"cards":[{"card":{"card_id":"x"}}]}`: "/cards/0/card: invalid_request",
	} {
		file := filepath.Join(directory, "seed.json")
		if err := os.WriteFile(file, []byte(content), fileMode); err != nil {
			t.Fatal(err)
		}
		kort(t, "sandbox", "--addr=:0", "--seed="+file).want(t, exitFailure, "--seed", says)
	}
	kort(t, "sandbox", "--addr=:0", "--seed="+filepath.Join(directory, "none")).want(t, exitFailure, "--seed", "none")
}

type logged struct {
	Method, Path, Operation, Code string
	Status                        int
	RefID                         string `json:"ref_id"`
	Replayed, Answered            bool
	Fault                         *struct{ Code, Connection string }
	DurationMs                    float64 `json:"duration_ms"`
}

func (u tester) requests(query string) (all []logged) {
	u.s.t.Helper()
	u.decode(u.steer(http.StatusOK, http.MethodGet, "/requests"+query, ""), &all)
	return all
}

// broken sends a sale whose answer must not come, and returns what the client saw.
func (u tester) broken(ref string) error {
	u.s.t.Helper()
	request, err := http.NewRequestWithContext(u.s.t.Context(), http.MethodPost,
		"http://"+u.s.addr+"/v1/accounts/"+u.account+"/wallets/transactions", strings.NewReader(saleOf(ref, "10")))
	if err != nil {
		u.s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+u.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err == nil {
		_ = response.Body.Close()
		u.s.t.Fatalf("an answer came: %s", response.Status)
	}
	return err
}

func TestSandboxFaults(t *testing.T) {
	t.Parallel()
	s := sandboxHere(t)
	defer s.close()
	u, other := s.newTester(), s.newTester()
	for _, each := range []tester{u, other} {
		each.card("gift", "")
	}
	fault := func(body string) { t.Helper(); u.steer(http.StatusCreated, http.MethodPost, "/faults", body) }

	fault(`{"operation":"aid_cards_transactions_post","code":"overloaded","times":2}`)
	fault(`{"operation":"aid_cards_transactions_post","code":"rate_limited"}`)
	other.sell("r", "10")
	u.want("ok", http.MethodGet, "/cards/gift", "")
	for _, want := range []string{"overloaded", "overloaded", "rate_limited"} {
		a := u.want(want, http.MethodPost, "/transactions", saleOf("r", "10"))
		if a.header.Get("Retry-After") != "1" || a.header.Get("X-Request-Id") == "" {
			t.Errorf("%s has the headers %v", want, a.header)
		}
	}
	if got := u.balance(); got != "500" {
		t.Errorf("the balance is %s after three refusals", got)
	}

	fault(`{"operation":"aid_cards_transactions_post","connection":"reset"}`)
	if err := u.broken("r"); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a reset looks like %v", err)
	}
	if got := u.balance(); got != "500" {
		t.Errorf("the balance is %s after a reset", got)
	}
	fault(`{"operation":"aid_cards_transactions_post","connection":"lost_answer"}`)
	if err := u.broken("r"); !errors.Is(err, io.EOF) {
		t.Errorf("a lost answer looks like %v", err)
	}
	if got := u.balance(); got != "490" {
		t.Errorf("the balance is %s after a lost answer", got)
	}
	if again := u.sell("r", "10"); again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the repetition is no replay: %v", again.header)
	}

	fault(`{"latency_ms":200,"operation":"aid_cards_cardid_get"}`)
	began := time.Now()
	u.want("ok", http.MethodGet, "/cards/gift", "")
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("it took %s", took)
	}
	if left := u.steer(http.StatusOK, http.MethodGet, "/faults", ""); strings.TrimSpace(left.body) != "[]" {
		t.Errorf("faults are left: %s", left.body)
	}

	fault(`{"code":"internal","probability":0.5}`)
	failed := 0
	for range 200 {
		if code, _ := u.do(http.MethodGet, "/cards/gift", ""); code == "internal" {
			failed++
		}
	}
	if failed < 50 || failed > 150 { // beyond seven standard deviations
		t.Errorf("%d of 200 failed", failed)
	}
	u.steer(http.StatusNoContent, http.MethodDelete, "/faults", "")
	u.want("ok", http.MethodGet, "/cards/gift", "")
}

func TestSandboxRequestLog(t *testing.T) {
	t.Parallel()
	s := sandboxHere(t)
	defer s.close()
	u := s.newTester()
	token := u.card("gift", `,"pin":{}`).field(t, "card_token.token.value")
	u.steer(http.StatusNoContent, http.MethodDelete, "/requests", "")
	u.want("ok", http.MethodPost, "/info", `{"token":"`+token+`"}`)
	u.want("ok", http.MethodPost, "/transactions", `{"ref_id":"æ","token":"`+token+`","amount":1,"currency":"NOK"}`)
	u.want("ok", http.MethodPost, "/transactions", `{"ref_id":"æ","token":"`+token+`","amount":1,"currency":"NOK"}`)
	u.want("ref_id_conflict", http.MethodPost, "/transactions", `{"ref_id":"æ","token":"`+token+`","amount":2,"currency":"NOK"}`)
	u.steer(http.StatusCreated, http.MethodPost, "/faults", `{"connection":"lost_answer"}`)
	_ = u.broken("lost") // which it does by itself
	u.do(http.MethodPost, "/transactions", `{"ref_id":`)
	u.do(http.MethodPut, "/nowhere/%2F", "")
	const sales, path = "aid_cards_transactions_post", "/transactions"
	want := []logged{
		{Method: "POST", Path: "/info", Operation: "aid_cards_token_post", Status: 200, Answered: true},
		{Method: "POST", Path: path, Operation: sales, Status: 200, RefID: "æ", Answered: true},
		{Method: "POST", Path: path, Operation: sales, Status: 200, RefID: "æ", Replayed: true, Answered: true},
		{Method: "POST", Path: path, Operation: sales, Status: 409, Code: "ref_id_conflict", RefID: "æ", Answered: true},
		{Method: "POST", Path: path, Operation: sales, Status: 200, RefID: "lost"},
		{Method: "POST", Path: path, Operation: sales, Status: 400, Code: "invalid_request", Answered: true},
		{Method: "PUT", Path: "/nowhere/%2F", Status: 404, Code: "not_found", Answered: true},
	}
	got := u.requests("")
	if len(got) != len(want) {
		t.Fatalf("%d entries, want %d: %+v", len(got), len(want), got)
	}
	for i := range want {
		if fault := got[i].Fault; (fault != nil) != (want[i].RefID == "lost") {
			t.Errorf("entry %d has the fault %+v", i, fault)
		}
		want[i].Path = "/v1/accounts/" + u.account + "/wallets" + want[i].Path
		if got[i].DurationMs <= 0 {
			t.Errorf("entry %d took %v ms", i, got[i].DurationMs)
		}
		got[i].Fault, got[i].DurationMs = nil, 0
		if got[i] != want[i] {
			t.Errorf("entry %d is %+v, want %+v", i, got[i], want[i])
		}
	}
	if one := u.requests("?ref_id=lost&operation=" + sales); len(one) != 1 {
		t.Errorf("found are %+v", one)
	}
	if raw := u.steer(http.StatusOK, http.MethodGet, "/requests", "").body; strings.Contains(raw, token) || strings.Contains(raw, u.token) {
		t.Errorf("the log shows a secret: %s", raw)
	}
	if others := s.newTester().requests(""); len(others) != 0 {
		t.Errorf("another account has %+v", others)
	}
}

func TestSandboxPathsThatAreNotSteered(t *testing.T) {
	t.Parallel()
	s := sandboxHere(t)
	defer s.close()
	for path, status := range map[string]int{"/sandbox/v10": 404, "/healthz": 200, "/v1/accounts/P00000001/wallets/cards": 401, "/v1/accounts/T1/wallets/cards": 401} {
		if got := s.send(http.MethodGet, path, "", ""); got.status != status {
			t.Errorf("%s: got %d %s, want %d", path, got.status, got.body, status)
		}
	}
}

// The rights of a token are those that were asked for.
func TestSandboxAccessTokens(t *testing.T) {
	t.Parallel()
	s := sandboxHere(t)
	defer s.close()
	u := s.newTester()
	u.card("gift", `,"customer_id":"anna"`)
	anna := u
	anna.token = u.steer(http.StatusCreated, http.MethodPost, "/access-tokens", `{"subject":"anna","scopes":["user:wallets"]}`).field(t, "token")
	anna.want("ok", http.MethodGet, "/customers/anna/cards", "")
	anna.want("forbidden", http.MethodGet, "/customers/bob/cards", "")
	anna.want("forbidden", http.MethodGet, "/cards/gift", "")
	u.steer(http.StatusBadRequest, http.MethodPost, "/access-tokens", `{"subject":"","scopes":["user:wallets"]}`)
	u.steer(http.StatusBadRequest, http.MethodPost, "/access-tokens", `{"subject":"anna","scopes":[]}`)
}
