package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// newTurnstileServer serves behind a turnstile with so many places, and one under
// overload.
func newTurnstileServer(t *testing.T, places int, overloaded func() bool, handler http.HandlerFunc) (addr string, way *turnstile) {
	t.Helper()
	way = newTurnstile(overloaded)
	way.wide, way.narrow = make(chan struct{}, places), make(chan struct{}, 1)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: handler, ConnContext: ConnContext, ReadHeaderTimeout: time.Minute}
	go func() { _ = web.Serve(&turnstileListener{listener, way}) }()
	t.Cleanup(func() { _ = web.Close() })
	return listener.Addr().String(), way
}

// No more requests than there are places are at work at once, until they are let in;
// all are answered, and all places are free again in the end; also where an overload
// comes and goes.
func TestTurnstile(t *testing.T) {
	t.Parallel()
	const wide = 3
	var turns atomic.Int64
	for name, row := range map[string]struct {
		overloaded func() bool
		places     int64
	}{
		"never":      {nil, wide},
		"idle":       {func() bool { return false }, wide},
		"overloaded": {func() bool { return true }, 1},
		"in turns":   {func() bool { return turns.Add(1)%3 == 0 }, wide + 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			turnAway(t, wide, row.places, row.overloaded)
		})
	}
}

func turnAway(t *testing.T, wide int, places int64, overloaded func() bool) {
	t.Helper()
	const clients, each = 40, 20
	var atWork, most, admitted atomic.Int64
	addr, way := newTurnstileServer(t, wide, overloaded, func(w http.ResponseWriter, r *http.Request) {
		now := atWork.Add(1)
		for seen := most.Load(); seen < now && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
		time.Sleep(100 * time.Microsecond)
		atWork.Add(-1)
		body, _ := io.ReadAll(r.Body) // from here on the server reads ahead, and leaves
		if strings.HasPrefix(string(body), "in") {
			letIn(r.Context())
			admitted.Add(1)
			time.Sleep(2 * time.Millisecond) // holds nobody up
		}
		_, _ = w.Write(body)
	})
	var running sync.WaitGroup
	for n := range clients {
		running.Go(func() {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			in := bufio.NewReader(conn)
			for i := range each {
				body := fmt.Sprintf("out-%d", i)
				if n%2 == 0 {
					body = fmt.Sprintf("in-%d", i)
				}
				_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
				if got, err := readAnswer(in); err != nil || got != body {
					t.Errorf("got %q, want %q, %v", got, body, err)
					return
				}
			}
		})
	}
	running.Wait()
	if most.Load() > places {
		t.Errorf("%d requests were at work at once, with %d places", most.Load(), places)
	}
	if admitted.Load() != clients/2*each {
		t.Errorf("%d requests were let in, want %d", admitted.Load(), clients/2*each)
	}
	allFree(t, way)
}

// Whoever does not go on holds no place: neither one who sends half a request, nor one
// who does not read an answer, nor one who asks for more instead, nor one who goes away.
func TestTurnstileOfThoseWhoDoNotGoOn(t *testing.T) {
	t.Parallel()
	addr, way := newTurnstileServer(t, 1, nil, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, 8<<20))
	})
	dial := func(request string) net.Conn {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := conn.Write([]byte(request)); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	const whole = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	dial("GET / HT")
	dial("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
	dial(whole) // and never reads
	again := dial(whole)
	time.Sleep(50 * time.Millisecond) // the server is at work on it
	if _, err := again.Write([]byte(whole)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	_ = dial(whole).Close()
	_ = dial("GET").Close()
	if answer, err := readAnswer(bufio.NewReader(dial(whole))); err != nil || len(answer) != 8<<20 {
		t.Fatalf("one who goes on gets %d bytes: %v", len(answer), err)
	}
	allFree(t, way)
}

// Whoever asks whether the server is ready waits for the database, and holds nobody up.
func TestReadinessHoldsNoPlace(t *testing.T) {
	t.Parallel()
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	s.Drain() // so that it does not ask for a store
	conn := &turnstileConn{turnstile: s.turnstile}
	conn.enter()
	ctx := ConnContext(t.Context(), conn)
	s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/readyz", http.NoBody))
	allFree(t, s.turnstile)
}

func readAnswer(in *bufio.Reader) (body string, err error) {
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	read, err := io.ReadAll(answer.Body)
	return string(read), err
}

func allFree(t *testing.T, way *turnstile) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); len(way.wide)+len(way.narrow) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d places are still taken", len(way.wide)+len(way.narrow))
		}
	}
}
