package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"time"
)

const (
	// readBufferBytes holds a whole answer, and every line of its header.
	readBufferBytes = 16 << 10
	// maxAnswerBytes bounds the body of an answer; only a long history comes near.
	maxAnswerBytes = 256 << 20
)

// connection speaks HTTP/1.1 over one kept-open connection. The standard client
// costs more than the server it would measure; this one sends prepared bytes and
// reads what it needs from the answer.
type connection struct {
	conn   net.Conn
	in     *bufio.Reader
	answer []byte // of the last exchange

	firstByte  time.Duration // from the last request until something of its answer came
	retryAfter bool          // tells whether that answer says when to try again
}

// dial opens a connection.
func dial(ctx context.Context, addr string) (*connection, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect to the server: %w", err)
	}
	return &connection{conn: conn, in: bufio.NewReaderSize(conn, readBufferBytes)}, nil
}

// exchange sends a request and reads the answer to its end. The body is valid until
// the next exchange.
func (c *connection) exchange(request []byte) (status int, body []byte, err error) {
	start := time.Now()
	if _, err := c.conn.Write(request); err != nil {
		return 0, nil, fmt.Errorf("send a request: %w", err)
	}
	if _, err := c.in.Peek(1); err == nil { // else reading says so
		c.firstByte = time.Since(start)
	}
	status, h, err := readHead(c.in)
	if err == nil {
		c.retryAfter = h.retryAfter
		c.answer, err = readBody(c.in, h, c.answer[:0])
	}
	if err != nil {
		return 0, nil, fmt.Errorf("read an answer: %w", err)
	}
	return status, c.answer, nil
}

// What an answer can have that a kept-open connection cannot go on after.
var (
	errNotHTTP  = errors.New("it is not HTTP/1.1")
	errNoLength = errors.New("it has no length")
	errTooLong  = errors.New("it is too long")
	errClosing  = errors.New("the server closes the connection")
)

// header is what matters in the header of an answer.
type header struct {
	length     int64 // -1 where none is given
	chunked    bool
	closing    bool
	retryAfter bool // is given
}

// readAnswer reads one answer and appends its body.
func readAnswer(in *bufio.Reader, body []byte) (status int, _ []byte, err error) {
	status, h, err := readHead(in)
	if err != nil {
		return 0, body, err
	}
	body, err = readBody(in, h, body)
	return status, body, err
}

// readHead reads what comes before the body. Interim answers are skipped.
func readHead(in *bufio.Reader) (status int, h header, err error) {
	const firstFinal = 200 // 1xx are interim
	for status < firstFinal {
		if status, err = readStatus(in); err != nil {
			return 0, h, err
		}
		if h, err = readHeader(in); err != nil {
			return 0, h, err
		}
	}
	if h.closing {
		return 0, h, errClosing
	}
	return status, h, nil
}

// readBody appends the body.
func readBody(in *bufio.Reader, h header, body []byte) ([]byte, error) {
	switch {
	case h.chunked:
		return readChunks(in, body)
	case h.length < 0:
		return body, errNoLength
	default:
		return readBytes(in, body, h.length)
	}
}

// readLine reads a line without its end. It is valid until the next read.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // also before an answer: a request waits for it
	}
	return bytes.TrimRight(line, "\r\n"), err
}

func readStatus(in *bufio.Reader) (int, error) {
	line, err := readLine(in)
	if err != nil {
		return 0, err
	}
	version, rest, _ := bytes.Cut(line, []byte(" "))
	code, _, _ := bytes.Cut(rest, []byte(" "))
	status, err := strconv.Atoi(string(code))
	if err != nil || len(code) != 3 || string(version) != "HTTP/1.1" {
		return 0, errNotHTTP
	}
	return status, nil
}

func readHeader(in *bufio.Reader) (header, error) {
	h := header{length: -1}
	for {
		line, err := readLine(in)
		if err != nil || len(line) == 0 {
			return h, err
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case is(name, "Content-Length"):
			if h.length, err = parseLength(value, 10); err != nil {
				return h, err
			}
		case is(name, "Transfer-Encoding"):
			h.chunked = is(value, "chunked")
		case is(name, "Retry-After"):
			h.retryAfter = len(value) > 0
		case is(name, "Connection"):
			h.closing = is(value, "close")
		}
	}
}

// is compares a name without regard to case.
func is(text []byte, name string) bool { return bytes.EqualFold(text, []byte(name)) }

func parseLength(text []byte, base int) (int64, error) {
	length, err := strconv.ParseUint(string(text), base, 63)
	if err != nil {
		return 0, errNoLength
	}
	return int64(length), nil //nolint:gosec // has 63 bits
}

// readBytes appends so many bytes of the body.
func readBytes(in *bufio.Reader, body []byte, n int64) ([]byte, error) {
	start := int64(len(body))
	if n > maxAnswerBytes-start {
		return body, errTooLong
	}
	body = slices.Grow(body, int(n))
	body = body[:start+n]
	_, err := io.ReadFull(in, body[start:])
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return body, err
}

// readChunks appends a chunked body and reads its trailer.
func readChunks(in *bufio.Reader, body []byte) ([]byte, error) {
	for {
		line, err := readLine(in)
		if err != nil {
			return body, err
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		length, err := parseLength(bytes.TrimSpace(size), 16)
		if err != nil {
			return body, err
		}
		if length == 0 {
			_, err := readHeader(in)
			return body, err
		}
		if body, err = readBytes(in, body, length); err != nil {
			return body, err
		}
		if end, err := readLine(in); err != nil || len(end) > 0 {
			return body, errors.Join(err, errNotHTTP)
		}
	}
}
