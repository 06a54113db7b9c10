package ledgertest

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// tinySpace is how many values the smallest token format of a script has.
const tinySpace = 60

func (g *generator) createCard(m *Model) ledger.Operation {
	card := g.newCard(m)
	card.Card.Activated = true
	card.Card.Currency = g.currency()
	card.Card.Amount = one(g, 0, 0, 1, 1000, 10_000, g.amount(100_000))
	card.Card.CustomerID, card.Card.Name = g.customer(), one(g, "", "Gift card")
	card.Card.ActiveFrom, card.Card.ExpiresAt = g.moment(), g.moment()
	return &ledger.CreateCards{Cards: []ledger.NewCard{card}}
}

func (g *generator) createBatch(m *Model) ledger.Operation {
	op := &ledger.CreateCards{Batch: true}
	for range one(g, 1, 1, 1, 2, 4) {
		op.Cards = append(op.Cards, g.newCard(m))
	}
	return op
}

// newCard is what a single card and one of a batch have in common.
func (g *generator) newCard(m *Model) ledger.NewCard {
	n := ledger.NewCard{
		Card: ledger.Card{
			ID: g.ids.next(), CardID: g.freeName(m), Type: one(g, ledger.GiftCard, ledger.GiftCard, ledger.CreditNote),
			OriginatedBy: g.origin(), Metadata: g.metadata(), CreatedBy: g.person(),
		},
		OpeningID: g.ids.next(),
	}
	if g.chance(25) {
		pin := g.pin(n.Card.ID)
		n.Card.PIN = &pin
	}
	if g.chance(25) {
		token := g.newToken("")
		n.Token = &token
	}
	return n
}

func (g *generator) newToken(ref string) ledger.NewToken {
	shape := one(g, "default", "default", "tiny")
	n := ledger.NewToken{Token: ledger.Token{
		ID: g.ids.next(), RefID: ref, KeyID: "key-1", Shape: shape, Format: `{"barcode":false}`,
		ExpiresIn: one[int64](g, 0, 0, 1, 60, 3600, 3_153_600_000), SingleUse: g.chance(60),
		Metadata: g.metadata(), CreatedBy: g.person(),
	}}
	g.drawCandidates(&n)
	return n
}

// drawCandidates gives a token new values to choose from; those of the tiny shape
// collide, until there are none left. There are two data keys, and either may be the
// one in use.
func (g *generator) drawCandidates(n *ledger.NewToken) {
	isSecond := g.chance(30)
	n.Token.KeyID, n.Candidates = keyName(isSecond), nil
	add := func(hash, masked string) {
		if isSecond {
			hash = underOtherKey(hash)
		}
		n.Candidates = append(n.Candidates, ledger.TokenCandidate{Hash: hash, Masked: masked, Others: otherHashes(hash)})
	}
	if n.Token.Shape != "tiny" {
		g.count++
		add(fmt.Sprintf("hash-%d", g.count), "DINCARD:****")
		return
	}
	for range 3 {
		add(tinyHash(g.IntN(tinySpace)), "**")
	}
}

// A value's hash under the second key is its hash under the first with a mark.
const secondKeyMark = "'"

func keyName(second bool) string {
	if second {
		return "key-2"
	}
	return "key-1"
}

// underOtherKey is the hash of the same value under the other key.
func underOtherKey(hash string) string {
	if first, isSecond := strings.CutSuffix(hash, secondKeyMark); isSecond {
		return first
	}
	return hash + secondKeyMark
}

func otherHashes(hash string) []ledger.KeyedHash {
	other := underOtherKey(hash)
	return []ledger.KeyedHash{{KeyID: keyName(strings.HasSuffix(other, secondKeyMark)), Hash: other}}
}

func tinyHash(value int) string { return fmt.Sprintf("tiny-%d", value) }

func (g *generator) activate(m *Model) ledger.Operation {
	op := &ledger.Activate{
		ID: g.ids.next(), CardID: g.name(), Amount: one(g, 0, 1, 5000, g.amount(100_000)), Currency: g.currency(),
		CustomerID: g.customer(), Name: one(g, "", "For you"), OriginatedBy: g.origin(), Metadata: g.metadata(),
		ActiveFrom: g.moment(), ExpiresAt: g.moment(), By: g.person(),
	}
	if g.chance(70) { // aim at a card that waits for it
		for _, c := range m.cards {
			if !c.said.Activated && c.said.DeletedAt == nil {
				op.CardID = c.said.CardID
			}
		}
	}
	return op
}

// money writes a fund, a drawdown or a pending.
func (g *generator) money(m *Model, action ledger.Action) ledger.Operation {
	op := &ledger.Transact{
		ID: g.ids.next(), Action: action, RefID: g.ref(m), AmountGiven: true,
		Metadata: g.metadata(), OriginatedBy: g.origin(), By: g.person(),
	}
	card := g.address(m, op)
	op.Currency = ledger.NOK
	limit := int64(10_000)
	if card != nil {
		s := card.sum()
		if op.Currency = card.said.Currency; op.Currency == "" || g.chance(4) {
			op.Currency = g.currency()
		}
		limit = s.available()
		if action == ledger.ActionFund && g.chance(10) {
			limit = greatestAmount - s.funds
		}
	}
	op.Amount = g.amount(limit)
	if g.chance(40) { // leaves most cards something to play with
		op.Amount = min(op.Amount, 1+limit/4)
	}
	op.PIN = g.pinCheck(10)
	return op
}

