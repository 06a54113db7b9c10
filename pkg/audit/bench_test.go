package audit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
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
	}{{"spread", transactions / 100}, {"one-card", 1}} {
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
	for b.Loop() {
		if got := db.clean(audit.Options{}).Transactions; got < int64(transactions) {
			b.Fatalf("%d transactions", got)
		}
	}
	b.ReportMetric(float64(transactions)*float64(b.N)/b.Elapsed().Seconds(), "transactions/s")
}

// fill writes cards with histories of funds, drawdowns, holds and settlements,
// past the queue, in large batches.
func (db *database) fill(cards, transactions int) {
	const account, batch = "T00000001", 1_000
	ctx, dice := context.Background(), rand.New(rand.NewPCG(7, 7))
	type open struct {
		card string
		id   uuid.UUID
	}
	var pending []open
	ref := 0
	operation := func() ledger.Operation {
		if ref++; ref <= cards {
			return newCard(fmt.Sprint("card-", ref), 1<<40)
		}
		op := transact(ledger.ActionDrawdown, fmt.Sprint("order-", ref), dice.Int64N(1_000))
		op.CardID, op.Metadata = fmt.Sprint("card-", 1+dice.IntN(cards)), `{"order_id":"A-1234567"}`
		switch dice.IntN(10) {
		case 0, 1:
			op.Action = ledger.ActionFund
		case 2, 3:
			op.Action = ledger.ActionPending
			pending = append(pending, open{op.CardID, op.ID})
		case 4, 5:
			if n := len(pending); n > 0 {
				op.Action, op.CardID, op.Parent, op.AmountGiven = ledger.ActionCapture, "", pending[0].id, false
				if pending = pending[1:]; dice.IntN(3) == 0 {
					op.Action = ledger.ActionVoid
				}
			}
		}
		return op
	}
	for done := 0; done < transactions; {
		ops := make([]ledger.Operation, min(batch, transactions-done))
		for i := range ops {
			ops[i] = operation()
		}
		err := db.store.Write(ctx, func(tx *repository.Tx) error {
			book := ledger.NewBook(account, ledger.Micros(db.clock.Add(1_000)))
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
			db.t.Fatal(err)
		}
		done += len(ops)
	}
	if db.store.Postgres() {
		db.exec("ANALYZE")
	}
}
