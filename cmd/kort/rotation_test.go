package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/kortwallet/kort/pkg/pgtest"
)

// keyIDs are the ids of a file's keys, in their order.
func keyIDs(t *testing.T, file string) []string {
	t.Helper()
	listed := kort(t, "keys", "list", "--data-key-file="+file)
	listed.want(t, exitOK)
	var ids []string
	for line := range strings.Lines(listed.stdout) {
		id, _, _ := strings.Cut(line, " ")
		ids = append(ids, id)
	}
	return ids
}

// usable checks that a card is found by its token, and that its PIN is known.
func usable(t *testing.T, server *instance, token string, card answer) {
	t.Helper()
	value, pin := card.field(t, "card_token.token.value"), card.field(t, "pin.pin.value")
	for body, want := range map[string]int{
		`{"token":"` + value + `"}`:                      http.StatusOK,
		`{"token":"` + value + `","pin":"` + pin + `"}`:  http.StatusOK,
		`{"token":"` + value + `","pin":"` + pin + `x"}`: http.StatusForbidden,
		`{"token":"` + value + `x"}`:                     http.StatusNotFound,
	} {
		got := server.send(http.MethodPost, infoPath, token, body)
		if got.status != want || want == http.StatusOK && got.field(t, "id") != card.field(t, "id") {
			t.Errorf("%s: %d, want %d", card.field(t, "card_id"), got.status, want)
		}
	}
}

// Two rotations of a production server's key: everything that was given out works on.
func TestRotatedServer(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database []string) {
		setUp := newProduction(t)
		var cards []answer
		var secrets []string
		for n := range 3 {
			if n > 0 {
				rotated := kort(t, "keys", "rotate", "--data-key-file="+setUp.dataKeyFile)
				rotated.want(t, exitOK, keyIDs(t, setUp.dataKeyFile)[0], "backup", "old lines", "Restart")
			}
			server := serveHere(t, setUp.args(database)...)
			cards = append(cards, server.createCard(setUp.token,
				fmt.Sprintf(`{"card_id":"card-%d","amount":500,"currency":"NOK","pin":{},"card_token":{"expires_after_transaction":false}}`, n)))
			for _, card := range cards {
				usable(t, server, setUp.token, card)
			}
			server.close()
			secrets = append(secrets, strings.Fields(readFile(t, setUp.dataKeyFile))[0])
			for _, secret := range secrets {
				if strings.Contains(server.stdout.String()+server.stderr.String(), secret) {
					t.Error("the server shows a key")
				}
			}
		}
		if got := len(keyIDs(t, setUp.dataKeyFile)); got != 3 {
			t.Fatalf("the file has %d keys", got)
		}
		kort(t, append([]string{"verify"}, database...)...).want(t, exitOK, "Everything agrees.")

		// The file of the day before, and one that has lost a line in the middle.
		ids := keyIDs(t, setUp.dataKeyFile)
		lines := strings.SplitAfter(readFile(t, setUp.dataKeyFile), "\n")
		writeFile(t, setUp.dataKeyFile, lines[1]+lines[2], 0o600)
		kort(t, serveArgs(setUp.args(database))...).want(t, exitFailure, "a data key that is missing here ("+ids[0]+")", "--data-key-file", "kort keys list")
		writeFile(t, setUp.dataKeyFile, lines[0]+lines[2], 0o600)
		kort(t, serveArgs(setUp.args(database))...).want(t, exitFailure, "a data key that is missing here ("+ids[1]+")")
		writeFile(t, setUp.dataKeyFile, strings.Join(lines, ""), 0o600)
		serveHere(t, setUp.args(database)...).close()
	})
}

// Several servers take up a new key one after the other, and none of them stops.
func TestRotationOfSeveralServers(t *testing.T) {
	t.Parallel()
	database := []string{"--database-url=" + pgtest.URL(t), "--data-dir=" + t.TempDir()}
	setUp := newProduction(t)
	servers := []*instance{serveHere(t, setUp.args(append(database, "--migrate"))...), serveHere(t, setUp.args(database)...)}
	var cards []answer
	check := func() {
		t.Helper()
		at := servers[len(cards)%len(servers)]
		cards = append(cards, at.createCard(setUp.token, fmt.Sprintf(`{"card_id":"card-%d","amount":1,"currency":"NOK","pin":{},"card_token":{}}`, len(cards))))
		for _, server := range servers {
			for _, card := range cards {
				usable(t, server, setUp.token, card)
			}
			if got := server.send(http.MethodGet, "/readyz", "", ""); got.status != http.StatusOK {
				t.Errorf("/readyz: %d %s", got.status, got.body)
			}
		}
	}
	check()
	for _, step := range [][]string{{"rotate", "--prepare"}, {"promote"}} {
		kort(t, append([]string{"keys", "--data-key-file=" + setUp.dataKeyFile}, step...)...).want(t, exitUsage)
		kort(t, append(append([]string{"keys"}, step...), "--data-key-file="+setUp.dataKeyFile)...).want(t, exitOK, "Give the file to every server")
		for i, server := range servers {
			server.close()
			servers[i] = serveHere(t, setUp.args(database)...)
			check()
		}
	}
	for _, server := range servers {
		server.close()
	}
}

