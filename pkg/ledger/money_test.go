package ledger_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// The example that the specification works through.
func TestWorkedExample(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 0))
	w.do(w.fund("A", "f", 10_000))
	hold := w.pend("A", "p", 1000)
	w.do(hold)
	w.expect("A", figures{funds: 10_000, balance: 10_000, pending: 1000, reserved: 1000, available: 9000})
	w.do(w.capture(hold.ID, "c", 300))
	w.expect("A", figures{funds: 10_000, drawdown: 300, balance: 9700, pending: 700, reserved: 700, available: 9000})
	released := w.do(w.void(hold.ID, "v"))
	w.expect("A", figures{funds: 10_000, drawdown: 300, balance: 9700, available: 9700})
	if released.Txn.Amount != 700 || released.Txn.Type != ledger.TypeVoided || released.Txn.Parent != hold.ID {
		t.Errorf("the void is %+v", released.Txn)
	}
}

func TestOpeningTransaction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := w.create("A", 500)
	past := w.now - 1
	op.Cards[0].Card.ExpiresAt = &past // a card may be created already expired
	w.do(op)
	card := w.card("A")
	txns := w.history(card.ID)
	if len(txns) != 1 {
		t.Fatalf("%d transactions, must be the opening one", len(txns))
	}
	want := ledger.Transaction{
		ID: op.Cards[0].OpeningID, Card: card.ID, Seq: 1, Type: ledger.TypeFund, Amount: 500, Currency: ledger.NOK,
		RefID: card.ID.String(), Address: ledger.ByOpening, AmountGiven: true, CreatedAt: w.now, CreatedBy: "alice",
		Digest: card.Digest,
	}
	if txns[0] != want {
		t.Errorf("the opening is\n%+v\nmust be\n%+v", txns[0], want)
	}
	if card.Amount != 500 || card.Funds != 500 || card.Status(w.now) != ledger.StatusExpired {
		t.Errorf("the card is %+v", card)
	}
	w.do(w.create("B", 0))
	if empty := w.card("B"); len(w.history(empty.ID)) != 0 || empty.Seq != 0 || empty.Digest != (ledger.Digest{}) {
		t.Errorf("a card without an opening amount has a history: %+v", empty)
	}
}

func TestActivationOpensOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.batch("A", "B"))
	if c := w.card("A"); c.Status(w.now) != ledger.StatusInactive || c.Currency != "" || c.Seq != 0 {
		t.Fatalf("a card of a batch is %+v", c)
	}
	op := w.activate("A", 700)
	w.do(op)
	card := w.card("A")
	txns := w.history(card.ID)
	if len(txns) != 1 || txns[0].ID != op.ID || txns[0].RefID != card.ID.String() || txns[0].CreatedBy != "bob" {
		t.Errorf("the opening is %+v", txns)
	}
	if card.ActiveFrom == nil || *card.ActiveFrom != w.now || card.Amount != 700 || card.Currency != ledger.NOK {
		t.Errorf("the activated card is %+v", card)
	}
	w.refuse(w.activate("A", 1), ledger.CodeCardAlreadyActive)
	w.do(w.activate("B", 0))
	w.refuse(w.activate("B", 5), ledger.CodeCardAlreadyActive)
	w.expect("B", figures{})
}

func TestActivationKeepsWhatIsNotGiven(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := w.batch("A", "B")
	until := w.now.Add(time.Hour)
	for i := range op.Cards {
		c := &op.Cards[i].Card
		c.CustomerID, c.Name, c.OriginatedBy, c.Metadata, c.ExpiresAt = "cust", "old", "till", `{"a":1}`, &until
	}
	w.do(op)
	w.do(w.activate("A", 0))
	if c := w.card("A"); c.CustomerID != "cust" || c.Name != "old" || c.OriginatedBy != "till" || c.Metadata != `{"a":1}` || *c.ExpiresAt != until {
		t.Errorf("lost in activation: %+v", c)
	}
	from, to := w.now.Add(time.Minute), w.now.Add(time.Second)
	all := w.activate("B", 0)
	all.CustomerID, all.Name, all.OriginatedBy, all.Metadata, all.ActiveFrom, all.ExpiresAt = "c2", "new", "web", `{}`, &from, &to
	w.do(all)
	if c := w.card("B"); c.CustomerID != "c2" || c.Name != "new" || c.OriginatedBy != "web" || c.Metadata != `{}` || *c.ExpiresAt != to || *c.ActiveFrom != from {
		t.Errorf("not replaced in activation: %+v", c)
	}
}

