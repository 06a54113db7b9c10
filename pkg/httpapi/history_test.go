package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/httpapi"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// fillHistory gives a card as many transactions as asked for, and returns their ids in
// order.
func fillHistory(t testing.TB, store *repository.Store, account, cardID string, txns int, metadata string) []uuid.UUID {
	t.Helper()
	const batch = 250
	ids := make([]uuid.UUID, 0, txns)
	card := repotest.Card(t, cardID)
	repotest.Save(t, store, account, ledger.Changes{NewCards: []ledger.Card{card}})
	var ops []ledger.Operation
	for len(ids) < txns {
		for len(ops) < batch && len(ids) < txns {
			id := repotest.ID(t)
			ids = append(ids, id)
			ops = append(ops, &ledger.Transact{
				ID: id, Action: ledger.ActionFund, RefID: id.String(), CardID: cardID, Amount: 1, AmountGiven: true,
				Currency: ledger.NOK, Metadata: metadata, By: "till",
			})
		}
		_, refusals := repotest.Post(t, store, account, repotest.Now, ops...)
		for _, refusal := range refusals {
			if refusal != nil {
				t.Fatal(refusal)
			}
		}
		ops = ops[:0]
	}
	return ids
}

// historyRequest asks for a card's transactions.
func (s *server) historyRequest(t testing.TB, account, cardID string) *http.Request {
	t.Helper()
	address := fmt.Sprintf("%s/v1/accounts/%s/wallets/cards/%s/transactions", s.url, account, cardID)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.mint(t, claims(account)))
	return request
}

// TestHistoryHoldsNothingOpen reads the start of a long history and then nothing more,
// until the server can send nothing more either. It has one connection for reading,
// and must still answer others with it.
func TestHistoryHoldsNothingOpen(t *testing.T) {
	t.Parallel()
	for name, options := range repotest.Engines() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			o.ReadConns = 1
			s := newServer(t, repotest.Migrated(t, o)).variant(t, unchecked)
			const account, txns, patience = "T00000001", 2_300, 10 * time.Second
			filler := `{"filler":"` + strings.Repeat("x", 8<<10) + `"}` // more than sockets keep for a reader
			want := fillHistory(t, s.database.Store, account, "long", txns, filler)
			fillHistory(t, s.database.Store, account, "short", 1, "")

			slow, err := http.DefaultClient.Do(s.historyRequest(t, account, "long"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = slow.Body.Close() }()
			for range 3 { // the first ones may come while the server is still reading
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				other, err := http.DefaultClient.Do(s.historyRequest(t, account, "short").WithContext(ctx))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, other.Body); err != nil || other.StatusCode != http.StatusOK {
					t.Errorf("the other list: %d, %v", other.StatusCode, err)
				}
				_ = other.Body.Close()
				cancel()
				time.Sleep(100 * time.Millisecond)
			}
			var got []struct{ ID uuid.UUID }
			if err := json.NewDecoder(slow.Body).Decode(&got); err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) {
				t.Fatalf("%d transactions, want %d", len(got), len(want))
			}
			for i := range got {
				if got[i].ID != want[i] {
					t.Fatalf("transaction %d is another one", i)
				}
			}
		})
	}
}

// unchecked leaves answers as they are: checking one means to keep it whole.
func unchecked(c *httpapi.Config) { c.ValidateResponses = false }

// BenchmarkHistory lists the transactions of a card that has very many, and reports
// when the first byte came.
func BenchmarkHistory(b *testing.B) {
	const account, txns = "T00000001", 100_000
	for name, options := range repotest.Engines() {
		b.Run(name, func(b *testing.B) {
			s := newServer(b, repotest.Migrated(b, options(b))).variant(b, unchecked)
			fillHistory(b, s.database.Store, account, "busy", txns, `{"order_id":"A-1234567"}`)
			request := s.historyRequest(b, account, "busy")
			b.ReportAllocs()
			b.ResetTimer()
			var first time.Duration
			for b.Loop() {
				began := time.Now()
				response, err := http.DefaultClient.Do(request)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := response.Body.Read(make([]byte, 1)); err != nil {
					b.Fatal(err)
				}
				first += time.Since(began)
				if _, err := io.Copy(io.Discard, response.Body); err != nil {
					b.Fatal(err)
				}
				_ = response.Body.Close()
			}
			b.ReportMetric(float64(first.Microseconds())/1000/float64(b.N), "ms-to-first-byte")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*txns), "ns/txn")
		})
	}
}
