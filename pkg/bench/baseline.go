package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"time"
)

// What a drawdown on SQLite needs when written by hand; the same as in sql/tables.sql.
const (
	loopTables = `CREATE TABLE card (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0));
		CREATE TABLE txn (id INTEGER PRIMARY KEY, card_id INTEGER NOT NULL, ref_id TEXT NOT NULL, amount INTEGER NOT NULL,
			created_at INTEGER NOT NULL, UNIQUE (card_id, ref_id));`
	loopCards = `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1)
		INSERT INTO card SELECT n, ?2 FROM numbers`
	loopTake = `UPDATE card SET balance = balance - 1 WHERE id = ?1 AND balance >= 1`
	loopNote = `INSERT INTO txn (card_id, ref_id, amount, created_at) VALUES (?1, ?2, 1, ?3)`
)

// loop is what the server is compared with on SQLite: one connection that makes one
// durable commit after the other, with the same driver, in a file of its own.
type loop struct {
	pool       *sql.DB
	take, note *sql.Stmt
	random     *rand.Rand
	refs       int64
	latencies  []time.Duration
}

// newLoop makes the file and its tables.
func newLoop(ctx context.Context, db *database, cards int) (*loop, error) {
	pool, err := openSQLite(filepath.Join(db.dir, "baseline.db"))
	if err != nil {
		return nil, fmt.Errorf("open the baseline: %w", err)
	}
	pool.SetMaxOpenConns(1)
	l := &loop{pool: pool, random: rand.New(rand.NewPCG(1, 0))} //nolint:gosec // nobody has to guess it
	_, err = pool.ExecContext(ctx, loopTables)
	if err == nil {
		_, err = pool.ExecContext(ctx, loopCards, cards, int64(openingAmount))
	}
	if err == nil {
		l.take, err = pool.PrepareContext(ctx, loopTake)
	}
	if err == nil {
		l.note, err = pool.PrepareContext(ctx, loopNote)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the baseline: %w", err), pool.Close())
	}
	return l, nil
}

// fill adds transactions to the cards in turn.
func (l *loop) fill(ctx context.Context, cards int, txns int64) error {
	_, err := l.pool.ExecContext(ctx, `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?2)
		INSERT INTO txn (card_id, ref_id, amount, created_at) SELECT 1 + n % ?1, 'old-' || n, 0, 0 FROM numbers`, cards, txns)
	return err
}

// window commits for a time, over so many cards.
func (l *loop) window(ctx context.Context, cards int, length time.Duration, watch watcher) (Figures, error) {
	l.latencies = l.latencies[:0]
	start := time.Now()
	told, now := start, start
	for now.Sub(start) < length {
		if err := l.drawdown(ctx, 1+l.random.IntN(cards), now); err != nil {
			return Figures{}, err
		}
		before := now
		now = time.Now()
		l.latencies = append(l.latencies, now.Sub(before))
		if now.Sub(told) >= watchInterval {
			told = now
			watch(int64(len(l.latencies)), now.Sub(start))
		}
	}
	return figuresOf(l.latencies, now.Sub(start)), nil
}

// drawdown is one transaction of the database.
func (l *loop) drawdown(ctx context.Context, card int, now time.Time) error {
	tx, err := l.pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := l.write(ctx, tx, card, now); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func (l *loop) write(ctx context.Context, tx *sql.Tx, card int, now time.Time) error {
	// The end of the transaction closes what StmtContext returns.
	take, note := tx.StmtContext(ctx, l.take), tx.StmtContext(ctx, l.note) //nolint:sqlclosecheck // see above
	taken, err := take.ExecContext(ctx, card)
	if err != nil {
		return err
	}
	if n, err := taken.RowsAffected(); n != 1 || err != nil {
		return fmt.Errorf("%d cards were drawn on: %w", n, err)
	}
	l.refs++
	_, err = note.ExecContext(ctx, card, "sql-"+strconv.FormatInt(l.refs, 10), now.UnixMicro())
	return err
}

// check makes sure that the baseline did what it was paid for.
func (l *loop) check(ctx context.Context, cards int) error {
	var noted, taken int64
	const question = "SELECT (SELECT count(*) FROM txn), ?1 * ?2 - (SELECT sum(balance) FROM card)"
	if err := l.pool.QueryRowContext(ctx, question, cards, int64(openingAmount)).Scan(&noted, &taken); err != nil {
		return fmt.Errorf("check the baseline: %w", err)
	}
	if noted != l.refs || taken != l.refs {
		return fmt.Errorf("%w: the baseline made %d drawdowns, %d are noted and %d taken", errLost, l.refs, noted, taken)
	}
	return nil
}
