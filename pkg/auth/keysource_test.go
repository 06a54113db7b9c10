package auth

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// issuer serves a key set that a test can replace, break and count.
type issuer struct {
	*httptest.Server
	loads atomic.Int64
	reply atomic.Pointer[http.HandlerFunc]
}

func newIssuer(t *testing.T, signers ...signer) *issuer {
	t.Helper()
	i := &issuer{}
	i.publish(t, signers...)
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.loads.Add(1)
		(*i.reply.Load())(w, r)
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) publish(t *testing.T, signers ...signer) {
	document := jwks(t, signers...)
	i.answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document) })
}

func (i *issuer) answer(handler http.HandlerFunc) { i.reply.Store(&handler) }

func (i *issuer) fail() {
	i.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
}

func urlKeys(t *testing.T, address string, options SourceOptions) *KeySource {
	t.Helper()
	source, err := URLKeys(address, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(source.Close)
	return source
}

// eventually waits for what a background load brings about.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	const patience, pause = 10 * time.Second, 2 * time.Millisecond
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(pause) {
		if holds() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

const never = time.Hour

func TestURLKeysAreLoadedOnce(t *testing.T) {
	ed := newEdSigner(t, "one")
	issuer := newIssuer(t, ed)
	verifier := newTestVerifier(t, urlKeys(t, issuer.URL, SourceOptions{Interval: never}))
	for i := range 20 {
		if _, err := verifier.Verify(t.Context(), ed.token(t, members{"sub": strings.Repeat("x", i+1)})); err != nil {
			t.Fatal(err)
		}
	}
	if n := issuer.loads.Load(); n != 1 {
		t.Errorf("%d loads, want 1", n)
	}
}

// Without options the keys are fetched every few minutes, and not all the time.
func TestDefaultInterval(t *testing.T) {
	issuer := newIssuer(t, newEdSigner(t, "one"))
	eventually(t, "keys are there", urlKeys(t, issuer.URL, SourceOptions{}).Ready)
	time.Sleep(50 * time.Millisecond)
	if n := issuer.loads.Load(); n != 1 {
		t.Errorf("%d loads, want 1", n)
	}
}

func TestUnknownKeyIsFetchedAtOnce(t *testing.T) {
	first, second := newEdSigner(t, "one"), newEdSigner(t, "two")
	issuer := newIssuer(t, first)
	source := urlKeys(t, issuer.URL, SourceOptions{Interval: never, MinGap: time.Nanosecond})
	eventually(t, "keys are there", source.Ready)
	verifier := newTestVerifier(t, source)
	if _, err := verifier.Verify(t.Context(), first.token(t, nil)); err != nil {
		t.Fatal(err)
	}
	issuer.publish(t, first, second)
	for _, s := range []signer{second, first} {
		if _, err := verifier.Verify(t.Context(), s.token(t, nil)); err != nil {
			t.Errorf("key %s after the rotation: %v", s.id, err)
		}
	}
	if n := issuer.loads.Load(); n != 2 {
		t.Errorf("%d loads, want 2", n)
	}
}

func TestUnknownKeysAreRateLimited(t *testing.T) {
	for name, gap := range map[string]time.Duration{"as asked": never, "by default": 0} {
		t.Run(name, func(t *testing.T) { rateLimited(t, gap) })
	}
}

func rateLimited(t *testing.T, gap time.Duration) {
	t.Helper()
	known, unknown := newEdSigner(t, "one"), newEdSigner(t, "two")
	issuer := newIssuer(t, known)
	verifier := newTestVerifier(t, urlKeys(t, issuer.URL, SourceOptions{Interval: never, MinGap: gap}))
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			for j := range 25 {
				token := unknown.tokenWithHeader(t, members{"kid": strings.Repeat("k", 1+i*25+j)})
				_, err := verifier.Verify(t.Context(), token)
				if !errors.Is(err, ErrUnauthorized) {
					t.Errorf("unknown key: %v", err)
				}
			}
		})
	}
	clients.Wait()
	if _, err := verifier.Verify(t.Context(), known.token(t, nil)); err != nil {
		t.Errorf("the known key: %v", err)
	}
	if n := issuer.loads.Load(); n != 1 {
		t.Errorf("%d loads for 200 unknown keys, want 1", n)
	}
}