// Figures at the edge of what may be: nothing wraps, nothing is created or lost.
func TestAmountLimits(t *testing.T) {
	t.Parallel()
	const most = ledger.MaxAmount
	if most != 9_007_199_254_740_991 {
		t.Fatal("MaxAmount is not 2^53-1")
	}
	w := newWorld(t)
	w.do(w.create("A", most))
	w.refuse(w.fund("A", "f", 1), ledger.CodeAmountOverflow)
	w.refuse(w.fund("A", "f", most), ledger.CodeAmountOverflow)
	w.do(w.fund("A", "f", 0))
	w.refuse(w.draw("A", "d", -1), ledger.CodeInvalidRequest)
	w.refuse(w.draw("A", "d", most+1), ledger.CodeInvalidRequest)
	w.refuse(w.draw("A", "d", math.MaxInt64), ledger.CodeInvalidRequest)
	w.refuse(w.draw("A", "d", math.MinInt64), ledger.CodeInvalidRequest)
	w.refuse(w.fund("A", "d", math.MinInt64), ledger.CodeInvalidRequest)
	hold := w.pend("A", "p", most)
	w.do(hold)
	w.refuse(w.draw("A", "d", 1), ledger.CodeInsufficientFunds)
	w.do(w.draw("A", "d", 0))
	w.refuse(w.capture(hold.ID, "c", -1), ledger.CodeInvalidRequest)
	w.refuse(w.capture(hold.ID, "c", most+1), ledger.CodeInvalidRequest)
	w.do(w.capture(hold.ID, "c", most-1))
	w.refuse(w.capture(hold.ID, "c2", 2), ledger.CodeAmountExceedsReserve)
	w.do(w.captureRest(hold.ID, "c2"))
	w.expect("A", figures{funds: most, drawdown: most})
	if c := w.card("A"); c.Status(w.now) != ledger.StatusUsed {
		t.Errorf("status is %s", c.Status(w.now))
	}
	w.refuse(w.fund("A", "f2", 1), ledger.CodeAmountOverflow) // the money is gone, but what was ever put on counts

	w.refuse(w.create("B", most+1), ledger.CodeInvalidRequest)
	w.refuse(w.create("B", -1), ledger.CodeInvalidRequest)
	w.do(w.batch("C"))
	w.refuse(w.activate("C", most+1), ledger.CodeInvalidRequest)
	w.refuse(w.activate("C", -1), ledger.CodeInvalidRequest)
	w.do(w.activate("C", most))
}

func TestHoldOfZero(t *testing.T) {
	t.Parallel()
	for name, settle := range map[string]func(*world, uuid.UUID, string) *ledger.Transact{
		"capture of 0":        func(w *world, id uuid.UUID, ref string) *ledger.Transact { return w.capture(id, ref, 0) },
		"capture of the rest": (*world).captureRest,
		"void":                (*world).void,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.do(w.create("A", 5))
			hold := w.pend("A", "p", 0)
			w.do(hold)
			w.refuse(w.delete("A"), ledger.CodeCardHasPending)
			w.refuse(w.capture(hold.ID, "c", 1), ledger.CodeAmountExceedsReserve)
			w.do(settle(w, hold.ID, "s"))
			w.refuse(settle(w, hold.ID, "s2"), ledger.CodeTransactionNotHeld)
			w.expect("A", figures{funds: 5, balance: 5, available: 5})
			w.do(w.delete("A"))
		})
	}
}

// A capture of nothing takes nothing and leaves the hold as it is.
func TestCaptureOfZero(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 100))
	hold := w.pend("A", "p", 40)
	w.do(hold)
	for _, ref := range []string{"c1", "c2"} {
		w.do(w.capture(hold.ID, ref, 0))
		w.expect("A", figures{funds: 100, balance: 100, pending: 40, reserved: 40, available: 60})
	}
	if status := w.card("A"); status.Status(w.now) != ledger.StatusUnused {
		t.Errorf("a capture of 0 made the card %s", status.Status(w.now))
	}
	w.refuse(w.delete("A"), ledger.CodeCardHasPending)
	if rest := w.do(w.captureRest(hold.ID, "c3")); rest.Txn.Amount != 40 || rest.Txn.AmountGiven {
		t.Errorf("the rest is %+v", rest.Txn)
	}
	w.refuse(w.capture(hold.ID, "c4", 0), ledger.CodeTransactionNotHeld)
	w.refuse(w.void(hold.ID, "v"), ledger.CodeTransactionNotHeld)
}

func TestTimeNeverRunsBackwardsWithinACard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.create("A", 10))
	w.later(-time.Hour)
	first := w.do(w.draw("A", "d1", 1))
	if first.Txn.CreatedAt != noon {
		t.Errorf("after the clock fell back the transaction is of %d, must be of %d", first.Txn.CreatedAt, noon)
	}
	w.do(w.create("B", 10))
	if c := w.card("B"); c.CreatedAt != w.now || w.history(c.ID)[0].CreatedAt != w.now {
		t.Error("one card's clock moved another's")
	}
	w.later(2 * time.Hour)
	if next := w.do(w.draw("A", "d2", 1)); next.Txn.CreatedAt != w.now {
		t.Errorf("later the transaction is of %d, must be of %d", next.Txn.CreatedAt, w.now)
	}
}

