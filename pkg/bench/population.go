package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

const (
	// batchRows is about how many transactions are written in one commit.
	batchRows = 2000
	// postgresWriters write at the same time where the database has several writers.
	postgresWriters = 2
	day             = 24 * time.Hour
	year            = 365 * day
)

// population makes cards with their histories without a server. Each row is true: it
// is decided, projected and digested by the ledger, at the time that it bears. Only
// that time is made up, and the same seed makes the same cards.
type population struct {
	account string
	random  *rand.Rand
	now     ledger.Micros
}

func newPopulation(account string, seed uint64) *population {
	return &population{
		account: account, now: ledger.MicrosOf(time.Now()),
		random: rand.New(rand.NewPCG(seed, 7)), //nolint:gosec // nobody has to guess it
	}
}

// id makes a UUIDv7 of a moment, whose order is that of the moments.
func (p *population) id(at ledger.Micros) (id uuid.UUID) {
	const microsPerMilli, timeBits, version, variant = 1000, 16, 0x7000, 0x80
	millis, rest := uint64(at)/microsPerMilli, uint64(at)%microsPerMilli //nolint:gosec // after 1970
	binary.BigEndian.PutUint64(id[:], millis<<timeBits|version|rest<<2)
	binary.BigEndian.PutUint64(id[8:], p.random.Uint64())
	id[8] = id[8]&0x3f | variant
	return id
}

// story is what has happened to one card so far.
type story struct {
	*population
	card  ledger.Card
	txns  []ledger.Transaction
	holds []ledger.Hold
}

// create begins a story. A card that waits for activation has no money.
func (p *population) create(at ledger.Micros, card ledger.Card) (*story, error) {
	card.ID = p.id(at)
	s := &story{population: p}
	book := ledger.NewBook(p.account, at)
	op := &ledger.CreateCards{Cards: []ledger.NewCard{{Card: card, OpeningID: p.id(at)}}, Batch: !card.Activated}
	return s, s.post(book, op)
}

// transact adds transactions of one moment. They may not be refused.
func (s *story) transact(at ledger.Micros, ops ...*ledger.Transact) error {
	book := ledger.NewBook(s.account, at)
	s.open(book)
	all := make([]ledger.Operation, len(ops))
	for i, op := range ops {
		op.ID, op.AmountGiven, op.Currency, op.By = s.id(at), op.Action != ledger.ActionVoid, s.card.Currency, "loader"
		op.RefID = op.ID.String()
		if op.Parent == uuid.Nil {
			op.CardID = s.card.CardID
		}
		all[i] = op
	}
	return s.post(book, all...)
}

// remove deletes the card.
func (s *story) remove(at ledger.Micros) error {
	book := ledger.NewBook(s.account, at)
	s.open(book)
	return s.post(book, &ledger.DeleteCard{ID: s.id(at), CardID: s.card.CardID, By: "loader"})
}

func (s *story) open(book *ledger.Book) {
	book.AddCard(s.card)
	for _, hold := range s.holds {
		book.AddHold(hold)
	}
}

// post posts operations and takes over what they have changed.
func (s *story) post(book *ledger.Book, ops ...ledger.Operation) error {
	for _, op := range ops {
		result, err := book.Post(op)
		if err != nil {
			return err
		}
		s.card = result.Cards[0]
	}
	changes := book.Changes()
	s.txns = append(s.txns, changes.Txns...)
	for _, hold := range slices.Concat(changes.NewHolds, changes.Holds) {
		s.holds = slices.DeleteFunc(s.holds, func(h ledger.Hold) bool { return h.ID == hold.ID })
		s.holds = append(s.holds, hold)
	}
	return nil
}

// settler writes the stories of an account into a database.
type settler struct {
	store   *repository.Store
	batches chan batch
	writers sync.WaitGroup
	stop    context.CancelFunc

	mu      sync.Mutex
	failure error // the first

	account string
	pending ledger.Changes
	written int64 // transactions handed over
}

type batch struct {
	account string
	changes ledger.Changes
}

// populate opens a database without a server and lets stories be told into it. It
// returns how many transactions they had.
func (d *database) populate(ctx context.Context, tell func(context.Context, *settler) error) (txns int64, err error) {
	options := repository.Options{PostgresURL: d.url, Ephemeral: true}
	if d.engine == SQLite {
		options.SQLitePath = d.sqliteFile()
	}
	store, err := repository.Open(ctx, options)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if _, err := store.Migrate(ctx); err != nil {
		return 0, err
	}
	ctx, stop := context.WithCancel(ctx)
	s := &settler{store: store, batches: make(chan batch, postgresWriters), stop: stop}
	writers := 1
	if store.Postgres() {
		writers = postgresWriters
	}
	for range writers {
		s.writers.Go(func() { s.write(ctx) })
	}
	err = tell(ctx, s)
	if err == nil {
		err = s.flush(ctx)
	}
	close(s.batches)
	s.writers.Wait()
	stop()
	if s.failure != nil { // which is why telling was stopped
		err = s.failure
	}
	if err != nil {
		return 0, fmt.Errorf("fill the database: %w", err)
	}
	return s.written, nil
}

// write writes batches until there are no more, or until one fails.
func (s *settler) write(ctx context.Context) {
	for b := range s.batches {
		err := s.store.Write(ctx, func(tx *repository.Tx) error { return tx.Save(ctx, b.account, b.changes) })
		if err != nil {
			s.mu.Lock()
			if s.failure == nil {
				s.failure = err
			}
			s.mu.Unlock()
			s.stop()
		}
	}
}

// add writes a whole story, sooner or later.
func (s *settler) add(ctx context.Context, told *story) error {
	if s.account != told.account {
		if err := s.flush(ctx); err != nil {
			return err
		}
		s.account = told.account
	}
	s.pending.NewCards = append(s.pending.NewCards, told.card)
	s.pending.Txns = append(s.pending.Txns, told.txns...)
	s.pending.NewHolds = append(s.pending.NewHolds, told.holds...)
	if len(s.pending.Txns)+len(s.pending.NewCards) < batchRows {
		return nil
	}
	return s.flush(ctx)
}

// flush hands over what has collected.
func (s *settler) flush(ctx context.Context) error {
	if s.pending.Empty() {
		return nil
	}
	s.written += int64(len(s.pending.Txns))
	select {
	case s.batches <- batch{account: s.account, changes: s.pending}:
		s.pending = ledger.Changes{}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
