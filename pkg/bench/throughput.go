package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// stage is one database with one server, its clients, and the baselines beside it.
type stage struct {
	db      *database
	load    *load
	pgbench *pgbench // on PostgreSQL
	loop    *loop    // on SQLite
}

// kort is a series of the server.
func (s *stage) kort(w workload, baseline string) series {
	return series{
		name: w.name, title: w.title, baseline: baseline, kort: true,
		window: func(ctx context.Context, length time.Duration, watch watcher) (Figures, error) {
			return s.load.window(ctx, w, length, watch)
		},
	}
}

// script is a series of pgbench.
func (s *stage) script(name, title, script string, clients, cards int) series {
	return series{
		name: name, title: fmt.Sprintf("%s, %d clients", title, clients),
		window: func(ctx context.Context, length time.Duration, _ watcher) (Figures, error) {
			return s.pgbench.window(ctx, script, clients, cards, length)
		},
	}
}

// commits is a series of the SQLite loop.
func (s *stage) commits(name, title string, cards int) series {
	return series{
		name: name, title: title,
		window: func(ctx context.Context, length time.Duration, watch watcher) (Figures, error) {
			return s.loop.window(ctx, cards, length, watch)
		},
	}
}

// Names of the baselines.
const (
	fourSpread   = "pgbench-spread"
	cteSpread    = "pgbench-spread-cte"
	fourHot      = "pgbench-hot"
	cteHot       = "pgbench-hot-cte"
	fourAccounts = "pgbench-accounts"
	selectCard   = "pgbench-card"
	loopSpread   = "loop-spread"
	loopHot      = "loop-hot"
)

// group is what is measured in turns, for the sake of some parts.
type group struct {
	parts  []Part
	series []series
}

// groups lists what is measured on a stage. The first group starts with a new
// database, and the peak of memory in it is its own.
func (b *benchmark) groups(s *stage) []group {
	if b.engine == SQLite {
		return []group{
			{[]Part{PartSQLite, PartLatency, PartFootprint}, []series{
				s.commits(loopSpread, "SQLite loop, one drawdown per commit", b.Cards),
				s.kort(spreadWorkload(b.Cards), loopSpread),
			}},
			{[]Part{PartSQLite}, []series{
				s.commits(loopHot, "SQLite loop, one drawdown per commit, one card", 1),
				s.kort(hotWorkload(), loopHot),
			}},
			{[]Part{PartRead}, []series{s.kort(readWorkload(), "")}},
			{[]Part{PartMix}, []series{s.kort(mixWorkload(), "")}},
		}
	}
	const four, one = "pgbench, 4 statements", "pgbench, one CTE"
	return []group{
		{[]Part{PartSpread, PartHot, PartLatency, PartFootprint}, []series{
			s.script(fourSpread, four, drawdownScript, b.Connections, b.Cards),
			s.kort(spreadWorkload(b.Cards), fourSpread),
			s.script(cteSpread, one, cteScript, min(cteSpreadClients, b.Connections), b.Cards),
		}},
		{[]Part{PartHot}, []series{
			s.script(fourHot, four+", one card", drawdownScript, b.Connections, 1),
			s.kort(hotWorkload(), fourHot),
			s.script(cteHot, one+", one card", cteScript, min(cteHotClients, b.Connections), 1),
		}},
		{[]Part{PartAccounts}, []series{
			s.script(fourAccounts, four+" (again)", drawdownScript, b.Connections, b.Cards),
			s.kort(accountsWorkload(b.Accounts, b.cardsElsewhere()), fourAccounts),
		}},
		{[]Part{PartLatency}, []series{s.kort(fewWorkload(b.Cards), "")}},
		{[]Part{PartRead}, []series{
			s.script(selectCard, "pgbench, SELECT of the card", cardScript, b.Connections, b.Cards),
			s.kort(readWorkload(), selectCard),
		}},
		{[]Part{PartMix}, []series{s.kort(mixWorkload(), "")}},
	}
}

// cardsElsewhere is how many cards each further account has.
func (b *benchmark) cardsElsewhere() int { return min(cardsElsewhere, b.Cards) }

// wanted lists the groups for the parts that were asked for.
func (b *benchmark) wanted(s *stage) (wanted [][]series) {
	for _, g := range b.groups(s) {
		if b.wants(g.parts...) {
			wanted = append(wanted, g.series)
		}
	}
	return wanted
}

// runThroughput makes a database, measures a server and the baselines on it, checks
// what they left behind and only then believes it.
func (b *benchmark) runThroughput(ctx context.Context) error {
	return b.withDatabase(ctx, func(db *database) (err error) {
		result, err := db.describe(ctx)
		if err != nil {
			return err
		}
		s := &stage{db: db}
		if err := s.prepareBaseline(ctx, b, b.Cards); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.closeBaseline()) }()
		r := request{tokens: b.Connections}
		if b.wants(PartAccounts) && b.engine == Postgres {
			r.accounts = b.Accounts
		}
		var acknowledged int64
		err = b.withServer(ctx, db, r, func(running *server) error {
			return b.withLoad(ctx, running, func(l *load) error {
				s.load = l
				err := b.measureGroups(ctx, s, &result)
				acknowledged = l.acknowledged()
				return err
			})
		})
		if err != nil {
			return err
		}
		b.tell("audit the database")
		if result.Transactions, err = db.audit(ctx, acknowledged); err != nil {
			return err
		}
		if err := s.checkBaseline(ctx, b.Cards); err != nil {
			return err
		}
		result.compare()
		b.report.Engines = append(b.report.Engines, result)
		b.report.add(b.Options, throughputRows(&result, b.Options)...)
		return nil
	})
}

