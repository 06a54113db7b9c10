package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/kortwallet/kort/pkg/pgtest"
)

// fixedURL is the public URL of servers under test, whatever their port: tokens then
// outlive a restart.
const fixedURL = "http://kort.test"

// instance is a `kort serve` under test.
type instance struct {
	t              *testing.T
	addr           string // host and port it listens on
	stdout, stderr *transcript
	stop           func()        // asks it to stop
	done           chan struct{} // closed when it has ended
	code           int           // its exit code, then
	process        *exec.Cmd     // where it is a process of its own
}

// serveHere starts a server within this process.
func serveHere(t *testing.T, args ...string) *instance {
	t.Helper()
	return runHere(t, serveArgs(args)...)
}

// runHere runs a command that listens, within this process.
func runHere(t *testing.T, args ...string) *instance {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	i := &instance{t: t, stdout: &transcript{}, stderr: &transcript{}, stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(i.done)
		i.code = run(ctx, &terminal{stdout: i.stdout, stderr: i.stderr}, args)
	}()
	i.awaitListening()
	return i
}

// serveApart starts a server as a process of its own.
func serveApart(t *testing.T, args ...string) *instance {
	t.Helper()
	return serveWith(t, nil, args...)
}

// serveWith is serveApart with more variables in the environment.
func serveWith(t *testing.T, env []string, args ...string) *instance {
	t.Helper()
	i := &instance{t: t, stdout: &transcript{}, stderr: &transcript{}, done: make(chan struct{})}
	i.process = asProcess(context.WithoutCancel(t.Context()), serveArgs(args)...)
	i.process.Env = append(i.process.Env, env...)
	i.process.Stdout, i.process.Stderr = i.stdout, i.stderr
	if err := i.process.Start(); err != nil {
		t.Fatal(err)
	}
	i.stop = func() { i.signal(syscall.SIGTERM) }
	go func() {
		defer close(i.done)
		_ = i.process.Wait() // the exit code says it all
		i.code = i.process.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		_ = i.process.Process.Kill() // it may have ended
		<-i.done
	})
	i.awaitListening()
	return i
}

func serveArgs(args []string) []string {
	return append([]string{"serve", "--addr=localhost:0", "--log-format=json"}, args...)
}

func (i *instance) signal(signal syscall.Signal) {
	i.t.Helper()
	if err := i.process.Process.Signal(signal); err != nil {
		i.t.Fatal(err)
	}
}

var listening = regexp.MustCompile(`"msg":"listening","addr":"([^"]+)"`)

func (i *instance) awaitListening() {
	i.t.Helper()
	eventually(i.t, "start", func() bool {
		select {
		case <-i.done:
			i.t.Fatalf("the server ended with code %d:\n%s", i.code, i.stderr)
		default:
		}
		found := listening.FindStringSubmatch(i.stderr.String())
		if found != nil {
			i.addr = found[1]
		}
		return found != nil
	})
}

// close stops the server and checks that it ends well.
func (i *instance) close() {
	i.t.Helper()
	i.stop()
	<-i.done
	if i.code != exitOK {
		i.t.Fatalf("the server ended with code %d:\n%s", i.code, i.stderr)
	}
}

// answer is an HTTP answer.
type answer struct {
	status int
	header http.Header
	body   string
}

// field reads a field of a JSON object, "" where it has none; dots lead inwards.
func (a answer) field(t *testing.T, path string) string {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(a.body), &value); err != nil {
		t.Fatalf("answer %d is not JSON: %s", a.status, a.body)
	}
	for name := range strings.SplitSeq(path, ".") {
		object, ok := value.(map[string]any)
		if !ok {
			return ""
		}
		value = object[name]
	}
	text, _ := value.(string)
	return text
}

// send sends a request to the server, wherever its URL points.
func (i *instance) send(method, path, token, body string) answer {
	i.t.Helper()
	a, err := i.trySend(http.DefaultClient, method, path, token, body)
	if err != nil {
		i.t.Fatal(err)
	}
	return a
}

func (i *instance) trySend(client *http.Client, method, path, token, body string) (answer, error) {
	if parsed, err := url.Parse(path); err == nil {
		path = parsed.RequestURI()
	}
	request, err := http.NewRequest(method, "http://"+i.addr+path, bytes.NewBufferString(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	return tryDo(client, request)
}

// do sends a request that was made elsewhere.
func (i *instance) do(request *http.Request) answer {
	i.t.Helper()
	a, err := tryDo(http.DefaultClient, request)
	if err != nil {
		i.t.Fatal(err)
	}
	return a
}

func tryDo(client *http.Client, request *http.Request) (answer, error) {
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(content)}, err
}

const cardsPath = "/v1/accounts/T12345678/wallets/cards"

// createCard creates a card and checks that this succeeds.
func (i *instance) createCard(token, body string) answer {
	i.t.Helper()
	a := i.send(http.MethodPost, cardsPath, token, body)
	if a.status != http.StatusOK {
		i.t.Fatalf("create a card: %d %s", a.status, a.body)
	}
	return a
}

var printedToken = regexp.MustCompile(`(?m)^export TOKEN=(\S+)$`)

// token is the one that a development server has printed.
func (i *instance) token() string {
	i.t.Helper()
	var token string
	eventually(i.t, "print a token", func() bool {
		found := printedToken.FindStringSubmatch(i.stdout.String())
		if found != nil {
			token = found[1]
		}
		return found != nil
	})
	return token
}

// onBothEngines runs a test with the arguments that choose the database.
func onBothEngines(t *testing.T, test func(t *testing.T, database []string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, []string{"--data-dir=" + t.TempDir()})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		database := []string{"--data-dir=" + t.TempDir(), "--database-url=" + pgtest.URL(t)}
		kort(t, "migrate", "up", database[0], database[1]).want(t, exitOK, "up to date")
		test(t, database)
	})
}

// dev are the arguments of a development server.
func dev(database []string, more ...string) []string {
	return append(append([]string{"--dev", "--public-url=" + fixedURL}, database...), more...)
}
