package house

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// rule says what a package may import besides the standard library and its own
// subpackages.
type rule struct {
	ours    []string // directories of this project
	foreign []string // module or package paths; what lies below is included
}

// anything allows every import of its kind.
var anything = []string{"*"}

// Foreign packages that several rules name.
const (
	uuidModule = "github.com/google/uuid"
	bun        = "github.com/uptrace/bun"
	pgx        = "github.com/jackc/pgx/v5"
	sqlite     = "modernc.org/sqlite"
	echo       = "github.com/labstack/echo/v4"
	kinOpenAPI = "github.com/getkin/kin-openapi"
	runtime    = "github.com/oapi-codegen/runtime"
)

// table is the architecture: cmd → httpapi → posting → repository → ledger, and
// small packages beside the line. A directory without a row of its own has the row
// of the directory above it. Each row has a depguard rule in .golangci.yml.
//
// A uuid is a value like a time: every layer may hold one.
var table = map[string]rule{
	"": {foreign: []string{"github.com/oapi-codegen/oapi-codegen/v2"}}, // tools.go

	"openapi": {},
	"gen":     {foreign: []string{echo, kinOpenAPI, runtime, uuidModule}},
	"db":      {},

	"pkg/ledger":   {foreign: []string{uuidModule}},
	"pkg/posting":  {ours: []string{"pkg/ledger", "pkg/repository", "pkg/cardcode"}, foreign: []string{uuidModule}},
	"pkg/cardcode": {foreign: []string{uuidModule}},
	"pkg/auth":     {ours: []string{"pkg/recent"}, foreign: []string{uuidModule, "github.com/lestrrat-go/jwx/v2"}},
	"pkg/recent":   {},
	"pkg/config":   {},
	"pkg/audit":    {ours: []string{"pkg/ledger", "pkg/repository"}, foreign: []string{uuidModule}},

	"pkg/repository": {
		ours:    []string{"pkg/ledger", "pkg/strictjson", "pkg/recent", "db"},
		foreign: []string{uuidModule, bun, pgx, sqlite, "github.com/gofrs/flock", "golang.org/x/text"},
	},
	// The conformance suite is test code outside of _test files, so that the tests
	// of each engine can run it.
	"pkg/repository/repotest": {
		ours: []string{
			"pkg/repository", "pkg/ledger", "pkg/ledgertest", "pkg/cardcode", "pkg/strictjson", "pkg/pgtest", "db",
		},
		foreign: []string{uuidModule, bun, "pgregory.net/rapid"},
	},
	"pkg/httpapi": {
		ours: []string{
			"gen", "openapi", "pkg/ledger", "pkg/posting", "pkg/repository", "pkg/auth", "pkg/cardcode", "pkg/strictjson", "pkg/identity",
			"pkg/apidocs", "pkg/hooks",
		},
		foreign: []string{uuidModule, echo, kinOpenAPI, runtime, "golang.org/x/time"},
	},

	"pkg/identity": {ours: []string{"pkg/ledger", "pkg/repository", "pkg/auth", "pkg/cardcode"}, foreign: []string{uuidModule}},

	// The control API of the sandbox stands before the API, and reaches past it for what no API may do.
	"pkg/sandbox": {
		ours:    []string{"gen", "pkg/httpapi", "pkg/ledger", "pkg/repository", "pkg/cardcode", "pkg/auth"},
		foreign: []string{uuidModule, echo, kinOpenAPI},
	},

	// What tests of clients import builds the program and talks to it, and links none of it.
	"pkg/kortest": {ours: []string{"gen"}, foreign: []string{"github.com/gofrs/flock"}},

	// What describes the API needs none of its layers.
	"pkg/apidocs": {ours: []string{"openapi"}, foreign: []string{kinOpenAPI, "github.com/swaggest/swgui"}},

	// The benchmark drives a server from outside and audits what it left behind.
	"pkg/bench": {
		ours: []string{
			"gen", "pkg/audit", "pkg/auth", "pkg/cardcode", "pkg/config", "pkg/ledger", "pkg/pgtest", "pkg/repository",
		},
		foreign: []string{uuidModule, bun, pgx, sqlite},
	},

	// The proof attacks servers from outside and looks at nothing but their answers.
	"pkg/proof": {
		ours:    []string{"openapi", "pkg/auth", "pkg/cardcode", "pkg/config", "pkg/pgtest", "pkg/repository", "pkg/tamper"},
		foreign: []string{pgx, sqlite, kinOpenAPI, "github.com/anishathalye/porcupine", "golang.org/x/sync"}, // it locks the file of a server
	},
	// It shares nothing with a server but the contract and what was generated from it.
	"pkg/conformance": {ours: []string{"gen/client", "openapi"}, foreign: []string{kinOpenAPI}},
	// It starts servers that were built to break a rule.
	"pkg/conformance/broken": {ours: []string{"pkg/conformance", "pkg/auth"}},
	// What others build on has as little as it can below it.
	"pkg/client": {
		ours: []string{"gen/client"}, foreign: []string{uuidModule, "github.com/standard-webhooks/standard-webhooks/libraries"},
	},
	// The scenario of the generated Go client, beside those in TypeScript.
	"pkg/integrators": {ours: []string{"gen/client"}, foreign: []string{uuidModule}},
	// A proof command tampers with a database of its own, past the store.
	"pkg/tamper": {ours: []string{"pkg/audit", "pkg/ledger", "pkg/repository"}, foreign: []string{uuidModule}},
	// It tells others what the ledger has committed.
	"pkg/hooks":    {ours: []string{"pkg/ledger", "pkg/repository", "pkg/cardcode"}, foreign: []string{uuidModule}},
	"pkg/keywatch": {ours: []string{"pkg/ledger", "pkg/repository", "pkg/cardcode"}},

	// It turns what the parts of a server report into metrics and traces.
	"pkg/observe": {
		ours:    []string{"gen", "pkg/hooks", "pkg/httpapi", "pkg/ledger", "pkg/posting"},
		foreign: []string{"github.com/prometheus/client_golang", "go.opentelemetry.io/otel"},
	},

	"pkg/ledgertest": {ours: []string{"pkg/ledger"}, foreign: []string{uuidModule, "pgregory.net/rapid"}},

	"pkg/strictjson":          {},
	"pkg/pgtest":              {foreign: []string{pgx}},
	"pkg/pgtest/withpostgres": {ours: []string{"pkg/pgtest"}},
	"pkg/house":               {},
	"pkg/house/mutate":        {ours: []string{"pkg/pgtest"}, foreign: []string{"golang.org/x/sync"}},

	"cmd/kort": {ours: anything, foreign: anything},
}

