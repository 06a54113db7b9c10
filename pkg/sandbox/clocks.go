package sandbox

import (
	"errors"
	"sync"
	"time"

	"github.com/kortwallet/kort/pkg/ledger"
)

// A clock can be set to the moments of these years. Far outside of them times have no form in the API.
const (
	firstYear = 2000
	lastYear  = 2199
)

// errYear refuses a moment that a clock cannot be set to.
var errYear = errors.New("now: must be in the years 2000 to 2199")

// Clocks has the time of each account. It is safe for concurrent use.
type Clocks struct {
	real func() time.Time

	mu  sync.RWMutex
	set map[string]setting // of the accounts whose clock does not simply show the real time
}

// setting says what a clock showed at a real moment, and whether it has stood still since.
type setting struct {
	shown, at ledger.Micros
	frozen    bool
}

// Reading is what a clock shows.
type Reading struct {
	Now    ledger.Micros
	Frozen bool
	Real   bool // it was not set, and shows the real time
}

// NewClocks makes clocks that all show the real time, which is time.Now except in a test of this package.
func NewClocks(realTime func() time.Time) *Clocks {
	return &Clocks{real: realTime, set: map[string]setting{}}
}

// Now tells the time of an account.
func (c *Clocks) Now(account string) ledger.Micros { return c.Read(account).Now }

// Read tells what the clock of an account shows.
func (c *Clocks) Read(account string) Reading {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.read(account)
}

func (c *Clocks) read(account string) Reading {
	at := ledger.MicrosOf(c.real())
	s, isSet := c.set[account]
	switch {
	case !isSet:
		return Reading{Now: at, Real: true}
	case s.frozen:
		return Reading{Now: s.shown, Frozen: true}
	}
	return Reading{Now: s.shown + at - s.at}
}

// Set sets what is not nil: the time, and whether it stands still. It fails when the time is out of range.
func (c *Clocks) Set(account string, now *time.Time, frozen *bool) (Reading, error) {
	return c.change(account, func(r *Reading) {
		if now != nil {
			r.Now = ledger.MicrosOf(*now)
		}
		if frozen != nil {
			r.Frozen = *frozen
		}
	})
}

// Advance moves the clock of an account, backwards by a negative number. It fails when the clock would leave its range.
func (c *Clocks) Advance(account string, by time.Duration) (Reading, error) {
	return c.change(account, func(r *Reading) { r.Now = r.Now.Add(by) })
}

func (c *Clocks) change(account string, edit func(*Reading)) (Reading, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.read(account)
	edit(&r)
	if year := r.Now.Time().Year(); year < firstYear || year > lastYear {
		return Reading{}, errYear
	}
	c.set[account] = setting{shown: r.Now, at: ledger.MicrosOf(c.real()), frozen: r.Frozen}
	return r, nil
}

// Reset lets the clock of an account show the real time again.
func (c *Clocks) Reset(account string) Reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.set, account)
	return c.read(account)
}
