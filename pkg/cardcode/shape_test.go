package cardcode

import (
	"errors"
	"strings"
	"testing"
)

func TestShapeOf(t *testing.T) {
	yes, no := new(true), new(false)
	all := Shape{Symbols: true, Numbers: true, Characters: true}
	with := func(shape Shape, change func(*Shape)) Shape { change(&shape); return shape }
	uuidToken := Shape{Prefix: "DINCARD:", Length: 36, UUID: true}
	sixDigits := Shape{Length: 6, Numbers: true}
	for name, test := range map[string]struct {
		purpose Purpose
		format  Format
		want    Shape
	}{
		"token, nothing said":        {Token, Format{}, uuidToken},
		"token, only barcode":        {Token, Format{Barcode: yes}, with(uuidToken, func(s *Shape) { s.Barcode = true })},
		"token, barcode refused":     {Token, Format{Barcode: no}, uuidToken},
		"token, only prefix":         {Token, Format{Prefix: new("GC-")}, with(all, func(s *Shape) { s.Prefix, s.Length = "GC-", 36 })},
		"token, empty prefix":        {Token, Format{Prefix: new("")}, with(all, func(s *Shape) { s.Length = 36 })},
		"token, only length":         {Token, Format{Length: new(12)}, with(all, func(s *Shape) { s.Length = 12 })},
		"token, default length said": {Token, Format{Length: new(36)}, with(all, func(s *Shape) { s.Length = 36 })},
		"token, numbers named":       {Token, Format{Numbers: yes}, Shape{Length: 36, Numbers: true}},
		"token, numbers refused":     {Token, Format{Numbers: no}, Shape{Length: 36, Symbols: true, Characters: true}},
		"token, numbers named, symbols refused": {
			Token, Format{Numbers: yes, Symbols: no}, Shape{Length: 36, Numbers: true},
		},
		"token, two named":          {Token, Format{Numbers: yes, Characters: yes}, Shape{Length: 36, Numbers: true, Characters: true}},
		"token, two refused":        {Token, Format{Numbers: no, Symbols: no}, Shape{Length: 36, Characters: true}},
		"token, shortest":           {Token, Format{Length: new(1), Numbers: yes}, Shape{Length: 1, Numbers: true}},
		"token, longest":            {Token, Format{Length: new(255), Symbols: yes}, Shape{Length: 255, Symbols: true}},
		"token, longest prefix":     {Token, Format{Prefix: new(strings.Repeat("~", 64)), Symbols: yes}, Shape{Prefix: strings.Repeat("~", 64), Length: 36, Symbols: true}},
		"PIN, nothing said":         {PIN, Format{}, sixDigits},
		"PIN, only barcode":         {PIN, Format{Barcode: yes}, with(sixDigits, func(s *Shape) { s.Barcode = true })},
		"PIN of the guides":         {PIN, Format{Length: new(4), Numbers: yes}, Shape{Length: 4, Numbers: true}},
		"PIN, only length":          {PIN, Format{Length: new(4)}, with(all, func(s *Shape) { s.Length = 4 })},
		"PIN, only prefix":          {PIN, Format{Prefix: new("P")}, with(all, func(s *Shape) { s.Prefix, s.Length = "P", 6 })},
		"PIN, numbers alone":        {PIN, Format{Numbers: yes}, sixDigits},
		"PIN, letters alone":        {PIN, Format{Characters: yes}, Shape{Length: 6, Characters: true}},
		"PIN, symbols refused":      {PIN, Format{Symbols: no}, Shape{Length: 6, Numbers: true, Characters: true}},
		"PIN, longest":              {PIN, Format{Length: new(64), Numbers: yes}, Shape{Length: 64, Numbers: true}},
		"PIN, all named, none left": {PIN, Format{Symbols: yes, Numbers: yes, Characters: yes}, with(all, func(s *Shape) { s.Length = 6 })},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ShapeOf(test.purpose, test.format)
			if err != nil || got != test.want {
				t.Fatalf("got %+v, %v\nwant %+v", got, err, test.want)
			}
			again, err := ShapeOf(test.purpose, got.Format())
			if err != nil || again != got {
				t.Errorf("through Format: %+v, %v\nwant %+v", again, err, got)
			}
		})
	}
}

func TestShapeOfRefuses(t *testing.T) {
	no := new(false)
	for name, test := range map[string]struct {
		purpose Purpose
		format  Format
		field   string
	}{
		"token of length 0":      {Token, Format{Length: new(0)}, "length"},
		"token too long":         {Token, Format{Length: new(256)}, "length"},
		"negative length":        {Token, Format{Length: new(-4711)}, "length"},
		"PIN too short":          {PIN, Format{Length: new(3)}, "length"},
		"PIN too long":           {PIN, Format{Length: new(65)}, "length"},
		"prefix too long":        {Token, Format{Prefix: new(strings.Repeat("s3cret", 11))}, "prefix"},
		"prefix of other script": {Token, Format{Prefix: new("s3cret-å")}, "prefix"},
		"prefix with a NUL":      {PIN, Format{Prefix: new("s3cret\x00")}, "prefix"},
		"prefix with a DEL":      {PIN, Format{Prefix: new("s3cret\x7f")}, "prefix"},
		"prefix with a newline":  {Token, Format{Prefix: new("s3cret\n")}, "prefix"},
		"no class left":          {Token, Format{Symbols: no, Numbers: no, Characters: no}, ""},
		"no class left of a PIN": {PIN, Format{Length: new(4), Symbols: no, Numbers: no, Characters: no}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			shape, err := ShapeOf(test.purpose, test.format)
			var formatError *FormatError
			if !errors.As(err, &formatError) {
				t.Fatalf("got %+v, %v; want a *FormatError", shape, err)
			}
			if formatError.Field != test.field || formatError.Reason == "" {
				t.Errorf("field %q, reason %q; want field %q", formatError.Field, formatError.Reason, test.field)
			}
			if shape != (Shape{}) {
				t.Errorf("shape %+v beside an error", shape)
			}
			if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "4711") {
				t.Errorf("the error echoes what was sent: %v", err)
			}
		})
	}
}

func TestFormatErrorNamesItsField(t *testing.T) {
	for want, err := range map[string]*FormatError{
		"format: too long":           {Reason: "too long"},
		"format prefix: is too long": {Field: "prefix", Reason: "is too long"},
	} {
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}
