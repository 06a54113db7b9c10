package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// done is what doEverything has done.
type done struct {
	posted  float64           // operations that were accepted by the write path
	held    time.Duration     // how long at least one of them waited in the queue
	secrets map[string]string // what nobody who watches the server may see
}

// doEverything makes requests with every kind of outcome to a server with room for one
// operation in its queue.
func doEverything(t *testing.T, server *instance, database []string) done {
	t.Helper()
	token := server.token()
	post := func(want int, path, body string) answer {
		t.Helper()
		a := server.send(http.MethodPost, path, token, body)
		if a.status != want {
			t.Fatalf("POST %s %s: got %d %s, want %d", path, body, a.status, a.body, want)
		}
		return a
	}
	created := post(http.StatusOK, cardsPath, `{"card_id":"watched-card","amount":100,"currency":"NOK","customer_id":"watched-customer",`+
		`"card_token":{"expires_after_transaction":false},"pin":{}}`)
	code, pin := created.field(t, "card_token.token.value"), created.field(t, "pin.pin.value")
	if code == "" || pin == "" {
		t.Fatalf("no token or PIN in %s", created.body)
	}
	wrong := strings.Map(func(r rune) rune { return '0' + (r-'0'+1)%10 }, pin)

	post(http.StatusOK, transactionsPath, sale("a:watched-card"))
	if again := post(http.StatusOK, transactionsPath, sale("a:watched-card")); again.header.Get(replayHeader) != "true" {
		t.Fatalf("no replay: %s", again.body)
	}
	post(http.StatusConflict, transactionsPath, `{"ref_id":"b:watched-card","card_id":"watched-card","amount":1000,"currency":"NOK"}`)
	post(http.StatusOK, infoPath, fmt.Sprintf(`{"token":%q,"pin":%q}`, code, pin))
	for range 5 {
		post(http.StatusForbidden, infoPath, fmt.Sprintf(`{"token":%q,"pin":%q}`, code, wrong))
	}
	post(http.StatusTooManyRequests, infoPath, fmt.Sprintf(`{"token":%q,"pin":%q}`, code, pin))

	for _, row := range []struct {
		method, path, token string
		want                int
	}{
		{http.MethodGet, cardsPath, token, http.StatusOK},
		{http.MethodGet, cardsPath, "watched-bearer", http.StatusUnauthorized},
		{http.MethodGet, cardsPath + "?limit=watched-query", token, http.StatusBadRequest},
		{http.MethodGet, "/watched/path", token, http.StatusNotFound},
		{"WATCHED", cardsPath, token, http.StatusMethodNotAllowed},
		{http.MethodGet, "/healthz", "", http.StatusOK},
		{http.MethodHead, "/readyz", "", http.StatusOK},
	} {
		if a := server.send(row.method, row.path, row.token, ""); a.status != row.want {
			t.Fatalf("%s %s: got %d %s, want %d", row.method, row.path, a.status, a.body, row.want)
		}
	}
	held := overload(t, server, database, token)
	return done{
		posted: 1 + 3 + 7 + 2, held: held,
		secrets: map[string]string{
			"access token": token, "signature of the access token": token[strings.LastIndex(token, ".")+1:],
			"token": code, "PIN": pin, "wrong PIN": wrong, "card": "watched-card", "customer": "watched-customer",
			"false access token": "watched-bearer", "query": "watched-query", "path": "watched/path", "method": "WATCHED",
		},
	}
}

// overload lets one operation commit slowly and one wait behind it, so that a third is
// refused; it returns how long the second waited at least.
func overload(t *testing.T, server *instance, database []string, token string) time.Duration {
	t.Helper()
	release := holdDatabase(t, database)
	defer release()
	before := server.scrape()
	var clients sync.WaitGroup
	defer clients.Wait()
	sell := func(ref string) {
		clients.Go(func() {
			if a := server.send(http.MethodPost, transactionsPath, token, sale(ref)); a.status != http.StatusOK {
				t.Errorf("%s: got %d %s", ref, a.status, a.body)
			}
		})
	}
	const batches = "kort_posting_batch_operations_count{}"
	sell("c:watched-card")
	eventually(t, "begin a commit", func() bool { return server.scrape()[batches] == before[batches]+1 })
	sell("d:watched-card")
	eventually(t, "queue up", func() bool { return server.scrape()["kort_posting_queue_depth{}"] == 1 })
	begin := time.Now()
	a := server.send(http.MethodPost, transactionsPath, token, sale("e:watched-card"))
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("with a full queue: got %d %s", a.status, a.body)
	}
	held := time.Since(begin)
	release()
	return held
}

// holdDatabase keeps servers from committing until it is told to stop.
func holdDatabase(t *testing.T, database []string) (release func()) {
	t.Helper()
	driver, source, statement := "sqlite", "", "UPDATE cards SET card_id = card_id"
	for _, arg := range database {
		if dir, is := strings.CutPrefix(arg, "--data-dir="); is && driver == "sqlite" {
			source = "file:" + filepath.Join(dir, "kort.db")
		}
		if url, is := strings.CutPrefix(arg, "--database-url="); is {
			driver, source, statement = "pgx", url, "LOCK TABLE cards IN EXCLUSIVE MODE"
		}
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.BeginTx(context.WithoutCancel(t.Context()), nil)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "lock the database", func() bool {
		_, err = tx.ExecContext(t.Context(), statement)
		return err == nil || driver != "sqlite" // where the server may be writing still
	})
	if err != nil {
		t.Fatal(err)
	}
	return sync.OnceFunc(func() {
		if err := tx.Rollback(); err != nil {
			t.Errorf("release the database: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Errorf("release the database: %v", err)
		}
	})
}
