package audit

import (
	"github.com/kortwallet/kort/pkg/repository"
)

// amendedAfter is a transaction that repeats figures of its card wrongly, and what it
// should repeat.
type amendedAfter struct {
	key          string // the transaction's id
	seq          int64
	stored, want repository.FiguresAfter
}

// repeat checks what a transaction repeats of its card. Only the last one of a commit
// does, and which that was is not stored: none at all is right for any but the card's
// last.
func (h *history) repeat(row *repository.TxnRecord) {
	h.lastKey, h.ends = row.Key, row.After.Available.Given
	if !h.projected || row.After == (repository.FiguresAfter{}) {
		return
	}
	if want := repository.FiguresAfterOf(h.balance); row.After != want {
		h.after = append(h.after, amendedAfter{key: row.Key, seq: row.Txn.Seq, stored: row.After, want: want})
	}
}

// amended lists, at the end of the history, what transactions repeat wrongly.
func (h *history) amended() []amendedAfter {
	noted := len(h.after) > 0 && h.after[len(h.after)-1].seq == h.seq
	if h.ends || noted || h.lastKey == "" || !h.projected {
		return h.after
	}
	last := amendedAfter{key: h.lastKey, seq: h.seq, want: repository.FiguresAfterOf(h.balance)}
	return append(h.after[:len(h.after):len(h.after)], last)
}

func (h *history) afterFinding(wrong *amendedAfter) Finding {
	f := h.finding("available_after", "is not what was left on the card after the transaction")
	f.Row, f.ID, f.Seq = TxnRow, wrong.key, wrong.seq
	stored, want := wrong.stored.Available, wrong.want.Available
	if stored == want {
		f.Figure, f.Problem = "balance_after", "is not the balance after the transaction where that is more than is available"
		stored, want = wrong.stored.Balance, wrong.want.Balance
	}
	f.Stored, f.Replayed = optionalNumber(stored), optionalNumber(want)
	return f
}

func optionalNumber(f repository.Figure) string {
	if !f.Given {
		return "none"
	}
	return number(f.Amount)
}

// corrected lists what a rebuild writes of a card's transactions.
func (h *history) corrected() []repository.CorrectedTxn {
	var txns []repository.CorrectedTxn
	for _, wrong := range h.amended() {
		txns = append(txns, repository.CorrectedTxn{Card: h.card.Card.ID, Seq: wrong.seq, After: wrong.want})
	}
	return txns
}
