package audit_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/pgtest"
	"github.com/kortwallet/kort/pkg/posting"
	"github.com/kortwallet/kort/pkg/repository"
)

// database is a migrated database with its write path, and a way around it.
type database struct {
	t      testing.TB
	store  *repository.Store
	poster *posting.Poster
	raw    *sql.DB // for what no server does
	clock  *atomic.Int64
}

// onBoth runs a test on SQLite and on PostgreSQL.
func onBoth(t *testing.T, test func(t *testing.T, db *database)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, openSQLite(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		url := pgtest.URL(t)
		test(t, open(t, repository.Options{PostgresURL: url}, "pgx", url))
	})
}

func openSQLite(t testing.TB) *database {
	path := filepath.Join(t.TempDir(), "kort.db")
	return open(t, repository.Options{SQLitePath: path, Ephemeral: true}, "sqlite", path+"?_pragma=busy_timeout(10000)")
}

func open(t testing.TB, o repository.Options, driver, source string) *database {
	t.Helper()
	ctx := context.Background()
	store, err := repository.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	raw.SetMaxOpenConns(1)
	db := &database{t: t, store: store, raw: raw, clock: new(atomic.Int64)}
	db.clock.Store(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixMicro())
	db.poster = posting.New(store, posting.Options{
		Clock: func(string) ledger.Micros { return ledger.Micros(db.clock.Add(1001)) },
	})
	t.Cleanup(func() {
		if err := errors.Join(db.poster.Close(ctx), raw.Close(), store.Close()); err != nil {
			t.Error(err)
		}
	})
	return db
}

// submit posts an operation that must be accepted.
func (db *database) submit(account string, op ledger.Operation) ledger.Result {
	db.t.Helper()
	result, err := db.poster.Submit(context.Background(), account, op)
	if err != nil {
		db.t.Fatalf("submit %T: %v", op, err)
	}
	return result
}

// try posts an operation that may be refused.
func (db *database) try(account string, op ledger.Operation) (ledger.Result, bool) {
	result, err := db.poster.Submit(context.Background(), account, op)
	var refusal *ledger.Refusal
	if err != nil && !errors.As(err, &refusal) {
		db.t.Errorf("submit %T: %v", op, err)
	}
	return result, err == nil
}

// exec runs statements past all rules.
func (db *database) exec(statements string) {
	db.t.Helper()
	for statement := range strings.SplitSeq(statements, ";") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := db.raw.Exec(statement); err != nil {
			db.t.Fatalf("%s: %v", statement, err)
		}
	}
}

// unguarded takes away what keeps forged rows out of the tables.
func (db *database) unguarded() {
	db.exec("DROP INDEX transactions_seq; DROP INDEX transactions_ref_id; CREATE INDEX transactions_seq ON transactions (account_id, card_object_id, seq)")
	if !db.store.Postgres() {
		db.exec("PRAGMA ignore_check_constraints = 1")
		return
	}
	rows, err := db.raw.Query("SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace")
	if err != nil {
		db.t.Fatal(err)
	}
	var drops strings.Builder
	for rows.Next() {
		var table, name string
		if err := rows.Scan(&table, &name); err != nil {
			db.t.Fatal(err)
		}
		fmt.Fprintf(&drops, "ALTER TABLE %s DROP CONSTRAINT %s;", table, name)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		db.t.Fatal(err)
	}
	db.exec(drops.String())
}

// dump is the whole content of the tables of an audit, row by row.
func (db *database) dump() string {
	db.t.Helper()
	var text strings.Builder
	for _, table := range []string{"cards", "transactions", "holds", "tokens"} {
		rows, err := db.raw.Query("SELECT * FROM " + table + " ORDER BY account_id, id")
		if err != nil {
			db.t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			db.t.Fatal(err)
		}
		values, pointers := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			pointers[i] = &values[i]
		}
		for rows.Next() {
			if err := rows.Scan(pointers...); err != nil {
				db.t.Fatal(err)
			}
			fmt.Fprintln(&text, table, values)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			db.t.Fatal(err)
		}
	}
	return text.String()
}

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

func newCard(cardID string, amount int64) *ledger.CreateCards {
	return &ledger.CreateCards{Cards: []ledger.NewCard{{
		Card: ledger.Card{
			ID: newID(), CardID: cardID, CustomerID: "Ægir " + cardID, Type: ledger.GiftCard, CreatedBy: "test",
			Amount: amount, Currency: ledger.NOK, Activated: true, Metadata: `{"order":"Ø-1"}`,
		},
		OpeningID: newID(),
	}}}
}

