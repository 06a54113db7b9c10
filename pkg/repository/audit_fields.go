package repository

import (
	"encoding/hex"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
)

// fields hands out the columns of a row one after the other. A value that no
// server can have written is noted among the defects and read as zero: an audit
// reports such a row, it does not stop there.
type fields struct {
	values   []any
	pointers []any
	at       int
	defects  []string
}

func newFields(columns int) *fields {
	f := &fields{values: make([]any, columns), pointers: make([]any, columns)}
	for i := range f.values {
		f.pointers[i] = &f.values[i]
	}
	return f
}

func (f *fields) next() any {
	value := f.values[f.at]
	f.at++
	return value
}

// null tells whether the next column is NULL, and stays before it.
func (f *fields) null() bool { return f.values[f.at] == nil }

func (f *fields) defect(column string) { f.defects = append(f.defects, column) }

// text reads a text; NULL is the empty one.
func (f *fields) text(column string) string {
	switch value := f.next().(type) {
	case string:
		return value
	case nil:
		return ""
	default:
		f.defect(column)
		return ""
	}
}

// number reads an integer; NULL is 0.
func (f *fields) number(column string) int64 {
	switch value := f.next().(type) {
	case int64:
		return value
	case nil:
		return 0
	default:
		f.defect(column)
		return 0
	}
}

func (f *fields) float(column string) float64 {
	switch value := f.next().(type) {
	case float64:
		return value
	case nil:
		return 0
	default:
		f.defect(column)
		return 0
	}
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
	switch value := f.next().(type) {
	case bool:
		return value
	case int64:
		if value != 0 && value != 1 {
			f.defect(column)
		}
		return value == 1
	default:
		f.defect(column)
		return false
	}
}

// key reads an id that rows are sorted by, as it is stored and as a UUID.
func (f *fields) key(column string) (string, uuid.UUID) {
	text := f.text(column)
	id, ok := parseID(text)
	if !ok {
		f.defect(column)
	}
	return text, id
}

// id reads an id; NULL is the zero one.
func (f *fields) id(column string) uuid.UUID {
	if f.null() {
		f.at++
		return uuid.Nil
	}
	_, id := f.key(column)
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
	const dashes = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
	if len(text) != len(dashes) {
		return uuid.Nil, false
	}
	at := 0
	for i := 0; i < len(text); {
		if dashes[i] == '-' {
			if text[i] != '-' {
				return uuid.Nil, false
			}
			i++
			continue
		}
		if !parseHex(id[at:at+1], text[i:i+2]) {
			return uuid.Nil, false
		}
		at, i = at+1, i+2
	}
	return id, true
}

// parseHex reads lower-case hexadecimal.
func parseHex(into []byte, text string) bool {
	for i := range into {
		high, low := nibble(text[2*i]), nibble(text[2*i+1])
		if high|low > 0xf {
			return false
		}
		into[i] = high<<4 | low
	}
	return true
}

// nibble is the value of a lower-case hexadecimal digit, or 0xff.
func nibble(digit byte) byte {
	switch {
	case '0' <= digit && digit <= '9':
		return digit - '0'
	case 'a' <= digit && digit <= 'f':
		return digit - 'a' + 10
	default:
		return 0xff
	}
}
