package repotest_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// numbered is the n-th id of a script, the same each time.
func numbered(n int) uuid.UUID {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], uint64(0x0192_0000_0000_7000)) //nolint:gosec // a constant
	binary.BigEndian.PutUint64(id[8:], 0x8000_0000_0000_0000|uint64(n))
	return id
}

// script is a sequence of every kind of operation, in which later ones depend on
// earlier ones and many are refused. Each call makes new values.
func script(rounds int) []ledger.Operation {
	var ops []ledger.Operation
	n := 0
	id := func() uuid.UUID { n++; return numbered(n) }
	add := func(more ...ledger.Operation) { ops = append(ops, more...) }
	transact := func(action ledger.Action, card, ref string, amount int64) *ledger.Transact {
		return &ledger.Transact{
			ID: id(), Action: action, CardID: card, RefID: ref, Amount: amount, AmountGiven: true, Currency: ledger.NOK, By: "clerk",
		}
	}
	token := func(ref, hash string, single bool) ledger.NewToken {
		return ledger.NewToken{
			Token:      ledger.Token{ID: id(), RefID: ref, KeyID: "key", Shape: "default", SingleUse: single, CreatedBy: "clerk"},
			Candidates: []ledger.TokenCandidate{{Hash: "taken", Masked: "t"}, {Hash: hash, Masked: "m"}},
		}
	}
	for round := range rounds {
		card := fmt.Sprintf("card-%d", round%5)
		ref := func(what string) string { return fmt.Sprintf("%s-%d", what, round) }
		first := token("", ref("first"), false)
		newCard := func(cardID string, active bool) ledger.NewCard {
			c := ledger.Card{ID: id(), CardID: cardID, Type: ledger.GiftCard, CreatedBy: "clerk", Activated: active}
			if active {
				c.Currency, c.Amount = ledger.NOK, 100
			}
			return ledger.NewCard{Card: c, OpeningID: id()}
		}
		withToken := newCard(card, true)
		withToken.Token = &first
		again := transact(ledger.ActionFund, card, ref("fund"), 50)
		hold := transact(ledger.ActionPending, card, ref("hold"), 30)
		capture := &ledger.Transact{ID: id(), Action: ledger.ActionCapture, Parent: hold.ID, RefID: ref("capture"), Amount: 10, AmountGiven: true}
		void := &ledger.Transact{ID: id(), Action: ledger.ActionVoid, Parent: hold.ID, RefID: ref("void")}
		single := token(ref("token"), ref("single"), true)
		byToken := transact(ledger.ActionDrawdown, "", ref("by token"), 5)
		byToken.TokenHash = ref("single")
		spent := transact(ledger.ActionDrawdown, "", ref("spent"), 5)
		spent.TokenHash = ref("single")
		wrong := func(uuid.UUID, *ledger.PIN) (bool, error) { return false, nil }
		add(&ledger.CreateCards{Cards: []ledger.NewCard{withToken}}, again, again, hold, capture, capture,
			&ledger.CreateToken{CardID: card, New: single}, byToken, spent,
			&ledger.RotatePIN{CardID: card, ID: id(), PINFor: func(uuid.UUID) ledger.PIN { return ledger.PIN{Hash: "h", KeyID: "k"} }},
			&ledger.CheckPIN{TokenHash: ref("first"), PIN: ledger.PINCheck{Compare: wrong}},
			&ledger.DeleteCard{ID: id(), CardID: card, By: "early"}, void,
			transact(ledger.ActionDrawdown, card, ref("too much"), 1_000_000),
			&ledger.CreateCards{Batch: true, Cards: []ledger.NewCard{newCard(ref("a"), false), newCard(ref("b"), false)}},
			&ledger.Activate{ID: id(), CardID: ref("b"), Amount: 7, Currency: ledger.SEK, Metadata: `{"n":1}`, By: "clerk"})
		if round%2 == 1 {
			add(&ledger.DeleteCard{ID: id(), CardID: card, By: "late"})
		}
	}
	return ops
}

// Any split of a sequence into batches gives the same rows and the same answers.
func TestBatchesOfEverySize(t *testing.T) {
	t.Parallel()
	rounds, sizes := 32, []int{1, 2, 3, 17, 64, 255, 256, 1000}
	if testing.Short() || repotest.RaceDetector {
		rounds, sizes = 6, []int{1, 7, 256}
	}
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		type outcome struct {
			answers []string
			rows    map[string][][]string
		}
		outcomes := map[int]outcome{}
		raw := d.Raw(t)
		for i, size := range sizes {
			account := fmt.Sprintf("T%08d", i+1)
			var o outcome
			for batch := range slices.Chunk(script(rounds), size) {
				results, errs := repotest.Post(t, d.Store, account, repotest.Now, batch...)
				for j := range batch {
					o.answers = append(o.answers, fmt.Sprint(results[j].Txn.ID, results[j].Txn.Seq, results[j].Replayed, results[j].Choices, errs[j]))
				}
			}
			o.rows = rowsOfAccount(t, raw, account)
			outcomes[size] = o
		}
		want := outcomes[sizes[0]]
		if len(want.rows["transactions"]) < 4*rounds || len(want.rows["tokens"]) < rounds {
			t.Fatalf("the script makes too little: %d transactions, %d tokens", len(want.rows["transactions"]), len(want.rows["tokens"]))
		}
		for _, size := range sizes[1:] {
			got := outcomes[size]
			for i := range want.answers {
				if got.answers[i] != want.answers[i] {
					t.Fatalf("in batches of %d operation %d answers %s, want %s", size, i, got.answers[i], want.answers[i])
				}
			}
			for table := range want.rows {
				if !reflect.DeepEqual(got.rows[table], want.rows[table]) {
					t.Errorf("in batches of %d %s holds\n%v\nwant\n%v", size, table, got.rows[table], want.rows[table])
				}
			}
		}
	})
}

