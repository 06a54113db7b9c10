package main

import (
	"encoding/xml"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/auth"
)

// undecidable are the checks that no run on a server of this program can decide.
var undecidable = []string{
	"errors/internal", "errors/overloaded", "errors/rate-limited", "identity/foreign-issuer", "identity/leeway",
	"identity/required-claims", "pins/demanded", "pins/lock-ends", "pins/lock-outlives-a-restart", "tokens/barcode-scans-back",
	"tokens/in-no-log", "tokens/same-time", "tokens/stored-as-hashes",
}

// passes are the access tokens for every check, as flags.
func passes(t *testing.T, data string) []string {
	t.Helper()
	key, err := auth.LoadLocalKey(dataDir(data).signingKeyFile())
	if err != nil {
		t.Fatal(err)
	}
	server, err := dataDir(data).recallIdentity()
	if err != nil {
		t.Fatal(err)
	}
	var flags []string
	for _, pass := range []struct {
		flag, account, scope string
		from                 time.Time
	}{
		{"token", "T12345678", auth.ScopeAdmin, time.Now()},
		{"token-reader", "T12345678", auth.ScopeRead, time.Now()},
		{"token-writer", "T12345678", auth.ScopeWrite, time.Now()},
		{"token-till", "T12345678", auth.ScopeWriteTransactions, time.Now()},
		{"token-info", "T12345678", auth.ScopeWriteInfo, time.Now()},
		{"token-customer", "T12345678", auth.ScopeUser, time.Now()},
		{"token-other", "T87654321", auth.ScopeAdmin, time.Now()},
		{"token-expired", "T12345678", auth.ScopeAdmin, time.Now().Add(-2 * time.Hour)},
	} {
		token, err := key.Mint(auth.Claims{
			Account: pass.account, Issuer: server.Issuer, AudienceBase: server.AudienceBases[0], Subject: "subject-of-" + pass.flag,
			Scopes: []string{pass.scope}, TTL: time.Hour,
		}, pass.from)
		if err != nil {
			t.Fatal(err)
		}
		flags = append(flags, "--"+pass.flag+"="+token)
	}
	return flags
}

// The suite passes on both engines, decides all that can be decided, and leaves nothing behind.
func TestConformance(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database []string) {
		server := serveHere(t, dev(database)...)
		server.token() // it has started
		flags := passes(t, strings.TrimPrefix(database[0], "--data-dir="))
		report := filepath.Join(t.TempDir(), "junit.xml")
		done := conform(t, server, append(flags, "--allow-writes", "--strict", "--junit="+report)...)
		done.want(t, exitOK, " 0 failed")
		equalNames(t, named(done.stdout, "undecided"), undecidable)
		if left := server.send(http.MethodGet, cardsPath+"?search=conformance-", token(flags), ""); !strings.Contains(left.body, `"cards":[]`) {
			t.Errorf("the suite has left cards behind: %s", left.body)
		}
		wantJUnit(t, report, strings.Count(done.stdout, "\n  passed "), len(undecidable))
		server.close()
	})
}

// conform runs the suite against a server. It may take longer than other commands.
func conform(t *testing.T, server *instance, args ...string) outcome {
	t.Helper()
	return kortWithin(t, 4*time.Minute, append([]string{"conformance", "--url=http://" + server.addr}, args...)...)
}

// token is the first of some flags.
func token(flags []string) string { return strings.TrimPrefix(flags[0], "--token=") }

// named are the checks that had an outcome, sorted.
func named(printed, outcome string) []string {
	var names []string
	for _, line := range regexp.MustCompile(`(?m)^  `+outcome+` +(\S+)$`).FindAllStringSubmatch(printed, -1) {
		names = append(names, line[1])
	}
	slices.Sort(names)
	return names
}