// measureGroups measures all groups that were asked for.
func (b *benchmark) measureGroups(ctx context.Context, s *stage, result *EngineResult) error {
	if err := s.db.settle(ctx); err != nil {
		return err
	}
	for _, g := range b.wanted(s) {
		results, err := b.measure(ctx, g)
		if err != nil {
			return err
		}
		for i, measured := range results {
			if g[i].kort {
				result.Workloads = append(result.Workloads, measured)
			} else {
				result.Baselines = append(result.Baselines, measured)
			}
		}
	}
	return nil
}

func (s *stage) prepareBaseline(ctx context.Context, b *benchmark, cards int) (err error) {
	if b.engine == Postgres {
		s.pgbench, err = newPgbench(ctx, s.db, b.Server.Env, cards)
		return err
	}
	s.loop, err = newLoop(ctx, s.db, cards)
	return err
}

func (s *stage) checkBaseline(ctx context.Context, cards int) error {
	if s.pgbench != nil {
		return s.pgbench.check(ctx, s.db, cards)
	}
	return s.loop.check(ctx, cards)
}

func (s *stage) closeBaseline() error {
	if s.loop == nil {
		return nil
	}
	return s.loop.pool.Close()
}

// Targets of the throughput parts.
var (
	spreadGoal   = Goal{AtLeast: 1.5}
	stretchGoal  = Goal{AtLeast: 1, Stretch: true}
	accountsGoal = Goal{AtLeast: 0.8}
	hotGoal      = Goal{AtLeast: 8}
	hotCTEGoal   = Goal{AtLeast: 2.4}
	hotEvenGoal  = Goal{AtLeast: 0.9}
	sqliteGoal   = Goal{AtLeast: 2}
	sqliteFar    = Goal{AtLeast: 2.5, Stretch: true}
	tailGoal     = Goal{AtMost: 4}
	fewTailGoal  = Goal{AtMost: 10}
	readGoal     = Goal{AtLeast: 0.5}
	memoryGoal   = Goal{AtMost: 120}
)

// throughputRows are the rows of the table of targets for what was measured.
func throughputRows(e *EngineResult, o Options) []Row {
	spread := fmt.Sprintf("%d cards, %d connections", o.Cards, o.Connections)
	hot := fmt.Sprintf("one hot card, %d connections", o.Connections)
	rates := []struct {
		part           Part
		what           string
		kort, baseline string
		goal           Goal
	}{
		{PartSpread, spread, "drawdown-spread", fourSpread, spreadGoal},
		{PartSpread, spread, "drawdown-spread", cteSpread, stretchGoal},
		{PartAccounts, fmt.Sprintf("%d accounts of %d cards", o.Accounts, min(cardsElsewhere, o.Cards)), "drawdown-accounts", fourAccounts, accountsGoal},
		{PartHot, hot, "drawdown-hot", fourHot, hotGoal},
		{PartHot, hot, "drawdown-hot", cteHot, hotCTEGoal},
		{PartHot, hot, "drawdown-hot", "drawdown-spread", hotEvenGoal},
		{PartSQLite, spread, "drawdown-spread", loopSpread, sqliteGoal},
		{PartSQLite, spread, "drawdown-spread", loopSpread, sqliteFar},
		{PartSQLite, hot, "drawdown-hot", loopHot, sqliteGoal},
		{PartSQLite, hot, "drawdown-hot", loopHot, sqliteFar},
		{PartRead, fmt.Sprintf("GET card, %d connections", o.Connections), "card", selectCard, readGoal},
	}
	var rows []Row
	for _, r := range rates {
		kort, base := e.find(r.kort), e.find(r.baseline)
		if kort == nil || base == nil || r.part == PartHot && e.Engine != Postgres {
			continue
		}
		rows = append(rows, Row{
			Part: r.part, Engine: e.Engine, What: r.what, Value: kort.Median.PerSecond, Unit: "/s",
			Baseline: base.Title, BaselineValue: base.Median.PerSecond, Ratio: kort.Median.PerSecond / base.Median.PerSecond,
			Goal: r.goal,
		})
	}
	return append(rows, footprintRows(e, o)...)
}

// footprintRows are about latencies and memory.
func footprintRows(e *EngineResult, o Options) (rows []Row) {
	if f := e.find("drawdown-spread"); f != nil {
		m := f.Median
		rows = append(rows, Row{
			Part: PartLatency, Engine: e.Engine, What: fmt.Sprintf("p99 of %d cards, %d connections", o.Cards, o.Connections),
			Value: m.P99Micros / 1000, Unit: " ms", Baseline: "its own p50", BaselineValue: m.P50Micros / 1000,
			Ratio: m.P99Micros / m.P50Micros, Goal: tailGoal,
		})
		if m.PeakBytes > 0 {
			rows = append(rows, Row{
				Part: PartFootprint, Engine: e.Engine, What: "peak of resident memory under this load",
				Value: m.PeakBytes / megabyte, Unit: " MB", Goal: memoryGoal,
			})
		}
	}
	if f := e.find("drawdown-few"); f != nil {
		rows = append(rows, Row{
			Part: PartLatency, Engine: e.Engine, What: fmt.Sprintf("p99 of %d cards, %d connections", o.Cards, interactiveTills),
			Value: f.Median.P99Micros / 1000, Unit: " ms", Goal: fewTailGoal,
		})
	}
	return rows
}
