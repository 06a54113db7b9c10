package audit

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/pgtest"
	"github.com/kortwallet/kort/pkg/repository"
)

// brokenProjectors are mistakes that Project could have.
var brokenProjectors = map[string]struct {
	project projector
	figures []string
}{
	"a capture goes on locking": {
		func(b ledger.Balance, t *ledger.Transaction) (ledger.Balance, error) {
			if t.Type == ledger.TypeDrawdown && t.Address == ledger.ByTransaction {
				b.Drawdown += t.Amount
				return b, nil
			}
			return ledger.Project(b, t)
		},
		[]string{"amount_pending", "amount_reserved"},
	},
	"a void takes the money": {
		func(b ledger.Balance, t *ledger.Transaction) (ledger.Balance, error) {
			next, err := ledger.Project(b, t)
			if t.Type == ledger.TypeVoided {
				next.Drawdown += t.Amount
			}
			return next, err
		},
		[]string{"amount_drawdown"},
	},
	"a fund counts twice": {
		func(b ledger.Balance, t *ledger.Transaction) (ledger.Balance, error) {
			next, err := ledger.Project(b, t)
			if t.Type == ledger.TypeFund {
				next.Funds += t.Amount
			}
			return next, err
		},
		[]string{"amount_funds"},
	},
	"a capture leaves its money reserved": {
		func(b ledger.Balance, t *ledger.Transaction) (ledger.Balance, error) {
			next, err := ledger.Project(b, t)
			if t.Type == ledger.TypeDrawdown && t.Address == ledger.ByTransaction {
				next.Reserved += t.Amount
			}
			return next, err
		},
		[]string{"amount_reserved"},
	},
}

// TestSumsCatchABrokenProjector stores a card as a broken projector would have
// left it and replays it with the same one: the replay agrees with the card, in
// every figure, and the sums tell.
func TestSumsCatchABrokenProjector(t *testing.T) {
	t.Parallel()
	onEmptyStores(t, func(t *testing.T, store *repository.Store) {
		for name, broken := range brokenProjectors {
			wrong := storeHistory(t, store, name, broken.project)
			findings := Findings{limit: DefaultMaxFindings}
			w := newWalker(&Scope{}, Options{Account: name}, findings.add)
			w.project = broken.project
			w.finish = func(h *history) error {
				w.checkCard(h)
				return nil
			}
			if err := w.walk(context.Background(), store, true); err != nil {
				t.Fatal(err)
			}
			var figures []string
			for _, f := range findings.First {
				if f.Replayed == f.Stored && f.Summed != f.Stored && f.Card == wrong.String() {
					figures = append(figures, f.Figure)
				}
				if f.Replayed != "" && f.Replayed != f.Stored {
					t.Errorf("%s: the replay does not agree: %v", name, f)
				}
			}
			if !slices.Equal(figures, broken.figures) {
				t.Errorf("%s: the sums disagree about %v, not about %v", name, figures, broken.figures)
			}
		}
	})
}

