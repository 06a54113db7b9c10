package main

import (
	"fmt"
	"os"
	"strings"
)

// reasons says why a mutant may survive, by [mutant.key].
type reasons map[string]string

// readReasons reads lines of `file function: source line: was -> text # reason`. Empty lines
// and lines that begin with # are left out; without a name there are no reasons.
func readReasons(name string) (reasons, error) {
	known := reasons{}
	if name == "" {
		return known, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		at := strings.Index(line, " # ")
		if at < 0 {
			return nil, fmt.Errorf("%s:%d: no reason, which follows ` # `", name, i+1)
		}
		known[strings.TrimSpace(line[:at])] = line[at+3:]
	}
	return known, nil
}
