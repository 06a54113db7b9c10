package repository

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// TestHexadecimalIsLowerCase tries every byte in every place of a short text.
func TestHexadecimalIsLowerCase(t *testing.T) {
	t.Parallel()
	for first := range 256 {
		for second := range 256 {
			text := string([]byte{byte(first), byte(second)})
			var got [1]byte
			ok := parseHex(got[:], text)
			want, err := hex.DecodeString(text)
			wanted := err == nil && text == strings.ToLower(text)
			if ok != wanted || ok && got[0] != want[0] {
				t.Fatalf("%q is read as %x, %v", text, got, ok)
			}
		}
	}
}

func TestIDsHaveOneSpelling(t *testing.T) {
	t.Parallel()
	for range 1000 {
		want := uuid.New()
		text := want.String()
		if got, ok := parseID(text); !ok || got != want {
			t.Fatalf("%s is read as %s, %v", text, got, ok)
		}
		for i := range text {
			for _, wrong := range []byte{'-', 'g', 'A', '0' + 10, 0} {
				if text[i] == wrong {
					continue
				}
				spoilt := text[:i] + string(rune(wrong)) + text[i+1:]
				if got, ok := parseID(spoilt); ok || got != uuid.Nil {
					t.Fatalf("%q is read as %s, %v", spoilt, got, ok)
				}
			}
		}
	}
	id := uuid.NewString()
	for _, text := range []string{
		"", "x", id[1:], id + "0", strings.ToUpper(id[:35]) + "A", "{" + id + "}", "urn:uuid:" + id, strings.ReplaceAll(id, "-", ""),
		fmt.Sprintf("%-36s", id[:35]),
	} {
		if got, ok := parseID(text); ok {
			t.Errorf("%q is read as %s", text, got)
		}
	}
}
