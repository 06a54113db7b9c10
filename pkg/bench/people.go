package bench

import (
	"fmt"
	"time"

	"github.com/kortwallet/kort/pkg/ledger"
)

// What the cards of a retailer look like.
var (
	cardNames  = []string{"Gift card", "Gift card", "Gift card", "Summer campaign", "Christmas 2025", "Employee gift"}
	firstNames = []string{"anna", "bjorn", "camilla", "dag", "eva", "fredrik", "guro", "henrik", "ida", "jonas", "kari", "lars", "maria", "nils"}
	lastNames  = []string{"larsen", "hansen", "olsen", "berg", "lund", "solberg", "strand", "nilsen", "dahl", "moen"}
	amounts    = []int64{10_000, 20_000, 25_000, 50_000, 50_000, 50_000, 75_000, 100_000, 100_000, 200_000}
)

// How often something is true of a card.
const (
	hasCustomer  = 0.6
	isCorporate  = 0.01
	isCreditNote = 0.1
	isInactive   = 0.03
	isUnused     = 0.4
	isPartlyUsed = 0.35
	isHeld       = 0.02
	isDeleted    = 0.01
	hasExpiry    = 0.8
	hasOddAmount = 0.1
)

// corporate is the one customer with very many cards.
const corporate = "corporate-0001"

// cardsPerCustomer is the mean for the others.
const cardsPerCustomer = 4

// customerName names a customer by number.
func customerName(n int) string {
	return fmt.Sprintf("%s.%s.%d@example.com", firstNames[n%len(firstNames)], lastNames[n/len(firstNames)%len(lastNames)], n)
}

// retailCardID names card i. Most are like payment cards, some come from a campaign.
func retailCardID(i int) string {
	const spread, digits = 999_999_000_001, 1_000_000_000_000 // coprime, so that no two are the same
	switch number := (uint64(i) + 1) * spread % digits; {     //nolint:gosec // counts from 0
	case i%100 == 7:
		return fmt.Sprintf("VIP-%06d", i)
	case i%7 == 3:
		return fmt.Sprintf("GC-2025-%07d", i)
	default:
		return fmt.Sprintf("6035%012d", number)
	}
}

// chance is true so often.
func (p *population) chance(share float64) bool { return p.random.Float64() < share }

func pickOne[T any](p *population, from []T) T { return from[p.random.IntN(len(from))] }

// retailCard tells the story of card i of n: they were made over the last two years.
func (p *population) retailCard(i, n int) (*story, error) {
	const span = 2 * year
	created := p.now.Add(-span + span/time.Duration(n+1)*time.Duration(i))
	card := ledger.Card{
		CardID: retailCardID(i), Name: pickOne(p, cardNames), Type: ledger.GiftCard, CreatedBy: "loader", Activated: !p.chance(isInactive),
	}
	if p.chance(isCreditNote) {
		card.Type = ledger.CreditNote
	}
	if !card.Activated {
		return p.create(created, card)
	}
	card.Amount, card.Currency = pickOne(p, amounts), p.currency()
	if p.chance(hasOddAmount) {
		card.Amount = 100 + p.random.Int64N(300_000)
	}
	switch {
	case p.chance(isCorporate):
		card.CustomerID = corporate
	case p.chance(hasCustomer):
		card.CustomerID = customerName(p.random.IntN(max(n/cardsPerCustomer, 1)))
	}
	if p.chance(hasExpiry) {
		expiry := created.Add(year)
		card.ExpiresAt = &expiry
	}
	s, err := p.create(created, card)
	if err != nil {
		return nil, err
	}
	return s, s.live()
}

// currency is mostly one, and some are rare.
func (p *population) currency() ledger.Currency {
	switch draw := p.random.Float64(); {
	case draw < 0.96:
		return "NOK"
	case draw < 0.99:
		return "SEK"
	case draw < 0.999:
		return "EUR"
	default:
		return "USD"
	}
}

// live lets a card be used, held and deleted, before it expires and before now.
func (s *story) live() error {
	end := min(s.now, s.card.CreatedAt.Add(year)-1)
	at := s.card.CreatedAt
	next := func() ledger.Micros {
		at += ledger.Micros(s.random.Int64N(int64(end-at)/2 + 1))
		return at
	}
	if !s.chance(isUnused) {
		if err := s.use(next); err != nil {
			return err
		}
	}
	if s.chance(isHeld) {
		if err := s.hold(next); err != nil {
			return err
		}
	}
	if s.card.OpenHolds == 0 && s.chance(isDeleted) {
		return s.remove(next())
	}
	return nil
}

// use takes off a part, or in the end everything.
func (s *story) use(next func() ledger.Micros) error {
	partly := s.chance(isPartlyUsed)
	take := 1 + s.random.Int64N(max(s.card.Available()/2, 1))
	if err := s.transact(next(), &ledger.Transact{Action: ledger.ActionDrawdown, Amount: take}); err != nil || partly {
		return err
	}
	return s.transact(next(), &ledger.Transact{Action: ledger.ActionDrawdown, Amount: s.card.Available()})
}

// hold locks a part, which is then captured, or voided, or still locked.
func (s *story) hold(next func() ledger.Micros) error {
	op := &ledger.Transact{Action: ledger.ActionPending, Amount: s.card.Available() / 2}
	if err := s.transact(next(), op); err != nil {
		return err
	}
	switch s.random.IntN(3) {
	case 0:
		return s.transact(next(), &ledger.Transact{Action: ledger.ActionCapture, Parent: op.ID, Amount: op.Amount})
	case 1:
		return s.transact(next(), &ledger.Transact{Action: ledger.ActionVoid, Parent: op.ID})
	}
	return nil
}

// usedCard tells the story of a card that had so many drawdowns, all at once.
func (p *population) usedCard(cardID string, at ledger.Micros, drawdowns int) (*story, error) {
	s, err := p.create(at, ledger.Card{
		CardID: cardID, Type: ledger.GiftCard, Activated: true, Amount: openingAmount, Currency: currency, CreatedBy: "loader",
	})
	if err != nil || drawdowns == 0 {
		return s, err
	}
	ops := make([]*ledger.Transact, drawdowns)
	for i := range ops {
		ops[i] = &ledger.Transact{Action: ledger.ActionDrawdown, Amount: 1}
	}
	return s, s.transact(at+1, ops...)
}
