package ledger_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// pointers lists what a conflict names; each item must name the first transaction.
func pointers(t *testing.T, refusal *ledger.Refusal, existing uuid.UUID) []string {
	t.Helper()
	var all []string
	for _, p := range refusal.Problems {
		if p.ExistingID != existing || p.Reason == "" {
			t.Errorf("the problem %+v does not name %s", p, existing)
		}
		all = append(all, p.Pointer)
	}
	slices.Sort(all)
	return all
}

func TestReplayOfTransactions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 1000))
	w.do(w.create("B", 1000))
	w.do(w.token("A", "t1", "one"))
	w.do(w.token("A", "t2", "two"))

	ask := func() *ledger.Transact {
		op := w.draw("A", "r", 10)
		op.Metadata, op.OriginatedBy = `{"a":1}`, "till"
		return op
	}
	first := ask()
	was := w.do(first)
	for name, c := range map[string]struct {
		change func(*ledger.Transact)
		want   []string // nil for a replay
	}{
		"the same":               {func(*ledger.Transact) {}, nil},
		"by another person":      {func(op *ledger.Transact) { op.By = "carol" }, nil},
		"a pin is not compared":  {func(op *ledger.Transact) { op.PIN = sending("any") }, nil},
		"fund":                   {func(op *ledger.Transact) { op.Action = ledger.ActionFund }, []string{"/type"}},
		"pending":                {func(op *ledger.Transact) { op.Action = ledger.ActionPending }, []string{"/pending"}},
		"amount":                 {func(op *ledger.Transact) { op.Amount = 11 }, []string{"/amount"}},
		"amount out of range":    {func(op *ledger.Transact) { op.Amount = -1 }, []string{"/amount"}},
		"currency":               {func(op *ledger.Transact) { op.Currency = ledger.SEK }, []string{"/currency"}},
		"metadata":               {func(op *ledger.Transact) { op.Metadata = `{"a":2}` }, []string{"/metadata"}},
		"without metadata":       {func(op *ledger.Transact) { op.Metadata = "" }, []string{"/metadata"}},
		"originated_by":          {func(op *ledger.Transact) { op.OriginatedBy = "" }, []string{"/originated_by"}},
		"by token":               {func(op *ledger.Transact) { byToken(op, "one") }, []string{"/token"}},
		"two fields":             {func(op *ledger.Transact) { op.Amount, op.Metadata = 1, "" }, []string{"/amount", "/metadata"}},
		"more than is available": {func(op *ledger.Transact) { op.Amount = 5000 }, []string{"/amount"}},
	} {
		op := ask()
		c.change(op)
		if c.want == nil {
			if got := w.replay(op); got.Txn != was.Txn {
				t.Errorf("%s: the answer is %+v", name, got.Txn)
			}
			continue
		}
		if got := pointers(t, w.refuse(op, ledger.CodeRefIDConflict), first.ID); !slices.Equal(got, c.want) {
			t.Errorf("%s: names %v, must name %v", name, got, c.want)
		}
	}
	w.do(w.draw("B", "r", 10)) // another card has refs of its own
	w.expect("A", figures{funds: 1000, drawdown: 10, balance: 990, available: 990})
}

func TestReplayByToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 1000))
	w.do(w.token("A", "t1", "one"))
	w.do(w.token("A", "t2", "two"))
	first := byToken(w.draw("", "r", 10), "one")
	w.do(first)
	w.replay(byToken(w.draw("", "r", 10), "one")) // though it is spent
	got := pointers(t, w.refuse(byToken(w.draw("", "r", 10), "two"), ledger.CodeRefIDConflict), first.ID)
	if !slices.Equal(got, []string{"/token"}) {
		t.Errorf("another token: names %v", got)
	}
	got = pointers(t, w.refuse(w.draw("A", "r", 10), ledger.CodeRefIDConflict), first.ID)
	if !slices.Equal(got, []string{"/card_id"}) {
		t.Errorf("by card_id: names %v", got)
	}
	w.refuse(byToken(w.draw("", "r2", 10), "one"), ledger.CodeTokenUsed)
	w.do(byToken(w.draw("", "r2", 10), "two"))
}