// forTests are the packages that serve tests and benchmarks only.
var forTests = []string{"pkg/bench", "pkg/proof", "pkg/pgtest", "pkg/ledgertest", "pkg/repository/repotest", "pkg/house", "pkg/conformance/broken", "pkg/integrators"}

func TestImports(t *testing.T) {
	t.Parallel()
	for _, violation := range wrongImports(t, readTree(t, projectRoot)) {
		t.Error(violation)
	}
}

// The linter has the same table in its own words; a row that only one of them has
// would be half a rule.
func TestEachRowHasADepguardRule(t *testing.T) {
	t.Parallel()
	config, err := os.ReadFile(filepath.Join(projectRoot, ".golangci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for dir, row := range table {
		if dir == "" || dir == "gen" || len(row.ours) > 0 && row.ours[0] == "*" {
			continue // never built; never linted; free
		}
		if header := "\n        " + strings.ReplaceAll(dir, "/", "-") + ":\n"; !strings.Contains(string(config), header) {
			t.Errorf(".golangci.yml has no depguard rule %q", strings.TrimSpace(header))
		}
	}
}

func TestWrongImportsAreFound(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, file, imported, want string }{
		{"a core with SQL", "pkg/ledger/book.go", modulePath + "/pkg/repository", "pkg/repository"},
		{"a core with a driver", "pkg/ledger/book.go", pgx + "/pgconn", "pgconn"},
		{"a core with an id", "pkg/ledger/book.go", uuidModule, ""},
		{"the standard library", "pkg/ledger/book.go", "encoding/json", ""},
		{"a layer upwards", "pkg/posting/queue.go", modulePath + "/pkg/httpapi", "pkg/httpapi"},
		{"a layer downwards", "pkg/posting/queue.go", modulePath + "/pkg/ledger", ""},
		{"a name that starts alike", "pkg/posting/queue.go", modulePath + "/pkg/ledgerbook", "pkg/ledgerbook"},
		{"a module that starts alike", "pkg/ledger/book.go", uuidModule + "x", "uuidx"},
		{"a subpackage of an allowed one", "pkg/httpapi/server.go", modulePath + "/gen/api", ""},
		{"its own subpackage", "pkg/auth/verifier.go", modulePath + "/pkg/auth/keyset", ""},
		{"a subpackage has its parent's row", "pkg/auth/keyset/keyset.go", pgx, "pgx"},
		{"anything in the command", "cmd/kort/serve.go", "example.com/anything", ""},
		{"a command in a package", "pkg/audit/audit.go", modulePath + "/cmd/kort", "cmd/kort"},
		{"a command in a test", "pkg/audit/audit_test.go", modulePath + "/cmd/kort", "cmd/kort"},
		{"a test reaches further", "pkg/audit/audit_test.go", modulePath + "/pkg/posting", ""},
		{"a test with a library of its own", "pkg/ledger/book_test.go", "pgregory.net/rapid", ""},
		{"pgtest in a test", "pkg/posting/queue_test.go", modulePath + "/pkg/pgtest", ""},
		{"pgtest in a benchmark command", "cmd/kort/bench.go", modulePath + "/pkg/pgtest", ""},
		{"pgtest in the server", "cmd/kort/serve.go", modulePath + "/pkg/pgtest", "pkg/pgtest"},
		{"pgtest in a layer", "pkg/repository/store.go", modulePath + "/pkg/pgtest", "pkg/pgtest"},
		{"the model in the server", "cmd/kort/serve.go", modulePath + "/pkg/ledgertest", "pkg/ledgertest"},
		{"a package without a row", "pkg/loyalty/points.go", "fmt", "no row"},
		{"a file with a build tag", "pkg/ledger/book_linux.go", pgx, "pgx"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sources := plant(t, map[string]string{test.file: fmt.Sprintf("package planted\n\nimport _ %q\n", test.imported)})
			assertFound(t, wrongImports(t, sources), test.want)
		})
	}
}

