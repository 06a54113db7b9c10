package proof

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A difference in time counts when it is larger than all of these: a client over a
// network would have to see it, and chance seldom makes it.
const (
	timingRatio    = 0.15
	timingAbsolute = 200 * time.Microsecond
	timingZ        = 5.0 // standard deviations of the rank sum
	// leastSamples are taken of each kind, whatever the share.
	leastSamples = 60
)

// sample is how long the answers to one kind of request took.
type sample struct {
	name  string
	times []time.Duration
}

// timing compares how long refusals take that have to look alike.
func (i *intruder) timing(ctx context.Context) error {
	w := i.wire(0)
	defer w.close()
	if err := i.timeTokens(ctx, w); err != nil {
		return err
	}
	return i.timePINs(ctx, w)
}

// timeTokens looks cards up by tokens that are unknown, expired, or another account's.
func (i *intruder) timeTokens(ctx context.Context, w *wire) error {
	bearer, err := i.mint(victim, "till")
	if err != nil {
		return err
	}
	theirs, err := i.belonging(ctx, w, thief, i.name("timed"), i.name("timed customer"))
	if err != nil {
		return err
	}
	expired, err := i.expiredToken(ctx, w, bearer)
	if err != nil {
		return err
	}
	kinds := []sample{{name: "unknown token"}, {name: "expired token"}, {name: "foreign token"}}
	request := func(kind int) (wireRequest, error) {
		token := []string{i.absent()["token"], expired, theirs["token"]}[kind]
		r, err := post(victim, "/info", map[string]any{"token": token})
		return r.by(bearer), err
	}
	if err := i.measure(ctx, w, kinds, http.StatusNotFound, request, nil); err != nil {
		return err
	}
	i.compare(kinds)
	return nil
}

// expiredToken makes a token and waits for its end.
func (i *intruder) expiredToken(ctx context.Context, w *wire, bearer string) (string, error) {
	const lifetime = 1 // second
	made, err := i.newCard(ctx, w, victim, bearer, map[string]any{
		"card_id": i.name("expiring"), "card_token": map[string]any{"expires_in": lifetime, "expires_after_transaction": false},
	})
	if err != nil {
		return "", err
	}
	return made.token, pause(ctx, lifetime*time.Second+100*time.Millisecond)
}

// timePINs tries wrong PINs that begin with none, half and all but one of the right
// characters. The right one in between sets the count of wrong ones back.
func (i *intruder) timePINs(ctx context.Context, w *wire) error {
	g, err := i.newGuesser(ctx)
	if err != nil {
		return err
	}
	kinds := []sample{{name: "no right character"}, {name: "half of them right"}, {name: "all but one right"}}
	request := func(kind int) (wireRequest, error) {
		right := []int{0, longPIN / 2, longPIN - 1}[kind]
		pin := g.card.pin[:right] + strings.Map(another, g.card.pin[right:])
		r, err := post(victim, "/info", map[string]any{"token": g.card.token, "pin": pin})
		return r.by(g.bearer), err
	}
	reset, err := g.request(0, g.card.pin)
	if err != nil {
		return err
	}
	err = i.measure(ctx, w, kinds, http.StatusForbidden, request, func() error {
		_, err := i.must(ctx, w, reset)
		return err
	})
	if err != nil {
		return err
	}
	i.compare(kinds)
	return nil
}

// another is a character that differs.
func another(r rune) rune {
	if r == '0' {
		return '1'
	}
	return '0'
}

// measure takes samples of all kinds in turns, in an order that is drawn for each turn,
// so that what else the machine does meets all of them alike.
func (i *intruder) measure(
	ctx context.Context, w *wire, kinds []sample, want int, request func(kind int) (wireRequest, error), between func() error,
) error {
	turns := 0
	return i.during(timingPart/2, func() error {
		for least := turns + leastSamples; turns < least; turns++ {
			for _, kind := range i.random.Perm(len(kinds)) {
				r, err := request(kind)
				if err != nil {
					return err
				}
				begun := time.Now()
				got, err := i.ask(ctx, w, r)
				took := time.Since(begun)
				if err != nil {
					return err
				}
				if got.status != want {
					return fmt.Errorf("%s: %d %s", kinds[kind].name, got.status, got.body)
				}
				i.tampered.Add(1)
				kinds[kind].times = append(kinds[kind].times, took)
			}
			if between == nil {
				continue
			}
			if err := between(); err != nil {
				return err
			}
		}
		return nil
	})
}

// compare compares each kind with the first.
func (i *intruder) compare(kinds []sample) {
	first := kinds[0]
	texts := []string{fmt.Sprintf("%s %d µs (%d times)", first.name, median(first.times).Microseconds(), len(first.times))}
	for _, other := range kinds[1:] {
		a, b := median(first.times), median(other.times)
		z := rankSum(first.times, other.times)
		texts = append(texts, fmt.Sprintf("%s %+d µs (z %.1f)", other.name, (b-a).Microseconds(), z))
		if apart(a, b) && math.Abs(z) > timingZ {
			i.violate("the answers to %s take %s, those to %s %s", first.name, a, other.name, b)
		}
	}
	i.note("%s", strings.Join(texts, ", "))
}

// apart tells whether medians differ by more than a noisy machine explains.
func apart(a, b time.Duration) bool {
	gap := (a - b).Abs()
	return gap > timingAbsolute && float64(gap) > timingRatio*float64(min(a, b))
}

func median(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}

// rankSum is the statistic of Mann and Whitney in standard deviations: 0 where neither
// sample tends to be larger, above it where the second does.
func rankSum(first, second []time.Duration) float64 {
	sorted := slices.Sorted(slices.Values(second))
	var above float64 // pairs in which the second is larger, and half of the ties
	for _, time := range first {
		from, _ := slices.BinarySearch(sorted, time)
		to, _ := slices.BinarySearch(sorted, time+1)
		above += float64(len(sorted)-to) + float64(to-from)/2
	}
	n, m := float64(len(first)), float64(len(second))
	return (above - n*m/2) / math.Sqrt(n*m*(n+m+1)/12)
}
