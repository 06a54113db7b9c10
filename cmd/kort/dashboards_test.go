package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/prometheus/common/expfmt"
	prometheus "github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// exported are the series that a server exports, by name.
type exported map[string]series

// series are the labels of the series with a name, and their values; nil for a label that
// Prometheus adds or that is a number.
type series map[string][]string

// exportedBy scrapes a server to which everything has been done.
func exportedBy(t *testing.T) exported {
	t.Helper()
	database := []string{"--data-dir=" + t.TempDir()}
	server := serveHere(t, dev(database, "--metrics-addr=localhost:0", "--max-queue=1")...)
	defer server.close()
	doEverything(t, server, database)
	textParser := expfmt.NewTextParser(prometheus.LegacyValidation)
	families, err := textParser.TextToMetricFamilies(strings.NewReader(get(t, http.MethodGet, server.metricsURL()+"/metrics").body))
	if err != nil {
		t.Fatal(err)
	}
	all := exported{}
	for name, family := range families {
		names := []string{name}
		if len(family.GetMetric()) > 0 && (family.GetMetric()[0].GetHistogram() != nil || family.GetMetric()[0].GetSummary() != nil) {
			names = []string{name + "_sum", name + "_count", name + "_bucket"}
		}
		for _, name := range names {
			all[name] = series{"job": nil, "instance": nil}
			if strings.HasSuffix(name, "_bucket") {
				all[name]["le"] = nil
			}
			for _, metric := range family.GetMetric() {
				for _, label := range metric.GetLabel() {
					all[name][label.GetName()] = append(all[name][label.GetName()], label.GetValue())
				}
			}
		}
	}
	return all
}

// check says what is wrong with a query: what the parser does not understand, and what
// no server exports. It returns the names of the series in it.
func (e exported) check(query string) (expr parser.Expr, names, wrong []string) {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		return nil, nil, []string{err.Error()}
	}
	known := map[string]bool{}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		selector, is := node.(*parser.VectorSelector)
		if !is || selector.Name == "up" { // Prometheus makes it
			return nil
		}
		names = append(names, selector.Name)
		series, found := e[selector.Name]
		if !found {
			wrong = append(wrong, "nobody exports "+selector.Name)
		}
		for name := range series {
			known[name] = true
		}
		for _, matcher := range selector.LabelMatchers {
			wrong = append(wrong, series.mismatch(selector.Name, matcher)...)
		}
		return nil
	})
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if aggregate, is := node.(*parser.AggregateExpr); is {
			for _, label := range aggregate.Grouping {
				if !known[label] {
					wrong = append(wrong, "no series has the label "+label)
				}
			}
		}
		return nil
	})
	return expr, names, wrong
}

// placeholder is a variable of the dashboard, which stands for any value.
const placeholder = "$instance"

// mismatch says what a selector asks for that a series does not have.
func (s series) mismatch(name string, matcher *labels.Matcher) (wrong []string) {
	if matcher.Name == prometheus.MetricNameLabel {
		return nil
	}
	values, found := s[matcher.Name]
	if !found {
		return []string{name + " has no label " + matcher.Name}
	}
	for value := range strings.SplitSeq(matcher.Value, "|") {
		if values != nil && value != placeholder && !slices.Contains(values, value) {
			wrong = append(wrong, fmt.Sprintf("%s has no %s %s", name, matcher.Name, value))
		}
	}
	return wrong
}

// alert is a rule of the file of alerts.
type alert struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func alerts(t *testing.T) (all []alert) {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []alert
		}
	}
	decoder := yaml.NewDecoder(strings.NewReader(readFile(t, filepath.Join(dashboards, "alerts.yaml"))))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

// dashboards is where the dashboard and the alerts are.
var dashboards = filepath.Join("..", "..", "pkg", "observe", "dashboards")

// panel is a part of the dashboard.
type panel struct {
	Title   string
	Type    string
	GridPos struct{ H, W, X, Y int }
	Targets []struct{ Expr, LegendFormat string }
}

// board is the dashboard.
type board struct {
	Panels     []panel
	Templating struct {
		List []struct{ Name, Type, Query string }
	}
}

func dashboard(t *testing.T) board {
	t.Helper()
	var b board
	if err := json.Unmarshal([]byte(readFile(t, filepath.Join(dashboards, "kort.json"))), &b); err != nil {
		t.Fatal(err)
	}
	return b
}

var rate = strings.NewReplacer("$__rate_interval", "5m")

// legendLabel is a label that a legend shows.
var legendLabel = regexp.MustCompile(`{{(\w+)}}`)

// The dashboard asks for nothing that a server does not export, and shows everything of
// Kort's that it does.
func TestDashboardShowsWhatIsExported(t *testing.T) {
	t.Parallel()
	series := exportedBy(t)
	b := dashboard(t)
	shown := map[string]bool{}
	for _, panel := range b.Panels {
		if (panel.Type == "row") != (len(panel.Targets) == 0) {
			t.Errorf("%s has %d queries", panel.Title, len(panel.Targets))
		}
		for _, target := range panel.Targets {
			expr, names, wrong := series.check(rate.Replace(target.Expr))
			for _, problem := range wrong {
				t.Errorf("%s: %s: %s", panel.Title, target.Expr, problem)
			}
			for _, name := range names {
				shown[name] = true
			}
			for _, found := range legendLabel.FindAllStringSubmatch(target.LegendFormat, -1) {
				if expr != nil && !slices.Contains(series.labelsOf(expr), found[1]) {
					t.Errorf("%s: %s has no label %s for its legend", panel.Title, target.Expr, found[1])
				}
			}
		}
	}
	for _, variable := range b.Templating.List {
		metric, is := strings.CutPrefix(variable.Query, "label_values(")
		metric, _, _ = strings.Cut(metric, ",")
		if _, found := series[metric]; is && !found {
			t.Errorf("the variable %s: nobody exports %s", variable.Name, metric)
		}
	}
	for name := range series {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_sum"), "_count"), "_bucket")
		if strings.HasPrefix(name, "kort_") && !shown[name] && !shown[base+"_bucket"] {
			t.Errorf("no panel shows %s", name)
		}
	}
}

