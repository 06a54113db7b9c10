package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// growthGoal bounds how much slower a large database may be.
var growthGoal = Goal{AtLeast: 0.8}

// bytesPerTxn is about what a transaction and its card take on a disk, with room for
// the log of the database.
const bytesPerTxn = 2000

// GrowthPoint is the throughput on a database of some size.
type GrowthPoint struct {
	Engine       Engine `json:"engine"`
	Cards        int    `json:"cards"`
	Transactions int64  `json:"transactions"` // at first
	// Drawdowns per second over all cards, and on one; medians.
	Spread float64 `json:"spread_per_second"`
	Hot    float64 `json:"hot_per_second"`
	// ByHand is Spread of SQL written by hand, on tables with as many cards and
	// transactions: what the size itself costs the database.
	ByHand float64 `json:"by_hand_per_second"`
}

// size is how much data a database begins with.
type size struct{ cards, txnsPerCard int }

// growthSizes are three numbers of cards, and many transactions at last.
func (o Options) growthSizes() []size {
	most := o.GrowthCards
	return []size{
		{max(most/1000, 1), 1}, {max(most/10, 1), 1}, {most, 1}, {most, max(o.GrowthTxns/most, 1)},
	}
}

// runGrowth makes a database and starts a server for each size, and then measures all
// of them in turns.
func (b *benchmark) runGrowth(ctx context.Context) error {
	if err := b.checkRoom(); err != nil {
		return err
	}
	return b.withSizes(ctx, b.growthSizes(), nil, func(filled []filledDatabase) error {
		return b.withServers(ctx, filled, nil, func(loads []*load) error {
			results, err := b.measure(ctx, b.growthSeries(filled, loads))
			if err != nil {
				return err
			}
			points := make([]GrowthPoint, len(loads))
			for i, db := range filled {
				points[i] = GrowthPoint{
					Engine: b.engine, Cards: db.cards, Transactions: db.txns,
					Spread: results[growthWindows*i].Median.PerSecond, Hot: results[growthWindows*i+1].Median.PerSecond,
					ByHand: results[growthWindows*i+2].Median.PerSecond,
				}
			}
			b.report.keep(b.engine, results)
			b.report.Growth = append(b.report.Growth, points...)
			b.report.add(b.Options, growthRows(points)...)
			return nil
		})
	})
}

// turnTimeout is how long the connections to a server wait for its turn, at most.
const turnTimeout = time.Hour

// growthWindows is how many series there are for each database.
const growthWindows = 3

// growthSeries are the server's two for each database, and one by hand.
func (b *benchmark) growthSeries(filled []filledDatabase, loads []*load) []series {
	all := make([]series, 0, growthWindows*len(filled))
	for i, db := range filled {
		which := fmt.Sprintf("database %d of %d", i+1, len(filled))
		for _, w := range []workload{spreadWorkload(db.cards), hotWorkload()} {
			all = append(all, series{
				name: w.name, title: w.title + ", " + which, kort: true,
				window: db.warmed(func(ctx context.Context, length time.Duration, watch watcher) (Figures, error) {
					return loads[i].window(ctx, w, length, watch)
				}),
			})
		}
		byHand := db.stage.commits(loopSpread, "SQLite loop, one drawdown per commit, "+which, db.cards)
		if db.engine == Postgres {
			byHand = db.stage.script(fourSpread, "pgbench, four statements, "+which, drawdownScript, b.Connections, db.cards)
		}
		byHand.window = db.warmed(byHand.window)
		all = append(all, byHand)
	}
	return all
}

// filledDatabase is a database of some size.
type filledDatabase struct {
	*database
	stage stage // of what is done by hand
	cards int
	txns  int64
}

// withSizes fills a database for the first size, then for the rest.
func (b *benchmark) withSizes(ctx context.Context, sizes []size, filled []filledDatabase, use func([]filledDatabase) error) error {
	if len(sizes) == 0 {
		return use(filled)
	}
	return b.withDatabase(ctx, func(db *database) error {
		txns, err := b.fillSize(ctx, db, sizes[0])
		if err != nil {
			return err
		}
		byHand, err := b.fillByHand(ctx, db, sizes[0].cards, txns)
		if err != nil {
			return err
		}
		err = b.withSizes(ctx, sizes[1:], append(filled, filledDatabase{db, byHand, sizes[0].cards, txns}), use)
		return errors.Join(err, byHand.closeBaseline())
	})
}

