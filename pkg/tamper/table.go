package tamper

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// tableNames are the tables that are tampered with.
var tableNames = []string{cards, transactions, holds}

const (
	cards        = "cards"
	transactions = "transactions"
	holds        = "holds"
)

// table is what the schema says.
type table struct {
	name    string
	columns []column
}

type column struct {
	name      string
	kind      string // BIGINT, BOOLEAN, TEXT or UUID
	nullable  bool
	generated bool // by the database, which lets nobody write it
}

// Primary are the columns of cards that nothing else repeats, each with the reason:
// what they say is not a projection of history, so there is nothing to compare it with.
// They are not edited. Any column that is neither here nor a projection is a fault.
var Primary = map[string]string{
	"card_id":          "the retailer's own name of the card; beside search_text it would have to be changed twice",
	"customer_id":      "said about the card at its making or activation",
	"name":             "said about the card",
	"type":             "said about the card",
	"originated_by":    "said about the card",
	"metadata":         "said about the card",
	"created_at":       "the time of the making, which a card without transactions has nowhere else",
	"created_by":       "who made it",
	"amount":           "what was asked for; the opening transaction repeats it, where there is one",
	"currency":         "what was asked for; the transactions repeat it, where there are any",
	"activated":        "an act of its own; transactions need it, where there are any",
	"activation_id":    "an act of its own",
	"active_from":      "said about the card",
	"expires_at":       "said about the card",
	"pin_id":           "PINs are changed without a transaction",
	"pin_format":       "as pin_id",
	"pin_hash":         "as pin_id",
	"pin_key_id":       "as pin_id",
	"pin_failures":     "as pin_id",
	"pin_locked_until": "as pin_id",
	"deleted_at":       "a deletion is an act of its own",
	"deleted_by":       "as deleted_at",
	"deletion_id":      "as deleted_at",
}

// stored lists the columns that can be written, for SQL.
func (t *table) stored() string {
	var names []string
	for _, c := range t.columns {
		if !c.generated {
			names = append(names, c.name)
		}
	}
	return strings.Join(names, ", ")
}

// projected are the columns of a table that are edited: all that something else
// repeats and that can be written.
func (t *table) projected() []column {
	return slices.DeleteFunc(slices.Clone(t.columns), func(c column) bool {
		_, primary := Primary[c.name]
		return c.generated || t.name == cards && primary
	})
}

// copyTable reads the schema of a table and keeps a copy of its rows beside it, on the
// connection.
func (e *engine) copyTable(ctx context.Context, name string) error {
	columns, err := e.columns(ctx, name)
	if err != nil {
		return err
	}
	t := table{name: name, columns: columns}
	e.tables[name] = t
	_, err = e.conn.ExecContext(ctx, fmt.Sprintf("CREATE TEMP TABLE original_%[1]s AS SELECT %[2]s FROM %[1]s", name, t.stored()))
	return err
}

func (e *engine) columns(ctx context.Context, name string) (columns []column, err error) {
	text := `SELECT name, type, "notnull" = 0, hidden > 1 FROM pragma_table_xinfo(?1) ORDER BY cid`
	if e.o.Store.Postgres() {
		text = `SELECT column_name, upper(data_type), is_nullable = 'YES', is_generated = 'ALWAYS' FROM information_schema.columns
			WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position`
	}
	rows, err := e.conn.QueryContext(ctx, text, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var c column
		if err := rows.Scan(&c.name, &c.kind, &c.nullable, &c.generated); err != nil {
			return nil, err
		}
		if c.kind == "TEXT" && isID(c.name) { // as SQLite has them
			c.kind = "UUID"
		}
		columns = append(columns, c)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(columns) == 0 {
		return nil, errors.New("the table has no columns")
	}
	return columns, nil
}

// isID goes by the names of the columns that PostgreSQL has as UUID.
func isID(name string) bool {
	return slices.Contains([]string{"id", "card_object_id", "parent_id", "token_id", "activation_id", "deletion_id", "pin_id"}, name)
}

// step is a statement with its arguments, which stand in it as $1, $2 …
type step struct {
	text string
	args []any
}

// sql is a text for the engine.
func (e *engine) sql(text string) string {
	if e.o.Store.Postgres() {
		return text
	}
	return strings.ReplaceAll(text, "$", "?")
}

// apply does all steps or nothing. A refusal is what a constraint of the database says.
func (e *engine) apply(ctx context.Context, steps []step) (refusal, err error) {
	tx, err := e.conn.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	for _, s := range steps {
		if _, err := tx.ExecContext(ctx, e.sql(s.text), s.args...); err != nil {
			failed := errors.Join(err, tx.Rollback())
			if violates(err) {
				return failed, nil
			}
			return nil, failed
		}
	}
	return nil, tx.Commit()
}

// violates tells whether a constraint was in the way. PostgreSQL's errors have a state,
// SQLite's a number.
func violates(err error) bool {
	const constraintClass, outOfRange, sqliteConstraint, primary = "23", "22003", 19, 0xff
	var postgres interface{ SQLState() string }
	if errors.As(err, &postgres) {
		return strings.HasPrefix(postgres.SQLState(), constraintClass) || postgres.SQLState() == outOfRange
	}
	var sqlite interface{ Code() int }
	return errors.As(err, &sqlite) && sqlite.Code()&primary == sqliteConstraint
}

// undo makes the tables what their copies are.
func (e *engine) undo(ctx context.Context) error {
	var steps []step
	for _, name := range tableNames {
		t := e.tables[name]
		const away = `DELETE FROM %[1]s WHERE (account_id, id) IN (
			SELECT account_id, id FROM (SELECT %[2]s FROM %[1]s EXCEPT SELECT %[2]s FROM original_%[1]s) AS changed)`
		const back = `INSERT INTO %[1]s (%[2]s) SELECT %[2]s FROM original_%[1]s EXCEPT SELECT %[2]s FROM %[1]s`
		steps = append(steps, step{text: fmt.Sprintf(away, name, t.stored())}, step{text: fmt.Sprintf(back, name, t.stored())})
	}
	refusal, err := e.apply(ctx, steps)
	if err := errors.Join(refusal, err); err != nil {
		return fmt.Errorf("undo: %w", err)
	}
	left, err := e.difference(ctx)
	if err == nil && !left.empty() {
		err = errors.New("undo: something is left")
	}
	return err
}

// texts reads a column of texts.
func (e *engine) texts(ctx context.Context, text string, args ...any) (texts []sql.NullString, err error) {
	rows, err := e.conn.QueryContext(ctx, e.sql(text), args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", text, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var one sql.NullString
		if err := rows.Scan(&one); err != nil {
			return nil, err
		}
		texts = append(texts, one)
	}
	return texts, rows.Err()
}
