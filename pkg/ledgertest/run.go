package ledgertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// SeedVariable is the environment variable that replays a failure: its value is
// the seed that the failure printed.
const SeedVariable = "KORT_SEED"

// Options say how long a script is and what it plays with. Zero values mean the
// defaults.
type Options struct {
	Seed       uint64
	Steps      int // operations; 1000
	Accounts   int // accounts that must not touch each other; 2
	Cards      int // card ids per account; 6
	CheckEvery int // steps between two checks of everything; 1000
	MaxBatch   int // operations handed over at once, for a Batcher; 1
	Filters    int // random filters per check, for a Lister; 40

	// Observe, when set, is shown each operation and its answer.
	Observe func(op ledger.Operation, answer Answer)
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		n        *int
		fallback int
	}{
		{&o.Steps, 1000},
		{&o.Accounts, 2},
		{&o.Cards, 6},
		{&o.CheckEvery, 1000},
		{&o.MaxBatch, 1},
		{&o.Filters, 40},
	} {
		if *d.n <= 0 {
			*d.n = d.fallback
		}
	}
	return o
}

// Seeds lists n seeds to run, beginning with first; or the one that the
// environment asks for.
func Seeds(t testing.TB, first uint64, n int) []uint64 {
	t.Helper()
	if text := os.Getenv(SeedVariable); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s must be a number from 0 to 2^64-1: %v", SeedVariable, err)
		}
		return []uint64{seed}
	}
	var seeds []uint64
	for i := range n {
		seeds = append(seeds, first+uint64(i)) //nolint:gosec // n is small and positive
	}
	return seeds
}

// Run plays a random script against a target and fails the test at the first
// difference from the model. The environment variable KORT_SEED replaces the seed.
func Run(t testing.TB, target Target, o Options) {
	t.Helper()
	o.Seed = Seeds(t, o.Seed, 1)[0]
	if err := Play(t.Context(), target, o); err != nil {
		t.Fatalf("replay with %s=%d\n%v", SeedVariable, o.Seed, err)
	}
}

// Play plays a random script against a target and returns the first difference
// from the model, with what led to it.
func Play(ctx context.Context, target Target, o Options) error {
	o = o.withDefaults()
	e := newEngine(target, rand.New(rand.NewPCG(o.Seed, o.Seed^0x6b6f7274)), o) //nolint:gosec // a script must be repeatable
	for next := o.CheckEvery; e.steps < o.Steps; {
		if err := e.step(ctx); err != nil {
			return e.report(err)
		}
		if e.steps >= next {
			next += o.CheckEvery
			if err := e.checkAll(ctx); err != nil {
				return e.report(err)
			}
		}
	}
	if err := e.checkAll(ctx); err != nil {
		return e.report(err)
	}
	return nil
}

// PlayBytes plays the script that the bytes stand for, for a fuzzer.
func PlayBytes(ctx context.Context, target Target, data []byte, o Options) error {
	o = o.withDefaults()
	choices := NewBytes(data)
	e := newEngine(target, choices, o)
	for !choices.Empty() && e.steps < o.Steps {
		if err := e.step(ctx); err != nil {
			return e.report(err)
		}
	}
	if err := e.checkAll(ctx); err != nil {
		return e.report(err)
	}
	return nil
}

// engine plays one script.
type engine struct {
	target Target
	o      Options
	g      *generator
	names  []string
	models []*Model
	steps  int
	log    []played
}

// logged is how many operations a failure report shows.
const logged = 20

func newEngine(target Target, c Choices, o Options) *engine {
	e := &engine{target: target, o: o, g: newGenerator(c, o.Seed, o.Accounts, o.Cards)}
	for i := range o.Accounts {
		e.names = append(e.names, fmt.Sprintf("T%08d", i+1))
		e.models = append(e.models, NewModel())
	}
	return e
}

// planned is an operation with what it must come to.
type planned struct {
	op   ledger.Operation
	want Expectation
}

// step plays one operation, or a few at one moment for a target that takes batches.
func (e *engine) step(ctx context.Context) error {
	account := e.g.IntN(len(e.models))
	model, n := e.models[account], 1
	batcher, batches := e.target.(Batcher)
	if batches && e.o.MaxBatch > 1 {
		n = min(1+e.g.IntN(e.o.MaxBatch), e.o.Steps-e.steps)
	}
	e.g.tick(model)
	model.round++
	var plan []planned
	var ops []ledger.Operation
	for range n {
		op := e.g.operation(account, model)
		if rivals(op, ops) {
			continue
		}
		plan = append(plan, planned{op, model.Apply(e.g.now, op)})
		ops = append(ops, op)
	}
	n = len(ops)
	e.steps += n
	var answers []Answer
	if n > 1 {
		answers = batcher.SubmitAll(ctx, e.names[account], e.g.now, ops)
	} else {
		result, err := e.target.Submit(ctx, e.names[account], e.g.now, ops[0])
		answers = []Answer{{result, err}}
	}
	if len(answers) != n {
		return fmt.Errorf("%d answers to %d operations", len(answers), n)
	}
	e.note(account, plan, answers)
	for i := range plan {
		if err := compareAnswer(&plan[i].want, answers[i]); err != nil {
			return fmt.Errorf("%s: operation %d of %d: %s\n%w", e.names[account], i+1, n, describe(plan[i].op), err)
		}
	}
	return e.checkTouched(ctx, account, plan)
}