func equalNames(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// wantJUnit checks the counts of a report for CI systems.
func wantJUnit(t *testing.T, path string, passed, skipped int) {
	t.Helper()
	var report struct {
		Suites []struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Skipped  int `xml:"skipped,attr"`
			Cases    []struct {
				Name string `xml:"name,attr"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(readFile(t, path)), &report); err != nil {
		t.Fatal(err)
	}
	tests, failures, left, cases := 0, 0, 0, 0
	for _, suite := range report.Suites {
		tests, failures, left, cases = tests+suite.Tests, failures+suite.Failures, left+suite.Skipped, cases+len(suite.Cases)
	}
	if tests != passed+skipped || cases != tests || failures != 0 || left != skipped {
		t.Errorf("the report has %d tests, %d cases, %d failures, %d skipped; want %d passed and %d skipped",
			tests, cases, failures, left, passed, skipped)
	}
}

// Without --allow-writes nothing is made; what needs more than was given says so.
func TestConformanceReadsOnly(t *testing.T) {
	t.Parallel()
	server := serveHere(t, dev([]string{"--data-dir=" + t.TempDir()})...)
	bearer := server.token()
	done := conform(t, server, "--token="+bearer)
	done.want(t, exitOK, " 0 failed", "--allow-writes decides it", "--token-expired decides it")
	if len(named(done.stdout, "passed")) < 30 {
		t.Errorf("only these were checked: %v", named(done.stdout, "passed"))
	}
	if all := server.send(http.MethodGet, cardsPath+"?include_deleted=true", bearer, ""); !strings.Contains(all.body, `"cards":[]`) {
		t.Errorf("cards were made: %s", all.body)
	}
	conform(t, server, "--token="+bearer, "--only=^status/", "--strict").want(t, exitFailure, "left undecided")
	server.close()
}

// A server of the published API may refuse in other words, but this one passes too.
func TestConformancePublished(t *testing.T) {
	t.Parallel()
	server := serveHere(t, dev([]string{"--data-dir=" + t.TempDir()})...)
	done := conform(t, server, "--token="+server.token(), "--allow-writes", "--published")
	done.want(t, exitOK, " 0 failed")
	for _, ours := range []string{"batch/creates-inactive", "pins/rotate", "ref_id/replay"} {
		if slices.Contains(named(done.stdout, "passed"), ours) {
			t.Errorf("%s is not published", ours)
		}
	}
	server.close()
}

// What keeps a run from beginning has an exit code of its own.
func TestConformanceCannotRun(t *testing.T) {
	t.Parallel()
	server := serveHere(t, dev([]string{"--data-dir=" + t.TempDir()})...)
	bearer := server.token()
	at := "--url=http://" + server.addr
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"no server":     {[]string{"--url=http://127.0.0.1:1", "--token=" + bearer}, "cannot run"},
		"a live one":    {[]string{at, "--token=" + bearer, "--account=P12345678"}, "real money"},
		"no token":      {[]string{at}, "--token (KORT_CONFORMANCE_TOKEN)"},
		"a wrong token": {[]string{at, "--token=" + bearer + "x"}, "cannot run"},
		"no account":    {[]string{at, "--token=garbage"}, "no account is named"},
		"no URL":        {[]string{"--token=" + bearer}, "--url"},
		"no pattern":    {[]string{at, "--token=" + bearer, "--only=("}, "--only"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kort(t, append([]string{"conformance"}, test.args...)...).want(t, exitUsage, test.says)
		})
	}
}

func TestConformanceList(t *testing.T) {
	t.Parallel()
	kort(t, "conformance", "--list", "--only=^ref_id/replay$").want(t, exitOK, "ref_id/replay ", "Idempotency-Replayed")
}

// An interrupted run removes what it has made.
func TestConformanceInterrupted(t *testing.T) {
	t.Parallel()
	server := serveHere(t, dev([]string{"--data-dir=" + t.TempDir()})...)
	bearer := server.token()
	command := asProcess(t.Context(), "conformance", "--url=http://"+server.addr, "--token="+bearer, "--allow-writes", "--only=^(status|lists)/")
	var printed transcript
	command.Stdout, command.Stderr = &printed, &printed
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	cards := func() string { return server.send(http.MethodGet, cardsPath+"?search=conformance-", bearer, "").body }
	eventually(t, "make a card", func() bool { return !strings.Contains(cards(), `"cards":[]`) })
	if err := command.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); command.ProcessState.ExitCode() != exitFailure {
		t.Errorf("it ended with %v:\n%s", err, &printed)
	}
	if said := printed.String(); !strings.Contains(said, "because: interrupted") || strings.Contains(said, "left behind") {
		t.Errorf("it said:\n%s", said)
	}
	if left := cards(); !strings.Contains(left, `"cards":[]`) {
		t.Errorf("cards were left behind: %s", left)
	}
	server.close()
}
