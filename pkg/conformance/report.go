package conformance

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// Outcome is what became of a check.
type Outcome string

// The outcomes.
const (
	Passed    Outcome = "passed"
	Failed    Outcome = "failed"
	Undecided Outcome = "undecided"
)

// Result is what a check has shown.
type Result struct {
	Check    Check
	Outcome  Outcome
	Failure  *Failure // where it failed
	Reason   string   // where it is undecided
	Duration time.Duration
}

// Report is a whole run.
type Report struct {
	// Account is the one that the run was about.
	Account string
	// Results are in the order of [All].
	Results []Result
	// Leftovers are cards that could not be removed, and why.
	Leftovers []string
}

// Count is how many checks had an outcome.
func (r Report) Count(outcome Outcome) int {
	count := 0
	for _, result := range r.Results {
		if result.Outcome == outcome {
			count++
		}
	}
	return count
}

// Open is how many checks could have been decided, with other options, and were not.
func (r Report) Open() int {
	count := 0
	for _, result := range r.Results {
		if result.Outcome == Undecided && result.Check.unknowable == "" {
			count++
		}
	}
	return count
}

// Write prints the report for people.
func (r Report) Write(w io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "account %s\n", r.Account)
	section := ""
	for _, result := range r.Results {
		if s := result.Check.Section(); s != section {
			section = s
			fmt.Fprintf(&text, "\n%s\n", section)
		}
		result.write(&text)
	}
	for _, leftover := range r.Leftovers {
		fmt.Fprintf(&text, "\nleft behind: %s\n", leftover)
	}
	fmt.Fprintf(&text, "\n%d passed, %d failed, %d undecided\n", r.Count(Passed), r.Count(Failed), r.Count(Undecided))
	_, err := io.WriteString(w, text.String())
	return err
}

func (r Result) write(text *strings.Builder) {
	fmt.Fprintf(text, "  %-9s  %s\n", r.Outcome, r.Check.Name)
	switch r.Outcome {
	case Passed:
	case Undecided:
		fmt.Fprintf(text, "             %s\n             because: %s\n", r.Check.Rule, r.Reason)
	case Failed:
		fmt.Fprintf(text, "             %s\n", r.Check.Rule)
		for _, part := range [][2]string{{"expected", r.Failure.Expected}, {"got", r.Failure.Got}, {"asked", r.Failure.Exchange}} {
			fmt.Fprintf(text, "             %s: %s\n", part[0], strings.ReplaceAll(part[1], "\n", "\n               "))
		}
	}
}

// WriteJUnit prints the report as JUnit XML, as CI systems read it: a suite for each section.
// What is undecided is skipped there.
func (r Report) WriteJUnit(w io.Writer) error {
	all := junitSuites{Name: "conformance"}
	for _, result := range r.Results {
		if n := len(all.Suites); n == 0 || all.Suites[n-1].Name != result.Check.Section() {
			all.Suites = append(all.Suites, junitSuite{Name: result.Check.Section()})
		}
		all.Suites[len(all.Suites)-1].add(result)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Name    string       `xml:"name,attr"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Seconds string        `xml:"time,attr"`
	Failure *junitMessage `xml:"failure"`
	Skipped *junitMessage `xml:"skipped"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func (s *junitSuite) add(r Result) {
	c := junitCase{
		Class: s.Name, Name: strings.TrimPrefix(r.Check.Name, s.Name+"/"), Seconds: fmt.Sprintf("%.3f", r.Duration.Seconds()),
	}
	s.Tests++
	switch r.Outcome {
	case Passed:
	case Failed:
		s.Failures++
		c.Failure = &junitMessage{Message: printable(r.Failure.Error()), Text: printable(r.Check.Rule + "\n" + r.Failure.Exchange)}
	case Undecided:
		s.Skipped++
		c.Skipped = &junitMessage{Message: r.Reason}
	}
	s.Cases = append(s.Cases, c)
}

// printable is a text without what XML cannot hold.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' {
			return '�'
		}
		return r
	}, strings.ToValidUTF8(text, "�"))
}
