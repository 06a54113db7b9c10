package cardcode

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Measures of a barcode image. A module is the width of its thinnest bar.
const (
	modulePixels     = 2
	barPixels        = 120
	quietZoneModules = 10
	barcodeURIPrefix = "data:image/png;base64,"
)

// ErrBarcode is returned for a value that cannot be printed: empty, longer than MaxValueLength, or not printable ASCII.
var ErrBarcode = fmt.Errorf("a barcode takes from 1 to %d printable ASCII characters", MaxValueLength)

// Barcode128 prints a value as a Code 128 barcode with its quiet zones: a PNG in a data URI that scans back to the exact value. The
// same value gives the same image. A value that cannot be printed is ErrBarcode.
func Barcode128(value Secret) (string, error) {
	text := value.Reveal()
	if text == "" || len(text) > MaxValueLength || !isPrintableASCII(text) {
		return "", ErrBarcode
	}
	row, pixels := barcodeRow(code128Widths(code128Symbols(text)))
	file, err := stripesPNG(row, pixels, barPixels)
	if err != nil {
		return "", fmt.Errorf("encode barcode: %w", err)
	}
	return barcodeURIPrefix + base64.StdEncoding.EncodeToString(file), nil
}

// barcodeRow paints bars and spaces of the given widths, bar first, one bit a pixel: 0 is black. It returns the width in pixels.
func barcodeRow(widths string) (row []byte, pixels int) {
	modules := 2 * quietZoneModules
	for _, width := range widths {
		modules += int(width - '0')
	}
	pixels = modules * modulePixels
	row = bytes.Repeat([]byte{0xFF}, (pixels+7)/8)
	x, isBar := quietZoneModules*modulePixels, true
	for _, width := range widths {
		for range int(width-'0') * modulePixels {
			if isBar {
				row[x/8] &^= 0x80 >> (x % 8)
			}
			x++
		}
		isBar = !isBar
	}
	return row, pixels
}

// stripesPNG writes a black and white PNG whose rows are all alike. image/png takes five times as long: it visits each pixel and
// cannot know that a row repeats, which "same as above" says here with a row of zeros.
func stripesPNG(row []byte, width, height int) ([]byte, error) {
	const bitDepth, grayscale, asIs, differenceToAbove = 1, 0, 0, 2
	var pixels bytes.Buffer
	compressor := zlib.NewWriter(&pixels)
	first, repeat := append([]byte{asIs}, row...), append([]byte{differenceToAbove}, make([]byte, len(row))...)
	for _, part := range [][]byte{first, bytes.Repeat(repeat, height-1)} {
		if _, err := compressor.Write(part); err != nil {
			return nil, fmt.Errorf("compress pixels: %w", err)
		}
	}
	if err := compressor.Close(); err != nil {
		return nil, fmt.Errorf("compress pixels: %w", err)
	}
	header := appendInt(appendInt(nil, width), height)
	header = append(header, bitDepth, grayscale, 0, 0, 0)
	file := []byte("\x89PNG\r\n\x1a\n")
	file = appendChunk(file, "IHDR", header)
	file = appendChunk(file, "IDAT", pixels.Bytes())
	return appendChunk(file, "IEND", nil), nil
}

func appendChunk(file []byte, kind string, data []byte) []byte {
	file = appendInt(file, len(data))
	start := len(file)
	file = append(append(file, kind...), data...)
	return binary.BigEndian.AppendUint32(file, crc32.ChecksumIEEE(file[start:]))
}

func appendInt(file []byte, n int) []byte {
	return binary.BigEndian.AppendUint32(file, uint32(n)) //nolint:gosec // G115: no measure of an image of MaxValueLength comes near the limit
}
