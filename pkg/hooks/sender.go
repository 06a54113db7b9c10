package hooks

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

const (
	// maxResponse is how much is kept of an answer, in bytes.
	maxResponse = 4 << 10
	// maxResponseHeader bounds the header of an answer.
	maxResponseHeader = 64 << 10
	// Parts of the time of an attempt.
	connectTimeout = 10 * time.Second
	// idleTimeout is how long a connection is kept for the next delivery.
	idleTimeout = 30 * time.Second
)

// sender sends deliveries, each once.
type sender struct {
	o         *Options
	transport *http.Transport
	client    *http.Client
}

// newSender makes a client that follows no redirect, asks no proxy and connects to
// nothing but what it may.
func newSender(o *Options) *sender {
	dialer := &net.Dialer{Timeout: connectTimeout, Resolver: o.Resolver, Control: o.Targets.dial}
	transport := &http.Transport{
		DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: connectTimeout,
		MaxIdleConns: o.Concurrency, MaxIdleConnsPerHost: o.PerSubscription, IdleConnTimeout: idleTimeout,
		MaxResponseHeaderBytes: maxResponseHeader, DisableCompression: true,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	return &sender{o: o, transport: transport, client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// send tries a delivery. The context ends it early when the server stops: then there is
// no attempt to note.
func (s *sender) send(ctx context.Context, url string, e *repository.HookEvent, body []byte, secret cardcode.Secret) *repository.HookAttempt {
	began := time.Now()
	attempt := &repository.HookAttempt{At: ledger.MicrosOf(began)}
	timed, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	attempt.Status, attempt.Response, attempt.Failure = s.post(timed, url, e, body, secret, began)
	attempt.Duration = time.Since(began)
	attempt.Delivered = attempt.Status >= http.StatusOK && attempt.Status < http.StatusMultipleChoices
	if attempt.Status == 0 && ctx.Err() != nil {
		return nil
	}
	return attempt
}

func (s *sender) post(
	ctx context.Context, url string, e *repository.HookEvent, body []byte, secret cardcode.Secret, now time.Time,
) (status int, response, failure string) {
	if reason := s.o.Targets.Check(url); reason != "" { // it may have been allowed when it was given
		return 0, "", "The URL is not allowed: it " + reason + "."
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, "", "The URL cannot be used."
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", s.o.UserAgent)
	sign(r.Header, e.Event, e.ID, now, body, secret)
	answer, err := s.client.Do(r)
	if err != nil {
		return 0, "", failureOf(err)
	}
	defer answer.Body.Close()
	// What it says besides the status matters to nobody but who looks into the log.
	text, _ := io.ReadAll(io.LimitReader(answer.Body, maxResponse))
	return answer.StatusCode, printable(text), ""
}

// printable is a text that any database and any log can hold.
func printable(text []byte) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(string(text), string(unicode.ReplacementChar)))
}

// failureOf says why there was no answer. The texts of errors show the URL, which may
// have a secret in it.
func failureOf(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, errNotPublic):
		return "The host has an address that is not public."
	case errors.As(err, &timeout) && timeout.Timeout():
		return "There was no answer in time."
	case errors.As(err, &dns):
		return "The name of the host could not be resolved."
	case isCertificate(err):
		return "The certificate of the host is not valid."
	case errors.As(err, &op) && op.Op == "dial":
		return "The host could not be connected to."
	default:
		return "The connection ended without an answer."
	}
}

func isCertificate(err error) bool {
	var verification *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	return errors.As(err, &verification) || errors.As(err, &unknown) || errors.As(err, &name)
}
