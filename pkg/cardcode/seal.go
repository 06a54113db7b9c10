package cardcode

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
)

// Hook is the secret that the events of one subscription are signed with. It has to be known again, so it is sealed, not hashed.
const Hook Purpose = "webhook secret"

// sealInfo sets the key that seals apart from the one that hashes.
const sealInfo = "kort: sealed values, AES-256-GCM"

// ErrSealed is returned for a text that was not sealed under this key, or for another purpose or place. It quotes nothing.
var ErrSealed = errors.New("a sealed value cannot be opened with this data key")

// Seal encrypts a value for storage. Only the same key opens it, and only for the same purpose and place: account and object.
func (k Key) Seal(purpose Purpose, account, object string, value Secret) (string, error) {
	box, err := k.box()
	if err != nil {
		return "", err
	}
	nonce := make([]byte, box.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return "", fmt.Errorf("draw a nonce: %w", err)
	}
	sealed := box.Seal(nonce, nonce, []byte(value), place(purpose, account, object))
	return base64.RawStdEncoding.EncodeToString(sealed), nil
}

// Open decrypts what Seal made, or fails with ErrSealed.
func (k Key) Open(purpose Purpose, account, object, sealed string) (Secret, error) {
	box, err := k.box()
	if err != nil {
		return "", err
	}
	raw, err := base64.RawStdEncoding.DecodeString(sealed)
	if err != nil || len(raw) < box.NonceSize() {
		return "", ErrSealed
	}
	nonce, text := raw[:box.NonceSize()], raw[box.NonceSize():]
	value, err := box.Open(nil, nonce, text, place(purpose, account, object))
	if err != nil {
		return "", ErrSealed
	}
	return Secret(value), nil
}

func (k Key) box() (cipher.AEAD, error) {
	derived, err := hkdf.Key(sha256.New, k.material.secret[:], nil, sealInfo, KeyBytes)
	if err != nil {
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	return cipher.NewGCM(block)
}

// place is what a sealed value is bound to, each part with its length before it.
func place(purpose Purpose, parts ...string) []byte {
	var text []byte
	for _, part := range append([]string{string(purpose)}, parts...) {
		text = append(strconv.AppendInt(text, int64(len(part)), 10), ':')
		text = append(text, part...)
	}
	return text
}
