package strictjson

import (
	"bytes"
	"fmt"
	"slices"
)

// Canonical returns the one text that stands for the JSON value in raw: no white
// space, object keys in the order of their bytes, strings with no escapes but \"
// and \\, numbers digit for digit as they were written (1.0 stays apart from 1).
// Equal texts mean equal values. It refuses what [Check] refuses whatever the
// schema; the error repeats nothing of the text.
func Canonical(raw []byte) ([]byte, error) {
	w := writer{scanner: scanner{data: raw}, out: make([]byte, 0, len(raw))}
	if err := w.document(); err != nil {
		return nil, fmt.Errorf("the text %w", err)
	}
	return w.out, nil
}

// writer reads a text and writes it anew.
type writer struct {
	scanner
	out []byte
}

// member is where in out an object's member stands.
type member struct {
	key      text
	from, to int
}

func (w *writer) document() error {
	w.skipSpace()
	if w.pos == len(w.data) {
		return errEmpty
	}
	if err := w.value(0); err != nil {
		return err
	}
	return w.end()
}

func (w *writer) value(depth int) error {
	switch kindOf(w.peek()) {
	case Object:
		return w.object(depth + 1)
	case Array:
		return w.array(depth + 1)
	case String:
		content, err := w.string()
		if err != nil {
			return err
		}
		w.writeString(content)
		return nil
	case Number:
		digits, _, err := w.number()
		w.out = append(w.out, digits...)
		return err
	case Boolean, Any:
	}
	for _, word := range []string{"true", "false", "null"} {
		if w.peek() == word[0] {
			w.out = append(w.out, word...)
			return w.literal(word)
		}
	}
	return w.unexpected()
}

func (w *writer) array(depth int) (err error) {
	if depth > MaxDepth {
		return errDepth
	}
	w.out = append(w.out, '[')
	for more := w.open(']'); more; {
		if err := w.value(depth); err != nil {
			return err
		}
		if more, err = w.next(']'); err != nil {
			return err
		}
		if more {
			w.out = append(w.out, ',')
		}
	}
	w.out = append(w.out, ']')
	return nil
}

// object writes the members one after the other as they come, and puts them in
// order at the end if they were not.
func (w *writer) object(depth int) error {
	if depth > MaxDepth {
		return errDepth
	}
	w.out = append(w.out, '{')
	var members []member
	for more := w.open('}'); more; {
		key, err := w.key()
		if err != nil {
			return err
		}
		from := len(w.out)
		w.writeString(key)
		w.out = append(w.out, ':')
		if err := w.value(depth); err != nil {
			return err
		}
		members = append(members, member{key, from, len(w.out)})
		w.out = append(w.out, ',')
		if more, err = w.next('}'); err != nil {
			return err
		}
	}
	if err := w.sort(members); err != nil {
		return err
	}
	if len(members) > 0 {
		w.out = w.out[:len(w.out)-1] // the comma behind the last member
	}
	w.out = append(w.out, '}')
	return nil
}

// sort orders the members in out by key; each is followed by a comma.
func (w *writer) sort(members []member) error {
	byKey := func(a, b member) int { return bytes.Compare(a.key, b.key) }
	if !slices.IsSortedFunc(members, byKey) {
		start := members[0].from
		unsorted := bytes.Clone(w.out[start:])
		slices.SortFunc(members, byKey)
		w.out = w.out[:start]
		for _, m := range members {
			w.out = append(w.out, unsorted[m.from-start:m.to-start+1]...)
		}
	}
	for i := 1; i < len(members); i++ {
		if bytes.Equal(members[i-1].key, members[i].key) {
			return errDuplicate
		}
	}
	return nil
}

func (w *writer) writeString(content text) {
	w.out = append(w.out, '"')
	for _, c := range content {
		if c == '"' || c == '\\' {
			w.out = append(w.out, '\\')
		}
		w.out = append(w.out, c)
	}
	w.out = append(w.out, '"')
}
