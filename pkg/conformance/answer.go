package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/kortwallet/kort/gen/client"
)

// shownBytes is how much of a body a report shows.
const shownBytes = 1500

// answer is what a request got.
type answer struct {
	t      *trial
	status int
	header http.Header
	body   []byte
}

// String is the answer without secrets, cut short.
func (a answer) String() string {
	return fmt.Sprintf("%d %s", a.status, shorten(redact(strings.TrimSpace(string(a.body)))))
}

func shorten(text string) string {
	if len(text) <= shownBytes {
		return text
	}
	return text[:shownBytes] + "…"
}

// secret are the members of bodies that hold clear values.
var secret = regexp.MustCompile(`"(token|pin|value|barcode_128)"\s*:\s*"[^"]*"`)

// redact hides the clear values of tokens and PINs.
func redact(text string) string { return secret.ReplaceAllString(text, `"$1":"[redacted]"`) }

// code is that of an error, or empty.
func (a answer) code() client.ErrorCode {
	var body client.Error
	if json.Unmarshal(a.body, &body) != nil {
		return ""
	}
	return body.Error.Code
}

// ok ends the check unless the answer is a success.
func (a answer) ok() answer {
	if a.status != http.StatusOK {
		a.t.fail("200", a.String())
	}
	return a
}

// refusalOf are the status and the code of a refusal.
type refusalOf struct {
	status int
	code   client.ErrorCode
}

// String is both.
func (r refusalOf) String() string { return fmt.Sprintf("%d %s", r.status, r.code) }

// The refusals of the contract.
var (
	invalid         = refusalOf{http.StatusBadRequest, client.ErrorCodeInvalidRequest}
	unauthorized    = refusalOf{http.StatusUnauthorized, client.ErrorCodeUnauthorized}
	forbidden       = refusalOf{http.StatusForbidden, client.ErrorCodeForbidden}
	invalidPIN      = refusalOf{http.StatusForbidden, client.ErrorCodeInvalidPin}
	notFound        = refusalOf{http.StatusNotFound, client.ErrorCodeNotFound}
	wrongMethod     = refusalOf{http.StatusMethodNotAllowed, client.ErrorCodeMethodNotAllowed}
	tooLarge        = refusalOf{http.StatusRequestEntityTooLarge, client.ErrorCodeRequestTooLarge}
	wrongMedia      = refusalOf{http.StatusUnsupportedMediaType, client.ErrorCodeUnsupportedMediaType}
	cardExists      = refusalOf{http.StatusConflict, client.ErrorCodeCardExists}
	refConflict     = refusalOf{http.StatusConflict, client.ErrorCodeRefIDConflict}
	otherCurrency   = refusalOf{http.StatusConflict, client.ErrorCodeCurrencyMismatch}
	tooLittle       = refusalOf{http.StatusConflict, client.ErrorCodeInsufficientFunds}
	cardExpired     = refusalOf{http.StatusConflict, client.ErrorCodeCardExpired}
	notActiveYet    = refusalOf{http.StatusConflict, client.ErrorCodeCardNotActiveYet}
	cardInactive    = refusalOf{http.StatusConflict, client.ErrorCodeCardInactive}
	alreadyActive   = refusalOf{http.StatusConflict, client.ErrorCodeCardAlreadyActive}
	hasPending      = refusalOf{http.StatusConflict, client.ErrorCodeCardHasPending}
	tokenUsed       = refusalOf{http.StatusConflict, client.ErrorCodeTokenUsed}
	noTokensLeft    = refusalOf{http.StatusConflict, client.ErrorCodeTokenSpaceExhausted}
	notPending      = refusalOf{http.StatusConflict, client.ErrorCodeTransactionNotPending}
	exceedsReserved = refusalOf{http.StatusConflict, client.ErrorCodeAmountExceedsReserved}
	overflow        = refusalOf{http.StatusConflict, client.ErrorCodeAmountOverflow}
	pinLocked       = refusalOf{http.StatusTooManyRequests, client.ErrorCodePinLocked}
)

// refused ends the check unless the answer is this refusal, with a body as every error has
// it. A server of the published API has other codes, and may have other statuses than 409.
func (a answer) refused(want refusalOf) client.ErrorBody {
	if a.t.Published {
		own := want.status == http.StatusConflict && a.status >= 400 && a.status < 500
		a.t.want(own || a.status == want.status, fmt.Sprint("status ", want.status), a)
		return client.ErrorBody{}
	}
	a.t.want(a.status == want.status && a.code() == want.code, want.String(), a)
	body := decode[client.Error](a).Error
	a.t.want(body.Message != "", "an error with a message", a)
	return body
}

// replayed ends the check unless the answer is a success that says it is the first answer
// again.
func (a answer) replayed() answer {
	a.ok()
	a.t.want(a.header.Get("Idempotency-Replayed") == "true", "200 with Idempotency-Replayed: true",
		fmt.Sprintf("200 with Idempotency-Replayed: %q", a.header.Get("Idempotency-Replayed")))
	return a
}

// fresh ends the check unless the answer is a success and the first one.
func (a answer) fresh() answer {
	a.ok()
	a.t.want(a.header.Get("Idempotency-Replayed") == "", "200 without Idempotency-Replayed", a)
	return a
}

// decode reads the body as a type of the contract.
func decode[T any](a answer) T {
	var value T
	if err := json.Unmarshal(a.body, &value); err != nil {
		a.t.fail(fmt.Sprintf("a body of the type %T", value), a.String())
	}
	return value
}

// fields reads the body as it is written; numbers keep their digits.
func (a answer) fields() object {
	decoder := json.NewDecoder(bytes.NewReader(a.body))
	decoder.UseNumber()
	var value object
	if err := decoder.Decode(&value); err != nil {
		a.t.fail("a JSON object", a.String())
	}
	return value
}