// wrongImports compares every import with the table.
func wrongImports(t *testing.T, sources []source) []string {
	t.Helper()
	var found []string
	for _, s := range sources {
		row, ok := rowOf(s.dir())
		if !ok {
			found = append(found, s.path+": its package has no row in the table of imports")
			continue
		}
		for _, imported := range s.imports(t) {
			if !s.mayImport(imported, row) {
				found = append(found, fmt.Sprintf("%s must not import %s", s.path, imported))
			}
		}
	}
	return found
}

// rowOf returns the row of a directory, or of the nearest one above it. Only files
// in the root itself have the row of the root.
func rowOf(dir string) (rule, bool) {
	if dir == "" {
		row, ok := table[""]
		return row, ok
	}
	for ; dir != "."; dir = path.Dir(dir) {
		if row, ok := table[dir]; ok {
			return row, true
		}
	}
	return rule{}, false
}

func (s source) mayImport(imported string, row rule) bool {
	ours, isOurs := strings.CutPrefix(imported, modulePath+"/")
	switch {
	case isOurs && within(ours, "cmd"):
		return false
	case isOurs && s.isServer() && allows(forTests, ours):
		return false
	case s.isTest() || isOurs && within(ours, s.dir()):
		return true
	case isOurs:
		return allows(row.ours, ours)
	}
	return isStandard(imported) || allows(row.foreign, imported)
}

// isServer reports whether the file belongs to a command other than the benchmark and
// the proof, which start servers as the tests do. Only the row of the command allows it
// everything; other packages list what they may have.
func (s source) isServer() bool {
	return within(s.path, "cmd") && !s.isTest() &&
		!strings.HasPrefix(path.Base(s.path), "bench") && !strings.HasPrefix(path.Base(s.path), "proof")
}

func allows(list []string, imported string) bool {
	for _, entry := range list {
		if entry == "*" || within(imported, entry) {
			return true
		}
	}
	return false
}

// within reports whether name is dir or lies below it.
func within(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, dir+"/")
}

// isStandard goes by the rule that only paths outside of the standard library have
// a dot in their first element.
func isStandard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}