// Tokens that are refused anyway must not make us fetch keys.
func TestHopelessTokensFetchNothing(t *testing.T) {
	known, unknown := newEdSigner(t, "one"), newEdSigner(t, "two")
	issuer := newIssuer(t, known)
	source := urlKeys(t, issuer.URL, SourceOptions{Interval: never, MinGap: time.Nanosecond})
	eventually(t, "keys are there", source.Ready)
	verifier := newTestVerifier(t, source)
	if _, err := verifier.Verify(t.Context(), known.token(t, nil)); err != nil {
		t.Fatal(err)
	}
	for _, changes := range []members{{"iss": "x"}, {"aud": "x"}, {"exp": 0}, {"sub": ""}} {
		if _, err := verifier.Verify(t.Context(), unknown.token(t, changes)); !errors.Is(err, ErrUnauthorized) {
			t.Errorf("%v: %v", changes, err)
		}
	}
	if n := issuer.loads.Load(); n != 1 {
		t.Errorf("%d loads, want 1", n)
	}
}

func TestRemovedKeyStopsWorking(t *testing.T) {
	stays, goes := newEdSigner(t, "stays"), newEdSigner(t, "goes")
	issuer := newIssuer(t, stays, goes)
	verifier := newTestVerifier(t, urlKeys(t, issuer.URL, SourceOptions{Interval: 20 * time.Millisecond}))
	token := goes.token(t, nil)
	for range 3 { // Remembered by now.
		if _, err := verifier.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	issuer.publish(t, stays)
	eventually(t, "the removed key is refused", func() bool {
		_, err := verifier.Verify(t.Context(), token)
		return errors.Is(err, ErrUnauthorized)
	})
	if _, err := verifier.Verify(t.Context(), stays.token(t, nil)); err != nil {
		t.Errorf("the other key: %v", err)
	}
}

func TestWithdrawingAllKeys(t *testing.T) {
	ed := newEdSigner(t, "one")
	issuer := newIssuer(t, ed)
	verifier := newTestVerifier(t, urlKeys(t, issuer.URL, SourceOptions{Interval: 20 * time.Millisecond}))
	token := ed.token(t, nil)
	if _, err := verifier.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	issuer.publish(t)
	eventually(t, "no key is left", func() bool {
		_, err := verifier.Verify(t.Context(), token)
		return errors.Is(err, ErrUnauthorized)
	})
}

func TestReplacedKeyOfTheSameName(t *testing.T) {
	old, young := newEdSigner(t, "same"), newEdSigner(t, "same")
	issuer := newIssuer(t, old)
	verifier := newTestVerifier(t, urlKeys(t, issuer.URL, SourceOptions{Interval: 20 * time.Millisecond}))
	if _, err := verifier.Verify(t.Context(), old.token(t, nil)); err != nil {
		t.Fatal(err)
	}
	issuer.publish(t, young)
	eventually(t, "the new key works", func() bool {
		_, err := verifier.Verify(t.Context(), young.token(t, nil))
		return err == nil
	})
	_, err := verifier.Verify(t.Context(), old.token(t, nil))
	requireRefusal(t, err, ReasonWrongSignature)
}

func TestOutageKeepsLastKeys(t *testing.T) {
	ed, unknown := newEdSigner(t, "one"), newEdSigner(t, "two")
	for name, breakIt := range map[string]func(*issuer){
		"status 500": (*issuer).fail,
		"closed":     func(i *issuer) { i.Server.CloseClientConnections(); i.Server.Close() },
		"no key set": func(i *issuer) {
			i.answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>maintenance</html>") })
		},
		"endless": func(i *issuer) {
			i.answer(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write(append([]byte("["), bytes.Repeat([]byte(" "), 4*maxKeySetBytes)...))
			})
		},
		"not modified": func(i *issuer) {
			i.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			var log syncBuffer
			issuer := newIssuer(t, ed)
			source := urlKeys(t, issuer.URL+"/?secret=s3cret", SourceOptions{
				Interval: 10 * time.Millisecond, Log: slog.New(slog.NewTextHandler(&log, nil)),
			})
			verifier := newTestVerifier(t, source)
			if _, err := verifier.Verify(t.Context(), ed.token(t, nil)); err != nil {
				t.Fatal(err)
			}
			breakIt(issuer)
			eventually(t, "the failure is logged", func() bool { return strings.Contains(log.String(), "signing keys not loaded") })
			if _, err := verifier.Verify(t.Context(), ed.token(t, members{"sub": "another"})); err != nil {
				t.Errorf("known key during the outage: %v", err)
			}
			_, err := verifier.Verify(t.Context(), unknown.token(t, nil))
			requireRefusal(t, err, ReasonUnknownKey)
			if strings.Contains(log.String(), "s3cret") {
				t.Errorf("the log shows the query of the address: %s", log.String())
			}
		})
	}
}

