package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

const (
	// barInterval is the shortest time between two pictures of a bar.
	barInterval = 100 * time.Millisecond
	// lineInterval is the time between two lines where nobody watches.
	lineInterval = 5 * time.Second
)

// progress shows on stderr how far a long command has come: a bar with rate and
// remaining time on a terminal, a line every few seconds elsewhere. It may be used by
// several goroutines.
type progress struct {
	term *terminal
	unit string // what is counted, in the plural
	now  func() time.Time

	mu      sync.Mutex
	bar     *progressbar.ProgressBar // on a terminal only
	started time.Time
	spoken  time.Time // of the last line
}

func newProgress(term *terminal, unit string) *progress {
	now := time.Now()
	return &progress{term: term, unit: unit, now: time.Now, started: now, spoken: now}
}

// update notes that done of total are done.
func (p *progress) update(done, total int64) {
	total = max(done, total) // it was an estimate
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.term.interactive {
		p.draw(done, total)
		return
	}
	if now := p.now(); now.Sub(p.spoken) >= lineInterval {
		p.spoken = now
		p.term.notef("%s", progressLine(p.unit, done, total, now.Sub(p.started)))
	}
}

// finish leaves the terminal ready for the next line.
func (p *progress) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		// A bar that cannot be removed is no reason to fail what it was about.
		_ = p.bar.Clear()
	}
}

func (p *progress) draw(done, total int64) {
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(p.term.stderr),
			progressbar.OptionSetDescription(p.unit),
			progressbar.OptionSetItsString(p.unit),
			progressbar.OptionShowCount(),
			progressbar.OptionShowIts(),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(barInterval),
			progressbar.OptionFullWidth(),
		)
	}
	if total != p.bar.GetMax64() {
		p.bar.ChangeMax64(total)
	}
	_ = p.bar.Set64(done) // as in finish
}

// progressLine says how far a command has come, such as
// "1200 of 5000 cards, 400/s, 10s left".
func progressLine(unit string, done, total int64, elapsed time.Duration) string {
	line := fmt.Sprintf("%d of %d %s", done, total, unit)
	if done <= 0 || elapsed <= 0 {
		return line
	}
	rate := float64(done) / elapsed.Seconds()
	line += fmt.Sprintf(", %.0f/s", rate)
	if left := float64(total - done); left > 0 {
		line += fmt.Sprintf(", %s left", time.Duration(left/rate*float64(time.Second)).Round(time.Second))
	}
	return line
}
