package bench

import (
	"context"
	"errors"
	"time"
)

// edgeGoal is for the processor time of a POST without a ledger, compared with a bare
// handler's.
var edgeGoal = Goal{AtMost: 2}

// Both sides of the comparison of the edge.
const (
	edgeKort = "edge"
	edgeEcho = "edge-echo"
)

// measuresEdge tells whether the edge is measured beside this engine. It has no
// database, so once is enough.
func (b *benchmark) measuresEdge() bool { return b.wants(PartEdge) && b.engine == b.Engines[0] }

// edgeSeries compares a server that commits nothing with a bare Echo handler. Both get
// the same bytes from the same tills.
func (b *benchmark) edgeSeries(kort, echo *load) []series {
	side := func(l *load, name, title, baseline string) series {
		w := postWorkload(name, title)
		return series{
			name: name, title: title, baseline: baseline, kort: true,
			window: func(ctx context.Context, length time.Duration, watch watcher) (Figures, error) {
				return l.window(ctx, w, length, watch)
			},
		}
	}
	return []series{
		side(echo, edgeEcho, "POST with 10 fields, bare Echo handler", ""),
		side(kort, edgeKort, "POST with 10 fields, no ledger", edgeEcho),
	}
}

// runEdge measures both.
func (b *benchmark) runEdge(ctx context.Context) error {
	return b.withEdge(ctx, KindEcho, func(echo *load) error {
		return b.withEdge(ctx, KindNoLedger, func(kort *load) error {
			results, err := b.measure(ctx, b.edgeSeries(kort, echo))
			if err != nil {
				return err
			}
			b.report.keep("", results)
			bare, full := results[0].Median.ServerCPUMicros, results[1].Median.ServerCPUMicros
			if bare == 0 { // the operating system does not say
				return nil
			}
			b.report.add(b.Options, Row{
				Part: PartEdge, What: "server CPU of a POST with 10 fields, no ledger", Value: full, Unit: " µs",
				Baseline: "bare Echo handler", BaselineValue: bare, Ratio: full / bare, Goal: edgeGoal,
			})
			return nil
		})
	})
}

// withEdge starts a server of a kind that commits nothing, and connects to it.
func (b *benchmark) withEdge(ctx context.Context, kind Kind, use func(*load) error) error {
	unused := *b // an empty SQLite file, whatever is measured beside it
	unused.engine = SQLite
	return unused.withDatabase(ctx, func(db *database) error {
		return unused.withServer(ctx, db, request{kind: kind, tokens: b.Connections}, func(s *server) (err error) {
			l, err := newLoad(ctx, s, b.Cards)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, l.close()) }()
			return use(l)
		})
	})
}
