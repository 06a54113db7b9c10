package repository

import (
	"strings"

	"golang.org/x/text/cases"
)

// fold makes text comparable without regard to case, the same on every engine:
// SQLite would fold ASCII only, PostgreSQL by its locale. It is Unicode case
// folding without normalisation.
func fold(text string) string { return cases.Fold().String(text) }

// searchSeparator stands between the two ids of the search column. A search text
// cannot contain it, since the API refuses control characters.
const searchSeparator = "\x1f"

// searchText is the column that searches look into.
func searchText(cardID, customerID string) string {
	return fold(cardID) + searchSeparator + fold(customerID)
}

// likePattern matches rows that contain the text; its wildcards are literal.
func likePattern(text string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(fold(text)) + "%"
}
