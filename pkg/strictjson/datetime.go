package strictjson

import "time"

const (
	minDateTimeBytes = len("2006-01-02T15:04:05Z")
	// maxDateTimeBytes leaves room for far more fraction digits than any clock has.
	maxDateTimeBytes = 64
)

// isDateTime reports whether the text is a real instant of RFC 3339 with a zone.
// time.Parse knows the calendar but is lenient about the form, so the form comes
// first. An instant whose year in UTC has not four digits could not be written
// back.
func isDateTime(b text) bool {
	if len(b) < minDateTimeBytes || len(b) > maxDateTimeBytes || !hasDateTimeForm(b) {
		return false
	}
	t, err := time.Parse(time.RFC3339, string(b))
	if err != nil {
		return false
	}
	year := t.UTC().Year()
	return t.Year() >= 1 && year >= 1 && year <= 9999
}

// hasDateTimeForm excludes what time.Parse lets pass: hours of one digit, a comma
// before the fraction, zones of 24 hours or 60 minutes.
func hasDateTimeForm(b text) bool {
	const hourEnd, secondEnd = len("2006-01-02T15"), len("2006-01-02T15:04:05")
	if b[hourEnd] != ':' || b[secondEnd] == ',' {
		return false
	}
	if b[len(b)-1] == 'Z' {
		return true
	}
	zone := string(b[len(b)-len("07:00"):])
	return zone[:2] <= "23" && zone[3:] <= "59"
}
