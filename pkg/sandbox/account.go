package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	cards "github.com/kortwallet/kort/gen/api"
	api "github.com/kortwallet/kort/gen/sandbox"
)

// account is what a sandbox knows of a test account besides its clock.
type account struct {
	// use is held by each request in the account, and exclusively by what changes the account as a whole.
	use sync.RWMutex

	mu     sync.Mutex
	faults []*fault
	log    requestLog
	inbox  []api.ReceivedEvent // oldest first
}

// account finds or makes the state of an account.
func (c *Control) account(number string) *account {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.accounts[number]
	if a == nil {
		a = &account{}
		c.accounts[number] = a
	}
	return a
}

// forget ends all faults and empties the log and the inbox.
func (a *account) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults, a.log, a.inbox = nil, requestLog{}, nil
}

// serveAccount has the cards API answer a request in an account, or lets it go wrong, and logs what became of it.
func (c *Control) serveAccount(w http.ResponseWriter, r *http.Request, number string) {
	a, began := c.account(number), time.Now()
	entry := api.LoggedRequest{
		At: c.c.Clocks.Now(number).Time(), Method: r.Method, Path: r.URL.EscapedPath(), Answered: true,
		Operation: some(c.operations.find(r.Method, r.URL.EscapedPath())), RefID: refIDOf(r),
	}
	entry.Fault = a.strike(entry.Operation)
	end := func() {
		entry.DurationMs = float32(time.Since(began).Microseconds()) / 1000
		a.record(entry)
	}
	fault := given(entry.Fault)
	if !wait(r.Context(), time.Duration(given(fault.LatencyMs))*time.Millisecond) || given(fault.Connection) == api.ConnectionFaultReset {
		entry.Answered = false
		end()
		resetConnection(w)
	}
	answer := c.answer(a, r, cards.ErrorCode(given(fault.Code)))
	entry.Status, entry.Code = &answer.status, answer.code()
	if answer.header.Get("Idempotency-Replayed") == "true" {
		entry.Replayed = new(true)
	}
	entry.Answered = given(fault.Connection) != api.ConnectionFaultLostAnswer
	end()
	if !entry.Answered {
		panic(http.ErrAbortHandler) // how net/http is told to close a connection and say nothing
	}
	if err := answer.send(w); err != nil {
		c.c.Log.Warn("answer not sent", "error", err)
	}
}

// answer has a request answered, with an error code if there is one. The request is carried out to its end whatever its
// client does, so that nothing of it is still to come once the account is let go.
func (c *Control) answer(a *account, r *http.Request, code cards.ErrorCode) *heldAnswer {
	answer := newHeldAnswer()
	a.use.RLock()
	defer a.use.RUnlock()
	r = r.WithContext(context.WithoutCancel(r.Context()))
	if code != "" {
		c.c.API.Fail(answer, r, code) //nolint:contextcheck // it is in the request
	} else {
		c.c.API.ServeHTTP(answer, r)
	}
	return answer
}

// wait tells whether the client was still there at the end.
func wait(ctx context.Context, latency time.Duration) bool {
	if latency == 0 {
		return true
	}
	select {
	case <-time.After(latency):
		return true
	case <-ctx.Done():
		return false
	}
}

// resetConnection ends a request with a reset of its connection, and the handler with it.
func resetConnection(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		defer func() { _ = conn.Close() }() // it is to fail for the client, and may for us
		for {
			inner, wraps := conn.(interface{ NetConn() net.Conn })
			if !wraps {
				break
			}
			conn = inner.NetConn()
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // if it fails, the connection is closed without a reset
		}
	}
	panic(http.ErrAbortHandler)
}

// maxSeenBody is how much of a body is read in search of a ref_id: what the cards API takes, except for a batch, which has none.
const maxSeenBody = 1 << 20

// refIDOf reads the ref_id in the body of a request, which stays as it is.
func refIDOf(r *http.Request) *string {
	if r.Method != http.MethodPost || r.Body == nil {
		return nil
	}
	seen, err := io.ReadAll(io.LimitReader(r.Body, maxSeenBody))
	r.Body = readCloser{io.MultiReader(bytes.NewReader(seen), failing{err}, r.Body), r.Body}
	var body struct {
		RefID *string `json:"ref_id"`
	}
	if json.Unmarshal(seen, &body) != nil {
		return nil // the cards API says what is wrong with it
	}
	return body.RefID
}

type readCloser struct {
	io.Reader
	io.Closer
}

// failing is a reader at whose place reading failed before, unless its error is nil.
type failing struct{ err error }

// Read implements io.Reader.
func (f failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}

// heldAnswer keeps an answer until it is known what is to become of it.
type heldAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newHeldAnswer() *heldAnswer { return &heldAnswer{header: http.Header{}} }

// Header implements http.ResponseWriter.
func (h *heldAnswer) Header() http.Header { return h.header }

// WriteHeader implements http.ResponseWriter.
func (h *heldAnswer) WriteHeader(status int) {
	if h.status == 0 {
		h.status = status
	}
}

// Write implements http.ResponseWriter.
func (h *heldAnswer) Write(part []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	return h.body.Write(part)
}

// send passes the answer on.
func (h *heldAnswer) send(w http.ResponseWriter) error {
	for name, values := range h.header {
		w.Header()[name] = values
	}
	w.WriteHeader(h.status)
	_, err := w.Write(h.body.Bytes())
	if errors.Is(err, http.ErrBodyNotAllowed) {
		err = nil // the answer to a HEAD
	}
	return err
}

// code is the error code of the answer.
func (h *heldAnswer) code() *string {
	var failed cards.Error
	if h.status < http.StatusBadRequest || json.Unmarshal(h.body.Bytes(), &failed) != nil {
		return nil
	}
	return some(string(failed.Error.Code))
}

// failure says why the cards API refused something.
func (h *heldAnswer) failure() error {
	if h.status == http.StatusOK {
		return nil
	}
	var failed cards.Error
	if err := json.Unmarshal(h.body.Bytes(), &failed); err != nil {
		return fmt.Errorf("an answer that is no error of the contract: %w", err)
	}
	said := string(failed.Error.Code) + ": " + failed.Error.Message
	for _, item := range given(failed.Error.Errors) {
		said += " " + item.Pointer + " " + item.Reason
	}
	return errors.New(said)
}

// given is the value that is pointed to, or the zero value.
func given[T any](value *T) T {
	if value == nil {
		return *new(T)
	}
	return *value
}

// some points to a value unless it is the zero value.
func some[T comparable](value T) *T {
	if value == *new(T) {
		return nil
	}
	return &value
}
