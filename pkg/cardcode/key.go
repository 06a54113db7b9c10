package cardcode

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

const (
	// KeyBytes is the size of a data key.
	KeyBytes = 32
	// keyIDBytes is the part of the fingerprint that names a key in each row.
	keyIDBytes = 8
)

const (
	fingerprintPurpose  Purpose = "key fingerprint"
	clientSecretPurpose Purpose = "client secret"
)

// ErrKeyText is returned for a text that is no data key. It does not quote the text.
var ErrKeyText = errors.New("a data key is 32 bytes, written as 64 hexadecimal digits or as base64")

// Key is a data key: it hashes tokens, PINs and the secrets of API clients for storage. Without it the hashes in a database cannot be tried out. The zero Key
// has no id and panics when it hashes.
type Key struct {
	// A pointer, because fmt prints an unexported field without asking its methods, yet does not follow its pointers.
	material *keyMaterial
}

type keyMaterial struct {
	secret      [KeyBytes]byte
	fingerprint string
}

// NewKey draws a key from the system's random source.
func NewKey() (Key, error) {
	var secret [KeyBytes]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return Key{}, fmt.Errorf("draw data key: %w", err)
	}
	return keyOf(secret), nil
}

// ParseKey reads a key written in hexadecimal or in base64 (standard or URL alphabet, padded or not); white space around it is
// ignored. Any other text is ErrKeyText.
func ParseKey(text string) (Key, error) {
	text = strings.TrimSpace(text)
	raw, err := hex.DecodeString(text)
	if err != nil {
		unpadded := strings.TrimRight(text, "=")
		standard := strings.NewReplacer("-", "+", "_", "/").Replace(unpadded)
		raw, err = base64.RawStdEncoding.Strict().DecodeString(standard)
	}
	// The base64 reader skips line breaks; a key has none.
	if err != nil || len(raw) != KeyBytes || strings.ContainsAny(text, "\r\n") {
		return Key{}, ErrKeyText
	}
	return keyOf([KeyBytes]byte(raw)), nil
}

func keyOf(secret [KeyBytes]byte) Key {
	key := Key{material: &keyMaterial{secret: secret}}
	key.material.fingerprint = key.hash(fingerprintPurpose)
	return key
}

// Reveal writes the key as ParseKey reads it, for the one file that stores it.
func (k Key) Reveal() string { return base64.StdEncoding.EncodeToString(k.material.secret[:]) }

// Fingerprint names the key without saying anything about it: a hash of a constant under the key, 64 hexadecimal digits.
func (k Key) Fingerprint() string { return k.material.fingerprint }

// ID is the start of the fingerprint, 16 hexadecimal digits; rows carry it beside a hash.
func (k Key) ID() string { return k.material.fingerprint[:2*keyIDBytes] }

// TokenHash hashes a token of an account, 64 hexadecimal digits.
func (k Key) TokenHash(account string, value Secret) string {
	return k.hash(Token, []byte(account), []byte(value))
}

// PINHash hashes the PIN of one card object, 64 hexadecimal digits. Equal PINs of two cards have different hashes.
func (k Key) PINHash(account string, cardID uuid.UUID, value Secret) string {
	return k.hash(PIN, []byte(account), cardID[:], []byte(value))
}

// EqualPIN says whether value is the PIN whose hash is stored; it takes the same time for every wrong value of one length.
func (k Key) EqualPIN(storedHash, account string, cardID uuid.UUID, value Secret) bool {
	return hmac.Equal([]byte(storedHash), []byte(k.PINHash(account, cardID, value)))
}

// ClientSecretHash hashes the secret of an API client of an account, 64 hexadecimal digits.
func (k Key) ClientSecretHash(account string, client uuid.UUID, value Secret) string {
	return k.hash(clientSecretPurpose, []byte(account), client[:], []byte(value))
}

// EqualClientSecret says whether value is the secret whose hash is stored; it takes the same time for every wrong value of one length.
func (k Key) EqualClientSecret(storedHash, account string, client uuid.UUID, value Secret) bool {
	return hmac.Equal([]byte(storedHash), []byte(k.ClientSecretHash(account, client, value)))
}

// hash writes each field with its length before it: without, account and value could trade characters and keep the hash.
func (k Key) hash(purpose Purpose, fields ...[]byte) string {
	mac := hmac.New(sha256.New, k.material.secret[:])
	for _, field := range append([][]byte{[]byte(purpose)}, fields...) {
		mac.Write(append(strconv.AppendInt(nil, int64(len(field)), 10), ':'))
		mac.Write(field)
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// String hides the key.
func (Key) String() string { return redacted }

// GoString hides the key from %#v.
func (Key) GoString() string { return redacted }

// Format hides the key from every verb.
func (Key) Format(state fmt.State, _ rune) { writeRedacted(state) }

// LogValue hides the key from slog.
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON hides the key.
func (Key) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// MarshalText hides the key from the encoders that prefer text.
func (Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }
