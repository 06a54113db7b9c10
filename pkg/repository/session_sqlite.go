package repository

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/google/uuid"
)

// sqliteSession executes statements that stay prepared on the one connection that
// writes.
type sqliteSession struct {
	conn     *sql.Conn
	prepared *prepared
	began    bool
}

// prepared are the statements of the connection that writes. A new connection starts
// without any.
type prepared struct {
	mu         sync.Mutex // held for the length of a write
	closed     bool
	conn       driver.Conn
	statements map[string]driver.Stmt
}

func (l *sqliteSession) begun() bool { return l.began }

func (l *sqliteSession) begin(ctx context.Context) error {
	if l.began {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// The driver would report a cancellation also of what has taken effect. The wait
	// for the lock is bounded by busyTimeout.
	_, err := l.conn.ExecContext(context.WithoutCancel(ctx), "BEGIN IMMEDIATE")
	l.began = err == nil
	return err
}

func (l *sqliteSession) round(ctx context.Context, statements []statement) error {
	err := l.begin(ctx)
	if err == nil && len(statements) > 0 {
		err = l.conn.Raw(func(conn any) error {
			done := false
			defer func() {
				if !done { // a panic closes the connection; a statement would keep it, and its lock
					_ = l.prepared.drop()
				}
			}()
			err := l.execute(ctx, conn.(driver.Conn), statements)
			done = true
			return err
		})
	}
	return classify(err)
}

func (l *sqliteSession) execute(ctx context.Context, conn driver.Conn, statements []statement) error {
	for i := range statements {
		s := &statements[i]
		compiled, err := l.prepared.prepare(conn, s.text)
		if err != nil {
			return err
		}
		args := make([]driver.NamedValue, len(s.args))
		for j, arg := range s.args {
			args[j] = driver.NamedValue{Ordinal: j + 1, Value: arg}
		}
		if s.targets != nil {
			err = query(ctx, compiled, args, s)
		} else {
			err = exec(ctx, compiled, args, s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func exec(ctx context.Context, compiled driver.Stmt, args []driver.NamedValue, s *statement) error {
	result, err := compiled.(driver.StmtExecContext).ExecContext(ctx, args)
	if err != nil {
		return err
	}
	changed, err := result.RowsAffected()
	if err != nil {
		return err
	}
	return s.check(changed)
}

func query(ctx context.Context, compiled driver.Stmt, args []driver.NamedValue, s *statement) (err error) {
	rows, err := compiled.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	values := make([]driver.Value, len(s.targets))
	for {
		if err := rows.Next(values); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		for i, value := range values {
			if err := assign(s.targets[i], value); err != nil {
				return fmt.Errorf("column %d: %w", i+1, err)
			}
		}
		if err := s.each(); err != nil {
			return err
		}
	}
}

// errColumn means that a column holds what its row model cannot.
var errColumn = errors.New("is of another type than it should be")

// assign puts a value of SQLite where targetsOf says.
func assign(target any, value driver.Value) (err error) {
	var number int64
	var text string
	switch target := target.(type) {
	case *textValue:
		text, err = as[string](value)
		*target = textValue(text)
	case *numberValue:
		number, err = as[int64](value)
		*target = numberValue(number)
	case **int64:
		if *target = nil; value != nil {
			number, err = as[int64](value)
			*target = &number
		}
	case *bool:
		number, err = as[int64](value)
		*target = number != 0
	case *idValue:
		if *target = (idValue{}); value != nil {
			var id uuid.UUID
			if text, err = as[string](value); err == nil {
				id, err = uuid.Parse(text)
			}
			*target = idValue(id)
		}
	}
	if err != nil {
		return errColumn // and not a text that shows the value
	}
	return nil
}

// as is a value of a type; the zero value for NULL.
func as[T any](value driver.Value) (T, error) {
	v, ok := value.(T)
	if !ok && value != nil {
		return v, errColumn
	}
	return v, nil
}

func (l *sqliteSession) commit(ctx context.Context, statements []statement) error {
	if len(statements) > 0 {
		if err := l.round(ctx, statements); err != nil {
			return err
		}
	}
	if !l.began {
		return nil
	}
	_, err := l.conn.ExecContext(ctx, "COMMIT")
	return classify(err)
}

func (l *sqliteSession) rollback(ctx context.Context) {
	if !l.began {
		return
	}
	// SQLite has ended some failed transactions by itself. A connection that is still
	// in one is of no use to anybody.
	if _, err := l.conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK"); err != nil {
		_ = l.conn.Raw(func(any) error { return errors.Join(driver.ErrBadConn, l.prepared.drop()) })
	}
}

// prepare compiles a statement, unless the connection has it.
func (p *prepared) prepare(conn driver.Conn, text string) (driver.Stmt, error) {
	if p.closed {
		return nil, sql.ErrConnDone
	}
	if p.conn != conn {
		if err := p.drop(); err != nil {
			return nil, err
		}
		p.conn, p.statements = conn, map[string]driver.Stmt{}
	}
	if known := p.statements[text]; known != nil {
		return known, nil
	}
	compiled, err := conn.Prepare(text)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	p.statements[text] = compiled
	return compiled, nil
}

// drop ends the statements.
func (p *prepared) drop() error {
	var failures []error
	for _, compiled := range p.statements {
		failures = append(failures, compiled.Close())
	}
	p.conn, p.statements = nil, nil
	return errors.Join(failures...)
}

// release ends the statements before the pool is closed. SQLite keeps a file open,
// its write-ahead log included, as long as there are any.
func (p *prepared) release() error {
	p.mu.Lock() // waits for a write that goes on
	defer p.mu.Unlock()
	p.closed = true
	return p.drop()
}
