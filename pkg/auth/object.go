package auth

import (
	"bytes"
	"encoding/json"
	"io"
	"unicode/utf8"
)

// parseObject reads one JSON object and nothing after it. A member that occurs twice, at any depth, refuses the whole: two
// readers of one token could otherwise see different claims.
func parseObject(data []byte) (object, bool) {
	if !utf8.Valid(data) || !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		return nil, false
	}
	var members object
	if json.Unmarshal(data, &members) != nil {
		return nil, false
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return members, hasUniqueMembers(decoder)
}

// hasUniqueMembers walks over a well-formed document.
func hasUniqueMembers(decoder *json.Decoder) bool {
	// One entry for each open container: the names seen in an object, nil for an array.
	var open []map[string]bool
	isName := false
	for {
		next, err := decoder.Token()
		if err != nil {
			return err == io.EOF
		}
		name, isText := next.(string)
		if isName && isText {
			names := open[len(open)-1]
			if names[name] {
				return false
			}
			names[name], isName = true, false
			continue
		}
		switch next {
		case json.Delim('{'):
			open = append(open, map[string]bool{})
		case json.Delim('['):
			open = append(open, nil)
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		}
		isName = len(open) > 0 && open[len(open)-1] != nil
	}
}
