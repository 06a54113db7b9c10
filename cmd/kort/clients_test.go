package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/pgtest"
)

const (
	testAccount = "T12345678"
	tokenPath   = "/v1/accounts/" + testAccount + "/auth/token"
	keysPath    = "/v1/accounts/" + testAccount + "/auth/keys"
	clientsPath = "/v1/accounts/" + testAccount + "/auth/clients"
)

// apiClient is what `kort clients create` prints.
type apiClient struct{ id, secret string }

// createClient makes a client of the test account from the command line.
func createClient(t *testing.T, database []string, scopes ...string) apiClient {
	t.Helper()
	args := slices.Concat([]string{"clients", "create", "--account=" + testAccount, "--name=shop"}, database)
	for _, scope := range scopes {
		args = append(args, "--scope="+scope)
	}
	made := kort(t, args...)
	made.want(t, exitOK, "will not be shown again")
	words := strings.Fields(made.stdout)
	if len(words) != 4 || words[0] != "client_id" || words[2] != "client_secret" || strings.Contains(made.stderr, words[3]) {
		t.Fatalf("printed %q", made.stdout)
	}
	return apiClient{words[1], words[3]}
}

// askToken asks a server for a token of the audience base.
func (i *instance) askToken(c apiClient, path, base, account string) answer {
	i.t.Helper()
	body := `{"grant_type":"client_credentials","audience":"` + base + `/v1/accounts/` + account + `"}`
	request, err := http.NewRequest(http.MethodPost, "http://"+i.addr+path, strings.NewReader(body))
	if err != nil {
		i.t.Fatal(err)
	}
	request.SetBasicAuth(c.id, c.secret)
	request.Header.Set("Content-Type", "application/json")
	return i.do(request)
}

// accessToken gets a token of the test account.
func (i *instance) accessToken(c apiClient) string {
	i.t.Helper()
	got := i.askToken(c, tokenPath, fixedURL, testAccount)
	if got.status != http.StatusOK {
		i.t.Fatalf("no token: %d %s", got.status, got.body)
	}
	return got.field(i.t, "access_token")
}

// reads tells with what status cards are listed.
func (i *instance) reads(token string) int {
	i.t.Helper()
	return i.send(http.MethodGet, cardsPath, token, "").status
}

// issuer are the arguments of a production server that issues tokens itself, and the file of its signing keys.
func (p *production) issuing(t *testing.T, database []string) (args []string, ring string) {
	t.Helper()
	ring = filepath.Join(t.TempDir(), "signing-keys.json")
	kort(t, "signing-key", "new", "--out="+ring).want(t, exitOK, "--signing-key-file")
	return slices.Concat(database, []string{
		"--public-url=" + fixedURL, "--signing-key-file=" + ring, "--data-key-file=" + p.dataKeyFile, "--token-ttl=15m",
	}), ring
}

// A production server without any other issuer: clients are made beside it, and ended beside it.
func TestServerThatIssuesTokens(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database []string) {
		setUp := newProduction(t)
		args, _ := setUp.issuing(t, database)
		withKey := append(slices.Clone(database), "--data-key-file="+setUp.dataKeyFile)
		server := serveHere(t, args...)
		shop, admin := createClient(t, withKey, auth.ScopeWrite, auth.ScopeRead), createClient(t, withKey, auth.ScopeAccounts)

		answer := server.askToken(shop, tokenPath, fixedURL, testAccount)
		if !strings.Contains(answer.body, `"expires_in":900`) {
			t.Errorf("the lifetime is not that of the setting: %s", answer.body)
		}
		token := server.accessToken(shop)
		if made := server.createCard(token, `{"card_id":"a","amount":1,"currency":"NOK"}`); made.field(t, "created_by") != shop.id {
			t.Errorf("created_by: %s", made.body)
		}
		if got := server.send(http.MethodPost, clientsPath, token, `{"name":"x"}`); got.status != http.StatusForbidden {
			t.Errorf("a shop makes clients: %d %s", got.status, got.body)
		}
		if got := server.send(http.MethodPost, clientsPath, server.accessToken(admin), `{"name":"over HTTP"}`); got.status != http.StatusOK {
			t.Errorf("make a client: %d %s", got.status, got.body)
		}
		if got := server.reads(setUp.token); got != http.StatusUnauthorized {
			t.Errorf("a token of an issuer that is not trusted: %d", got)
		}

		list := append([]string{"clients", "list", "--account=" + testAccount}, database...)
		kort(t, list...).want(t, exitOK, shop.id+" ", " write:wallets,read:wallets \"shop\"", " admin:accounts \"shop\"", " - \"over HTTP\"")
		revoke := append([]string{"clients", "revoke", "--account=" + testAccount, "--client=" + shop.id}, database...)
		kort(t, revoke...).want(t, exitOK, "revoked")
		kort(t, revoke...).want(t, exitFailure, "has no client")
		if got := server.askToken(shop, tokenPath, fixedURL, testAccount); got.status != http.StatusUnauthorized {
			t.Errorf("a revoked client: %d %s", got.status, got.body)
		}
		if got := server.reads(token); got != http.StatusOK {
			t.Errorf("the token from before: %d", got)
		}
		server.close()

		again := serveHere(t, args...)
		if got := again.reads(token); got != http.StatusOK {
			t.Errorf("after a restart: %d", got)
		}
		again.accessToken(admin)
		again.close()
	})
}