func batchOf(cardIDs ...string) *ledger.CreateCards {
	op := &ledger.CreateCards{Batch: true}
	for _, id := range cardIDs {
		op.Cards = append(op.Cards, ledger.NewCard{
			Card:      ledger.Card{ID: newID(), CardID: id, Type: ledger.CreditNote, CreatedBy: "test"},
			OpeningID: newID(),
		})
	}
	return op
}

func newToken(cardID, ref string, singleUse bool) *ledger.CreateToken {
	id := newID()
	return &ledger.CreateToken{CardID: cardID, New: ledger.NewToken{
		Token: ledger.Token{
			ID: id, RefID: ref, KeyID: "key", Format: "{}", Shape: "{}", SingleUse: singleUse, ExpiresIn: 3600, CreatedBy: "test",
		},
		Candidates: []ledger.TokenCandidate{{Hash: "hash of " + id.String(), Masked: "*****"}},
	}}
}

func transact(action ledger.Action, ref string, amount int64) *ledger.Transact {
	return &ledger.Transact{
		ID: newID(), Action: action, RefID: ref, Amount: amount, AmountGiven: true, Currency: ledger.NOK, By: "test",
	}
}

func (db *database) on(account, cardID string, action ledger.Action, ref string, amount int64) uuid.UUID {
	db.t.Helper()
	op := transact(action, ref, amount)
	op.CardID = cardID
	return db.submit(account, op).Txn.ID
}

func (db *database) by(account string, token ledger.Token, ref string, amount int64) uuid.UUID {
	db.t.Helper()
	op := transact(ledger.ActionDrawdown, ref, amount)
	op.TokenHash = token.Hash
	return db.submit(account, op).Txn.ID
}

// settle captures or voids; a negative amount means all that is left.
func (db *database) settle(account string, parent uuid.UUID, action ledger.Action, ref string, amount int64) uuid.UUID {
	db.t.Helper()
	op := transact(action, ref, max(amount, 0))
	op.Parent, op.AmountGiven = parent, amount >= 0
	return db.submit(account, op).Txn.ID
}

// fixture makes an account with one busy card and some quiet ones, and returns the
// ids of its rows by the names that tests use.
func (db *database) fixture(account string) map[string]string {
	db.t.Helper()
	names := map[string]string{"account": account}
	name := func(key string, id uuid.UUID) uuid.UUID {
		names[key] = id.String()
		return id
	}
	busy := db.submit(account, newCard("busy", 10_000)).Cards[0]
	name("busy", busy.ID)
	name("fund", db.on(account, "busy", ledger.ActionFund, "r-fund", 500))
	name("drawdown", db.on(account, "busy", ledger.ActionDrawdown, "r-drawdown", 300))
	pending := name("pending", db.on(account, "busy", ledger.ActionPending, "r-pending", 1_000))
	name("capture", db.settle(account, pending, ledger.ActionCapture, "r-capture", 300))
	released := name("released", db.on(account, "busy", ledger.ActionPending, "r-released", 200))
	name("void", db.settle(account, released, ledger.ActionVoid, "r-void", -1))
	taken := name("taken", db.on(account, "busy", ledger.ActionPending, "r-taken", 100))
	name("rest", db.settle(account, taken, ledger.ActionCapture, "r-rest", -1))
	single := db.submit(account, newToken("busy", "single", true)).Token
	multi := db.submit(account, newToken("busy", "multi", false)).Token
	name("single", single.ID)
	name("multi", multi.ID)
	name("unused", db.submit(account, newToken("busy", "unused", true)).Token.ID)
	name("by_single", db.by(account, single, "r-single", 50))
	name("by_multi", db.by(account, multi, "r-multi", 20))
	name("zero", db.on(account, "busy", ledger.ActionPending, "r-zero", 0))
	name("last", db.on(account, "busy", ledger.ActionDrawdown, "r-last", 1))

	quiet := db.submit(account, newCard("quiet", 5_000)).Cards[0]
	name("quiet", quiet.ID)
	name("quiet_drawdown", db.on(account, "quiet", ledger.ActionDrawdown, "r-quiet", 100))
	name("empty", db.submit(account, newCard("empty", 0)).Cards[0].ID)
	name("inactive", db.submit(account, batchOf("inactive")).Cards[0].ID)
	gone := db.submit(account, newCard("gone", 70)).Cards[0]
	name("gone", gone.ID)
	db.submit(account, &ledger.DeleteCard{ID: newID(), CardID: "gone", By: "test"})

	txns, err := db.store.Transactions(context.Background(), account, busy.ID, 0, 1)
	if err != nil {
		db.t.Fatal(err)
	}
	name("opening", txns[0].ID)
	return names
}

