package httpapi

import (
	"errors"
	"strings"
	"time"

	"github.com/kortwallet/kort/pkg/ledger"
)

// queryTimeLayouts are the ways to write a moment in a query. Without a zone it is
// UTC; a date alone is its first instant.
var queryTimeLayouts = [...]string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", time.DateOnly}

var errQueryTime = errors.New("not a moment")

// queryTime reads a moment in a query as Micros. A plus sign that was not escaped
// arrives as a space.
func queryTime(text string) (int64, error) {
	text = strings.ReplaceAll(text, " ", "+")
	for _, layout := range queryTimeLayouts {
		if t, err := time.Parse(layout, text); err == nil && t.Year() >= 1 {
			return int64(ledger.MicrosOf(t)), nil
		}
	}
	return 0, errQueryTime
}