// TestRepairSeesWhatCameAfterTheReading spoils a card, reads its history, lets a
// server post on it, and goes on from the reading under the lock: only what was
// spoilt may count as a change, not what the server has done since.
func TestRepairSeesWhatCameAfterTheReading(t *testing.T) {
	t.Parallel()
	onEmptyStores(t, func(t *testing.T, store *repository.Store) {
		const account = "T00000001"
		ctx := context.Background()
		storeHistory(t, store, account, func(b ledger.Balance, txn *ledger.Transaction) (ledger.Balance, error) {
			next, err := ledger.Project(b, txn)
			if txn.Address == ledger.ByOpening {
				next.Funds++
			}
			return next, err
		})
		var read *history
		w := newWalker(&Scope{}, Options{}, func(Finding) {})
		w.finish = func(h *history) error {
			read = h
			return nil
		}
		if err := w.walk(ctx, store, false); err != nil {
			t.Fatal(err)
		}
		var pending uuid.UUID
		for pending = range read.holds { // there is one
		}
		ops := []ledger.Operation{
			&ledger.Transact{ID: uuid.Must(uuid.NewV7()), Action: ledger.ActionCapture, RefID: "part", Parent: pending, Amount: 20, AmountGiven: true, By: "test"},
			&ledger.Transact{ID: uuid.Must(uuid.NewV7()), Action: ledger.ActionVoid, RefID: "rest", Parent: pending, By: "test"},
			&ledger.Transact{ID: uuid.Must(uuid.NewV7()), Action: ledger.ActionPending, RefID: "new", CardID: "card", Amount: 5, AmountGiven: true, Currency: ledger.EUR, By: "test"},
		}
		post(t, store, account, ops)
		err := store.Write(ctx, func(tx *repository.Tx) error {
			locked, err := tx.LockCards(ctx, account, []uuid.UUID{read.card.Card.ID})
			if err != nil {
				return err
			}
			now, err := read.resume(ctx, tx.Audit(), &locked[0])
			if err != nil {
				return err
			}
			changes, left := now.changes()
			var figures []string
			for _, change := range changes {
				figures = append(figures, change.Figure+" "+change.Replayed)
			}
			// The last transactions of both commits repeat what was spoilt.
			if want := []string{"amount_funds 1000", "available_after 800", "available_after 925"}; left != nil || !slices.Equal(figures, want) {
				t.Errorf("changes %v, left %v", changes, left)
			}
			if now.count != read.count+int64(len(ops)) || len(read.holds) != 1 {
				t.Errorf("%d transactions after %d; the reading has %d holds", now.count, read.count, len(read.holds))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// post decides and writes operations as a server does.
func post(t *testing.T, store *repository.Store, account string, ops []ledger.Operation) {
	t.Helper()
	ctx := context.Background()
	err := store.Write(ctx, func(tx *repository.Tx) error {
		book := ledger.NewBook(account, ledger.Micros(5_000))
		if err := tx.Load(ctx, account, book, ops); err != nil {
			return err
		}
		for _, op := range ops {
			if _, err := book.Post(op); err != nil {
				return err
			}
		}
		return tx.Save(ctx, account, book.Changes())
	})
	if err != nil {
		t.Fatal(err)
	}
}

// onEmptyStores runs a test on a new database of each engine.
func onEmptyStores(t *testing.T, test func(*testing.T, *repository.Store)) {
	t.Helper()
	for engine, options := range map[string]func(testing.TB) repository.Options{
		"sqlite": func(t testing.TB) repository.Options {
			return repository.Options{SQLitePath: filepath.Join(t.TempDir(), "kort.db"), Ephemeral: true}
		},
		"postgres": func(t testing.TB) repository.Options { return repository.Options{PostgresURL: pgtest.URL(t)} },
	} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			store, err := repository.Open(ctx, options(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := store.Close(); err != nil {
					t.Error(err)
				}
			})
			if _, err := store.Migrate(ctx); err != nil {
				t.Fatal(err)
			}
			test(t, store)
		})
	}
}

// storeHistory writes a card with a short history and the balance that a projector
// makes of it.
func storeHistory(t *testing.T, store *repository.Store, account string, project projector) uuid.UUID {
	t.Helper()
	card := ledger.Card{
		ID: uuid.Must(uuid.NewV7()), CardID: "card", Type: ledger.GiftCard, CreatedBy: "test",
		Amount: 1_000, Currency: ledger.EUR, Activated: true,
	}
	changes := ledger.Changes{}
	add := func(txn ledger.Transaction) ledger.Transaction {
		txn.ID, txn.Card, txn.Seq = uuid.Must(uuid.NewV7()), card.ID, card.Seq+1
		txn.Currency, txn.CreatedAt, txn.CreatedBy = card.Currency, ledger.Micros(1_000+txn.Seq), "test"
		if txn.RefID = txn.ID.String(); txn.Address == ledger.ByOpening {
			txn.RefID = card.ID.String()
		}
		txn.Digest = ledger.Chain(card.Digest, account, &txn)
		balance, err := project(card.Balance, &txn)
		if err != nil {
			t.Fatal(err)
		}
		card.Balance, card.Seq, card.Digest, card.LastTxnAt = balance, txn.Seq, txn.Digest, txn.CreatedAt
		changes.Txns = append(changes.Txns, txn)
		return txn
	}
	hold := func(pending ledger.Transaction, settled ...ledger.Transaction) {
		is := ledger.OpenHold(&pending)
		for i := range settled {
			var err error
			if is, err = ledger.SettleHold(is, &settled[i]); err != nil {
				t.Fatal(err)
			}
		}
		changes.NewHolds = append(changes.NewHolds, is)
		if is.Open {
			card.OpenHolds++
		}
	}
	add(ledger.Transaction{Type: ledger.TypeFund, Amount: 1_000, Address: ledger.ByOpening, AmountGiven: true})
	captured := add(ledger.Transaction{Type: ledger.TypePending, Amount: 200, Address: ledger.ByCardID, AmountGiven: true})
	capture := add(ledger.Transaction{Type: ledger.TypeDrawdown, Amount: 50, Address: ledger.ByTransaction, Parent: captured.ID, AmountGiven: true})
	voided := add(ledger.Transaction{Type: ledger.TypePending, Amount: 100, Address: ledger.ByCardID, AmountGiven: true})
	void := add(ledger.Transaction{Type: ledger.TypeVoided, Amount: 100, Address: ledger.ByTransaction, Parent: voided.ID})
	hold(captured, capture)
	hold(voided, void)
	changes.NewCards = []ledger.Card{card}
	err := store.Write(context.Background(), func(tx *repository.Tx) error {
		return tx.Save(context.Background(), account, changes)
	})
	if err != nil {
		t.Fatal(err)
	}
	return card.ID
}
