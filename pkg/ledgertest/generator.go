package ledgertest

import (
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// generator writes a random script. It looks at the models only, to aim at the
// edges of what is allowed.
type generator struct {
	Choices
	ids    idSource
	now    ledger.Micros
	names  []string
	count  int                  // numbers refs and token values
	recent [][]ledger.Operation // the last operations of each account
}

// remembered is how many operations of an account may be sent again.
const remembered = 48

// names are card ids that a sloppy store or search would get wrong.
var names = []string{
	"gift-0001", "GIFT-0002", "50%-off", "under_score", "Ærlig/kort", `back\slash`, "info", "batch", "two words", "1000",
}

func newGenerator(c Choices, source uint64, accounts, cards int) *generator {
	g := &generator{Choices: c, ids: idSource{source: source}, now: start, recent: make([][]ledger.Operation, accounts)}
	for i := range cards {
		if i < len(names) {
			g.names = append(g.names, names[i])
			continue
		}
		g.names = append(g.names, fmt.Sprintf("card-%d", i))
	}
	return g
}

// chance is true in percent of a hundred cases.
func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

// one picks an element.
func one[T any](g *generator, from ...T) T { return from[g.IntN(len(from))] }

// recipe makes one sort of operation; weight says how often.
type recipe struct {
	weight int
	make   func(g *generator, m *Model) ledger.Operation
}

// recipes is what scripts are made of.
var recipes = []recipe{
	{6, (*generator).createCard},
	{3, (*generator).createBatch},
	{4, (*generator).activate},
	{14, func(g *generator, m *Model) ledger.Operation { return g.money(m, ledger.ActionFund) }},
	{16, func(g *generator, m *Model) ledger.Operation { return g.money(m, ledger.ActionDrawdown) }},
	{14, func(g *generator, m *Model) ledger.Operation { return g.money(m, ledger.ActionPending) }},
	{14, func(g *generator, m *Model) ledger.Operation { return g.settlement(m, ledger.ActionCapture) }},
	{6, func(g *generator, m *Model) ledger.Operation { return g.settlement(m, ledger.ActionVoid) }},
	{7, (*generator).createToken},
	{5, (*generator).checkPIN},
	{1, (*generator).rotatePIN},
	{4, (*generator).deleteCard},
}

// operation writes the next operation of an account.
func (g *generator) operation(account int, m *Model) ledger.Operation {
	past := g.recent[account]
	if len(past) > 0 && g.chance(14) {
		was := past[g.IntN(len(past))]
		switch n := g.IntN(3); {
		case n == 0 && !m.strayed(was):
			return was // the same attempt once more
		case n == 1:
			return g.repeat(was)
		default:
			return g.alter(m, g.repeat(was))
		}
	}
	total := 0
	for _, r := range recipes {
		total += r.weight
	}
	n := g.IntN(total)
	for _, r := range recipes {
		if n -= r.weight; n < 0 {
			op := r.make(g, m)
			g.remember(account, op)
			return op
		}
	}
	panic("unreachable: the weights add up to the total")
}

func (g *generator) remember(account int, op ledger.Operation) {
	g.recent[account] = append(g.recent[account], op)
	if len(g.recent[account]) > remembered {
		g.recent[account] = slices.Delete(g.recent[account], 0, 1)
	}
}

// tick moves the clock: mostly a little forwards, sometimes far, sometimes back,
// and often to a moment at which something changes, or one step before it.
func (g *generator) tick(m *Model) {
	switch n := g.IntN(20); {
	case n < 8:
		g.now += ledger.Micros(g.IntN(1000))
	case n < 12:
		g.now += ledger.Micros(1 + g.IntN(60_000_000))
	case n < 14:
		g.now += ledger.Micros(1+g.IntN(3600)) * 1_000_000
	case n < 16:
		g.now -= ledger.Micros(g.IntN(7200)) * 1_000_000
	default:
		if moments := g.moments(m); len(moments) > 0 {
			g.now = one(g, moments...) - ledger.Micros(g.IntN(2))
		}
	}
}

// moments lists when something changes for one of the account's cards, not too far
// from now.
func (g *generator) moments(m *Model) []ledger.Micros {
	c := g.anyCard(m)
	if c == nil {
		return nil
	}
	all := []*ledger.Micros{c.said.ActiveFrom, c.said.ExpiresAt}
	if c.pin != nil {
		all = append(all, c.pin.locked)
	}
	for _, t := range c.tokens {
		all = append(all, t.row.ExpiresAt)
	}
	const far = 24 * 3600 * 1_000_000
	var near []ledger.Micros
	for _, at := range all {
		if at != nil && *at > g.now-far && *at < g.now+far {
			near = append(near, *at)
		}
	}
	return near
}

// name picks a card_id, the first ones more often.
func (g *generator) name() string {
	if g.chance(50) {
		return g.names[g.IntN(min(2, len(g.names)))]
	}
	return g.names[g.IntN(len(g.names))]
}

// liveName picks a card_id that names a card, if a few tries find one.
func (g *generator) liveName(m *Model) string {
	name := g.name()
	for i := 0; i < 3 && m.live(name) == nil; i++ {
		name = g.name()
	}
	return name
}

// freeName picks a card_id, in half of the cases one that is not taken if there is one.
func (g *generator) freeName(m *Model) string {
	if g.chance(50) {
		return g.name()
	}
	from := g.IntN(len(g.names))
	for i := range g.names {
		if name := g.names[(from+i)%len(g.names)]; m.live(name) == nil {
			return name
		}
	}
	return g.name()
}

// anyCard picks a card object, a live one if the name has one; nil when there is none.
func (g *generator) anyCard(m *Model) *modelCard {
	if c := m.live(g.liveName(m)); c != nil {
		return c
	}
	if len(m.cards) == 0 {
		return nil
	}
	return m.cards[g.IntN(len(m.cards))]
}

// amount picks a figure, mostly one around a limit.
func (g *generator) amount(limit int64) int64 {
	var n int64
	switch g.IntN(12) {
	case 0:
		n = 0
	case 1:
		n = 1
	case 2, 3:
		n = limit
	case 4:
		n = limit - 1
	case 5:
		n = limit + 1
	case 6:
		n = one(g, greatestAmount, greatestAmount-1, greatestAmount-limit)
	default:
		n = int64(g.IntN(1 + int(min(max(limit, 10), 5000))))
	}
	return min(max(n, 0), greatestAmount)
}

// moment picks a time or none.
func (g *generator) moment() *ledger.Micros {
	var at ledger.Micros
	switch g.IntN(16) {
	case 0:
		at = g.now
	case 1:
		at = g.now + 1
	case 2:
		at = g.now - ledger.Micros(g.IntN(3_600_000_000))
	case 3, 4:
		at = g.now + ledger.Micros(g.IntN(7_200_000_000))
	default:
		return nil
	}
	return &at
}

func (g *generator) currency() ledger.Currency {
	if g.chance(85) {
		return ledger.NOK
	}
	return one(g, ledger.SEK, ledger.DKK, ledger.EUR, ledger.USD)
}

func (g *generator) metadata() string {
	return one(g, "", "", `{"order":"7"}`, `{"order":"8","n":12345678901234567890}`)
}

func (g *generator) origin() string   { return one(g, "", "", "till-1", "till-2") }
func (g *generator) customer() string { return one(g, "", "cust-1", "CUST-2", "kunde_ø") }
func (g *generator) person() string   { return one(g, "alice", "bob") }

// ref picks a ref_id: mostly a new one, sometimes one that may be in use, and now
// and then that of an opening.
func (g *generator) ref(m *Model) string {
	switch n := g.IntN(100); {
	case n < 8:
		return fmt.Sprintf("order-%d", g.IntN(8))
	case n < 10:
		if c := g.anyCard(m); c != nil {
			return c.said.ID.String()
		}
	}
	g.count++
	return fmt.Sprintf("ref-%d", g.count)
}

// pinCheck tries a PIN, or none. The right one is among four.
func (g *generator) pinCheck(percent int) ledger.PINCheck {
	check := ledger.PINCheck{Required: g.chance(10)}
	if g.chance(percent) {
		value := g.pinValue()
		check.Compare = func(card uuid.UUID, pin *ledger.PIN) (bool, error) { return pin.Hash == pinHash(card, value), nil }
	}
	return check
}

func (g *generator) pinValue() string { return fmt.Sprintf("000%d", g.IntN(4)) }

// pinHash stands in for the keyed hash of the real thing.
func pinHash(card uuid.UUID, value string) string { return "pin-" + card.String() + "-" + value }

func (g *generator) pin(card uuid.UUID) ledger.PIN {
	return ledger.PIN{
		ID: g.ids.next(), Format: `{"length":4,"numbers":true}`, Hash: pinHash(card, g.pinValue()), KeyID: "key-1",
	}
}
