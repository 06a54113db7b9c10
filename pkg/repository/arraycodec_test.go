package repository

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// What is sent for a column is, byte for byte, what the driver sends for the same values.
func TestArraysAreSentAsTheDriverDoes(t *testing.T) {
	t.Parallel()
	text, number, id := textValue("Ärger\x00"), numberValue(math.MinInt64), idValue(uuid.Max)
	long := strings.Repeat("x", 100_000)
	for name, test := range map[string]struct {
		oid    uint32
		column []any
		same   any
	}{
		"texts":           {pgtype.TextArrayOID, []any{&text, "", long}, []string{"Ärger\x00", "", long}},
		"texts or none":   {pgtype.TextArrayOID, []any{nil, &text}, pgtype.FlatArray[any]{nil, "Ärger\x00"}},
		"numbers":         {pgtype.Int8ArrayOID, []any{&number, int64(math.MaxInt64), int64(-1)}, []int64{math.MinInt64, math.MaxInt64, -1}},
		"numbers or none": {pgtype.Int8ArrayOID, []any{int64(0), nil}, pgtype.FlatArray[any]{int64(0), nil}},
		"ids":             {pgtype.UUIDArrayOID, []any{&id, uuid.Nil}, [][16]byte{uuid.Max, uuid.Nil}},
		"truths":          {pgtype.BoolArrayOID, []any{true, false}, []bool{true, false}},
		"nothing":         {pgtype.TextArrayOID, nil, []string{}},
		"only NULL":       {pgtype.BoolArrayOID, []any{nil}, pgtype.FlatArray[any]{nil}},
	} {
		var rows [][]any
		for _, value := range test.column {
			rows = append(rows, []any{"of another column", value})
		}
		want, err := pgtype.NewMap().Encode(test.oid, pgtype.BinaryFormatCode, test.same, []byte("before"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := arrayMap(t).Encode(test.oid, pgtype.BinaryFormatCode, array{rows, 1}, []byte("before"))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s are sent as\n%x, the driver sends\n%x (%v)", name, got, want, err)
		}
	}
}

// The database reads bytes as what the header says they are: a text of eight letters would
// be an amount. The error does not show the value.
func TestNothingIsSentAsAnotherType(t *testing.T) {
	t.Parallel()
	text, number, id := textValue("12345678"), numberValue(1), idValue(uuid.Max)
	values := map[uint32][]any{
		pgtype.TextArrayOID: {"12345678", &text},
		pgtype.Int8ArrayOID: {int64(1), &number},
		pgtype.UUIDArrayOID: {uuid.Max, &id},
		pgtype.BoolArrayOID: {true},
		0:                   {1, int32(1), []byte("x"), &[]string{"x"}, 1.5},
	}
	for oid := range values {
		for of, others := range values {
			for _, value := range others {
				if oid == 0 || of == oid {
					continue
				}
				sent, err := arrayMap(t).Encode(oid, pgtype.BinaryFormatCode, array{[][]any{{nil}, {value}}, 0}, nil)
				if err == nil || strings.Contains(err.Error(), "12345678") {
					t.Errorf("a %T is sent in an array of type %d: %x, %v", value, oid, sent, err)
				}
			}
		}
	}
	delete(values, 0)
	for oid := range values {
		if sent, err := arrayMap(t).Encode(oid, pgtype.TextFormatCode, array{[][]any{{"x"}}, 0}, nil); err == nil {
			t.Errorf("an array of type %d is sent as the text %s", oid, sent)
		}
	}
}

// arrayMap is what a connection knows of types.
func arrayMap(t *testing.T) *pgtype.Map {
	t.Helper()
	m := pgtype.NewMap()
	if err := registerArrays(m); err != nil {
		t.Fatal(err)
	}
	return m
}