// Panels do not lie on each other.
func TestDashboardHasRoomForEachPanel(t *testing.T) {
	t.Parallel()
	taken := map[[2]int]string{}
	for _, panel := range dashboard(t).Panels {
		for x := range panel.GridPos.W {
			for y := range panel.GridPos.H {
				place := [2]int{panel.GridPos.X + x, panel.GridPos.Y + y}
				if other := taken[place]; other != "" || place[0] >= 24 {
					t.Fatalf("%s lies on %q, or beside the board", panel.Title, other)
				}
				taken[place] = panel.Title
			}
		}
	}
}

// Alerts ask for nothing that a server does not export, and their texts can be filled in.
func TestAlertsAskForWhatIsExported(t *testing.T) {
	t.Parallel()
	series := exportedBy(t)
	names := map[string]bool{}
	for _, a := range alerts(t) {
		if names[a.Alert] || !prometheus.LegacyValidation.IsValidLabelName(a.Alert) {
			t.Errorf("the name %q is missing, wrong or not the only one", a.Alert)
		}
		names[a.Alert] = true
		expr, _, wrong := series.check(a.Expr)
		for _, problem := range wrong {
			t.Errorf("%s: %s", a.Alert, problem)
		}
		if _, err := prometheus.ParseDuration(a.For); a.For != "" && err != nil {
			t.Errorf("%s: for: %v", a.Alert, err)
		}
		if severity := a.Labels["severity"]; severity != "critical" && severity != "warning" {
			t.Errorf("%s has the severity %q", a.Alert, severity)
		}
		if a.Annotations["summary"] == "" || a.Annotations["description"] == "" || expr == nil {
			t.Errorf("%s does not say what is wrong, or what to do", a.Alert)
			continue
		}
		for _, text := range a.Annotations {
			if err := fillIn(text, series.labelsOf(expr)); err != nil {
				t.Errorf("%s: %v", a.Alert, err)
			}
		}
	}
	if len(names) == 0 {
		t.Error("there are no alerts")
	}
}

// fillIn fills in the text of an alert as Prometheus does, with the labels that there are.
func fillIn(text string, names []string) error {
	format := func(value any) string { return fmt.Sprint(value) }
	parsed, err := template.New("").Option("missingkey=error").Funcs(template.FuncMap{
		"humanize": format, "humanizePercentage": format, "humanizeDuration": format,
	}).Parse("{{$labels := .Labels}}{{$value := .Value}}" + text)
	if err != nil {
		return err
	}
	values := map[string]string{}
	for _, name := range names {
		values[name] = "x"
	}
	return parsed.Execute(io.Discard, map[string]any{"Labels": values, "Value": 1.0})
}

// labelsOf are the labels of what a query finds.
func (e exported) labelsOf(expr parser.Expr) []string {
	switch expr := expr.(type) {
	case *parser.ParenExpr:
		return e.labelsOf(expr.Expr)
	case *parser.BinaryExpr:
		return e.labelsOf(expr.LHS)
	case *parser.AggregateExpr:
		return expr.Grouping
	case *parser.MatrixSelector:
		return e.labelsOf(expr.VectorSelector)
	case *parser.VectorSelector:
		if expr.Name == "up" {
			return []string{"job", "instance"}
		}
		return slices.Collect(maps.Keys(e[expr.Name]))
	case *parser.Call:
		return slices.DeleteFunc(slices.Clone(e.labelsOf(expr.Args[len(expr.Args)-1])), func(label string) bool {
			return label == "le" && expr.Func.Name == "histogram_quantile"
		})
	}
	return nil
}

// The checks above find what they are for.
func TestWrongQueriesAreFound(t *testing.T) {
	t.Parallel()
	series := exported{"kort_x_total": {"code": {"a", "b"}, "instance": nil}}
	for query, want := range map[string]string{
		`rate(kort_x_total{code="a"}[5m])`:                       "",
		`sum by (code) (rate(kort_x_total{code=~"a|b"}[5m]))`:    "",
		`rate(kort_x_total{instance=~"$instance"}[5m])`:          "",
		`rate(kort_x_total{code="c"}[5m])`:                       "kort_x_total has no code c",
		`rate(kort_x_total{code!~"a|c"}[5m])`:                    "kort_x_total has no code c",
		`rate(kort_x_total{kode="a"}[5m])`:                       "kort_x_total has no label kode",
		`sum by (kode) (rate(kort_x_total[5m]))`:                 "no series has the label kode",
		`rate(kort_y_total[5m])`:                                 "nobody exports kort_y_total",
		`rate(kort_x_total)`:                                     "expected type range vector",
		`sum(kort_x_total`:                                       "unclosed left parenthesis",
		`rate(kort_x_total[5m]) / rate(kort_y_total{a="b"}[5m])`: "nobody exports kort_y_total",
	} {
		_, _, wrong := series.check(query)
		if text := strings.Join(wrong, "\n"); (want == "") != (text == "") || !strings.Contains(text, want) {
			t.Errorf("%s: found %q, want %q", query, text, want)
		}
	}
	if err := fillIn("{{ $labels.kode }}", []string{"code"}); err == nil {
		t.Error("a text with a label that is not there")
	}
	if err := fillIn("{{ $value | humanise }}", nil); err == nil {
		t.Error("a text with a function that is not there")
	}
}
