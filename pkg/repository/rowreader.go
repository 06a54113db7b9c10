package repository

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/stdlib"
)

// rowReader reads rows at the cost of what is in them: without a model, and below
// database/sql, which makes a value of its own out of every column and costs more than
// all that is done with it here. It is used by one goroutine at a time.
type rowReader struct {
	store *Store
	conn  *sql.Conn
}

// each shows every row that a statement finds to read. The first argument is the
// account.
func (r *rowReader) each(ctx context.Context, text string, columns int, read func(*fields), args ...any) error {
	text = r.store.dialect.placeholders(text)
	r.store.watched(text)
	f := newFields(columns)
	return classify(r.conn.Raw(func(conn any) error {
		switch conn := conn.(type) {
		case *stdlib.Conn:
			return eachOnPostgres(ctx, conn, text, f, read, r.store.dialect.prepared(args))
		case driver.QueryerContext:
			return eachOnSQLite(ctx, conn, text, f, read, args)
		default:
			return fmt.Errorf("read rows: the driver is %T", conn)
		}
	}))
}

// page is each for a statement with many rows and a limit. While a context can end,
// SQLite's driver watches it at each row.
func (r *rowReader) page(ctx context.Context, text string, columns int, read func(*fields), args ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !r.store.dialect.postgres {
		ctx = context.WithoutCancel(ctx)
	}
	return r.each(ctx, text, columns, read, args...)
}

func eachOnPostgres(
	ctx context.Context, conn *stdlib.Conn, text string, f *fields, read func(*fields), args []any,
) error {
	rows, err := conn.Conn().Query(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		f.begin(f.cells)
		if err := f.receive(rows.RawValues(), rows.FieldDescriptions()); err != nil {
			return err
		}
		read(f)
	}
	return rows.Err()
}

func eachOnSQLite(
	ctx context.Context, conn driver.QueryerContext, text string, f *fields, read func(*fields), args []any,
) (err error) {
	named := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: arg}
	}
	rows, err := conn.QueryContext(ctx, text, named)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	values := make([]driver.Value, len(f.cells))
	for {
		if err := rows.Next(values); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		f.begin(f.cells)
		f.load(values)
		read(f)
	}
}

// lookUp shows the rows with the ids of a table argument to read; its place in
// the text is %s. It must stand on the left of a CROSS JOIN: SQLite then asks for
// each id, while of a JOIN it may make one search through the whole account.
func (r *rowReader) lookUp(ctx context.Context, columns int, text, account string, ids []uuid.UUID, read func(*fields)) error {
	return r.join(ctx, columns, text, account, idTable(ids), read)
}

// join is lookUp for a table argument of any columns.
func (r *rowReader) join(ctx context.Context, columns int, text, account string, of table, read func(*fields)) error {
	if len(of.rows) == 0 {
		return nil
	}
	args, err := r.store.dialect.arguments(account, of)
	if err != nil {
		return err
	}
	text = fmt.Sprintf(text, r.store.dialect.from(of.columns, 2))
	return r.each(ctx, text, columns, read, args...)
}
