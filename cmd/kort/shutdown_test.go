package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A request that has begun to arrive when the signal comes is answered, what looks
// after the server is told meanwhile, and then nobody is let in.
func TestSignalDrains(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database []string) {
		server := serveApart(t, dev(database, "--drain-delay=1s")...)
		token := server.token()
		const body = `{"card_id":"late","amount":1,"currency":"NOK"}`
		conn := server.beginRequest(token, body[:10], len(body))
		defer conn.Close()

		server.stop()
		eventually(t, "say that it drains", func() bool {
			return server.send(http.MethodGet, "/readyz", "", "").status == http.StatusServiceUnavailable
		})
		if got := server.send(http.MethodGet, "/healthz", "", ""); got.status != http.StatusOK {
			t.Errorf("a draining server is not healthy: %d", got.status)
		}
		eventually(t, "stop to listen", func() bool {
			_, err := net.DialTimeout("tcp", server.addr, time.Second)
			return errors.Is(err, syscall.ECONNREFUSED)
		})
		if _, err := io.WriteString(conn, body[10:]); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("no answer to an accepted request: %v\n%s", err, server.stderr)
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("an accepted request is answered with %d", response.StatusCode)
		}
		<-server.done
		if server.code != exitOK || !strings.Contains(server.stderr.String(), `"msg":"stopped"`) {
			t.Errorf("exit code %d, want 0:\n%s", server.code, server.stderr)
		}

		again := serveHere(t, dev(database)...)
		defer again.close()
		if got := again.send(http.MethodGet, cardsPath+"/late", token, ""); got.status != http.StatusOK {
			t.Errorf("the accepted request is lost: %d %s", got.status, got.body)
		}
	})
}

// beginRequest sends the head of a request, waits until the server asks for the
// body, and sends a part of it: from then on the request is accepted.
func (i *instance) beginRequest(token, part string, length int) net.Conn {
	i.t.Helper()
	conn, err := net.Dial("tcp", i.addr)
	if err != nil {
		i.t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		i.t.Fatal(err)
	}
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: kort.test\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", cardsPath, token, length)
	if err != nil {
		i.t.Fatal(err)
	}
	asked := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))
	if _, err := io.ReadFull(conn, asked); err != nil || !strings.Contains(string(asked), " 100 ") {
		i.t.Fatalf("the server does not ask for the body (%v): %s", err, asked)
	}
	if _, err := io.WriteString(conn, part); err != nil {
		i.t.Fatal(err)
	}
	return conn
}

// Under load, the cards that exist after a signal are exactly those whose creation
// was answered.
func TestSignalUnderLoad(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database []string) {
		server := serveApart(t, dev(database)...)
		token := server.token()
		var mu sync.Mutex
		created := map[string]bool{}
		var clients sync.WaitGroup
		for client := range 8 {
			clients.Go(func() {
				mine := &http.Client{Transport: &http.Transport{}}
				for n := 0; ; n++ {
					id := fmt.Sprintf("card-%d-%d", client, n)
					got, err := server.trySend(mine, http.MethodPost, cardsPath, token, `{"card_id":"`+id+`","amount":1,"currency":"NOK"}`)
					if err != nil {
						return // not let in any more
					}
					if got.status == http.StatusOK {
						mu.Lock()
						created[id] = true
						mu.Unlock()
					}
				}
			})
		}
		eventually(t, "create cards", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(created) > 100
		})
		server.stop()
		clients.Wait()
		<-server.done
		if server.code != exitOK {
			t.Fatalf("exit code %d:\n%s", server.code, server.stderr)
		}

		report := kort(t, append([]string{"verify"}, database...)...)
		report.want(t, exitOK, fmt.Sprintf(" %d cards, ", len(created)), "Everything agrees.")
		again := serveHere(t, dev(database)...)
		defer again.close()
		for id := range created {
			if got := again.send(http.MethodGet, cardsPath+"/"+id, token, ""); got.status != http.StatusOK {
				t.Fatalf("%s was answered and is lost: %d", id, got.status)
			}
		}
	})
}

// Whoever does not want to wait says so with a second signal.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	server := serveApart(t, dev([]string{"--data-dir=" + t.TempDir()})...)
	conn := server.beginRequest(server.token(), "{", 100)
	defer conn.Close()
	server.stop()
	eventually(t, "begin to stop", func() bool { return strings.Contains(server.stderr.String(), `"msg":"stopping"`) })
	select {
	case <-server.done:
		t.Fatalf("it does not wait for the request:\n%s", server.stderr)
	case <-time.After(50 * time.Millisecond):
	}
	server.signal(syscall.SIGTERM)
	select {
	case <-server.done:
	case <-time.After(patience):
		t.Fatal("it goes on waiting")
	}
	if server.code == exitOK {
		t.Error("it says that all went well")
	}
}

// A request that does not end holds up the server as long as configured, no longer.
func TestShutdownTimeout(t *testing.T) {
	t.Parallel()
	server := serveHere(t, dev([]string{"--data-dir=" + t.TempDir()}, "--shutdown-timeout=100ms")...)
	conn := server.beginRequest(server.token(), "{", 100)
	defer conn.Close()
	server.stop()
	<-server.done
	if server.code != exitFailure || !strings.Contains(server.stderr.String(), "--shutdown-timeout (KORT_SHUTDOWN_TIMEOUT)") {
		t.Errorf("exit code %d, want %d and the setting:\n%s", server.code, exitFailure, server.stderr)
	}
}
