package proof

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kortwallet/kort/pkg/pgtest"
)

// proxy stands between two processes and spoils what they say to each other.
type proxy struct {
	listener net.Listener
	dial     func(context.Context) (net.Conn, error)
	refuse   atomic.Bool // new connections are reset at once
	// mute is how many of the next answers are lost, each with its connection: the
	// other side has done what it was asked, and nobody hears of it.
	mute atomic.Int32
	// afterCommit narrows mute to answers to a COMMIT of PostgreSQL.
	afterCommit bool
	muted       atomic.Int64 // answers that were lost
	// drop is how many of the next COMMITs are lost on their way, each with its
	// connection: to whoever sent it that looks like a lost answer, and it has not been done.
	drop    atomic.Int32
	dropped atomic.Int64 // COMMITs that were lost

	mu    sync.Mutex
	links map[*link]bool
	// flowing is closed while nothing is held back.
	flowing chan struct{}
	running sync.WaitGroup
}

// link is one connection through a proxy.
type link struct {
	near, far net.Conn
	// asked tells that a COMMIT waits for its answer.
	asked atomic.Bool
}

// reset ends a link as a crash or a firewall does, without a farewell.
func (l *link) reset() {
	for _, conn := range []net.Conn{l.near, l.far} {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a link that is closed already cannot be reset any more
		}
		_ = conn.Close()
	}
}

// newProxy starts a proxy before an address.
func newProxy(ctx context.Context, network, address string) (*proxy, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a proxy: %w", err)
	}
	p := &proxy{listener: listener, links: map[*link]bool{}, flowing: make(chan struct{})}
	close(p.flowing)
	p.dial = func(ctx context.Context) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, network, address) }
	p.running.Go(p.accept)
	return p, nil
}

// newPostgresProxy starts a proxy before the server of a database URL, and returns the
// URL that leads through it.
func newPostgresProxy(ctx context.Context, databaseURL string) (p *proxy, through string, err error) {
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return nil, "", errors.New("the database URL is not a valid postgres:// URL")
	}
	network, address := pgconn.NetworkAddress(config.Host, config.Port)
	if p, err = newProxy(ctx, network, address); err != nil {
		return nil, "", err
	}
	p.afterCommit = true
	return p, (&url.URL{
		Scheme: "postgres", User: url.UserPassword(config.User, config.Password), Host: p.addr(),
		Path: "/" + config.Database, RawQuery: "sslmode=disable",
	}).String(), nil
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// close ends the proxy and all links.
func (p *proxy) close() error {
	err := p.listener.Close()
	p.flow()
	p.cut()
	p.running.Wait()
	return err
}

// cut resets all links.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.reset()
	}
}

// hold holds everything back until flow.
func (p *proxy) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flowing = make(chan struct{})
}

// flow lets go what is held back.
func (p *proxy) flow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.flowing:
	default:
		close(p.flowing)
	}
}

func (p *proxy) wait() {
	p.mu.Lock()
	flowing := p.flowing
	p.mu.Unlock()
	<-flowing
}

func (p *proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		l := &link{near: near}
		if p.refuse.Load() {
			l.far = near
			l.reset()
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
		l.far, err = p.dial(ctx)
		cancel()
		if err != nil { // who is behind it is down
			l.far = near
			l.reset()
			continue
		}
		p.mu.Lock()
		p.links[l] = true
		p.mu.Unlock()
		p.running.Go(func() { p.carry(l, l.near, l.far, p.ask) })
		p.running.Go(func() { p.carry(l, l.far, l.near, p.answer) })
	}
}

// carry carries one direction, until look says that this is enough.
func (p *proxy) carry(l *link, from, to net.Conn, look func(*link, []byte) bool) {
	defer func() {
		l.reset()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.links, l)
	}()
	chunk := make([]byte, 1<<16)
	for {
		n, err := from.Read(chunk)
		if err != nil {
			return
		}
		p.wait()
		if !look(l, chunk[:n]) {
			return
		}
		if _, err := to.Write(chunk[:n]); err != nil {
			return
		}
	}
}

// ask notes COMMITs on their way to PostgreSQL, and loses one where that is asked for.
func (p *proxy) ask(l *link, chunk []byte) bool {
	if !p.afterCommit || !pgtest.Commits(chunk) {
		return true
	}
	l.asked.Store(true)
	return !take(&p.drop, &p.dropped)
}

// take takes one of what is left to do, and counts it; it reports false when nothing is.
func take(left *atomic.Int32, done *atomic.Int64) bool {
	for {
		n := left.Load()
		if n <= 0 {
			return false
		}
		if left.CompareAndSwap(n, n-1) {
			done.Add(1)
			return true
		}
	}
}

// answer loses an answer where that is asked for.
func (p *proxy) answer(l *link, _ []byte) bool {
	if p.afterCommit && !l.asked.Swap(false) {
		return true
	}
	return !take(&p.mute, &p.muted)
}

// spoil does something to the traffic that is over soon.
func (p *proxy) spoil(ctx context.Context, t *trial) error {
	t.Faults++
	switch t.random.IntN(6) {
	case 0:
		p.cut()
	case 1, 2:
		p.mute.Store(1 + t.random.Int32N(3))
	case 3:
		p.drop.Store(1 + t.random.Int32N(3))
	case 4:
		p.hold()
		defer p.flow()
		longest := 600 * time.Millisecond
		if t.random.IntN(10) == 0 {
			longest = answerTimeout + time.Second // longer than anybody waits
		}
		return pause(ctx, t.between(50*time.Millisecond, longest))
	default:
		p.refuse.Store(true)
		defer p.refuse.Store(false)
		p.cut()
		return pause(ctx, t.between(20*time.Millisecond, 300*time.Millisecond))
	}
	return nil
}
