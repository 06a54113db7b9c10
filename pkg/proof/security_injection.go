package proof

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// mark is in everything that is injected, so that it is found wherever it turns up. No
	// request id may have all of its characters: a sane one is repeated, as the contract says.
	mark = "qzx7~injected"
	// placeholder is what stands in a body where something is to be injected.
	placeholder = "@@injected@@"
	// scratch is the account that injections are tried in.
	scratch = "T13572468"
	// freshEvery is after how many injections the account gets a new card and new
	// connections: some delete them.
	freshEvery = 40
)

// poison is what is injected: as it goes into a header or, escaped, into an address; and
// as a JSON string.
type poison struct{ text, literal string }

// poisons are texts that mean something to somebody behind the server.
func poisons() []poison {
	texts := []string{
		"' OR '1'='1' -- M", "M'; DROP TABLE cards; --", `M" UNION SELECT null, null --`, "'||pg_sleep(9)||'M", "M'||(SELECT 1)||'",
		"$1 M", "?M", ":aid M", "M::int", "-- M", "/*M*/", `M\`, `\'M`, "E'\\x41'M", "M;ATTACH DATABASE '/tmp/x' AS x;", "load_extension('M')",
		"%M%", "%_M_%", "M%' ESCAPE '", "[M]*", "M\x00", "\x00M", "M\x00.png",
		"M\n{\"level\":\"ERROR\",\"msg\":\"forged\"}", "M\r\nX-Injected: 1", "M\r", "\x1b[31mM\x1b[0m", "\x1b]0;M\x07", "M\b\b\b", "M\x7f", "M\u0085", "M\u009b31m",
		`"}{"M":"`, `M","level":"ERROR`, "M\u2028\u2029", "\u202eM", "\ufeffM", "M\ufffd", "M\U000e0041", "é" + "M", "e\u0301M", "M😀",
		"\xc0\xafM", "M\xc0\x80", "\xe0\x80\xafM", "M\xf4\x90\x80\x80", "M\xed\xa0\x80", "M\xe2\x82", "M\xff\xfe", "\xf8\x88\x80\x80\x80M",
		"${jndi:ldap://127.0.0.1/M}", "{{M}}", "$(M)", "`M`", "<script>M</script>", "../../../etc/passwd M", "..\\..\\M", "..%2f..%2fM", "%00M", "%zzM",
		"M %s %d %v %n", "&M=1", "M#", "M?x=y", ";M", "[object M]", "NaN M", " M", "M ", "\u00a0M", "\u3000M",
		strings.Repeat("M ", 40), strings.Repeat("M ", 2000), "M" + strings.Repeat("'", 250), "M" + strings.Repeat("\u0301", 200),
	}
	all := make([]poison, 0, len(texts))
	for _, text := range texts {
		text = strings.ReplaceAll(text, "M", mark)
		literal := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"` // control characters stay as they are
		all = append(all, poison{text, literal})
		if escaped, err := json.Marshal(text); err == nil && utf8.ValidString(text) && string(escaped) != literal {
			all = append(all, poison{text, string(escaped)})
		}
	}
	for _, literal := range []string{`"\ud800M"`, `"M\udc00"`, `"\udc00\ud800M"`, `"M\ud83d"`, `"\u0000M"`, `"M\u001b[0m"`, `"\xM"`, `"\u00M"`, `"M`, `M`, `{"M":1}`, `["M"]`} {
		literal = strings.ReplaceAll(literal, "M", mark)
		all = append(all, poison{mark + "!", literal})
	}
	return all
}

// spot is where something can be injected.
type spot struct {
	probe
	// kind is path, query, leaf or header; name says which, and leaf which in the order of
	// the body.
	kind, name string
	leaf       int
}

// spots are all there are.
func (i *intruder) spots() []spot {
	var all []spot
	for _, o := range i.operations {
		for _, p := range o.probes() {
			if p.query == "" && p.body != nil {
				for leaf := range countTexts(p.body) + 2 { // and a member nobody knows, and metadata
					all = append(all, spot{probe: p, kind: "leaf", leaf: leaf})
				}
			}
		}
		first := o.probes()[0]
		for _, name := range o.pathNames {
			all = append(all, spot{probe: first, kind: "path", name: name})
		}
		for _, name := range append([]string{"unknown"}, o.allQueryNames...) {
			all = append(all, spot{probe: first, kind: "query", name: name})
		}
		for _, name := range []string{
			"X-Request-Id", "User-Agent", "Referer", "X-Forwarded-For", "Accept", "Accept-Encoding", "Content-Type", "Origin", "Cookie",
			"Idempotency-Key", "Traceparent", "Authorization", "If-None-Match", "Range", "Expect", "X-HTTP-Method-Override",
		} {
			all = append(all, spot{probe: first, kind: "header", name: name})
		}
		all = append(all, spot{probe: first, kind: "method"})
	}
	return all
}