func TestReplayOfSettlements(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 1000))
	hold, other := w.pend("A", "p1", 100), w.pend("A", "p2", 100)
	w.do(hold)
	w.do(other)
	capture, rest, void := w.capture(hold.ID, "c", 60), w.captureRest(hold.ID, "rest"), w.void(other.ID, "v")
	w.do(capture)
	w.do(rest)
	w.do(void)
	for name, c := range map[string]struct {
		op    *ledger.Transact
		first *ledger.Transact
		want  []string
	}{
		"capture":                          {w.capture(hold.ID, "c", 60), capture, nil},
		"capture of another amount":        {w.capture(hold.ID, "c", 61), capture, []string{"/amount"}},
		"capture of the rest":              {w.captureRest(hold.ID, "c"), capture, []string{"/amount"}},
		"capture of another hold":          {w.capture(other.ID, "c", 60), capture, []string{"transaction_id"}},
		"rest":                             {w.captureRest(hold.ID, "rest"), rest, nil},
		"rest with the amount that it was": {w.capture(hold.ID, "rest", 40), rest, []string{"/amount"}},
		"rest with amount 0":               {w.capture(hold.ID, "rest", 0), rest, []string{"/amount"}},
		"void":                             {w.void(other.ID, "v"), void, nil},
		"void of another hold":             {w.void(hold.ID, "v"), void, []string{"transaction_id"}},
		"void as capture":                  {w.captureRest(other.ID, "v"), void, []string{"/type"}},
		"capture as void":                  {w.void(hold.ID, "rest"), rest, []string{"/type"}},
	} {
		if c.want == nil {
			if got := w.replay(c.op); got.Txn.ID != c.first.ID {
				t.Errorf("%s: answered with %s", name, got.Txn.ID)
			}
			continue
		}
		if got := pointers(t, w.refuse(c.op, ledger.CodeRefIDConflict), c.first.ID); !slices.Equal(got, c.want) {
			t.Errorf("%s: names %v, must name %v", name, got, c.want)
		}
	}
	for name, op := range map[string]*ledger.Transact{
		"a drawdown with a capture's ref_id": w.draw("A", "c", 60),
		"a capture with a pending's ref_id":  w.capture(hold.ID, "p1", 100),
		"a void with a pending's ref_id":     w.void(hold.ID, "p1"),
		"a pending with a void's ref_id":     w.pend("A", "v", 100),
	} {
		refusal := w.refuse(op, ledger.CodeRefIDConflict)
		if len(refusal.Problems) == 0 || refusal.Problems[0].Pointer != "/type" {
			t.Errorf("%s: %+v", name, refusal.Problems)
		}
	}
	withMetadata := w.void(other.ID, "v")
	withMetadata.Metadata = `{"a":1}`
	if got := pointers(t, w.refuse(withMetadata, ledger.CodeRefIDConflict), void.ID); !slices.Equal(got, []string{"/metadata"}) {
		t.Errorf("metadata: names %v", got)
	}
}