// rivals tells whether a token request may take a value that an earlier one of the
// same hand-over may take for another card. Whoever guesses that value in the same
// batch, under a ref_id in use, names a card that cannot be known while the batch is
// loaded: see ledger.Book.Refs. The write path then decides one by one.
func rivals(op ledger.Operation, earlier []ledger.Operation) bool {
	late, is := op.(*ledger.CreateToken)
	if !is {
		return false
	}
	return slices.ContainsFunc(earlier, func(op ledger.Operation) bool {
		early, is := op.(*ledger.CreateToken)
		return is && early.CardID != late.CardID &&
			slices.ContainsFunc(early.New.Candidates, func(one ledger.TokenCandidate) bool {
				return slices.ContainsFunc(late.New.Candidates, func(other ledger.TokenCandidate) bool {
					return slices.Contains(hashesOf(&other), one.Hash)
				})
			})
	})
}

// played is an operation of the past, for a failure report.
type played struct {
	account string
	now     ledger.Micros
	op      ledger.Operation
	answer  Answer
}

// note keeps the last operations.
func (e *engine) note(account int, plan []planned, answers []Answer) {
	for i := range plan {
		e.log = append(e.log, played{e.names[account], e.g.now, plan[i].op, answers[i]})
		if e.o.Observe != nil {
			e.o.Observe(plan[i].op, answers[i])
		}
	}
	if len(e.log) > 2*logged {
		e.log = slices.Delete(e.log, 0, len(e.log)-logged)
	}
}

// String puts an operation and its outcome into words.
func (p played) String() string {
	outcome := "accepted"
	switch {
	case p.answer.Err != nil:
		outcome = p.answer.Err.Error()
	case p.answer.Result.Replayed:
		outcome = "replayed"
	}
	return fmt.Sprintf("%s %d %s → %s", p.account, int64(p.now), describe(p.op), outcome)
}

