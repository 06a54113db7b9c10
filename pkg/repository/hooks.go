package repository

import (
	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// Names of events.
const (
	HookTransaction = "wallet_transaction"
	HookCard        = "wallet_card"
	HookPing        = "ping"
)

// HookSubscription is a URL that hears of the events of an account.
type HookSubscription struct {
	ID           uuid.UUID
	URL          string
	Transactions bool // hears of transactions
	Cards        bool // hears of cards that are made, activated and deleted
	Active       bool // an inactive one hears of nothing but pings
	// Secret is sealed under the data key with the id SecretKeyID.
	Secret, SecretKeyID string
	CreatedAt           ledger.Micros
	CreatedBy           string
}

// HookEvent is an event on its way to a subscription. Its id is that of what it tells
// of: a transaction, or whatever made, activated or deleted a card. So it is known
// before the commit, and the same for all subscriptions.
type HookEvent struct {
	Subscription uuid.UUID
	ID           uuid.UUID
	Event        string
	Card         uuid.UUID // the card object; zero for a ping
	// Stream is within what events are told in order of their positions: the card object,
	// or something of its own for an event that stands alone.
	Stream    uuid.UUID
	Position  HookPosition
	CreatedAt ledger.Micros // when it happened
}

// HookPosition is the place of an event in the life of a card.
type HookPosition int64

// A transaction is at four times its seq, which leaves room beside it for what is none.
const (
	hookCreated   HookPosition = 1
	hookActivated HookPosition = 2
	hookPerSeq    HookPosition = 4
	hookDeleted   HookPosition = 3 // behind the last transaction
)

// Change names what an event about a card tells: that it was created, activated or
// deleted.
func (p HookPosition) Change() string {
	switch p {
	case hookCreated:
		return "created"
	case hookActivated:
		return "activated"
	default:
		return "deleted"
	}
}

// loadSubscribers reads who is to hear of the account's events. A subscription that was
// committed before a request was sent is found by the batch that the request is in.
func (r *round) loadSubscribers() {
	if len(r.statements) == 0 { // nothing is going to happen
		return
	}
	tx, l := r.tx, &r.tx.store.texts.hooks.subscribers
	tx.loaded, tx.subscribers = r.account, tx.subscribers[:0]
	r.statements = append(r.statements, reading(l.text, []any{r.account}, l.columns, func(row *hookSubscriberRow) error {
		tx.subscribers = append(tx.subscribers, *row)
		return nil
	}))
}

// hookEvents makes the deliveries of what a book has changed.
func (tx *Tx) hookEvents(account string, c *ledger.Changes) []HookEvent {
	if len(tx.subscribers) == 0 || tx.loaded != account {
		return nil
	}
	var events []HookEvent
	for i := range tx.subscribers {
		s := &tx.subscribers[i]
		if s.Transactions {
			events = appendTransactionEvents(events, s.ID, c)
		}
		if s.Cards {
			events = appendCardEvents(events, s.ID, c)
		}
	}
	tx.hooked = tx.hooked || len(events) > 0
	return events
}

func appendTransactionEvents(events []HookEvent, subscription uuid.UUID, c *ledger.Changes) []HookEvent {
	for i := range c.Txns {
		txn := &c.Txns[i]
		events = append(events, HookEvent{
			Subscription: subscription, ID: txn.ID, Event: HookTransaction, Card: txn.Card, Stream: txn.Card,
			Position: hookPerSeq * HookPosition(txn.Seq), CreatedAt: txn.CreatedAt,
		})
	}
	return events
}

func appendCardEvents(events []HookEvent, subscription uuid.UUID, c *ledger.Changes) []HookEvent {
	activated := make(map[uuid.UUID]bool, len(c.Activated))
	for _, id := range c.Activated {
		activated[id] = true
	}
	add := func(card *ledger.Card, id uuid.UUID, position HookPosition, at ledger.Micros) {
		events = append(events, HookEvent{
			Subscription: subscription, ID: id, Event: HookCard, Card: card.ID, Stream: card.ID, Position: position, CreatedAt: at,
		})
	}
	for i := range c.NewCards {
		add(&c.NewCards[i], c.NewCards[i].ID, hookCreated, c.NewCards[i].CreatedAt)
	}
	for _, list := range [][]ledger.Card{c.NewCards, c.Cards} {
		for i := range list {
			card := &list[i]
			if activated[card.ID] {
				add(card, idBeside(card.ActivationID), hookActivated, c.At)
			}
			if card.Deleted() {
				add(card, card.DeletionID, hookPerSeq*HookPosition(card.Seq)+hookDeleted, *card.DeletedAt)
			}
		}
	}
	return events
}

// idBeside makes another id of an id: an activation shares its own with its opening fund,
// and a card with its stream.
func idBeside(id uuid.UUID) uuid.UUID {
	const version, ours = 6, 0x80 // a UUIDv8, which is free to mean what we like
	id[version] = id[version]&0x0f | ours
	return id
}

// Hooked tells whether the transaction wrote deliveries.
func (tx *Tx) Hooked() bool { return tx.hooked }
