package tamper

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
)

// another makes a value for a column that is not the old one: none at all, that of
// another row, or one of its own.
func (e *engine) another(ctx context.Context, table string, c column, old sql.NullString) (any, error) {
	if c.nullable && old.Valid && e.dice.IntN(3) == 0 {
		return nil, nil //nolint:nilnil // NULL is a value
	}
	switch c.kind {
	case "BIGINT":
		return e.anotherNumber(c, old)
	case "BOOLEAN":
		return !old.Valid || old.String != "true" && old.String != "1", nil
	case "UUID":
		return e.anotherID(ctx, old)
	case "TEXT":
		return e.anotherText(ctx, table, c, old)
	}
	return nil, fmt.Errorf("column %s has the unknown type %s", c.name, c.kind)
}

func (e *engine) anotherNumber(c column, old sql.NullString) (any, error) {
	if !old.Valid {
		return -1 - e.dice.Int64N(aside), nil // which no amount and no time here is
	}
	was, err := strconv.ParseInt(old.String, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("column %s: %w", c.name, err)
	}
	const farthest = 1 << 40
	by := 1 + e.dice.Int64N([]int64{1, 1, 10, 1_000, farthest}[e.dice.IntN(5)])
	if e.dice.IntN(2) == 0 {
		by = -by
	}
	return was + by, nil
}

// anotherID takes that of a card or a transaction, or one that nothing has.
func (e *engine) anotherID(ctx context.Context, old sql.NullString) (any, error) {
	for {
		id := e.newID()
		if from := [...]string{"", cards, transactions}[e.dice.IntN(3)]; from != "" {
			row, found, err := e.pick(ctx, from, "")
			if err != nil {
				return nil, err
			}
			if found {
				id = row.id
			}
		}
		if id != old.String {
			return id, nil
		}
	}
}

func (e *engine) anotherText(ctx context.Context, table string, c column, old sql.NullString) (any, error) {
	if e.dice.IntN(2) == 0 {
		values, err := e.texts(ctx, fmt.Sprintf("SELECT DISTINCT %[1]s FROM %[2]s WHERE %[1]s IS NOT NULL ORDER BY %[1]s", c.name, table))
		if err != nil {
			return nil, err
		}
		if len(values) > 0 {
			if value := values[e.dice.IntN(len(values))].String; value != old.String {
				return value, nil
			}
		}
	}
	if old.String == "" {
		return []string{"", "x", `{"a":1}`}[e.dice.IntN(3)], nil
	}
	text := []rune(old.String)
	switch at := e.dice.IntN(len(text)); e.dice.IntN(4) {
	case 0:
		return old.String + "0", nil
	case 1:
		return string(text[:at]) + string(text[at+1:]), nil
	case 2:
		text[at] ^= 1
		return string(text), nil
	}
	if c.nullable {
		return "", nil
	}
	return old.String + " ", nil
}
