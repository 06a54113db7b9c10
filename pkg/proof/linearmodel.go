package proof

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// verb is what a request of a history asks for.
type verb string

// The verbs.
const (
	doFund     verb = "fund"
	doDrawdown verb = "drawdown"
	doPending  verb = "pending"
	doCapture  verb = "capture"
	doVoid     verb = "void"
	doGet      verb = "get"
	// doEnd is nobody's request: it marks the end of a history.
	doEnd verb = "end"
)

// request is one of a history. Two are the same request when they are equal.
type request struct {
	card   string
	verb   verb
	ref    string
	parent string // the hold that a capture or void names
	amount int64
	given  bool // whether a capture says its amount
}

// outcome is what came of a request.
type outcome struct {
	// lost tells that no answer came: the request may have taken effect, may do so
	// later, or never.
	lost     bool
	status   int
	code     string // that of a refusal
	existing string // the transaction that a refusal names
	replayed bool
	txn      transaction
	body     string // of an answer with a transaction
	card     card   // the answer to a get, without its id
}

// model is what a card promises somebody who is alone with it. It is written from the
// contract, and knows nothing of the server's code.
var model = porcupine.Model{
	Partition: byCard,
	Init:      func() any { return purse{funds: linearOpening} },
	Step: func(state, input, output any) (bool, any) {
		return state.(purse).step(input.(request), output.(outcome))
	},
	Equal:             func(a, b any) bool { return a.(purse).equal(b.(purse)) },
	DescribeOperation: func(input, output any) string { return input.(request).String() + " → " + output.(outcome).String() },
	DescribeState:     func(state any) string { return state.(purse).String() },
}

// decide tells whether there is an order of the requests in which one client after the
// other would have been told the same.
//
// A request without an answer may have taken effect at any time, or never: the model
// gives it an effect before the end of the history, or ignores it afterwards. One that
// could go unnoticed before the end as well would double the orders to try each time.
func decide(history []porcupine.Operation, timeout time.Duration) (porcupine.CheckResult, porcupine.LinearizationInfo) {
	end := int64(0)
	for _, o := range history {
		end = max(end, o.Return+1)
	}
	ended := slices.Clone(history)
	for i := range ended {
		if ended[i].Output.(outcome).lost {
			ended[i].Return = end + 1
		}
	}
	for _, part := range byCard(history) {
		mark := request{card: part[0].Input.(request).card, verb: doEnd}
		ended = append(ended, porcupine.Operation{Input: mark, Output: outcome{}, Call: end, Return: end})
	}
	return porcupine.CheckOperationsVerbose(model, ended, timeout)
}

// byCard parts a history: cards have nothing to do with each other.
func byCard(history []porcupine.Operation) [][]porcupine.Operation {
	parts := map[string][]porcupine.Operation{}
	var names []string
	for _, o := range history {
		name := o.Input.(request).card
		if parts[name] == nil {
			names = append(names, name)
		}
		parts[name] = append(parts[name], o)
	}
	parted := make([][]porcupine.Operation, 0, len(names))
	for _, name := range names {
		parted = append(parted, parts[name])
	}
	return parted
}

// purse is the model's idea of a card between two requests. It never changes: a step
// makes another one.
type purse struct {
	funds, drawdown int64
	deeds           []deed // sorted by ref_id
	ended           bool
}

// deed is a request that took effect.
type deed struct {
	request request
	// txn has no id as long as nobody was told of it, and told is the answer that told
	// of it first.
	txn  transaction
	told string
	// locked is what a hold still withholds, while it is open.
	locked int64
	open   bool
}

func (p purse) equal(other purse) bool {
	return p.funds == other.funds && p.drawdown == other.drawdown && p.ended == other.ended &&
		slices.Equal(p.deeds, other.deeds)
}

// step tells whether a request can have had an outcome, and what the card is afterwards.
func (p purse) step(r request, got outcome) (bool, purse) {
	switch {
	case r.verb == doEnd:
		p.ended = true
		return true, p
	case p.ended: // only what has no answer is left
		return got.lost, p
	case r.verb == doGet:
		return got.status == http.StatusOK && got.card == p.figures(r.card), p
	}
	hold := slices.IndexFunc(p.deeds, func(d deed) bool { return d.txn.ID == r.parent })
	if r.parent != "" && hold < 0 {
		return got.is(http.StatusNotFound, "not_found"), p
	}
	if n, found := p.find(r.ref); found {
		return p.again(n, r, got)
	}
	amount, refusal := p.decide(r, hold)
	if refusal != "" {
		return got.is(http.StatusConflict, refusal), p
	}
	next := deed{request: r, txn: transaction{RefID: r.ref, Type: typeOf(r.verb), Amount: amount, ParentID: r.parent}}
	if !got.lost {
		if got.replayed || !p.tells(next.txn, got) {
			return false, p
		}
		next.txn, next.told = got.txn, got.body
	}
	return true, p.with(next, hold)
}

func (p purse) find(ref string) (int, bool) {
	return slices.BinarySearchFunc(p.deeds, ref, func(d deed, ref string) int { return cmp.Compare(d.request.ref, ref) })
}

