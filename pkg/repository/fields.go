package repository

import (
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/kortwallet/kort/pkg/ledger"
)

// fields hands out the columns of a row one after the other. A value that no
// server can have written is noted among the defects and read as zero: an audit
// reports such a row, it does not stop there.
type fields struct {
	cells   []cell
	at      int
	defects []string
	texts   []byte // of the row that is being received

	// The card of the row before, where its id is one.
	known   bool
	last    cell
	lastKey string
	lastID  uuid.UUID
}

// cell is the value of a column.
type cell struct {
	kind   cellKind
	number int64  // an integer, or 0 or 1 for a boolean
	text   string // a text, or the bytes of an id that the database keeps as one
}

// id is the value of an idCell.
func (c *cell) id() uuid.UUID {
	var id uuid.UUID
	copy(id[:], c.text)
	return id
}

type cellKind uint8

const (
	nullCell cellKind = iota
	integerCell
	booleanCell
	textCell
	idCell
	otherCell // anything else, which no column of ours holds
)

func newFields(columns int) *fields { return &fields{cells: make([]cell, columns)} }

// begin makes ready for the columns of the next row.
func (f *fields) begin(cells []cell) { f.cells, f.at, f.defects = cells, 0, nil }

// load takes the columns of a row as SQLite's driver gives them.
func (f *fields) load(values []driver.Value) {
	for i, value := range values {
		c := cell{kind: otherCell}
		switch value := value.(type) {
		case nil:
			c.kind = nullCell
		case int64:
			c.kind, c.number = integerCell, value
		case string:
			c.kind, c.text = textCell, value
		}
		f.cells[i] = c
	}
}

// receive takes the columns of a row as PostgreSQL sent them. The texts of the row
// become one string: allocating for each of them is what reading mostly costs.
func (f *fields) receive(values [][]byte, columns []pgconn.FieldDescription) error {
	f.texts = f.texts[:0]
	for i, value := range values {
		if oid := columns[i].DataTypeOID; oid == pgtype.TextOID || oid == pgtype.UUIDOID {
			f.texts = append(f.texts, value...)
		}
	}
	texts := string(f.texts)
	for i, value := range values {
		c := &f.cells[i]
		*c = cell{}
		if value == nil {
			continue
		}
		size, binaryFormat := len(value), columns[i].Format == pgtype.BinaryFormatCode
		switch oid := columns[i].DataTypeOID; {
		case oid == pgtype.TextOID:
			c.kind, c.text, texts = textCell, texts[:size], texts[size:]
		case oid == pgtype.UUIDOID && binaryFormat:
			c.kind, c.text, texts = idCell, texts[:size], texts[size:]
		case oid == pgtype.Int8OID && binaryFormat:
			c.kind, c.number = integerCell, int64(binary.BigEndian.Uint64(value)) //nolint:gosec // the bit pattern is what was sent
		case oid == pgtype.BoolOID && binaryFormat:
			c.kind, c.number = booleanCell, int64(value[0])
		default:
			return errUnknownType
		}
	}
	return nil
}

// errUnknownType is a mistake in a statement of this package.
var errUnknownType = errors.New("a column has another type than an audit reads")

func (f *fields) next() *cell {
	c := &f.cells[f.at]
	f.at++
	return c
}

// null tells whether the next column is NULL, and stays before it.
func (f *fields) null() bool { return f.cells[f.at].kind == nullCell }

func (f *fields) defect(column string) { f.defects = append(f.defects, column) }

// text reads a text, or an id as one; NULL is the empty one.
func (f *fields) text(column string) string {
	c := f.next()
	switch c.kind {
	case textCell, nullCell:
	case idCell:
		return c.id().String()
	default:
		f.defect(column)
	}
	return c.text
}

// optional reads a text that a server leaves NULL where there is none.
func (f *fields) optional(column string) string {
	given := !f.null()
	text := f.text(column)
	if given && text == "" {
		f.defect(column)
	}
	return text
}

