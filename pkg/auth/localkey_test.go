package auth

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// keyPathVariable makes the test binary open a local key and print its id, to have real processes race.
const keyPathVariable = "KORT_TEST_LOCAL_KEY"

func TestMain(m *testing.M) {
	path := os.Getenv(keyPathVariable)
	if path == "" {
		os.Exit(m.Run())
	}
	key, err := OpenLocalKey(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(key.ID())
	os.Exit(0)
}

func openTestKey(t *testing.T) (*LocalKey, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "signing-key.json")
	key, err := OpenLocalKey(path)
	if err != nil {
		t.Fatal(err)
	}
	return key, path
}

func testClaims() Claims {
	return Claims{
		Account: testAccount, Issuer: testIssuer, AudienceBase: testBase + "/",
		Subject: "developer", Scopes: []string{ScopeAdmin, ScopeUser}, TTL: time.Hour,
	}
}

func TestMintedTokenIsVerified(t *testing.T) {
	key, path := openTestKey(t)
	document, err := key.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := StaticKeys(document)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadLocalKey(path)
	if err != nil || again.ID() != key.ID() {
		t.Fatalf("loaded another key: %v", err)
	}
	token, err := again.Mint(testClaims(), testNow())
	if err != nil {
		t.Fatal(err)
	}
	principal, err := newTestVerifier(t, keys).Verify(t.Context(), token)
	want := Principal{Subject: "developer", Accounts: []string{testAccount}, Scopes: []string{ScopeAdmin, ScopeUser}}
	if err != nil || !reflect.DeepEqual(principal, want) {
		t.Errorf("got %+v, %v\nwant %+v", principal, err, want)
	}
	shortest := testClaims()
	shortest.TTL = time.Second
	if _, err := key.Mint(shortest, testNow()); err != nil {
		t.Error(err)
	}
	short := testClaims()
	short.TTL = 1999 * time.Millisecond
	if token, err = key.Mint(short, testNow().Add(-62*time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err = newTestVerifier(t, keys).Verify(t.Context(), token)
	requireRefusal(t, err, ReasonExpired)
}

func TestMintRefuses(t *testing.T) {
	key, _ := openTestKey(t)
	for name, test := range map[string]struct {
		change func(*Claims)
		says   string
	}{
		"no account":       {func(c *Claims) { c.Account = "" }, "account"},
		"wrong account":    {func(c *Claims) { c.Account = "X12345678" }, "account"},
		"no issuer":        {func(c *Claims) { c.Issuer = "" }, "issuer"},
		"no base":          {func(c *Claims) { c.AudienceBase = "/" }, "audience"},
		"no subject":       {func(c *Claims) { c.Subject = "" }, "subject"},
		"control subject":  {func(c *Claims) { c.Subject = "a\tb" }, "subject"},
		"long subject":     {func(c *Claims) { c.Subject = strings.Repeat("s", 256) }, "subject"},
		"no scopes":        {func(c *Claims) { c.Scopes = nil }, "scopes"},
		"empty scope":      {func(c *Claims) { c.Scopes = []string{""} }, "scope"},
		"two in one scope": {func(c *Claims) { c.Scopes = []string{"a b"} }, "scope"},
		"no lifetime":      {func(c *Claims) { c.TTL = 0 }, "lifetime"},
		"past lifetime":    {func(c *Claims) { c.TTL = -time.Hour }, "lifetime"},
		"part of a second": {func(c *Claims) { c.TTL = time.Millisecond }, "lifetime"},
		"a second, nearly": {func(c *Claims) { c.TTL = time.Second - 1 }, "lifetime"},
		"huge":             {func(c *Claims) { c.Scopes = []string{strings.Repeat("s", MaxTokenBytes)} }, "longer"},
	} {
		t.Run(name, func(t *testing.T) {
			claims := testClaims()
			test.change(&claims)
			if token, err := key.Mint(claims, testNow()); err == nil || token != "" || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got a token of %d bytes, %v", len(token), err)
			}
		})
	}
}

func TestLocalKeyFile(t *testing.T) {
	_, path := openTestKey(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files left behind, %v", len(entries)-1, err)
	}
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o660, 0o644, 0o777, 0o610} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		for name, open := range map[string]func(string) (*LocalKey, error){"open": OpenLocalKey, "load": LoadLocalKey} {
			if _, err := open(path); !errors.Is(err, ErrReadableByOthers) || !strings.Contains(err.Error(), "0600") {
				t.Errorf("%s with mode %v: %v", name, mode, err)
			}
		}
	}
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadLocalKey(path); err != nil {
		t.Errorf("read only for the owner: %v", err)
	}
}