// rowsOfAccount reads an account's rows without what differs between accounts.
func rowsOfAccount(t *testing.T, raw *repotest.Raw, account string) map[string][][]string {
	t.Helper()
	rows := map[string][][]string{}
	for table, columns := range map[string]string{
		"cards": `id, card_id, amount, currency, amount_funds, amount_drawdown, amount_pending, amount_reserved, open_holds, seq,
			last_txn_at, pin_failures, pin_hash, deleted_by, metadata`,
		"transactions": "id, card_object_id, seq, type, amount, ref_id, parent_id, token_id, created_at",
		"holds":        "id, card_object_id, amount, locked, open",
		"tokens":       "id, card_object_id, hash, spent_by",
	} {
		rows[table] = raw.Rows(t, fmt.Sprintf("SELECT %s FROM %s WHERE account_id = ? ORDER BY id", columns, table), account)
	}
	return rows
}

// The largest operation there is: a thousand cards, in one statement each table.
func TestThousandCards(t *testing.T) {
	t.Parallel()
	repotest.Each(t, func(t *testing.T, s *repository.Store) {
		op := &ledger.CreateCards{Batch: true}
		for n := range 1000 {
			card := repotest.Card(t, fmt.Sprintf("card-%04d", n))
			card.Activated, card.Currency = false, ""
			op.Cards = append(op.Cards, ledger.NewCard{Card: card, OpeningID: repotest.ID(t)})
		}
		results, errs := repotest.Post(t, s, repotest.Account, repotest.Now, op)
		if errs[0] != nil || len(results[0].Cards) != 1000 {
			t.Fatalf("%d cards, %v", len(results[0].Cards), errs[0])
		}
		list, _, err := s.Cards(t.Context(), repotest.Account, repository.Filter{}, repository.Page{Limit: 2000})
		if err != nil || len(list) != 1000 {
			t.Errorf("%d cards are stored, %v", len(list), err)
		}
	})
}

// Servers that insert the same keys take them in one order, that of the keys, and
// so wait for each other but never in a circle: a deadlock would cost a second.
func TestInsertsDoNotDeadlock(t *testing.T) {
	t.Parallel()
	for name, save := range map[string]func(names ...string) ledger.Changes{
		"cards": func(names ...string) (c ledger.Changes) {
			for _, name := range names {
				c.NewCards = append(c.NewCards, repotest.Card(t, name))
			}
			return c
		},
		"tokens": func(names ...string) (c ledger.Changes) {
			for _, name := range names {
				c.NewTokens = append(c.NewTokens, repotest.Token(t, uuid.Nil, name))
			}
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := repotest.Migrated(t, repotest.Postgres(t))
			ctx := t.Context()
			theirs := make(chan error, 1)
			// We hold m and want z. They have z before m in the order of their ids.
			err := d.Write(ctx, func(tx *repository.Tx) error {
				if err := tx.Save(ctx, repotest.Account, save("m")); err != nil {
					return err
				}
				go func() { theirs <- repotest.TrySave(d.Store, repotest.Account, save("z", "m", "a")) }()
				d.AwaitLock(t)
				return tx.Save(ctx, repotest.Account, save("z"))
			})
			if err != nil {
				t.Errorf("ours: %v", err)
			}
			err = <-theirs
			if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) || !errors.Is(err, repository.ErrConflict) {
				t.Errorf("theirs: %v, want ErrConflict and no error of the database", err)
			}
		})
	}
}

// An empty batch asks nothing and writes nothing.
func TestNothingToDo(t *testing.T) {
	t.Parallel()
	for name, options := range repotest.Engines() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			d := repotest.Migrated(t, o)
			quiet := o
			quiet.Observe = func(text string) { t.Errorf("a statement: %s", text) }
			d.Store = repotest.Open(t, quiet)
			repotest.Post(t, d.Store, repotest.Account, repotest.Now)
			repotest.Save(t, d.Store, repotest.Account, ledger.Changes{})
		})
	}
}

// An error in the middle, or a panic, leaves nothing behind and gives the
// connection back.
func TestWritesAreAllOrNothing(t *testing.T) {
	t.Parallel()
	errOfTest := errors.New("on purpose")
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		for range 20 { // more often than there are connections
			err := d.Write(t.Context(), func(tx *repository.Tx) error {
				c := ledger.Changes{NewCards: []ledger.Card{repotest.Card(t, "card")}}
				return errors.Join(tx.Save(t.Context(), repotest.Account, c), errOfTest)
			})
			if !errors.Is(err, errOfTest) {
				t.Fatalf("%v, want the error of the function", err)
			}
			func() {
				defer func() { _ = recover() }()
				_ = d.Write(t.Context(), func(tx *repository.Tx) error {
					saveCard(t, tx)
					panic("on purpose")
				})
			}()
		}
		if n := d.Raw(t).Number(t, "SELECT count(*) FROM cards"); n != 0 {
			t.Errorf("%d cards were left behind", n)
		}
	})
}

func saveCard(t *testing.T, tx *repository.Tx) {
	t.Helper()
	if err := tx.Save(t.Context(), repotest.Account, ledger.Changes{NewCards: []ledger.Card{repotest.Card(t, "card")}}); err != nil {
		t.Error(err)
	}
}
