package posting

import (
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kortwallet/kort/pkg/pgtest"
)

// fault is what a proxy does to a COMMIT.
type fault int32

const (
	noFault     fault = iota
	loseRequest       // the server never sees the COMMIT
	loseAnswer        // the server commits, and nobody hears of it
)

// proxy stands between a store and a PostgreSQL, and spoils COMMITs on demand.
type proxy struct {
	url      string
	target   func() (net.Conn, error)
	listener net.Listener
	next     atomic.Int32 // the fault of the next COMMITs
	left     atomic.Int32 // how many COMMITs meet it
	spoilt   atomic.Int32
	refuse   atomic.Bool // new connections are closed at once

	mu    sync.Mutex
	links map[*link]bool
}

// link is one connection through the proxy.
type link struct {
	client, server net.Conn
	muted          atomic.Bool
}

func (l *link) close() { _, _ = l.client.Close(), l.server.Close() }

// newProxy starts a proxy before the database of a URL.
func newProxy(t *testing.T, databaseURL string) *proxy {
	t.Helper()
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	network, address := pgconn.NetworkAddress(config.Host, config.Port)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{
		listener: listener, links: map[*link]bool{},
		target: func() (net.Conn, error) { return net.Dial(network, address) },
	}
	p.url = (&url.URL{
		Scheme: "postgres", User: url.UserPassword(config.User, config.Password), Host: listener.Addr().String(),
		Path: "/" + config.Database, RawQuery: "sslmode=disable",
	}).String()
	go p.accept()
	t.Cleanup(func() {
		_ = listener.Close()
		p.cut()
	})
	return p
}

// spoil makes the next COMMITs meet a fault.
func (p *proxy) spoil(f fault, commits int32) {
	p.next.Store(int32(f))
	p.left.Store(commits)
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.close()
	}
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		if p.refuse.Load() {
			_ = client.Close()
			continue
		}
		server, err := p.target()
		if err != nil {
			_ = client.Close()
			continue
		}
		l := &link{client: client, server: server}
		p.mu.Lock()
		p.links[l] = true
		p.mu.Unlock()
		go p.forward(l)
		go p.back(l)
	}
}

// forward carries what the store says.
func (p *proxy) forward(l *link) {
	defer l.close()
	chunk := make([]byte, 1<<16)
	for {
		n, err := l.client.Read(chunk)
		if err != nil {
			return
		}
		if pgtest.Commits(chunk[:n]) && p.left.Add(-1) >= 0 {
			p.spoilt.Add(1)
			if fault(p.next.Load()) == loseRequest {
				return
			}
			l.muted.Store(true)
		}
		if _, err := l.server.Write(chunk[:n]); err != nil {
			return
		}
	}
}

// back carries what the server answers. A muted answer has been given: the commit
// is done when the line goes dead.
func (p *proxy) back(l *link) {
	defer l.close()
	chunk := make([]byte, 1<<16)
	for {
		n, err := l.server.Read(chunk)
		if err != nil || l.muted.Load() {
			return
		}
		if _, err := l.client.Write(chunk[:n]); err != nil {
			return
		}
	}
}
