package repository

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
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
	if !p.began {
		statements = slices.Insert(slices.Clone(statements), 0, statement{text: "BEGIN"})
	}
	return p.raw(func(conn *pgx.Conn) error {
		err := pipeline(ctx, conn, statements)
		p.began = p.began || err == nil
		return err
	})
}

// pipeline sends statements and reads all answers. None is executed behind one that fails.
func pipeline(ctx context.Context, conn *pgx.Conn, statements []statement) error {
	batch := &pgx.Batch{}
	for i := range statements {
		batch.Queue(statements[i].text, statements[i].args...)
	}
	results := conn.SendBatch(ctx, batch)
	err := readAnswers(results, statements)
	if closed := results.Close(); err == nil { // reads what is left, so that the connection is usable
		err = closed
	}
	return err
}

func readAnswers(results pgx.BatchResults, statements []statement) error {
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
			return s.refused(err)
		}
		if s.text == commitText && tag.String() != commitText {
			return errRolledBack
		}
		return s.check(tag.RowsAffected())
	}
	rows, err := results.Query()
	if err == nil {
		_, err = pgx.ForEachRow(rows, s.targets, s.each)
	}
	return s.refused(err)
}

// refused gives the error of a statement that could not change all rows that it has to,
// and so failed; see [change].
func (s *statement) refused(err error) error {
	const divisionByZero, uniqueViolation = "22012", "23505"
	var pg *pgconn.PgError
	switch {
	case s.otherwise == nil || !errors.As(err, &pg):
		return err
	case pg.Code == divisionByZero:
		return fmt.Errorf("not every row is there: %w", s.otherwise)
	case pg.Code == uniqueViolation:
		return fmt.Errorf("a row is there already, by %s: %w", pg.ConstraintName, ErrConflict)
	}
	return err
}

const commitText = "COMMIT"

func (p *postgresSession) commit(ctx context.Context, statements []statement) error {
	if !p.began && len(statements) == 0 {
		return nil
	}
	return p.round(ctx, append(slices.Clip(statements), statement{text: commitText}))
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
