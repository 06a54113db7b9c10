package auth

import "errors"

var (
	// ErrUnauthorized is what every refused token is, by errors.Is.
	ErrUnauthorized = errors.New("unauthorized")

	// ErrUnavailable says that a token could not be judged, because no signing key could be obtained since the start.
	ErrUnavailable = errors.New("signing keys unavailable")
)

// Reason says why a token is refused. Reasons are stable words for logs and metrics; the caller of the API learns none of them.
type Reason string

// The reasons, from the header field to the signature.
const (
	ReasonMissing        Reason = "missing"
	ReasonTooLong        Reason = "too_long"
	ReasonMalformed      Reason = "malformed"
	ReasonAlgorithm      Reason = "algorithm"
	ReasonCritical       Reason = "critical_extension"
	ReasonType           Reason = "type"
	ReasonClaim          Reason = "claim"
	ReasonIssuer         Reason = "issuer"
	ReasonSubject        Reason = "subject"
	ReasonAudience       Reason = "audience"
	ReasonExpired        Reason = "expired"
	ReasonNotYetValid    Reason = "not_yet_valid"
	ReasonIssuedInFuture Reason = "issued_in_future"
	ReasonUnknownKey     Reason = "unknown_key"
	ReasonAmbiguousKey   Reason = "ambiguous_key"
	ReasonWrongSignature Reason = "signature"
)

// TokenError refuses a token. It holds nothing the token says.
type TokenError struct {
	// Reason is for logs.
	Reason Reason
}

// Error names the reason.
func (e *TokenError) Error() string { return "token refused: " + string(e.Reason) }

// Is makes every TokenError an ErrUnauthorized.
func (*TokenError) Is(target error) bool { return target == ErrUnauthorized }

func refused(reason Reason) error { return &TokenError{Reason: reason} }
