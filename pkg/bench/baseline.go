package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// baselineTitle is what the report calls the baseline.
const baselineTitle = "plain SQL, one drawdown per commit"

// The two statements of a drawdown written by hand: take the amount off if it is
// there, and note the transaction. Neither checks a ref_id, a hold or a currency.
const (
	takeText = `UPDATE cards SET amount_drawdown = amount_drawdown + 1, seq = seq + 1, last_txn_at = $3
		WHERE account_id = $1 AND card_id = $2 AND deleted_at IS NULL AND amount_funds - amount_drawdown - amount_reserved >= 1
		RETURNING id, seq`
	noteText = `INSERT INTO transactions
		(account_id, id, card_object_id, seq, type, amount, currency, ref_id, addressed_by, amount_given, created_at, created_by, digest)
		VALUES ($1, $2, $3, $4, 'drawdown', 1, 'NOK', $5, 'card_id', TRUE, $6, 'plain-sql', '')`
)

// baseline is what the server is compared with: one connection that makes one durable
// commit after the other, with the same driver, on the same tables and the same cards.
// It leaves rows without digests, so it comes after the audit.
type baseline struct {
	pool       *sql.DB
	take, note *sql.Stmt
	cards      int
	random     *rand.Rand
	refs       int64
	latencies  []time.Duration
}

// measureBaseline measures it in the same windows as the server.
func (b *benchmark) measureBaseline(ctx context.Context, db *database) (result Result, err error) {
	base, err := newBaseline(ctx, db, b.Cards)
	if err != nil {
		return result, fmt.Errorf("prepare plain SQL: %w", err)
	}
	defer func() { err = errors.Join(err, base.pool.Close()) }()
	return b.measure("plain-sql", baselineTitle, func(d time.Duration, watch watcher) (Figures, error) {
		return base.window(ctx, d, watch)
	})
}

func newBaseline(ctx context.Context, db *database, cards int) (*baseline, error) {
	pool, err := db.open()
	if err != nil {
		return nil, err
	}
	b := &baseline{pool: pool, cards: cards, random: rand.New(rand.NewPCG(1, 0))} //nolint:gosec // nobody has to guess it
	prepare := func(text string) (statement *sql.Stmt) {
		if db.engine == SQLite {
			text = strings.ReplaceAll(text, "$", "?")
		}
		if err == nil {
			statement, err = pool.PrepareContext(ctx, text)
		}
		return statement
	}
	b.take, b.note = prepare(takeText), prepare(noteText)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return b, nil
}

// window commits for a time.
func (b *baseline) window(ctx context.Context, length time.Duration, watch watcher) (Figures, error) {
	b.latencies = b.latencies[:0]
	start := time.Now()
	told, now := start, start
	for now.Sub(start) < length {
		if err := b.drawdown(ctx, now); err != nil {
			return Figures{}, err
		}
		before := now
		now = time.Now()
		b.latencies = append(b.latencies, now.Sub(before))
		if now.Sub(told) >= watchInterval {
			told = now
			watch(int64(len(b.latencies)), now.Sub(start))
		}
	}
	return figuresOf(b.latencies, now.Sub(start)), nil
}

// drawdown is one transaction of the database.
func (b *baseline) drawdown(ctx context.Context, now time.Time) (err error) {
	tx, err := b.pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	id, err := uuid.NewV7()
	if err == nil {
		err = b.write(ctx, tx, id.String(), now.UnixMicro())
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func (b *baseline) write(ctx context.Context, tx *sql.Tx, id string, micros int64) error {
	var object string
	var seq int64
	// The end of the transaction closes what StmtContext returns.
	take, note := tx.StmtContext(ctx, b.take), tx.StmtContext(ctx, b.note) //nolint:sqlclosecheck // see above
	drawn := cardID(b.random.IntN(b.cards))
	if err := take.QueryRowContext(ctx, account, drawn, micros).Scan(&object, &seq); err != nil {
		return err
	}
	b.refs++
	_, err := note.ExecContext(ctx, account, id, object, seq, "sql-"+strconv.FormatInt(b.refs, 10), micros)
	return err
}
