package audit

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// history replays the transactions of one card. What it notices on the way it
// reports; what is left at the end is compared with the card by its user.
type history struct {
	account string
	card    *repository.CardRecord
	report  func(Finding)

	project   projector
	balance   ledger.Balance
	projected bool // false once a transaction could not be projected
	seq       int64
	digest    ledger.Digest
	lastAt    ledger.Micros
	count     int64

	holds map[uuid.UUID]hold // open ones
	wrong map[uuid.UUID]hold // settled ones that are stored otherwise

	lastKey string         // the id of the last transaction, as stored
	ends    bool           // the last transaction repeats the card's figures
	after   []amendedAfter // transactions that repeat them wrongly

	cuts      []cut      // the heads that are wanted
	positions []position // how far the history had come at the end of each

	anchored bool     // the card's stored digest was met in the chain
	beyond   bool     // and transactions after it
	broken   *Finding // the first reason not to trust the replay
}

// hold is a hold as the replay has it and as it is stored, and what its captures
// and voids add up to.
type hold struct {
	want, stored ledger.Hold
	found        bool
	taken        int64 // minor currency units
	settlements  int64
}

// summed is the hold in closed form: nothing of what package ledger does.
func (h *hold) summed() ledger.Hold {
	sum := h.want
	sum.Locked = sum.Amount - h.taken
	sum.Open = sum.Locked > 0 || h.settlements == 0
	return sum
}

func (h *hold) agrees() bool { return h.found && h.want == h.stored && h.summed() == h.stored }

// projector is what a replay makes balances with: ledger.Project, but for the test
// that shows what happens when that is wrong.
type projector func(ledger.Balance, *ledger.Transaction) (ledger.Balance, error)

func (w *walker) newHistory(card *repository.CardRecord) *history {
	h := &history{
		account: w.account, card: card, report: w.report, project: w.project, projected: true,
		anchored: card.Card.Digest == ledger.Digest{},
	}
	if len(w.cuts) > 0 {
		h.cuts, h.positions = w.cuts, make([]position, len(w.cuts))
	}
	if earlier := w.page.earlier; earlier != nil && earlier.cards[card.Key] != nil {
		h.goOn(earlier.cards[card.Key], earlier)
	}
	return h
}

// finding starts a finding about the card itself.
func (h *history) finding(figure, problem string) Finding {
	return Finding{
		Account: h.account, Card: h.card.Key, CardID: h.card.Card.CardID, Row: CardRow, ID: h.card.Key,
		Figure: figure, Problem: problem,
	}
}

// at starts a finding about a transaction of the card.
func (h *history) at(row *repository.TxnRecord, figure, problem string) Finding {
	f := h.finding(figure, problem)
	f.Row, f.ID, f.Seq = TxnRow, row.Key, row.Txn.Seq
	return f
}

// breaks reports a finding after which the replay proves nothing any more.
func (h *history) breaks(f Finding) {
	if h.broken == nil {
		h.broken = &f
	}
	h.report(f)
}

// unreadable is the problem of a value that cannot be what a server wrote.
const unreadable = "holds a value that no server writes"

// step replays the next transaction. After a wrong row it goes on from the row as
// it is stored, so that a single wrong row is a single finding.
func (h *history) step(row *repository.TxnRecord) {
	for _, column := range row.Defects {
		h.breaks(h.at(row, column, unreadable))
	}
	h.count++
	h.link(row)
	h.cut(&row.Txn)
	h.move(row)
	h.repeat(row)
	h.hold(row)
	h.check(row)
}

// link checks the row's place: its seq, its digest and its time.
func (h *history) link(row *repository.TxnRecord) {
	txn := &row.Txn
	if h.anchored && !h.beyond {
		h.beyond = true
		h.report(h.at(row, "seq", "comes after the transaction that the card keeps as its last"))
	}
	if expected := h.seq + 1; txn.Seq != expected {
		h.gap(expected, txn.Seq-1)
		f := h.at(row, "seq", "is not the one after the transaction before")
		f.Stored, f.Replayed = number(txn.Seq), number(expected)
		h.breaks(f)
	}
	if digest := ledger.Chain(h.digest, h.account, txn); digest != txn.Digest {
		f := h.at(row, "digest", "is not that of the row and the one before: one of them was edited, or rows between are missing")
		f.Stored, f.Replayed = txn.Digest.String(), digest.String()
		h.breaks(f)
	}
	if h.count > 1 && txn.CreatedAt < h.lastAt {
		f := h.at(row, "created_at", "is before the transaction before")
		f.Stored = moment(txn.CreatedAt)
		h.report(f)
	}
	h.seq, h.digest, h.lastAt = txn.Seq, txn.Digest, txn.CreatedAt
	h.anchored = h.anchored || h.digest == h.card.Card.Digest
}

