package client_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/kortwallet/kort/pkg/client"
)

// The signature was made with: printf '%s' '{"event":"wallet_transaction"}' | openssl dgst -sha1 -hmac secret
const (
	eventBody      = `{"event":"wallet_transaction"}`
	eventSignature = "89b64ccb0d703c30855b6c33b64b2b50105257ea"
)

func TestEventSignatures(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		secret, signature, body string
		good, forged            bool
	}{
		"the right one":       {"secret", eventSignature, eventBody, true, false},
		"in capitals":         {"secret", strings.ToUpper(eventSignature), eventBody, true, false},
		"another body":        {"secret", eventSignature, eventBody + " ", false, true},
		"another secret":      {"secret2", eventSignature, eventBody, false, true},
		"none":                {"secret", "", eventBody, false, true},
		"a part":              {"secret", eventSignature[:20], eventBody, false, true},
		"something behind it": {"secret", eventSignature + "00", eventBody, false, true},
		"not hexadecimal":     {"secret", strings.Repeat("zz", 20), eventBody, false, true},
		"no secret":           {"", eventSignature, eventBody, false, false},
	} {
		err := client.VerifyEvent(test.secret, http.Header{"Event-Signature": {test.signature}}, []byte(test.body))
		if (err == nil) != test.good || errors.Is(err, client.ErrSignature) != test.forged {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStandardWebhooks(t *testing.T) {
	t.Parallel()
	secret := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	signed := func(at time.Time) http.Header {
		signer, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		signature, err := signer.Sign("msg_1", at, []byte(eventBody))
		if err != nil {
			t.Fatal(err)
		}
		header := http.Header{}
		header.Set(standardwebhooks.HeaderWebhookID, "msg_1")
		header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
		header.Set(standardwebhooks.HeaderWebhookSignature, signature)
		return header
	}
	without := func(name string) http.Header {
		header := signed(time.Now())
		header.Del(name)
		return header
	}
	for name, test := range map[string]struct {
		secret       string
		header       http.Header
		body         string
		good, forged bool
	}{
		"the right one":     {secret, signed(time.Now()), eventBody, true, false},
		"with a prefix":     {"whsec_" + secret, signed(time.Now()), eventBody, true, false},
		"four minutes old":  {secret, signed(time.Now().Add(-4 * time.Minute)), eventBody, true, false},
		"six minutes old":   {secret, signed(time.Now().Add(-6 * time.Minute)), eventBody, false, true},
		"six minutes early": {secret, signed(time.Now().Add(6 * time.Minute)), eventBody, false, true},
		"another body":      {secret, signed(time.Now()), eventBody + " ", false, true},
		"another secret":    {base64.StdEncoding.EncodeToString([]byte("x")), signed(time.Now()), eventBody, false, true},
		"no id":             {secret, without(standardwebhooks.HeaderWebhookID), eventBody, false, true},
		"no time":           {secret, without(standardwebhooks.HeaderWebhookTimestamp), eventBody, false, true},
		"no signature":      {secret, without(standardwebhooks.HeaderWebhookSignature), eventBody, false, true},
		"no secret":         {"", signed(time.Now()), eventBody, false, false},
		"only a prefix":     {"whsec_", signed(time.Now()), eventBody, false, false},
		"not base64":        {"SECRET!", signed(time.Now()), eventBody, false, false},
	} {
		err := client.VerifyStandardWebhook(test.secret, test.header, []byte(test.body))
		if (err == nil) != test.good || errors.Is(err, client.ErrSignature) != test.forged {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
	}
}
