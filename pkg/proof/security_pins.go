package proof

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// pinTries is how many wrong PINs a card takes before it is locked.
	pinTries = 5
	// pinLock is how long it then is.
	pinLock = 15 * time.Minute
	// stormGuesses are how many guesses come at once, and stormWires on how many
	// connections.
	stormGuesses = 200
	stormWires   = 8
	// guessAgain is how long a connection waits after a guess that was lost.
	guessAgain = 40 * time.Millisecond
)

// guesser is after the PIN of one card.
type guesser struct {
	*intruder
	cardID, bearer string
	card           newCardAnswer
	mu             sync.Mutex
	wrong, locked  int // answers
	lost           int // guesses without one
}

// guessing tries PINs: on many connections at once, and through crashes.
func (i *intruder) guessing(ctx context.Context) error {
	storms := 0
	err := i.during(pinPart, func() error {
		storms++
		return i.storm(ctx)
	})
	if err != nil {
		return err
	}
	lost, err := i.guessThroughCrashes(ctx)
	i.note("%d storms of %d wrong PINs, and one through a crash (%d without an answer)", storms, stormGuesses, lost)
	return err
}

func (i *intruder) newGuesser(ctx context.Context) (*guesser, error) {
	w := i.wire(0)
	defer w.close()
	bearer, err := i.mint(victim, "till")
	if err != nil {
		return nil, err
	}
	g := &guesser{intruder: i, cardID: i.name("guessed"), bearer: bearer}
	g.card, err = i.newCard(ctx, w, victim, bearer, map[string]any{"card_id": g.cardID})
	return g, err
}

// request sends a PIN along in one of the three ways there are.
func (g *guesser) request(n int, pin string) (wireRequest, error) {
	pay := map[string]any{"ref_id": g.name("guess"), "amount": 1, "currency": "NOK", "pin": pin}
	var r wireRequest
	var err error
	switch n % 3 {
	case 0:
		r, err = post(victim, "/info", map[string]any{"token": g.card.token, "pin": pin})
	case 1:
		pay["token"] = g.card.token
		r, err = post(victim, "/transactions", pay)
	default:
		pay["card_id"] = g.cardID
		r, err = post(victim, "/transactions", pay)
	}
	return r.by(g.bearer), err
}

// guess tries a wrong PIN and counts the answer.
func (g *guesser) guess(ctx context.Context, w *wire, n int) error {
	g.tampered.Add(1)
	r, err := g.request(n, fmt.Sprintf("%020d", n))
	if err != nil {
		return err
	}
	got, err := g.ask(ctx, w, r)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		g.lost++
		return err
	}
	switch code := got.code(); {
	case code == "invalid_pin" && got.status == http.StatusForbidden:
		g.wrong++
	case code == "pin_locked" && got.status == http.StatusTooManyRequests:
		g.locked++
		if wait := got.retryAfter(); wait < 1 || wait > int(pinLock.Seconds()) {
			g.violate("a locked PIN says Retry-After %d", wait)
		}
	default:
		g.violate("a wrong PIN got %d %s", got.status, shorten(string(got.body)))
	}
	return nil
}

// guessAll spreads guesses over connections to all servers. A guess whose connection
// breaks is lost where that is allowed.
func (g *guesser) guessAll(ctx context.Context, guesses int, mayBreak bool) error {
	var wires sync.WaitGroup
	failures := make([]error, stormWires)
	for n := range stormWires {
		wires.Go(func() {
			w := g.wire(n % len(g.servers))
			defer w.close()
			for k := n; k < guesses; k += stormWires {
				err := g.guess(ctx, w, k)
				if err != nil && !mayBreak {
					failures[n] = err
					return
				}
				if err != nil {
					w.close()
					if failures[n] = pause(ctx, guessAgain); failures[n] != nil {
						return
					}
				}
			}
		})
	}
	wires.Wait()
	return errors.Join(failures...)
}

// storm guesses all at once. Five guesses are compared, on however many connections and
// servers they come; and then the right PIN is no better than any other.
func (i *intruder) storm(ctx context.Context) error {
	g, err := i.newGuesser(ctx)
	if err != nil {
		return err
	}
	if err := g.guessAll(ctx, stormGuesses, false); err != nil {
		return err
	}
	if g.wrong != pinTries || g.locked != stormGuesses-pinTries {
		i.violate("of %d wrong PINs at once %d were compared and %d locked out", stormGuesses, g.wrong, g.locked)
	}
	return g.mustBeLocked(ctx)
}

// mustBeLocked tries the right PIN everywhere, in all ways.
func (g *guesser) mustBeLocked(ctx context.Context) error {
	for server := range g.servers {
		if err := g.mustBeLockedAt(ctx, g.wire(server)); err != nil {
			return err
		}
	}
	return nil
}

// mustBeLockedAt tries the right PIN in all ways on one connection.
func (g *guesser) mustBeLockedAt(ctx context.Context, w *wire) error {
	defer w.close()
	for way := range 3 {
		g.tampered.Add(1)
		r, err := g.request(way, g.card.pin)
		if err != nil {
			return err
		}
		got, err := g.ask(ctx, w, r)
		if err != nil {
			return err
		}
		if got.code() != "pin_locked" {
			g.violate("the right PIN of a locked card got %d %s", got.status, shorten(string(got.body)))
		}
	}
	return nil
}

// guessThroughCrashes kills a server between guesses, and then in the middle of them.
// What was counted has to be counted still.
func (i *intruder) guessThroughCrashes(ctx context.Context) (lost int, err error) {
	g, err := i.newGuesser(ctx)
	if err != nil {
		return 0, err
	}
	for n := range pinTries {
		if err := g.guessAll(ctx, 1, false); err != nil {
			return 0, err
		}
		if g.wrong != n+1 {
			i.violate("the wrong PIN number %d, after a kill, was not compared", n+1)
		}
		if n%2 == 0 { // also after the last one
			if err := g.restart(ctx); err != nil {
				return 0, err
			}
		}
	}
	if err := g.mustBeLocked(ctx); err != nil {
		return 0, err
	}
	if g, err = i.newGuesser(ctx); err != nil {
		return 0, err
	}
	var storm sync.WaitGroup
	var stormErr error
	storm.Go(func() { stormErr = g.guessAll(ctx, stormGuesses, true) })
	err = errors.Join(pause(ctx, i.between(2*time.Millisecond, 15*time.Millisecond)), g.restart(ctx))
	storm.Wait()
	if err := errors.Join(err, stormErr); err != nil {
		return 0, err
	}
	if err := g.guessAll(ctx, pinTries, false); err != nil { // for those that were lost
		return 0, err
	}
	if g.wrong > pinTries {
		i.violate("%d wrong PINs were compared around a kill", g.wrong)
	}
	return g.lost, g.mustBeLocked(ctx)
}

// restart kills the first server and starts it again.
func (g *guesser) restart(ctx context.Context) error {
	g.tampered.Add(1)
	if err := g.servers[0].kill(); err != nil {
		return err
	}
	return g.servers[0].start(ctx)
}
