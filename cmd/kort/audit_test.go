package main

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/kortwallet/kort/pkg/pgtest"
)

// A figure that somebody has edited is found, shown and put right; nothing else is.
func TestVerifyAndRebuild(t *testing.T) {
	t.Parallel()
	onEditable(t, func(t *testing.T, database []string, edit func(string)) {
		server := serveHere(t, dev(database)...)
		server.createCard(server.token(), `{"card_id":"edited","amount":500,"currency":"NOK"}`)
		server.createCard(server.token(), `{"card_id":"other","amount":700,"currency":"NOK"}`)
		server.close()
		command := func(words ...string) outcome { return kort(t, append(words, database...)...) }

		command("verify").want(t, exitOK, "Checked 1 account, 2 cards, 2 transactions and 0 tokens.", "Everything agrees.")
		edit(`UPDATE cards SET amount_funds = 501 WHERE card_id = 'edited'`)

		command("verify").want(t, exitFailure, `"edited"`, "amount_funds", "stored 501", "replayed 500", "summed 500", "found 1 disagreement")
		command("verify", "--account=T12345678").want(t, exitFailure, "found 1 disagreement")
		command("verify", "--account=T00000000").want(t, exitOK, "There are no cards.")

		command("rebuild").want(t, exitFailure, "amount_funds", "Nothing was changed. To correct 1 card: kort rebuild --apply")
		command("verify").want(t, exitFailure, "found 1 disagreement")
		command("rebuild", "--apply").want(t, exitOK, "Corrected 1 of 1 card.")
		command("verify").want(t, exitOK, "Everything agrees.")
	})
}

// History that somebody has edited is found and left as it is.
func TestRebuildLeavesHistory(t *testing.T) {
	t.Parallel()
	onEditable(t, func(t *testing.T, database []string, edit func(string)) {
		server := serveHere(t, dev(database)...)
		server.createCard(server.token(), `{"card_id":"edited","amount":500,"currency":"NOK"}`)
		server.close()
		edit(`UPDATE transactions SET amount = 400`)
		for _, words := range [][]string{{"rebuild"}, {"rebuild", "--apply"}} {
			kort(t, append(words, database...)...).want(t, exitFailure, "Left as they are", `"edited"`, "1 card not as the history says")
		}
		kort(t, append([]string{"verify"}, database...)...).want(t, exitFailure, "digest")
	})
}

// onEditable runs a test on both engines with a way around the server.
func onEditable(t *testing.T, test func(t *testing.T, database []string, edit func(string))) {
	t.Helper()
	editor := func(t *testing.T, driver, source string) func(string) {
		return func(statement string) {
			t.Helper()
			db, err := sql.Open(driver, source)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			result, err := db.ExecContext(t.Context(), statement)
			if err != nil {
				t.Fatal(err)
			}
			if rows, err := result.RowsAffected(); err != nil || rows != 1 {
				t.Fatalf("%s: %d rows changed, want 1 (%v)", statement, rows, err)
			}
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		test(t, []string{"--data-dir=" + dir}, editor(t, "sqlite", filepath.Join(dir, "kort.db")))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		database := []string{"--data-dir=" + t.TempDir(), "--database-url=" + pgtest.URL(t)}
		kort(t, append([]string{"migrate", "up"}, database...)...).want(t, exitOK)
		test(t, database, editor(t, "pgx", database[1][len("--database-url="):]))
	})
}
