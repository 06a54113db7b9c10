package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const hooksPath = "/v1/accounts/T12345678/hooks/subscriptions"

// told is what a receiver needs to know of an event.
type told struct {
	Event       string `json:"event"`
	Transaction struct {
		ID     string `json:"id"`
		CardID string `json:"card_id"`
	} `json:"transaction"`
}

// listener is a receiver that notes the transactions that it is told of, and refuses
// every so-many-th event at first.
type listener struct {
	*httptest.Server
	mu     sync.Mutex
	calls  int
	firsts map[string][]string // card → ids of transactions, in the order in which they first came
	times  map[string]int      // id → how often
}

func listen(t *testing.T) *listener {
	t.Helper()
	l := &listener{firsts: map[string][]string{}, times: map[string]int{}}
	l.Server = httptest.NewServer(l)
	t.Cleanup(l.Close)
	return l
}

// ServeHTTP implements http.Handler.
func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const unlucky = 400 // each keeps its card waiting for some seconds
	body, err := io.ReadAll(r.Body)
	var e told
	if err != nil || json.Unmarshal(body, &e) != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.calls++; l.calls%unlucky == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if e.Event != "wallet_transaction" {
		return
	}
	id := e.Transaction.ID
	if l.times[id]++; l.times[id] == 1 {
		l.firsts[e.Transaction.CardID] = append(l.firsts[e.Transaction.CardID], id)
	}
}

func (l *listener) known() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.times)
}

// committed reads the transactions of each card, in their order.
func committed(t *testing.T, driver, source string) map[string][]string {
	t.Helper()
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT c.card_id, t.id FROM transactions AS t JOIN cards AS c ON c.account_id = t.account_id AND c.id = t.card_object_id
		WHERE t.account_id = 'T12345678' ORDER BY c.card_id, t.seq`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all := map[string][]string{}
	for rows.Next() {
		var card, id string
		if err := rows.Scan(&card, &id); err != nil {
			t.Fatal(err)
		}
		all[card] = append(all[card], id)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func sizeOf(cards map[string][]string) (n int) {
	for _, ids := range cards {
		n += len(ids)
	}
	return n
}

// However often servers are killed under load, every transaction that was committed is
// told of, nothing else is, and each card's in their order. Where several servers can
// share the work, they do.
func TestEventsSurviveKills(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database []string) {
		const kills, clients, cards = 4, 6, 4
		r := listen(t)
		args := dev(database, "--hook-timeout=1s", "--hook-attempts=1000")
		servers := 1
		driver, source := "sqlite", "file:"+filepath.Join(strings.TrimPrefix(database[0], "--data-dir="), "kort.db")
		if len(database) > 1 {
			servers, driver, source = 2, "pgx", strings.TrimPrefix(database[1], "--database-url=")
		}
		start := func() (running []*instance) {
			for range servers {
				running = append(running, serveApart(t, args...))
			}
			return running
		}
		running := start()
		token := running[0].token()
		if a := running[0].send(http.MethodPost, hooksPath, token, fmt.Sprintf(`{"config":{"url":%q},"events":["wallet_transaction","wallet_card"]}`, r.URL)); a.status != http.StatusOK {
			t.Fatalf("subscribe: %d %s", a.status, a.body)
		}
		for card := range cards {
			running[0].createCard(token, fmt.Sprintf(`{"card_id":"card-%d","amount":1000000,"currency":"NOK"}`, card))
		}
		for kill := range kills + 1 {
			if kill > 0 {
				running = start()
			}
			var selling sync.WaitGroup
			ended := make(chan struct{})
			for client := range clients {
				selling.Go(func() {
					for n := 0; ; n++ {
						select {
						case <-ended:
							return
						default:
						}
						ref := fmt.Sprintf("%d-%d:card-%d:%d", kill, client, (client+n)%cards, n)
						server := running[(client+n)%len(running)]
						if _, err := server.trySend(http.DefaultClient, http.MethodPost, transactionsPath, token, sale(ref)); err != nil {
							return // it was killed
						}
					}
				})
			}
			time.Sleep(700 * time.Millisecond)
			if kill < kills {
				for _, server := range running {
					server.signal(syscall.SIGKILL)
				}
			}
			close(ended)
			selling.Wait()
			for _, server := range running {
				if kill < kills {
					<-server.done
				}
			}
		}
		all := committed(t, driver, source)
		for end := time.Now().Add(2 * time.Minute); r.known() < sizeOf(all); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d of %d transactions have been told of", r.known(), sizeOf(all))
			}
		}
		for _, server := range running {
			server.close()
		}
		calls, again := 0, 0
		for _, times := range r.times {
			calls += times
			again += min(times-1, 1)
		}
		t.Logf("%s: %d kills of %d servers, %d transactions, told of %d times, %d of them more than once",
			driver, kills, servers, sizeOf(all), calls, again)
		if r.known() != sizeOf(all) {
			t.Errorf("%d transactions were told of, and there are %d", r.known(), sizeOf(all))
		}
		for card, ids := range all {
			if !slices.Equal(r.firsts[card], ids) {
				t.Errorf("%s: the %d of its transactions were told of in another order", card, len(ids))
			}
		}
		if sizeOf(all) < 50 {
			t.Errorf("%d transactions are no load", sizeOf(all))
		}
	})
}
