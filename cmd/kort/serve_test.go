package main

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/pgtest"
)

// The printed token and command work as they stand. The shell reads the command, and
// a function in place of curl says which words it saw.
func TestPrintedCommandWorks(t *testing.T) {
	t.Parallel()
	server := serveHere(t, "--dev", "--data-dir="+filepath.Join(t.TempDir(), "it's new"))
	server.token()
	eventually(t, "print all", func() bool { return strings.Contains(server.stdout.String(), "Ctrl-C") })
	text := server.stdout.String()
	script := "curl() { printf '%s\\n' \"$@\"; }\n" + text[strings.Index(text, "export TOKEN"):strings.Index(text, "\nThen")]
	script = strings.Replace(script, "Create a card:", "", 1)
	output, err := exec.CommandContext(t.Context(), "sh", "-euc", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	words := strings.Split(strings.TrimSpace(string(output)), "\n")
	if len(words) != 8 || words[0] != "-s" || !strings.HasPrefix(words[3], "Authorization: Bearer ") && words[2] != "-H" {
		t.Fatalf("the shell reads %q", words)
	}
	token := strings.TrimPrefix(words[3], "Authorization: Bearer ")
	created := server.send(http.MethodPost, words[1], token, words[7])
	if created.status != http.StatusOK || created.field(t, "created_by") != welcomeSubject {
		t.Errorf("got %d %s, want a card", created.status, created.body)
	}
	if listed := server.send(http.MethodGet, words[1], token, ""); !strings.Contains(listed.body, created.field(t, "id")) {
		t.Errorf("the card is not listed: %s", listed.body)
	}
	if !strings.Contains(text, `token --data-dir '`) {
		t.Errorf("the data directory is missing in or not quoted for the next commands:\n%s", text)
	}
	server.close()
}

func TestRestartKeepsDataAndKeys(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database []string) {
		first := serveHere(t, dev(database)...)
		token := first.token()
		id := first.createCard(token, `{"card_id":"kept","amount":500,"currency":"NOK","card_token":{}}`)
		first.close()

		second := serveHere(t, dev(database)...)
		got := second.send(http.MethodGet, cardsPath+"/kept", token, "")
		if got.status != http.StatusOK || got.field(t, "id") != id.field(t, "id") {
			t.Errorf("the first token and card: got %d %s", got.status, got.body)
		}
		info := second.send(http.MethodPost, "/v1/accounts/T12345678/wallets/info", token,
			`{"token":"`+id.field(t, "card_token.token.value")+`"}`)
		if info.status != http.StatusOK || info.field(t, "id") != id.field(t, "id") {
			t.Errorf("the card by its token: got %d %s", info.status, info.body)
		}
		second.close()
	})
}

func TestSecondServerRefuses(t *testing.T) {
	t.Parallel()
	dir := "--data-dir=" + t.TempDir()
	server := serveHere(t, dev([]string{dir})...)
	kort(t, "serve", "--dev", "--addr=localhost:0", dir).want(t, exitFailure, "a server runs on", "--data-dir (KORT_DATA_DIR)")
	kort(t, "rebuild", "--apply", dir).want(t, exitFailure, "a server runs on")
	kort(t, "migrate", "up", dir).want(t, exitFailure, "a server runs on")
	server.close()
	serveHere(t, dev([]string{dir})...).close()
}

// Several servers may share a PostgreSQL, if they have the same data key.
func TestTwoServersOnOnePostgres(t *testing.T) {
	t.Parallel()
	database := []string{"--database-url=" + pgtest.URL(t), "--data-dir=" + t.TempDir()}
	first := serveHere(t, dev(database, "--migrate")...)
	second := serveHere(t, dev(database)...)
	created := first.createCard(first.token(), `{"card_id":"shared","amount":1,"currency":"NOK"}`)
	if got := second.send(http.MethodGet, cardsPath+"/shared", second.token(), ""); got.field(t, "id") != created.field(t, "id") {
		t.Errorf("the other server answers %d %s", got.status, got.body)
	}
	second.close()
	first.close()
}

