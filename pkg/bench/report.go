package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is the outcome of a benchmark. Its JSON holds every run.
type Report struct {
	Version     string    `json:"version"`
	Started     time.Time `json:"started"` // UTC
	Machine     Machine   `json:"machine"`
	Connections int       `json:"connections"`
	Cards       int       `json:"cards"`
	RunCount    int       `json:"runs"`
	RunSeconds  float64   `json:"run_seconds"`
	// PostgresSettings are not those of a new installation.
	PostgresSettings []string       `json:"postgres_settings,omitempty"`
	Engines          []EngineResult `json:"engines"`
	// Others were measured on databases and servers of their own.
	Others []OtherResult `json:"others,omitempty"`
	// Rows are the figures beside their targets.
	Rows []Row `json:"targets"`
	// Lists are the figures of each list.
	Lists []ListResult `json:"lists,omitempty"`
	// Overload and Growth are the figures of these parts.
	Overload []OverloadResult `json:"overload,omitempty"`
	Growth   []GrowthPoint    `json:"growth,omitempty"`
}

// EngineResult is what one engine showed.
type EngineResult struct {
	Engine     Engine `json:"engine"`
	Database   string `json:"database"`   // name and version
	Durability string `json:"durability"` // the settings that decide about it
	Durable    bool   `json:"durable"`

	Workloads []Result `json:"workloads"`
	Baselines []Result `json:"baselines"`
	// Transactions were acknowledged by the server, found in the database, and
	// audited without findings.
	Transactions int64 `json:"audited_transactions"`
}

// OtherResult is what a workload showed that has a server of its own.
type OtherResult struct {
	Engine Engine `json:"engine,omitempty"`
	Result
}

// keep keeps such results.
func (r *Report) keep(engine Engine, results []Result) {
	for _, result := range results {
		r.Others = append(r.Others, OtherResult{Engine: engine, Result: result})
	}
}

// Result is what one workload showed.
type Result struct {
	Name   string    `json:"name"`
	Title  string    `json:"title"`
	Median Figures   `json:"median"`
	Runs   []Figures `json:"runs"`
	// Baseline names what a workload is compared with, and Ratio is requests per
	// second divided by the baseline's. Some workloads have none.
	Baseline string  `json:"baseline,omitempty"`
	Ratio    float64 `json:"ratio_to_baseline,omitempty"`
}

// find returns a result by its name, or nil.
func (e *EngineResult) find(name string) *Result {
	if name == "" { // as the baseline of a workload that has none
		return nil
	}
	for _, results := range [][]Result{e.Workloads, e.Baselines} {
		if i := slices.IndexFunc(results, func(r Result) bool { return r.Name == name }); i >= 0 {
			return &results[i]
		}
	}
	return nil
}

// compare fills in the ratios.
func (e *EngineResult) compare() {
	for i := range e.Workloads {
		w := &e.Workloads[i]
		if base := e.find(w.Baseline); base != nil && base.Median.PerSecond > 0 {
			w.Ratio = w.Median.PerSecond / base.Median.PerSecond
		}
	}
}

// columns are the heads of the table. The last one compares with the baseline.
const columns = "\trequests/s\tp50 ms\tp99 ms\tp99.9 ms\tmax ms\terrors\tserver CPU µs/request\tpeak MiB\t÷ baseline\t\n"

// Write writes the report for people.
func (r *Report) Write(out io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "kort %s\n%s\n", r.Version, r.Machine.line())
	fmt.Fprintf(&text, "connections: %d, cards: %d, runs: %d of %s each (medians; max is that of all); load generator on the same machine\n",
		r.Connections, r.Cards, r.RunCount, time.Duration(r.RunSeconds*float64(time.Second)))
	if len(r.PostgresSettings) > 0 {
		fmt.Fprintf(&text, "PostgreSQL with %s\n", strings.Join(r.PostgresSettings, ", "))
	}
	for i := range r.Engines {
		if err := r.Engines[i].write(&text); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	for _, write := range []func(io.Writer) error{r.writeLists, r.writeRows} {
		if err := write(&text); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	if _, err := io.WriteString(out, text.String()); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// line describes the machine.
func (m Machine) line() string {
	parts := []string{fmt.Sprintf("%d cores", m.Cores)}
	if m.CPU != "" {
		parts = append(parts, m.CPU)
	}
	if m.Filesystem != "" {
		parts = append(parts, "temporary data on "+m.Filesystem)
	}
	return strings.Join(parts, ", ")
}

func (e *EngineResult) write(out *strings.Builder) error {
	fmt.Fprintf(out, "\n%s, %s\n", e.Database, e.Durability)
	if !e.Durable {
		fmt.Fprint(out, "NOT DURABLE: a crash of the machine loses acknowledged transactions, so these figures say little.\n")
	}
	// Names go to the left, which needs a table of its own beside the numbers.
	var numbers strings.Builder
	table := tabwriter.NewWriter(&numbers, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, columns)
	rows := slices.Concat(e.Workloads, e.Baselines)
	width := 0
	for _, row := range rows {
		fmt.Fprint(table, row.cells())
		width = max(width, len(row.Title))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSuffix(numbers.String(), "\n"), "\n")
	fmt.Fprintf(out, "%*s%s\n", width, "", lines[0])
	for i, row := range rows {
		fmt.Fprintf(out, "%-*s%s\n", width, row.Title, lines[i+1])
	}
	fmt.Fprintf(out, "%d transactions acknowledged, found in the database, and audited without findings.\n", e.Transactions)
	return nil
}

// cells are a row of the table, without the name.
func (r Result) cells() string {
	f := r.Median
	latencies := strings.Join([]string{
		milliseconds(f.P50Micros), milliseconds(f.P99Micros), milliseconds(f.P999Micros), milliseconds(f.MaxMicros),
	}, "\t")
	if f.MeanMicros > 0 {
		latencies = "mean " + milliseconds(f.MeanMicros) + "\t–\t–\t–"
	}
	return fmt.Sprintf("\t%.0f\t%s\t%d\t%s\t%s\t%s\t\n", f.PerSecond, latencies, f.Errors,
		known("%.0f", f.ServerCPUMicros), known("%.0f", f.PeakBytes/(1<<20)), known("%.2f", r.Ratio))
}

func milliseconds(micros float64) string { return fmt.Sprintf("%.2f", micros/1000) }

// known leaves out what could not be measured.
func known(format string, value float64) string {
	if value == 0 {
		return "–"
	}
	return fmt.Sprintf(format, value)
}