func TestNoKeysYetIsUnavailable(t *testing.T) {
	ed := newEdSigner(t, "one")
	issuer := newIssuer(t, ed)
	issuer.fail()
	source := urlKeys(t, issuer.URL, SourceOptions{Interval: 20 * time.Millisecond})
	verifier := newTestVerifier(t, source)
	_, err := verifier.Verify(t.Context(), ed.token(t, nil))
	if !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnauthorized) {
		t.Fatalf("got %v, want ErrUnavailable", err)
	}
	if source.Ready() {
		t.Error("ready without keys")
	}
	_, err = verifier.Verify(t.Context(), ed.token(t, members{"exp": 0}))
	requireRefusal(t, err, ReasonExpired)
	issuer.publish(t, ed)
	eventually(t, "the issuer is back", func() bool {
		_, err := verifier.Verify(t.Context(), ed.token(t, nil))
		return err == nil && source.Ready()
	})
}

func TestCallerDoesNotWaitForSlowIssuer(t *testing.T) {
	ed := newEdSigner(t, "one")
	issuer := newIssuer(t, ed)
	release := make(chan struct{})
	issuer.answer(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	var log syncBuffer
	source := urlKeys(t, issuer.URL, SourceOptions{Log: slog.New(slog.NewTextHandler(&log, nil))})
	eventually(t, "the issuer is asked", func() bool { return issuer.loads.Load() == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := newTestVerifier(t, source).Verify(ctx, ed.token(t, nil))
	if !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want ErrUnavailable after the deadline", err)
	}
	// Close ends the load that hangs, which is no news.
	closed := make(chan struct{})
	go func() { source.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(loadTimeout / 2):
		t.Error("Close waits for the issuer")
	}
	if log.String() != "" {
		t.Errorf("logged: %s", log.String())
	}
}

func TestClosedSourceKeepsItsKeys(t *testing.T) {
	ed, unknown := newEdSigner(t, "one"), newEdSigner(t, "two")
	issuer := newIssuer(t, ed)
	source := urlKeys(t, issuer.URL, SourceOptions{Interval: never, MinGap: time.Nanosecond})
	eventually(t, "keys are there", source.Ready)
	source.Close()
	source.Close()
	loads := issuer.loads.Load()
	verifier := newTestVerifier(t, source)
	if _, err := verifier.Verify(t.Context(), ed.token(t, nil)); err != nil {
		t.Error(err)
	}
	_, err := verifier.Verify(t.Context(), unknown.token(t, nil))
	requireRefusal(t, err, ReasonUnknownKey)
	if n := issuer.loads.Load(); n != loads {
		t.Errorf("%d loads after Close", n-loads)
	}
}

func TestBareArrayFromURL(t *testing.T) {
	ed := newEdSigner(t, "one")
	issuer := newIssuer(t)
	issuer.answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(encodeJSON(t, []any{ed.jwk()})) })
	verifier := newTestVerifier(t, urlKeys(t, issuer.URL, SourceOptions{}))
	if _, err := verifier.Verify(t.Context(), ed.token(t, nil)); err != nil {
		t.Error(err)
	}
}

func TestRedirects(t *testing.T) {
	ed := newEdSigner(t, "one")
	issuer := newIssuer(t, ed)
	front := httptest.NewServer(http.RedirectHandler(issuer.URL, http.StatusFound))
	defer front.Close()
	verifier := newTestVerifier(t, urlKeys(t, front.URL, SourceOptions{}))
	if _, err := verifier.Verify(t.Context(), ed.token(t, nil)); err != nil {
		t.Errorf("one redirect: %v", err)
	}
	secure, open := httptest.NewRequest(http.MethodGet, "https://a/", nil), httptest.NewRequest(http.MethodGet, "http://a/", nil)
	if err := checkRedirect(open, []*http.Request{secure}); !errors.Is(err, errDowngrade) {
		t.Errorf("from https to http: %v", err)
	}
	if err := checkRedirect(secure, []*http.Request{open, secure, secure}); err != nil {
		t.Errorf("the third: %v", err)
	}
	if err := checkRedirect(secure, []*http.Request{secure, secure, secure, secure}); !errors.Is(err, errRedirects) {
		t.Errorf("in circles: %v", err)
	}
}