// figure reads an amount that may be absent.
func (f *fields) figure(column string) Figure {
	given := !f.null()
	return Figure{Amount: f.number(column), Given: given}
}

// number reads an integer; NULL is 0.
func (f *fields) number(column string) int64 {
	c := f.next()
	if c.kind != integerCell && c.kind != nullCell {
		f.defect(column)
		return 0
	}
	return c.number
}

// moment reads a time; NULL is none.
func (f *fields) moment(column string) *ledger.Micros {
	if f.null() {
		f.at++
		return nil
	}
	moment := ledger.Micros(f.number(column))
	return &moment
}

// flag reads a boolean, which SQLite may keep as a number.
func (f *fields) flag(column string) bool {
	c := f.next()
	switch {
	case c.kind == booleanCell:
	case c.kind != integerCell, c.number != 0 && c.number != 1:
		f.defect(column)
	}
	return c.number == 1
}

// key reads an id that rows are sorted by, as text and as a UUID.
func (f *fields) key(column string) (string, uuid.UUID) {
	c := f.next()
	if c.kind == idCell {
		id := c.id()
		return id.String(), id
	}
	id, ok := parseID(c.text)
	if !ok {
		f.defect(column)
	}
	return c.text, id
}

// cardKey is key for rows that mostly have the same one as the row before.
func (f *fields) cardKey(column string) (string, uuid.UUID) {
	c := f.cells[f.at]
	if f.known && c == f.last {
		f.at++
		return f.lastKey, f.lastID
	}
	defects := len(f.defects)
	f.lastKey, f.lastID = f.key(column)
	f.last, f.known = c, len(f.defects) == defects
	return f.lastKey, f.lastID
}

// id reads an id that may be absent; NULL alone stands for the zero one.
func (f *fields) id(column string) uuid.UUID {
	if f.null() {
		f.at++
		return uuid.Nil
	}
	c, defects := &f.cells[f.at], len(f.defects)
	var id uuid.UUID
	if c.kind == idCell { // without the spelling, which nobody asked for
		f.at++
		id = c.id()
	} else {
		_, id = f.key(column)
	}
	if id == uuid.Nil && len(f.defects) == defects {
		f.defect(column)
	}
	return id
}

func (f *fields) digest(column string) ledger.Digest {
	var digest ledger.Digest
	text := f.text(column)
	if len(text) != hex.EncodedLen(len(digest)) || !parseHex(digest[:], text) {
		f.defect(column)
		return ledger.Digest{}
	}
	return digest
}

// parseID reads a UUID in the one spelling that a server writes. Another spelling
// would be another row to SQLite, which compares texts.
func parseID(text string) (id uuid.UUID, ok bool) {
	const length = len("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")
	if len(text) != length || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return uuid.Nil, false
	}
	ok = parseHex(id[:4], text[:8]) && parseHex(id[4:6], text[9:13]) && parseHex(id[6:8], text[14:18]) &&
		parseHex(id[8:10], text[19:23]) && parseHex(id[10:], text[24:])
	if !ok {
		return uuid.Nil, false
	}
	return id, true
}

// parseHex reads lower-case hexadecimal. An audit reads very much of it, and digits are
// random: a jump that depends on one is guessed wrong half the time.
func parseHex(into []byte, text string) bool {
	var all byte
	for i := range into {
		high, low := nibbles[text[2*i]], nibbles[text[2*i+1]]
		into[i] = high<<4 | low
		all |= high | low
	}
	return all <= 0xf
}

// nibbles has the value of each lower-case hexadecimal digit at its place, and 0xff
// everywhere else.
const (
	no16    = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
	digits  = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\xff\xff\xff\xff\xff\xff"
	letters = "\xff\x0a\x0b\x0c\x0d\x0e\x0f\xff\xff\xff\xff\xff\xff\xff\xff\xff"
	nibbles = no16 + no16 + no16 + digits + no16 + no16 + letters + no16 +
		no16 + no16 + no16 + no16 + no16 + no16 + no16 + no16
)
