package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/kortwallet/kort/gen/api"
	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/posting"
	"github.com/kortwallet/kort/pkg/repository"
)

// failureKey is where a request's failure waits for the log.
const failureKey = "kort.failure"

// overloadRetry is what a client is told to wait when the server has too much to do.
const overloadRetry = time.Second

// problem is an item of an error's list.
type problem = ledger.Problem

// failure is an answer that is not a 200.
type failure struct {
	code       api.ErrorCode
	problems   []problem
	retryAfter time.Duration
	locksPIN   bool  // for the observer
	cause      error // for the log; never for the client
	// message is what people are told in place of the code's usual message.
	message string
	// challenge is how a client can say who it is, where it is not by an access token.
	challenge string
}

// Error implements error.
func (f *failure) Error() string { return string(f.code) }

// Unwrap gives the log the cause.
func (f *failure) Unwrap() error { return f.cause }

// errBusy is the failure of a request that is refused before it is looked at. It has
// no cause: nothing went wrong.
var errBusy = &failure{code: api.ErrorCodeOverloaded, retryAfter: overloadRetry}

// errKeyMissing is the failure of a request to a server that does not have all data
// keys of its database. Why it has not is logged once, when it is found out.
var errKeyMissing = &failure{code: api.ErrorCodeOverloaded, retryAfter: overloadRetry}

// busyAnswer is what errBusy is answered with.
func busyAnswer() ([]byte, error) {
	body, err := json.Marshal(errBusy.body(answerFor(errBusy.code).message))
	if err != nil {
		return nil, fmt.Errorf("encode an answer: %w", err)
	}
	return append(body, '\n'), nil // as all other answers end
}

func fail(code api.ErrorCode, problems ...problem) *failure {
	return &failure{code: code, problems: problems}
}

func invalid(pointer, reason string) *failure {
	return fail(api.ErrorCodeInvalidRequest, problem{Pointer: pointer, Reason: reason})
}

// answer is how an error code is sent.
type answer struct {
	status  int
	message string
}

// answerFor is the table of error codes. The messages are those of the contract's
// examples.
func answerFor(code api.ErrorCode) answer {
	switch code {
	case api.ErrorCodeInvalidRequest:
		return answer{http.StatusBadRequest, "The request is not valid."}
	case api.ErrorCodeUnauthorized:
		return answer{http.StatusUnauthorized, "A valid access token is required."}
	case api.ErrorCodeForbidden:
		return answer{http.StatusForbidden, "The access token does not allow this."}
	case api.ErrorCodeInvalidPin:
		return answer{http.StatusForbidden, "The PIN is missing or wrong."}
	case api.ErrorCodeNotFound:
		return answer{http.StatusNotFound, "Not found."}
	case api.ErrorCodeMethodNotAllowed:
		return answer{http.StatusMethodNotAllowed, "The path exists, but not with this method."}
	case api.ErrorCodeRequestTooLarge:
		return answer{http.StatusRequestEntityTooLarge, "The body is too large."}
	case api.ErrorCodeUnsupportedMediaType:
		return answer{http.StatusUnsupportedMediaType, "The body must be application/json."}
	case api.ErrorCodePinLocked:
		return answer{http.StatusTooManyRequests, "Too many wrong PINs; try again later."}
	case api.ErrorCodeRateLimited:
		return answer{http.StatusTooManyRequests, "Too many requests; try again later."}
	case api.ErrorCodeOverloaded:
		return answer{http.StatusServiceUnavailable, "The server cannot take this now. Try again later."}
	case api.ErrorCodeInternal:
		return answer{http.StatusInternalServerError, "The server could not do this."}
	default:
		return answer{http.StatusConflict, conflictMessage(code)}
	}
}

// conflictMessage says what a 409 is about.
func conflictMessage(code api.ErrorCode) string {
	switch code {
	case api.ErrorCodeCardExists:
		return "The account has a card with this card_id."
	case api.ErrorCodeRefIDConflict:
		return "The ref_id was used for a different request on this card."
	case api.ErrorCodeCurrencyMismatch:
		return "The card has another currency."
	case api.ErrorCodeInsufficientFunds:
		return "The card does not have that much available."
	case api.ErrorCodeCardExpired:
		return "The card has expired."
	case api.ErrorCodeCardNotActiveYet:
		return "The card cannot be drawn from yet."
	case api.ErrorCodeCardInactive:
		return "The card has not been activated."
	case api.ErrorCodeCardAlreadyActive:
		return "The card is active already."
	case api.ErrorCodeCardHasPending:
		return "The card has an open pending transaction."
	case api.ErrorCodeTokenUsed:
		return "The token was used for a transaction already."
	case api.ErrorCodeTokenSpaceExhausted:
		return "No free token value was found; ask for a longer one."
	case api.ErrorCodeTransactionNotPending:
		return "The transaction is not an open pending transaction."
	case api.ErrorCodeAmountExceedsReserved:
		return "The transaction locks less than this amount."
	case api.ErrorCodeAmountOverflow:
		return "The card cannot hold that much."
	case codeGrantExists:
		return "The client has a grant; delete it first."
	case codeClientLimit:
		return "The account has as many clients as it can have."
	case codeTooManyHooks:
		return "The account has as many subscriptions as it may have."
	default:
		return "The state of the card does not allow this."
	}
}