// address names a card in a request, by card_id or by token, and returns the card
// if there is one.
func (g *generator) address(m *Model, op *ledger.Transact) *modelCard {
	if g.chance(60) {
		op.CardID = g.liveName(m)
		return m.live(op.CardID)
	}
	hash := g.tokenHash(m)
	op.TokenHash, op.OtherHashes = hash, otherHashes(hash)
	if t := m.tokens[hash]; t != nil {
		return t.card
	}
	return nil
}

// tokenHash picks a token, one of a live card if possible, or guesses.
func (g *generator) tokenHash(m *Model) string {
	hash := g.storedHash(m)
	if g.chance(30) { // whoever asks has the value, and does not know its key
		return underOtherKey(hash)
	}
	return hash
}

func (g *generator) storedHash(m *Model) string {
	if g.chance(5) {
		return one(g, tinyHash(g.IntN(tinySpace)), "hash-unknown")
	}
	for range 4 {
		c := g.anyCard(m)
		if c == nil || len(c.tokens) == 0 {
			continue
		}
		if g.chance(60) { // the newest is most likely to be good
			return c.tokens[len(c.tokens)-1].row.Hash
		}
		return one(g, c.tokens...).row.Hash
	}
	return tinyHash(g.IntN(tinySpace))
}

// settlement writes a capture or a void. It names no transaction of the same
// hand-over: nobody knows the id of one before its answer.
func (g *generator) settlement(m *Model, action ledger.Action) ledger.Operation {
	op := &ledger.Transact{
		ID: g.ids.next(), Action: action, RefID: g.ref(m), Parent: g.ids.next(), Metadata: g.metadata(), By: g.person(),
	}
	limit := int64(0)
	for try := 0; try < 4 && limit == 0; try++ { // a hold that still locks something is worth a search
		c := g.anyCard(m)
		if c == nil || g.chance(2) {
			break
		}
		if at := g.parent(m, c); at >= 0 {
			op.Parent, limit = c.facts[at].id, max(c.left[at], 0)
		}
	}
	if action == ledger.ActionCapture && g.chance(70) {
		op.AmountGiven, op.Amount = true, g.amount(limit)
	}
	return op
}

// parent picks a transaction of a card, mostly a hold that is open; -1 when the
// card has none yet.
func (g *generator) parent(m *Model, c *modelCard) int {
	c.sum()
	known := len(c.facts)
	for known > 0 && c.facts[known-1].round == m.round {
		known--
	}
	if known == 0 {
		return -1
	}
	from := g.IntN(known)
	if g.chance(15) {
		return from
	}
	for i := range known {
		if at := (from + i) % known; c.left[at] != settled {
			return at
		}
	}
	return from
}

func (g *generator) createToken(m *Model) ledger.Operation {
	ref := g.ref(m)
	return &ledger.CreateToken{CardID: g.liveName(m), New: g.newToken(ref)}
}

func (g *generator) checkPIN(m *Model) ledger.Operation {
	hash := g.tokenHash(m)
	return &ledger.CheckPIN{TokenHash: hash, OtherHashes: otherHashes(hash), PIN: g.pinCheck(90)}
}

func (g *generator) rotatePIN(m *Model) ledger.Operation {
	value, id := g.pinValue(), g.ids.next()
	return &ledger.RotatePIN{CardID: g.liveName(m), ID: id, PINFor: func(card uuid.UUID) ledger.PIN {
		return ledger.PIN{ID: id, Format: `{"length":4}`, Hash: pinHash(card, value), KeyID: "key-1"}
	}}
}

func (g *generator) deleteCard(m *Model) ledger.Operation {
	name := g.liveName(m)
	if c := m.live(name); c != nil && c.sum().open > 0 && g.chance(80) {
		return g.settlement(m, ledger.ActionVoid) // else hardly any card would ever go
	}
	return &ledger.DeleteCard{ID: g.ids.next(), CardID: name, By: g.person()}
}

// repeat writes the request of an operation again, as a client that retries does:
// the same but for what the server draws.
func (g *generator) repeat(was ledger.Operation) ledger.Operation {
	switch was := was.(type) {
	case *ledger.Transact:
		op := *was
		op.ID = g.ids.next()
		return &op
	case *ledger.CreateToken:
		op := *was
		op.New.Token.ID = g.ids.next()
		g.drawCandidates(&op.New)
		return &op
	case *ledger.Activate:
		op := *was
		op.ID = g.ids.next()
		return &op
	case *ledger.CreateCards:
		return g.repeatCards(was)
	case *ledger.DeleteCard:
		return &ledger.DeleteCard{ID: g.ids.next(), CardID: was.CardID, By: was.By}
	case *ledger.RotatePIN:
		op := *was
		op.ID = g.ids.next()
		return &op
	}
	return was
}

