package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	hooksapi "github.com/kortwallet/kort/gen/hooks"
	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/config"
	"github.com/kortwallet/kort/pkg/conformance"
	"github.com/kortwallet/kort/pkg/hooks"
)

const (
	// hookCallTimeout bounds a request to the server, and one that is passed on.
	hookCallTimeout = 30 * time.Second
	// maxEventBytes is more than any event has.
	maxEventBytes = 1 << 20
)

// hooksCmd is `kort hooks`.
type hooksCmd struct {
	Listen hooksListenCmd `cmd:"" help:"Subscribe to events and print each as a line."`
}

// hooksListenCmd is `kort hooks listen`.
type hooksListenCmd struct {
	config.HooksListen
}

// Help is the long help.
func (hooksListenCmd) Help() string {
	return `Until it is interrupted. It receives on this machine, so it works with a server that may send here: serve --dev, sandbox, or one with --hook-http and --hook-private. The signatures of each event are checked. At the end the subscription is removed.`
}

var errNoAccount = errors.New("the token names no account: give one with --account")

// Run prints events until the context ends.
func (c *hooksListenCmd) Run(ctx context.Context, term *terminal) (err error) {
	account := c.Account
	if account == "" {
		account = conformance.AccountOf(c.Token.Reveal())
	}
	if account == "" {
		return errNoAccount
	}
	l := &eventListener{term: term, forward: c.Forward, client: &http.Client{
		Timeout: hookCallTimeout, Transport: &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if l.secret, err = hooks.NewSecret(); err != nil {
		return err
	}
	receiver, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Addr)
	if err != nil {
		return fmt.Errorf("--addr: %w", err)
	}
	web := &http.Server{Handler: l, ReadHeaderTimeout: hookCallTimeout}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(receiver) }()
	defer func() { err = errors.Join(err, web.Close()) }()

	base := strings.TrimRight(c.URL, "/") + "/v1/accounts/" + account + "/hooks/subscriptions"
	id, err := l.subscribe(ctx, base, c.Token, "http://"+receiverHost(c.Addr, receiver), c.Events)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	term.notef("listening to the events of %s; stop with Ctrl-C", account)
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), hookCallTimeout)
	defer cancel()
	if _, removed := l.call(end, http.MethodDelete, base+"/"+id, c.Token, nil); removed != nil {
		err = errors.Join(err, fmt.Errorf("remove the subscription %s: %w", id, removed))
	}
	return err
}

// receiverHost is what the server is to call: the host that was asked for, with the port
// that it got.
func receiverHost(addr string, receiver net.Listener) string {
	host, _, _ := net.SplitHostPort(addr) // it was checked
	_, port, _ := net.SplitHostPort(receiver.Addr().String())
	return net.JoinHostPort(host, port)
}

// eventListener receives events.
type eventListener struct {
	client  *http.Client
	secret  cardcode.Secret
	forward string

	mu   sync.Mutex // a line at a time
	term *terminal
}

// subscribe returns the id of the new subscription.
func (l *eventListener) subscribe(ctx context.Context, base string, token config.Secret, url string, events []string) (string, error) {
	secret := l.secret.Reveal()
	wish := hooksapi.SubscriptionCreate{Config: hooksapi.ConfigCreate{URL: url, Secret: &secret}}
	for _, event := range events {
		wish.Events = append(wish.Events, hooksapi.EventName(event))
	}
	body, err := json.Marshal(wish)
	if err != nil {
		return "", err
	}
	answer, err := l.call(ctx, http.MethodPost, base, token, body)
	if err != nil {
		return "", err
	}
	var made hooksapi.Subscription
	if err := json.Unmarshal(answer, &made); err != nil {
		return "", errors.New("the answer is no subscription")
	}
	return made.ID.String(), nil
}

// call asks the server for something.
func (l *eventListener) call(ctx context.Context, method, url string, token config.Secret, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token.Reveal())
	r.Header.Set("Content-Type", "application/json")
	status, answer, err := l.send(r)
	if err != nil {
		return nil, err
	}
	if status >= http.StatusMultipleChoices {
		var failed hooksapi.Error
		if json.Unmarshal(answer, &failed) != nil || failed.Error.Code == "" {
			return nil, fmt.Errorf("the server answers %d", status)
		}
		said := string(failed.Error.Code) + ": " + failed.Error.Message
		if failed.Error.Errors != nil {
			for _, item := range *failed.Error.Errors {
				said += " " + item.Pointer + " " + item.Reason + "."
			}
		}
		return nil, errors.New(said)
	}
	return answer, nil
}

func (l *eventListener) send(r *http.Request) (status int, answer []byte, err error) {
	response, err := l.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(response.Body, maxEventBytes))
	return response.StatusCode, answer, err
}

// ServeHTTP receives an event: it is checked, passed on if it is to be, and printed.
func (l *eventListener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEventBytes))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if !hooks.Verify(r.Header, body, l.secret) {
		l.say("kort: a request with wrong signatures was refused", nil)
		w.WriteHeader(http.StatusForbidden)
		return
	}
	status, problem := http.StatusNoContent, ""
	if l.forward != "" {
		if status, err = l.passOn(r, body); err != nil {
			status, problem = http.StatusBadGateway, "kort: not passed on: "+err.Error()
		}
	}
	l.say(problem, body)
	w.WriteHeader(status)
}

func (l *eventListener) passOn(received *http.Request, body []byte) (int, error) {
	r, err := http.NewRequestWithContext(received.Context(), http.MethodPost, l.forward, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	for name, values := range received.Header {
		if name == "Content-Type" || strings.HasPrefix(name, "Event") || strings.HasPrefix(name, "Webhook-") {
			r.Header[name] = values
		}
	}
	status, _, err := l.send(r)
	return status, err
}

// say prints a problem, if there is one, and an event, if there is one.
func (l *eventListener) say(problem string, event []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if problem != "" {
		l.term.notef("%s", problem)
	}
	if event != nil {
		l.term.printf("%s\n", event)
	}
}