// Commands that only look work beside a server.
func TestCommandsBesideAServer(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database []string) {
		server := serveHere(t, dev(database)...)
		defer server.close()
		server.createCard(server.token(), `{"card_id":"a","amount":1,"currency":"NOK"}`)

		minted := kort(t, "token", "--account=T12345678", "--scope=read:wallets", database[0])
		minted.want(t, exitOK)
		token := strings.TrimSuffix(minted.stdout, "\n")
		if token == "" || strings.ContainsAny(token, " \n") || minted.stderr != "" {
			t.Fatalf("more or less than a token: %q and %q", minted.stdout, minted.stderr)
		}
		if got := server.send(http.MethodGet, cardsPath, token, ""); got.status != http.StatusOK {
			t.Errorf("list with the token: %d %s", got.status, got.body)
		}
		if got := server.send(http.MethodPost, cardsPath, token, `{"card_id":"b"}`); got.status != http.StatusForbidden {
			t.Errorf("create with a token for reading: %d %s", got.status, got.body)
		}
		other := strings.Replace(cardsPath, "T12345678", "T87654321", 1)
		if got := server.send(http.MethodGet, other, token, ""); got.status != http.StatusForbidden {
			t.Errorf("another account: %d %s", got.status, got.body)
		}

		kort(t, append([]string{"verify"}, database...)...).want(t, exitOK, "1 card,", "Everything agrees.")
		kort(t, append([]string{"verify", "--heads", "--account=T12345678"}, database...)...).want(t, exitOK, "head T12345678:")
		kort(t, append([]string{"verify", "--account=P00000000"}, database...)...).want(t, exitOK, "There are no cards.")
		kort(t, append([]string{"rebuild"}, database...)...).want(t, exitOK, "Everything agrees.")
		kort(t, append([]string{"migrate", "status"}, database...)...).want(t, exitOK, "applied", "up to date")
	})
}

// The set-up of a production server: everything is named, nothing is made up.
func TestServeWithoutDev(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database []string) {
		setUp := newProduction(t)
		server := serveHere(t, setUp.args(database)...)
		server.createCard(setUp.token, `{"card_id":"a","amount":1,"currency":"NOK"}`)
		if server.stdout.String() != "" {
			t.Errorf("it prints %q", server.stdout)
		}
		server.close()
	})
}

func TestOtherDataKeyIsRefused(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database []string) {
		setUp := newProduction(t)
		serveHere(t, setUp.args(database)...).close()

		setUp.dataKeyFile = filepath.Join(t.TempDir(), "other-key")
		kort(t, "data-key", "new", "--out", setUp.dataKeyFile).want(t, exitOK, setUp.dataKeyFile)
		kort(t, serveArgs(setUp.args(database))...).want(t, exitFailure,
			"written with another data key", "--data-key-file (KORT_DATA_KEY_FILE)")
	})
}

func TestSchemaBehind(t *testing.T) {
	t.Parallel()
	database := []string{"--database-url=" + pgtest.URL(t), "--data-dir=" + t.TempDir()}
	command := func(words ...string) []string { return append(words, database...) }

	kort(t, command("migrate", "status")...).want(t, exitFailure, "missing  ", "kort migrate up")
	kort(t, serveArgs(dev(database))...).want(t, exitFailure, "behind", "kort migrate up", "--migrate (KORT_MIGRATE)")
	kort(t, command("verify")...).want(t, exitFailure, "kort migrate up")
	serveHere(t, dev(database, "--migrate")...).close()
	kort(t, command("migrate", "status")...).want(t, exitOK, "up to date")
	kort(t, command("migrate", "up")...).want(t, exitOK, "up to date")
}

func TestMigrateSQLite(t *testing.T) {
	t.Parallel()
	dir := "--data-dir=" + t.TempDir()
	kort(t, "migrate", "status", dir).want(t, exitFailure, "there is no database")
	kort(t, "migrate", "up", dir).want(t, exitOK, "applied  ", "up to date")
	kort(t, "migrate", "up", dir).want(t, exitOK, "up to date")
	kort(t, "migrate", "status", dir).want(t, exitOK, "applied  ", "up to date")
}

// production is a server's configuration without --dev, and a token for it.
type production struct {
	jwksFile, dataKeyFile, token string
}

const testIssuer = "https://issuer.example.com/"

func newProduction(t *testing.T) *production {
	t.Helper()
	dir := t.TempDir()
	key, err := auth.OpenLocalKey(filepath.Join(dir, "issuer"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := key.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	p := &production{jwksFile: filepath.Join(dir, "jwks.json"), dataKeyFile: filepath.Join(dir, "data-key")}
	writeFile(t, p.jwksFile, string(keys), 0o644)
	kort(t, "data-key", "new", "--out", p.dataKeyFile).want(t, exitOK, p.dataKeyFile)
	p.token = mint(t, key)
	return p
}

func (p *production) args(database []string) []string {
	return slices.Concat(database, []string{
		"--public-url=" + fixedURL, "--issuer=" + testIssuer, "--jwks=" + p.jwksFile, "--data-key-file=" + p.dataKeyFile,
	})
}
