package cardcode

import (
	"bytes"
	"encoding/base64"
	"errors"
	"image"
	"image/color"
	"image/png"
	mathrand "math/rand/v2"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/oned"
)

func TestBarcodeScansBack(t *testing.T) {
	printable := make([]byte, 0, '~'-' '+1)
	for c := byte(' '); c <= '~'; c++ {
		printable = append(printable, c)
	}
	for name, value := range map[string]string{
		"one digit":           "0",
		"one letter":          "a",
		"one symbol":          "@",
		"two digits":          "07",
		"three digits":        "123",
		"four digits":         "1234",
		"five digits":         "12345",
		"default token":       "DINCARD:0123abcd-4567-4890-8abc-def012345678",
		"zeros":               "000000000000",
		"digits in between":   "ab123456cd",
		"odd run in between":  "ab1234567cd",
		"digits at the end":   "ab1234",
		"odd run at the end":  "ab12345",
		"digits, then letter": "1234567a",
		"all printable":       string(printable),
		"spaces":              "  a  ",
		"longest digits":      strings.Repeat("9876543210", 32)[:MaxValueLength],
		"longest letters":     strings.Repeat("~", MaxPrefixLength) + strings.Repeat("zQ", 128)[:MaxTokenLength],
	} {
		t.Run(name, func(t *testing.T) { requireScan(t, value) })
	}
}

func TestRandomBarcodesScanBack(t *testing.T) {
	random := seeded(5)
	dice := mathrand.New(mathrand.NewChaCha8([32]byte{6}))
	for range 150 {
		shape := Shape{
			Prefix: strings.Repeat("Gc-7", 16)[:dice.IntN(MaxPrefixLength+1)], Length: 1 + dice.IntN(80),
			Symbols: dice.IntN(2) == 0, Numbers: true, Characters: dice.IntN(2) == 0,
		}
		value, err := Generate(random, shape)
		if err != nil {
			t.Fatal(err)
		}
		requireScan(t, value.Reveal())
	}
}

// Whatever a token can be scans back as it is.
func FuzzBarcode(f *testing.F) {
	for _, seed := range []string{"DINCARD:0123abcd-4567-4890-8abc-def012345678", "0", "12345", "a1b22c333d4444", "~ !", "00A00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if value == "" || len(value) > MaxValueLength || !isPrintableASCII(value) {
			if _, err := Barcode128(Secret(value)); err == nil {
				t.Errorf("there is a barcode for %q", value)
			}
			return
		}
		requireScan(t, value)
	})
}

func requireScan(t *testing.T, value string) {
	t.Helper()
	scanned, err := scan(decodeBarcode(t, value))
	if err != nil || scanned != value {
		t.Errorf("%q scans as %q, %v", value, scanned, err)
	}
}

func scan(picture image.Image) (string, error) {
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		return "", err
	}
	result, err := oned.NewCode128Reader().Decode(bitmap, nil)
	if err != nil {
		return "", err
	}
	return result.GetText(), nil
}

func decodeBarcode(t *testing.T, value string) image.Image {
	t.Helper()
	uri, err := Barcode128(Secret(value))
	if err != nil {
		t.Fatal(err)
	}
	encoded, isPNG := strings.CutPrefix(uri, "data:image/png;base64,")
	if !isPNG {
		t.Fatalf("no PNG data URI: %.40s", uri)
	}
	file, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return picture
}

func TestBarcodeHasQuietZones(t *testing.T) {
	picture := decodeBarcode(t, "DINCARD:42")
	bounds := picture.Bounds()
	isBlack := func(x int) bool { return color.GrayModel.Convert(picture.At(x, bounds.Dy()/2)) == color.Gray{} }
	left, right := 0, 0
	for !isBlack(left) {
		left++
	}
	for !isBlack(bounds.Dx() - 1 - right) {
		right++
	}
	if left != 20 || right != left { // ten modules of two pixels
		t.Errorf("quiet zones of %d and %d pixels", left, right)
	}
	if bounds.Dy() != 120 {
		t.Errorf("%d pixels high", bounds.Dy())
	}
}

func TestBarcodeIsSmallAndStable(t *testing.T) {
	const value = "DINCARD:0123abcd-4567-4890-8abc-def012345678"
	first, err := Barcode128(value)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Barcode128(value)
	if err != nil || first != second {
		t.Errorf("the same value has two images (%v)", err)
	}
	const maxURIBytes = 512
	if len(first) > maxURIBytes {
		t.Errorf("%d bytes, want at most %d", len(first), maxURIBytes)
	}
}

// Two digits fit one symbol: 12 digits make 6 symbols, beside start, check and stop.
func TestDigitsAreShort(t *testing.T) {
	for value, want := range map[string]int{
		"123456789012": 8, "12": 3, "1": 3, "123": 5, "1234": 4, "1234a": 6, "a1234": 6, "a12345": 7, "a12345b": 9, "a123456b": 9, "ab": 4,
	} {
		if got := len(code128Symbols(value)); got != want {
			t.Errorf("%q takes %d symbols, want %d", value, got, want)
		}
	}
}

func TestSymbolWidths(t *testing.T) {
	const symbols, modules = 106, 11
	if len(symbolWidths) != symbols*symbolBars {
		t.Fatalf("%d widths", len(symbolWidths))
	}
	seen := map[string]bool{}
	for symbol := range symbols {
		widths, sum, bars := code128Widths([]int{symbol}), 0, 0
		widths = widths[:symbolBars]
		for i, width := range widths {
			sum += int(width - '0')
			if i%2 == 0 {
				bars += int(width - '0')
			}
		}
		if sum != modules || bars%2 != 0 || seen[widths] {
			t.Errorf("symbol %d: %s has %d modules, %d black, or is double", symbol, widths, sum, bars)
		}
		seen[widths] = true
	}
}

func TestBarcodeRefuses(t *testing.T) {
	for name, value := range map[string]Secret{
		"empty":     "",
		"too long":  Secret(strings.Repeat("s", MaxValueLength+1)),
		"control":   "s3cret\n",
		"DEL":       "s3cret\x7f",
		"not ASCII": "s3cret-å",
	} {
		t.Run(name, func(t *testing.T) {
			uri, err := Barcode128(value)
			if !errors.Is(err, ErrBarcode) || uri != "" {
				t.Fatalf("got %.30q, %v", uri, err)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error shows the value: %v", err)
			}
		})
	}
}

func BenchmarkBarcode128(b *testing.B) {
	for b.Loop() {
		if _, err := Barcode128("DINCARD:0123abcd-4567-4890-8abc-def012345678"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTokenHash(b *testing.B) {
	key := keyOf([KeyBytes]byte{7})
	for b.Loop() {
		key.TokenHash("T12345678", "DINCARD:0123abcd-4567-4890-8abc-def012345678")
	}
}
