package repository

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
)

// session is a write transaction on one connection, in the terms of the engine's own
// driver: the layer above it would send each statement on a trip of its own, or
// prepare it anew each time.
type session interface {
	// round executes statements in their order, in one trip where the engine is
	// elsewhere. It begins the transaction if need be and stops at the first error.
	round(ctx context.Context, statements []statement) error
	// begun tells whether a round has succeeded.
	begun() bool
	// commit executes statements, if there are any, and commits: in one trip, and all of it
	// or nothing.
	commit(ctx context.Context, statements []statement) error
	// rollback ends the transaction, or else the connection.
	rollback(ctx context.Context)
}

func (s *Store) session(conn *sql.Conn) session {
	if s.dialect.postgres {
		return &postgresSession{conn: conn}
	}
	return &sqliteSession{conn: conn, prepared: s.prepared}
}

// statement is one statement of a round.
type statement struct {
	text string
	args []any
	// targets are where the columns of a row go, and each is called when one is
	// there. Without targets the statement is to change rows.
	targets []any
	each    func() error
	// affects is how many rows it has to change, or anyNumber; otherwise is the error if it
	// does not.
	affects   int64
	otherwise error
	changed   *int64 // counts the rows that were changed, where it is given
}

// anyNumber of rows may be changed by a statement.
const anyNumber = -1

// reading makes a statement that reads rows of a model. The row is the same each time.
func reading[R any](text string, args []any, columns []column, each func(*R) error) statement {
	row := new(R)
	return statement{
		text: text, args: args, targets: targetsOf(columns, reflect.ValueOf(row).Elem()),
		each: func() error { return each(row) },
	}
}

// check compares the number of rows that a statement has changed.
func (s *statement) check(changed int64) error {
	if s.changed != nil {
		*s.changed += changed
	}
	if changed != s.affects && s.affects != anyNumber {
		return fmt.Errorf("%d of %d rows: %w", changed, s.affects, s.otherwise)
	}
	return nil
}
