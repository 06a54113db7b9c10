// Package config names every setting of the commands: its flag, its environment
// variable, its default, what it means and which values it may have.
//
// Purpose: one struct for each group of commands. The struct tags are for the flag
// parser of cmd/kort; Validate says everything that is wrong with a struct at once,
// in terms of the flag and of the variable, and what would be right.
//
// Non-goals: it parses no flags, reads no environment and opens no file; cmd/kort is
// the only one that does.
//
// The surprising decision: hardly any setting has a default that serves production.
// An issuer or a public URL that was guessed is an authorization rule that nobody
// chose, so without --dev those that matter are errors when missing.
package config

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// Secret is a setting that must not be seen: printing and logging it give
// "[redacted]", Reveal alone gives the value.
type Secret string

// Reveal returns the clear value.
func (s Secret) Reveal() string { return string(s) }

// Format hides the value from every verb.
func (Secret) Format(state fmt.State, _ rune) {
	// fmt.State collects in memory and a Formatter has no way to report an error.
	_, _ = io.WriteString(state, hidden)
}

// MarshalText hides the value from encoding/json and slog.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

const hidden = "[redacted]"

// Problem is one setting that is missing or wrong.
type Problem struct {
	// Setting names it, as Name does. It is empty for advice on the whole.
	Setting string
	// Reason says what is wrong and what would be right. It never holds a secret.
	Reason string
}

// Problems are all that is wrong with the settings of a command. There is at least one.
type Problems []Problem

// Error has a line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = strings.TrimPrefix(problem.Setting+": "+problem.Reason, ": ")
	}
	return strings.Join(lines, "\n")
}

// err is nil where there is no problem: a Problems in an error variable never is.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// add notes a problem with the setting of a flag.
func (p *Problems) add(flag, reason string) {
	*p = append(*p, Problem{Setting: Name(flag), Reason: reason})
}

// Name names the setting of a flag in both ways that it can be given in, such as
// "--data-dir (KORT_DATA_DIR)".
func Name(flag string) string { return "--" + flag + " (" + EnvOf(flag) + ")" }

// EnvOf is the environment variable of a flag that has one.
func EnvOf(flag string) string {
	return "KORT_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

var accountPattern = regexp.MustCompile(`^[PT][0-9]{8}$`)

// addAccount checks an account id. The flag has no environment variable: the account
// of a command is a choice of the moment.
func (p *Problems) addAccount(account string) {
	if !accountPattern.MatchString(account) {
		*p = append(*p, Problem{
			Setting: "--account", Reason: "must be P (live) or T (test) and eight digits, such as T12345678",
		})
	}
}
