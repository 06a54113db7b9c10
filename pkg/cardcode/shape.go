package cardcode

import (
	"fmt"
)

// Format is what a client said about a value, nil where it said nothing.
type Format struct {
	Length     *int
	Prefix     *string
	Symbols    *bool
	Numbers    *bool
	Characters *bool
	Barcode    *bool
}

// Shape is what a Format comes to: two formats that ask for the same values have equal shapes. ShapeOf makes valid ones.
type Shape struct {
	// Prefix starts every value and is no secret.
	Prefix string
	// Length is the number of characters after the prefix.
	Length int
	// Symbols, Numbers and Characters are the classes drawn from.
	Symbols    bool
	Numbers    bool
	Characters bool
	// UUID marks the default token shape, a lower-case UUID after the prefix; no class is set then.
	UUID bool
	// Barcode asks for the image as well.
	Barcode bool
}

// FormatError says which field of a format is wrong. It never carries what the client sent.
type FormatError struct {
	// Field is the name of the field in the API, empty when the format as a whole is at fault.
	Field string
	// Reason is for people.
	Reason string
}

// Error joins field and reason.
func (e *FormatError) Error() string {
	if e.Field == "" {
		return "format: " + e.Reason
	}
	return "format " + e.Field + ": " + e.Reason
}

// ShapeOf resolves a format for a purpose. A format that is silent on length, prefix and classes keeps the default shape: a
// prefixed UUID for a token, six digits for a PIN. Otherwise the classes that are named true are used, or, when none is, those
// not named false. The error is a *FormatError.
func ShapeOf(purpose Purpose, f Format) (Shape, error) {
	barcode := f.Barcode != nil && *f.Barcode
	if f.isSilent() {
		return defaultShape(purpose, barcode), nil
	}
	length, err := f.lengthFor(purpose)
	if err != nil {
		return Shape{}, err
	}
	prefix, err := f.checkedPrefix()
	if err != nil {
		return Shape{}, err
	}
	shape := Shape{Prefix: prefix, Length: length, Barcode: barcode}
	if isTrue(f.Symbols) || isTrue(f.Numbers) || isTrue(f.Characters) {
		shape.Symbols, shape.Numbers, shape.Characters = isTrue(f.Symbols), isTrue(f.Numbers), isTrue(f.Characters)
	} else {
		shape.Symbols, shape.Numbers, shape.Characters = f.Symbols == nil, f.Numbers == nil, f.Characters == nil
	}
	if shape.alphabet() == "" {
		return Shape{}, &FormatError{Reason: "at least one of symbols, numbers and characters must be left"}
	}
	return shape, nil
}

// Format gives the format a client could have sent for this shape; ShapeOf takes it back to the same shape.
func (s Shape) Format() Format {
	if s == defaultShape(Token, s.Barcode) {
		return Format{Barcode: &s.Barcode}
	}
	return Format{
		Length: &s.Length, Prefix: &s.Prefix,
		Symbols: &s.Symbols, Numbers: &s.Numbers, Characters: &s.Characters,
		Barcode: &s.Barcode,
	}
}

func (s Shape) alphabet() string {
	alphabet := ""
	if s.Symbols {
		alphabet += Symbols
	}
	if s.Numbers {
		alphabet += Numbers
	}
	if s.Characters {
		alphabet += Characters
	}
	return alphabet
}

func defaultShape(purpose Purpose, barcode bool) Shape {
	if purpose == PIN {
		return Shape{Length: DefaultPINLength, Numbers: true, Barcode: barcode}
	}
	return Shape{Prefix: DefaultTokenPrefix, Length: uuidLength, UUID: true, Barcode: barcode}
}

func (f Format) isSilent() bool {
	return f.Length == nil && f.Prefix == nil && f.Symbols == nil && f.Numbers == nil && f.Characters == nil
}

func (f Format) lengthFor(purpose Purpose) (int, error) {
	lowest, highest, length := MinTokenLength, MaxTokenLength, DefaultTokenLength
	if purpose == PIN {
		lowest, highest, length = MinPINLength, MaxPINLength, DefaultPINLength
	}
	if f.Length != nil {
		length = *f.Length
	}
	if length < lowest || length > highest {
		return 0, &FormatError{Field: "length", Reason: fmt.Sprintf("must be from %d to %d", lowest, highest)}
	}
	return length, nil
}

func (f Format) checkedPrefix() (string, error) {
	if f.Prefix == nil {
		return "", nil
	}
	prefix := *f.Prefix
	if len(prefix) > MaxPrefixLength {
		return "", &FormatError{Field: "prefix", Reason: fmt.Sprintf("must not be longer than %d characters", MaxPrefixLength)}
	}
	if !isPrintableASCII(prefix) {
		return "", &FormatError{Field: "prefix", Reason: "must be printable ASCII"}
	}
	return prefix, nil
}

func isPrintableASCII(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

func isTrue(flag *bool) bool { return flag != nil && *flag }
