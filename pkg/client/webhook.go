package client

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what the published API signs with; HMAC-SHA1 is not broken
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// SignatureHeader is where a delivery in the form of the published API has its signature.
const SignatureHeader = "event-signature"

// ErrSignature tells that a delivery does not come from whoever knows the secret, or was changed on the way.
var ErrSignature = errors.New("kort: the signature of the delivery is missing or wrong")

// VerifyEvent checks the signature of a delivery in the form of the published API: the header event-signature is the
// HMAC-SHA1, in hexadecimal digits, of the body as it came, under the secret. It does not show that a delivery is new:
// look at its event-delivery header for that.
func VerifyEvent(secret string, header http.Header, body []byte) error {
	if secret == "" {
		return errors.New("kort: the secret is empty: anybody could sign with it")
	}
	given, err := hex.DecodeString(header.Get(SignatureHeader))
	if err != nil {
		return ErrSignature
	}
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write(body)
	if !hmac.Equal(given, mac.Sum(nil)) {
		return ErrSignature
	}
	return nil
}

// VerifyStandardWebhook checks the signature of a delivery in the form of Standard Webhooks: the headers webhook-id,
// webhook-timestamp, which must not be more than five minutes off, and webhook-signature. The secret is in base64, with
// or without whsec_ before it.
func VerifyStandardWebhook(secret string, header http.Header, body []byte) error {
	if secret == "" || secret == "whsec_" {
		return errors.New("kort: the secret is empty: anybody could sign with it")
	}
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return errors.New("kort: the secret is not base64") // the cause would show a part of it
	}
	if err := verifier.Verify(body, header); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return nil
}
