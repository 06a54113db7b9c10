package auth

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// ringFile is a ring in a file that is followed by a clock of the test.
type ringFile struct {
	path string
	now  atomic.Int64
	keys *SigningKeys
}

func followTestRing(t *testing.T) *ringFile {
	t.Helper()
	f := &ringFile{path: filepath.Join(t.TempDir(), "keys.json")}
	f.now.Store(testNow().Unix())
	if _, err := OpenRing(f.path); err != nil {
		t.Fatal(err)
	}
	var err error
	f.keys, err = FollowRing(f.path, f.clock, SourceOptions{Interval: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.keys.Close)
	return f
}

func (f *ringFile) clock() time.Time { return time.Unix(f.now.Load(), 0) }

func (f *ringFile) pass(d time.Duration) { f.now.Add(int64(d / time.Second)) }

// rotate replaces the file and waits until that is noticed.
func (f *ringFile) rotate(t *testing.T, in, keep time.Duration) {
	t.Helper()
	ring, err := LoadRing(f.path)
	if err == nil {
		ring, err = ring.Rotate(f.clock(), f.clock().Add(in), keep)
	}
	var content []byte
	if err == nil {
		content, err = ring.Encode()
	}
	if err == nil {
		err = ReplaceSecretFile(f.path, content)
	}
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprint(ring.Entries())
	for end := time.Now().Add(10 * time.Second); fmt.Sprint(f.keys.ring.Load().Entries()) != want; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the rotation is not noticed")
		}
	}
}

// published waits until tokens are verified by what the ring publishes now, and counts its keys.
func (f *ringFile) published(t *testing.T, want int) {
	t.Helper()
	var document []byte
	verifies := func() bool {
		var err error
		if document, err = f.keys.JWKS(); err != nil {
			t.Fatal(err)
		}
		return f.keys.Source().current.Load().document == sha256.Sum256(document)
	}
	for end := time.Now().Add(10 * time.Second); !verifies(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("tokens are not verified by %s", document)
		}
	}
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(document, &set); err != nil || len(set.Keys) != want {
		t.Fatalf("published are %d keys (%v), want %d", len(set.Keys), err, want)
	}
	for _, key := range set.Keys {
		if key["d"] != nil {
			t.Fatal("a private key is published")
		}
	}
}

func mintedBy(t *testing.T, keys *SigningKeys) (token, kid string) {
	t.Helper()
	claims := testClaims()
	claims.Scopes, claims.TTL = []string{ScopeRead}, 4*time.Hour
	token, err := keys.Mint(claims)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parseToken(token)
	if err != nil {
		t.Fatal(err)
	}
	return token, parsed.keyID
}

