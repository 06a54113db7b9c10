// Package cardcode makes and guards the two secret values a card has: the token that finds it and the PIN that proves its
// owner. It turns the format a client asks for into a Shape, draws values of that shape, hashes them for storage, masks them for
// display and prints them as Code 128 barcodes.
//
// Non-goals: it stores nothing, knows no lifetime and counts no wrong tries. Whether a value is free and whether a PIN is locked
// is decided under the card's lock, elsewhere.
//
// The surprising decision: the barcode encoder is our own. The obvious library stops at 80 characters and quotes the value in its
// error texts; a token may have MaxValueLength of them and must not appear in any error.
package cardcode

// Purpose says what a value is for. It enters every hash, so a PIN's hash never equals a token's.
type Purpose string

const (
	// Token is a value that finds a card; unique within an account.
	Token Purpose = "token"
	// PIN is a value that goes with one card; it need not be unique.
	PIN Purpose = "pin"
)

// The characters of each class. All of them are in Code 128 set B.
const (
	// Symbols is the class `symbols`.
	Symbols = "!$-.@_~"
	// Numbers is the class `numbers`.
	Numbers = "0123456789"
	// Characters is the class `characters`.
	Characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// Limits of a format, in characters.
const (
	MinTokenLength     = 1
	MaxTokenLength     = 255
	DefaultTokenLength = 36

	MinPINLength     = 4
	MaxPINLength     = 64
	DefaultPINLength = 6

	// MaxPrefixLength bounds the prefix, which no length counts.
	MaxPrefixLength = 64

	// MaxValueLength is the longest value this package makes: prefix and drawn characters of a token.
	MaxValueLength = MaxPrefixLength + MaxTokenLength
)

// DefaultTokenPrefix comes before the UUID of a token whose format says nothing about length, prefix or classes.
const DefaultTokenPrefix = "DINCARD:"
