package audit

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// earlier is what a saved state knows of a span of cards, and what there is now where
// it says that their histories ended.
type earlier struct {
	cards map[string]*standing
	ends  map[string]repository.EndRecord
	holds map[uuid.UUID]ledger.Hold // those that were open, as they are stored now
}

// gonePage is how many missing cards are reported in one step.
const gonePage = 512

// nextAccount is the next account that has rows or is in the saved state.
func (s *source) nextAccount(ctx context.Context, after *string) (account string, found bool, err error) {
	account, found, err = s.rest.NextAccount(ctx, after)
	if err != nil {
		return "", false, fmt.Errorf("find the next account: %w", err)
	}
	if s.since != nil && s.since.account != nil && (!found || *s.since.account < account) {
		return *s.since.account, true, nil
	}
	return account, found, nil
}

// recall takes the cards of a page out of the saved state, and hands on those that are
// not there any more.
func (s *source) recall(ctx context.Context, account string, page *cardPage) error {
	state := s.since
	page.earlier = &earlier{cards: map[string]*standing{}}
	if state.account == nil || *state.account != account {
		return nil
	}
	var gone []string
	at := 0
	for state.card != nil && (page.span.Upto == "" || state.card.key() <= page.span.Upto) {
		key := state.card.key()
		for at < len(page.cards) && page.cards[at].Key < key {
			at++
		}
		if at < len(page.cards) && page.cards[at].Key == key {
			page.earlier.cards[key] = state.card
		} else if gone = append(gone, key); len(gone) == gonePage {
			if err := emit(ctx, s.spans, step{kind: cardsGone, gone: gone}); err != nil {
				return err
			}
			gone = nil
		}
		if err := state.nextCard(); err != nil {
			return err
		}
	}
	if len(gone) > 0 {
		if err := emit(ctx, s.spans, step{kind: cardsGone, gone: gone}); err != nil {
			return err
		}
	}
	if page.span.Upto == "" {
		return state.nextAccount()
	}
	return nil
}

// skipTo passes over the accounts of the saved state before the only one that is audited.
func (s *source) skipTo(account string) error {
	for s.since != nil && s.since.account != nil && *s.since.account < account {
		for s.since.card != nil {
			if err := s.since.nextCard(); err != nil {
				return err
			}
		}
		if err := s.since.nextAccount(); err != nil {
			return err
		}
	}
	return nil
}

// lookBehind reads what is stored at and behind the ends that the saved state knows.
func (s *source) lookBehind(ctx context.Context, account string, page *cardPage) error {
	var places []repository.CardEnd
	var open []uuid.UUID
	for i := range page.cards {
		place := repository.CardEnd{Card: page.cards[i].Card.ID}
		if was := page.earlier.cards[page.cards[i].Key]; was != nil {
			place.Seq = was.Seq
			for _, hold := range was.Holds {
				open = append(open, hold.ID)
			}
		}
		places = append(places, place)
	}
	var err error
	if page.earlier.ends, err = s.pages.Ends(ctx, account, places); err != nil {
		return err
	}
	if page.sums, err = s.pages.SumsSince(ctx, account, places); err != nil {
		return err
	}
	page.earlier.holds, err = s.pages.Holds(ctx, account, open)
	for key, was := range page.earlier.cards {
		page.sums[key] = was.plus(page.sums[key])
	}
	return err
}

// plus is what a card's transactions come to, in closed form: what was summed up when
// the state was saved, and what came since.
func (s *standing) plus(since repository.Sums) repository.Sums {
	since.Funds += s.Funds
	since.Drawdown += s.Drawdown
	since.Pending += s.Pending
	since.Count += s.Seq
	since.LastAt = max(since.LastAt, s.LastAt)
	return since
}

// readSince reads what came after the ends of a page's cards: of each card that has
// more, and of cards that the state does not know in one go, since most of those come
// one after the other.
func (s *source) readSince(ctx context.Context, account string, page *cardPage) error {
	from := repository.TxnPosition{CardKey: page.span.After, Seq: repository.LastSeq}
	for i := range page.cards {
		key := page.cards[i].Key
		was, known := page.earlier.cards[key]
		if !known {
			if i+1 < len(page.cards) && page.earlier.cards[page.cards[i+1].Key] == nil {
				continue // the next one is new too
			}
			upto := key
			if i+1 == len(page.cards) {
				upto = page.span.Upto
			}
			if err := s.readTxns(ctx, account, from, upto); err != nil {
				return err
			}
		} else if page.earlier.ends[key].Last > was.Seq {
			if err := s.readTxns(ctx, account, repository.TxnPosition{CardKey: key, Seq: was.Seq}, key); err != nil {
				return err
			}
		}
		from = repository.TxnPosition{CardKey: key, Seq: repository.LastSeq}
	}
	return nil
}

// goOn begins a history where the saved state ends.
func (h *history) goOn(was *standing, now *earlier) {
	h.balance, h.seq, h.digest, h.lastAt, h.count = was.balance(), was.Seq, was.digest, was.LastAt, was.Seq
	h.anchored = h.anchored || h.digest == h.card.Card.Digest
	if len(was.Holds) > 0 {
		h.holds = make(map[uuid.UUID]hold, len(was.Holds))
	}
	for _, open := range was.Holds {
		one := hold{
			want:  ledger.Hold{ID: open.ID, Card: was.ID, Amount: open.Amount, Locked: open.Locked, Open: true},
			taken: open.Amount - open.Locked,
		}
		one.stored, one.found = now.holds[open.ID]
		if one.taken > 0 {
			one.settlements = 1
		}
		h.holds[open.ID] = one
	}
	h.checkJoint(was, now.ends[h.card.Key])
}

// checkJoint compares the transaction with which the saved history ended.
func (h *history) checkJoint(was *standing, is repository.EndRecord) {
	if was.Seq == 0 || is.Digest == was.digest {
		return
	}
	f := h.finding("digest", "is not the one in the saved state: the history before it was rewritten")
	f.Row, f.ID, f.Seq = TxnRow, is.Key, was.Seq
	f.Stored, f.Saved = is.Digest.String(), was.Digest
	if is.Key == "" {
		f.Figure, f.Problem, f.Stored, f.Saved = "seq", "is missing, with which the history in the saved state ends", "", ""
	}
	h.report(f)
}

// cardsGone reports cards of the saved state that there are not any more.
func (w *walker) cardsGone(keys []string) {
	for _, key := range keys {
		w.report(Finding{
			Account: w.account, Card: key, Row: CardRow, ID: key, Figure: "id",
			Problem: "is missing: the saved state has such a card",
		})
	}
}

// openHolds lists what the history leaves open, by id.
func (h *history) openHolds() []ledger.Hold {
	open := make([]ledger.Hold, 0, len(h.holds))
	for _, one := range h.holds {
		open = append(open, one.want)
	}
	slices.SortFunc(open, func(a, b ledger.Hold) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return open
}