// fillByHand makes the tables for SQL by hand, with as many cards and transactions.
func (b *benchmark) fillByHand(ctx context.Context, db *database, cards int, txns int64) (s stage, err error) {
	b.tell(fmt.Sprintf("load %d cards with %d transactions by hand", cards, txns))
	s.db = db
	if err := s.prepareBaseline(ctx, b, cards); err != nil {
		return s, err
	}
	if s.pgbench != nil {
		err = s.pgbench.fill(ctx, db, cards, txns)
	} else {
		err = s.loop.fill(ctx, cards, txns)
	}
	if err == nil {
		err = db.settle(ctx)
	}
	if err == nil {
		err = db.checkpoint(ctx)
	}
	if err != nil {
		return s, errors.Join(fmt.Errorf("fill the tables of the baseline: %w", err), s.closeBaseline())
	}
	return s, nil
}

// withServers starts a server on the first database, then on the rest. It comes after
// all loading, and each has more patience than usual with clients that say nothing: it
// may take minutes until their turn comes again.
func (b *benchmark) withServers(ctx context.Context, filled []filledDatabase, loads []*load, use func([]*load) error) error {
	if len(filled) == 0 {
		return use(loads)
	}
	db := filled[0]
	var acknowledged int64
	patient := request{tokens: b.Connections, flags: []string{"--idle-timeout=" + turnTimeout.String()}}
	err := b.withServer(ctx, db.database, patient, func(s *server) (err error) {
		l, err := newLoad(ctx, s, db.cards)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, l.close()) }()
		if err := l.greet(ctx); err != nil { // else it would be cut off before its turn
			return err
		}
		err = b.withServers(ctx, filled[1:], append(loads, l), use)
		acknowledged = l.acknowledged()
		return err
	})
	if err != nil {
		return err
	}
	stored, err := db.count(ctx)
	if err == nil && stored != db.txns+acknowledged {
		err = fmt.Errorf("%w: %d transactions were loaded and %d acknowledged, %d are stored", errLost, db.txns, acknowledged, stored)
	}
	return err
}

// fillSize makes the cards, the oldest two years old.
func (b *benchmark) fillSize(ctx context.Context, db *database, s size) (txns int64, err error) {
	phase := fmt.Sprintf("load %d cards with %d transactions each", s.cards, s.txnsPerCard)
	b.tell(phase)
	watch, start := b.watch(phase, 0), time.Now()
	p := newPopulation(account, 0)
	txns, err = db.populate(ctx, func(ctx context.Context, into *settler) error {
		for i := range s.cards {
			at := p.now.Add(-2*year + 2*year/time.Duration(s.cards+1)*time.Duration(i))
			told, err := p.usedCard(cardID(i), at, s.txnsPerCard-1)
			if err != nil {
				return err
			}
			if err := into.add(ctx, told); err != nil {
				return err
			}
			if i%batchRows == 0 {
				watch(int64(i), time.Since(start))
			}
		}
		return nil
	})
	if err == nil {
		err = db.settle(ctx)
	}
	if err == nil {
		err = db.checkpoint(ctx)
	}
	return txns, err
}

// checkRoom refuses to begin what would fill the disk.
func (b *benchmark) checkRoom() error {
	dir := b.Dir
	if dir == "" {
		dir = os.TempDir()
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("ask for the room in %s: %w", dir, err)
	}
	var needed uint64
	for _, s := range b.growthSizes() {
		needed += uint64(s.cards) * uint64(s.txnsPerCard) * bytesPerTxn //nolint:gosec // positive
	}
	if free := fs.Bavail * uint64(fs.Bsize); free < needed { //nolint:gosec // a size of blocks is positive
		return fmt.Errorf("%s has %d MB free, and this needs about %d MB: name another directory with --dir, or fewer transactions with --growth-transactions",
			dir, free/megabyte, needed/megabyte)
	}
	return nil
}

// byHandFigure names the figure that has no goal.
const byHandFigure = "SQL by hand over all cards"

// growthRows compare the slowest size with the smallest.
func growthRows(points []GrowthPoint) []Row {
	rows := make([]Row, 0, growthWindows)
	for _, figure := range []struct {
		what string
		of   func(GrowthPoint) float64
	}{
		{"drawdowns over all cards", func(p GrowthPoint) float64 { return p.Spread }},
		{"drawdowns on one hot card", func(p GrowthPoint) float64 { return p.Hot }},
		{byHandFigure, func(p GrowthPoint) float64 { return p.ByHand }},
	} {
		first, slowest := points[0], points[0]
		for _, p := range points {
			if figure.of(p) < figure.of(slowest) {
				slowest = p
			}
		}
		goal := growthGoal
		if figure.what == byHandFigure { // what the server's figures are to be read beside
			goal = Goal{}
		}
		rows = append(rows, Row{
			Part: PartGrowth, Engine: first.Engine, Unit: "/s", Goal: goal,
			What:  fmt.Sprintf("%s, slowest size (%d cards, %d transactions)", figure.what, slowest.Cards, slowest.Transactions),
			Value: figure.of(slowest), Baseline: fmt.Sprintf("%d cards", first.Cards), BaselineValue: figure.of(first),
			Ratio: figure.of(slowest) / figure.of(first),
		})
	}
	return rows
}
