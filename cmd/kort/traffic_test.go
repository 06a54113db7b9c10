package main

import (
	"database/sql"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// traffic are clients that take money off cards, each off one of its own, one sale
// after the other, until they are told to stop. Which sales were answered is noted.
type traffic struct {
	server *instance
	bearer string
	codes  map[string]string // card → the clear value of its token

	mu       sync.Mutex
	chapter  string            // begins the ref_id of each sale that is yet to be sent
	answered map[string]string // ref_id → id of the transaction
	stopped  bool
	clients  sync.WaitGroup
}

const (
	trafficClients    = 6
	transactionsPath  = "/v1/accounts/T12345678/wallets/transactions"
	infoPath          = "/v1/accounts/T12345678/wallets/info"
	replayHeader      = "Idempotency-Replayed"
	enoughSales       = 60 // for a database to be under load
	openingBalanceNOK = 1_000_000
)

// drive sends traffic to a server, from now on.
func drive(server *instance, bearer string) *traffic {
	server.t.Helper()
	tr := &traffic{server: server, bearer: bearer, codes: map[string]string{}, answered: map[string]string{}, chapter: "first"}
	for client := range trafficClients {
		card := fmt.Sprint("card-", client)
		created := server.createCard(bearer, fmt.Sprintf(
			`{"card_id":%q,"amount":%d,"currency":"NOK","card_token":{"expires_after_transaction":false}}`, card, openingBalanceNOK))
		tr.codes[card] = created.field(server.t, "card_token.token.value")
	}
	for card := range tr.codes {
		tr.clients.Go(func() { tr.buy(card) })
	}
	return tr
}

func (tr *traffic) buy(card string) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for n := 0; ; n++ {
		tr.mu.Lock()
		ref, stopped := fmt.Sprintf("%s:%s:%d", tr.chapter, card, n), tr.stopped
		tr.mu.Unlock()
		if stopped {
			return
		}
		got, err := tr.server.trySend(client, http.MethodPost, transactionsPath, tr.bearer, sale(ref))
		if err != nil || got.status == http.StatusServiceUnavailable {
			continue // its outcome is unknown, or it was turned away
		}
		if got.status != http.StatusOK {
			tr.server.t.Errorf("%s is answered %d %s", ref, got.status, got.body)
			return
		}
		tr.mu.Lock()
		tr.answered[ref] = got.field(tr.server.t, "id")
		tr.mu.Unlock()
	}
}

// sale is the request of the sale with a ref_id, which names its card.
func sale(ref string) string {
	card := strings.Split(ref, ":")[1]
	return fmt.Sprintf(`{"ref_id":%q,"card_id":%q,"amount":1,"currency":"NOK"}`, ref, card)
}

// sales are those that were answered so far.
func (tr *traffic) sales() map[string]string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return maps.Clone(tr.answered)
}

// awaitMore waits until there is more to lose.
func (tr *traffic) awaitMore() {
	tr.server.t.Helper()
	before := len(tr.sales())
	eventually(tr.server.t, "sell more", func() bool { return len(tr.sales()) >= before+enoughSales })
}

// begin starts a new chapter: every sale whose ref_id begins with it is sent after this.
func (tr *traffic) begin(chapter string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.chapter = chapter
}

// stop ends the traffic, and waits for the last answers.
func (tr *traffic) stop() {
	tr.mu.Lock()
	tr.stopped = true
	tr.mu.Unlock()
	tr.clients.Wait()
}

// history reads which sales a database has.
func history(t *testing.T, driver, source string) map[string]string {
	t.Helper()
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), "SELECT ref_id, CAST(id AS TEXT) FROM transactions WHERE type = 'drawdown'")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	found := map[string]string{}
	for rows.Next() {
		var ref, id string
		if err := rows.Scan(&ref, &id); err != nil {
			t.Fatal(err)
		}
		found[ref] = id
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// sqliteHistory is history of the database in a data directory.
func sqliteHistory(t *testing.T, dir string) map[string]string {
	t.Helper()
	return history(t, "sqlite", filepath.Join(dir, "kort.db"))
}

// wantSales checks that none of the sales that were answered is missing.
func wantSales(t *testing.T, found, answered map[string]string) {
	t.Helper()
	missing := 0
	for ref, id := range answered {
		if found[ref] != id {
			missing++
		}
	}
	if missing > 0 || len(answered) < enoughSales {
		t.Errorf("of %d sales that were answered %d are missing; %d were found", len(answered), missing, len(found))
	}
}

// wantGoesOn checks that a server on a copy of the database goes on as the first one
// would have: old sales are answered as before, new ones are made, tokens are known.
func (tr *traffic) wantGoesOn(t *testing.T, server *instance, answered map[string]string) {
	t.Helper()
	replays := 3
	for ref, id := range answered {
		again := server.send(http.MethodPost, transactionsPath, tr.bearer, sale(ref))
		if again.status != http.StatusOK || again.field(t, "id") != id || again.header.Get(replayHeader) != "true" {
			t.Errorf("%s again: %d %s, want the answer of the first time, %s", ref, again.status, again.body, id)
		}
		if replays--; replays == 0 {
			break
		}
	}
	for card, code := range tr.codes {
		made := server.send(http.MethodPost, transactionsPath, tr.bearer, sale("on the copy:"+card))
		if made.status != http.StatusOK || made.header.Get(replayHeader) != "" {
			t.Errorf("a new sale: %d %s", made.status, made.body)
		}
		info := server.send(http.MethodPost, infoPath, tr.bearer, fmt.Sprintf(`{"token":%q}`, code))
		if info.status != http.StatusOK || info.field(t, "card_id") != card {
			t.Errorf("the card by its token: %d %s, want %s", info.status, info.body, card)
		}
	}
}
