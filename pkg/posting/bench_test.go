package posting

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// benchCards is how many cards a benchmark spreads its operations over.
const benchCards = 10_000

// BenchmarkCommit is what a drawdown costs from the queue to the end of its commit,
// without durability and without HTTP, by the size of the batch.
func BenchmarkCommit(b *testing.B) {
	for name, options := range repotest.Engines() {
		b.Run(name, func(b *testing.B) {
			p := newPoster(b, unwatched(b, options(b)), Options{})
			fill(b, p)
			for _, size := range []int{1, 2, 4, 8, 32, 64} {
				b.Run(fmt.Sprintf("spread/%d", size), func(b *testing.B) { p.benchmark(b, size, benchCards) })
			}
			b.Run("hot/64", func(b *testing.B) { p.benchmark(b, 64, 1) })
		})
	}
}

// fill creates the cards.
func fill(b *testing.B, p *Poster) {
	b.Helper()
	const perOperation = 500
	for i := 0; i < benchCards; i += perOperation {
		op := &ledger.CreateCards{}
		for j := range perOperation {
			card := repotest.Card(b, benchCard(i+j))
			card.Amount = 1_000_000_000
			op.Cards = append(op.Cards, ledger.NewCard{Card: card, OpeningID: repotest.ID(b)})
		}
		if _, err := p.Submit(b.Context(), repotest.Account, op); err != nil {
			b.Fatal(err)
		}
	}
}

func benchCard(number int) string { return fmt.Sprintf("card-%07d", number) }

// benchmark commits batches of drawdowns; an iteration is one operation.
func (p *Poster) benchmark(b *testing.B, size, cards int) {
	b.ReportAllocs()
	ctx := context.WithoutCancel(b.Context()) // as a committer's, which no caller can end
	for done := 0; done < b.N; done += size {
		batch := group{account: repotest.Account}
		for range min(size, b.N-done) {
			id := uuid.Must(uuid.NewV7())
			batch.requests = append(batch.requests, &request{account: repotest.Account, done: make(chan struct{}), op: &ledger.Transact{
				ID: id, Action: ledger.ActionDrawdown, CardID: benchCard(rand.IntN(cards)), RefID: id.String(), //nolint:gosec // nobody has to guess it
				Amount: 1, AmountGiven: true, Currency: ledger.NOK, By: "bench",
			}})
		}
		p.commit(ctx, []group{batch})
		for _, r := range batch.requests {
			if r.err != nil {
				b.Fatal(r.err)
			}
		}
	}
}
