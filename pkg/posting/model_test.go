package posting

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/ledgertest"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// storage puts a store and a poster before the engine of ledgertest. Cards, tokens
// and histories are read as the API reads them.
type storage struct {
	store  *repository.Store
	poster *Poster
	clock  settableClock
	made   map[string][]uuid.UUID // the card objects of each account, by id
}

// settableClock tells each account the moment that was set for it.
type settableClock struct{ moments sync.Map }

func (c *settableClock) set(account string, now ledger.Micros) { c.moments.Store(account, now) }

func (c *settableClock) now(account string) ledger.Micros {
	now, found := c.moments.Load(account)
	if !found {
		return repotest.Now
	}
	return now.(ledger.Micros)
}

func newStorage(t *testing.T, store *repository.Store, o Options) *storage {
	t.Helper()
	s := &storage{store: store, made: map[string][]uuid.UUID{}}
	o.Clock = s.clock.now
	s.poster = newPoster(t, store, o)
	return s
}

// Submit implements ledgertest.Target.
func (s *storage) Submit(
	ctx context.Context, account string, now ledger.Micros, op ledger.Operation,
) (ledger.Result, error) {
	s.clock.set(account, now)
	result, err := s.poster.Submit(ctx, account, op)
	s.note(account, op, err)
	return result, err
}

// SubmitAll implements ledgertest.Batcher: the operations queue up in their order,
// and the poster cuts the queue into batches as it comes to it.
func (s *storage) SubmitAll(
	_ context.Context, account string, now ledger.Micros, ops []ledger.Operation,
) []ledgertest.Answer {
	s.clock.set(account, now)
	requests := make([]*request, len(ops))
	for i, op := range ops {
		requests[i] = &request{account: account, op: op, done: make(chan struct{})}
		if !s.poster.enqueue(requests[i]) {
			requests[i].answer(ErrOverloaded)
		}
	}
	answers := make([]ledgertest.Answer, len(ops))
	for i, r := range requests {
		<-r.done
		answers[i] = ledgertest.Answer{Result: r.result, Err: r.err}
		s.note(account, r.op, r.err)
	}
	return answers
}

// note remembers which card objects there are.
func (s *storage) note(account string, op ledger.Operation, err error) {
	creation, is := op.(*ledger.CreateCards)
	if !is || err != nil {
		return
	}
	for i := range creation.Cards {
		id := creation.Cards[i].Card.ID
		if at, found := s.place(account, id); !found {
			s.made[account] = slices.Insert(s.made[account], at, id)
		}
	}
}

func (s *storage) place(account string, id uuid.UUID) (int, bool) {
	return slices.BinarySearchFunc(s.made[account], id, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
}

var errNoSuchCard = errors.New("no such card object")

// Card implements ledgertest.Target. A card object, deleted or not, is the first of
// the list that goes on after the next newer one.
func (s *storage) Card(ctx context.Context, account string, id uuid.UUID) (ledger.Card, error) {
	page := repository.Page{Limit: 1}
	at, found := s.place(account, id)
	if found {
		at++
	}
	if at < len(s.made[account]) {
		page.After = s.made[account][at]
	}
	cards, _, err := s.store.Cards(ctx, account, repository.Filter{IncludeDeleted: true}, page)
	if err != nil {
		return ledger.Card{}, err
	}
	if len(cards) == 0 || cards[0].ID != id {
		return ledger.Card{}, errNoSuchCard
	}
	return cards[0], nil
}

// Transactions implements ledgertest.Target.
func (s *storage) Transactions(ctx context.Context, account string, card uuid.UUID) ([]ledger.Transaction, error) {
	const page = 7 // small, so that there are several
	var all []ledger.Transaction
	for {
		txns, err := s.store.Transactions(ctx, account, card, int64(len(all)), page)
		all = append(all, txns...)
		if err != nil || len(txns) < page {
			return all, err
		}
	}
}

// Holds implements ledgertest.Inspector.
func (s *storage) Holds(ctx context.Context, account string, card uuid.UUID) (holds []ledger.Hold, err error) {
	txns, err := s.Transactions(ctx, account, card)
	if err != nil {
		return nil, err
	}
	var ids []uuid.UUID
	for i := range txns {
		if txns[i].Type == ledger.TypePending {
			ids = append(ids, txns[i].ID)
		}
	}
	err = s.store.Snapshot(ctx, func(reader *repository.AuditReader) error {
		found, err := reader.Holds(ctx, account, ids)
		for _, hold := range found {
			holds = append(holds, hold)
		}
		return err
	})
	return holds, err
}

// Tokens implements ledgertest.Inspector: at the beginning of time no token has
// expired.
func (s *storage) Tokens(ctx context.Context, account string, card uuid.UUID) ([]ledger.Token, error) {
	return s.store.Tokens(ctx, account, card, math.MinInt64)
}

// List implements ledgertest.Lister.
func (s *storage) List(
	ctx context.Context, account string, now ledger.Micros, f ledgertest.Filter,
) (ledgertest.Page, error) {
	cards, next, err := s.store.Cards(ctx, account, repository.Filter{
		Now: now, Search: f.Search, Type: f.Type, Status: f.Status, Currencies: f.Currencies, Customer: f.Customer,
		IncludeDeleted: f.IncludeDeleted,
		Balance:        figures(f.Balance, f.BalanceMin, f.BalanceMax),
		Available:      figures(f.Available, f.AvailableMin, f.AvailableMax),
		Created:        repository.Range{From: (*int64)(f.CreatedMin), To: (*int64)(f.CreatedMax)},
		Expires:        repository.Range{From: (*int64)(f.ExpiresMin), To: (*int64)(f.ExpiresMax)},
	}, repository.Page{After: f.After, Limit: f.Limit})
	page := ledgertest.Page{More: next != uuid.Nil}
	for i := range cards {
		page.IDs = append(page.IDs, cards[i].ID)
	}
	return page, err
}

// figures makes one range of an exact figure and two bounds.
func figures(exact, from, to *int64) repository.Range {
	r := repository.Range{From: from, To: to}
	if exact != nil && (from == nil || *from < *exact) {
		r.From = exact
	}
	if exact != nil && (to == nil || *to > *exact) {
		r.To = exact
	}
	return r
}

// The whole write path does what the model says, on both engines: every amount and
// status after each step, every list, history, hold and token every hundred steps.
func TestModel(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]struct{ seeds, steps int }{
		"sqlite":   {63, 800},
		"postgres": {16, 700},
	} {
		options := repotest.Engines()[name]
		if testing.Short() || repotest.RaceDetector {
			size.seeds, size.steps = 2, 600
		}
		for _, seed := range ledgertest.Seeds(t, 1, size.seeds) {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) {
				t.Parallel()
				s := newStorage(t, unwatched(t, options(t)), Options{})
				ledgertest.Run(t, s, ledgertest.Options{
					Seed: seed, Steps: size.steps, MaxBatch: 32, CheckEvery: 100, Filters: 10,
				})
			})
		}
	}
}