// failureOf turns any error of a request into a failure.
func failureOf(err error) *failure {
	var f *failure
	var refusal *ledger.Refusal
	var he *echo.HTTPError
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &refusal):
		return &failure{
			code: api.ErrorCode(refusal.Code), problems: refusal.Problems, retryAfter: refusal.RetryAfter, locksPIN: refusal.LocksPIN,
		}
	case errors.Is(err, repository.ErrNotFound):
		return fail(api.ErrorCodeNotFound)
	case errors.Is(err, repository.ErrUnknownCursor):
		return invalid("starting_after", "is not the id of an object of this list")
	case errors.Is(err, repository.ErrTooManyHooks):
		return fail(codeTooManyHooks)
	case errors.Is(err, posting.ErrOverloaded), errors.Is(err, repository.ErrUnavailable),
		errors.Is(err, auth.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &failure{code: api.ErrorCodeOverloaded, retryAfter: overloadRetry, cause: err}
	case errors.As(err, &he):
		return failureOfEcho(he)
	}
	return &failure{code: api.ErrorCodeInternal, cause: err}
}

// failureOfEcho keeps the status of an error that Echo or the generated code made,
// and drops its text, which may quote the request.
func failureOfEcho(he *echo.HTTPError) *failure {
	switch he.Code {
	case http.StatusNotFound:
		return fail(api.ErrorCodeNotFound)
	case http.StatusMethodNotAllowed:
		return fail(api.ErrorCodeMethodNotAllowed)
	case http.StatusRequestEntityTooLarge:
		return fail(api.ErrorCodeRequestTooLarge)
	case http.StatusUnsupportedMediaType:
		return fail(api.ErrorCodeUnsupportedMediaType)
	case http.StatusBadRequest:
		return fail(api.ErrorCodeInvalidRequest)
	}
	return &failure{code: api.ErrorCodeInternal, cause: fmt.Errorf("status %d", he.Code)}
}

// sendError is Echo's error handler: it answers, and logs what is our own fault.
func (s *Server) sendError(err error, c echo.Context) {
	f := failureOf(err)
	c.Set(failureKey, f)
	a := answerFor(f.code)
	if a.status >= http.StatusInternalServerError && f != errBusy && f != errKeyMissing && !errors.Is(f.cause, context.Canceled) {
		s.c.Log.ErrorContext(c.Request().Context(), "request failed", "request_id", requestID(c), "route", c.Path(), "code", f.code, "cause", f.cause)
	}
	if c.Response().Committed {
		return
	}
	if f.message != "" {
		a.message = f.message
	}
	header := c.Response().Header()
	if f.code == api.ErrorCodeUnauthorized {
		header.Set(echo.HeaderWWWAuthenticate, cmp.Or(f.challenge, "Bearer"))
	}
	if f.retryAfter > 0 {
		header.Set(echo.HeaderRetryAfter, strconv.Itoa(int(math.Ceil(f.retryAfter.Seconds()))))
	}
	if err := s.sendFailure(c, f, a); err != nil {
		s.c.Log.WarnContext(c.Request().Context(), "answer not sent", "request_id", requestID(c), "cause", err)
	}
}

// Fail answers a request with an error code, as if its operation had failed. A sandbox makes faults of it.
func (s *Server) Fail(w http.ResponseWriter, r *http.Request, code api.ErrorCode) {
	c := s.echo.NewContext(r, w)
	failed := func(echo.Context) error {
		f := fail(code)
		if status := answerFor(code).status; status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
			f.retryAfter = overloadRetry
		}
		return f
	}
	s.sendError(s.protect(s.identify(failed))(c), c)
}

func (s *Server) sendFailure(c echo.Context, f *failure, a answer) error {
	if f == errBusy {
		return c.Blob(a.status, jsonType, s.busy)
	}
	return c.JSON(a.status, f.body(a.message))
}

func (f *failure) body(message string) api.Error {
	body := api.ErrorBody{Code: f.code, Message: message}
	if len(f.problems) > 0 {
		items := make([]api.ErrorItem, len(f.problems))
		for i, p := range f.problems {
			items[i] = api.ErrorItem{Pointer: p.Pointer, Reason: p.Reason}
			if p.ExistingID != uuid.Nil {
				items[i].ExistingID = &f.problems[i].ExistingID
			}
		}
		body.Errors = &items
	}
	return api.Error{Error: body}
}
