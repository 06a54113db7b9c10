package audit

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// checkCard compares a card with its history, once that is complete.
func (w *walker) checkCard(h *history) {
	for _, column := range h.card.Defects {
		w.report(h.finding(column, unreadable))
	}
	h.checkEnd()
	w.checkFigures(h)
	w.checkHolds(h)
	w.checkProperties(h)
}

// figure is a projected column of a card in its three versions.
type figure struct {
	column                   string
	stored, replayed, summed string
	uncertain                bool // the replay did not get to its end
}

// figures lists the projection of a card. Without sums, as in a rebuild, those
// stay empty.
func (h *history) figures() []figure {
	stored, replayed := &h.card.Card, h.restored()
	return []figure{
		{"amount_funds", number(stored.Funds), number(replayed.Funds), "", !h.projected},
		{"amount_drawdown", number(stored.Drawdown), number(replayed.Drawdown), "", !h.projected},
		{"amount_pending", number(stored.Pending), number(replayed.Pending), "", !h.projected},
		{"amount_reserved", number(stored.Reserved), number(replayed.Reserved), "", !h.projected},
		{"open_holds", number(stored.OpenHolds), number(replayed.OpenHolds), "", false},
		{"seq", number(stored.Seq), number(replayed.Seq), "", false},
		{"last_txn_at", moment(stored.LastTxnAt), moment(replayed.LastTxnAt), "", false},
		{"digest", stored.Digest.String(), replayed.Digest.String(), "", false},
		{"usage", h.card.Usage, repository.UsageOf(&replayed), "", !h.projected},
	}
}

func (w *walker) checkFigures(h *history) {
	sums, holds := w.page.sums[h.card.Key], w.page.holdSums[h.card.Key]
	restored := h.restored()
	same := h.projected && restored == h.card.Card && h.card.Usage == repository.UsageOf(&restored)
	if same && h.count == sums.Count && agree(&h.card.Card, &sums, holds) {
		return
	}
	figures := h.figures()
	for i, summed := range []string{
		number(sums.Funds), number(sums.Drawdown), number(sums.Pending), number(sums.Pending),
		number(holds.Open), number(sums.Count), moment(sums.LastAt),
	} {
		figures[i].summed = summed
	}
	for _, is := range figures {
		if is.uncertain {
			is.replayed = ""
		}
		agrees := (is.replayed == "" || is.replayed == is.stored) && (is.summed == "" || is.summed == is.stored)
		if agrees {
			continue
		}
		f := h.finding(is.column, "disagrees with the transactions")
		f.Stored, f.Replayed, f.Summed = is.stored, is.replayed, is.summed
		w.report(f)
	}
	if h.count != sums.Count {
		f := h.finding("seq", "has holes or repetitions: a reading in its order and a count find different numbers of transactions")
		f.Replayed, f.Summed = number(h.count), number(sums.Count)
		w.report(f)
	}
	for _, column := range slices.Concat(sums.Defects, holds.Defects) {
		w.report(h.finding(column, "cannot be summed: a row holds a value that no server writes"))
	}
	if h.card.Card.Pending != holds.Locked {
		f := h.finding("amount_pending", "is not what the open holds lock")
		f.Stored, f.Summed = number(h.card.Card.Pending), number(holds.Locked)
		w.report(f)
	}
}

// agree is the second opinion: sums in closed form, which know nothing of a replay.
func agree(c *ledger.Card, sums *repository.Sums, holds repository.HoldSums) bool {
	return len(sums.Defects)+len(holds.Defects) == 0 &&
		c.Funds == sums.Funds && c.Drawdown == sums.Drawdown && c.Pending == sums.Pending && c.Reserved == sums.Pending &&
		c.Pending == holds.Locked && c.OpenHolds == holds.Open && c.Seq == sums.Count && c.LastTxnAt == sums.LastAt
}

// checkHolds reports the holds that are stored otherwise than the replay or the
// sums have them.
func (w *walker) checkHolds(h *history) {
	for _, one := range h.differing() {
		w.report(h.holdFinding(&one))
	}
}

