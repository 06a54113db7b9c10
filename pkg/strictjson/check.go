package strictjson

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// errEnough ends the reading when there are MaxProblems problems.
var errEnough = errors.New("enough problems")

// Check returns why the body is not to be trusted as a value of the schema, in the
// order of the text, and nothing if it is. Problems with the text itself (syntax,
// encoding, depth) end the reading, so that one of them is always the last.
//
// A body without problems conforms if it also keeps the schema's rules.
func Check(body []byte, schema *Schema) (problems []Problem, conforms bool) {
	c := checker{
		scanner: scanner{data: body},
		path:    make([]step, 0, 8),
		keys:    make([]text, 0, fewKeys),
	}
	if err := c.document(schema); err != nil && !errors.Is(err, errEnough) {
		c.problems = append(c.problems, Problem{Pointer: c.pointer(), Reason: err.Error()})
	}
	return c.problems, len(c.problems) == 0 && !c.brokeRule
}

// checker walks the text and the schema side by side. A nil schema stands for what
// the schema does not know: there the path does not grow.
type checker struct {
	scanner
	path     []step
	keys     []text
	problems []Problem
	// brokeRule is set when a value broke a rule of its schema.
	brokeRule bool
}

// step is one segment of the path to the current value: a key, or else an index.
type step struct {
	key   text
	index int
}

func (c *checker) document(schema *Schema) error {
	c.skipSpace()
	if c.pos == len(c.data) {
		return errEmpty
	}
	if err := c.value(schema, 0, MaxDepth); err != nil {
		return err
	}
	return c.end()
}

// value reads a value inside depth objects and arrays, of which there may be limit.
func (c *checker) value(schema *Schema, depth, limit int) error {
	kind := kindOf(c.peek())
	if c.peek() == 'n' {
		return c.null(schema)
	}
	if schema != nil && schema.Kind != Any && kind != Any && kind != schema.Kind {
		if err := c.report("must be " + schema.want()); err != nil {
			return err
		}
		schema = nil
	}
	switch kind {
	case Object, Array:
		if depth == limit {
			return errDepth
		}
		if schema != nil && schema.FreeForm != nil {
			return c.freeForm(*schema.FreeForm, depth, limit)
		}
		if kind == Object {
			return c.object(schema, depth+1, limit)
		}
		return c.array(schema, depth+1, limit)
	case String:
		return c.stringValue(schema)
	case Number:
		return c.numberValue(schema)
	case Boolean:
		if c.peek() == 't' {
			return c.literal("true")
		}
		return c.literal("false")
	case Any:
	}
	return c.unexpected()
}

// kindOf tells the kind of a value by its first byte; Any stands for none.
func kindOf(first byte) Kind {
	switch {
	case first == '{':
		return Object
	case first == '[':
		return Array
	case first == '"':
		return String
	case first == '-' || first-'0' <= 9:
		return Number
	case first == 't' || first == 'f':
		return Boolean
	}
	return Any
}

func (s *Schema) want() string {
	if s.Kind == Number && s.Integer {
		return "an integer"
	}
	return s.Kind.String()
}

func (c *checker) null(schema *Schema) error {
	if err := c.literal("null"); err != nil {
		return err
	}
	if schema != nil && !schema.Nullable {
		return c.report("must not be null")
	}
	return nil
}

// object reads an object inside of which values have the given depth.
func (c *checker) object(schema *Schema, depth, limit int) error {
	keys := newKeySet(&c.keys)
	for more := c.open('}'); more; {
		key, err := c.key()
		if err != nil {
			return err
		}
		if !keys.add(key) {
			if err := c.report(errDuplicate.Error()); err != nil {
				return err
			}
		}
		if err := c.member(schema, key, depth, limit); err != nil {
			return err
		}
		if more, err = c.next('}'); err != nil {
			return err
		}
	}
	c.keep(schema == nil || schema.hasRequired(keys))
	keys.done()
	return nil
}

