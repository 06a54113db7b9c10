package repository

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun/schema"
)

// dialect is everything that differs between the two engines.
type dialect struct {
	postgres bool
}

// forUpdate locks the rows of a table alias. SQLite has one writer and no need.
func (d dialect) forUpdate(alias string) string {
	if d.postgres {
		return " FOR UPDATE OF " + alias
	}
	return ""
}

// placeholders turns $1 into the engine's own way to write it.
func (d dialect) placeholders(text string) string {
	if d.postgres {
		return text
	}
	return strings.ReplaceAll(text, "$", "?")
}

// prepared puts before the arguments of a statement what makes the driver prepare
// it once and keep it. The connection's own default is the simple protocol, for
// the statements that Bun writes out in full and that are never the same twice.
func (d dialect) prepared(args []any) []any {
	if d.postgres {
		return append([]any{pgx.QueryExecModeCacheStatement}, args...)
	}
	return args
}

// table is an argument that a statement can select from: named columns and rows.
type table struct {
	columns []column
	rows    [][]any
}

// column is a column of a table argument. Its type is PostgreSQL's.
type column struct{ name, pgType string }

// The column types in use.
const (
	textType   = "text"
	uuidType   = "uuid"
	bigintType = "bigint"
	boolType   = "boolean"
)

// from is the SQL of a table argument whose first placeholder is $n. It is the
// same text for any number of rows.
func (d dialect) from(columns []column, n int, alias string) string {
	names := make([]string, len(columns))
	parts := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
		if d.postgres {
			parts[i] = fmt.Sprintf("$%d::%s[]", n+i, c.pgType)
		} else {
			parts[i] = fmt.Sprintf("value ->> %d AS %s", i, c.name)
		}
	}
	if d.postgres {
		return fmt.Sprintf("unnest(%s) AS %s(%s)", strings.Join(parts, ", "), alias, strings.Join(names, ", "))
	}
	// LIMIT -1 limits nothing, but keeps SQLite from merging the subquery into an
	// UPDATE, which it would then start from all rows of the account.
	return fmt.Sprintf("(SELECT %s FROM json_each($%d) LIMIT -1) AS %s", strings.Join(parts, ", "), n, alias)
}

// args are the arguments for from: an array per column, or one JSON text.
func (d dialect) args(t table) ([]any, error) {
	if !d.postgres {
		rows := t.rows
		if rows == nil {
			rows = [][]any{} // json_each would see one row in null
		}
		text, err := json.Marshal(rows)
		if err != nil {
			return nil, fmt.Errorf("encode rows: %w", err)
		}
		return []any{string(text)}, nil
	}
	args := make([]any, len(t.columns))
	for i, c := range t.columns {
		switch c.pgType {
		case bigintType:
			args[i] = arrayOf[int64](t.rows, i)
		case boolType:
			args[i] = arrayOf[bool](t.rows, i)
		default:
			args[i] = arrayOf[string](t.rows, i)
		}
	}
	return args, nil
}

// arrayOf collects a column; nil stands for NULL.
func arrayOf[T any](rows [][]any, column int) []*T {
	array := make([]*T, len(rows))
	for i, row := range rows {
		if value, ok := row[column].(T); ok {
			array[i] = &value
		}
	}
	return array
}

// width is how many placeholders a table argument takes.
func (d dialect) width(columns []column) int {
	if d.postgres {
		return len(columns)
	}
	return 1
}

// columnsOf lists the columns of a row model that have one of the names; all but
// the account's when no name is given.
func columnsOf(model *schema.Table, names ...string) []column {
	var columns []column
	for _, field := range model.Fields {
		if field.Name == accountColumn || (len(names) > 0 && !slices.Contains(names, field.Name)) {
			continue
		}
		columns = append(columns, column{field.Name, pgTypeOf(field.IndirectType)})
	}
	return columns
}

const accountColumn = "account_id"

func pgTypeOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int64:
		return bigintType
	case reflect.Bool:
		return boolType
	case reflect.Array:
		return uuidType
	default:
		return textType
	}
}

// valuesOf reads the columns of a row; nil stands for NULL.
func valuesOf(model *schema.Table, columns []column, row reflect.Value) []any {
	values := make([]any, len(columns))
	for i, c := range columns {
		field := model.FieldMap[c.name]
		value := row.FieldByIndex(field.Index)
		if value.Kind() == reflect.Pointer {
			if value.IsNil() {
				continue
			}
			value = value.Elem()
		}
		if field.NullZero && value.IsZero() {
			continue
		}
		if text, ok := value.Interface().(fmt.Stringer); ok { // a UUID
			values[i] = text.String()
			continue
		}
		values[i] = value.Interface()
	}
	return values
}