// Only a whole answer that says 200 counts, whatever a worse one holds.
func TestFetchKeys(t *testing.T) {
	full := strings.Repeat(" ", maxKeySetBytes)
	for name, test := range map[string]struct {
		status, announced int
		body, problem     string
	}{
		"as long as allowed": {http.StatusOK, maxKeySetBytes, full, ""},
		"an error":           {http.StatusInternalServerError, 2, "{}", "status 500"},
		"not quite":          {http.StatusAccepted, 2, "{}", "status 202"},
		"cut short":          {http.StatusOK, 10, "{}", "read signing keys"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Accept") != "application/json" {
					t.Errorf("asked for %q", r.Header.Get("Accept"))
				}
				w.Header().Set("Content-Length", strconv.Itoa(test.announced))
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}))
			defer server.Close()
			document, err := fetchKeys(t.Context(), server.Client(), server.URL)
			if test.problem == "" && (err != nil || len(document) != len(test.body)) {
				t.Errorf("%d bytes, %v", len(document), err)
			}
			if test.problem != "" && (err == nil || !strings.Contains(err.Error(), test.problem)) {
				t.Errorf("got %v, want %q", err, test.problem)
			}
		})
	}
}

func TestURLKeysNeedAnAddress(t *testing.T) {
	for _, address := range []string{"", "keys.json", "/etc/keys", "file:///etc/keys", "ftp://a/keys", "https://", "http:/a", "://", "http://a b/"} {
		if source, err := URLKeys(address, SourceOptions{}); err == nil {
			source.Close()
			t.Errorf("no error for %q", address)
		}
	}
}

func TestFileKeysFollowTheFile(t *testing.T) {
	old, young := newEdSigner(t, "old"), newEdSigner(t, "young")
	path := filepath.Join(t.TempDir(), "keys.json")
	write := func(content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(jwks(t, old))
	source, err := FileKeys(path, SourceOptions{Interval: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	if !source.Ready() {
		t.Error("there are no keys yet")
	}
	verifier := newTestVerifier(t, source)
	works := func(s signer) bool {
		_, err := verifier.Verify(t.Context(), s.token(t, nil))
		return err == nil
	}
	if !works(old) || works(young) {
		t.Fatal("the first file is not in force")
	}
	write(jwks(t, young))
	eventually(t, "the new file is in force", func() bool { return works(young) && !works(old) })

	write([]byte(`{"keys":[`))
	time.Sleep(50 * time.Millisecond) // A few looks at the broken file.
	if !works(young) {
		t.Error("a broken file takes the keys away")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	if !works(young) {
		t.Error("a removed file takes the keys away")
	}
	write(jwks(t, old))
	eventually(t, "the file is back", func() bool { return works(old) && !works(young) })
}

func TestFileKeysNeedAGoodFile(t *testing.T) {
	directory := t.TempDir()
	for name, content := range map[string]string{
		"broken.json": `{"keys":[`, "empty.json": `{"keys":[]}`, "symmetric.json": `{"keys":[{"kty":"oct","k":"czNjcmV0"}]}`,
	} {
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := FileKeys(path, SourceOptions{}); err == nil || strings.Contains(err.Error(), "czNjcmV0") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := FileKeys(filepath.Join(directory, "missing.json"), SourceOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

// The same document keeps the same set, and with it what is remembered.
func TestUnchangedDocumentKeepsTheSet(t *testing.T) {
	ed := newEdSigner(t, "one")
	issuer := newIssuer(t, ed)
	var log syncBuffer
	source := urlKeys(t, issuer.URL, SourceOptions{Interval: time.Millisecond, Log: slog.New(slog.NewTextHandler(&log, nil))})
	eventually(t, "keys are there", source.Ready)
	set, loads := source.current.Load(), issuer.loads.Load()
	eventually(t, "more loads", func() bool { return issuer.loads.Load() > loads+5 })
	if source.current.Load() != set {
		t.Error("an unchanged document made a new set")
	}
	if n := strings.Count(log.String(), "signing keys changed"); n != 1 || strings.Contains(log.String(), "WARN") {
		t.Errorf("%d changes are logged: %s", n, log.String())
	}
	issuer.publish(t)
	eventually(t, "a warning that no key is left", func() bool { return strings.Contains(log.String(), "level=WARN msg=\"signing keys changed\" usable=0") })
}

// syncBuffer may be written and read by different goroutines.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