// injection puts each poison somewhere and something into each spot, and then goes on in
// combinations that are drawn.
func (i *intruder) injection(ctx context.Context) error {
	w := i.wire(0)
	defer w.close()
	bearer, err := i.mint(scratch, "injector")
	if err != nil {
		return err
	}
	all, spots, tried := poisons(), i.spots(), 0
	var values names
	inject := func(s spot, p poison) error {
		if tried%freshEvery == 0 {
			if err := i.disconnect(ctx, w, scratch); err != nil {
				return err
			}
			if values, err = i.equipment(ctx, w, scratch); err != nil {
				return err
			}
		}
		tried++
		i.tampered.Add(1)
		r, err := s.request(p, values)
		if err != nil {
			return err
		}
		_, err = i.ask(ctx, w, r.by(bearer))
		return err
	}
	order := i.random.Perm(len(spots))
	for n := range max(len(spots), len(all)) {
		if err := inject(spots[order[n%len(spots)]], all[n%len(all)]); err != nil {
			return err
		}
	}
	err = i.during(injectionPart, func() error {
		return inject(spots[i.random.IntN(len(spots))], all[i.random.IntN(len(all))])
	})
	i.note("%d injections of %d texts into %d places", tried, len(all), len(spots))
	if err := errors.Join(err, i.disconnect(ctx, w, scratch)); err != nil {
		return err
	}
	return i.checkLog()
}

// request makes the request with a poison in its spot.
func (s spot) request(p poison, values names) (wireRequest, error) {
	filled := s.probe
	if s.kind == "leaf" {
		body := 0
		filled.body = plant(fill(s.body, values.in(scratch)), s.leaf, &body)
	} else if s.body != nil {
		filled.body = fill(s.body, names{"receiver": values["receiver"]}.in(scratch)) // nothing is sent to where examples say
	}
	if s.kind == "path" {
		values = values.with(s.name, "PATH")
	}
	account := scratch
	if s.kind == "path" && s.name == "aid" {
		account = "PATH"
	}
	r, err := filled.unfilled(account, values)
	if err != nil {
		return wireRequest{}, err
	}
	r.marks = []string{mark}
	switch s.kind {
	case "path":
		r.target = strings.Replace(r.target, "PATH", escape(p.text), 1)
	case "query":
		r.target += "?" + s.name + "=" + escape(p.text)
	case "leaf":
		r.body = bytes.ReplaceAll(r.body, []byte(`"`+placeholder+`"`), []byte(p.literal))
	case "header":
		r = r.with(s.name + ": " + p.text)
		r.wild = true
	default:
		r.method, r.wild = strings.ReplaceAll(mark+p.text, " ", "'"), true
	}
	return r, nil
}

// unfilled makes the request with the body as it is.
func (p probe) unfilled(account string, values names) (wireRequest, error) {
	body := p.body
	p.body = nil
	r, err := p.request(account, values)
	if err != nil || body == nil {
		return r, err
	}
	r.body, err = json.Marshal(body)
	return r, err
}

// escape writes all but letters and digits as in an address.
func escape(text string) string {
	var out strings.Builder
	for _, b := range []byte(text) {
		if b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' {
			out.WriteByte(b)
		} else {
			fmt.Fprintf(&out, "%%%02X", b)
		}
	}
	return out.String()
}

// countTexts counts the texts in a value.
func countTexts(value any) (n int) {
	switch v := value.(type) {
	case map[string]any:
		for _, member := range v {
			n += countTexts(member)
		}
	case []any:
		for _, item := range v {
			n += countTexts(item)
		}
	case string:
		n = 1
	}
	return n
}

// plant puts the placeholder in the place of one of the texts; beyond the last, into a
// member that nobody knows, or into metadata.
func plant(body any, leaf int, seen *int) any {
	planted := plantText(body, leaf, seen)
	top, ok := planted.(map[string]any)
	switch past := leaf - *seen; {
	case !ok:
	case past == 0:
		top[placeholder] = placeholder
	case past == 1:
		top["metadata"] = map[string]any{placeholder: placeholder, "list": []any{placeholder}}
	}
	return planted
}

func plantText(value any, leaf int, seen *int) any {
	switch v := value.(type) {
	case map[string]any:
		copied := make(map[string]any, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			copied[name] = plantText(v[name], leaf, seen)
		}
		return copied
	case []any:
		copied := make([]any, len(v))
		for n, item := range v {
			copied[n] = plantText(item, leaf, seen)
		}
		return copied
	case string:
		if *seen++; *seen-1 == leaf {
			return placeholder
		}
	}
	return value
}

// checkLog reads the log of all servers: each line is an object, and none holds what was
// injected.
func (i *intruder) checkLog() error {
	content, err := os.ReadFile(i.site.logFile())
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	lines := bytes.Split(bytes.TrimSpace(content), []byte("\n"))
	for n, line := range lines {
		var record map[string]any
		if err := json.Unmarshal(line, &record); err != nil {
			i.violate("line %d of the log is no JSON object: %s", n+1, shorten(string(line)))
			continue
		}
		if record["msg"] == "forged" || bytes.Contains(line, []byte(mark)) {
			i.violate("line %d of the log holds what was injected: %s", n+1, shorten(string(line)))
		}
	}
	if int64(len(lines)) < i.asked.Load()/2 {
		return fmt.Errorf("the log has %d lines after %d requests, which is too few to show anything", len(lines), i.asked.Load())
	}
	return nil
}