// The look-up of the ref_id comes before every other rule.
func TestReplayOutlivesEverythingButTheCard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	until, soon := noon.Add(time.Hour), noon.Add(time.Minute)
	w.do(w.create("A", 1000, w.withPIN("right"), func(n *ledger.NewCard) { n.Card.ExpiresAt = &until }))
	token := w.token("A", "t", "one")
	token.New.Token.ExpiresIn = 60
	w.do(token)
	first := byToken(w.draw("", "d", 10), "one")
	w.do(first)
	hold := w.pend("A", "p", 100)
	w.do(hold)
	w.do(w.captureRest(hold.ID, "c"))
	for range ledger.MaxPINFailures { // lock the PIN
		op := w.draw("A", "x", 1)
		op.PIN = sending("wrong")
		w.refuse(op, ledger.CodeInvalidPIN)
	}
	for _, at := range []ledger.Micros{noon, soon, until, until.Add(1000 * time.Hour)} {
		w.now = at
		again := byToken(w.draw("", "d", 10), "one")
		again.PIN = sending("wrong")
		if got := w.replay(again); got.Txn.ID != first.ID {
			t.Errorf("at %d the answer is %+v", at, got.Txn)
		}
		w.replay(w.pend("A", "p", 100))
		w.replay(w.captureRest(hold.ID, "c"))
	}
	w.refuse(byToken(w.draw("", "d2", 10), "one"), ledger.CodeNotFound) // an expired token is unknown to all else
	if pin := w.card("A").PIN; pin.Failures != ledger.MaxPINFailures {
		t.Errorf("replays have counted wrong PINs: %d", pin.Failures)
	}
	w.do(w.delete("A"))
	w.refuse(w.captureRest(hold.ID, "c"), ledger.CodeNotFound)
	w.refuse(w.pend("A", "p", 100), ledger.CodeNotFound)
}

// The ref_id of an opening is the card's id; nobody else can have it.
func TestRefIDOfTheOpening(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 100))
	card := w.card("A")
	for _, op := range []*ledger.Transact{
		w.fund("A", card.ID.String(), 100), w.draw("A", card.ID.String(), 1),
	} {
		got := pointers(t, w.refuse(op, ledger.CodeRefIDConflict), w.history(card.ID)[0].ID)
		if !slices.Equal(got, []string{"/ref_id"}) {
			t.Errorf("names %v", got)
		}
	}
	w.do(w.create("B", 0)) // without an opening the ref_id is free
	w.do(w.fund("B", w.card("B").ID.String(), 1))
	// Before its activation a card takes no transaction that could squat on it.
	w.do(w.batch("C"))
	w.refuse(w.fund("C", w.card("C").ID.String(), 1), ledger.CodeCardInactive)
	w.do(w.activate("C", 5))
	w.expect("C", figures{funds: 5, balance: 5, available: 5})
}

func TestReplayOfTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 0))
	ask := func() *ledger.CreateToken {
		op := w.token("A", "t", "fresh")
		op.New.Token.ExpiresIn, op.New.Token.Metadata = 60, `{"a":1}`
		return op
	}
	first := w.token("A", "t", "value")
	first.New.Token.ExpiresIn, first.New.Token.Metadata = 60, `{"a":1}`
	w.do(first)
	for name, c := range map[string]struct {
		change func(*ledger.Token)
		want   []string
	}{
		"the same":                  {func(*ledger.Token) {}, nil},
		"format in other words":     {func(k *ledger.Token) { k.Format = "{ }" }, nil},
		"format":                    {func(k *ledger.Token) { k.Shape = "digits" }, []string{"/format"}},
		"expires_in":                {func(k *ledger.Token) { k.ExpiresIn = 61 }, []string{"/expires_in"}},
		"expires_after_transaction": {func(k *ledger.Token) { k.SingleUse = false }, []string{"/expires_after_transaction"}},
		"metadata":                  {func(k *ledger.Token) { k.Metadata = "" }, []string{"/metadata"}},
		"two":                       {func(k *ledger.Token) { k.Metadata, k.Shape = "", "x" }, []string{"/format", "/metadata"}},
	} {
		op := ask()
		c.change(&op.New.Token)
		if c.want == nil {
			got := w.replay(op)
			if got.Token.ID != first.New.Token.ID || got.Choices != nil {
				t.Errorf("%s: %+v", name, got.Token)
			}
			continue
		}
		if got := pointers(t, w.refuse(op, ledger.CodeRefIDConflict), first.New.Token.ID); !slices.Equal(got, c.want) {
			t.Errorf("%s: names %v, must name %v", name, got, c.want)
		}
	}
	w.later(time.Hour)
	w.replay(ask())           // the token has expired, its request has not
	w.do(w.fund("A", "t", 1)) // tokens have a key space of their own
	w.do(w.token("A", "t2", "fresh"))
	w.do(w.create("B", 0))
	w.do(w.token("B", "t", "other"))
}
