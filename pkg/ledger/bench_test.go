package ledger_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

func BenchmarkChain(b *testing.B) {
	txn := sample()
	var digest ledger.Digest
	for b.Loop() {
		digest = ledger.Chain(digest, testAccount, &txn)
	}
}

// BenchmarkPost posts drawdowns of one card in batches of a size, as the write path
// does: open a book, load the card, post, list the changes.
func BenchmarkPost(b *testing.B) {
	for name, size := range map[string]int{"1 per batch": 1, "64 per batch": 64} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b)
			w.do(w.create("A", ledger.MaxAmount))
			card := w.card("A")
			ops := make([]*ledger.Transact, size)
			for i := range ops {
				ops[i] = w.draw("A", uuid.NewString(), 0)
			}
			b.ReportAllocs()
			for b.Loop() {
				book := ledger.NewBook(testAccount, noon)
				book.AddCard(card)
				for _, op := range ops {
					if _, err := book.Post(op); err != nil {
						b.Fatal(err)
					}
				}
				if changes := book.Changes(); len(changes.Txns) != size {
					b.Fatalf("%d transactions", len(changes.Txns))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/txn")
		})
	}
}
