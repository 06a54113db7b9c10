package repository

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/uptrace/bun/schema"
)

// table is an argument that a statement can select from: named columns and rows. A
// value is a string, int64, bool or uuid.UUID, or nil for NULL.
type table struct {
	columns []column
	rows    [][]any
}

// column is a column of a table argument or of an answer. Its type is PostgreSQL's.
type column struct {
	name, pgType string
	// Of a column of a row model: where the field is, and whether its zero value
	// stands for NULL.
	index    []int
	nullZero bool
}

// The column types in use.
const (
	textType   = "text"
	uuidType   = "uuid"
	bigintType = "bigint"
	boolType   = "boolean"
)

const accountColumn = "account_id"

// columnsOf lists the columns of a row model that have one of the names; all but
// the account's when no name is given.
func columnsOf(model *schema.Table, names ...string) []column {
	var columns []column
	for _, field := range model.Fields {
		if field.Name == accountColumn || (len(names) > 0 && !slices.Contains(names, field.Name)) {
			continue
		}
		columns = append(columns, column{field.Name, pgTypeOf(field.IndirectType), field.Index, field.NullZero})
	}
	return columns
}

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

// textTable makes a table argument of one column, sorted and without repetition.
func textTable(columns []column, values []string) table {
	t := table{columns: columns}
	for _, value := range slices.Compact(slices.Sorted(slices.Values(values))) {
		t.rows = append(t.rows, []any{value})
	}
	return t
}

// idTable makes a table argument of object ids, sorted and without repetition.
func idTable(values []uuid.UUID) table {
	sorted := slices.Clone(values)
	slices.SortFunc(sorted, compareIDs)
	t := table{columns: idColumns}
	for _, value := range slices.Compact(sorted) {
		t.rows = append(t.rows, []any{value})
	}
	return t
}

// rowsOf makes a table argument of domain values.
func rowsOf[D, R any](columns []column, account string, values []D, rowOf func(string, *D) R) table {
	t := table{columns: columns, rows: make([][]any, len(values))}
	for i := range values {
		row := rowOf(account, &values[i])
		t.rows[i] = valuesOf(columns, reflect.ValueOf(&row).Elem())
	}
	return t
}

// valuesOf reads the columns of a row.
func valuesOf(columns []column, row reflect.Value) []any {
	values := make([]any, len(columns))
	for i := range columns {
		c := &columns[i]
		field := row.FieldByIndex(c.index)
		if field.Kind() == reflect.Pointer {
			if field.IsNil() {
				continue
			}
			field = field.Elem()
		}
		if !c.nullZero || !field.IsZero() {
			values[i] = field.Interface()
		}
	}
	return values
}

// arguments flattens the account and table arguments for statements that take whole
// tables: on PostgreSQL an array per column, on SQLite one JSON text per table.
func (d dialect) arguments(account string, tables ...table) ([]any, error) {
	args := []any{account}
	for _, t := range tables {
		if d.postgres {
			for i, c := range t.columns {
				args = append(args, arrayOf(c.pgType, t.rows, i))
			}
			continue
		}
		rows := t.rows
		if rows == nil {
			rows = [][]any{} // json_each would see one row in null
		}
		text, err := json.Marshal(rows)
		if err != nil {
			return nil, fmt.Errorf("encode rows: %w", err)
		}
		args = append(args, string(text))
	}
	return args, nil
}

// arrayOf collects a column for PostgreSQL.
func arrayOf(pgType string, rows [][]any, at int) any {
	switch pgType {
	case bigintType:
		return collect(rows, at, func(n int64) pgtype.Int8 { return pgtype.Int8{Int64: n, Valid: true} })
	case boolType:
		return collect(rows, at, func(b bool) pgtype.Bool { return pgtype.Bool{Bool: b, Valid: true} })
	case uuidType:
		return collect(rows, at, func(id uuid.UUID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: true} })
	default:
		return collect(rows, at, func(s string) pgtype.Text { return pgtype.Text{String: s, Valid: true} })
	}
}

// collect leaves the zero value, which is NULL, where a row has nil.
func collect[V, P any](rows [][]any, at int, of func(V) P) pgtype.FlatArray[P] {
	array := make(pgtype.FlatArray[P], len(rows))
	for i, row := range rows {
		if value, ok := row[at].(V); ok {
			array[i] = of(value)
		}
	}
	return array
}

// scalars are the arguments of a statement about one row: the account, then the
// columns.
func (d dialect) scalars(account string, row []any) []any {
	args := append([]any{account}, row...)
	for i, value := range args {
		if id, ok := value.(uuid.UUID); ok {
			if d.postgres {
				args[i] = pgtype.UUID{Bytes: id, Valid: true}
			} else {
				args[i] = id.String()
			}
		}
	}
	return args
}

// targetsOf lists where a driver is to put the columns of a row. For NULL it puts
// the zero value.
func targetsOf(columns []column, row reflect.Value) []any {
	targets := make([]any, len(columns))
	for i := range columns {
		switch field := row.FieldByIndex(columns[i].index).Addr().Interface().(type) {
		case *string:
			targets[i] = (*textTarget)(field)
		case *int64:
			targets[i] = (*numberTarget)(field)
		case *uuid.UUID:
			targets[i] = (*idTarget)(field)
		default: // *bool, and **int64, which is nil for NULL
			targets[i] = field
		}
	}
	return targets
}

// Targets for columns that may be NULL. They implement the scanners of pgx.
type (
	textTarget   string
	numberTarget int64
	idTarget     uuid.UUID
)

// ScanText implements pgtype.TextScanner.
func (t *textTarget) ScanText(v pgtype.Text) error {
	*t = textTarget(v.String)
	return nil
}

// ScanInt64 implements pgtype.Int64Scanner.
func (t *numberTarget) ScanInt64(v pgtype.Int8) error {
	*t = numberTarget(v.Int64)
	return nil
}

// ScanUUID implements pgtype.UUIDScanner.
func (t *idTarget) ScanUUID(v pgtype.UUID) error {
	*t = v.Bytes
	return nil
}
