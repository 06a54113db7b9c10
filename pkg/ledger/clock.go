package ledger

import "time"

// Micros is a moment in UTC, in microseconds since 1970.
type Micros int64

// MicrosOf converts a time, dropping what is finer than a microsecond.
func MicrosOf(t time.Time) Micros { return Micros(t.UnixMicro()) }

// Time converts back to a time in UTC.
func (m Micros) Time() time.Time { return time.UnixMicro(int64(m)).UTC() }

// Add returns the moment d later.
func (m Micros) Add(d time.Duration) Micros { return m + Micros(d.Microseconds()) }

// reached tells whether the moment, if there is one, is now or past.
func reached(moment *Micros, now Micros) bool { return moment != nil && *moment <= now }
