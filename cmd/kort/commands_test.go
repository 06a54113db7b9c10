package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/kortwallet/kort/pkg/config"
)

func model(t *testing.T) *kong.Application {
	t.Helper()
	parser, err := newParser(&commands{}, &terminal{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model
}

// Each command and each flag explains itself, and the variable of a flag can be told
// from its name, or from the names of its command and itself.
func TestEverythingHasHelp(t *testing.T) {
	t.Parallel()
	for _, command := range model(t).Leaves(false) {
		if command.Help == "" {
			t.Errorf("%s has no help", command.FullPath())
		}
		for _, flag := range command.Flags {
			if flag.Help == "" {
				t.Errorf("%s --%s has no help", command.FullPath(), flag.Name)
			}
			if !command.Hidden && !flag.IsBool() && flag.PlaceHolder == "" {
				t.Errorf("%s --%s has no placeholder", command.FullPath(), flag.Name)
			}
			variables := []string{config.EnvOf(flag.Name), config.EnvOf(command.Name + "-" + flag.Name)}
			if len(flag.Envs) > 0 && !slices.Contains(variables, flag.Envs[0]) {
				t.Errorf("%s --%s has the variable %s, want one of %v", command.FullPath(), flag.Name, flag.Envs[0], variables)
			}
		}
		for _, positional := range command.Positional {
			if positional.Help == "" {
				t.Errorf("%s %s has no help", command.FullPath(), positional.Name)
			}
		}
		kort(t, append(strings.Fields(command.Path()), "--help")...).want(t, exitOK, "Usage: "+command.FullPath(), command.Help)
	}
}

// All that a server can be told can be told by the environment.
func TestServeSettingsHaveVariables(t *testing.T) {
	t.Parallel()
	for _, command := range model(t).Leaves(false) {
		for _, flag := range command.Flags {
			if command.Name == "serve" && len(flag.Envs) == 0 && flag.Name != "help" {
				t.Errorf("--%s has no environment variable", flag.Name)
			}
		}
	}
}

func TestNoCommandShowsHelp(t *testing.T) {
	t.Parallel()
	kort(t).want(t, exitUsage, "Usage: kort <command>", "serve --dev")
	kort(t, "--help").want(t, exitOK, "Usage: kort <command>")
}

func TestReadmeHasTheTableOfSettings(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Log("there is no README.md yet")
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	want, err := replaceTable(readme, configTable(model(t)))
	if err != nil {
		t.Fatalf("README.md: %v", err)
	}
	if !bytes.Equal(readme, want) {
		t.Error("the table in README.md is not up to date: go run ./cmd/kort config-table --update README.md")
	}
}

func TestConfigTable(t *testing.T) {
	t.Parallel()
	printed := kort(t, "config-table")
	printed.want(t, exitOK, "| `--addr` | `KORT_ADDR` | `localhost:8080` |", "| `--require-pin` | `KORT_REQUIRE_PIN` | off |", "KORT_DATA_KEY`")

	path := filepath.Join(t.TempDir(), "README.md")
	writeFile(t, path, "before\n"+tableBegin+"\nold\n"+tableEnd+"\nafter\n", 0o644)
	for range 2 { // a second time changes nothing
		kort(t, "config-table", "--update="+path).want(t, exitOK)
		if got, want := readFile(t, path), "before\n"+tableBegin+"\n"+printed.stdout+tableEnd+"\nafter\n"; got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	writeFile(t, path, "no table here\n", 0o644)
	kort(t, "config-table", "--update="+path).want(t, exitFailure, tableBegin)
}

func TestVersion(t *testing.T) {
	t.Parallel()
	kort(t, "version").want(t, exitOK, "kort ", "go1.")
	built := &debug.BuildInfo{
		Main:     debug.Module{Version: "v1.2.3"},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}},
	}
	if got := describe(built); !strings.HasPrefix(got, "v1.2.3, commit abc with changes, go1.") {
		t.Errorf("got %q", got)
	}
	if got := describe(&debug.BuildInfo{}); !strings.HasPrefix(got, "(devel), go1.") {
		t.Errorf("got %q", got)
	}
}

func TestShellQuote(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"/usr/bin/kort": "/usr/bin/kort", "": "''", "my data": "'my data'", "it's": `'it'\''s'`, "a$b": "'a$b'", "ø": "'ø'",
	} {
		if got := shellQuote(word); got != want {
			t.Errorf("shellQuote(%q) is %s, want %s", word, got, want)
		}
	}
	if got := invocation("/tmp/go-build123/b001/exe/kort"); got != "go run ./cmd/kort" {
		t.Errorf("got %q for what go run has built", got)
	}
}
