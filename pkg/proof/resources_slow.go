package proof

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// longCard has a history of longTxns transactions with longMetadata bytes of
	// metadata each: more than sockets keep for a reader.
	longCard               = "long"
	longTxns, longMetadata = 320, 15 << 10
	// narrowBytes is what the socket of somebody who reads nothing keeps.
	narrowBytes = 4 << 10
	// fillWithin is how long it may take until it keeps no more.
	fillWithin = 10 * time.Second
	// dripEvery is how long a slow client waits before it says a little more, and
	// askEvery how long one who reads nothing waits before it asks for more: until the
	// server can send no more.
	dripEvery, askEvery = 100 * time.Millisecond, 2 * time.Second
	// longestTx bounds a transaction of the database while answers are not read. One
	// that waits for a reader ends with the time to write; one that is slow is not seen
	// so often.
	longestTx  = writeTimeout - 2*time.Second
	longTxSeen = 20
)

// lingerers keep connections for a long time: thousands say nothing, others say
// something byte by byte, or do not read what they asked for. Where it is about
// PostgreSQL there are only the latter.
func (t *trial) lingerers(ctx context.Context) error {
	n, err := affordable()
	if err != nil {
		return err
	}
	return t.withSite(ctx, func(s *site) error {
		return t.withServer(ctx, s, func(server *server) error {
			largest := 0.0
			err := t.crowded(ctx, s, server, func(ctx context.Context, p *prober) error {
				if t.Faults == 1 {
					if err := p.longHistory(ctx); err != nil {
						return err
					}
				}
				return p.while(ctx, func() error {
					if t.engine == Postgres {
						return p.slow(ctx, server, s)
					}
					each, err := t.idle(ctx, server, n)
					largest = max(largest, each)
					return errors.Join(err, p.slow(ctx, server, s))
				})
			})
			if t.engine == SQLite {
				t.note("%d idle connections took at most %.1f KiB of memory each", n, largest)
			}
			return err
		}, shortTimeouts()...)
	})
}

// longHistory makes a card whose list of transactions is long.
func (p *prober) longHistory(ctx context.Context) error {
	post := func(path, body string) error {
		got, err := p.client.send(ctx, http.MethodPost, path, []byte(body))
		if err == nil && got.status != http.StatusOK {
			err = fmt.Errorf("prepare a long history: %d %s", got.status, got.body)
		}
		return err
	}
	if err := post("/cards", fmt.Sprintf(`{"card_id":%q,"amount":0,"currency":"NOK"}`, longCard)); err != nil {
		return err
	}
	filler := strings.Repeat("x", longMetadata)
	failures := make([]error, longTxns)
	var posting sync.WaitGroup
	for i := range longTxns {
		posting.Go(func() {
			failures[i] = post("/transactions", fmt.Sprintf(
				`{"card_id":%q,"type":"fund","amount":1,"currency":"NOK","ref_id":"long-%d","metadata":{"filler":%q}}`, longCard, i, filler,
			))
		})
	}
	posting.Wait()
	return errors.Join(failures...)
}

// slowKind is a way to be slow.
type slowKind struct {
	name string
	// timeout is after how long the server has to hang up.
	timeout time.Duration
	first   string // is said at once
	drip    string // is said bit by bit, again and again
	bit     int    // bytes
	every   time.Duration
	reads   bool
}

// slowKinds are all ways.
func (p *prober) slowKinds() []slowKind {
	head := func(method, path string) string {
		return method + " /v1/accounts/" + account + "/wallets" + path + " HTTP/1.1\r\nHost: kort\r\nAuthorization: Bearer " + p.token + "\r\n"
	}
	list := head(http.MethodGet, cardPath(longCard)+"/transactions") + "\r\n"
	body := head(http.MethodPost, "/transactions") + "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
	return []slowKind{
		{"a header byte by byte", headerTimeout, head(http.MethodGet, cardPath(longCard)), "X-Slow: yes\r\n", 1, dripEvery, true},
		{"a body byte by byte", max(readTimeout, writeTimeout), body, " ", 1, dripEvery, true},
		{"no answer read", fillWithin + writeTimeout, list, list, len(list), askEvery, false},
	}
}

// slowOfEach is how many clients of each slow kind there are: more than there are
// requests that the server reads at once, where that is not very many.
func slowOfEach() int { return 6 * min(runtime.NumCPU(), 8) }

// slow is slow in all ways at once, until the server has hung up on everybody.
func (p *prober) slow(ctx context.Context, server *server, s *site) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	watched := make(chan error, 1)
	go func() { watched <- p.watchTransactions(watching, s) }()
	var clients sync.WaitGroup
	for _, kind := range p.slowKinds() {
		for range slowOfEach() {
			clients.Go(func() {
				if err := kind.run(ctx, server.addr); err != nil {
					p.violate("%s: the server did not hang up after %s: %v", kind.name, kind.timeout, err)
				}
			})
		}
	}
	clients.Wait()
	stop()
	return <-watched
}

// run is slow until the server hangs up.
func (k *slowKind) run(ctx context.Context, addr string) error {
	conn, err := (&net.Dialer{Timeout: answerTimeout}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // the server has done so already
	if err := conn.SetDeadline(time.Now().Add(k.timeout + closedWithin)); err != nil {
		return err
	}
	hungUp := make(chan struct{})
	if tcp, ok := conn.(*net.TCPConn); ok && !k.reads {
		if err := tcp.SetReadBuffer(narrowBytes); err != nil {
			return err
		}
	}
	if k.reads {
		go func() {
			defer close(hungUp)
			_, _ = io.Copy(io.Discard, conn) // until the server hangs up, in whatever way
		}()
	}
	_, err = io.WriteString(conn, k.first)
	for at := 0; err == nil; at = (at + k.bit) % len(k.drip) {
		select {
		case <-hungUp:
			return nil
		case <-ctx.Done():
			return nil
		case <-time.After(k.every):
		}
		_, err = io.WriteString(conn, k.drip[at:at+k.bit])
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil // the server hung up while something was said
}

// watchTransactions looks after the age of the transactions of a server on PostgreSQL:
// an answer that nobody reads must hold none open.
func (p *prober) watchTransactions(ctx context.Context, s *site) (err error) {
	if p.engine != Postgres {
		return nil
	}
	conn, err := pgx.Connect(ctx, s.databaseURL)
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	longest, seconds, seen := 0.0, 0.0, 0
	for {
		err := conn.QueryRow(ctx, `SELECT coalesce(extract(epoch FROM max(clock_timestamp() - xact_start)), 0)::float8
			FROM pg_stat_activity WHERE application_name = 'kort'`).Scan(&seconds)
		if err == nil {
			longest = max(longest, seconds)
			if seen++; seconds < longestTx.Seconds() {
				seen = 0
			}
			if seen == longTxSeen {
				p.violate("a transaction of the database was open for %.1f s", seconds)
			}
			err = pause(ctx, lookEvery)
		}
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return fmt.Errorf("look at the transactions of PostgreSQL: %w", err)
		}
	}
	p.note("longest transaction of the database %.0f ms", longest*1000)
	return nil
}