func TestTimeBeforeTheEpoch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.now = -1_000_000
	w.do(w.create("A", 10))
	w.later(-time.Hour)
	if txn := w.do(w.draw("A", "d", 1)).Txn; txn.CreatedAt != -1_000_000 {
		t.Errorf("the transaction is of %d", txn.CreatedAt)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	at := func(m ledger.Micros) *ledger.Micros { return &m }
	money := func(funds, drawdown, pending int64) ledger.Balance {
		return ledger.Balance{Funds: funds, Drawdown: drawdown, Pending: pending, Reserved: pending}
	}
	for name, c := range map[string]struct {
		card ledger.Card
		want ledger.Status
	}{
		"inactive before all":           {ledger.Card{ExpiresAt: at(noon - 1), Balance: money(5, 5, 0)}, ledger.StatusInactive},
		"expired before used":           {ledger.Card{Activated: true, ExpiresAt: at(noon - 1), Balance: money(5, 5, 0)}, ledger.StatusExpired},
		"expired at that very moment":   {ledger.Card{Activated: true, ExpiresAt: at(noon)}, ledger.StatusExpired},
		"not expired a moment before":   {ledger.Card{Activated: true, ExpiresAt: at(noon + 1)}, ledger.StatusUnused},
		"unused though empty":           {ledger.Card{Activated: true}, ledger.StatusUnused},
		"a lock is no use":              {ledger.Card{Activated: true, Balance: money(5, 0, 5)}, ledger.StatusUnused},
		"used":                          {ledger.Card{Activated: true, Balance: money(5, 5, 0)}, ledger.StatusUsed},
		"partially used":                {ledger.Card{Activated: true, Balance: money(5, 4, 0)}, ledger.StatusPartiallyUsed},
		"partially used, rest locked":   {ledger.Card{Activated: true, Balance: money(5, 4, 1)}, ledger.StatusPartiallyUsed},
		"not active yet says nothing":   {ledger.Card{Activated: true, ActiveFrom: at(noon + 1)}, ledger.StatusUnused},
		"deleted is not a status":       {ledger.Card{Activated: true, DeletedAt: at(noon), Balance: money(5, 4, 0)}, ledger.StatusPartiallyUsed},
		"refilled after having been 0":  {ledger.Card{Activated: true, Balance: money(9, 5, 0)}, ledger.StatusPartiallyUsed},
		"emptied with the greatest sum": {ledger.Card{Activated: true, Balance: money(ledger.MaxAmount, ledger.MaxAmount, 0)}, ledger.StatusUsed},
	} {
		if got := c.card.Status(noon); got != c.want {
			t.Errorf("%s: %s, must be %s", name, got, c.want)
		}
	}
}

func TestBalanceCheck(t *testing.T) {
	t.Parallel()
	const most = ledger.MaxAmount
	for _, c := range []struct {
		balance ledger.Balance
		sound   bool
	}{
		{ledger.Balance{}, true},
		{ledger.Balance{Funds: most, Drawdown: most}, true},
		{ledger.Balance{Funds: most, Drawdown: 1, Pending: most - 1, Reserved: most - 1}, true},
		{ledger.Balance{Funds: 10, Pending: 3, Reserved: 5}, true}, // another kind of reservation
		{ledger.Balance{Funds: 10, Pending: 5, Reserved: 3}, false},
		{ledger.Balance{Funds: 10, Drawdown: 6, Reserved: 5}, false},
		{ledger.Balance{Funds: 10, Drawdown: 11}, false},
		{ledger.Balance{Funds: most + 1}, false},
		{ledger.Balance{Funds: -1}, false},
		{ledger.Balance{Drawdown: -1}, false},
		{ledger.Balance{Pending: -1}, false},
		{ledger.Balance{Reserved: -1, Pending: -1}, false},
		{ledger.Balance{Funds: most, Drawdown: math.MaxInt64, Reserved: math.MaxInt64}, false}, // the sum would wrap
	} {
		if err := c.balance.Check(); (err == nil) != c.sound || err != nil && !errors.Is(err, ledger.ErrCorrupt) {
			t.Errorf("%+v: %v, must be sound: %t", c.balance, err, c.sound)
		}
	}
}

