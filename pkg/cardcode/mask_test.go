package cardcode

import (
	"strings"
	"testing"
)

func TestMask(t *testing.T) {
	uuidToken := defaultShape(Token, false)
	digits := func(prefix string, length int) Shape { return Shape{Prefix: prefix, Length: length, Numbers: true} }
	for name, test := range map[string]struct {
		shape       Shape
		value, want string
	}{
		"default token":     {uuidToken, "DINCARD:0123abcd-4567-4890-8abc-def012345678", "DINCARD:********-****-****-****-*******45678"},
		"no secret":         {digits("", 1), "7", "*"},
		"two":               {digits("", 2), "42", "**"},
		"three":             {digits("", 3), "123", "**3"},
		"five":              {digits("", 5), "12345", "****5"},
		"six":               {digits("", 6), "123456", "****56"},
		"fourteen":          {digits("", 14), "12345678901234", "**********1234"},
		"fifteen":           {digits("", 15), "123456789012345", "**********12345"},
		"long":              {digits("", 20), "12345678901234567890", "***************67890"},
		"prefix only shown": {digits("GC-", 2), "GC-42", "GC-**"},
		"prefix not shared": {digits("GC-", 6), "GC-123456", "GC-****56"},
		"hyphen is drawn text elsewhere": {
			Shape{Length: 6, Symbols: true}, "@-@-@-", "****@-",
		},
		"other prefix":        {digits("GC-", 6), "XX-123456", "*********"},
		"other length":        {digits("GC-", 6), "GC-1234567", "**********"},
		"not even ASCII":      {digits("", 6), "12å45", "******"},
		"empty":               {digits("", 6), "", ""},
		"shorter than prefix": {digits("LONGPREFIX", 6), "LONG", "****"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Mask(test.shape, Secret(test.value)); got != test.want {
				t.Errorf("Mask = %q, want %q", got, test.want)
			}
		})
	}
}

func FuzzMask(f *testing.F) {
	f.Add("DINCARD:", 36, true, "DINCARD:0123abcd-4567-4890-8abc-def012345678")
	f.Add("", 6, false, "123456")
	f.Add("GC-", 2, false, "GC-42")
	f.Add("-", 36, true, "------------------------------------a")
	f.Fuzz(func(t *testing.T, prefix string, length int, isUUID bool, value string) {
		shape := Shape{Prefix: prefix, Length: length, UUID: isUUID, Numbers: !isUUID}
		masked := Mask(shape, Secret(value))
		if len(masked) != len(value) {
			t.Fatalf("mask of %d bytes for %d", len(masked), len(value))
		}
		rest, secret := masked, value
		if strings.HasPrefix(value, prefix) && strings.HasPrefix(masked, prefix) {
			rest, secret = masked[len(prefix):], value[len(prefix):]
		}
		shown, secrets := 0, 0
		for i := range len(rest) {
			if isUUID && secret[i] == '-' {
				continue
			}
			secrets++
			if rest[i] != maskRune || secret[i] == maskRune && shown > 0 {
				shown++
			}
		}
		if shown > maxShown || shown > secrets/shownShare {
			t.Fatalf("%d of %d secret characters show: %q", shown, secrets, masked)
		}
	})
}

func FuzzShapeOf(f *testing.F) {
	f.Add(true, 36, "DINCARD:", uint8(0), uint8(0), uint8(0))
	f.Add(false, 4, "", uint8(1), uint8(0), uint8(0))
	f.Add(true, 255, strings.Repeat("~", 64), uint8(2), uint8(1), uint8(2))
	f.Fuzz(func(t *testing.T, isToken bool, length int, prefix string, symbols, numbers, characters uint8) {
		purpose := PIN
		if isToken {
			purpose = Token
		}
		flag := func(n uint8) *bool {
			return map[uint8]*bool{1: new(false), 2: new(true)}[n%3]
		}
		format := Format{Length: &length, Prefix: &prefix, Symbols: flag(symbols), Numbers: flag(numbers), Characters: flag(characters)}
		shape, err := ShapeOf(purpose, format)
		if err != nil {
			return
		}
		value, err := Generate(seeded(4), shape)
		if err != nil {
			t.Fatalf("accepted shape %+v cannot be drawn: %v", shape, err)
		}
		if len(value.Reveal()) != len(prefix)+length || len(value.Reveal()) > MaxValueLength {
			t.Fatalf("%d characters drawn for prefix %d and length %d", len(value.Reveal()), len(prefix), length)
		}
		if _, err := Barcode128(value); err != nil {
			t.Fatalf("accepted shape %+v has no barcode: %v", shape, err)
		}
		if again, err := ShapeOf(purpose, shape.Format()); err != nil || again != shape {
			t.Fatalf("format of %+v gives %+v, %v", shape, again, err)
		}
	})
}