// A rotation in one step with several servers: whoever was left behind answers nothing
// until it has the key, and neither says that a good token is unknown nor gives out its
// value again.
func TestServerLeftBehind(t *testing.T) {
	t.Parallel()
	database := []string{"--database-url=" + pgtest.URL(t), "--data-dir=" + t.TempDir()}
	setUp := newProduction(t)
	behind := serveHere(t, setUp.args(append(database, "--migrate"))...)
	card := behind.createCard(setUp.token, `{"card_id":"card","amount":1,"currency":"NOK","pin":{},"card_token":{}}`)
	kort(t, "keys", "rotate", "--data-key-file="+setUp.dataKeyFile).want(t, exitOK)
	ahead := serveHere(t, setUp.args(database)...)
	eventually(t, "the other server is not ready", func() bool {
		got := behind.send(http.MethodGet, "/readyz", "", "")
		return got.status == http.StatusServiceUnavailable && strings.Contains(got.body, "a data key is missing")
	})
	body := `{"token":"` + card.field(t, "card_token.token.value") + `"}`
	if got := behind.send(http.MethodPost, infoPath, setUp.token, body); got.status != http.StatusServiceUnavailable {
		t.Errorf("it answers %d %s", got.status, got.body)
	}
	if log := behind.stderr.String(); !strings.Contains(log, "this server lacks a data key") || !strings.Contains(log, keyIDs(t, setUp.dataKeyFile)[0]) {
		t.Errorf("it does not say why:\n%s", log)
	}
	usable(t, ahead, setUp.token, card)
	behind.close()
	behind = serveHere(t, setUp.args(database)...)
	usable(t, behind, setUp.token, card)
	behind.close()
	ahead.close()
}

func TestKeyFileCommands(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys")
	flag := "--data-key-file=" + file
	kort(t, "keys", "rotate", flag).want(t, exitFailure, "does not exist", "kort keys new")
	kort(t, "data-key", "new", "--out="+file).want(t, exitOK) // as it was called before
	text := "# of this shop\n" + readFile(t, file)
	writeFile(t, file, text, 0o600)
	kort(t, "keys", "promote", flag).want(t, exitFailure, "no data key that begins with next:", "kort keys rotate --prepare")
	kort(t, "data-key", "rotate", "--prepare", flag).want(t, exitOK)
	kort(t, "keys", "rotate", flag).want(t, exitFailure, "on its way already", "kort keys promote")
	kort(t, "keys", "list", flag).want(t, exitOK, " current\n", " next\n")
	prepared := readFile(t, file)
	if !strings.HasPrefix(prepared, text+"next:") || strings.Count(prepared, "\n") != 3 {
		t.Errorf("the other lines have changed")
	}
	before := keyIDs(t, file)
	promoted := kort(t, "keys", "promote", flag)
	promoted.want(t, exitOK, before[1])
	if after := keyIDs(t, file); after[0] != before[1] || after[1] != before[0] || !strings.Contains(readFile(t, file), "# of this shop\n") {
		t.Errorf("promoted: %v, before: %v", after, before)
	}
	for n := 3; n <= 16; n++ {
		kort(t, "keys", "rotate", flag).want(t, exitOK)
	}
	full := readFile(t, file)
	refused := kort(t, "keys", "rotate", flag)
	refused.want(t, exitFailure, "more than 16 data keys")
	if readFile(t, file) != full {
		t.Error("a refused rotation has changed the file")
	}
	for _, secret := range strings.Fields(full) {
		if strings.Contains(promoted.stdout+promoted.stderr+refused.stdout+refused.stderr, secret) && len(secret) > 20 {
			t.Error("a key is shown")
		}
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	kort(t, "keys", "rotate", flag).want(t, exitFailure, "0600")
}

// The file is replaced, never rewritten: it keeps its mode, a link keeps pointing to it,
// and nothing is left beside it.
func TestKeyFileIsReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, link := filepath.Join(dir, "keys"), filepath.Join(t.TempDir(), "link")
	kort(t, "keys", "new", "--out="+file).want(t, exitOK)
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	kort(t, "keys", "rotate", "--data-key-file="+link).want(t, exitOK)
	after, err := os.Stat(file)
	if err != nil || os.SameFile(before, after) || after.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", after, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link: %v, %v", info, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("there is %v, %v", entries, err)
	}
}

// Commands at once lose no key: each adds one, or says that it has not.
func TestRotationsAtOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys")
	kort(t, "keys", "new", "--out="+file).want(t, exitOK)
	first := keyIDs(t, file)[0]
	var done sync.WaitGroup
	outcomes := make([]outcome, 12)
	for i := range outcomes {
		done.Go(func() { outcomes[i] = kort(t, "keys", "rotate", "--data-key-file="+file) })
	}
	done.Wait()
	added := 0
	for _, o := range outcomes {
		if o.code == exitOK {
			added++
			continue
		}
		o.want(t, exitFailure, "another command is changing the file")
	}
	ids := keyIDs(t, file)
	if added == 0 || len(ids) != added+1 || ids[len(ids)-1] != first {
		t.Errorf("%d commands succeeded, the file has %d keys", added, len(ids))
	}
}

// Killed at any moment, the command leaves the old keys, alone or behind the new one.
func TestKilledRotation(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys")
	kort(t, "keys", "new", "--out="+file).want(t, exitOK)
	before := readFile(t, file)
	for range 8 {
		command := asProcess(t.Context(), "keys", "rotate", "--data-key-file="+file)
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "begin", func() bool {
			entries, err := os.ReadDir(filepath.Dir(file))
			return err != nil || len(entries) > 1 || readFile(t, file) != before
		})
		_ = command.Process.Kill() // it may have ended
		_ = command.Wait()
		after := readFile(t, file)
		if after != before && !strings.HasSuffix(after, "\n"+before) {
			t.Fatal("old keys are lost")
		}
		if keys := keyIDs(t, file); len(keys) != strings.Count(after, "\n") {
			t.Fatalf("%d keys", len(keys))
		}
		for _, draft := range mustGlob(t, filepath.Join(filepath.Dir(file), ".new-secret-*")) {
			if err := os.Remove(draft); err != nil {
				t.Fatal(err)
			}
		}
		before = after
	}
}

func mustGlob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
