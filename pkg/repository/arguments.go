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
// value is a string, int64, bool or uuid.UUID, or a [valueOf] a field that is one, or nil for NULL.
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

// rowsOf makes a table argument of domain values. It is for changes.
func rowsOf[D, R any](columns []column, account string, values []D, rowOf func(string, *D) R) table {
	t := table{columns: columns, rows: make([][]any, len(values))}
	rows, room := make([]R, len(values)), make([]any, len(values)*len(columns))
	for i := range values {
		rows[i] = rowOf(account, &values[i])
		t.rows[i], room = room[:len(columns):len(columns)], room[len(columns):]
		fill(t.rows[i], columns, reflect.ValueOf(&rows[i]).Elem())
	}
	return t
}

// fill puts the columns of a row where values go, without copies.
func fill(values []any, columns []column, row reflect.Value) {
	for i := range columns {
		c := &columns[i]
		field := row.FieldByIndex(c.index)
		switch {
		case field.Kind() == reflect.Pointer && field.IsNil(), c.nullZero && field.IsZero():
		case field.Kind() == reflect.Bool:
			values[i] = field.Bool()
		case field.Kind() == reflect.Pointer:
			values[i] = valueOf(field.Interface())
		default:
			values[i] = valueOf(field.Addr().Interface())
		}
	}
}

// arguments flattens the account and table arguments for statements that take whole
// tables: on PostgreSQL an array per column, on SQLite one JSON text per table, which is
// for look-ups, and so not of rowsOf.
func (d dialect) arguments(account string, tables ...table) ([]any, error) {
	args := []any{account}
	for _, t := range tables {
		if d.postgres {
			for i := range t.columns {
				args = append(args, array{rows: t.rows, at: i})
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

// scalars are the arguments of a statement about one row: the account, then the
// columns.
func (d dialect) scalars(account string, row []any) []any {
	args := make([]any, 1, len(row)+1)
	args[0] = account
	for _, value := range row {
		if id, ok := value.(uuid.UUID); ok && d.postgres {
			value = (*idValue)(&id)
		} else if !d.postgres {
			value = plain(value)
		}
		args = append(args, value)
	}
	return args
}

// plain is a value as SQLite's driver takes it.
func plain(value any) any {
	switch value := value.(type) {
	case *textValue:
		return string(*value)
	case *numberValue:
		return int64(*value)
	case *idValue:
		return uuid.UUID(*value).String()
	case uuid.UUID:
		return value.String()
	}
	return value
}

// targetsOf lists where a driver is to put the columns of a row. For NULL it puts
// the zero value.
func targetsOf(columns []column, row reflect.Value) []any {
	targets := make([]any, len(columns))
	for i := range columns {
		targets[i] = valueOf(row.FieldByIndex(columns[i].index).Addr().Interface())
	}
	return targets
}

// valueOf is a field of a row as pgx reads and writes it.
func valueOf(field any) any {
	switch field := field.(type) {
	case *string:
		return (*textValue)(field)
	case *int64:
		return (*numberValue)(field)
	case *uuid.UUID:
		return (*idValue)(field)
	default: // *bool, and **int64, which is nil for NULL
		return field
	}
}

// The types of fields, for pgx.
type (
	textValue   string
	numberValue int64
	idValue     uuid.UUID
)

// ScanText implements pgtype.TextScanner.
func (v *textValue) ScanText(from pgtype.Text) error {
	*v = textValue(from.String)
	return nil
}

// TextValue implements pgtype.TextValuer.
func (v *textValue) TextValue() (pgtype.Text, error) {
	return pgtype.Text{String: string(*v), Valid: true}, nil
}

// ScanInt64 implements pgtype.Int64Scanner.
func (v *numberValue) ScanInt64(from pgtype.Int8) error {
	*v = numberValue(from.Int64)
	return nil
}

// Int64Value implements pgtype.Int64Valuer.
func (v *numberValue) Int64Value() (pgtype.Int8, error) {
	return pgtype.Int8{Int64: int64(*v), Valid: true}, nil
}

// ScanUUID implements pgtype.UUIDScanner.
func (v *idValue) ScanUUID(from pgtype.UUID) error {
	*v = from.Bytes
	return nil
}

// UUIDValue implements pgtype.UUIDValuer.
func (v *idValue) UUIDValue() (pgtype.UUID, error) {
	return pgtype.UUID{Bytes: *v, Valid: true}, nil
}
