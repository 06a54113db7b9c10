package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	api "github.com/kortwallet/kort/gen/client"
)

// Code is what went wrong, for programs. It is an error itself, so that errors.Is(err, client.InsufficientFunds) asks
// for it.
type Code string

// Error implements error.
func (c Code) Error() string { return string(c) }

// The codes of the contract, which explains each of them.
const (
	InvalidRequest       Code = "invalid_request"
	Unauthorized         Code = "unauthorized"
	Forbidden            Code = "forbidden"
	InvalidPIN           Code = "invalid_pin"
	NotFound             Code = "not_found"
	MethodNotAllowed     Code = "method_not_allowed"
	RequestTooLarge      Code = "request_too_large"
	UnsupportedMediaType Code = "unsupported_media_type"

	CardExists            Code = "card_exists"
	RefIDConflict         Code = "ref_id_conflict"
	CurrencyMismatch      Code = "currency_mismatch"
	InsufficientFunds     Code = "insufficient_funds"
	CardExpired           Code = "card_expired"
	CardNotActiveYet      Code = "card_not_active_yet"
	CardInactive          Code = "card_inactive"
	CardAlreadyActive     Code = "card_already_active"
	CardHasPending        Code = "card_has_pending"
	TokenUsed             Code = "token_used"
	TokenSpaceExhausted   Code = "token_space_exhausted"
	TransactionNotPending Code = "transaction_not_pending"
	AmountExceedsReserved Code = "amount_exceeds_reserved"
	AmountOverflow        Code = "amount_overflow"

	PINLocked   Code = "pin_locked"
	RateLimited Code = "rate_limited"
	Internal    Code = "internal"
	Overloaded  Code = "overloaded"
)

// Error is an answer that is not a success.
type Error struct {
	// Code is empty where the answer is not the API's, but that of a proxy, say.
	Code    Code
	Status  int // of HTTP
	Message string
	// Items say where it went wrong, when there is more to say.
	Items []api.ErrorItem
	// RequestID names the request in the log of the server.
	RequestID string
	// RetryAfter is how long the server asks to wait, or 0.
	RetryAfter time.Duration
	// RefID is the ref_id of the call, where it has one: a refusal uses up none, so the call may be mended and repeated
	// under it.
	RefID string
	// Uncertain tells that an earlier try of this call had no answer, or one that leaves open whether it was done. Then
	// card_exists, card_already_active and not_found may be the doing of the call itself.
	Uncertain bool
}

// Error implements error. It holds nothing that was sent.
func (e *Error) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("kort: status %d", e.Status)
	}
	return fmt.Sprintf("kort: %s: %s", e.Code, e.Message)
}

// Is makes errors.Is look at the Code.
func (e *Error) Is(target error) bool {
	code, ok := target.(Code)
	return ok && code != "" && e.Code == code
}

// NoAnswerError tells that a call has no answer, after all tries.
type NoAnswerError struct {
	// RefID is the ref_id of the call, where it has one: repeat the call under it to learn what became of it.
	RefID string
	// Sent tells that the request may have reached the server and been done.
	Sent bool
	Err  error
}

// Error implements error.
func (e *NoAnswerError) Error() string { return "kort: no answer: " + e.Err.Error() }

// Unwrap gives the cause, the end of a context among them.
func (e *NoAnswerError) Unwrap() error { return e.Err }

// errorBody is what is read of an answer that is not a success.
type errorBody struct {
	Error struct {
		Code    string          `json:"code"`
		Message string          `json:"message"`
		Errors  []api.ErrorItem `json:"errors"`
	} `json:"error"`
}

// peek reads an answer and leaves it to be read again. The body of a proxy's answer is anything, and then of no use.
func peek(response *http.Response) errorBody {
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return errorBody{}
	}
	response.Body = io.NopCloser(bytes.NewReader(content))
	var body errorBody
	if json.Unmarshal(content, &body) != nil {
		return errorBody{}
	}
	return body
}

func errorOf(response *http.Response, refID string, uncertain bool) *Error {
	body := peek(response).Error
	return &Error{
		Code: Code(body.Code), Status: response.StatusCode, Message: body.Message, Items: body.Errors,
		RequestID: response.Header.Get("X-Request-Id"), RetryAfter: retryAfter(response),
		RefID: refID, Uncertain: uncertain,
	}
}
