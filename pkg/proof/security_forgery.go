package proof

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kortwallet/kort/pkg/auth"
)

// forgery is a way to ask without a good access token.
type forgery struct {
	name  string
	lines []string // the header's
	wild  bool     // no HTTP, or too much of it
}

// forger collects forgeries. The first error stays.
type forger struct {
	*intruder
	list []forgery
	lure string // the address with an attacker's keys
	err  error
}

// add notes a token that is no good.
func (f *forger) add(name string) func(token string, err error) {
	return func(token string, err error) {
		f.err = errors.Join(f.err, err)
		f.lines(name, "Authorization: Bearer "+token)
	}
}

func (f *forger) lines(name string, lines ...string) {
	f.list = append(f.list, forgery{name: name, lines: lines})
}

// forgery tries every forgery, and then tokens with a wrong character.
func (i *intruder) forgery(ctx context.Context) (err error) {
	lure, err := newLure(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lure.close()) }()
	f := &forger{intruder: i, lure: lure.url()}
	for _, collect := range []func(){f.algorithms, f.keyIDs, f.headers, f.claims, f.times, f.audiences, f.forms, f.schemes, f.sizes} {
		collect()
	}
	if f.err != nil {
		return fmt.Errorf("forge tokens: %w", f.err)
	}
	w := i.wire(0)
	defer w.close()
	if err := i.controls(ctx, w); err != nil {
		return err
	}
	if err := i.lastMinute(ctx, w); err != nil {
		return err
	}
	if err := i.present(ctx, w, f.list); err != nil {
		return err
	}
	flipped, err := i.flips(ctx, w)
	if err != nil {
		return err
	}
	if visits := lure.visits.Load(); visits > 0 {
		i.violate("the server fetched the keys of an attacker %d times", visits)
	}
	i.note("%d forged access tokens, %d with a wrong character", len(f.list), flipped)
	return i.controls(ctx, w)
}

// controls are good tokens: without them nothing would be shown by refusals.
func (i *intruder) controls(ctx context.Context, w *wire) error {
	for _, s := range i.signers.all() {
		token, err := s.token(nil, nil)
		if err != nil {
			return err
		}
		if _, err := i.must(ctx, w, get(victim, "/cards").by(token)); err != nil {
			return fmt.Errorf("a good token with %s: %w", s.alg, err)
		}
		other, err := s.token(nil, members{"aud": audienceOf(thief)})
		if err != nil {
			return err
		}
		got, err := i.ask(ctx, w, get(victim, "/cards").by(other))
		if err != nil {
			return err
		}
		if got.status != http.StatusForbidden {
			i.violate("a token of another account, %s, got %d", s.alg, got.status)
		}
	}
	return i.outside(ctx, w)
}

// outside asks for what belongs to no operation.
func (i *intruder) outside(ctx context.Context, w *wire) error {
	for want, requests := range map[int][]wireRequest{
		http.StatusOK:               {{method: http.MethodGet, target: "/healthz"}, {method: http.MethodGet, target: "/readyz"}},
		http.StatusNotFound:         {{method: http.MethodGet, target: "/"}, {method: http.MethodGet, target: "/debug/pprof/"}, {method: http.MethodGet, target: "/metrics"}},
		http.StatusMethodNotAllowed: {{method: http.MethodPut, target: wallets(victim) + "/cards"}, {method: http.MethodTrace, target: wallets(victim) + "/cards"}},
	} {
		for _, r := range requests {
			got, err := i.ask(ctx, w, r)
			if err != nil {
				return err
			}
			if got.status != want {
				i.violate("%s got %d, want %d", r, got.status, want)
			}
		}
	}
	return nil
}

// lastMinute is a token that is good for some seconds yet, for the clocks of issuer and
// server may differ, and that the server will remember.
func (i *intruder) lastMinute(ctx context.Context, w *wire) (err error) {
	const left = 8 * time.Second
	now := time.Now()
	i.leaving.until = now.Add(left)
	i.leaving.token, err = i.signers.rsa.token(nil, members{"exp": now.Add(left - auth.Leeway).Unix()})
	if err != nil {
		return err
	}
	_, err = i.must(ctx, w, get(victim, "/cards").by(i.leaving.token))
	return err
}

