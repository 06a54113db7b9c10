package hooks

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // the published signature is what it is; the other one is stronger
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/cardcode"
)

// Bounds of a secret.
const (
	// MinSecret and MaxSecret are the least and the most characters of a secret.
	MinSecret = 16
	MaxSecret = 255
	// secretBytes is how many random bytes are in a secret that was drawn here.
	secretBytes = 32
	// minKeyBytes is the least for a key that a secret writes in base64.
	minKeyBytes = 16
	// secretPrefix begins a secret whose rest is a key in base64, as Standard Webhooks
	// writes it.
	secretPrefix = "whsec_"
)

// Names of the headers that carry signatures and what belongs to them.
const (
	headerEvent     = "event"
	headerDelivery  = "event-delivery"
	headerSignature = "event-signature"

	headerStandardID        = "webhook-id"
	headerStandardTime      = "webhook-timestamp"
	headerStandardSignature = "webhook-signature"
)

// NewSecret draws a secret for a subscription.
func NewSecret() (cardcode.Secret, error) {
	raw := make([]byte, secretBytes)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("draw a secret: %w", err)
	}
	return cardcode.Secret(secretPrefix + base64.StdEncoding.EncodeToString(raw)), nil
}

// CheckSecret says what is wrong with a secret that somebody chose, or returns nothing.
func CheckSecret(secret cardcode.Secret) string {
	text := secret.Reveal()
	if len(text) < MinSecret || len(text) > MaxSecret || strings.ContainsFunc(text, notPrintable) {
		return fmt.Sprintf("must be %d to %d printable ASCII characters without spaces", MinSecret, MaxSecret)
	}
	if encoded, is := strings.CutPrefix(text, secretPrefix); is {
		if key, err := base64.StdEncoding.DecodeString(encoded); err != nil || len(key) < minKeyBytes {
			return fmt.Sprintf("must have at least %d bytes in base64 after %s", minKeyBytes, secretPrefix)
		}
	}
	return ""
}

// Verify tells whether the body of a delivery is signed with a secret, in both ways.
func Verify(header http.Header, body []byte, secret cardcode.Secret) bool {
	published := hmac.Equal([]byte(header.Get(headerSignature)), []byte(publishedSignature(body, secret)))
	signed := signedText(header.Get(headerStandardID), header.Get(headerStandardTime), body)
	return published && hmac.Equal([]byte(header.Get(headerStandardSignature)), []byte(standardSignature(signed, secret)))
}

// sign sets the headers of a delivery.
func sign(header http.Header, event string, id uuid.UUID, now time.Time, body []byte, secret cardcode.Secret) {
	stamp := strconv.FormatInt(now.Unix(), 10)
	header.Set(headerEvent, event)
	header.Set(headerDelivery, id.String())
	header.Set(headerSignature, publishedSignature(body, secret))
	header.Set(headerStandardID, id.String())
	header.Set(headerStandardTime, stamp)
	header.Set(headerStandardSignature, standardSignature(signedText(id.String(), stamp, body), secret))
}

func publishedSignature(body []byte, secret cardcode.Secret) string {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

func signedText(id, stamp string, body []byte) []byte {
	return append([]byte(id+"."+stamp+"."), body...)
}

func standardSignature(signed []byte, secret cardcode.Secret) string {
	mac := hmac.New(sha256.New, standardKey(secret))
	mac.Write(signed)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// standardKey is the key in a secret: what follows the prefix, or else the secret itself.
func standardKey(secret cardcode.Secret) []byte {
	if encoded, is := strings.CutPrefix(secret.Reveal(), secretPrefix); is {
		if key, err := base64.StdEncoding.DecodeString(encoded); err == nil {
			return key
		}
	}
	return []byte(secret)
}
