package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/auth"
)

// The data directory and everything in it are for its owner alone, also while the
// server runs, when SQLite has files beside the database.
func TestFileModes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "data")
	server := serveHere(t, dev([]string{"--data-dir=" + dir})...)
	defer server.close()
	server.createCard(server.token(), `{"card_id":"a","amount":1,"currency":"NOK"}`)
	found := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if mode := info.Mode().Perm(); mode&0o077 != 0 {
			t.Errorf("%s has mode %o", path, mode)
		}
		found[entry.Name()] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"data", "data-key", "signing-key.json", "server.json", "kort.db", "kort.db-wal", "kort.lock"} {
		if !found[name] {
			t.Errorf("there is no %s", name)
		}
	}
}

// A key that others could have read is no secret any more.
func TestKeyFilesOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"data-key", "signing-key.json"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			args := dev([]string{"--data-dir=" + dir})
			serveHere(t, args...).close()
			if err := os.Chmod(filepath.Join(dir, name), 0o644); err != nil {
				t.Fatal(err)
			}
			kort(t, serveArgs(args)...).want(t, exitFailure, name, "0600")
			if name == "signing-key.json" {
				kort(t, "token", "--account=T12345678", "--scope=read:wallets", "--data-dir="+dir).want(t, exitFailure, name, "0600")
			}
		})
	}
	t.Run("named", func(t *testing.T) {
		t.Parallel()
		setUp := newProduction(t)
		if err := os.Chmod(setUp.dataKeyFile, 0o640); err != nil {
			t.Fatal(err)
		}
		kort(t, serveArgs(setUp.args([]string{"--data-dir=" + t.TempDir()}))...).
			want(t, exitFailure, "--data-key-file (KORT_DATA_KEY_FILE)", setUp.dataKeyFile, "0600")
	})
}

func TestDataKeyNewKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data-key")
	kort(t, "data-key", "new", "--out", path).want(t, exitOK, path)
	before := readFile(t, path)
	kort(t, "data-key", "new", "--out", path).want(t, exitFailure, "exists already")
	if readFile(t, path) != before {
		t.Error("the key was replaced")
	}
	other := filepath.Join(t.TempDir(), "data-key")
	kort(t, "data-key", "new", "--out", other).want(t, exitOK)
	if readFile(t, other) == before {
		t.Error("two new keys are the same")
	}
}

// A start that fails leaves the directory to the next one.
func TestFailedStartLetsGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := dev([]string{"--data-dir=" + dir})
	writeFile(t, filepath.Join(dir, "data-key"), "not a key", 0o600)
	kort(t, serveArgs(args)...).want(t, exitFailure, "data-key", "32 bytes")
	if err := os.Remove(filepath.Join(dir, "data-key")); err != nil {
		t.Fatal(err)
	}
	serveHere(t, args...).close()
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func writeFile(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// mint makes a token of the issuer that newProduction configures.
func mint(t *testing.T, key *auth.LocalKey) string {
	t.Helper()
	token, err := key.Mint(auth.Claims{
		Account: "T12345678", Issuer: testIssuer, AudienceBase: fixedURL, Subject: "till-7",
		Scopes: []string{auth.ScopeAdmin}, TTL: time.Hour,
	}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return token
}
