package identity

import (
	"hash/maphash"
	"sync"
	"time"
)

const (
	// maxGuesses is how many wrong secrets for a client id get an answer of their own within a window.
	maxGuesses = 10
	// guessWindow begins with the first of them.
	guessWindow = time.Minute
	// guessCounters is how many are kept.
	guessCounters = 1 << 14
)

// guesses counts wrong secrets, those for clients that do not exist as well: who is counted must not tell who there is. Each server
// counts for itself, in memory.
//
// Ids share a fixed number of counters, chosen by a hash that nobody outside can compute. So memory does not grow, and no flood of made
// up ids makes it forget a guess; two ids that meet in one counter refuse each other's wrong secrets sooner, and nothing else.
type guesses struct {
	seed maphash.Seed

	mu       sync.Mutex
	counters [guessCounters]counter
}

type counter struct {
	since time.Time
	wrong int
}

func newGuesses() *guesses { return &guesses{seed: maphash.MakeSeed()} }

// wrong counts a wrong secret. It returns zero, or how long to wait when there were too many.
func (g *guesses) wrong(account, client string, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := &g.counters[maphash.Comparable(g.seed, [2]string{account, client})%guessCounters]
	if age := now.Sub(c.since); age < 0 || age >= guessWindow {
		*c = counter{since: now}
	}
	if c.wrong >= maxGuesses {
		return c.since.Add(guessWindow).Sub(now)
	}
	c.wrong++
	return 0
}
