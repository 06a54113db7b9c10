package proof

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// receiver is where the subscriptions of all accounts have their events sent: to this
// machine, and to somebody who is quick. Each account has a path of its own, and what
// comes there has to be about it. All is written to a file of the site, which is searched
// for secrets like the others.
type receiver struct {
	server   *http.Server
	listener net.Listener
	violate  func(format string, args ...any)
	mu       sync.Mutex
	file     *os.File
	events   int
	failure  error // the first one
}

func newReceiver(ctx context.Context, t *trial, s *site) (*receiver, error) {
	file, err := os.OpenFile(filepath.Join(s.dir, "deliveries.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the file for deliveries: %w", err)
	}
	listener, err := listenLocally(ctx)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	r := &receiver{listener: listener, violate: t.violate, file: file}
	r.server = &http.Server{ReadHeaderTimeout: answerTimeout, Handler: r}
	go func() { _ = r.server.Serve(listener) }() // it ends when it is closed
	return r, nil
}

func (r *receiver) url() string { return "http://" + r.listener.Addr().String() }

// ServeHTTP takes a delivery.
func (r *receiver) ServeHTTP(_ http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(io.LimitReader(request.Body, maxAnswerBytes))
	var event struct {
		Account string `json:"account_id"`
	}
	if err == nil {
		err = json.Unmarshal(body, &event)
	}
	if owner := strings.TrimPrefix(request.URL.Path, "/"); err == nil && event.Account != owner {
		r.violate("an event of %s was sent to a subscription of %s: %s", event.Account, owner, shorten(string(body)))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		_, err = r.file.Write(append(body, '\n'))
	}
	r.events++
	if r.failure == nil {
		r.failure = err
	}
}

// received counts the deliveries. An error means that one of them could not be looked at.
func (r *receiver) received() (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events, r.failure
}

func (r *receiver) close() error { return errors.Join(r.server.Close(), r.file.Close()) }

// listenLocally listens where nobody from another machine gets to.
func listenLocally(ctx context.Context) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for visitors: %w", err)
	}
	return listener, nil
}
