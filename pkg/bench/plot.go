package bench

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// The picture, in pixels.
const (
	plotWidth, plotHeight = 760, 400
	plotLeft, plotRight   = 70, 170
	plotTop, plotBottom   = 40, 60
	plotSteps             = 5 // of the scale
)

// line is one line of a plot: a value for each size.
type line struct {
	name, color, dash string
	values            []float64
}

// WritePlot draws throughput over the size of the database as SVG. There is nothing to
// draw where growth was not measured.
func (r *Report) WritePlot(out io.Writer) error {
	lines, sizes := growthLines(r.Growth)
	var text strings.Builder
	fmt.Fprintf(&text, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">
<rect width="100%%" height="100%%" fill="#fff"/>
<text x="%d" y="22" font-size="15" fill="#222">Requests per second as the database grows</text>
`, plotWidth, plotHeight, plotLeft)
	top := scaleTop(lines)
	for step := range plotSteps + 1 {
		value := top * float64(step) / plotSteps
		fmt.Fprintf(&text, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end" fill="#555">%.0f</text>`+"\n",
			plotLeft, plotY(value, top), plotWidth-plotRight, plotLeft-8, plotY(value, top)+4, value)
	}
	for i, label := range sizes {
		for row, part := range strings.Split(label, "\n") {
			fmt.Fprintf(&text, `<text x="%.1f" y="%d" text-anchor="middle" fill="#555">%s</text>`+"\n",
				plotX(i, len(sizes)), plotHeight-plotBottom+20+row*16, part)
		}
	}
	for i, l := range lines {
		l.draw(&text, top, i)
	}
	text.WriteString("</svg>\n")
	if _, err := io.WriteString(out, text.String()); err != nil {
		return fmt.Errorf("write the plot: %w", err)
	}
	return nil
}

// draw draws a line, its points, and its entry of the key.
func (l line) draw(text *strings.Builder, top float64, place int) {
	points := make([]string, len(l.values))
	for i, value := range l.values {
		x, y := plotX(i, len(l.values)), plotY(value, top)
		points[i] = fmt.Sprintf("%.1f,%.1f", x, y)
		fmt.Fprintf(text, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x, y, l.color)
	}
	fmt.Fprintf(text, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2" stroke-dasharray="%s"/>`+"\n",
		strings.Join(points, " "), l.color, l.dash)
	y := plotTop + 10 + place*22
	fmt.Fprintf(text, `<path d="M%d %dh24" stroke="%s" stroke-width="2" stroke-dasharray="%s"/><text x="%d" y="%d" fill="#222">%s</text>`+"\n",
		plotWidth-plotRight+14, y, l.color, l.dash, plotWidth-plotRight+44, y+4, l.name)
}

// growthLines sorts the points into lines, and names the sizes.
func growthLines(points []GrowthPoint) (lines []line, sizes []string) {
	const solid, dashed, dotted = "none", "6 4", "2 4"
	colors := map[Engine]string{SQLite: "#0a7d5a", Postgres: "#2b5fb3"}
	names := map[Engine]string{SQLite: "SQLite", Postgres: "PostgreSQL"}
	for i := 0; i < len(points); {
		engine := points[i].Engine
		spread := line{name: names[engine] + ", spread", color: colors[engine], dash: solid}
		byHand := line{name: names[engine] + ", by hand", color: colors[engine], dash: dotted}
		hot := line{name: names[engine] + ", one card", color: colors[engine], dash: dashed}
		sizes = nil
		for ; i < len(points) && points[i].Engine == engine; i++ {
			spread.values, hot.values = append(spread.values, points[i].Spread), append(hot.values, points[i].Hot)
			byHand.values = append(byHand.values, points[i].ByHand)
			sizes = append(sizes, fmt.Sprintf("%s cards\n%s transactions", grouped(int64(points[i].Cards)), grouped(points[i].Transactions)))
		}
		lines = append(lines, spread, hot, byHand)
	}
	return lines, sizes
}

// scaleTop is a round number above all values.
func scaleTop(lines []line) float64 {
	highest := 1.0
	for _, l := range lines {
		for _, value := range l.values {
			highest = max(highest, value)
		}
	}
	unit := math.Pow(10, math.Floor(math.Log10(highest)))
	return math.Ceil(highest/unit*2) / 2 * unit
}

func plotX(i, n int) float64 {
	const width = plotWidth - plotLeft - plotRight
	return plotLeft + width*(float64(i)+0.5)/float64(n)
}

func plotY(value, top float64) float64 {
	const height = plotHeight - plotTop - plotBottom
	return plotHeight - plotBottom - height*value/top
}

// grouped writes a number with spaces between thousands.
func grouped(n int64) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + " " + digits[i:]
	}
	return digits
}
