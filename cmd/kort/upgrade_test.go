package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kortwallet/kort/pkg/pgtest"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// A database of the first release, with cards in all states, is brought up to date: its
// books agree, its lists are those of a database that never was that old, and a server
// goes on.
func TestUpgradeOfAPopulatedDatabase(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, today []string) {
		setUp := newProduction(t)
		server := serveHere(t, setUp.args(today)...)
		load := drive(server, setUp.token)
		load.awaitMore()
		load.stop()
		populate(t, server, setUp.token)
		want := lists(server, setUp.token)
		server.close()

		old := aged(t, today)
		command := func(words ...string) outcome { return kort(t, append(words, old...)...) }
		command("migrate", "status").want(t, exitFailure, "applied  20261123000000_cards", "missing  20261124000000_lists")
		command("verify").want(t, exitFailure, "kort migrate up")
		command("migrate", "up").want(t, exitOK, "applied  20261124000000_lists", "up to date")
		command("verify").want(t, exitOK, "10 cards, ", "Everything agrees.")

		upgraded := serveHere(t, setUp.args(old)...)
		for path, list := range lists(upgraded, setUp.token) {
			if list != want[path] {
				t.Errorf("%s is\n%s\nwant\n%s", path, list, want[path])
			}
		}
		load.wantGoesOn(t, upgraded, load.sales())
		upgraded.close()
		command("verify").want(t, exitOK, "Everything agrees.")
	})
}

// A backup made before an upgrade is good for a restore after it.
func TestBackupBeforeAnUpgrade(t *testing.T) {
	t.Parallel()
	setUp, today := newProduction(t), []string{"--data-dir=" + t.TempDir()}
	server := serveHere(t, setUp.args(today)...)
	load := drive(server, setUp.token)
	load.awaitMore()
	load.stop()
	server.close()

	old := strings.TrimPrefix(aged(t, today)[0], "--data-dir=")
	path := filepath.Join(t.TempDir(), "backup.db")
	kort(t, "backup", "--data-dir="+old, "--out="+path).want(t, exitOK, "behind this version of Kort by ")
	elsewhere := t.TempDir()
	kort(t, "restore", "--data-dir="+elsewhere, "--from="+path).want(t, exitOK, "behind this version of Kort by ")
	upgraded := serveHere(t, setUp.args([]string{"--data-dir=" + elsewhere})...)
	load.wantGoesOn(t, upgraded, load.sales())
	upgraded.close()
	kort(t, "verify", "--data-dir="+elsewhere).want(t, exitOK, "Everything agrees.")
	wantSales(t, sqliteHistory(t, elsewhere), load.sales())
}

// aged makes a database as the first release would have, with the rows of another one.
func aged(t *testing.T, today []string) (old []string) {
	t.Helper()
	dir := t.TempDir()
	old = []string{"--data-dir=" + dir}
	from := repository.Options{SQLitePath: filepath.Join(strings.TrimPrefix(today[0], "--data-dir="), "kort.db")}
	to := repository.Options{SQLitePath: filepath.Join(dir, "kort.db")}
	if len(today) > 1 {
		from = repository.Options{PostgresURL: strings.TrimPrefix(today[1], "--database-url=")}
		to = repository.Options{PostgresURL: pgtest.URL(t)}
		old = append(old, "--database-url="+to.PostgresURL)
	}
	open := func(o repository.Options) repotest.Database {
		store, err := repository.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return repotest.Database{Store: store, Options: o}
	}
	empty, full := open(to), open(from)
	repotest.Aged(t, empty, full)
	for _, d := range []repotest.Database{empty, full} {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return old
}

// populate makes the cards that traffic does not: one with an open hold, one with a
// PIN, one that is not active, and one that is deleted.
func populate(t *testing.T, server *instance, bearer string) {
	t.Helper()
	server.createCard(bearer, `{"card_id":"held","name":"Åse","amount":900,"currency":"SEK","customer_id":"Anna Ærlig"}`)
	server.createCard(bearer, `{"card_id":"secured","amount":100,"currency":"NOK","pin":{}}`)
	server.createCard(bearer, `{"card_id":"gone","amount":50,"currency":"NOK","metadata":{"batch":7}}`)
	for _, request := range []struct{ method, path, body string }{
		{http.MethodPost, cardsPath + "/batch", `{"cards":[{"card_id":"sleeping"}]}`},
		{http.MethodPost, transactionsPath, `{"ref_id":"hold","card_id":"held","amount":200,"currency":"SEK","pending":true}`},
		{http.MethodPost, transactionsPath, `{"ref_id":"fund","card_id":"held","type":"fund","amount":30,"currency":"SEK"}`},
		{http.MethodDelete, cardsPath + "/gone", ""},
	} {
		if got := server.send(request.method, request.path, bearer, request.body); got.status != http.StatusOK {
			t.Fatalf("%s %s: %d %s", request.method, request.path, got.status, got.body)
		}
	}
}

// lists reads what depends on the indexes of lists, and a card with its history.
func lists(server *instance, bearer string) map[string]string {
	server.t.Helper()
	found := map[string]string{}
	for _, query := range []string{
		cardsPath, cardsPath + "?include_deleted=true", cardsPath + "?limit=2", cardsPath + "?currency=SEK",
		cardsPath + "?status=partially_used", cardsPath + "?status=unused", cardsPath + "?status=inactive",
		cardsPath + "?amount_balance.gte=900", cardsPath + "?amount_balance=930", cardsPath + "?search=%C3%A6rlig",
		cardsPath + "/held", cardsPath + "/held/transactions", strings.TrimSuffix(cardsPath, "cards") + "customers/Anna%20%C3%86rlig/cards",
	} {
		got := server.send(http.MethodGet, query, bearer, "")
		if got.status != http.StatusOK || !strings.Contains(got.body, `"id":`) {
			server.t.Errorf("%s: %d %s", query, got.status, got.body)
		}
		found[query] = got.body
	}
	return found
}
