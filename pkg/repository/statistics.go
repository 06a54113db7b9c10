package repository

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// firstStatistics is after how many new rows PostgreSQL is told to look at a table;
	// again whenever there are twice as many.
	firstStatistics = 250
	// statisticsTimeout bounds one look.
	statisticsTimeout = time.Minute
)

// statistics has PostgreSQL look at tables that grow fast. Its own rhythm is a minute,
// and as long as it takes a table for empty it plans to read an account from end to
// end for a single card. Each table counts by itself: of a large database the first
// holds are many to PostgreSQL as soon as it has seen them, and none before.
type statistics struct {
	rows   map[string]*atomic.Int64 // inserted by this process, by table
	ctx    context.Context          //nolint:containedctx // ends with the store
	cancel context.CancelFunc

	mu    sync.Mutex // for Go and Wait, which must not meet
	looks sync.WaitGroup
	one   sync.Mutex // held by a look: several would take the connections that are to read
}

func newStatistics() *statistics {
	s := &statistics{rows: map[string]*atomic.Int64{}}
	for _, table := range []string{"cards", "transactions", "holds", "tokens", "hook_deliveries"} {
		s.rows[table] = &atomic.Int64{}
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// insertion is a number of rows that were inserted into a table.
type insertion struct {
	table string
	rows  int64
}

// grown notes inserted rows, and looks at a table when there are twice as many as the last
// time.
func (s *Store) grown(inserted []insertion) {
	if !s.dialect.postgres {
		return
	}
	for _, in := range inserted {
		rows := s.statistics.rows[in.table]
		if rows == nil {
			continue
		}
		after := rows.Add(in.rows)
		if size := step(after); after < size || after-in.rows >= size {
			continue
		}
		s.statistics.look(func(ctx context.Context) {
			s.statistics.one.Lock()
			defer s.statistics.one.Unlock()
			ctx, cancel := context.WithTimeout(ctx, statisticsTimeout)
			defer cancel()
			look := "ANALYZE " + in.table //nolint:gosec // one of those that are counted
			s.watched(look)
			// A look that fails costs time only, until PostgreSQL looks by itself.
			_, _ = s.read.DB.ExecContext(ctx, look)
		})
	}
}

// step is the largest of firstStatistics, its double and so on, that n reaches.
func step(n int64) int64 {
	size := int64(firstStatistics)
	for n >= 2*size {
		size *= 2
	}
	return size
}

// look begins one, unless the store is being closed.
func (s *statistics) look(fn func(context.Context)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() == nil {
		s.looks.Go(func() { fn(s.ctx) })
	}
}

// stop ends looks that go on.
func (s *statistics) stop() {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	s.looks.Wait()
}
