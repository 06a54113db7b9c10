package proof

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// wireTimeout is how long an intruder waits for an answer: long, for it is no fault of
// the server when the machine is busy.
const wireTimeout = 60 * time.Second

// shownBytes is how much of a request or an answer a violation shows.
const shownBytes = 300

// wireRequest is one to be written to a connection byte by byte: an intruder's need not be
// what an HTTP library would let pass.
type wireRequest struct {
	method, target string
	// headers are lines, without their end.
	headers []string
	body    []byte // nil for none
	// marks are parts of what it sends that an error must not repeat.
	marks []string
	// challenge is what a 401 has to ask for; empty for an access token.
	challenge string
	// wild says that it may be no HTTP: then the edge may refuse it in words of its own,
	// or hang up.
	wild bool
}

// with adds header lines.
func (r wireRequest) with(headers ...string) wireRequest {
	r.headers = append(append([]string(nil), r.headers...), headers...)
	return r
}

// by adds an access token.
func (r wireRequest) by(token string) wireRequest { return r.with("Authorization: Bearer " + token) }

func (r wireRequest) String() string {
	return shorten(r.method + " " + r.target + " " + string(r.body))
}

// bytes is what goes over the wire.
func (r wireRequest) bytes() []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.method, r.target, "cards.example.com")
	for _, line := range r.headers {
		out.WriteString(line + "\r\n")
	}
	if r.body != nil {
		out.WriteString("Content-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(r.body)) + "\r\n")
	}
	out.WriteString("\r\n")
	out.Write(r.body)
	return out.Bytes()
}

// wire is one connection at a time to a server. One goroutine may use it.
type wire struct {
	addr   string
	conn   net.Conn
	reader *bufio.Reader
}

func (w *wire) close() {
	if w.conn != nil {
		_ = w.conn.Close() // whatever was worth it has been read
		w.conn = nil
	}
}

// send sends a request once and reads the answer.
func (w *wire) send(ctx context.Context, r wireRequest) (answer, error) {
	if w.conn == nil {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", w.addr)
		if err != nil {
			return answer{}, err
		}
		w.conn, w.reader = conn, bufio.NewReader(conn)
	}
	if err := w.conn.SetDeadline(time.Now().Add(wireTimeout)); err != nil {
		return answer{}, err
	}
	_, sendErr := w.conn.Write(r.bytes())
	got, err := http.ReadResponse(w.reader, &http.Request{Method: r.method}) // refused early, or late
	if err != nil {
		w.close()
		return answer{}, errors.Join(sendErr, err)
	}
	content, err := io.ReadAll(io.LimitReader(got.Body, maxAnswerBytes))
	err = errors.Join(err, got.Body.Close())
	if got.Close || sendErr != nil || err != nil {
		w.close()
	}
	return answer{status: got.StatusCode, header: got.Header, body: content}, err
}

// wire makes a connection to one of the servers.
func (i *intruder) wire(server int) *wire { return &wire{addr: i.servers[server].addr} }

// ask sends a request and looks at the answer with the eyes that every answer deserves.
func (i *intruder) ask(ctx context.Context, w *wire, r wireRequest) (answer, error) {
	i.asked.Add(1)
	got, err := w.send(ctx, r)
	if err != nil && r.wild && ctx.Err() == nil {
		return answer{}, nil // it hung up
	}
	if err != nil {
		return got, fmt.Errorf("%s %s: %w", r.method, shorten(r.target), err)
	}
	i.secrets.learn(got)
	i.examine(r, got)
	return got, nil
}

// must asks for something that has to be granted, and reads the answer.
func (i *intruder) must(ctx context.Context, w *wire, r wireRequest) (answer, error) {
	got, err := i.ask(ctx, w, r)
	if err == nil && !got.granted() {
		err = fmt.Errorf("%s: %d %s", r, got.status, shorten(string(got.body)))
	}
	return got, err
}

// examine checks what holds for all answers.
func (i *intruder) examine(r wireRequest, got answer) {
	if r.wild && got.fromEdge() {
		return
	}
	wrong := func(what string) {
		i.violate("%s: %s: %d %v %s", r, what, got.status, got.header, shorten(string(got.body)))
	}
	if got.status >= http.StatusInternalServerError {
		wrong("a request upsets the server")
	}
	contentType := "application/json"
	if got.status == http.StatusNoContent {
		contentType = ""
	}
	for name, want := range map[string]string{
		"Content-Type": contentType, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
		"Server": "", "X-Powered-By": "",
	} {
		if values := got.header.Values(name); strings.Join(values, ", ") != want {
			wrong("the header " + name)
		}
	}
	if got.granted() {
		return
	}
	switch code := got.code(); {
	case code == "":
		wrong("an error without a code")
	case code == "rate_limited" && !i.limited.Load() && r.challenge == "": // wrong secrets are limited always
		wrong("a rate is limited that nobody has limited")
	case got.status == http.StatusUnauthorized && got.header.Get("WWW-Authenticate") != cmp.Or(r.challenge, "Bearer"):
		wrong("401 without WWW-Authenticate")
	case got.status == http.StatusTooManyRequests && got.retryAfter() < 1:
		wrong("429 without Retry-After")
	}
	for _, mark := range r.marks {
		if strings.Contains(string(got.body), mark) || strings.Contains(fmt.Sprint(got.header), mark) {
			wrong("an error repeats what a client sent")
		}
	}
}

// granted tells whether what was asked for was done.
func (a answer) granted() bool {
	return a.status == http.StatusOK || a.status == http.StatusNoContent && len(a.body) == 0
}

// fromEdge tells whether net/http has refused what it could not read as a request, or did
// not want to expect.
func (a answer) fromEdge() bool {
	if a.status == http.StatusExpectationFailed {
		return len(a.body) == 0
	}
	return a.status >= 400 && strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") &&
		strings.HasPrefix(string(a.body), strconv.Itoa(a.status))
}

// retryAfter is in seconds, 0 where the header is missing or none.
func (a answer) retryAfter() int {
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	if err != nil {
		return 0
	}
	return seconds
}

func shorten(text string) string {
	if len(text) > shownBytes {
		return text[:shownBytes] + "…"
	}
	return text
}
