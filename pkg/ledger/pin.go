package ledger

import (
	"time"

	"github.com/google/uuid"
)

const (
	// MaxPINFailures is how many wrong PINs in a row lock a card's PIN.
	MaxPINFailures = 5
	// PINLockTime is how long a locked PIN stays locked.
	PINLockTime = 15 * time.Minute
)

// PIN is the stored side of a card's PIN. The failure counter is the one thing
// that a refused operation writes: it is no part of the card's balance or history.
type PIN struct {
	ID          uuid.UUID // the operation that set the PIN
	Format      string    // canonical JSON text of the format the client asked for
	Hash        string
	KeyID       string
	Failures    int
	LockedUntil *Micros
}

// PINAttempt says how a PIN that came with a request compares with the card's.
// The comparison itself needs a secret key and happens outside this package,
// under the card's lock.
type PINAttempt uint8

// The outcomes of a comparison.
const (
	PINAbsent  PINAttempt = iota // none was sent
	PINMatches                   // the card has this PIN
	PINDiffers                   // the card has another PIN, or none
)

// tryPIN applies an attempt to a card's PIN. It returns the PIN as it has to be
// stored from now on, also beside a refusal.
func tryPIN(now Micros, pin *PIN, attempt PINAttempt, required bool) (*PIN, *Refusal) {
	switch {
	case attempt == PINAbsent && (pin == nil || !required):
		return pin, nil
	case attempt == PINAbsent || pin == nil:
		return pin, refuse(CodeInvalidPIN)
	case pin.LockedUntil != nil && now < *pin.LockedUntil:
		refusal := refuse(CodePINLocked)
		// Another server has locked it, and its clock may be ahead of this one's.
		refusal.RetryAfter = min(time.Duration(*pin.LockedUntil-now)*time.Microsecond, PINLockTime)
		return pin, refusal
	}
	next := *pin
	if next.LockedUntil != nil {
		next.Failures, next.LockedUntil = 0, nil
	}
	if attempt == PINMatches {
		next.Failures = 0
		return &next, nil
	}
	next.Failures++
	refusal := refuse(CodeInvalidPIN)
	if next.Failures >= MaxPINFailures {
		until := now.Add(PINLockTime)
		next.LockedUntil, refusal.LocksPIN = &until, true
	}
	return &next, refusal
}
