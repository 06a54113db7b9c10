package httpapi

import (
	"context"
	"net"
	"runtime"
	"sync"
)

// How many requests may be read, or turned away, at once: some for each core, and when
// there is too much to do one for every two cores. The others are for what was accepted.
const (
	wideTurnstilePerCore  = 4
	coresPerNarrowedPlace = 2
)

// turnstile lets only a few connections at once have a request read and, when there is
// too much to do, turned away. The others wait in line without using a processor: with
// thousands of them at work, whoever commits what was accepted would stand behind all
// of them each time it waits for the database, and hardly anything would be committed.
//
// A connection holds its place only while it computes. It leaves when its request is
// let in, and before it waits for a network.
type turnstile struct {
	wide, narrow chan struct{}
	overloaded   func() bool // nil for never
}

func newTurnstile(overloaded func() bool) *turnstile {
	cores := runtime.GOMAXPROCS(0)
	return &turnstile{
		wide:       make(chan struct{}, wideTurnstilePerCore*cores),
		narrow:     make(chan struct{}, max(1, cores/coresPerNarrowedPlace)),
		overloaded: overloaded,
	}
}

// places are those that a request can have now.
func (t *turnstile) places() chan struct{} {
	if t.overloaded != nil && t.overloaded() {
		return t.narrow
	}
	return t.wide
}

// Listener puts the connections of a listener behind the server's turnstile. The
// http.Server has to have [ConnContext] as well.
func (s *Server) Listener(l net.Listener) net.Listener { return &turnstileListener{l, s.turnstile} }

type turnstileListener struct {
	net.Listener
	turnstile *turnstile
}

// Accept implements net.Listener.
func (l *turnstileListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &turnstileConn{Conn: conn, turnstile: l.turnstile}, nil
}

// turnstileConn is a connection behind the turnstile. One goroutine may write while
// another waits to read.
type turnstileConn struct {
	net.Conn
	turnstile *turnstile

	mu    sync.Mutex
	place chan struct{} // that it has one of, or nil
	ended bool
}

// watchBytes is how much net/http reads at once while a handler is at work, to see
// whether the client is still there.
const watchBytes = 1

// Read implements net.Conn. With something to read it waits for a place; but not with
// what only shows that the client is still there. Nothing is computed then, and a
// client that sends on and reads no answer would keep the place until the write timeout.
func (c *turnstileConn) Read(p []byte) (int, error) {
	c.leave()
	n, err := c.Conn.Read(p)
	if n > 0 && len(p) > watchBytes {
		c.enter()
	}
	return n, err
}

// Write implements net.Conn.
func (c *turnstileConn) Write(p []byte) (int, error) {
	c.leave()
	return c.Conn.Write(p)
}

// Close implements net.Conn.
func (c *turnstileConn) Close() error {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.leave()
	return c.Conn.Close()
}

// NetConn is the connection behind the turnstile.
func (c *turnstileConn) NetConn() net.Conn { return c.Conn }

func (c *turnstileConn) enter() {
	place := c.turnstile.places()
	place <- struct{}{}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.place != nil || c.ended {
		<-place
		return
	}
	c.place = place
}

func (c *turnstileConn) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.place != nil {
		<-c.place
		c.place = nil
	}
}

// connKey finds the connection in a request's context.
type connKey struct{}

// ConnContext is for the field of the same name of an http.Server.
func ConnContext(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// letIn gives up the place of a request that is not turned away.
func letIn(ctx context.Context) {
	if conn, ok := ctx.Value(connKey{}).(*turnstileConn); ok {
		conn.leave()
	}
}
