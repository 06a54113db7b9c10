package repotest_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// benchCards is how many cards the benchmarks spread their work over.
const benchCards = 1024

// eachForBench runs a benchmark on a store per engine, filled with cards that have
// money. Statements are not watched: that would be measured too.
func eachForBench(b *testing.B, bench func(b *testing.B, s *repository.Store, cards []ledger.Card)) {
	for name, options := range repotest.Engines() {
		b.Run(name, func(b *testing.B) {
			s, err := repository.Open(b.Context(), options(b))
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() {
				if err := s.Close(); err != nil {
					b.Error(err)
				}
			})
			if _, err := s.Migrate(b.Context()); err != nil {
				b.Fatal(err)
			}
			cards := make([]ledger.Card, benchCards)
			for i := range cards {
				cards[i] = repotest.Card(b, fmt.Sprint("card-", i))
				cards[i].CustomerID, cards[i].Funds = fmt.Sprint("customer-", i%16), ledger.MaxAmount
			}
			repotest.Save(b, s, repotest.Account, ledger.Changes{NewCards: cards})
			b.ReportAllocs()
			bench(b, s, cards)
		})
	}
}

// BenchmarkWrite loads, decides and saves a batch of drawdowns from as many cards, and
// commits it. On these databases a commit does not wait for the disk.
func BenchmarkWrite(b *testing.B) {
	eachForBench(b, func(b *testing.B, s *repository.Store, cards []ledger.Card) {
		for _, size := range []int{1, 64} {
			b.Run(fmt.Sprint("batch-", size), func(b *testing.B) {
				ops := make([]ledger.Operation, size)
				for n := 0; b.Loop(); n++ {
					for i := range ops {
						ops[i] = drawdown(b, cards[(n*size+i)%len(cards)].CardID)
					}
					if _, refusals := repotest.Post(b, s, repotest.Account, repotest.Now, ops...); refusals[0] != nil {
						b.Fatal(refusals[0])
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/txn")
			})
		}
	})
}

func drawdown(b *testing.B, cardID string) *ledger.Transact {
	id := repotest.ID(b)
	return &ledger.Transact{
		ID: id, Action: ledger.ActionDrawdown, RefID: id.String(), CardID: cardID, Amount: 1, AmountGiven: true,
		Currency: ledger.NOK, By: "till",
	}
}

func BenchmarkCard(b *testing.B) {
	eachForBench(b, func(b *testing.B, s *repository.Store, cards []ledger.Card) {
		for n := 0; b.Loop(); n++ {
			if _, err := s.Card(b.Context(), repotest.Account, cards[n%len(cards)].CardID); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkCards(b *testing.B) {
	const limit = 100
	eachForBench(b, func(b *testing.B, s *repository.Store, _ []ledger.Card) {
		for name, filter := range map[string]repository.Filter{
			"all": {}, "customer": {Customer: "customer-7"}, "search": {Search: "card-10"},
		} {
			b.Run(name, func(b *testing.B) {
				filter.Now = repotest.Now
				for b.Loop() {
					cards, _, err := s.Cards(b.Context(), repotest.Account, filter, repository.Page{Limit: limit})
					if err != nil || len(cards) == 0 {
						b.Fatal(len(cards), err)
					}
				}
			})
		}
	})
}

// BenchmarkTransactions reads the history of a card, chunk by chunk.
func BenchmarkTransactions(b *testing.B) {
	const history, chunk = 10_000, 1000
	eachForBench(b, func(b *testing.B, s *repository.Store, cards []ledger.Card) {
		card := cards[0].ID
		repotest.Save(b, s, repotest.Account, ledger.Changes{Txns: txns(b, card, history)})
		b.ResetTimer()
		for b.Loop() {
			for after := int64(0); after < history; after += chunk {
				if got, err := s.Transactions(b.Context(), repotest.Account, card, after, chunk); err != nil || len(got) != chunk {
					b.Fatal(len(got), err)
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*history), "ns/txn")
	})
}

// txns makes a history as a till leaves it.
func txns(b *testing.B, card uuid.UUID, n int) []ledger.Transaction {
	all := make([]ledger.Transaction, n)
	for i := range all {
		all[i] = repotest.Txn(b, card)
		all[i].Seq, all[i].Metadata = int64(i+1), `{"order_id":"A-1234567"}`
	}
	return all
}
