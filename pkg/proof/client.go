package proof

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	// answerTimeout is how long a client waits for an answer before it asks again.
	answerTimeout = 5 * time.Second
	// maxAnswerBytes bounds an answer.
	maxAnswerBytes = 64 << 20
)

// answer is what a client was told.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// code is that of an error.
func (a answer) code() string {
	var body struct {
		Error struct{ Code string }
	}
	if json.Unmarshal(a.body, &body) != nil {
		return ""
	}
	return body.Error.Code
}

// client sends requests to one address, on connections of its own.
type client struct {
	base  string // with the account and "/wallets"
	token string
	http  *http.Client
}

// newClient makes one for the account of all loads.
func newClient(url, token string) *client {
	return &client{
		base: url + "/v1/accounts/" + account + "/wallets", token: token,
		http: &http.Client{
			Timeout: answerTimeout,
			Transport: &http.Transport{
				DialContext: (&net.Dialer{Timeout: answerTimeout}).DialContext, MaxIdleConnsPerHost: 1,
			},
		},
	}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// settled is how long a server may answer 503 after what disturbed it is over.
const settled = 10 * time.Second

// ask sends a request to a server that nothing disturbs any more, again while it answers
// 503.
func (c *client) ask(ctx context.Context, method, path string, body []byte) (answer, error) {
	for begun := time.Now(); ; {
		got, err := c.send(ctx, method, path, body)
		if err != nil || got.status != http.StatusServiceUnavailable || time.Since(begun) > settled {
			return got, err
		}
		if err := pause(ctx, askAgain); err != nil {
			return answer{}, err
		}
	}
}

// send sends a request once.
func (c *client) send(ctx context.Context, method, path string, body []byte) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("make a request: %w", err)
	}
	request.GetBody = nil // or the library would send it again by itself, unseen
	request.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	got, err := c.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	content, err := io.ReadAll(io.LimitReader(got.Body, maxAnswerBytes))
	if closeErr := got.Body.Close(); err == nil {
		err = closeErr
	}
	return answer{status: got.StatusCode, header: got.Header, body: content}, err
}
