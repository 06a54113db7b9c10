// Package client is the Go client of the Wallet / Cards API for people who write shops and tills. It sends a request
// again when its answer was lost or the server was busy, chooses a ref_id that stays the same meanwhile, turns refusals
// into errors that can be told apart, walks through pages, and checks the signatures of webhooks.
//
// Non-goals: it caches nothing, issues no access tokens, and hides no rule of the API. Whoever wants the bare requests
// finds them in gen/client, on which it stands.
//
// The surprising decision: calls that have no ref_id, such as the creation of a card, are repeated as well. Their second
// try can be refused because the first has done the work; [Error.Uncertain] then says that this may be so.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	api "github.com/kortwallet/kort/gen/client"
)

// Config says where the server is and who is asking.
type Config struct {
	// URL is the address of the server, without /v1, such as https://cards.example.com.
	URL string
	// Account is the account that all calls are about: P (live) or T (test) and eight digits.
	Account string
	// Token gives the access token for a request; it is asked before each try. See [StaticToken].
	Token func(ctx context.Context) (string, error)

	// HTTP sends the requests. Nil: a client whose tries end after 65 seconds and that follows no redirects.
	HTTP *http.Client
	// MaxTries is how often a request is sent at most, the first time included. 0: 6.
	MaxTries int
	// MaxWait is the longest wait before a try; a server that asks for a longer one gets no further try. 0: 30 seconds.
	MaxWait time.Duration
}

// Defaults of a Config.
const (
	defaultMaxTries = 6
	defaultMaxWait  = 30 * time.Second
	// defaultTimeout of one try is a little more than a server takes at most.
	defaultTimeout = 65 * time.Second
)

// Client calls the API for one account. It is safe for concurrent use.
type Client struct {
	api     *api.Client
	account string
}

var accountPattern = regexp.MustCompile(`^[PT][0-9]{8}$`)

// New makes a client. It sends nothing yet; an error says which field of the Config is wrong.
func New(c Config) (*Client, error) {
	address, err := url.Parse(c.URL)
	if err != nil || address.Scheme != "http" && address.Scheme != "https" || address.Host == "" || address.RawQuery != "" {
		return nil, errors.New("client: URL must be an http or https address, such as https://cards.example.com")
	}
	if !accountPattern.MatchString(c.Account) {
		return nil, errors.New("client: Account must be P or T and eight digits, such as T12345678")
	}
	if c.Token == nil {
		return nil, errors.New("client: Token is missing")
	}
	if c.MaxTries < 0 || c.MaxWait < 0 {
		return nil, errors.New("client: MaxTries and MaxWait must not be negative")
	}
	r := &repeater{http: c.HTTP, token: c.Token, maxTries: c.MaxTries, maxWait: c.MaxWait}
	if r.http == nil {
		r.http = &http.Client{Timeout: defaultTimeout, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}}
	}
	if r.maxTries == 0 {
		r.maxTries = defaultMaxTries
	}
	if r.maxWait == 0 {
		r.maxWait = defaultMaxWait
	}
	made, err := api.NewClient(strings.TrimRight(c.URL, "/")+"/v1", api.WithHTTPClient(r))
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return &Client{api: made, account: c.Account}, nil
}

// StaticToken is for a [Config] whose access token is always the same.
func StaticToken(token string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return token, nil }
}

// call sends a request and reads its answer. The ref_id is for the errors.
func call[A any](ctx context.Context, refID string, send func(context.Context) (*http.Response, error)) (*A, error) {
	var kept history
	response, err := send(context.WithValue(ctx, historyKey{}, &kept))
	if err != nil {
		return nil, &NoAnswerError{RefID: refID, Sent: kept.sent, Err: err}
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errorOf(response, refID, kept.uncertain)
	}
	answer := new(A)
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		return nil, &NoAnswerError{RefID: refID, Sent: true, Err: fmt.Errorf("read the answer: %w", err)}
	}
	return answer, nil
}
