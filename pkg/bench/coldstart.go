package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// runColdStart measures the time from the start of the program on an empty directory
// to its first answer to an authenticated request: keys, schema and all.
func (b *benchmark) runColdStart(ctx context.Context) error {
	times := make([]time.Duration, b.Runs)
	for i := range times {
		err := b.withDatabase(ctx, func(db *database) error {
			start := time.Now()
			return b.withServer(ctx, db, request{tokens: 1}, func(s *server) error {
				err := firstAnswer(ctx, s)
				times[i] = time.Since(start)
				return err
			})
		})
		if err != nil {
			return err
		}
	}
	slices.Sort(times)
	b.report.add(b.Options, Row{
		Part: PartFootprint, Engine: b.engine, What: "cold start on an empty directory, to the first 200",
		Value: micros(percentile(times, 0.5)) / 1000, Unit: " ms", Goal: Goal{AtMost: 250},
	})
	return nil
}

// firstAnswer asks for the cards, of which there are none.
func firstAnswer(ctx context.Context, s *server) (err error) {
	l, err := newLoad(ctx, s, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if _, err := l.tills[0].call(http.MethodGet, "/cards", nil); err != nil {
		return fmt.Errorf("first request: %w", err)
	}
	return nil
}
