package tamper

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

const (
	// commits is how many batches an account gets.
	commits = 150
	// maxOperations bounds those of a batch.
	maxOperations = 5
	// minute is the longest pause between two commits, in microseconds.
	minute = int64(time.Minute / time.Microsecond)
)

// accounts have a history each.
var accounts = []string{"P12345678", "T12345678", "T87654321"}

// populate makes histories as servers do: loaded, decided and saved in batches.
func populate(ctx context.Context, store *repository.Store, seed uint64) error {
	for i, account := range accounts {
		h := &history{
			account: account, dice: dice(seed, uint64(100+i)), //nolint:gosec // small
			now: ledger.MicrosOf(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)),
		}
		for range commits {
			if err := h.commit(ctx, store); err != nil {
				return fmt.Errorf("account %s: %w", account, err)
			}
		}
	}
	return nil
}

// history makes the operations of an account.
type history struct {
	account string
	dice    *rand.Rand
	now     ledger.Micros
	made    int // operations, which numbers their refs
	ids     uint64
	cards   []string
	pending []uuid.UUID
	tokens  []ledger.Token
}

// commit posts a batch and saves it in one transaction.
func (h *history) commit(ctx context.Context, store *repository.Store) error {
	h.now += ledger.Micros(1 + h.dice.Int64N(minute))
	ops := make([]ledger.Operation, 1+h.dice.IntN(maxOperations))
	for i := range ops {
		ops[i] = h.operation()
	}
	var results []ledger.Result
	err := store.Write(ctx, func(tx *repository.Tx) error {
		book := ledger.NewBook(h.account, h.now)
		results = results[:0]
		if err := tx.Load(ctx, h.account, book, ops); err != nil {
			return err
		}
		for _, op := range ops {
			result, err := book.Post(op)
			var refusal *ledger.Refusal
			if err != nil && !errors.As(err, &refusal) {
				return err
			}
			if err == nil {
				results = append(results, result)
			}
		}
		return tx.Save(ctx, h.account, book.Changes())
	})
	for i := range results {
		h.learn(&results[i])
	}
	return err
}

// learn remembers what later operations may name.
func (h *history) learn(result *ledger.Result) {
	for i := range result.Cards {
		if id := result.Cards[i].CardID; !slices.Contains(h.cards, id) {
			h.cards = append(h.cards, id)
		}
	}
	if result.Txn.Type == ledger.TypePending {
		h.pending = append(h.pending, result.Txn.ID)
	}
	if result.Token.ID != uuid.Nil {
		h.tokens = append(h.tokens, result.Token)
	}
}

// id is a UUIDv7 of the history's own time, so that rows come in the order of their
// making and the same seed makes the same rows.
func (h *history) id() (id uuid.UUID) {
	const microsPerMilli, timeBits, version, variant = 1000, 16, 0x7000, 0x80
	h.ids++
	binary.BigEndian.PutUint64(id[:], uint64(h.now)/microsPerMilli<<timeBits|version) //nolint:gosec // after 1970
	binary.BigEndian.PutUint64(id[8:], h.ids)
	id[8] = variant | id[8]&0x3f
	return id
}

func (h *history) operation() ledger.Operation {
	h.made++
	ref := fmt.Sprintf("ref-%d", h.made)
	if len(h.cards) == 0 {
		return h.create(ref)
	}
	card := h.cards[h.dice.IntN(len(h.cards))]
	switch h.dice.IntN(24) {
	case 0:
		return h.create(ref)
	case 1, 2:
		return h.activate(card)
	case 3:
		return h.token(card, ref)
	case 4:
		if h.dice.IntN(4) == 0 {
			return &ledger.DeleteCard{ID: h.id(), CardID: card, By: "till 1"}
		}
		return h.money(ledger.ActionFund, card, ref)
	case 5, 6, 7, 8, 9:
		return h.money(ledger.ActionFund, card, ref)
	case 10, 11, 12, 13, 14:
		return h.money(ledger.ActionDrawdown, card, ref)
	case 15, 16, 17, 18:
		return h.money(ledger.ActionPending, card, ref)
	case 19, 20:
		return h.settle(ledger.ActionCapture, card, ref)
	case 21:
		return h.settle(ledger.ActionVoid, card, ref)
	}
	return h.byToken(card, ref)
}

func (h *history) amount() int64 {
	if h.dice.IntN(8) == 0 {
		return 0
	}
	return h.dice.Int64N(2_000)
}

// create makes a card, or a batch of two that wait for their activation.
func (h *history) create(ref string) ledger.Operation {
	card := ledger.Card{CardID: "card " + ref, CustomerID: "Ægir", Type: ledger.GiftCard, CreatedBy: "till 2", Metadata: `{"order":"Ø-1"}`}
	if h.dice.IntN(4) > 0 {
		card.ID, card.Amount, card.Currency, card.Activated = h.id(), 5*h.amount(), ledger.NOK, true
		return &ledger.CreateCards{Cards: []ledger.NewCard{{Card: card, OpeningID: h.id()}}}
	}
	op := &ledger.CreateCards{Batch: true}
	for _, name := range []string{"a", "b"} {
		one := card
		one.ID, one.CardID, one.CustomerID = h.id(), card.CardID+name, ""
		op.Cards = append(op.Cards, ledger.NewCard{Card: one, OpeningID: h.id()})
	}
	return op
}

func (h *history) activate(card string) ledger.Operation {
	return &ledger.Activate{ID: h.id(), CardID: card, Amount: h.amount(), Currency: ledger.NOK, CustomerID: "Njord", By: "till 3"}
}

func (h *history) token(card, ref string) ledger.Operation {
	id := h.id()
	return &ledger.CreateToken{CardID: card, New: ledger.NewToken{
		Token: ledger.Token{
			ID: id, RefID: ref, KeyID: "key", Format: "{}", Shape: "{}", SingleUse: h.dice.IntN(2) == 0, ExpiresIn: 3600, CreatedBy: "till 4",
		},
		Candidates: []ledger.TokenCandidate{{Hash: "hash of " + id.String(), Masked: "*****"}},
	}}
}

func (h *history) transact(action ledger.Action, ref string) *ledger.Transact {
	op := &ledger.Transact{ID: h.id(), Action: action, RefID: ref, Amount: h.amount(), AmountGiven: true, Currency: ledger.NOK, By: "till 5"}
	if h.dice.IntN(2) == 0 {
		op.Metadata, op.OriginatedBy = fmt.Sprintf(`{"order":%q}`, ref), "shop "+ref
	}
	return op
}

func (h *history) money(action ledger.Action, card, ref string) ledger.Operation {
	op := h.transact(action, ref)
	op.CardID = card
	return op
}

// settle captures or voids some pending transaction.
func (h *history) settle(action ledger.Action, card, ref string) ledger.Operation {
	if len(h.pending) == 0 {
		return h.money(ledger.ActionPending, card, ref)
	}
	op := h.transact(action, ref)
	op.Parent, op.Amount = h.pending[h.dice.IntN(len(h.pending))], op.Amount/2
	if action == ledger.ActionVoid || h.dice.IntN(3) == 0 {
		op.Amount, op.AmountGiven = 0, false
	}
	return op
}

func (h *history) byToken(card, ref string) ledger.Operation {
	if len(h.tokens) == 0 {
		return h.token(card, ref)
	}
	op := h.transact([]ledger.Action{ledger.ActionDrawdown, ledger.ActionPending, ledger.ActionFund}[h.dice.IntN(3)], ref)
	op.TokenHash = h.tokens[h.dice.IntN(len(h.tokens))].Hash
	return op
}
