package repository

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// array is a column of a table argument.
type array struct {
	rows [][]any
	at   int
}

// GoString hides the rows, which may be secret, from the errors of the driver.
func (array) GoString() string { return "a column of a table argument" }

// encodeArrays teaches a connection to PostgreSQL how an [array] is sent. The driver's
// own way boxes each element and asks for its type, in every row of every commit.
func encodeArrays(_ context.Context, conn *pgx.Conn) error { return registerArrays(conn.TypeMap()) }

func registerArrays(m *pgtype.Map) error {
	for _, oid := range []uint32{pgtype.TextArrayOID, pgtype.UUIDArrayOID, pgtype.Int8ArrayOID, pgtype.BoolArrayOID} {
		known, found := m.TypeForOID(oid)
		if !found {
			return fmt.Errorf("the driver does not know the type %d", oid)
		}
		codec, isArray := known.Codec.(*pgtype.ArrayCodec)
		if !isArray {
			return fmt.Errorf("the driver does not take %s for an array", known.Name)
		}
		m.RegisterType(&pgtype.Type{Name: known.Name, OID: oid, Codec: arrayCodec{codec}})
	}
	return nil
}

// arrayCodec is the driver's, but for an [array].
type arrayCodec struct{ *pgtype.ArrayCodec }

// PlanEncode implements pgtype.Codec.
func (c arrayCodec) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if _, ours := value.(array); ours && format == pgtype.BinaryFormatCode {
		return arrayPlan{c.ElementType.OID}
	}
	return c.ArrayCodec.PlanEncode(m, oid, format, value)
}

// arrayPlan writes an array of one dimension, whose elements are of this type, in
// PostgreSQL's binary format: a header, and each element behind its length.
type arrayPlan struct{ element uint32 }

// Encode implements pgtype.EncodePlan.
func (p arrayPlan) Encode(value any, buf []byte) ([]byte, error) {
	const dimensions, withoutNulls, withNulls, lowerBound = 1, 0, 1, 1
	const headerBytes, usualBytes = 20, 4 + 36
	a := value.(array)
	buf = slices.Grow(buf, headerBytes+usualBytes*len(a.rows))
	header := len(buf)
	for _, word := range []int{dimensions, withoutNulls, int(p.element), len(a.rows), lowerBound} {
		buf = appendWord(buf, word)
	}
	for _, row := range a.rows {
		var element uint32
		switch buf, element = appendElement(buf, row[a.at]); element {
		case p.element:
		case anyElement:
			binary.BigEndian.PutUint32(buf[header+4:], withNulls)
		default:
			return nil, fmt.Errorf("a %T does not belong into an array of type %d", row[a.at], p.element)
		}
	}
	return buf, nil
}

const (
	// anyElement is the type of NULL.
	anyElement = 0
	// noElement is the type of what no column of ours holds.
	noElement = pgtype.UnknownOID
)

// appendElement appends a value and says of which type it is.
func appendElement(buf []byte, value any) (_ []byte, element uint32) {
	switch value := value.(type) {
	case nil:
		return appendWord(buf, -1), anyElement
	case string:
		return append(appendWord(buf, len(value)), value...), pgtype.TextOID
	case *textValue:
		return append(appendWord(buf, len(*value)), *value...), pgtype.TextOID
	case uuid.UUID:
		return append(appendWord(buf, len(value)), value[:]...), pgtype.UUIDOID
	case *idValue:
		return append(appendWord(buf, len(*value)), value[:]...), pgtype.UUIDOID
	case int64:
		return appendNumber(buf, value), pgtype.Int8OID
	case *numberValue:
		return appendNumber(buf, int64(*value)), pgtype.Int8OID
	case bool:
		if value {
			return append(appendWord(buf, 1), 1), pgtype.BoolOID
		}
		return append(appendWord(buf, 1), 0), pgtype.BoolOID
	}
	return buf, noElement
}

func appendNumber(buf []byte, number int64) []byte {
	return binary.BigEndian.AppendUint64(appendWord(buf, 8), uint64(number)) //nolint:gosec // the bit pattern is what is sent
}

func appendWord(buf []byte, word int) []byte {
	return binary.BigEndian.AppendUint32(buf, uint32(word)) //nolint:gosec // a length, or one of the driver's constants
}
