package strictjson

import (
	"errors"
	"unicode/utf8"
)

// The reasons for which a text cannot be read on. They are errors inside the
// package and reasons outside.
var (
	errSyntax    = errors.New("is not valid JSON")
	errTruncated = errors.New("ends before the JSON text is complete")
	errTrailing  = errors.New("is followed by more text")
	errEmpty     = errors.New("is empty")
	errDepth     = errors.New("is nested too deeply")
	errUTF8      = errors.New("is not valid UTF-8")
	errSurrogate = errors.New("contains half a surrogate pair")
	errControl   = errors.New("contains a control character")
	errDuplicate = errors.New("has the same key twice")
)

// scanner reads one JSON text from the left. Its methods expect that white space
// has been skipped and leave pos behind what they read.
type scanner struct {
	data []byte
	pos  int
}

// text is a string in a body: its content, unescaped. It shares the body's memory
// unless there was something to unescape.
type text []byte

// peek returns the next byte, or 0 at the end; 0 never starts a valid token.
func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

func (s *scanner) skipSpace() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// unexpected is the error for a byte that cannot stand at pos.
func (s *scanner) unexpected() error {
	if s.pos >= len(s.data) {
		return errTruncated
	}
	return errSyntax
}

// end checks that only white space follows.
func (s *scanner) end() error {
	s.skipSpace()
	if s.pos < len(s.data) {
		return errTrailing
	}
	return nil
}

// next steps over a separator and the white space around it: it returns whether
// another member follows or closer ended the object or array.
func (s *scanner) next(closer byte) (more bool, err error) {
	s.skipSpace()
	switch s.peek() {
	case ',':
		s.pos++
		s.skipSpace()
		return true, nil
	case closer:
		s.pos++
		return false, nil
	}
	return false, s.unexpected()
}

// open steps over the bracket that starts an object or array: it returns whether
// there is a first member or closer followed at once.
func (s *scanner) open(closer byte) (more bool) {
	s.pos++
	s.skipSpace()
	if s.peek() == closer {
		s.pos++
		return false
	}
	return true
}

// key reads an object's key with the colon and the white space around it.
func (s *scanner) key() (text, error) {
	if s.peek() != '"' {
		return nil, s.unexpected()
	}
	key, err := s.string()
	if err != nil {
		return nil, err
	}
	s.skipSpace()
	if s.peek() != ':' {
		return nil, s.unexpected()
	}
	s.pos++
	s.skipSpace()
	return key, nil
}

func (s *scanner) literal(word string) error {
	if len(s.data)-s.pos < len(word) || string(s.data[s.pos:s.pos+len(word)]) != word {
		return errSyntax
	}
	s.pos += len(word)
	return nil
}

// number reads a number by JSON's grammar and returns its digits as sent.
func (s *scanner) number() (digits []byte, integer bool, err error) {
	start := s.pos
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if !s.skipDigits() {
		return nil, false, s.unexpected()
	}
	integer = true
	if s.peek() == '.' {
		integer = false
		s.pos++
		if !s.skipDigits() {
			return nil, false, s.unexpected()
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		integer = false
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.skipDigits() {
			return nil, false, s.unexpected()
		}
	}
	return s.data[start:s.pos], integer, nil
}

// skipDigits returns whether there was at least one.
func (s *scanner) skipDigits() bool {
	start := s.pos
	for s.pos < len(s.data) && s.data[s.pos]-'0' <= 9 {
		s.pos++
	}
	return s.pos > start
}

// string reads a string. Nearly all are plain ASCII: those cost one pass and no
// copy.
func (s *scanner) string() (text, error) {
	s.pos++
	start := s.pos
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == '"':
			s.pos++
			return s.data[start : s.pos-1], nil
		case c == '\\':
			return s.escapedString(start)
		case c >= ' ' && c < 0x7f:
			s.pos++
		default:
			if err := s.rune(); err != nil {
				return nil, err
			}
		}
	}
	return nil, errTruncated
}

// escapedString goes on with a string at its first backslash.
func (s *scanner) escapedString(start int) (text, error) {
	content := append(make([]byte, 0, s.pos-start+32), s.data[start:s.pos]...)
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case '"':
			s.pos++
			return content, nil
		case '\\':
			r, err := s.escape()
			if err != nil {
				return nil, err
			}
			content = utf8.AppendRune(content, r)
		default:
			from := s.pos
			if err := s.rune(); err != nil {
				return nil, err
			}
			content = append(content, s.data[from:s.pos]...)
		}
	}
	return nil, errTruncated
}

// rune steps over one character that stands for itself.
func (s *scanner) rune() error {
	r, size := utf8.DecodeRune(s.data[s.pos:])
	if r == utf8.RuneError && size <= 1 {
		return errUTF8
	}
	s.pos += size
	return allowed(r)
}

// escape reads one escape sequence, or two that make a surrogate pair.
func (s *scanner) escape() (rune, error) {
	s.pos++
	c := s.peek()
	switch c {
	case '"', '\\', '/':
		s.pos++
		return rune(c), nil
	case 'b', 'f', 'n', 'r', 't':
		return 0, errControl
	case 'u':
		s.pos++
	default:
		return 0, s.unexpected()
	}
	r, err := s.hex4()
	if err != nil {
		return 0, err
	}
	if r < 0xd800 || r > 0xdfff {
		return r, allowed(r)
	}
	if r > 0xdbff || s.peek() != '\\' || s.pos+1 >= len(s.data) || s.data[s.pos+1] != 'u' {
		return 0, errSurrogate
	}
	s.pos += 2
	low, err := s.hex4()
	if err != nil {
		return 0, err
	}
	if low < 0xdc00 || low > 0xdfff {
		return 0, errSurrogate
	}
	return (r-0xd800)<<10 + (low - 0xdc00) + 0x10000, nil
}

func (s *scanner) hex4() (rune, error) {
	var r rune
	for range 4 {
		c := s.peek()
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, s.unexpected()
		}
		r = r<<4 + rune(c)
		s.pos++
	}
	return r, nil
}

// allowed refuses the control characters (Unicode category Cc): a NUL breaks a
// query, the others break terminals, logs and receipts.
func allowed(r rune) error {
	if r < ' ' || (r >= 0x7f && r <= 0x9f) {
		return errControl
	}
	return nil
}
