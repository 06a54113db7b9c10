package ledgertest

import (
	"context"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// Target is what the engine drives: something that decides and stores operations.
// Calls come one after the other.
type Target interface {
	// Submit decides one operation at a moment, stores what it changes and returns
	// its result. A refusal is a *ledger.Refusal, possibly wrapped; any other error
	// ends the run. The same operation value may be submitted again: that stands for
	// a second attempt after a commit of unknown outcome.
	Submit(ctx context.Context, account string, now ledger.Micros, op ledger.Operation) (ledger.Result, error)
	// Card reads a card object as it is stored, deleted ones included. For an id
	// that the account does not have it returns an error.
	Card(ctx context.Context, account string, id uuid.UUID) (ledger.Card, error)
	// Transactions reads the whole history of a card object in its order, also when
	// the card is deleted.
	Transactions(ctx context.Context, account string, card uuid.UUID) ([]ledger.Transaction, error)
}

// Batcher is implemented by a Target that can take several operations at once, as
// one batch or as several. The answers come in the order of the operations.
type Batcher interface {
	SubmitAll(ctx context.Context, account string, now ledger.Micros, ops []ledger.Operation) []Answer
}

// Answer is what one operation of a batch came to.
type Answer struct {
	Result ledger.Result
	Err    error
}

// Inspector is implemented by a Target that can show the rows behind a card, in
// any order.
type Inspector interface {
	Holds(ctx context.Context, account string, card uuid.UUID) ([]ledger.Hold, error)
	Tokens(ctx context.Context, account string, card uuid.UUID) ([]ledger.Token, error)
}

// Lister is implemented by a Target that can list cards.
type Lister interface {
	List(ctx context.Context, account string, now ledger.Micros, f Filter) (Page, error)
}

// Filter selects cards of an account. Empty strings, empty slices and nil mean "do
// not filter". All conditions must hold; several currencies are alternatives; the
// bounds of a range belong to it.
type Filter struct {
	Type                       ledger.CardType
	Status                     ledger.Status
	Customer                   string
	Currencies                 []ledger.Currency
	Balance                    *int64
	BalanceMin, BalanceMax     *int64
	Available                  *int64
	AvailableMin, AvailableMax *int64
	CreatedMin, CreatedMax     *ledger.Micros
	ExpiresMin, ExpiresMax     *ledger.Micros
	Search                     string
	IncludeDeleted             bool
	Limit                      int       // 1 … 100
	After                      uuid.UUID // the last card of the page before; zero for the first page
}

// Page is one page of a list: card objects, newest first.
type Page struct {
	IDs  []uuid.UUID
	More bool // there is a next page
}
