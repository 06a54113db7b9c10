package repository

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// rollbackTimeout bounds the wait for the end of a transaction that failed.
const rollbackTimeout = 5 * time.Second

// errRolledBack means that PostgreSQL answered a commit with a rollback.
var errRolledBack = errors.New("the transaction had failed before its commit")

// postgresSession sends the statements of a round one behind the other and then reads
// the answers. In READ COMMITTED each of them still sees what was committed before it
// began, so that one may depend on the locks of another.
type postgresSession struct {
	conn  *sql.Conn
	began bool
}

func (p *postgresSession) begun() bool { return p.began }

func (p *postgresSession) round(ctx context.Context, statements []statement) error {
	return p.raw(func(conn *pgx.Conn) error {
		batch := &pgx.Batch{}
		if !p.began {
			batch.Queue("BEGIN")
		}
		err := pipeline(ctx, conn, batch, statements)
		p.began = p.began || err == nil
		return err
	})
}

// pipeline sends statements behind what the batch has already, and reads all answers.
func pipeline(ctx context.Context, conn *pgx.Conn, batch *pgx.Batch, statements []statement) error {
	before := batch.Len()
	for i := range statements {
		batch.Queue(statements[i].text, statements[i].args...)
	}
	results := conn.SendBatch(ctx, batch)
	err := readAnswers(results, before, statements)
	if closed := results.Close(); err == nil { // reads what is left, so that the connection is usable
		err = closed
	}
	return err
}

func readAnswers(results pgx.BatchResults, before int, statements []statement) error {
	for range before {
		if _, err := results.Exec(); err != nil {
			return err
		}
	}
	for i := range statements {
		if err := statements[i].readAnswer(results); err != nil {
			return err
		}
	}
	return nil
}

func (s *statement) readAnswer(results pgx.BatchResults) error {
	if s.targets == nil {
		tag, err := results.Exec()
		if err != nil {
			return err
		}
		return s.check(tag.RowsAffected())
	}
	rows, err := results.Query()
	if err == nil {
		_, err = pgx.ForEachRow(rows, s.targets, s.each)
	}
	return err
}

func (p *postgresSession) commit(ctx context.Context) error {
	if !p.began {
		return nil
	}
	return p.raw(func(conn *pgx.Conn) error {
		tag, err := conn.Exec(ctx, "COMMIT")
		if err == nil && tag.String() != "COMMIT" {
			err = errRolledBack
		}
		return err
	})
}

func (p *postgresSession) rollback(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	// Whatever fails here has failed before, with an error that says why; a connection
	// on which it fails is closed, and that ends the transaction as well.
	_ = p.raw(func(conn *pgx.Conn) error {
		const idle = 'I'
		if conn.IsClosed() || conn.PgConn().TxStatus() == idle {
			return nil
		}
		_, err := conn.Exec(ctx, "ROLLBACK")
		if err != nil {
			err = errors.Join(err, conn.Close(ctx))
		}
		return err
	})
}

// raw works on the driver's own connection.
func (p *postgresSession) raw(fn func(*pgx.Conn) error) error {
	return classify(p.conn.Raw(func(driver any) error { return fn(driver.(*stdlib.Conn).Conn()) }))
}
