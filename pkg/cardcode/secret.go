package cardcode

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

var errSecretInQuery = errors.New("a clear card value must not reach the database")

// Secret is a clear token or PIN. Printing, logging and encoding it give "[redacted]", binding it to a query fails; Reveal alone
// gives the value. Put it in exported fields only: fmt prints an unexported field without asking its methods.
type Secret string

// Reveal returns the clear value.
func (s Secret) Reveal() string { return string(s) }

// String hides the value.
func (Secret) String() string { return redacted }

// GoString hides the value from %#v.
func (Secret) GoString() string { return redacted }

// Format hides the value from every verb, %x and %q included.
func (Secret) Format(state fmt.State, _ rune) { writeRedacted(state) }

// LogValue hides the value from slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON hides the value; an answer that is meant to carry it calls Reveal.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText hides the value from the encoders that prefer text.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Value refuses to become a query argument: without it database/sql would store the clear text of any string type.
func (Secret) Value() (driver.Value, error) { return nil, errSecretInQuery }

func writeRedacted(w io.Writer) {
	// fmt.State collects in memory and a Formatter has no way to report an error.
	_, _ = io.WriteString(w, redacted)
}