// Clients that are made beside a server cost nobody a sale.
func TestClientsAreMadeUnderLoad(t *testing.T) {
	t.Parallel()
	database := []string{"--data-dir=" + t.TempDir()}
	server := serveHere(t, dev(database)...)
	load := drive(server, server.token())
	for range 5 {
		load.awaitMore()
		server.accessToken(createClient(t, database, auth.ScopeRead))
	}
	load.stop()
	server.close()
	kort(t, append([]string{"verify"}, database...)...).want(t, exitOK, "Everything agrees.")
	wantSales(t, sqliteHistory(t, strings.TrimPrefix(database[0], "--data-dir=")), load.sales())
}

// The signing key rotates beside a running server.
func TestSigningKeyRotatesBesideAServer(t *testing.T) {
	t.Parallel()
	setUp := newProduction(t)
	database := []string{"--data-dir=" + t.TempDir()}
	args, ring := setUp.issuing(t, database)
	server := serveHere(t, args...)
	shop := createClient(t, append(slices.Clone(database), "--data-key-file="+setUp.dataKeyFile), auth.ScopeRead)
	old := server.accessToken(shop)
	rotate := []string{"signing-key", "rotate", "--signing-key-file=" + ring}
	kort(t, append(rotate, "--in=0s")...).want(t, exitOK, "has a new key", "accepted until")
	eventually(t, "publish the new key", func() bool {
		return strings.Count(server.send(http.MethodGet, keysPath, "", "").body, `"kid"`) == 2
	})
	fresh := server.accessToken(shop)
	if strings.Split(fresh, ".")[0] == strings.Split(old, ".")[0] {
		t.Error("the old key signs")
	}
	if server.reads(old) != http.StatusOK || server.reads(fresh) != http.StatusOK {
		t.Error("a token is refused")
	}
	listed := kort(t, "signing-key", "list", "--signing-key-file="+ring)
	listed.want(t, exitOK, " old, accepted until ", " signs\n")

	kort(t, append(rotate, "--in=1h")...).want(t, exitOK)
	kort(t, append(rotate, "--in=1h")...).want(t, exitFailure, "will sign later")
	kort(t, "signing-key", "list", "--signing-key-file="+ring).want(t, exitOK, " signs, accepted until ", " next, from ")
	eventually(t, "publish the key to come", func() bool {
		return strings.Count(server.send(http.MethodGet, keysPath, "", "").body, `"kid"`) == 3
	})
	if now := server.accessToken(shop); strings.Split(now, ".")[0] != strings.Split(fresh, ".")[0] {
		t.Error("the key to come signs already")
	}
	private := readFile(t, ring)
	for _, part := range strings.Split(private, `"d": "`)[1:] {
		if secret, _, _ := strings.Cut(part, `"`); strings.Contains(server.stderr.String()+listed.stdout, secret) {
			t.Error("a private key is shown")
		}
	}
	if err := os.Remove(ring); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * auth.DefaultFileInterval) // a file that is gone leaves the last keys in use
	if server.reads(server.accessToken(shop)) != http.StatusOK {
		t.Error("the file is gone and so are the tokens")
	}
	server.close()
}

