package main

import (
	"strings"
	"testing"

	"github.com/kortwallet/kort/pkg/pgtest"
)

func TestRun(t *testing.T) {
	const server = "postgres://user@db.example/postgres"
	const says = `printf 'url=%s' "$` + pgtest.EnvURL + `"; `
	tests := []struct {
		name    string
		env     map[string]string
		command []string
		code    int
		stdout  []string // what it must hold; "!" before what it must not
		stderr  string
	}{
		{
			"a server to share", map[string]string{pgtest.EnvURL: server},
			[]string{"sh", "-c", says}, 0, []string{"url=" + server, "!NOTE"}, "",
		},
		{
			"the command's exit code", map[string]string{pgtest.EnvURL: server},
			[]string{"sh", "-c", "exit 7"}, 7, nil, "",
		},
		{
			"left out", map[string]string{pgtest.EnvPolicy: "off"},
			[]string{"sh", "-c", says + "exit 3"}, 3, []string{"url=\n", "NOTE: PostgreSQL tests left out"}, "",
		},
		{
			"a setting that is wrong", map[string]string{pgtest.EnvPolicy: "of"},
			[]string{"sh", "-c", says}, 1, []string{"!url"}, pgtest.EnvPolicy + " must be",
		},
		{
			"no such command", map[string]string{pgtest.EnvURL: server},
			[]string{"/does/not/exist"}, 1, nil, "no such file",
		},
		{
			"killed", map[string]string{pgtest.EnvURL: server},
			[]string{"sh", "-c", "kill -9 $$"}, 1, nil, "killed",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, name := range []string{"CI", pgtest.EnvURL, pgtest.EnvPolicy} {
				t.Setenv(name, test.env[name])
			}
			var stdout, stderr strings.Builder
			if code := run(t.Context(), test.command, &stdout, &stderr); code != test.code {
				t.Errorf("exit code %d, want %d; %s", code, test.code, stderr.String())
			}
			for _, part := range test.stdout {
				part, unwanted := strings.CutPrefix(part, "!")
				if strings.Contains(stdout.String(), part) == unwanted {
					t.Errorf("printed %q, which should hold %q: %v", stdout.String(), part, !unwanted)
				}
			}
			if !strings.Contains(stderr.String(), test.stderr) {
				t.Errorf("complained %q, want %q", stderr.String(), test.stderr)
			}
		})
	}
}
