package ledger

import (
	"time"

	"github.com/google/uuid"
)

// Code names a refusal. The values are part of the API.
type Code string

// The codes with which the ledger refuses.
const (
	CodeInvalidRequest       Code = "invalid_request"
	CodeNotFound             Code = "not_found"
	CodeInvalidPIN           Code = "invalid_pin"
	CodePINLocked            Code = "pin_locked"
	CodeCardExists           Code = "card_exists"
	CodeRefIDConflict        Code = "ref_id_conflict"
	CodeCurrencyMismatch     Code = "currency_mismatch"
	CodeInsufficientFunds    Code = "insufficient_funds"
	CodeCardExpired          Code = "card_expired"
	CodeCardNotActiveYet     Code = "card_not_active_yet"
	CodeCardInactive         Code = "card_inactive"
	CodeCardAlreadyActive    Code = "card_already_active"
	CodeCardHasPending       Code = "card_has_pending"
	CodeTokenUsed            Code = "token_used"
	CodeTokenSpaceExhausted  Code = "token_space_exhausted"
	CodeTransactionNotHeld   Code = "transaction_not_pending"
	CodeAmountExceedsReserve Code = "amount_exceeds_reserved"
	CodeAmountOverflow       Code = "amount_overflow"
)

// Refusal is the answer to an operation that a rule does not allow. It is a
// value like any other result: it fails nobody else in the batch.
type Refusal struct {
	Code       Code
	Problems   []Problem
	RetryAfter time.Duration // set with CodePINLocked
	LocksPIN   bool          // the wrong PIN is the one that locks the card's PIN
}

// Problem says which part of a request a refusal is about.
type Problem struct {
	Pointer    string    // a JSON pointer into the request body, or a parameter's name
	Reason     string    // for people; never holds a value that the client sent
	ExistingID uuid.UUID // the object that is in the way; zero when there is none
}

// Error implements error.
func (r *Refusal) Error() string { return string(r.Code) }

func refuse(code Code, problems ...Problem) *Refusal {
	return &Refusal{Code: code, Problems: problems}
}

func refuseAt(code Code, pointer, reason string) *Refusal {
	return refuse(code, Problem{Pointer: pointer, Reason: reason})
}
