package repository

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/uptrace/bun"
)

const (
	// checkpointFrom is how many pages SQLite's write-ahead log has when they begin to
	// go into the database file: 128 MiB. A page that many commits change is then
	// written there once.
	checkpointFrom = 32 << 10
	// checkpointAtLatest is when the writer does it alone, after a commit. A busy server
	// with a fast disk adds 64 MiB while the other is under way; with 16 MiB to go the
	// writer had to do it after all, and one request in a hundred waited 28 ms instead of 16.
	checkpointAtLatest = 64 << 10
	// commitsPerLook is how many commits pass before the length is looked at again.
	commitsPerLook = 8
)

// checkpoints move SQLite's write-ahead log into the database file on a connection of
// their own, as the writer would take some 60 ms for it and everybody would wait. While
// it goes on the writer adds pages, so that the log is never empty and would grow for
// ever: the writer does the few that are left between two transactions, and begins the
// log anew.
type checkpoints struct {
	pool    *bun.DB
	commits atomic.Int64
	// rest is set when the writer has something left to do.
	rest atomic.Bool

	look    chan struct{}
	running sync.WaitGroup
	cancel  context.CancelFunc
}

// newCheckpoints begins; the end of the context is none of theirs.
func newCheckpoints(ctx context.Context, pool *bun.DB) *checkpoints {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c := &checkpoints{pool: pool, look: make(chan struct{}, 1), cancel: cancel}
	c.running.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-c.look:
				c.checkpoint(ctx)
			}
		}
	})
	return c
}

// committed notes a commit.
func (c *checkpoints) committed() {
	if c == nil || c.commits.Add(1)%commitsPerLook != 0 {
		return
	}
	select {
	case c.look <- struct{}{}:
	default: // one goes on, another waits
	}
}

// checkpoint empties the log, where it is long, of what it holds now. One that fails
// costs time only: the pages stay in the log, and the writer tries at the latest when
// that is full.
func (c *checkpoints) checkpoint(ctx context.Context) {
	pages, err := walPages(ctx, c.pool, "NOOP")
	if err != nil || pages < checkpointFrom {
		return
	}
	if _, err := walPages(ctx, c.pool, "PASSIVE"); err == nil {
		c.rest.Store(true)
	}
}

// finish does what is left, on the writer's connection and outside a transaction.
func (c *checkpoints) finish(ctx context.Context, writer bun.IConn) {
	if c != nil && c.rest.CompareAndSwap(true, false) {
		_, _ = walPages(ctx, writer, "PASSIVE") // see checkpoint for errors
	}
}

// walPages is how many pages the log has, after a checkpoint.
func walPages(ctx context.Context, conn bun.IConn, mode string) (int64, error) {
	var busy, pages, moved int64
	err := conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &pages, &moved)
	return pages, err
}

// stop ends one that goes on, and closes its connection.
func (c *checkpoints) stop() error {
	if c == nil {
		return nil
	}
	c.cancel()
	c.running.Wait()
	return c.pool.Close()
}
