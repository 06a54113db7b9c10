package bench

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// unwatched ignores progress.
func unwatched(int64, time.Duration) {}

// loadOn makes a load generator for a handler in place of a server.
func loadOn(ctx context.Context, t *testing.T, tills int, handler http.HandlerFunc) *load {
	t.Helper()
	web := httptest.NewServer(handler)
	t.Cleanup(web.Close)
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	s := &server{
		Announcement: Announcement{Addr: web.Listener.Addr().String(), Tokens: make([]string, tills)},
		command:      &exec.Cmd{Process: self},
	}
	l, err := newLoad(ctx, s, 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func window(ctx context.Context, l *load, turn func(*till) error) (Figures, error) {
	return l.window(ctx, workload{turn: turn}, 50*time.Millisecond, unwatched)
}

func aDrawdown(t *till) error { return t.drawdown(t.cards[1]) }

func TestWindowCountsWhatWasServed(t *testing.T) {
	t.Parallel()
	var served atomic.Int64
	l := loadOn(t.Context(), t, 3, func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		if r.Method != http.MethodPost || r.URL.Path != "/v1/accounts/"+account+"/wallets/transactions" {
			t.Errorf("served %s %s", r.Method, r.URL.Path)
		}
		_, _ = w.Write([]byte("{}"))
	})
	f, err := window(t.Context(), l, aDrawdown)
	if err != nil {
		t.Fatal(err)
	}
	if n := served.Load(); n == 0 || int64(f.Requests) != n || l.acknowledged() != n {
		t.Errorf("served %d, counted %d, acknowledged %d", n, f.Requests, l.acknowledged())
	}
}

func TestRefIDsAreUnique(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for number := range 12 {
		till := newTill(number, nil, "", "", nil, nil)
		for range 120 {
			till.body = till.body[:0]
			till.appendRef()
			if ref := string(till.body); seen[ref] {
				t.Fatalf("%s was drawn twice", ref)
			} else {
				seen[ref] = true
			}
		}
	}
}

func TestOneRefusalFailsTheWindow(t *testing.T) {
	t.Parallel()
	var served atomic.Int64
	l := loadOn(t.Context(), t, 2, func(w http.ResponseWriter, _ *http.Request) {
		if served.Add(1) == 5 {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"error":{"code":"overloaded","message":"m"}}`))
			return
		}
		_, _ = w.Write([]byte("{}"))
	})
	_, err := window(t.Context(), l, aDrawdown)
	refused, ok := errors.AsType[*refusal](err)
	if !ok || refused.status != http.StatusServiceUnavailable || refused.code != "overloaded" {
		t.Fatalf("got %v", err)
	}
	if !strings.HasPrefix(err.Error(), "1 of ") {
		t.Errorf("got %v, want one failure among many requests", err)
	}
	if n := served.Load(); n < 10 || l.acknowledged() != n-1 {
		t.Errorf("served %d, acknowledged %d: the tills have to go on, and count what was not refused", n, l.acknowledged())
	}
}

func TestABrokenConnectionFailsTheWindow(t *testing.T) {
	t.Parallel()
	l := loadOn(t.Context(), t, 1, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if _, err := window(t.Context(), l, aDrawdown); err == nil || !strings.Contains(err.Error(), "1 of 1 requests failed") {
		t.Errorf("got %v", err)
	}
}

func TestAnAnswerAboutAnotherCardFailsTheWindow(t *testing.T) {
	t.Parallel()
	l := loadOn(t.Context(), t, 1, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"card_id":"card-0000002"}`)) })
	_, err := window(t.Context(), l, func(t *till) error { return t.lookUp(t.cards[1]) })
	if !errors.Is(err, errOtherCard) {
		t.Errorf("got %v", err)
	}
}

func TestTheEndOfTheContextEndsAWait(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan struct{}, 1)
	l := loadOn(ctx, t, 1, func(_ http.ResponseWriter, r *http.Request) {
		waiting <- struct{}{}
		<-r.Context().Done() // never answers
	})
	go func() {
		<-waiting
		cancel()
	}()
	// Long, or on a busy machine it could be over before anybody waits.
	w := workload{turn: func(t *till) error { return t.lookUp(t.cards[0]) }}
	if _, err := l.window(ctx, w, time.Minute, unwatched); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