// holdFinding says in what a stored hold differs.
func (h *history) holdFinding(one *hold) Finding {
	f := h.finding("", "disagrees with the transactions")
	f.Row, f.ID = HoldRow, one.want.ID.String()
	stored, want, summed := one.stored, one.want, one.summed()
	switch {
	case !one.found:
		f.Figure, f.Problem = "id", "is missing: its pending transaction has no hold"
	case stored.Card != want.Card:
		f.Figure, f.Stored, f.Replayed = "card_object_id", stored.Card.String(), want.Card.String()
	case stored.Amount != want.Amount:
		f.Figure, f.Stored, f.Replayed = "amount", number(stored.Amount), number(want.Amount)
	case stored.Locked != want.Locked, stored.Locked != summed.Locked:
		f.Figure, f.Stored, f.Replayed, f.Summed = "locked", number(stored.Locked), number(want.Locked), number(summed.Locked)
	default:
		f.Figure, f.Stored, f.Replayed, f.Summed = "open", flag(stored.Open), flag(want.Open), flag(summed.Open)
	}
	return f
}

// checkLeftovers reports, at the end of a span, what belongs to no card's replay:
// holds without a transaction, or without a card, and shared ref_ids.
func (w *walker) checkLeftovers() {
	for _, stray := range w.page.strays {
		w.report(Finding{
			Account: w.account, Card: stray.CardKey, CardID: w.cardID(stray.CardKey), Row: HoldRow, ID: stray.Key,
			Figure: "id", Problem: "is that of no pending transaction of the card",
		})
	}
	for i := range w.page.refs {
		r := &w.page.refs[i]
		w.report(Finding{
			Account: w.account, Card: r.CardKey, CardID: w.cardID(r.CardKey), Row: TxnRow, ID: r.Key, Seq: r.Txn.Seq,
			Figure: "ref_id", Problem: "is that of another transaction of the card too",
		})
	}
}

// card finds a card of the page by its key.
func (w *walker) card(key string) (*repository.CardRecord, bool) {
	i, found := slices.BinarySearchFunc(w.page.cards, key, func(c repository.CardRecord, key string) int {
		return strings.Compare(c.Key, key)
	})
	if !found {
		return nil, false
	}
	return &w.page.cards[i], true
}

func (w *walker) cardID(key string) string {
	if card, found := w.card(key); found {
		return card.Card.CardID
	}
	return ""
}

// checkProperties applies the rules about a card that need no history.
func (w *walker) checkProperties(h *history) {
	card := &h.card.Card
	rules := []struct {
		obeyed          bool
		column, problem string
	}{
		{card.Check() == nil, "balance", "breaks a rule of balances: all ≥ 0, drawdown + reserved ≤ funds, pending ≤ reserved"},
		{card.Type == ledger.GiftCard || card.Type == ledger.CreditNote, "type", "is none that there is"},
		{card.Amount >= 0 && card.Amount <= ledger.MaxAmount, "amount", "is out of range"},
		{card.Amount == 0 || h.count > 0, "amount", "is that of an opening transaction that is missing"},
		{card.Activated || card.Amount == 0, "amount", "is not 0, but the card was never activated"},
		{card.Activated || card.Currency == "", "currency", "is given, but the card was never activated"},
		{card.Activated || card.ActivationID == uuid.Nil, "activation_id", "is given, but the card was never activated"},
		{!card.Activated || known(card.Currency), "currency", "is none that there is"},
		{card.Deleted() == (card.DeletionID != uuid.Nil), "deleted_at", "and deletion_id belong together"},
		{card.Deleted() || card.DeletedBy == "", "deleted_by", "is given, but the card is not deleted"},
		{!card.Deleted() || len(h.holds) == 0 && card.OpenHolds == 0, "deleted_at", "is given, but the card has open holds"},
		{h.card.SearchText, "search_text", "is not that of card_id and customer_id"},
	}
	for _, rule := range rules {
		if !rule.obeyed {
			w.report(h.finding(rule.column, rule.problem))
		}
	}
}

func known(currency ledger.Currency) bool {
	switch currency {
	case ledger.NOK, ledger.SEK, ledger.DKK, ledger.EUR, ledger.USD:
		return true
	}
	return false
}