// The server's own tokens and those of two issuers, each with keys of its own.
func TestServerWithThreeIssuers(t *testing.T) {
	t.Parallel()
	first, second := newProduction(t), newProduction(t)
	database := []string{"--data-dir=" + t.TempDir()}
	args, ring := first.issuing(t, database)
	key, err := auth.OpenLocalKey(filepath.Join(filepath.Dir(second.jwksFile), "issuer"))
	if err != nil {
		t.Fatal(err)
	}
	const otherIssuer = "https://other.example.com/"
	signed := func(issuer string) string {
		token, err := key.Mint(auth.Claims{
			Account: testAccount, Issuer: issuer, AudienceBase: fixedURL, Subject: "x", Scopes: []string{auth.ScopeRead}, TTL: time.Hour,
		}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	server := serveHere(t, append(args, "--issuer="+testIssuer, "--jwks="+first.jwksFile, "--trust="+otherIssuer+"="+second.jwksFile)...)
	own := server.accessToken(createClient(t, append(slices.Clone(database), "--data-key-file="+first.dataKeyFile), auth.ScopeRead))
	for token, want := range map[string]int{
		own: http.StatusOK, first.token: http.StatusOK, signed(otherIssuer): http.StatusOK,
		signed(testIssuer): http.StatusUnauthorized, signed(fixedURL): http.StatusUnauthorized, second.token: http.StatusUnauthorized,
	} {
		if got := server.reads(token); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
	server.close()
	// Without its own key it is a server of two issuers, whose token endpoint is not there.
	args = slices.DeleteFunc(args, func(arg string) bool { return strings.HasSuffix(arg, ring) })
	server = serveHere(t, append(args, "--trust="+testIssuer+"="+first.jwksFile, "--trust="+otherIssuer+"="+second.jwksFile)...)
	if server.reads(first.token) != http.StatusOK || server.reads(signed(otherIssuer)) != http.StatusOK || server.reads(own) != http.StatusUnauthorized {
		t.Error("not the tokens of two issuers")
	}
	if got := server.send(http.MethodGet, keysPath, "", ""); got.status != http.StatusNotFound {
		t.Errorf("keys: %d %s", got.status, got.body)
	}
	server.close()
}

// A client outlives rotations of the data key, and one that is made beside servers is known to all of them.
func TestClientsOfSeveralServers(t *testing.T) {
	t.Parallel()
	setUp := newProduction(t)
	database := []string{"--database-url=" + pgtest.URL(t), "--data-dir=" + t.TempDir()}
	args, _ := setUp.issuing(t, database)
	withKey := append(slices.Clone(database), "--data-key-file="+setUp.dataKeyFile)
	kort(t, append([]string{"clients", "create", "--account=" + testAccount, "--name=x", "--scope=read:wallets"}, withKey...)...).want(t, exitFailure, "kort migrate up")
	kort(t, append([]string{"migrate", "up"}, database...)...).want(t, exitOK)
	clients := []apiClient{createClient(t, withKey, auth.ScopeRead)} // before any server
	servers := []*instance{serveHere(t, args...), serveHere(t, args...)}
	for _, step := range [][]string{{"rotate", "--prepare"}, {"promote"}} {
		kort(t, append(append([]string{"keys"}, step...), "--data-key-file="+setUp.dataKeyFile)...).want(t, exitOK)
		clients = append(clients, createClient(t, withKey, auth.ScopeRead)) // under the key that all servers have
		for i, server := range servers {
			for _, client := range clients {
				server.accessToken(client)
			}
			server.close()
			servers[i] = serveHere(t, args...)
			clients = append(clients, createClient(t, withKey, auth.ScopeRead))
		}
	}
	for _, server := range servers {
		for _, client := range clients {
			if server.reads(server.accessToken(client)) != http.StatusOK {
				t.Error("a client is not known")
			}
		}
		server.close()
	}
	stranger := newProduction(t)
	kort(t, append([]string{"clients", "create", "--account=" + testAccount, "--name=x", "--scope=read:wallets", "--data-key-file=" + stranger.dataKeyFile}, database...)...).
		want(t, exitFailure, "written with another data key")
}

// In a sandbox each account comes with a client, whose tokens may be for any address of the API.
func TestSandboxClient(t *testing.T) {
	t.Parallel()
	s := sandboxHere(t)
	defer s.close()
	first := tester{s, s.ready.Account, s.ready.Token}
	made := s.send(http.MethodPost, "/sandbox/v1/accounts", "", "")
	for account, client := range map[string]apiClient{
		first.account:            {s.ready.ClientID, s.ready.ClientSecret},
		made.field(t, "account"): {made.field(t, "client_id"), made.field(t, "client_secret")},
	} {
		path := "/v1/accounts/" + account + "/auth/token"
		for _, base := range []string{s.ready.URL, "https://api.example.com", "https://checkout.example.com/x"} {
			got := s.askToken(client, path, base, account)
			if got.status != http.StatusOK || !strings.Contains(got.body, `"expires_in":14400`) {
				t.Fatalf("%s: %d %s", base, got.status, got.body)
			}
			u := tester{s, account, got.field(t, "access_token")}
			u.want("ok", http.MethodGet, "/cards", "")
			if grants := s.send(http.MethodGet, "/v1/accounts/"+account+"/auth/client-grants", u.token, ""); grants.status != http.StatusOK {
				t.Errorf("the grants: %d %s", grants.status, grants.body)
			}
		}
		if got := s.askToken(client, path, "https://api.example.com", "T00000000"); got.status != http.StatusForbidden {
			t.Errorf("another account: %d %s", got.status, got.body)
		}
	}
}

func TestClientsRefuse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	serveHere(t, dev([]string{"--data-dir=" + dir})...).close()
	at := "--data-dir=" + dir
	create := []string{"clients", "create", at, "--account=" + testAccount, "--name=x", "--scope=read:wallets"}
	kort(t, create...).want(t, exitOK) // with the key that the development server has made
	kort(t, "clients", "create", at, "--account="+testAccount, "--name=x").want(t, exitUsage, "--scope")
	kort(t, "clients", "create", at, "--account=1", "--name=a\nb", "--scope=read:wallets").want(t, exitUsage, "--account", "--name")
	kort(t, append(create, "--description="+strings.Repeat("x", 256))...).want(t, exitUsage, "--description")
	kort(t, append(create, "--scope=all")...).want(t, exitUsage, "--scope must be one of")
	kort(t, append(create, "--data-key-file="+dir+"/none")...).want(t, exitFailure, "does not exist")
	kort(t, "clients", "list", "--account=1", at).want(t, exitUsage, "--account")
	kort(t, "clients", "list", "--account="+testAccount, at+"/none").want(t, exitFailure, "does not exist")
	kort(t, "clients", "revoke", "--account="+testAccount, "--client=x", at).want(t, exitFailure, "--client")
	ring := filepath.Join(dir, "ring")
	kort(t, "signing-key", "list", "--signing-key-file="+ring).want(t, exitFailure, "kort signing-key new --out")
	kort(t, "signing-key", "new", "--out="+ring).want(t, exitOK)
	kort(t, "signing-key", "new", "--out="+ring).want(t, exitFailure, "exists already")
	kort(t, "signing-key", "rotate", "--signing-key-file="+ring, "--keep=-1s", "--in=9000h").want(t, exitUsage, "--keep", "--in")
	kort(t, "serve", "--addr=localhost:0", at, "--public-url="+fixedURL, "--data-key-file="+dir+"/data-key", "--signing-key-file="+dir+"/none").
		want(t, exitFailure, "--signing-key-file", "kort signing-key new --out")
	kort(t, "serve", "--dev", "--addr=localhost:0", at, "--public-url="+fixedURL, "--trust="+fixedURL+"="+fmt.Sprint(dir, "/none")).want(t, exitFailure, "--trust")
	// A development server's key rotates too, and kort token goes on.
	kort(t, "signing-key", "rotate", "--signing-key-file="+filepath.Join(dir, "signing-key.json")).want(t, exitOK)
	server := serveHere(t, dev([]string{at})...)
	token := kort(t, "token", "--account="+testAccount, "--scope=read:wallets", at)
	token.want(t, exitOK)
	if server.reads(strings.TrimSpace(token.stdout)) != http.StatusOK {
		t.Error("the token of kort token is refused")
	}
	server.close()
}
