package ledger

import "errors"

// MaxAmount is the largest figure a card may carry, in minor currency units:
// 2^53-1, the largest integer that every JSON client reads exactly.
const MaxAmount int64 = 1<<53 - 1

// Currency is an ISO 4217 code of the published list. The empty currency belongs
// to a card that waits for its activation.
type Currency string

// The currencies of the published API.
const (
	NOK Currency = "NOK"
	SEK Currency = "SEK"
	DKK Currency = "DKK"
	EUR Currency = "EUR"
	USD Currency = "USD"
)

// Balance holds the four projected amounts of a card, in minor currency units.
// Everything else that is said about a card's money derives from them.
type Balance struct {
	Funds    int64 // everything ever put on the card
	Drawdown int64 // everything ever taken off: direct drawdowns and captures
	Pending  int64 // what open holds still lock
	Reserved int64 // everything withheld from Available; today equal to Pending
}

// Balance is what is on the card, locked money included.
func (b Balance) Balance() int64 { return b.Funds - b.Drawdown }

// Available is what a drawdown may take.
func (b Balance) Available() int64 { return b.Funds - b.Drawdown - b.Reserved }

// ErrCorrupt reports a balance or a history that no sequence of accepted
// operations can produce.
var ErrCorrupt = errors.New("corrupt history")

// Check reports ErrCorrupt when the balance breaks invariant I1 (every amount
// between 0 and [MaxAmount]) or I2 (drawdown + reserved ≤ funds, pending ≤
// reserved).
func (b Balance) Check() error {
	for _, amount := range [...]int64{b.Funds, b.Drawdown, b.Pending, b.Reserved} {
		if amount < 0 || amount > MaxAmount {
			return ErrCorrupt
		}
	}
	if b.Drawdown+b.Reserved > b.Funds || b.Pending > b.Reserved {
		return ErrCorrupt
	}
	return nil
}
