package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/kortwallet/kort/pkg/conformance"
)

// What happens in an account is printed line by line and passed on with its signatures;
// afterwards nobody listens any more.
func TestHooksListen(t *testing.T) {
	t.Parallel()
	s := sandboxHere(t)
	defer s.close()
	if got := conformance.AccountOf(s.ready.Token); got != s.ready.Account {
		t.Fatalf("the token is for %q", got)
	}
	u := tester{s, s.ready.Account, s.ready.Token}
	passed := &transcript{}
	to := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("Webhook-Signature") == "" || r.Header.Get("Event-Signature") == "" || r.Header.Get("Event") == "" {
			t.Errorf("passed on with %v: %v", r.Header, err)
		}
		fmt.Fprintf(passed, "%s\n", body)
		if strings.Contains(string(body), "refused") {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	defer to.Close()

	ctx, stop := context.WithCancel(t.Context())
	stdout, stderr, ended := &transcript{}, &transcript{}, make(chan int, 1)
	go func() {
		ended <- run(ctx, &terminal{stdout: stdout, stderr: stderr}, []string{"hooks", "listen", "--url=" + s.ready.URL, "--token=" + u.token, "--forward=" + to.URL})
	}()
	eventually(t, "listen", func() bool { return strings.Contains(stderr.String(), "listening to the events of "+u.account) })
	u.card("gift", "")
	u.sell("refused", "1")
	lines := func(of *transcript, what string) int { return strings.Count(of.String(), what) }
	eventually(t, "hear of it", func() bool { return lines(stdout, "\n") >= 4 }) // ping, card, opening, sale
	for what, want := range map[string]int{`"event":"ping"`: 1, `"change":"created"`: 1, `"type":"fund"`: 1, `"ref_id":"refused"`: 1} {
		if printed, on := lines(stdout, what), lines(passed, what); printed != want || on != want {
			t.Errorf("%s was printed %d times and passed on %d times", what, printed, on)
		}
	}
	// The answer of whoever it was passed on to is the answer to the server.
	hid := regexp.MustCompile(`"subscription":{"id":"([^"]+)"}`).FindStringSubmatch(stdout.String())[1]
	eventually(t, "refuse the sale", func() bool {
		return strings.Contains(u.hook(http.StatusOK, http.MethodGet, "/"+hid+"/deliveries", "").body, `"state":"dead","status":400`)
	})
	stop()
	if code := <-ended; code != exitOK || strings.Contains(stdout.String()+stderr.String(), u.token) {
		t.Errorf("it ended with %d:\n%s", code, stderr)
	}
	if got := u.hook(http.StatusOK, http.MethodGet, "", ""); strings.TrimSpace(got.body) != `{"subscriptions":[]}` {
		t.Errorf("afterwards there are %s", got.body)
	}
}

// What cannot work is said at once.
func TestHooksListenInVain(t *testing.T) {
	t.Parallel()
	s := sandboxHere(t)
	defer s.close()
	kort(t, "hooks", "listen", "--url="+s.ready.URL, "--token=x").want(t, exitFailure, "names no account")
	kort(t, "hooks", "listen", "--url="+s.ready.URL, "--token=x", "--account=T12345678").want(t, exitFailure, "subscribe: unauthorized: A valid access token is required.")
	kort(t, "hooks", "listen", "--url="+s.ready.URL, "--token="+s.ready.Token, "--account=T00000000").want(t, exitFailure, "subscribe: forbidden")
	kort(t, "hooks", "listen", "--url="+s.ready.URL).want(t, exitUsage, "--token (KORT_LISTEN_TOKEN)")
}
