package conformance

import (
	"bytes"
	"encoding/xml"
	"errors"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
)

var checkName = regexp.MustCompile(`^[a-z_]+/[a-z0-9_-]+$`)

// Names are stable handles, so each stands for one check; sections are contiguous, so that
// the report has each once; a check either runs, or says why it cannot.
func TestChecksAreNamed(t *testing.T) {
	t.Parallel()
	seen, sections, last := map[string]bool{}, map[string]bool{}, ""
	for _, check := range All() {
		if seen[check.Name] || !checkName.MatchString(check.Name) {
			t.Errorf("%q is no name, or that of two checks", check.Name)
		}
		seen[check.Name] = true
		if !strings.HasSuffix(check.Rule, ".") || strings.Contains(strings.TrimSuffix(check.Rule, "."), ". ") {
			t.Errorf("%s: its rule is not one sentence: %q", check.Name, check.Rule)
		}
		if section := check.Section(); section != last {
			if sections[section] {
				t.Errorf("%s is apart from the other checks of its section", check.Name)
			}
			sections[section], last = true, section
		}
		ways := 0
		for _, way := range []bool{check.run != nil, check.unknowable != "", check.answersOf != ""} {
			if way {
				ways++
			}
		}
		if ways != 1 {
			t.Errorf("%s has %d ways to be decided, want 1", check.Name, ways)
		}
	}
	if len(seen) < 200 {
		t.Errorf("there are %d checks only", len(seen))
	}
}

// Every operation of the contract has a check of its answers.
func TestEveryOperationIsLookedAt(t *testing.T) {
	t.Parallel()
	document, err := readDocument()
	if err != nil {
		t.Fatal(err)
	}
	looked := map[string]bool{}
	for _, check := range documents() {
		looked[check.answersOf] = true
	}
	for operation := range document.operations {
		if !looked[operation] {
			t.Errorf("nothing looks at the answers of %s", operation)
		}
	}
}

func TestReportsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	got := redact(`{"token":"DINCARD:1","pin": "1234","a":{"value":"x","barcode_128":"data:"},"card_id":"c"}`)
	want := `{"token":"[redacted]","pin":"[redacted]","a":{"value":"[redacted]","barcode_128":"[redacted]"},"card_id":"c"}`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAccountOfAToken(t *testing.T) {
	t.Parallel()
	for payload, want := range map[string]string{
		`{"aud":"https://a.example.com/v1/accounts/T12345678"}`:           "T12345678",
		`{"aud":["other","https://a.example.com/v1/accounts/P00000001"]}`: "P00000001",
		`{"aud":"other"}`: "", `{"aud":7}`: "", `{}`: "",
	} {
		claims, err := readClaims("h." + segment(payload) + ".s")
		if err != nil {
			t.Fatal(err)
		}
		if got := claims.account(); got != want {
			t.Errorf("%s: got %q, want %q", payload, got, want)
		}
	}
	for _, garbage := range []string{"", "a.b", "a.!.c", "a." + segment("[") + ".c"} {
		if _, err := readClaims(garbage); err == nil {
			t.Errorf("%q was read", garbage)
		}
	}
}

// A server that takes requests and never answers does not hold a run up.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	_, err = Run(t.Context(), Options{
		URL: "http://" + silent.Addr().String(), Account: "T12345678", Token: "token", Timeout: 100 * time.Millisecond,
	})
	if !errors.Is(err, ErrCannotRun) || !strings.Contains(err.Error(), "within the time") {
		t.Errorf("got %v", err)
	}
}

// A check that an answer makes stumble is one that failed.
func TestStumblingCheckFails(t *testing.T) {
	t.Parallel()
	s := suite{Options: Options{AllowWrites: true, Timeout: time.Minute}, leftovers: map[string]error{}}
	result := s.try(t.Context(), rule("a/stumble", "It stands.", func(t *trial) { _ = value[[]int](nil)[1] }))
	if result.Outcome != Failed || !strings.Contains(result.Failure.Got, "index out of range") {
		t.Errorf("got %+v", result)
	}
	result = s.try(t.Context(), rule("a/open", "It stands.", func(t *trial) { t.undecide("it is dark") }))
	if result.Outcome != Undecided || result.Reason != "it is dark" {
		t.Errorf("got %+v", result)
	}
}

// Each outcome has its form in both reports, and XML that holds what it can hold.
func TestReports(t *testing.T) {
	t.Parallel()
	report := Report{
		Results: []Result{
			{Check: Check{Name: "a/good", Rule: "It works."}, Outcome: Passed},
			{Check: Check{Name: "a/bad", Rule: "It works too."}, Outcome: Failed, Failure: &Failure{Expected: "200", Got: "500 \x00", Exchange: "GET /"}},
			{Check: Check{Name: "b/open", Rule: "Who knows."}, Outcome: Undecided, Reason: "nobody"},
		},
		Leftovers: []string{"card-1: it stays"},
	}
	var text, junit bytes.Buffer
	if err := report.Write(&text); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"passed     a/good", "failed     a/bad", "expected: 200", "asked: GET /", "because: nobody", "left behind: card-1",
		"1 passed, 1 failed, 1 undecided",
	} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("the report does not say %q:\n%s", part, &text)
		}
	}
	if err := report.WriteJUnit(&junit); err != nil {
		t.Fatal(err)
	}
	var read junitSuites
	if err := xml.Unmarshal(junit.Bytes(), &read); err != nil {
		t.Fatalf("%v in %s", err, &junit)
	}
	if len(read.Suites) != 2 || read.Suites[0].Failures != 1 || read.Suites[1].Skipped != 1 || read.Suites[0].Cases[1].Failure == nil {
		t.Errorf("the report for CI is %s", &junit)
	}
}

// Whoever gives no further tokens, or permits no writes, gets reasons and not failures; live
// accounts need a word more.
func TestWhatARunIsAbout(t *testing.T) {
	t.Parallel()
	token := "h." + segment(`{"aud":"https://a.example.com/v1/accounts/P12345678","sub":"s"}`) + ".s"
	if _, err := newSuite(Options{Token: token}); err == nil {
		t.Error("a live account was taken")
	}
	s, err := newSuite(Options{Token: token, AllowLive: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range All() {
		if check.reads && len(check.needs) == 0 {
			continue
		}
		if result := s.try(t.Context(), check); result.Outcome != Undecided || result.Reason == "" {
			t.Errorf("%s was decided: %+v", check.Name, result)
		}
	}
	only := Selected(Options{Only: regexp.MustCompile("^ref_id/"), Published: true})
	for _, check := range only {
		if check.Section() != "ref_id" || !check.published {
			t.Errorf("%s was selected", check.Name)
		}
	}
	if len(only) == 0 {
		t.Error("nothing was selected")
	}
}