// keep notes whether a rule was kept.
func (c *checker) keep(kept bool) { c.brokeRule = c.brokeRule || !kept }

// member reads the value of one key.
func (c *checker) member(schema *Schema, key text, depth, limit int) error {
	if schema == nil {
		return c.value(nil, depth, limit)
	}
	property := schema.Properties[string(key)]
	if property == nil {
		if known := schema.misspelt(key); known != "" {
			if err := c.report(fmt.Sprintf("must spell the key %q exactly like this", known)); err != nil {
				return err
			}
		}
		return c.value(nil, depth, limit)
	}
	c.path = append(c.path, step{key: key})
	if err := c.value(property, depth, limit); err != nil {
		return err // with the path as it is: it says where
	}
	c.path = c.path[:len(c.path)-1]
	return nil
}

// misspelt returns the known key that an unknown one equals but for case, or "".
// encoding/json would take the one for the other, with Unicode's case folding: the
// Kelvin sign is a k there.
func (s *Schema) misspelt(key text) string {
	for known := range s.Properties {
		// Equal but for case means equally many runes: a long key need not be
		// compared, let alone with each known one.
		if len(key) <= utf8.UTFMax*len(known) && strings.EqualFold(known, string(key)) {
			return known
		}
	}
	return ""
}

// array reads an array inside of which values have the given depth.
func (c *checker) array(schema *Schema, depth, limit int) (err error) {
	var items *Schema
	if schema != nil {
		items = schema.Items
	}
	index := 0
	for more := c.open(']'); more; index++ {
		if items != nil {
			c.path = append(c.path, step{index: index})
		}
		if err := c.value(items, depth, limit); err != nil {
			return err
		}
		if items != nil {
			c.path = c.path[:len(c.path)-1]
		}
		if more, err = c.next(']'); err != nil {
			return err
		}
	}
	c.keep(schema == nil || schema.AllowsItems(index))
	return nil
}

// freeForm reads an object or array of the client's own making.
func (c *checker) freeForm(bounds FreeForm, depth, limit int) error {
	if bounds.MaxDepth > 0 {
		limit = min(limit, depth+bounds.MaxDepth)
	}
	start := c.pos
	read := c.object
	if c.peek() == '[' {
		read = c.array
	}
	if err := read(nil, depth+1, limit); err != nil {
		return err
	}
	if bounds.MaxBytes > 0 && c.pos-start > bounds.MaxBytes {
		return c.report(fmt.Sprintf("must not be longer than %d bytes", bounds.MaxBytes))
	}
	return nil
}

func (c *checker) stringValue(schema *Schema) error {
	content, err := c.string()
	if err != nil {
		return err
	}
	if schema == nil {
		return nil
	}
	if schema.DateTime && !isDateTime(content) {
		return c.report("must be a date and time with zone as RFC 3339 writes it")
	}
	c.keep(schema.AllowsText(content))
	return nil
}

func (c *checker) numberValue(schema *Schema) error {
	digits, integer, err := c.number()
	if err != nil {
		return err
	}
	if schema == nil || !schema.Integer {
		return nil
	}
	if !integer {
		return c.report("must be an integer without fraction and exponent")
	}
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil {
		return c.report("must be an integer of at most 64 bits")
	}
	c.keep(schema.AllowsInteger(n))
	return nil
}

// report notes a problem of the current value. Its error ends the reading.
func (c *checker) report(reason string) error {
	c.problems = append(c.problems, Problem{Pointer: c.pointer(), Reason: reason})
	if len(c.problems) == MaxProblems {
		return errEnough
	}
	return nil
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// pointer returns the path as a JSON pointer. It holds known keys and indexes only.
func (c *checker) pointer() string {
	var b strings.Builder
	for _, s := range c.path {
		b.WriteByte('/')
		if s.key != nil {
			b.WriteString(pointerEscapes.Replace(string(s.key)))
		} else {
			b.WriteString(strconv.Itoa(s.index))
		}
	}
	return b.String()
}
