package main

import (
	"database/sql"
	"path/filepath"
	"strings"
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

// A head that was kept shows what the database itself cannot, and outlives what comes
// after it.
func TestVerifyKeptHeads(t *testing.T) {
	t.Parallel()
	onEditable(t, func(t *testing.T, database []string, edit func(string)) {
		server := serveHere(t, dev(database)...)
		server.createCard(server.token(), `{"card_id":"gone","amount":500,"currency":"NOK"}`)
		server.createCard(server.token(), `{"card_id":"other","amount":700,"currency":"NOK"}`)
		command := func(words ...string) outcome { return kort(t, append(words, database...)...) }

		command("verify", "--heads").want(t, exitOK, ":0:0\n") // nothing is two minutes old
		printed := command("verify", "--heads", "--head-margin=0s")
		printed.want(t, exitOK, "head T12345678:", ":2:2\n", "Everything agrees.", "Keep them where nobody can write")
		_, rest, _ := strings.Cut(printed.stdout, "head ")
		head, _, _ := strings.Cut(rest, "\n")
		file := filepath.Join(t.TempDir(), "heads.txt")
		writeFile(t, file, printed.stdout, 0o600)

		server.createCard(server.token(), `{"card_id":"later","amount":100,"currency":"NOK"}`)
		command("verify", "--head="+head).want(t, exitOK, "3 cards", "What 1 kept head stood for is still there.")
		command("verify", "--head-file="+file, "--head="+head, "--account=T12345678").want(t, exitOK, "What 2 kept heads stood for")
		server.close()

		edit(`DELETE FROM transactions WHERE card_object_id = (SELECT id FROM cards WHERE card_id = 'gone')`)
		edit(`DELETE FROM cards WHERE card_id = 'gone'`)
		command("verify").want(t, exitOK, "Everything agrees.")
		for _, kept := range []string{"--head=" + head, "--head-file=" + file} {
			command("verify", kept).want(t, exitFailure, "account T12345678, head of what was made up to", "size is not the one that was kept",
				"stored 1 cards and 1 transactions, kept 2 cards and 2 transactions", "found 1 disagreement")
		}
		edit(`UPDATE cards SET amount_funds = 701 WHERE card_id = 'other'`)
		if wrong := command("verify", "--heads"); wrong.code != exitFailure || strings.Contains(wrong.stdout, "head T") {
			t.Errorf("a head of a database that disagrees:\n%s", wrong.stdout)
		}
	})
}

// What is new is checked without the rest, from a state that only agreement leaves behind.
func TestVerifySince(t *testing.T) {
	t.Parallel()
	onEditable(t, func(t *testing.T, database []string, edit func(string)) {
		server := serveHere(t, dev(database)...)
		server.createCard(server.token(), `{"card_id":"old","amount":500,"currency":"NOK"}`)
		command := func(words ...string) outcome { return kort(t, append(words, database...)...) }
		state := filepath.Join(t.TempDir(), "state")

		command("verify", "--save="+state).want(t, exitOK, "Everything agrees.", "Saved the verified state in "+state)
		command("verify", "--since="+state).want(t, exitOK, "Checked 1 account, 1 card and 0 transactions since 2", "Everything agrees.")
		server.createCard(server.token(), `{"card_id":"new","amount":700,"currency":"NOK"}`)
		command("verify", "--since="+state, "--save="+state).want(t, exitOK, "2 cards and 1 transaction since", "Saved the verified state")
		command("verify", "--since="+state, "--account=T12345678").want(t, exitOK, "2 cards and 0 transactions since")
		server.close()

		saved := readFile(t, state)
		edit(`UPDATE cards SET amount_funds = 501 WHERE card_id = 'old'`)
		command("verify", "--since="+state, "--save="+state).want(t, exitFailure, `"old"`, "amount_funds", "stored 501, replayed 500", "found 1 disagreement")
		edit(`UPDATE cards SET amount_funds = 500 WHERE card_id = 'old'`)
		edit(`UPDATE transactions SET digest = '` + strings.Repeat("0", 64) + `' WHERE amount = 500`)
		command("verify", "--since="+state).want(t, exitFailure, `"old"`, "(seq 1)", "digest is not the one in the saved state", "kept ")
		if readFile(t, state) != saved {
			t.Error("a verify that found something saved a state")
		}
		if left, err := filepath.Glob(filepath.Join(filepath.Dir(state), ".*")); err != nil || len(left) > 0 {
			t.Errorf("it left %v behind (%v)", left, err)
		}
		writeFile(t, state, strings.Replace(saved, `"seq":1`, `"seq":2`, 1), 0o600)
		command("verify", "--since="+state).want(t, exitFailure, state, "the saved state cannot be used", "it is damaged")
		command("verify", "--since="+state+"x").want(t, exitFailure, "open the saved state")
	})
}

func TestVerifySettingsThatCannotBe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	head := "T12345678:1:" + strings.Repeat("0", 64) + ":1:2"
	for _, test := range []struct {
		words []string
		code  int
		text  string
	}{
		{[]string{"--head=T12345678"}, exitUsage, "--head: must be a head"},
		{[]string{"--head=" + head, "--account=T00000000"}, exitUsage, "--head: must be of the account"},
		{[]string{"--since=x", "--heads"}, exitUsage, "--since: reads too little for heads"},
		{[]string{"--since=x", "--head=" + head}, exitUsage, "--since: reads too little for heads"},
		{[]string{"--head-margin=-1s"}, exitUsage, "--head-margin: must not be negative"},
		{[]string{"--head-file=" + filepath.Join(dir, "none")}, exitFailure, "read heads"},
		{[]string{"--head-file=" + dir}, exitFailure, "read heads"},
	} {
		kort(t, append([]string{"verify", "--data-dir=" + dir}, test.words...)...).want(t, test.code, test.text)
	}
	file := filepath.Join(dir, "heads")
	writeFile(t, file, "Everything agrees.\n", 0o600)
	kort(t, "verify", "--head-file="+file).want(t, exitFailure, "has no line that begins with the word head")
	writeFile(t, file, "head T12345678:1:2\n", 0o600)
	kort(t, "verify", "--head-file="+file).want(t, exitFailure, `"T12345678:1:2"`, "a head is account:")
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
