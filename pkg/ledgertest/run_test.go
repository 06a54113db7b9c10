package ledgertest_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/ledgertest"
)

// outcome names what an operation came to.
func outcome(a ledgertest.Answer) string {
	var refusal *ledger.Refusal
	switch {
	case errors.As(a.Err, &refusal):
		return string(refusal.Code)
	case a.Err != nil:
		return "error"
	case a.Result.Replayed:
		return "replayed"
	}
	return "accepted"
}

func kindOf(op ledger.Operation) string {
	switch op := op.(type) {
	case *ledger.Transact:
		return string(op.Action)
	case *ledger.CreateCards:
		if op.Batch {
			return "batch"
		}
		return "create"
	case *ledger.Activate:
		return "activate"
	case *ledger.CreateToken:
		return "token"
	case *ledger.CheckPIN:
		return "check"
	case *ledger.RotatePIN:
		return "rotate"
	case *ledger.DeleteCard:
		return "delete"
	}
	return "unknown"
}

// A script is only worth its time when it gets everywhere.
func TestScriptReachesEveryOutcome(t *testing.T) {
	t.Parallel()
	reached := map[string]int{}
	observe := func(op ledger.Operation, a ledgertest.Answer) { reached[kindOf(op)+" "+outcome(a)]++ }
	for _, seed := range ledgertest.Seeds(t, 1, 8) {
		ledgertest.Run(t, ledgertest.NewMemory(), ledgertest.Options{Seed: seed, Steps: 5000, Observe: observe})
	}
	money := "accepted replayed not_found ref_id_conflict invalid_pin pin_locked card_inactive card_expired currency_mismatch token_used "
	for kind, outcomes := range map[string]string{
		"create":   "accepted card_exists token_space_exhausted",
		"batch":    "accepted card_exists token_space_exhausted",
		"activate": "accepted not_found card_already_active",
		"fund":     money + "amount_overflow",
		"drawdown": money + "card_not_active_yet insufficient_funds",
		"pending":  money + "card_not_active_yet insufficient_funds",
		"capture":  "accepted replayed not_found ref_id_conflict transaction_not_pending amount_exceeds_reserved",
		"void":     "accepted replayed not_found ref_id_conflict transaction_not_pending",
		"token":    "accepted replayed not_found ref_id_conflict token_space_exhausted",
		"check":    "accepted not_found invalid_pin pin_locked",
		"rotate":   "accepted not_found",
		"delete":   "accepted not_found card_has_pending",
	} {
		for _, o := range strings.Fields(outcomes) {
			if reached[kind+" "+o] == 0 {
				t.Errorf("no %s in the script was %s", kind, o)
			}
		}
	}
}

func TestSameSeedSameScript(t *testing.T) {
	t.Parallel()
	script := func(seed uint64) (ids []uuid.UUID) {
		observe := func(op ledger.Operation, _ ledgertest.Answer) {
			if transact, is := op.(*ledger.Transact); is {
				ids = append(ids, transact.ID)
			}
		}
		ledgertest.Run(t, ledgertest.NewMemory(), ledgertest.Options{Seed: seed, Steps: 500, Observe: observe})
		return ids
	}
	first := script(7)
	if len(first) < 100 || !slices.Equal(first, script(7)) {
		t.Error("the same seed gave another script")
	}
}

func TestFailureReport(t *testing.T) {
	t.Parallel()
	m := ledgertest.NewMemory()
	m.Post = func(b *ledger.Book, op ledger.Operation) (ledger.Result, error) {
		result, err := b.Post(op)
		if transact, is := op.(*ledger.Transact); is && err == nil && transact.Action == ledger.ActionVoid {
			result.Txn.Amount++
		}
		return result, err
	}
	err := ledgertest.Play(t.Context(), m, ledgertest.Options{Seed: 99, Steps: 20_000})
	if err == nil {
		t.Fatal("a wrong answer went unnoticed")
	}
	for _, part := range []string{"seed 99", "void", "the last operations", "T00000001", "balance"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the report does not show %q:\n%v", part, err)
		}
	}
}

// faulty is a Memory with one thing wrong.
type faulty struct {
	*ledgertest.Memory
	card   func(*ledger.Card)
	txns   func([]ledger.Transaction) []ledger.Transaction
	holds  func([]ledger.Hold) []ledger.Hold
	tokens func([]ledger.Token) []ledger.Token
	filter func(*ledgertest.Filter)
	page   func(*ledgertest.Page)
	all    bool // shows each account the cards of all
	post   func(*ledger.Book, ledger.Operation) (ledger.Result, error)
}

