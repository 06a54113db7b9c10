package audit

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kortwallet/kort/pkg/ledger"
)

// RowKind is the table of a row that a finding is about.
type RowKind string

// The kinds of rows.
const (
	CardRow  RowKind = "card"
	TxnRow   RowKind = "transaction"
	HoldRow  RowKind = "hold"
	TokenRow RowKind = "token"
	// HeadRow is no row, but a head that was kept elsewhere.
	HeadRow RowKind = "head"
)

// Finding is one disagreement. Values are texts, since figures are amounts, flags,
// moments and digests; an empty one was not determined.
type Finding struct {
	Account string
	Card    string  // the card object's id as it is stored
	CardID  string  // the retailer's id; empty when there is no such card
	Row     RowKind // the row at fault
	ID      string  // its id; empty for a transaction that is missing; the end of a head
	Seq     int64   // of a transaction
	Figure  string  // the column that is wrong

	Stored   string // what the row says
	Replayed string // what a replay of the history makes of it
	Summed   string // what sums in closed form make of it
	Saved    string // what was kept elsewhere of an earlier state
	Problem  string // what is wrong, for people
}

// String describes the finding in one line.
func (f Finding) String() string {
	var line strings.Builder
	fmt.Fprintf(&line, "account %s", f.Account)
	if f.Row != HeadRow {
		fmt.Fprintf(&line, ", card %s", f.Card)
	}
	if f.CardID != "" {
		fmt.Fprintf(&line, " (%q)", f.CardID)
	}
	switch f.Row {
	case CardRow:
	case TxnRow:
		line.WriteString(", transaction ")
		if f.ID != "" {
			line.WriteString(f.ID + " ")
		}
		fmt.Fprintf(&line, "(seq %d)", f.Seq)
	case HeadRow:
		fmt.Fprintf(&line, ", head of what was made up to %s", f.ID)
	case HoldRow, TokenRow:
		fmt.Fprintf(&line, ", %s %s", f.Row, f.ID)
	}
	fmt.Fprintf(&line, ": %s %s", f.Figure, f.Problem)
	separator := ": "
	for _, value := range []struct{ name, text string }{
		{"stored", f.Stored}, {"replayed", f.Replayed}, {"summed", f.Summed}, {"kept", f.Saved},
	} {
		if value.text != "" {
			fmt.Fprintf(&line, "%s%s %s", separator, value.name, value.text)
			separator = ", "
		}
	}
	return line.String()
}

// Findings counts all findings and keeps the first ones.
type Findings struct {
	Total int64
	First []Finding
	limit int
}

func (f *Findings) add(finding Finding) {
	f.Total++
	if len(f.First) < f.limit {
		f.First = append(f.First, finding)
	}
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// moment writes a time so that every stored value stays distinct and readable.
func moment(m ledger.Micros) string { return m.Time().Format(time.RFC3339Nano) }

func flag(b bool) string { return strconv.FormatBool(b) }
