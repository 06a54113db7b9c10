package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/kortwallet/kort/pkg/config"
)

//go:generate go run . config-table --update ../../README.md

// Between these lines of a Markdown file stands the table.
const (
	tableBegin = "<!-- config:begin -->"
	tableEnd   = "<!-- config:end -->"
)

// configTableCmd is `kort config-table`, which writes documentation.
type configTableCmd struct {
	Update string `name:"update" placeholder:"FILE" help:"Replace the table in a Markdown file, between the lines <!-- config:begin --> and <!-- config:end -->, instead of printing it."`
}

// Run prints the table or puts it into a file.
func (c *configTableCmd) Run(term *terminal, parser *kong.Kong) error {
	table := configTable(parser.Model)
	if c.Update == "" {
		term.printf("%s", table)
		return nil
	}
	before, err := os.ReadFile(c.Update)
	if err != nil {
		return fmt.Errorf("update the table of settings: %w", err)
	}
	after, err := replaceTable(before, table)
	if err != nil {
		return fmt.Errorf("update %s: %w", c.Update, err)
	}
	if bytes.Equal(before, after) {
		return nil
	}
	// #nosec G306 -- documentation is for everybody
	if err := os.WriteFile(c.Update, after, 0o644); err != nil {
		return fmt.Errorf("update the table of settings: %w", err)
	}
	return nil
}

var errNoMarkers = errors.New("it has no lines " + tableBegin + " and " + tableEnd)

// replaceTable puts a table between the markers of a document.
func replaceTable(document []byte, table string) ([]byte, error) {
	head, rest, begins := strings.Cut(string(document), tableBegin)
	_, tail, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		return nil, errNoMarkers
	}
	return []byte(head + tableBegin + "\n" + table + tableEnd + tail), nil
}

// configTable lists, in Markdown, every setting of serve, in the order of its help.
// The other commands share some of them and have no variables of their own, but for
// what is about benchmarks.
func configTable(app *kong.Application) string {
	var table strings.Builder
	table.WriteString("| flag | environment | default | meaning |\n|---|---|---|---|\n")
	for _, command := range app.Leaves(true) {
		if command.Name != "serve" {
			continue
		}
		for _, flag := range command.Flags {
			if len(flag.Envs) > 0 {
				fmt.Fprintf(&table, "| `--%s` | `%s` | %s | %s |\n", flag.Name, flag.Envs[0], defaultCell(flag), escapeCell(flag.Help))
			}
		}
	}
	fmt.Fprintf(&table, "| | `%s` | | %s |\n", config.EnvDataKey,
		"The data key itself, in place of a file: 64 hexadecimal digits or base64; several with commas, the current one first. There is no flag: other users can read a command line.")
	fmt.Fprintf(&table, "| | `%s` | | %s |\n", config.EnvOTLPEndpoint,
		"Address of an OpenTelemetry collector to send traces to, over HTTP, such as http://localhost:4318. The other standard OTEL_ variables count as well. There are no flags.")
	return table.String()
}

func defaultCell(flag *kong.Flag) string {
	switch {
	case flag.IsBool():
		return "off"
	case flag.Default == "":
		return ""
	}
	return "`" + flag.Default + "`"
}

func escapeCell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
