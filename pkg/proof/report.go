package proof

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// mostViolations is how many violations of one attack are kept; all are counted.
const mostViolations = 20

// Report is the outcome of all attacks.
type Report struct {
	Version       string    `json:"version"`
	Started       time.Time `json:"started"` // UTC
	Seed          uint64    `json:"seed"`
	BudgetSeconds float64   `json:"budget_seconds"`
	Results       []Result  `json:"results"`
}

// Result is the outcome of one attack.
type Result struct {
	Item   Item   `json:"item"`
	Engine Engine `json:"engine"`
	What   string `json:"what"`
	// Operations were asked of the server, and Faults done to it.
	Operations int64 `json:"operations"`
	Faults     int64 `json:"faults"`
	// Violated counts what must not be; Violations are the first of them.
	Violated   int64    `json:"violated"`
	Violations []string `json:"violations,omitempty"`
	// Notes are further figures.
	Notes   []string `json:"notes,omitempty"`
	Seconds float64  `json:"seconds"`
}

// OK tells whether nothing was violated.
func (r *Report) OK() bool {
	for i := range r.Results {
		if r.Results[i].Violated > 0 {
			return false
		}
	}
	return true
}

// Write writes the report for people.
func (r *Report) Write(out io.Writer) error {
	fmt.Fprintf(out, "%s, %s, seed %d\n\n", r.Version, r.Started.Format(time.DateTime), r.Seed)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "attack\tdatabase\twhat\toperations\tfaults\tviolations\tseconds\t")
	for i := range r.Results {
		a := &r.Results[i]
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%d\t%.0f\t%s\n",
			a.Item, a.Engine, a.What, a.Operations, a.Faults, a.Violated, a.Seconds, strings.Join(a.Notes, "; "))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for i := range r.Results {
		a := &r.Results[i]
		for _, violation := range a.Violations {
			fmt.Fprintf(out, "\n%s, %s, %s: %s", a.Item, a.Engine, a.What, violation)
		}
		if more := a.Violated - int64(len(a.Violations)); more > 0 {
			fmt.Fprintf(out, "\n%s, %s, %s: and %d more", a.Item, a.Engine, a.What, more)
		}
	}
	_, err := fmt.Fprintln(out)
	return err
}
