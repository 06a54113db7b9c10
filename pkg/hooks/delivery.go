package hooks

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// errNoKey means that a subscription's secret is sealed under a data key that this server
// does not have.
var errNoKey = errors.New("the data key of the secret is missing")

// deliver sends the deliveries of a chain one after the other, until one fails or there
// is not enough time left for another.
func (d *Dispatcher) deliver(c *repository.HookChain, facts *repository.HookFacts) result {
	r := result{account: c.Account, subscription: c.Events[0].Subscription}
	nextAt, going := ledger.Micros(0), true
	for i := range c.Events {
		going = going && (i == 0 || time.Now().Add(d.o.Timeout+leaseMargin).Before(c.Lease.Time()))
		o := repository.HookOutcome{Event: c.Events[i], Lease: c.Lease, NextAt: nextAt}
		if going {
			if o.Attempt = d.attempt(c.Account, &c.Events[i], facts); o.Attempt != nil {
				d.judge(&o, c.Attempts[i]+1)
				d.count(&o)
			}
			// Behind one that is to be tried again, the rest has to wait for it.
			nextAt, going = o.NextAt, o.SettledAt != nil
		}
		r.outcomes = append(r.outcomes, o)
	}
	return r
}

// putBack leaves the deliveries of a chain for later.
func putBack(c *repository.HookChain, until time.Time) result {
	r := result{account: c.Account, subscription: c.Events[0].Subscription}
	for i := range c.Events {
		r.outcomes = append(r.outcomes, repository.HookOutcome{Event: c.Events[i], Lease: c.Lease, NextAt: ledger.MicrosOf(until)})
	}
	return r
}

// attempt tries a delivery; nil when the server stops or the subscription is gone.
func (d *Dispatcher) attempt(account string, e *repository.HookEvent, facts *repository.HookFacts) *repository.HookAttempt {
	hook, known := facts.Hooks[e.Subscription]
	if !known {
		return nil
	}
	body, err := BodyOf(account, e, facts)
	secret, keyErr := d.secret(account, &hook)
	if err := errors.Join(err, keyErr); err != nil {
		d.o.Log.Error("webhooks: an event cannot be sent", "error", err, "account", account, "subscription", hook.ID, "delivery", e.ID)
		return &repository.HookAttempt{At: ledger.MicrosOf(time.Now()), Failure: "The server could not make the request."}
	}
	return d.sender.send(d.sending, hook.URL, e, body, secret)
}

func (d *Dispatcher) secret(account string, h *repository.HookSubscription) (cardcode.Secret, error) {
	key, known := d.o.Keys.Key(h.SecretKeyID)
	if !known {
		return "", errNoKey
	}
	return key.Open(cardcode.Hook, account, h.ID.String(), h.Secret)
}

// judge decides what comes after an attempt, which was the n-th.
func (d *Dispatcher) judge(o *repository.HookOutcome, n int64) {
	a, now := o.Attempt, time.Now()
	switch {
	case a.Delivered:
	case a.Status == http.StatusBadRequest || a.Status == http.StatusGone: // the receiver does not want it again
	case n < int64(d.o.Attempts):
		o.NextAt = ledger.MicrosOf(now.Add(d.pauseAfter(n)))
		return
	}
	settled := ledger.MicrosOf(now)
	o.SettledAt = &settled
	if !a.Delivered {
		d.o.Log.Warn("webhooks: a delivery was given up", "subscription", o.Event.Subscription, "delivery", o.Event.ID,
			"attempts", n, "status", a.Status, "failure", a.Failure)
	}
}

// Attempted is what came of an attempt.
type Attempted struct {
	Outcome Outcome
	// Lag is the time from what the event tells of to the end of the attempt.
	Lag time.Duration
}

// Outcome says how an attempt ended.
type Outcome string

// The outcomes.
const (
	OutcomeDelivered Outcome = "delivered"
	OutcomeFailed    Outcome = "failed" // it is tried again
	OutcomeGivenUp   Outcome = "given_up"
)

// Outcomes lists all of them.
func Outcomes() []Outcome { return []Outcome{OutcomeDelivered, OutcomeFailed, OutcomeGivenUp} }

func (d *Dispatcher) count(o *repository.HookOutcome) {
	if d.o.Attempted == nil {
		return
	}
	a := Attempted{Outcome: OutcomeFailed, Lag: o.Attempt.At.Time().Add(o.Attempt.Duration).Sub(o.Event.CreatedAt.Time())}
	switch {
	case o.Attempt.Delivered:
		a.Outcome = OutcomeDelivered
	case o.SettledAt != nil:
		a.Outcome = OutcomeGivenUp
	}
	d.o.Attempted(a)
}

// pauseAfter is how long to wait after the n-th attempt: any time up to a bound that
// doubles, so that the deliveries that failed at one moment do not all come back at
// another.
func (d *Dispatcher) pauseAfter(n int64) time.Duration {
	longest := d.o.LongestPause
	if shift := n - 1; shift < 62 && d.o.FirstPause<<shift>>shift == d.o.FirstPause {
		longest = min(longest, d.o.FirstPause<<shift)
	}
	return rand.N(longest) + 1 //nolint:gosec // a pause needs no secret
}