// checkTouched compares the cards that the operations were about with the model:
// every field, and the status.
func (e *engine) checkTouched(ctx context.Context, account int, plan []planned) error {
	var seen []*modelCard
	for i := range plan {
		for _, c := range plan[i].want.touched {
			if slices.Contains(seen, c) {
				continue
			}
			seen = append(seen, c)
			if _, err := e.checkCard(ctx, account, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *engine) checkCard(ctx context.Context, account int, c *modelCard) (ledger.Card, error) {
	got, err := e.target.Card(ctx, e.names[account], c.said.ID)
	if err != nil {
		return got, fmt.Errorf("read card: %w", err)
	}
	want := c.row()
	if err := compareCards(&want, &got); err != nil {
		return got, fmt.Errorf("stored %w", err)
	}
	if is, must := got.Status(e.g.now), c.status(e.g.now); is != must {
		return got, fmt.Errorf("status is %s, must be %s:\n%s", is, must, showCard(&got))
	}
	return got, nil
}

// checkAll compares every card object, history, hold, token and list.
func (e *engine) checkAll(ctx context.Context) error {
	for account, model := range e.models {
		for _, c := range model.cards {
			if err := e.checkHistory(ctx, account, c); err != nil {
				return fmt.Errorf("%s: card object %s: %w", e.names[account], c.said.ID, err)
			}
		}
		if err := e.checkLists(ctx, account); err != nil {
			return fmt.Errorf("%s: %w", e.names[account], err)
		}
	}
	return e.checkApart(ctx)
}

func (e *engine) checkHistory(ctx context.Context, account int, c *modelCard) error {
	card, err := e.checkCard(ctx, account, c)
	if err != nil {
		return err
	}
	txns, err := e.target.Transactions(ctx, e.names[account], c.said.ID)
	if err != nil {
		return fmt.Errorf("read transactions: %w", err)
	}
	if len(txns) != len(c.facts) {
		return fmt.Errorf("%d transactions, must be %d", len(txns), len(c.facts))
	}
	for i := range txns {
		want := c.txn(i)
		if err := compareTxns(&want, &txns[i]); err != nil {
			return err
		}
	}
	holds := c.holds()
	if inspector, can := e.target.(Inspector); can {
		if holds, err = e.checkRows(ctx, inspector, account, c); err != nil {
			return err
		}
	}
	return Audit(e.names[account], &card, txns, holds)
}

// checkRows compares the holds and tokens of a card; it returns the holds.
func (e *engine) checkRows(ctx context.Context, from Inspector, account int, c *modelCard) ([]ledger.Hold, error) {
	holds, err := from.Holds(ctx, e.names[account], c.said.ID)
	if err != nil {
		return nil, fmt.Errorf("read holds: %w", err)
	}
	wantHolds := c.holds()
	for _, h := range wantHolds {
		if !slices.Contains(holds, h) {
			return nil, fmt.Errorf("holds are\n%+v\nmust have\n%+v", holds, h)
		}
	}
	tokens, err := from.Tokens(ctx, e.names[account], c.said.ID)
	if err != nil {
		return nil, fmt.Errorf("read tokens: %w", err)
	}
	if len(holds) != len(wantHolds) || len(tokens) != len(c.tokens) {
		return nil, fmt.Errorf("%d holds and %d tokens, must be %d and %d", len(holds), len(tokens), len(wantHolds), len(c.tokens))
	}
	for _, t := range c.tokens {
		want := t.stored()
		at := slices.IndexFunc(tokens, func(got ledger.Token) bool { return got.ID == want.ID })
		if at < 0 {
			return nil, fmt.Errorf("token %s is missing", want.ID)
		}
		if err := compareTokens(&want, &tokens[at]); err != nil {
			return nil, err
		}
	}
	return holds, nil
}

// checkLists compares lists: each condition alone, random combinations, and a walk
// through all pages.
func (e *engine) checkLists(ctx context.Context, account int) error {
	lister, lists := e.target.(Lister)
	if !lists {
		return nil
	}
	model := e.models[account]
	filters := []Filter{{Limit: 100}, {Limit: 100, IncludeDeleted: true}}
	for sort := range conditions {
		f := Filter{Limit: 100}
		e.g.addConditionNo(sort, model, &f)
		filters = append(filters, f)
	}
	for range e.o.Filters {
		filters = append(filters, e.g.filter(model))
	}
	for _, f := range filters {
		if _, err := e.checkList(ctx, lister, account, f); err != nil {
			return err
		}
	}
	walk := Filter{Limit: 1 + e.g.IntN(4), IncludeDeleted: e.g.chance(50)}
	for more := true; more; {
		page, err := e.checkList(ctx, lister, account, walk)
		if err != nil {
			return err
		}
		if more = page.More; more {
			walk.After = page.IDs[len(page.IDs)-1]
		}
	}
	return nil
}

func (e *engine) checkList(ctx context.Context, from Lister, account int, f Filter) (Page, error) {
	want := e.models[account].List(e.g.now, f)
	got, err := from.List(ctx, e.names[account], e.g.now, f)
	if err != nil {
		return want, fmt.Errorf("list: %w", err)
	}
	if !slices.Equal(got.IDs, want.IDs) || got.More != want.More {
		return want, fmt.Errorf("list %s is\n%v more: %t\nmust be\n%v more: %t", f, got.IDs, got.More, want.IDs, want.More)
	}
	return want, nil
}

// checkApart asks each account for a card of another.
func (e *engine) checkApart(ctx context.Context) error {
	for account, model := range e.models {
		other := (account + 1) % len(e.models)
		if other == account || len(model.cards) == 0 {
			continue
		}
		id := model.cards[e.g.IntN(len(model.cards))].said.ID
		if _, err := e.target.Card(ctx, e.names[other], id); err == nil {
			return fmt.Errorf("%s reads card object %s of %s", e.names[other], id, e.names[account])
		}
	}
	return nil
}

// String shows the conditions that a filter has.
func (f Filter) String() string {
	var text strings.Builder
	add := func(name string, value any) { fmt.Fprintf(&text, " %s=%v", name, value) }
	fmt.Fprintf(&text, "type=%q status=%q customer=%q currencies=%v search=%q deleted=%t limit=%d",
		f.Type, f.Status, f.Customer, f.Currencies, f.Search, f.IncludeDeleted, f.Limit)
	for name, n := range map[string]*int64{
		"balance": f.Balance, "balance≥": f.BalanceMin, "balance≤": f.BalanceMax,
		"available": f.Available, "available≥": f.AvailableMin, "available≤": f.AvailableMax,
	} {
		if n != nil {
			add(name, *n)
		}
	}
	for name, at := range map[string]*ledger.Micros{
		"created≥": f.CreatedMin, "created≤": f.CreatedMax, "expires≥": f.ExpiresMin, "expires≤": f.ExpiresMax,
	} {
		if at != nil {
			add(name, int64(*at))
		}
	}
	if f.After != uuid.Nil {
		add("after", f.After)
	}
	return text.String()
}

// report says what led to a difference: the last operations and every balance.
func (e *engine) report(err error) error {
	var text strings.Builder
	fmt.Fprintf(&text, "\nseed %d, step %d, now %d; the last operations, the last one last:\n", e.o.Seed, e.steps, int64(e.g.now))
	for _, line := range e.log[max(0, len(e.log)-logged):] {
		fmt.Fprintf(&text, "  %s\n", line)
	}
	text.WriteString("every card that is not deleted, as the model has it:\n")
	for account, model := range e.models {
		for _, c := range model.cards {
			if c.said.DeletedAt != nil {
				continue
			}
			s := c.sum()
			fmt.Fprintf(&text, "  %s %s %s: funds %d drawdown %d balance %d pending %d available %d, %s, %d transactions, %d open\n",
				e.names[account], c.said.CardID, c.said.ID, s.funds, s.drawdown, s.balance(), s.pending, s.available(),
				c.status(e.g.now), len(c.facts), s.open)
		}
	}
	return fmt.Errorf("%w\n%s", err, text.String())
}