func TestProject(t *testing.T) {
	t.Parallel()
	const most = ledger.MaxAmount
	before := ledger.Balance{Funds: 100, Drawdown: 20, Pending: 30, Reserved: 35}
	for name, c := range map[string]struct {
		txn  ledger.Transaction
		want ledger.Balance
	}{
		"fund":      {ledger.Transaction{Type: ledger.TypeFund, Amount: 7}, ledger.Balance{Funds: 107, Drawdown: 20, Pending: 30, Reserved: 35}},
		"drawdown":  {ledger.Transaction{Type: ledger.TypeDrawdown, Address: ledger.ByCardID, Amount: 7}, ledger.Balance{Funds: 100, Drawdown: 27, Pending: 30, Reserved: 35}},
		"by token":  {ledger.Transaction{Type: ledger.TypeDrawdown, Address: ledger.ByToken, Amount: 45}, ledger.Balance{Funds: 100, Drawdown: 65, Pending: 30, Reserved: 35}},
		"pending":   {ledger.Transaction{Type: ledger.TypePending, Amount: 45}, ledger.Balance{Funds: 100, Drawdown: 20, Pending: 75, Reserved: 80}},
		"capture":   {ledger.Transaction{Type: ledger.TypeDrawdown, Address: ledger.ByTransaction, Amount: 30}, ledger.Balance{Funds: 100, Drawdown: 50, Pending: 0, Reserved: 5}},
		"void":      {ledger.Transaction{Type: ledger.TypeVoided, Address: ledger.ByTransaction, Amount: 30}, ledger.Balance{Funds: 100, Drawdown: 20, Pending: 0, Reserved: 5}},
		"fund of 0": {ledger.Transaction{Type: ledger.TypeFund}, before},
	} {
		if got, err := ledger.Project(before, &c.txn); err != nil || got != c.want {
			t.Errorf("%s: %+v %v, must be %+v", name, got, err, c.want)
		}
	}
	for name, txn := range map[string]ledger.Transaction{
		"unknown type":         {Type: "gift", Amount: 1},
		"no type":              {},
		"negative amount":      {Type: ledger.TypeFund, Amount: -1},
		"amount too great":     {Type: ledger.TypeFund, Amount: most + 1},
		"funds too great":      {Type: ledger.TypeFund, Amount: most - 99},
		"greatest number":      {Type: ledger.TypeFund, Amount: math.MaxInt64},
		"more than available":  {Type: ledger.TypeDrawdown, Address: ledger.ByCardID, Amount: 46},
		"lock of too much":     {Type: ledger.TypePending, Amount: 46},
		"capture of too much":  {Type: ledger.TypeDrawdown, Address: ledger.ByTransaction, Amount: 31},
		"released too much":    {Type: ledger.TypeVoided, Address: ledger.ByTransaction, Amount: 31},
		"smallest number":      {Type: ledger.TypeVoided, Amount: math.MinInt64},
		"type in another case": {Type: "Fund", Amount: 1},
	} {
		if got, err := ledger.Project(before, &txn); !errors.Is(err, ledger.ErrCorrupt) || got != before {
			t.Errorf("%s: %+v %v, must be an error and no change", name, got, err)
		}
	}
}

func TestSettleHold(t *testing.T) {
	t.Parallel()
	id, card := uuid.New(), uuid.New()
	open := ledger.Hold{ID: id, Card: card, Amount: 50, Locked: 30, Open: true}
	txn := func(kind ledger.TxnType, amount int64) ledger.Transaction {
		return ledger.Transaction{Type: kind, Parent: id, Card: card, Amount: amount}
	}
	foreign, other := txn(ledger.TypeDrawdown, 1), txn(ledger.TypeDrawdown, 1)
	foreign.Card, other.Parent = uuid.New(), uuid.New()
	closed := ledger.Hold{ID: id, Card: card, Amount: 50}
	for name, c := range map[string]struct {
		hold  ledger.Hold
		txn   ledger.Transaction
		want  ledger.Hold
		sound bool
	}{
		"part":          {open, txn(ledger.TypeDrawdown, 10), ledger.Hold{ID: id, Card: card, Amount: 50, Locked: 20, Open: true}, true},
		"nothing":       {open, txn(ledger.TypeDrawdown, 0), open, true},
		"all":           {open, txn(ledger.TypeDrawdown, 30), closed, true},
		"void":          {open, txn(ledger.TypeVoided, 30), closed, true},
		"too much":      {open, txn(ledger.TypeDrawdown, 31), open, false},
		"void too much": {open, txn(ledger.TypeVoided, 31), open, false},
		"closed":        {closed, txn(ledger.TypeDrawdown, 0), closed, false},
		"foreign card":  {open, foreign, open, false},
		"other hold":    {open, other, open, false},
	} {
		got, err := ledger.SettleHold(c.hold, &c.txn)
		if (err == nil) != c.sound || got != c.want || err != nil && !errors.Is(err, ledger.ErrCorrupt) {
			t.Errorf("%s: %+v %v, must be %+v, sound: %t", name, got, err, c.want, c.sound)
		}
	}
	half := txn(ledger.TypeVoided, 10)
	if _, err := ledger.SettleHold(open, &half); !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("a void of less than is locked: %v", err)
	}
}
