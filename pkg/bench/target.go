package bench

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
)

// megabyte is the one of the targets.
const megabyte = 1e6

// Goal bounds a ratio, or a value where there is nothing to compare with. At most one
// bound is set; without any the row is informative.
type Goal struct {
	AtLeast float64 `json:"at_least,omitempty"`
	AtMost  float64 `json:"at_most,omitempty"`
	// Stretch marks a goal beyond the target.
	Stretch bool `json:"stretch,omitempty"`
}

// Row compares one figure with its baseline and its target.
type Row struct {
	Part   Part   `json:"part"`
	Engine Engine `json:"engine,omitempty"`
	What   string `json:"what"`

	Value float64 `json:"kort"`
	Unit  string  `json:"unit"`
	// Baseline says what it is compared with; empty where it stands for itself.
	Baseline      string  `json:"baseline,omitempty"`
	BaselineValue float64 `json:"baseline_value,omitempty"`
	Ratio         float64 `json:"ratio,omitempty"`

	Goal    Goal `json:"target,omitzero"`
	Reached bool `json:"reached"` // meaningless without a target
}

// judge fills in whether the target is reached.
func (r *Row) judge() {
	figure := r.Value
	if r.Baseline != "" {
		figure = r.Ratio
	}
	switch {
	case r.Goal.AtLeast > 0:
		r.Reached = figure >= r.Goal.AtLeast
	case r.Goal.AtMost > 0:
		r.Reached = figure <= r.Goal.AtMost
	}
}

// add judges rows and keeps those of parts that were asked for.
func (r *Report) add(o Options, rows ...Row) {
	for _, row := range rows {
		if o.wants(row.Part) {
			row.judge()
			r.Rows = append(r.Rows, row)
		}
	}
}

// sortRows brings the rows into the order of the parts.
func (r *Report) sortRows() {
	order := Parts()
	slices.SortStableFunc(r.Rows, func(a, b Row) int { return slices.Index(order, a.Part) - slices.Index(order, b.Part) })
}

// writeRows writes the table of targets.
func (r *Report) writeRows(out io.Writer) error {
	if len(r.Rows) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "part\twhat\tKort\tcompared with\t\tratio\ttarget\treached")
	for i := range r.Rows {
		row := &r.Rows[i]
		what := row.What
		if row.Engine != "" {
			what = string(row.Engine) + ": " + what
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			row.Part, what, amount(row.Value, row.Unit), row.compared(), row.Baseline, row.ratio(), row.Goal.text(), row.verdict())
	}
	return table.Flush()
}

func (r *Row) compared() string {
	if r.Baseline == "" {
		return ""
	}
	return amount(r.BaselineValue, r.Unit)
}

func (r *Row) ratio() string {
	if r.Baseline == "" {
		return ""
	}
	return strconv.FormatFloat(r.Ratio, 'f', 2, 64)
}

func (r *Row) verdict() string {
	switch {
	case r.Goal == Goal{}:
		return ""
	case r.Reached:
		return "yes"
	default:
		return "NO"
	}
}

// text is the goal for people.
func (g Goal) text() string {
	text := ""
	switch {
	case g.AtLeast > 0:
		text = "≥ " + strconv.FormatFloat(g.AtLeast, 'f', -1, 64)
	case g.AtMost > 0:
		text = "≤ " + strconv.FormatFloat(g.AtMost, 'f', -1, 64)
	}
	if g.Stretch {
		text += " (stretch)"
	}
	return text
}

// amount writes a figure with three or more digits.
func amount(value float64, unit string) string {
	digits := 0
	switch {
	case value < 10:
		digits = 2
	case value < 100:
		digits = 1
	}
	return strconv.FormatFloat(value, 'f', digits, 64) + unit
}