// named replaces {name} by the quoted id of that name.
func named(text string, names map[string]string) string {
	for key, id := range names {
		text = strings.ReplaceAll(text, "{"+key+"}", "'"+id+"'")
	}
	return text
}

// workload submits random operations to an account. It is deterministic but for
// the ids.
type workload struct {
	db      *database
	account string
	dice    *rand.Rand
	cards   []string
	pending []uuid.UUID
	tokens  []ledger.Token
	steps   int
}

func newWorkload(db *database, account string, seed uint64) *workload {
	return &workload{db: db, account: account, dice: rand.New(rand.NewPCG(seed, 1))}
}

func (w *workload) run(steps int) {
	for range steps {
		w.step()
	}
}

func (w *workload) step() {
	w.steps++
	ref := fmt.Sprintf("ref-%d", w.steps)
	if len(w.cards) == 0 || w.dice.IntN(25) == 0 {
		w.create(ref)
		return
	}
	cardID := w.cards[w.dice.IntN(len(w.cards))]
	switch w.dice.IntN(14) {
	case 0, 1:
		w.transact(cardID, ledger.ActionFund, ref)
	case 2, 3, 4:
		w.transact(cardID, ledger.ActionDrawdown, ref)
	case 5, 6, 7:
		w.transact(cardID, ledger.ActionPending, ref)
	case 8, 9:
		w.settle(ledger.ActionCapture, ref)
	case 10:
		w.settle(ledger.ActionVoid, ref)
	case 11:
		if result, ok := w.db.try(w.account, newToken(cardID, ref, w.dice.IntN(2) == 0)); ok {
			w.tokens = append(w.tokens, result.Token)
		}
	case 12:
		w.byToken(ref)
	default:
		w.rare(cardID, ref)
	}
}

func (w *workload) create(ref string) {
	if w.dice.IntN(4) == 0 {
		w.db.try(w.account, batchOf(ref+"a", ref+"b"))
		w.cards = append(w.cards, ref+"a", ref+"b")
		return
	}
	w.db.try(w.account, newCard(ref, w.amount()))
	w.cards = append(w.cards, ref)
}

func (w *workload) amount() int64 {
	if w.dice.IntN(6) == 0 {
		return 0
	}
	return w.dice.Int64N(2_000)
}

func (w *workload) transact(cardID string, action ledger.Action, ref string) {
	op := transact(action, ref, w.amount())
	op.CardID = cardID
	if result, ok := w.db.try(w.account, op); ok && action == ledger.ActionPending {
		w.pending = append(w.pending, result.Txn.ID)
	}
}

func (w *workload) settle(action ledger.Action, ref string) {
	if len(w.pending) == 0 {
		return
	}
	i := w.dice.IntN(len(w.pending))
	op := transact(action, ref, w.amount())
	op.Parent = w.pending[i]
	if action == ledger.ActionVoid || w.dice.IntN(3) == 0 {
		op.Amount, op.AmountGiven = 0, false
		w.pending = slices.Delete(w.pending, i, i+1)
	}
	w.db.try(w.account, op)
}

func (w *workload) byToken(ref string) {
	if len(w.tokens) == 0 {
		return
	}
	op := transact([]ledger.Action{ledger.ActionDrawdown, ledger.ActionPending, ledger.ActionFund}[w.dice.IntN(3)], ref, w.amount())
	op.TokenHash = w.tokens[w.dice.IntN(len(w.tokens))].Hash
	if result, ok := w.db.try(w.account, op); ok && op.Action == ledger.ActionPending {
		w.pending = append(w.pending, result.Txn.ID)
	}
}

func (w *workload) rare(cardID, ref string) {
	if w.dice.IntN(2) == 0 {
		w.db.try(w.account, &ledger.Activate{
			ID: newID(), CardID: cardID, Amount: w.amount(), Currency: ledger.NOK, CustomerID: "owner of " + ref, By: "test",
		})
		return
	}
	w.db.try(w.account, &ledger.DeleteCard{ID: newID(), CardID: cardID, By: "test"})
}