// gap reports transactions that are not there, by their numbers: no row is left that
// could be named.
func (h *history) gap(first, last int64) {
	if first > last {
		return
	}
	f := h.finding("seq", "is missing")
	if first < last {
		f.Problem = fmt.Sprintf("is missing, and so are all up to %d", last)
	}
	f.Row, f.ID, f.Seq = TxnRow, "", first
	h.report(f)
}

// checkEnd compares the end of the history with what the card keeps of it.
func (h *history) checkEnd() {
	if !h.anchored {
		h.gap(h.seq+1, h.card.Card.Seq)
	}
	for _, wrong := range h.amended() {
		h.report(h.afterFinding(&wrong))
	}
}

// move projects the row's amount on the balance.
func (h *history) move(row *repository.TxnRecord) {
	if !h.projected {
		return
	}
	balance, err := h.project(h.balance, &row.Txn)
	if err != nil {
		f := h.at(row, "amount", "cannot follow on the balance before it")
		f.Stored = number(row.Txn.Amount)
		h.breaks(f)
		h.projected = false
		return
	}
	h.balance = balance
}

// hold opens or settles the hold that a transaction is about.
func (h *history) hold(row *repository.TxnRecord) {
	txn := &row.Txn
	switch {
	case txn.Type == ledger.TypePending:
		opened := hold{want: ledger.OpenHold(txn), stored: row.Hold, found: row.HasHold}
		if h.holds == nil {
			h.holds = make(map[uuid.UUID]hold)
		}
		h.holds[txn.ID] = opened
	case txn.Address == ledger.ByTransaction:
		h.settle(row)
	}
}

func (h *history) settle(row *repository.TxnRecord) {
	txn := &row.Txn
	settled, open := h.holds[txn.Parent]
	if !open {
		f := h.at(row, "parent_id", "names no transaction of the card that was still pending")
		f.Stored = txn.Parent.String()
		h.breaks(f)
		return
	}
	settled.taken, settled.settlements = settled.taken+txn.Amount, settled.settlements+1
	want, err := ledger.SettleHold(settled.want, txn)
	if err != nil {
		f := h.at(row, "amount", "is not what its pending transaction still locked")
		if txn.Type == ledger.TypeDrawdown {
			f.Problem = "is more than its pending transaction still locked"
		}
		f.Stored, f.Replayed = number(txn.Amount), number(settled.want.Locked)
		h.breaks(f)
		return
	}
	if !txn.AmountGiven && want.Open {
		f := h.at(row, "amount_given", "says that all was taken, but something is left")
		f.Stored, f.Replayed = number(txn.Amount), number(settled.want.Locked)
		h.report(f)
	}
	settled.want = want
	if want.Open {
		h.holds[txn.Parent] = settled
		return
	}
	delete(h.holds, txn.Parent)
	h.compare(settled)
}

// compare notes a hold that is stored otherwise, once the replay is done with it.
func (h *history) compare(done hold) {
	if done.agrees() {
		return
	}
	if h.wrong == nil {
		h.wrong = make(map[uuid.UUID]hold)
	}
	h.wrong[done.want.ID] = done
}

// differing lists all holds that are stored otherwise, at the end of the history.
func (h *history) differing() []hold {
	var differing []hold
	for _, holds := range []map[uuid.UUID]hold{h.holds, h.wrong} {
		for _, one := range holds {
			if !one.agrees() {
				differing = append(differing, one)
			}
		}
	}
	slices.SortFunc(differing, func(a, b hold) int { return bytes.Compare(a.want.ID[:], b.want.ID[:]) })
	return differing
}

// restored is the card with its projection as the history has it.
func (h *history) restored() ledger.Card {
	card := h.card.Card
	card.Balance, card.OpenHolds = h.balance, int64(len(h.holds))
	card.Seq, card.Digest, card.LastTxnAt = h.seq, h.digest, h.lastAt
	return card
}
