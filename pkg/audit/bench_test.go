package audit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/audit"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/pgtest"
	"github.com/kortwallet/kort/pkg/repository"
)

// envTransactions says how many transactions the benchmarks audit.
const envTransactions = "KORT_BENCH_TRANSACTIONS"

// BenchmarkVerify reports transactions per second.
func BenchmarkVerify(b *testing.B) {
	transactions := 50_000
	if n, err := strconv.Atoi(os.Getenv(envTransactions)); err == nil {
		transactions = n
	}
	for _, spread := range []struct {
		name  string
		cards int
	}{{"spread", transactions / 10}, {"one-card", 1}} {
		b.Run("sqlite/"+spread.name, func(b *testing.B) {
			benchmarkVerify(b, openSQLite(b), spread.cards, transactions)
		})
		b.Run("postgres/"+spread.name, func(b *testing.B) {
			url := pgtest.URL(b)
			benchmarkVerify(b, open(b, repository.Options{PostgresURL: url}, "pgx", url), spread.cards, transactions)
		})
	}
}

func benchmarkVerify(b *testing.B, db *database, cards, transactions int) {
	db.fill(cards, transactions)
	b.ReportAllocs()
	var peak uint64
	calls := 0
	watch := func(int64, int64) {
		if calls++; calls%32 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse)
		}
	}
	runtime.GC()
	for b.Loop() {
		if got := db.clean(audit.Options{Progress: watch}).Transactions; got < int64(transactions) {
			b.Fatalf("%d transactions", got)
		}
	}
	b.ReportMetric(float64(peak)/(1<<20), "MiB-heap")
	b.ReportMetric(float64(transactions)*float64(b.N)/b.Elapsed().Seconds(), "transactions/s")
}

// fill writes cards with histories of funds, drawdowns, holds and settlements, all
// of it made in memory.
func (db *database) fill(cards, transactions int) {
	const account, atOnce = "T00000001", 200
	dice := rand.New(rand.NewPCG(7, 7))
	for first := 0; first < cards; first += atOnce {
		book := ledger.NewBook(account, ledger.Micros(db.clock.Add(1_000)))
		for card := first; card < min(first+atOnce, cards); card++ {
			fillCard(db.t, book, fmt.Sprint("card-", card), transactions/cards, dice)
		}
		db.save(account, book.Changes())
	}
	if db.store.Postgres() {
		db.exec("ANALYZE")
	}
}

func fillCard(t testing.TB, book *ledger.Book, cardID string, transactions int, dice *rand.Rand) {
	post := func(op ledger.Operation) {
		if _, err := book.Post(op); err != nil {
			t.Fatal(err)
		}
	}
	post(newCard(cardID, 1<<40))
	var pending []uuid.UUID
	for n := 1; n < transactions; n++ {
		op := transact(ledger.ActionDrawdown, fmt.Sprint("order-", n), dice.Int64N(1_000))
		op.CardID, op.Metadata = cardID, `{"order_id":"A-1234567"}`
		switch kind := dice.IntN(10); {
		case kind < 2:
			op.Action = ledger.ActionFund
		case kind < 4:
			op.Action = ledger.ActionPending
			pending = append(pending, op.ID)
		case kind < 6 && len(pending) > 0:
			op.Action, op.CardID, op.Parent, op.AmountGiven = ledger.ActionCapture, "", pending[0], false
			if pending = pending[1:]; kind == 5 {
				op.Action = ledger.ActionVoid
			}
		}
		post(op)
	}
}

// save writes new rows, in pieces that a statement can take.
func (db *database) save(account string, all ledger.Changes) {
	const piece = 2_000
	pieces := []ledger.Changes{{NewCards: all.NewCards}}
	for txns := range slices.Chunk(all.Txns, piece) {
		pieces = append(pieces, ledger.Changes{Txns: txns, Posted: all.NewCards})
	}
	for holds := range slices.Chunk(all.NewHolds, piece) {
		pieces = append(pieces, ledger.Changes{NewHolds: holds})
	}
	for _, changes := range pieces {
		err := db.store.Write(context.Background(), func(tx *repository.Tx) error {
			return tx.Save(context.Background(), account, changes)
		})
		if err != nil {
			db.t.Fatal(err)
		}
	}
}
