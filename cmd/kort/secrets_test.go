package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kortwallet/kort/pkg/pgtest"
)

// What must stay secret is in no line of the log, whatever happens and however much
// is logged.
func TestNoSecretsInTheLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	database, err := url.Parse(pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	password := "hush-hush-password"
	if own, ok := database.User.Password(); ok {
		password = own
	} else {
		database.User = url.UserPassword(database.User.Username(), password) // not asked for, yet there
	}
	server := serveHere(t, dev([]string{"--data-dir=" + dir, "--database-url=" + database.String()}, "--migrate", "--log-level=debug")...)
	bearer := server.token()

	created := server.createCard(bearer, `{"card_id":"a","amount":1,"currency":"NOK",`+
		`"pin":{"format":{"length":30,"characters":true}},"card_token":{"expires_after_transaction":false}}`)
	token, pin := created.field(t, "card_token.token.value"), created.field(t, "pin.pin.value")
	if token == "" || pin == "" {
		t.Fatalf("no token or no PIN: %s", created.body)
	}
	info := "/v1/accounts/T12345678/wallets/info"
	for _, request := range []struct {
		method, path, bearer, body string
		want                       int
	}{
		{http.MethodPost, info, bearer, `{"token":"` + token + `","pin":"` + pin + `"}`, http.StatusOK},
		{http.MethodPost, info, bearer, `{"token":"` + token + `","pin":"` + pin + `x"}`, http.StatusForbidden},
		{http.MethodPost, info, bearer, `{"token":"` + token + `","pin":["` + pin + `"]}`, http.StatusBadRequest},
		{http.MethodPost, info, bearer, `{"token":"` + token + `","` + pin + `":`, http.StatusBadRequest},
		{http.MethodPost, info, bearer + "x", `{"token":"` + token + `"}`, http.StatusUnauthorized},
		{http.MethodGet, cardsPath + "/" + token, bearer, "", http.StatusNotFound},
		{http.MethodGet, cardsPath + "?search=" + pin + "&limit=" + pin, bearer, "", http.StatusBadRequest},
		{http.MethodGet, "/" + pin, bearer, "", http.StatusNotFound},
	} {
		if got := server.send(request.method, request.path, request.bearer, request.body); got.status != request.want {
			t.Errorf("%s: got %d %s, want %d", request.path, got.status, got.body, request.want)
		}
	}
	till := createClient(t, []string{"--data-dir=" + dir, "--database-url=" + database.String()}, "admin:accounts", "read:wallets")
	issued := server.accessToken(till)
	made := server.send(http.MethodPost, clientsPath, issued, `{"name":"x"}`)
	wrong := till
	wrong.secret = made.field(t, "client_secret")
	if got := server.askToken(wrong, tokenPath, fixedURL, testAccount); got.status != http.StatusUnauthorized || wrong.secret == "" {
		t.Errorf("a wrong secret: %d %s", got.status, got.body)
	}
	server.close()

	var signingKey struct{ D string }
	if err := json.Unmarshal([]byte(readFile(t, filepath.Join(dir, "signing-key.json"))), &signingKey); err != nil || signingKey.D == "" {
		t.Fatalf("no signing key: %v", err)
	}
	log := server.stderr.String()
	if strings.Count(log, `"msg":"request"`) < 8 {
		t.Fatalf("the log has too little in it to show anything:\n%s", log)
	}
	for name, secret := range map[string]string{
		"bearer token": bearer, "card token": token, "PIN": pin, "password": password,
		"data key": strings.TrimSpace(readFile(t, filepath.Join(dir, "data-key"))), "signing key": signingKey.D,
		"secret of a client": till.secret, "wrong secret": wrong.secret, "issued token": issued, "Basic": basicAuth(till),
	} {
		if strings.Contains(log, secret) {
			t.Errorf("the log shows the %s:\n%s", name, log)
		}
	}
}

func basicAuth(c apiClient) string {
	return base64.StdEncoding.EncodeToString([]byte(c.id + ":" + c.secret))
}

// Of a client's secret the database has a hash only, wherever it keeps its pages.
func TestNoClientSecretInTheDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := serveHere(t, dev([]string{"--data-dir=" + dir})...)
	till := createClient(t, []string{"--data-dir=" + dir}, "admin:accounts")
	issued := server.accessToken(till)
	second := server.send(http.MethodPost, clientsPath, issued, `{"name":"over HTTP"}`).field(t, "client_secret")
	look := func(when string) {
		t.Helper()
		content := ""
		for _, file := range mustGlob(t, filepath.Join(dir, "kort.db*")) {
			content += readFile(t, file)
		}
		if !strings.Contains(content, "over HTTP") {
			t.Fatalf("%s the client is not in the files", when)
		}
		for name, secret := range map[string]string{"secret": till.secret, "other secret": second, "token": issued} {
			if secret == "" || strings.Contains(content, secret) {
				t.Errorf("%s the %s is in the database", when, name)
			}
		}
	}
	look("while it runs")
	server.close()
	look("afterwards")
}
