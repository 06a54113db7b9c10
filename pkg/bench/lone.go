package bench

import (
	"context"
	"fmt"
	"time"
)

// Both sides of the comparison for a lone client.
const (
	loneKort   = "lone"
	loneSingly = "lone-singly"
)

// loneSeries compares one client of an idle server with one of a server that is the
// same but for the write path: it commits each operation by itself, in the goroutine
// of the request, without a queue, a committer or a batch. Both read, decide and write
// with the same code and answer over HTTP, so that what remains is what group commit
// adds.
func (b *benchmark) loneSeries(kort, singly *load) []series {
	side := func(l *load, name, title, baseline string) series {
		w := loneWorkload(name, title)
		return series{
			name: name, title: title, baseline: baseline, kort: true,
			window: func(ctx context.Context, length time.Duration, watch watcher) (Figures, error) {
				return l.window(ctx, w, length, watch)
			},
		}
	}
	return []series{
		side(singly, loneSingly, "drawdown, one client, committed singly", ""),
		side(kort, loneKort, "drawdown, one client", loneSingly),
	}
}

// runLone measures both, each on a database of its own, since a SQLite file has one
// server.
func (b *benchmark) runLone(ctx context.Context) error {
	return b.withLoneClient(ctx, KindSingly, func(singly *load) error {
		return b.withLoneClient(ctx, KindKort, func(kort *load) error {
			results, err := b.measure(ctx, b.loneSeries(kort, singly))
			if err != nil {
				return err
			}
			base, lone := results[0].Median.P50Micros, results[1].Median.P50Micros
			b.report.add(b.Options, Row{
				Part: PartLone, Engine: b.engine, What: "p50 of one client on an idle server",
				Value: lone / 1000, Unit: " ms", Baseline: "the same server, each operation committed singly", BaselineValue: base / 1000,
				Ratio: lone / base, Goal: Goal{AtMost: 1.2},
			})
			b.report.keep(b.engine, results)
			return nil
		})
	})
}

// withLoneClient starts a server of a kind on a new database and connects one client.
func (b *benchmark) withLoneClient(ctx context.Context, kind Kind, use func(*load) error) error {
	return b.withDatabase(ctx, func(db *database) error {
		var acknowledged int64
		err := b.withServer(ctx, db, request{kind: kind, tokens: 1}, func(s *server) error {
			return b.withLoad(ctx, s, func(l *load) error {
				if err := db.settle(ctx); err != nil {
					return err
				}
				err := use(l)
				acknowledged = l.acknowledged()
				return err
			})
		})
		if err != nil {
			return err
		}
		b.tell("audit the database")
		if _, err := db.audit(ctx, acknowledged); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		return nil
	})
}