// A rotation with overlap: the new key signs at once, the old one is published and its tokens are good until the last has expired.
func TestRotationWithOverlap(t *testing.T) {
	f := followTestRing(t)
	verifier, err := NewVerifier(VerifierConfig{
		Issuers: []Issuer{{testIssuer, f.keys.Source()}}, Audiences: audiences(t, testBase), Now: f.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	check := func(token string, want Reason) {
		t.Helper()
		_, err := verifier.Verify(t.Context(), token)
		if want == "" && err != nil {
			t.Errorf("a good token: %v", err)
		} else if want != "" {
			requireRefusal(t, err, want)
		}
	}
	old, oldKey := mintedBy(t, f.keys)
	f.rotate(t, 0, 24*time.Hour)
	f.published(t, 2)
	fresh, freshKey := mintedBy(t, f.keys)
	if freshKey == oldKey {
		t.Fatal("the old key still signs")
	}
	check(old, "")
	check(fresh, "")
	f.pass(4*time.Hour - time.Second)
	check(old, "")
	f.pass(21 * time.Hour)
	f.published(t, 1)
	check(fresh, ReasonExpired)
	late, lateKey := mintedBy(t, f.keys)
	check(late, "")
	if lateKey != freshKey {
		t.Error("the key has changed by itself")
	}
	f.rotate(t, 0, 0) // the key is known to others: its tokens end now, but for the leeway
	f.pass(2 * Leeway)
	f.published(t, 1)
	check(late, ReasonUnknownKey)
	if entries := f.keys.ring.Load().Entries(); len(entries) != 1 {
		t.Errorf("keys are left: %v", entries)
	}
}

// A key to come is published first and signs from its moment on, at every server at once.
func TestKeyToCome(t *testing.T) {
	f := followTestRing(t)
	_, oldKey := mintedBy(t, f.keys)
	f.rotate(t, time.Hour, 0)
	f.published(t, 2)
	if ring := f.keys.ring.Load(); ring != nil {
		if _, err := ring.Rotate(f.clock(), f.clock(), 0); !errors.Is(err, errKeyToCome) {
			t.Errorf("a second key to come: %v", err)
		}
	}
	f.pass(time.Hour - time.Second)
	if _, kid := mintedBy(t, f.keys); kid != oldKey {
		t.Error("the key to come signs too early")
	}
	f.pass(time.Second)
	if _, kid := mintedBy(t, f.keys); kid == oldKey {
		t.Error("the key to come does not sign")
	}
}

func TestRingIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	ring, err := OpenRing(path)
	for n := 1; err == nil && n < maxSigningKeys; n++ {
		ring, err = ring.Rotate(testNow(), testNow(), time.Hour)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ring.Rotate(testNow(), testNow(), time.Hour); !errors.Is(err, errRingFull) {
		t.Errorf("one key more: %v", err)
	}
	content, err := ring.Encode()
	if err == nil {
		err = ReplaceSecretFile(path, content)
	}
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadRing(path)
	if err != nil || fmt.Sprint(again.Entries()) != fmt.Sprint(ring.Entries()) {
		t.Errorf("a full ring is read as %v, %v", again.Entries(), err)
	}
	if again, err = again.Rotate(testNow().Add(2*time.Hour), testNow().Add(2*time.Hour), time.Hour); err != nil || len(again.Entries()) != 2 {
		t.Errorf("ended keys stay: %v, %v", again.Entries(), err)
	}
}

func TestBadRings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := CreateRing(path); err != nil {
		t.Fatal(err)
	}
	if err := CreateRing(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("created twice: %v", err)
	}
	one, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSuffix(strings.TrimSpace(string(one)), "}")
	public, err := json.Marshal(newEdSigner(t, "x").jwk())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"nothing":            "",
		"an array":           "[" + string(one) + "]",
		"no key":             `{"keys":[]}`,
		"null":               `{"keys":null}`,
		"too many":           `{"keys":[` + strings.Repeat(string(one)+",", maxSigningKeys) + string(one) + `]}`,
		"a public key":       string(public),
		"a word":             `{"keys":["s3cret"]}`,
		"a time that is not": key + `,"signs_from":"s3cret"}`,
		"out of order":       `{"keys":[` + key + `,"signs_from":2},` + key + `,"signs_from":1}]}`,
		"a member twice":     key + `,"d":"s3cret"}`,
	} {
		if _, err := ParseRing([]byte(content)); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseRing([]byte(key + `,"accepted_until":1}`)); err != nil {
		t.Errorf("a key that has ended: %v", err)
	}
	if _, err := LoadRing(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRing(path); !errors.Is(err, ErrReadableByOthers) {
		t.Errorf("a file for everybody: %v", err)
	}
}

func TestEndedKeyDoesNotSign(t *testing.T) {
	ring, err := OpenRing(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	ring.keys[0].until = testNow()
	if _, err := ring.Signer(testNow()); !errors.Is(err, errNoSigner) {
		t.Errorf("got %v", err)
	}
	if _, err := ring.Signer(testNow().Add(-time.Second)); err != nil {
		t.Errorf("before its end: %v", err)
	}
}

func TestRingIsHidden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	ring, err := OpenRing(path)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var stored storedKey
	if err := json.Unmarshal(content, &stored); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("ring", "ring", ring, "pointer", &ring)
	marshalled, err := json.Marshal(ring)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{
		fmt.Sprintf("%v", ring), fmt.Sprintf("%+v", ring), fmt.Sprintf("%#v", ring), fmt.Sprintf("%s", ring), fmt.Sprintf("%x", ring),
		log.String(), string(marshalled),
	} {
		if strings.Contains(shown, stored.Private) || !strings.Contains(shown, hiddenKey) {
			t.Errorf("shown as %s", shown)
		}
	}
}

// Servers that start at the same time, on the same new directory, sign with the same key.
func TestRingIsMadeOnce(t *testing.T) {
	t.Parallel()
	for range 20 {
		path := filepath.Join(t.TempDir(), "keys.json")
		rings, errs := make([]Ring, 8), make([]error, 8)
		var servers sync.WaitGroup
		for i := range rings {
			servers.Go(func() { rings[i], errs[i] = OpenRing(path) })
		}
		servers.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		for _, ring := range rings {
			if got, want := ring.Entries()[0].ID, rings[0].Entries()[0].ID; got != want {
				t.Fatalf("the keys are %s and %s", got, want)
			}
		}
	}
}

// What is wrong with a file is said when it is loaded, and the file is left as it is.
func TestBadRingFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := CreateSecretFile(path, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func(string) (Ring, error){"load": LoadRing, "open": OpenRing} {
		if _, err := open(path); !errors.Is(err, errNoRing) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "{}" {
		t.Errorf("the file has %q: %v", content, err)
	}
}

func TestFollowRingRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.json")
	if keys, err := FollowRing(path, testNow, SourceOptions{}); !errors.Is(err, fs.ErrNotExist) || keys != nil {
		t.Errorf("no file: %v %v", keys, err)
	}
	if err := CreateSecretFile(path, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if keys, err := FollowRing(path, testNow, SourceOptions{}); !errors.Is(err, errNoRing) || keys != nil {
		t.Errorf("no keys: %v %v", keys, err)
	}
}

// A closed ring is followed no more, and goes on with what it has; but no longer than a key may sign.
func TestClosedRingKeepsItsKeys(t *testing.T) {
	t.Parallel()
	f := followTestRing(t)
	_, before := mintedBy(t, f.keys)
	f.keys.Close()
	ring, err := LoadRing(f.path)
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := ring.Rotate(f.clock(), f.clock(), 0)
	if err != nil {
		t.Fatal(err)
	}
	content, err := rotated.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := ReplaceSecretFile(f.path, content); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end); { // it was looked at every millisecond
		if _, after := mintedBy(t, f.keys); after != before {
			t.Fatal("the file is still followed")
		}
	}
	ended := Ring{keys: []ringKey{{LocalKey: ring.keys[0].LocalKey, until: f.clock()}}}
	f.keys.ring.Store(&ended)
	if token, err := f.keys.Mint(Claims{}); !errors.Is(err, errNoSigner) {
		t.Errorf("a key that has ended signs %s: %v", token, err)
	}
}
