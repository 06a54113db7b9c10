package bench

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestParseParts(t *testing.T) {
	t.Parallel()
	for list, want := range map[string][]Part{
		"": TargetParts(), "P1": {PartSpread}, "p1b, MIX": {PartAccounts, PartMix}, "overload,growth": {PartOverload, PartGrowth},
	} {
		if got, err := ParseParts(list); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", list, got, err)
		}
	}
	for _, list := range []string{"P11", "P1,", "P1 P2"} {
		if got, err := ParseParts(list); err == nil {
			t.Errorf("%q: %v and no error", list, got)
		}
	}
}

func TestRowsAreJudged(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		row     Row
		reached bool
	}{
		{"a ratio that is enough", Row{Value: 1, Baseline: "b", Ratio: 1.5, Goal: Goal{AtLeast: 1.5}}, true},
		{"a ratio that is not", Row{Value: 100, Baseline: "b", Ratio: 1.49, Goal: Goal{AtLeast: 1.5}}, false},
		{"a ratio that is too much", Row{Value: 1, Baseline: "b", Ratio: 4.1, Goal: Goal{AtMost: 4}}, false},
		{"a value that stands for itself", Row{Value: 25, Goal: Goal{AtMost: 25}}, true},
		{"a value that is too much", Row{Value: 26, Goal: Goal{AtMost: 25}}, false},
		{"no target", Row{Value: 26}, false},
	}
	for _, test := range tests {
		var report Report
		test.row.Part = PartSpread
		report.add(Options{Parts: []Part{PartSpread}}, test.row)
		if len(report.Rows) != 1 || report.Rows[0].Reached != test.reached {
			t.Errorf("%s: %+v", test.name, report.Rows)
		}
		report.add(Options{Parts: []Part{PartHot}}, test.row)
		if len(report.Rows) != 1 {
			t.Errorf("%s: kept although nobody asked for the part", test.name)
		}
	}
}

func TestTargetsText(t *testing.T) {
	t.Parallel()
	var report Report
	report.add(
		Options{Parts: TargetParts()},
		Row{Part: PartLone, Engine: SQLite, What: "p50", Value: 0.5, Unit: " ms", Baseline: "singly", BaselineValue: 0.4, Ratio: 1.25, Goal: Goal{AtMost: 1.2}},
		Row{Part: PartSpread, What: "many", Value: 12_345, Unit: "/s", Baseline: "pgbench", BaselineValue: 5_000, Ratio: 2.469, Goal: Goal{AtLeast: 1, Stretch: true}},
		Row{Part: PartFootprint, What: "memory", Value: 99.5, Unit: " MB"},
	)
	report.sortRows()
	var text strings.Builder
	if err := report.writeRows(&text); err != nil {
		t.Fatal(err)
	}
	const want = `
part  what         Kort     compared with           ratio  target         reached
P1    many         12345/s  5000/s         pgbench  2.47   ≥ 1 (stretch)  yes
P9    memory       99.5 MB                                                
P10   sqlite: p50  0.50 ms  0.40 ms        singly   1.25   ≤ 1.2          NO
`
	if got := text.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestPlot(t *testing.T) {
	t.Parallel()
	report := Report{Growth: []GrowthPoint{
		{Engine: SQLite, Cards: 1000, Transactions: 1000, Spread: 9000, Hot: 9500, ByHand: 4000},
		{Engine: SQLite, Cards: 1_000_000, Transactions: 10_000_000, Spread: 8000, Hot: 9100},
		{Engine: Postgres, Cards: 1000, Transactions: 1000, Spread: 12_000, Hot: 11_000},
		{Engine: Postgres, Cards: 1_000_000, Transactions: 10_000_000, Spread: 10_000, Hot: 10_500},
	}}
	var picture strings.Builder
	if err := report.WritePlot(&picture); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"PostgreSQL, spread", "SQLite, one card", "SQLite, by hand", ">10 000 000 transactions<", ">15000<"} {
		if !strings.Contains(picture.String(), want) {
			t.Errorf("the plot has no %q:\n%s", want, picture.String())
		}
	}
	elements := map[string]int{}
	for decoder := xml.NewDecoder(strings.NewReader(picture.String())); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok {
			elements[start.Name.Local]++
		}
	}
	if elements["polyline"] != 6 || elements["circle"] != 12 {
		t.Errorf("elements %v", elements)
	}
	if err := (&Report{}).WritePlot(&picture); err != nil {
		t.Errorf("without growth: %v", err)
	}
}
