package cardcode

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// testKey is 32 times the same byte.
func testKey(t *testing.T, b byte) Key {
	t.Helper()
	key, err := ParseKey(hex.EncodeToString(bytes.Repeat([]byte{b}, KeyBytes)))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestParseKey(t *testing.T) {
	raw := []byte("\xfb\xff\xbe key of 32 bytes, mind the +/ \x00")[:KeyBytes]
	want := keyOf([KeyBytes]byte(raw)).Fingerprint()
	for name, text := range map[string]string{
		"hex":             hex.EncodeToString(raw),
		"upper-case hex":  strings.ToUpper(hex.EncodeToString(raw)),
		"base64":          base64.StdEncoding.EncodeToString(raw),
		"base64 unpadded": base64.RawStdEncoding.EncodeToString(raw),
		"base64 for URLs": base64.URLEncoding.EncodeToString(raw),
		"line end":        base64.StdEncoding.EncodeToString(raw) + "\n",
		"round trip":      keyOf([KeyBytes]byte(raw)).Reveal(),
	} {
		t.Run(name, func(t *testing.T) {
			key, err := ParseKey(text)
			if err != nil || key.Fingerprint() != want {
				t.Errorf("got %v, want the same key", err)
			}
		})
	}
}

func TestParseKeyRefuses(t *testing.T) {
	good := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xA7}, KeyBytes))
	for name, text := range map[string]string{
		"empty":           "",
		"blank":           " \n",
		"31 bytes":        base64.StdEncoding.EncodeToString(make([]byte, 31)),
		"33 bytes":        base64.StdEncoding.EncodeToString(make([]byte, 33)),
		"31 bytes in hex": hex.EncodeToString(make([]byte, 31)),
		"odd hex":         hex.EncodeToString(make([]byte, 32)) + "a",
		"words":           "correct horse battery staple",
		"broken line":     good[:20] + "\n" + good[20:],
		"space inside":    good[:20] + " " + good[20:],
		"loose last bits": strings.TrimRight(good, "=")[:42] + "d",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseKey(text)
			if !errors.Is(err, ErrKeyText) {
				t.Fatalf("got %v, want ErrKeyText", err)
			}
			if trimmed := strings.TrimSpace(text); trimmed != "" && strings.Contains(err.Error(), trimmed) {
				t.Errorf("the error quotes the key: %v", err)
			}
		})
	}
}

func TestNewKeysDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 50 {
		key, err := NewKey()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseKey(key.Reveal())
		if err != nil || again.Fingerprint() != key.Fingerprint() || again.ID() != key.ID() {
			t.Fatalf("stored key is another: %v", err)
		}
		if seen[key.Fingerprint()] || seen[key.ID()] {
			t.Fatal("two keys share a fingerprint")
		}
		seen[key.Fingerprint()], seen[key.ID()] = true, true
	}
}

func TestKeyNames(t *testing.T) {
	key := testKey(t, 7)
	if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(key.Fingerprint()) {
		t.Errorf("fingerprint %q", key.Fingerprint())
	}
	if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(key.ID()) || !strings.HasPrefix(key.Fingerprint(), key.ID()) {
		t.Errorf("id %q of fingerprint %q", key.ID(), key.Fingerprint())
	}
}

// The hashes are stored: a change of these figures would lose every token and PIN of every database.
func TestHashesStayTheSame(t *testing.T) {
	key := testKey(t, 7)
	card := uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")
	for name, test := range map[string]struct{ got, want string }{
		"fingerprint": {key.Fingerprint(), "9f0e3f73158f84ad676da88c5aa7e26ef5187358f670995e9021eb1f40e6c0d8"},
		"token":       {key.TokenHash("T12345678", "DINCARD:x"), "4430ebc01e04565052f9f670ec93f1b9c860b4cf794a1fccd1e4474598e931cb"},
		"PIN":         {key.PINHash("T12345678", card, "004200"), "3c44d5e164cf0f5b89409931ee36e5b9e4284bdc79fb79bda9636626c414a0c2"},
	} {
		if test.got != test.want {
			t.Errorf("%s is %s, want %s", name, test.got, test.want)
		}
	}
}

func TestHashesTellInputsApart(t *testing.T) {
	key, card, other := testKey(t, 7), uuid.UUID{1}, uuid.UUID{2}
	seen := map[string]string{}
	for name, hash := range map[string]string{
		"token":               key.TokenHash("T12345678", "123456"),
		"token, account":      key.TokenHash("P12345678", "123456"),
		"token, value":        key.TokenHash("T12345678", "123457"),
		"token, moved border": key.TokenHash("T1234567", "8123456"),
		"token, no account":   key.TokenHash("", "T12345678123456"),
		"token, empty":        key.TokenHash("T12345678", ""),
		"token, other key":    testKey(t, 8).TokenHash("T12345678", "123456"),
		"token as a PIN is":   key.TokenHash("T12345678", Secret(card[:])+"123456"),
		"PIN":                 key.PINHash("T12345678", card, "123456"),
		"PIN, card":           key.PINHash("T12345678", other, "123456"),
		"PIN, account":        key.PINHash("P12345678", card, "123456"),
		"PIN, value":          key.PINHash("T12345678", card, "12345"),
		"PIN, other key":      testKey(t, 8).PINHash("T12345678", card, "123456"),
		"fingerprint":         key.Fingerprint(),
	} {
		if twin, taken := seen[hash]; taken {
			t.Errorf("%q and %q have the same hash", name, twin)
		}
		seen[hash] = name
	}
}

func TestEqualPIN(t *testing.T) {
	key, card := testKey(t, 7), uuid.UUID{1}
	stored := key.PINHash("T12345678", card, "0042")
	for name, test := range map[string]struct {
		stored, account string
		card            uuid.UUID
		value           Secret
		want            bool
	}{
		"right":         {stored, "T12345678", card, "0042", true},
		"wrong":         {stored, "T12345678", card, "0043", false},
		"no zeros":      {stored, "T12345678", card, "42", false},
		"other card":    {stored, "T12345678", uuid.UUID{2}, "0042", false},
		"other account": {stored, "P12345678", card, "0042", false},
		"nothing kept":  {"", "T12345678", card, "0042", false},
		"cut short":     {stored[:60], "T12345678", card, "0042", false},
		"token's hash":  {key.TokenHash("T12345678", "0042"), "T12345678", card, "0042", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := key.EqualPIN(test.stored, test.account, test.card, test.value); got != test.want {
				t.Errorf("EqualPIN = %v", got)
			}
		})
	}
}