func TestLocalKeyRefusesOtherContent(t *testing.T) {
	directory := t.TempDir()
	key, path := openTestKey(t)
	public, err := key.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(public, &set); err != nil {
		t.Fatal(err)
	}
	rsaPrivate, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := jwk.FromRaw(rsaPrivate)
	if err != nil {
		t.Fatal(err)
	}
	private, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"empty":         nil,
		"words":         []byte("s3cret"),
		"public half":   set.Keys[0],
		"set":           public,
		"RSA":           encodeJSON(t, rsaKey),
		"halves differ": bytes.Replace(private, []byte(`"x":"`), []byte(`"x":"AAAA`), 1),
		"cut off":       private[:len(private)-5],
		"too long":      append(private, bytes.Repeat([]byte(" "), maxSecretFileBytes)...),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(directory, name)
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := OpenLocalKey(path); err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v", err)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, content) {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
	if _, err := LoadLocalKey(filepath.Join(directory, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := OpenLocalKey(filepath.Join(directory, "no", "directory")); err == nil {
		t.Error("no error without a directory")
	}
	if _, err := LoadLocalKey(directory); err == nil {
		t.Error("a directory passes for a key")
	}
}

func TestLocalKeyCreatedByManyAtOnce(t *testing.T) {
	for range 10 {
		path := filepath.Join(t.TempDir(), "key.json")
		ids := make([]string, 16)
		var openers sync.WaitGroup
		for i := range ids {
			openers.Go(func() {
				if key, err := OpenLocalKey(path); err != nil {
					t.Error(err)
				} else {
					ids[i] = key.ID()
				}
			})
		}
		openers.Wait()
		requireOneKey(t, path, ids)
	}
}

func TestLocalKeyCreatedByManyProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.json")
	ids := make([]string, 6)
	var openers sync.WaitGroup
	for i := range ids {
		openers.Go(func() {
			process := exec.Command(os.Args[0])
			process.Env = append(os.Environ(), keyPathVariable+"="+path)
			output, err := process.Output()
			if err != nil {
				t.Errorf("process %d: %v", i, err)
			}
			ids[i] = string(output)
		})
	}
	openers.Wait()
	requireOneKey(t, path, ids)
}

func requireOneKey(t *testing.T, path string, ids []string) {
	t.Helper()
	key, err := LoadLocalKey(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if id != key.ID() {
			t.Errorf("one opener has key %q, the file holds %q", id, key.ID())
		}
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files in the directory, %v; want the key alone", len(entries), err)
	}
}

func TestLocalKeyHidesItself(t *testing.T) {
	key, path := openTestKey(t)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ D string }
	if err := json.Unmarshal(content, &file); err != nil || file.D == "" {
		t.Fatalf("no private part in the file: %v", err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("key", "key", key, "in", map[string]any{"key": key})
	for where, text := range map[string]string{
		"print": fmt.Sprintf("%v %+v %#v %s %x %d", key, key, key, key, key, key), "log": log.String(), "json": string(encodeJSON(t, key)),
	} {
		seed := key.private.Seed()
		for _, leak := range []string{file.D, fmt.Sprintf("%x", seed), strings.Trim(fmt.Sprintf("%d", seed), "[]")} {
			if strings.Contains(text, leak) {
				t.Errorf("%s shows the key: %s", where, text)
			}
		}
		if !strings.Contains(text, hiddenKey) {
			t.Errorf("%s: %s", where, text)
		}
	}
	public, err := key.JWKS()
	if err != nil || bytes.Contains(public, []byte(file.D)) || bytes.Contains(public, []byte(`"d"`)) {
		t.Errorf("the public set shows the private part (%v)", err)
	}
}

func TestReplaceSecretFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "secret")
	if err := ReplaceSecretFile(path, []byte("lost")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v, want not exist", err)
	}
	if err := CreateSecretFile(path, []byte("first")); err != nil {
		t.Fatal(err)
	}
	old, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := ReplaceSecretFile(path, []byte("second")); err != nil {
		t.Fatal(err)
	}
	if content, err := ReadSecretFile(path); err != nil || string(content) != "second" {
		t.Errorf("read %q, %v", content, err)
	}
	if content, err := io.ReadAll(old); err != nil || string(content) != "first" {
		t.Errorf("whoever had the old file reads %q, %v", content, err)
	}
	if err := ReplaceSecretFile(path, make([]byte, 16_385)); !errors.Is(err, errSecretTooLong) {
		t.Errorf("too long: %v", err)
	}
	if err := ReplaceSecretFile(filepath.Join(path, "below a file"), []byte("lost")); err == nil {
		t.Error("no error where no file can be")
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != int64(len("second")) {
		t.Errorf("the file is %v, %v", info, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("beside the file there is %v, %v", entries, err)
	}
}

// What the superuser replaces stays its owner's: the server could not read it any more.
func TestReplacedSecretFileKeepsItsOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := CreateSecretFile(path, []byte("first")); err != nil {
		t.Fatal(err)
	}
	owner := os.Geteuid()
	if owner == 0 { // else there is nobody to give it to
		owner = 65_534
		if err := os.Chown(path, owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	if err := ReplaceSecretFile(path, []byte("second")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Sys().(*syscall.Stat_t).Uid; int(got) != owner {
		t.Errorf("the file belongs to %d, not to %d any more", got, owner)
	}
}

func TestLongestSecretFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	const longest = 16_384
	if err := CreateSecretFile(path, nil); err != nil {
		t.Fatal(err)
	}
	if err := ReplaceSecretFile(path, make([]byte, longest)); err != nil {
		t.Fatal(err)
	}
	if content, err := ReadSecretFile(path); err != nil || len(content) != longest {
		t.Errorf("read %d bytes, %v", len(content), err)
	}
	if err := os.WriteFile(path, make([]byte, longest+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSecretFile(path); !errors.Is(err, errSecretTooLong) {
		t.Errorf("one byte more: %v", err)
	}
}

func TestSecretFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := CreateSecretFile(path, []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := CreateSecretFile(path, []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second creation: %v", err)
	}
	if content, err := ReadSecretFile(path); err != nil || string(content) != "first" {
		t.Errorf("read %q, %v", content, err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files left, %v", len(entries), err)
	}
}
