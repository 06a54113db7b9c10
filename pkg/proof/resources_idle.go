package proof

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	// manyConnections are opened where the limit of open files allows it, which has
	// room for other files besides.
	manyConnections, otherFiles = 10_000, 300
	// backlog is how many are opened at once: no more than a listener has waiting.
	backlog = 100
	// closedWithin is how long after its time-out a connection has to be closed.
	closedWithin = 5 * time.Second
	// longestRead is how long somebody else may have to wait for a card.
	longestRead = 2500 * time.Millisecond
	// lookEvery is the pause between two looks at what others are served.
	lookEvery = 10 * time.Millisecond
)

// The time-outs of servers that are attacked by connections.
const (
	headerTimeout, readTimeout = 1 * time.Second, 2 * time.Second
	writeTimeout, idleTimeout  = 5 * time.Second, 2 * time.Second
)

// shortTimeouts are the flags that set them.
func shortTimeouts() []string {
	return []string{
		"--read-header-timeout", headerTimeout.String(), "--read-timeout", readTimeout.String(),
		"--write-timeout", writeTimeout.String(), "--idle-timeout", idleTimeout.String(),
	}
}

// fewDescriptors is a limit that a server just stays below, with its clients and its
// database: SQLite takes four descriptors for each core.
func (t *trial) fewDescriptors() int { return 48 + t.Clients + 4*runtime.GOMAXPROCS(0) }

// crowd are connections that belong to no client of the load.
type crowd struct {
	mu    sync.Mutex
	conns []net.Conn
	// refused could not be opened.
	refused int
	since   time.Time // the last was opened
}

// open opens connections, and says something on each.
func (c *crowd) open(ctx context.Context, addr string, n int, say []byte) {
	var running sync.WaitGroup
	for range backlog {
		running.Go(func() {
			for range n / backlog {
				conn, err := (&net.Dialer{Timeout: answerTimeout}).DialContext(ctx, "tcp", addr)
				if err == nil {
					_, err = conn.Write(say)
				}
				c.mu.Lock()
				if err != nil {
					c.refused++
				} else {
					c.conns = append(c.conns, conn)
				}
				c.mu.Unlock()
			}
		})
	}
	running.Wait()
	c.since = time.Now()
}

// close closes all.
func (c *crowd) close() {
	for _, conn := range c.conns {
		_ = conn.Close() // whoever leaves does not mind
	}
	c.conns = nil
}

// stillOpen counts those that the server does not close in time.
func (c *crowd) stillOpen(timeout time.Duration) (open int) {
	deadline := c.since.Add(timeout + closedWithin)
	for _, conn := range c.conns {
		if err := conn.SetReadDeadline(deadline); err != nil {
			continue // it is closed
		}
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			open++
		}
	}
	return open
}

// while does something and reads cards meanwhile.
func (p *prober) while(ctx context.Context, do func() error) error {
	over := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		for {
			p.read(ctx, true)
			select {
			case <-over:
				return
			case <-time.After(lookEvery):
			}
		}
	})
	looking.Go(func() { p.watchReads(over) })
	err := do()
	close(over)
	looking.Wait()
	return err
}

// watchReads sees whether a card is read all the time. It counts the ticks that it
// hears, so that a machine that is suspended does not count.
func (p *prober) watchReads(over <-chan struct{}) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	silent, before := 0, p.reads.Load()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
		}
		now := p.reads.Load()
		if silent++; now != before {
			silent, before = 0, now
		}
		if silent == int(longestRead/lookEvery) {
			p.violate("others were not served for %s", longestRead)
		}
	}
}

// crowded puts a server under load, with something else beside it.
func (t *trial) crowded(ctx context.Context, s *site, server *server, beside func(context.Context, *prober) error) error {
	p, err := t.probed(ctx, s, server, func(ctx context.Context, p *prober) error {
		t.Faults++
		return beside(ctx, p)
	})
	if err != nil {
		return err
	}
	t.note("others read in %s (p50), %s (p99), %s (max)", p.percentile(50).Round(time.Millisecond/10),
		p.percentile(99).Round(time.Millisecond/10), p.percentile(100).Round(time.Millisecond/10))
	return nil
}

// noDescriptors opens more connections to a server than it has descriptors for.
func (t *trial) noDescriptors(ctx context.Context) error {
	return t.withSite(ctx, func(s *site) (err error) {
		server, err := s.newServer(ctx, shortTimeouts()...)
		if err != nil {
			return err
		}
		server.wrap = []string{"sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$@"`, t.fewDescriptors()), "sh"}
		defer func() { err = errors.Join(err, server.stop()) }()
		if err := server.start(ctx); err != nil {
			return err
		}
		err = t.crowded(ctx, s, server, func(ctx context.Context, p *prober) error { return t.exhaust(ctx, server, p) })
		log, readErr := os.ReadFile(s.logFile())
		failures := bytes.Count(log, []byte("Accept error"))
		if readErr == nil && err == nil && failures == 0 {
			err = errors.New("the server had descriptors enough: this was no attack")
		}
		t.note("the server could not accept %d times", failures)
		return errors.Join(err, readErr)
	})
}

// exhaust uses up the descriptors for a while. Who has a connection keeps it.
func (t *trial) exhaust(ctx context.Context, server *server, p *prober) error {
	p.read(ctx, true) // so that it has one
	var idle crowd
	defer idle.close()
	if err := p.while(ctx, func() error {
		idle.open(ctx, server.addr, 2*backlog, nil)
		return pause(ctx, headerTimeout/2)
	}); err != nil {
		return err
	}
	idle.close()
	begun := time.Now()
	if err := server.awaitReady(ctx); err != nil { // over a new connection
		return err
	}
	if took := time.Since(begun); took > recoveredWithin {
		t.violate("a new connection was served only %s after there was room for it", took)
	}
	return nil
}

// affordable is how many connections this process can have.
func affordable() (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("look up the limit of open files: %w", err)
	}
	// Go has raised the soft limit to the hard one, here and in the server.
	n := min(uint64(manyConnections), max(limit.Cur, otherFiles+2*backlog)-otherFiles)
	return int(n) / (2 * backlog) * 2 * backlog, nil //nolint:gosec // at most manyConnections
}

// idle opens connections, half of them with one request, and waits until the server
// has closed them. It returns what each took of its memory, in KiB.
func (t *trial) idle(ctx context.Context, server *server, n int) (each float64, err error) {
	before, err := server.residentKiB(ctx)
	if err != nil {
		return 0, err
	}
	var silent, idle crowd
	defer silent.close()
	defer idle.close()
	idle.open(ctx, server.addr, n/2, []byte("GET /healthz HTTP/1.1\r\nHost: kort\r\n\r\n"))
	silent.open(ctx, server.addr, n/2, nil)
	after, err := server.residentKiB(ctx)
	if err != nil {
		return 0, err
	}
	if open := silent.stillOpen(headerTimeout) + idle.stillOpen(idleTimeout); open > 0 {
		t.violate("%d of %d idle connections were still open %s after their time", open, n, closedWithin)
	}
	if refused := silent.refused + idle.refused; refused > 0 {
		t.violate("%d of %d connections were refused", refused, n)
	}
	return max(0, after-before) / float64(n), nil
}