func (g *generator) repeatCards(was *ledger.CreateCards) ledger.Operation {
	op := &ledger.CreateCards{Batch: was.Batch}
	for _, n := range was.Cards {
		n.Card.ID, n.OpeningID = g.ids.next(), g.ids.next()
		if n.Card.PIN != nil {
			pin := g.pin(n.Card.ID)
			n.Card.PIN = &pin
		}
		if n.Token != nil {
			token := *n.Token
			token.Token.ID = g.ids.next()
			g.drawCandidates(&token)
			n.Token = &token
		}
		op.Cards = append(op.Cards, n)
	}
	return op
}

// alter changes something in a request that keeps its ref_id.
func (g *generator) alter(m *Model, op ledger.Operation) ledger.Operation {
	for range 1 + g.IntN(2) {
		switch op := op.(type) {
		case *ledger.Transact:
			g.alterTransact(m, op)
		case *ledger.CreateToken:
			g.alterToken(&op.New)
		}
	}
	return op
}

func (g *generator) alterTransact(m *Model, op *ledger.Transact) {
	settles := op.Parent != uuid.Nil
	switch g.IntN(6) {
	case 0:
		if op.AmountGiven {
			op.Amount = one(g, 0, 1, op.Amount/2)
		}
	case 1:
		op.Metadata = g.metadata()
	case 2:
		if settles {
			other := g.settlement(m, op.Action).(*ledger.Transact)
			op.Parent = other.Parent
			break
		}
		op.Currency = g.currency()
	case 3:
		if settles {
			op.Action = one(g, ledger.ActionCapture, ledger.ActionVoid)
			op.AmountGiven, op.Amount = false, 0
			break
		}
		op.Action = one(g, ledger.ActionFund, ledger.ActionDrawdown, ledger.ActionPending)
	case 4:
		if !settles {
			op.OriginatedBy = g.origin()
		}
	case 5:
		g.readdress(m, op)
	}
}

func (g *generator) alterToken(n *ledger.NewToken) {
	switch g.IntN(4) {
	case 0:
		n.Token.Shape = one(g, "default", "tiny")
		g.drawCandidates(n)
	case 1:
		n.Token.ExpiresIn = one[int64](g, 0, 60, 61)
	case 2:
		n.Token.SingleUse = !n.Token.SingleUse
	case 3:
		n.Token.Metadata = g.metadata()
	}
}

// readdress sends a request to its card in another way, or turns a settlement into
// a request of the other endpoint.
func (g *generator) readdress(m *Model, op *ledger.Transact) {
	if op.Parent != uuid.Nil {
		c := m.moved[op.Parent]
		if c == nil {
			return
		}
		op.Parent, op.CardID, op.Action = uuid.Nil, c.said.CardID, ledger.ActionDrawdown
		op.AmountGiven, op.Currency = true, ledger.NOK
		return
	}
	c := m.live(op.CardID)
	if t := m.tokens[op.TokenHash]; t != nil {
		c = t.card
	}
	if c == nil {
		return
	}
	op.CardID, op.TokenHash, op.OtherHashes = c.said.CardID, "", nil
	if len(c.tokens) > 0 && g.chance(60) {
		op.CardID, op.TokenHash = "", one(g, c.tokens...).row.Hash
		op.OtherHashes = otherHashes(op.TokenHash)
	}
}

// describe puts an operation into words for a failure report.
func describe(op ledger.Operation) string {
	switch op := op.(type) {
	case *ledger.Transact:
		by := "card " + op.CardID
		if op.TokenHash != "" {
			by = "token " + op.TokenHash
		}
		if op.Parent != uuid.Nil {
			by = "transaction " + op.Parent.String()
		}
		return fmt.Sprintf("%s %d (given: %t) %s on %s, ref %s, id %s, pin: %t",
			op.Action, op.Amount, op.AmountGiven, op.Currency, by, op.RefID, op.ID, op.PIN.Compare != nil)
	case *ledger.CreateCards:
		text := fmt.Sprintf("create, batch: %t", op.Batch)
		for _, n := range op.Cards {
			text += fmt.Sprintf("; card %s amount %d %s id %s token: %t pin: %t",
				n.Card.CardID, n.Card.Amount, n.Card.Currency, n.Card.ID, n.Token != nil, n.Card.PIN != nil)
		}
		return text
	case *ledger.Activate:
		return fmt.Sprintf("activate card %s amount %d %s id %s", op.CardID, op.Amount, op.Currency, op.ID)
	case *ledger.CreateToken:
		return fmt.Sprintf("token on card %s, ref %s, id %s, candidates %v", op.CardID, op.New.Token.RefID, op.New.Token.ID, op.New.Candidates)
	case *ledger.CheckPIN:
		return fmt.Sprintf("check pin by token %s, sent: %t, required: %t", op.TokenHash, op.PIN.Compare != nil, op.PIN.Required)
	case *ledger.RotatePIN:
		return fmt.Sprintf("rotate pin of card %s, id %s", op.CardID, op.ID)
	case *ledger.DeleteCard:
		return fmt.Sprintf("delete card %s, id %s", op.CardID, op.ID)
	}
	return fmt.Sprintf("%T", op)
}
