package conformance

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime"
	"strings"
)

// trial is one check while it runs. It ends as a test does: the first thing that is not as
// it should be ends the goroutine.
type trial struct {
	*progress
	// bearer is what requests are authenticated with. Empty: without anything.
	bearer string
	// header is added to requests.
	header [][2]string
}

// progress is what all requests of a check share.
type progress struct {
	*suite
	ctx       context.Context
	cancel    context.CancelFunc
	check     Check
	ids       []string // of cards that may have been made
	last      string   // the last request and its answer
	failure   *Failure
	undecided string
}

func (s *suite) newTrial(ctx context.Context, check Check) *trial {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	return &trial{progress: &progress{suite: s, ctx: ctx, cancel: cancel, check: check}, bearer: s.Token}
}

// attempt runs a check to its end. Its error is a *Failure, where there is one.
func (t *trial) attempt(run func(*trial)) *Failure {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			// An answer of a shape that nobody thought of is the server's fault.
			if r := recover(); r != nil {
				t.failure = &Failure{Expected: "answers that the check can read", Got: fmt.Sprint(r), Exchange: t.last}
			}
		}()
		run(t)
	}()
	<-done
	return t.failure
}

// fail ends the check.
func (t *trial) fail(expected, got string) {
	t.failure = &Failure{Expected: expected, Got: redact(got), Exchange: t.last}
	runtime.Goexit()
}

// undecide ends the check without a verdict.
func (t *trial) undecide(why string) {
	t.undecided = why
	runtime.Goexit()
}

// want ends the check unless something holds.
func (t *trial) want(holds bool, expected string, got any) {
	if !holds {
		t.fail(expected, fmt.Sprint(got))
	}
}

// equal ends the check unless two values are the same.
func equal[T comparable](t *trial, what string, got, want T) {
	if got != want {
		t.fail(fmt.Sprintf("%s: %v", what, want), fmt.Sprint(got))
	}
}

// by is the same check with another access token.
func (t *trial) by(who credential) *trial {
	return t.bearing(t.bearers[who])
}

// bearing is the same check with an access token as it is given.
func (t *trial) bearing(bearer string) *trial {
	return &trial{progress: t.progress, bearer: bearer, header: t.header}
}

// sending is the same check with one header more on its requests.
func (t *trial) sending(name, value string) *trial {
	return &trial{progress: t.progress, bearer: t.bearer, header: append(t.header[:len(t.header):len(t.header)], [2]string{name, value})}
}

// id is a card_id that nobody has. What is made under it is removed in the end.
func (t *trial) id() string { return t.claim("") }

// claim is a card_id that nobody has, with an ending of one's choice.
func (t *trial) claim(ending string) string {
	id := t.name() + ending
	t.ids = append(t.ids, id)
	return id
}

// name is a text that nobody else has, for a customer or a ref_id.
func (s *suite) name() string { return s.prefix + strings.ToLower(rand.Text()[:12]) }

// Failure is what was not as the rule says. It holds no secrets.
type Failure struct {
	Expected string
	Got      string
	// Exchange is the last request and what it was answered.
	Exchange string
}

// Error is the failure in a line.
func (f *Failure) Error() string { return "expected " + f.Expected + "; got " + f.Got }