func (f *faulty) Card(ctx context.Context, account string, id uuid.UUID) (ledger.Card, error) {
	card, err := f.Memory.Card(ctx, account, id)
	if err != nil && f.all {
		return ledger.Card{ID: id}, nil
	}
	if f.card != nil {
		f.card(&card)
	}
	return card, err
}

func (f *faulty) Transactions(ctx context.Context, account string, card uuid.UUID) ([]ledger.Transaction, error) {
	txns, err := f.Memory.Transactions(ctx, account, card)
	if f.txns != nil {
		txns = f.txns(slices.Clone(txns))
	}
	return txns, err
}

func (f *faulty) Holds(ctx context.Context, account string, card uuid.UUID) ([]ledger.Hold, error) {
	holds, err := f.Memory.Holds(ctx, account, card)
	if f.holds != nil {
		holds = f.holds(holds)
	}
	return holds, err
}

func (f *faulty) Tokens(ctx context.Context, account string, card uuid.UUID) ([]ledger.Token, error) {
	tokens, err := f.Memory.Tokens(ctx, account, card)
	if f.tokens != nil {
		tokens = f.tokens(tokens)
	}
	return tokens, err
}

func (f *faulty) List(ctx context.Context, account string, now ledger.Micros, filter ledgertest.Filter) (ledgertest.Page, error) {
	if f.filter != nil {
		f.filter(&filter)
	}
	page, err := f.Memory.List(ctx, account, now, filter)
	if f.page != nil {
		f.page(&page)
	}
	return page, err
}

// answering is a Memory whose answers are changed on their way.
func answering(change func(result *ledger.Result, err *error)) faulty {
	return faulty{post: func(b *ledger.Book, op ledger.Operation) (ledger.Result, error) {
		result, err := b.Post(op)
		change(&result, &err)
		return result, err
	}}
}

