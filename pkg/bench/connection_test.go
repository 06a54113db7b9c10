package bench

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestReadAnswer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, answer, body string
		status             int
		err                error
	}{
		{name: "a length", answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", status: 200, body: "{}"},
		{name: "no body", answer: "HTTP/1.1 204 No Content\r\ncontent-length:0\r\n\r\n", status: 204},
		{name: "no reason", answer: "HTTP/1.1 503\r\nContent-Length: 2\r\n\r\n{}", status: 503, body: "{}"},
		{name: "bare line feeds", answer: "HTTP/1.1 200 OK\nContent-Length: 2\n\n{}", status: 200, body: "{}"},
		{name: "an interim answer", answer: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1", status: 200, body: "1"},
		{
			name: "chunks", status: 200, body: "hello, world",
			answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nX-Trailer: 1\r\n\r\n",
		},
		{name: "another protocol", answer: "SMTP/1.1 200 OK\r\n\r\n", err: errNotHTTP},
		{name: "an old version", answer: "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", err: errNotHTTP},
		{name: "a status of four digits", answer: "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", err: errNotHTTP},
		{name: "neither length nor chunks", answer: "HTTP/1.1 200 OK\r\n\r\n{}", err: errNoLength},
		{name: "a negative length", answer: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", err: errNoLength},
		{name: "a huge length", answer: "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n", err: errTooLong},
		{name: "the last answer", answer: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", err: errClosing},
		{name: "nothing", err: io.ErrUnexpectedEOF},
		{name: "a header that ends early", answer: "HTTP/1.1 200 OK\r\nContent-Le", err: io.ErrUnexpectedEOF},
		{name: "a body that ends early", answer: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", err: io.ErrUnexpectedEOF},
		{name: "a missing body", answer: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", err: io.ErrUnexpectedEOF},
		{name: "a chunk with a wrong size", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", err: errNoLength},
		{name: "a chunk that is too long", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", err: errNotHTTP},
		{name: "chunks without end", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", err: io.ErrUnexpectedEOF},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			const next = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
			answer := test.answer
			if test.err == nil {
				answer += next
			}
			in := bufio.NewReader(strings.NewReader(answer))
			status, body, err := readAnswer(in, nil)
			if !errors.Is(err, test.err) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if err != nil {
				return
			}
			if status != test.status || string(body) != test.body {
				t.Errorf("got %d %q, want %d %q", status, body, test.status, test.body)
			}
			if status, _, err := readAnswer(in, nil); status != 201 || err != nil {
				t.Errorf("the next answer is %d, %v: bytes were left over or taken away", status, err)
			}
		})
	}
}