// afterLastMinute shows that token again when its time is over.
func (i *intruder) afterLastMinute(ctx context.Context) error {
	if err := pause(ctx, time.Until(i.leaving.until)); err != nil {
		return err
	}
	w := i.wire(0)
	defer w.close()
	return i.refused(ctx, w, i.operations[0], forgery{
		name: "a token that was remembered and has expired", lines: []string{"Authorization: Bearer " + i.leaving.token},
	})
}

// present shows each forgery to one operation, and the missing token to all.
func (i *intruder) present(ctx context.Context, w *wire, list []forgery) error {
	for _, o := range i.operations {
		if err := i.refused(ctx, w, o, forgery{name: "no token"}); err != nil {
			return err
		}
	}
	for n, attempt := range list {
		if err := i.refused(ctx, w, i.operations[n%len(i.operations)], attempt); err != nil {
			return err
		}
	}
	return nil
}

// refused asks for an operation; the answer has to be 401.
func (i *intruder) refused(ctx context.Context, w *wire, o *operation, attempt forgery) error {
	i.tampered.Add(1)
	r, err := o.probes()[0].request(victim, i.absent())
	if err != nil {
		return err
	}
	r = r.with(attempt.lines...)
	r.wild = attempt.wild
	got, err := i.ask(ctx, w, r)
	if err != nil {
		return fmt.Errorf("%s: %w", attempt.name, err)
	}
	hungUp := attempt.wild && (got.status == 0 || got.fromEdge())
	if got.status != http.StatusUnauthorized && !hungUp {
		i.violate("%s, %s: got %d %s, want 401", attempt.name, o.id, got.status, shorten(string(got.body)))
	}
	return nil
}

// flips tries good tokens with one character changed.
func (i *intruder) flips(ctx context.Context, w *wire) (tried int, err error) {
	err = i.during(forgeryPart, func() error {
		for n, s := range i.signers.all() {
			token, err := s.token(nil, nil)
			if err != nil {
				return err
			}
			position := i.random.IntN(len(token))
			if token[position] == '.' {
				position++
			}
			forged, err := flip(token, position, i.random.IntN(64))
			if err != nil {
				return err
			}
			tried++
			attempt := forgery{name: fmt.Sprintf("%s, character %d", s.alg, position), lines: []string{"Authorization: Bearer " + forged}}
			if err := i.refused(ctx, w, i.operations[(n+tried)%len(i.operations)], attempt); err != nil {
				return err
			}
		}
		return nil
	})
	return tried, err
}

// raw signs texts as they are.
func (f *forger) raw(name, header, claims string) {
	f.add(name)(f.signers.ed.sign([]byte(header), []byte(claims)))
}

// text is a good header or good claims as JSON, without the last bracket, so that
// members can be added that are there already.
func (f *forger) open(m members) string {
	text, err := json.Marshal(m)
	f.err = errors.Join(f.err, err)
	return strings.TrimSuffix(string(text), "}")
}

// lure is where an attacker keeps keys for those who can be made to fetch them.
type lure struct {
	server   *http.Server
	listener net.Listener
	visits   atomic.Int64
}

func newLure(ctx context.Context) (*lure, error) {
	listener, err := listenLocally(ctx)
	if err != nil {
		return nil, err
	}
	l := &lure{listener: listener}
	l.server = &http.Server{ReadHeaderTimeout: answerTimeout, ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			l.visits.Add(1)
		}
	}}
	go func() { _ = l.server.Serve(listener) }() // it ends when it is closed
	return l, nil
}

func (l *lure) url() string { return "http://" + l.listener.Addr().String() + "/keys.json" }

func (l *lure) close() error { return l.server.Close() }