// again is a request under a ref_id that has been used.
func (p purse) again(n int, r request, got outcome) (bool, purse) {
	first := p.deeds[n]
	switch {
	case got.lost: // it changes nothing
		return false, p
	case r != first.request:
		named := first.txn.ID == "" || first.txn.ID == got.existing
		return named && got.is(http.StatusConflict, "ref_id_conflict"), p
	case !got.replayed:
		return false, p
	case first.txn.ID != "":
		return got.status == http.StatusOK && got.txn == first.txn && got.body == first.told, p
	case !p.tells(first.txn, got):
		return false, p
	}
	p.deeds = slices.Clone(p.deeds)
	p.deeds[n].txn, p.deeds[n].told = got.txn, got.body
	return true, p
}

// tells tells whether an answer is the first news of a transaction. Its id is the
// server's choice, if it is a new one.
func (p purse) tells(want transaction, got outcome) bool {
	want.ID = got.txn.ID
	return got.status == http.StatusOK && got.txn == want && want.ID != "" &&
		!slices.ContainsFunc(p.deeds, func(d deed) bool { return d.txn.ID == want.ID })
}

// decide says what a request is about, in minor currency units, or the code that refuses
// it.
func (p purse) decide(r request, hold int) (amount int64, refusal string) {
	switch r.verb {
	case doDrawdown, doPending:
		if r.amount > p.figures(r.card).Available {
			return 0, "insufficient_funds"
		}
	case doCapture, doVoid:
		switch h := p.deeds[hold]; {
		case !h.open:
			return 0, "transaction_not_pending"
		case r.verb == doVoid || !r.given:
			return h.locked, ""
		case r.amount > h.locked:
			return 0, "amount_exceeds_reserved"
		}
	default: // there is always room for more
	}
	return r.amount, ""
}

// with is the card after a deed.
func (p purse) with(next deed, hold int) purse {
	p.deeds = slices.Clone(p.deeds)
	amount := next.txn.Amount
	switch next.request.verb {
	case doFund:
		p.funds += amount
	case doDrawdown:
		p.drawdown += amount
	case doPending:
		next.locked, next.open = amount, true
	case doCapture:
		p.drawdown += amount
		p.release(hold, amount)
	case doVoid:
		p.release(hold, amount)
	default: // nothing else is a deed
	}
	n, _ := p.find(next.request.ref)
	p.deeds = slices.Insert(p.deeds, n, next)
	return p
}

// release takes from a hold, which closes when nothing is left in it.
func (p purse) release(hold int, amount int64) {
	h := &p.deeds[hold]
	h.locked -= amount
	h.open = h.locked > 0
}

// figures are what a get has to answer.
func (p purse) figures(cardID string) card {
	is := card{CardID: cardID, Funds: p.funds, Drawdown: p.drawdown, Balance: p.funds - p.drawdown}
	for i := range p.deeds {
		is.Pending += p.deeds[i].locked
	}
	is.Reserved, is.Available = is.Pending, is.Balance-is.Pending
	return is
}

// typeOf is the type that a transaction has in answers.
func typeOf(v verb) string {
	switch v {
	case doFund:
		return "fund"
	case doPending:
		return "pending_capture"
	case doVoid:
		return "voided"
	default: // a capture too
		return "drawdown"
	}
}

// is tells whether a request was refused like this.
func (o outcome) is(status int, code string) bool {
	return !o.lost && o.status == status && o.code == code
}

// String is for the picture of a history, as are the others.
func (r request) String() string {
	text := string(r.verb)
	if r.verb == doFund || r.verb == doDrawdown || r.verb == doPending || r.given {
		text += fmt.Sprintf(" %d", r.amount)
	}
	if r.parent != "" {
		text += " of " + short(r.parent)
	}
	if r.ref != "" {
		text += " as " + r.ref
	}
	return text
}

func (o outcome) String() string {
	switch {
	case o.lost:
		return "no answer"
	case o.status == 0:
		return "ended"
	case o.status != http.StatusOK:
		return fmt.Sprintf("%d %s", o.status, o.code)
	case o.txn.ID == "":
		return fmt.Sprintf("funds %d, drawdown %d, pending %d, available %d",
			o.card.Funds, o.card.Drawdown, o.card.Pending, o.card.Available)
	case o.replayed:
		return fmt.Sprintf("%s %d %s again", o.txn.Type, o.txn.Amount, short(o.txn.ID))
	}
	return fmt.Sprintf("%s %d %s", o.txn.Type, o.txn.Amount, short(o.txn.ID))
}

func (p purse) String() string {
	text := []string{fmt.Sprintf("funds %d, drawdown %d, available %d", p.funds, p.drawdown, p.figures("").Available)}
	for i := range p.deeds {
		if p.deeds[i].open {
			text = append(text, fmt.Sprintf("%s holds %d", short(p.deeds[i].txn.ID), p.deeds[i].locked))
		}
	}
	return strings.Join(text, "; ")
}

// short is the end of an id, which tells two of the same second apart.
func short(id string) string { return id[max(0, len(id)-6):] }
