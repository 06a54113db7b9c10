package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

const (
	// firstWait is the longest wait before the second try, where the server asks for none; it doubles with each try.
	firstWait = 200 * time.Millisecond
	// maxAnswerBytes bounds an answer: the history of a card comes in one piece.
	maxAnswerBytes = 1 << 30
	// spread is by how much of it a wait that the server asks for is drawn out, so that not all come back at once.
	spread = 0.25
)

// historyKey finds the history of a call in its context.
type historyKey struct{}

// history is what became of the tries of one call.
type history struct {
	sent bool // at least one try may have reached the server
	// uncertain tells that a try before the last may have done its work, although its answer does not say so.
	uncertain bool
}

// repeater sends requests, and sends them again while that can help.
type repeater struct {
	http     *http.Client
	token    func(context.Context) (string, error)
	maxTries int
	maxWait  time.Duration
}

// Do implements what the generated client sends requests with. The answer's body is in memory.
func (r *repeater) Do(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	kept, _ := ctx.Value(historyKey{}).(*history)
	if kept == nil {
		kept = &history{}
	}
	for try := 1; ; try++ {
		response, err := r.once(request, kept)
		if errors.Is(err, errToken) {
			return nil, err
		}
		again, wait := r.again(response, err, try)
		if !again || ctx.Err() != nil {
			return response, err
		}
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
		if err != nil || response.StatusCode >= http.StatusInternalServerError {
			kept.uncertain = true
		}
	}
}

var errToken = errors.New("get an access token")

// once sends a request and reads the whole answer: one that is cut off is as good as none.
func (r *repeater) once(request *http.Request, kept *history) (*http.Response, error) {
	ctx := request.Context()
	token, err := r.token(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errToken, err)
	}
	try := request.Clone(ctx)
	if request.GetBody != nil {
		if try.Body, err = request.GetBody(); err != nil {
			return nil, err
		}
	}
	try.Header.Set("Authorization", "Bearer "+token)
	try.Header.Set("Accept", "application/json")
	kept.sent = true
	response, err := r.http.Do(try) //nolint:gosec // to the address that the caller has chosen
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(http.MaxBytesReader(nil, response.Body, maxAnswerBytes))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// again decides whether and when to send a request once more. A locked PIN is not waited for, since somebody has to
// look into that; nor is a server that wants more patience than the Config has.
func (r *repeater) again(response *http.Response, err error, try int) (bool, time.Duration) {
	if try >= r.maxTries {
		return false, 0
	}
	backoff := min(r.maxWait, firstWait<<min(try-1, 10)) //nolint:mnd // 2^10 is beyond any maxWait; more would overflow
	wait := rand.N(backoff) + 1                          //nolint:gosec // nobody gains by guessing it
	if err != nil {
		return true, wait
	}
	switch response.StatusCode {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	case http.StatusTooManyRequests:
		if peek(response).Error.Code == string(PINLocked) {
			return false, 0
		}
	default:
		return false, 0
	}
	if asked := retryAfter(response); asked > 0 {
		wait = asked + rand.N(time.Duration(float64(asked)*spread)+1) //nolint:gosec // as above
		return asked <= r.maxWait, wait
	}
	return true, wait
}

// retryAfter is how long the server asks to wait, or 0. Kort says it in seconds.
func retryAfter(response *http.Response) time.Duration {
	seconds, err := strconv.ParseUint(response.Header.Get("Retry-After"), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second //nolint:gosec // at most 2^31
}

// pause waits, unless the context ends first.
func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
