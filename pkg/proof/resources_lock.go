package proof

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

const (
	// longLock is longer than the server waits for a lock before it tries again.
	longLock = 6 * time.Second
	// lockPatience is how long clients wait for an answer while the database is locked:
	// longer than the server itself.
	lockPatience = 40 * time.Second
)

// sqliteConn is a connection of another process to the database of a running server.
type sqliteConn struct{ *sql.Conn }

// databaseFile is that of SQLite.
func (s *site) databaseFile() string { return filepath.Join(s.data, "kort.db") }

// withSQLite connects to the database file for something.
func (s *site) withSQLite(ctx context.Context, use func(*sqliteConn) error) (err error) {
	dsn := url.URL{Scheme: "file", Opaque: s.databaseFile(), RawQuery: url.Values{"_pragma": {"busy_timeout(5000)"}}.Encode()}
	pool, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return fmt.Errorf("open the server's database: %w", err)
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return fmt.Errorf("open the server's database: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return use(&sqliteConn{conn})
}

// execute has a statement executed.
func (c *sqliteConn) execute(ctx context.Context, statement string) error {
	_, err := c.ExecContext(ctx, statement)
	return err
}

// emptyLog moves the write-ahead log into the database file, and leaves it empty unless
// somebody reads or writes at that moment.
func (c *sqliteConn) emptyLog(ctx context.Context) error {
	return c.execute(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
}

// lockedDatabase has another process lock the database file of a server, once for longer
// than the server waits at a time, and read in it without an end.
func (t *trial) lockedDatabase(ctx context.Context) error {
	return t.withSite(ctx, func(s *site) error {
		return t.withServer(ctx, s, func(server *server) error {
			return s.withSQLite(ctx, func(writer *sqliteConn) error {
				return s.withSQLite(ctx, func(reader *sqliteConn) error {
					return t.locked(ctx, s, server, writer, reader)
				})
			})
		})
	})
}

func (t *trial) locked(ctx context.Context, s *site, server *server, writer, reader *sqliteConn) error {
	t.share = min(t.share, longestScarcity)
	l, err := t.newLoad(ctx, s, server.url(), server.url())
	if err != nil {
		return err
	}
	l.wait = lockPatience
	p := l.newProber(server)
	defer p.client.close()
	// Where there is time, the first lock lasts until the server gives up.
	const lock, unlock = "BEGIN EXCLUSIVE", "ROLLBACK"
	untilTold := t.share == longestScarcity
	err = l.under(ctx, s, server.url(), func(ctx context.Context) error {
		if err := t.readWithoutEnd(ctx, reader); err != nil {
			return err
		}
		if untilTold && t.Faults == 0 {
			return p.starve(ctx, scarcity{
				begin: func(ctx context.Context) error { return writer.execute(ctx, lock) },
				end:   func(ctx context.Context) error { return writer.execute(ctx, unlock) },
				reads: true,
			})
		}
		hold := t.between(100*time.Millisecond, time.Second)
		if t.Faults == 0 {
			hold = longLock
		}
		t.Faults++
		if err := errors.Join(writer.execute(ctx, lock), pause(ctx, hold)); err != nil {
			return err
		}
		p.read(ctx, true)
		if err := writer.execute(ctx, unlock); err != nil {
			return err
		}
		return p.writesAgain(ctx)
	})
	p.figures()
	if log, err := os.Stat(s.databaseFile() + "-wal"); err == nil {
		t.note("write-ahead log of %d MiB in the end", log.Size()>>20)
	}
	return errors.Join(err, reader.execute(ctx, "ROLLBACK"), reader.emptyLog(ctx))
}

// readWithoutEnd begins to read, which keeps the server from beginning its log anew,
// instead of what was read until now.
func (t *trial) readWithoutEnd(ctx context.Context, reader *sqliteConn) error {
	if t.Faults > 0 {
		if err := reader.execute(ctx, "ROLLBACK"); err != nil {
			return err
		}
	}
	if err := reader.execute(ctx, "BEGIN"); err != nil {
		return err
	}
	var n int64
	return reader.QueryRowContext(ctx, "SELECT count(*) FROM cards").Scan(&n)
}
