package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestProgressLine(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		done, total int64
		elapsed     time.Duration
		want        string
	}{
		{"nothing yet", 0, 100, time.Second, "0 of 100 cards"},
		{"no time", 5, 100, 0, "5 of 100 cards"},
		{"half", 2000, 4000, 10 * time.Second, "2000 of 4000 cards, 200/s, 10s left"},
		{"all", 4000, 4000, 10 * time.Second, "4000 of 4000 cards, 400/s"},
		{"hours", 1, 7201, time.Second, "1 of 7201 cards, 1/s, 2h0m0s left"},
	}
	for _, test := range tests {
		if got := progressLine("cards", test.done, test.total, test.elapsed); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

// Where nobody watches, a line now and then is enough.
func TestProgressInLines(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	p := newProgress(&terminal{stderr: &stderr}, "cards")
	now := p.started
	p.now = func() time.Time { return now }
	for done := int64(1); done <= 120; done++ {
		now = now.Add(100 * time.Millisecond)
		p.update(done, 100) // more than was expected
	}
	p.finish()
	if want := "50 of 100 cards, 10/s, 5s left\n100 of 100 cards, 10/s\n"; stderr.String() != want {
		t.Errorf("got %q, want %q", stderr.String(), want)
	}
}

func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	p := newProgress(&terminal{stderr: &stderr, interactive: true}, "cards")
	p.update(10, 100)
	p.update(120, 100)
	p.finish()
	for _, want := range []string{"cards", "10/100", "120/120"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("the bar shows no %q: %q", want, stderr.String())
		}
	}
	if strings.Contains(stderr.String(), "\n") {
		t.Errorf("the bar leaves lines behind: %q", stderr.String())
	}
}
