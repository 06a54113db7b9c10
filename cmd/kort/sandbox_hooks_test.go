package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	api "github.com/kortwallet/kort/gen/sandbox"
	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/hooks"
	"github.com/kortwallet/kort/pkg/sandbox"
)

// hook sends a request under the subscriptions of the account.
func (u tester) hook(want int, method, path, body string) answer {
	u.s.t.Helper()
	a := u.s.send(method, "/v1/accounts/"+u.account+"/hooks/subscriptions"+path, u.token, body)
	if a.status != want {
		u.s.t.Fatalf("%s %s: got %d %s, want %d", method, path, a.status, a.body, want)
	}
	return a
}

// subscribe has the account's events sent to its own inbox.
func (u tester) subscribe() answer {
	u.s.t.Helper()
	return u.hook(http.StatusOK, http.MethodPost, "", fmt.Sprintf(`{"config":{"url":"%s/accounts/%s/inbox"},"events":["wallet_transaction","wallet_card"]}`,
		u.s.ready.URL+sandbox.BasePath, u.account))
}

// inbox waits for so many events of a name.
func (u tester) inbox(event string, n int) (events []api.ReceivedEvent) {
	u.s.t.Helper()
	eventually(u.s.t, fmt.Sprint("receive ", n, " of ", event), func() bool {
		events = nil
		u.decode(u.steer(http.StatusOK, http.MethodGet, "/inbox?event="+event, ""), &events)
		return len(events) >= n
	})
	if len(events) > n {
		u.s.t.Errorf("%d of %s, want %d", len(events), event, n)
	}
	return events
}

// A test subscribes the inbox of its account and reads there what happened, signed.
func TestSandboxInbox(t *testing.T) {
	t.Parallel()
	s := sandboxHere(t)
	defer s.close()
	u, other := s.newTester(), s.newTester()
	made := u.subscribe()
	secret := cardcode.Secret(made.field(t, "config.secret"))
	u.inbox("ping", 1)
	u.card("gift", "")
	u.sell("r", "1")
	u.sell("r", "1") // a repetition is no event
	for i, e := range u.inbox("wallet_transaction", 2) {
		header := http.Header{}
		for name, value := range e.Headers {
			header.Set(name, value)
		}
		if !hooks.Verify(header, []byte(e.RawBody), secret) {
			t.Errorf("the signatures of %s are wrong: %v", e.RawBody, e.Headers)
		}
		var body struct {
			Transaction struct {
				Type string `json:"type"`
			} `json:"transaction"`
		}
		if err := json.Unmarshal(e.Body, &body); err != nil || body.Transaction.Type != []string{"fund", "drawdown"}[i] {
			t.Errorf("event %d is %s: %v", i, e.RawBody, err)
		}
	}
	u.inbox("wallet_card", 1)
	if got := other.steer(http.StatusOK, http.MethodGet, "/inbox", ""); strings.TrimSpace(got.body) != "[]" {
		t.Errorf("another account has received %s", got.body)
	}
	u.steer(http.StatusNoContent, http.MethodDelete, "/inbox", "")
	u.inbox("wallet_transaction", 0)
}

// What an account was put back from is not told of any more; its subscriptions stay.
func TestSandboxHooksOfAnAccountThatIsPutBack(t *testing.T) {
	t.Parallel()
	s := sandboxHere(t)
	defer s.close()
	u := s.newTester()
	hid := u.subscribe().field(t, "id")
	u.card("gift", "")
	u.inbox("wallet_transaction", 1)
	u.steer(http.StatusOK, http.MethodPut, "/snapshots/before", "")
	u.sell("r", "1")
	u.inbox("wallet_transaction", 2)
	u.steer(http.StatusNoContent, http.MethodPost, "/snapshots/before/restore", "")
	if got := u.hook(http.StatusOK, http.MethodGet, "/"+hid+"/deliveries", ""); !strings.Contains(got.body, `"deliveries":[]`) {
		t.Errorf("after a restore there are %s", got.body)
	}
	u.sell("r", "2")
	u.inbox("wallet_transaction", 3)
	u.steer(http.StatusNoContent, http.MethodPost, "/reset", "")
	u.card("gift", "")
	u.inbox("wallet_transaction", 1)
	if got := u.hook(http.StatusOK, http.MethodGet, "", ""); !strings.Contains(got.body, hid) {
		t.Errorf("after a reset the subscriptions are %s", got.body)
	}
}