// Each of these faults must be found, or the engine is blind to it.
func TestPlayFindsFaults(t *testing.T) {
	t.Parallel()
	last := func(txns []ledger.Transaction, change func(*ledger.Transaction)) []ledger.Transaction {
		if len(txns) > 0 {
			change(&txns[len(txns)-1])
		}
		return txns
	}
	for name, fault := range map[string]faulty{
		"stored funds":       {card: func(c *ledger.Card) { c.Funds++ }},
		"stored drawdown":    {card: func(c *ledger.Card) { c.Drawdown++ }},
		"stored reserved":    {card: func(c *ledger.Card) { c.Reserved = 0 }},
		"stored activation":  {card: func(c *ledger.Card) { c.Activated = true }},
		"stored expiry":      {card: func(c *ledger.Card) { c.ExpiresAt = nil }},
		"stored deletion":    {card: func(c *ledger.Card) { c.DeletedAt = nil }},
		"stored pin count":   {card: func(c *ledger.Card) { forget(c) }},
		"stored card digest": {card: func(c *ledger.Card) { c.Digest[0]++ }},
		"foreign card":       {all: true},

		"lost transaction": {txns: func(t []ledger.Transaction) []ledger.Transaction { return t[:max(0, len(t)-1)] }},
		"history reversed": {txns: func(t []ledger.Transaction) []ledger.Transaction { slices.Reverse(t); return t }},
		"parent lost": {txns: func(t []ledger.Transaction) []ledger.Transaction {
			return last(t, func(t *ledger.Transaction) { t.Parent = uuid.Nil })
		}},
		"edited digest": {txns: func(t []ledger.Transaction) []ledger.Transaction {
			return last(t, func(t *ledger.Transaction) { t.Digest[31]++ })
		}},
		"open holds lost": {holds: func([]ledger.Hold) []ledger.Hold { return nil }},
		"tokens lost":     {tokens: func([]ledger.Token) []ledger.Token { return nil }},
		"tokens unspent": {tokens: func(tokens []ledger.Token) []ledger.Token {
			for i := range tokens {
				tokens[i].SpentBy = uuid.Nil
			}
			return tokens
		}},

		"list: type":          {filter: func(f *ledgertest.Filter) { f.Type = "" }},
		"list: status":        {filter: func(f *ledgertest.Filter) { f.Status = "" }},
		"list: customer":      {filter: func(f *ledgertest.Filter) { f.Customer = "" }},
		"list: currency":      {filter: func(f *ledgertest.Filter) { f.Currencies = nil }},
		"list: balance":       {filter: func(f *ledgertest.Filter) { f.Balance = nil }},
		"list: balance from":  {filter: func(f *ledgertest.Filter) { f.BalanceMin = nil }},
		"list: balance to":    {filter: func(f *ledgertest.Filter) { f.BalanceMax = nil }},
		"list: available":     {filter: func(f *ledgertest.Filter) { f.Available = nil }},
		"list: available min": {filter: func(f *ledgertest.Filter) { f.AvailableMin = nil }},
		"list: available max": {filter: func(f *ledgertest.Filter) { f.AvailableMax = nil }},
		"list: created from":  {filter: func(f *ledgertest.Filter) { f.CreatedMin = nil }},
		"list: created to":    {filter: func(f *ledgertest.Filter) { f.CreatedMax = nil }},
		"list: expires from":  {filter: func(f *ledgertest.Filter) { f.ExpiresMin = nil }},
		"list: expires to":    {filter: func(f *ledgertest.Filter) { f.ExpiresMax = nil }},
		"list: search":        {filter: func(f *ledgertest.Filter) { f.Search = "" }},
		"list: case":          {filter: func(f *ledgertest.Filter) { f.Search = strings.Map(shout, f.Search) }},
		"list: deleted":       {filter: func(f *ledgertest.Filter) { f.IncludeDeleted = true }},
		"list: order":         {page: func(p *ledgertest.Page) { slices.Reverse(p.IDs) }},
		"list: paging":        {filter: func(f *ledgertest.Filter) { f.After = uuid.Nil }},
		"list: next page":     {page: func(p *ledgertest.Page) { p.More = !p.More }},

		"replay unmarked": answering(func(r *ledger.Result, _ *error) { r.Replayed = false }),
		"answer's amount": answering(func(r *ledger.Result, _ *error) { r.Txn.Amount++ }),
		"token choice":    answering(func(r *ledger.Result, _ *error) { r.Choices = nil }),
		"answer's card":   answering(func(r *ledger.Result, _ *error) { r.Cards = nil }),
		"refusals lost":   answering(func(_ *ledger.Result, err *error) { *err = nil }),
		"other code": answering(func(_ *ledger.Result, err *error) {
			changeRefusal(err, func(r *ledger.Refusal) { r.Code = ledger.CodeNotFound })
		}),
		"retry after": answering(func(_ *ledger.Result, err *error) {
			changeRefusal(err, func(r *ledger.Refusal) { r.RetryAfter /= 2 })
		}),
		"problems": answering(func(_ *ledger.Result, err *error) {
			changeRefusal(err, func(r *ledger.Refusal) { r.Problems = nil })
		}),
		"error": answering(func(_ *ledger.Result, err *error) { *err = ledger.ErrCorrupt }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, seed := range []uint64{1, 2, 3} {
				target := fault
				target.Memory = ledgertest.NewMemory()
				target.Memory.Post = fault.post
				o := ledgertest.Options{Seed: seed, Steps: 3000, CheckEvery: 100}
				if ledgertest.Play(t.Context(), &target, o) != nil {
					return
				}
			}
			t.Error("the fault went unnoticed")
		})
	}
}

// shout folds letters of ASCII alone, as SQLite does, and spoils the others.
func shout(r rune) rune {
	if r > 127 {
		return '?'
	}
	return r
}

// forget resets the failure counter of a card's PIN.
func forget(c *ledger.Card) {
	if c.PIN != nil {
		pin := *c.PIN
		pin.Failures = 0
		c.PIN = &pin
	}
}

// changeRefusal replaces a refusal by a changed copy.
func changeRefusal(err *error, change func(*ledger.Refusal)) {
	var refusal *ledger.Refusal
	if errors.As(*err, &refusal) {
		changed := *refusal
		change(&changed)
		*err = &changed
	}
}

// A row that the schema's indexes would not take is no answer but an error.
func TestMemoryKeepsConstraints(t *testing.T) {
	t.Parallel()
	m := ledgertest.NewMemory()
	r := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // a test
	m.Post = func(b *ledger.Book, op ledger.Operation) (ledger.Result, error) {
		if transact, is := op.(*ledger.Transact); is && r.IntN(20) == 0 {
			twice := *transact
			twice.RefID = "once more" // a second row with the same id
			if _, err := b.Post(&twice); err != nil {
				return ledger.Result{}, err
			}
		}
		return b.Post(op)
	}
	if err := ledgertest.Play(t.Context(), m, ledgertest.Options{Seed: 1}); err == nil {
		t.Error("two transactions with one id went unnoticed")
	}
}
