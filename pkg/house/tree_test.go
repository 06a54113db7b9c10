// Package house keeps the house rules of the project as tests, so that `make test`
// finds a violation on a machine without any linter.
//
// Purpose: who may import whom (imports_test.go), and what no file may hold or be
// called (tidy_test.go). Non-goal: style that gofmt and golangci-lint look after.
//
// The surprising decision: the rules are tested as well. Each takes the tree as an
// argument, is run on a small one with the violation planted, and must find it.
package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// projectRoot is where the tests find the project: they run in their own directory.
const projectRoot = "../.."

// modulePath is the start of every import of one of our own packages.
const modulePath = "github.com/kortwallet/kort"

// source is a Go file of the tree.
type source struct {
	path string // slash-separated, from the root of the project
	file *ast.File
	set  *token.FileSet
}

func (s source) dir() string {
	if dir := path.Dir(s.path); dir != "." {
		return dir
	}
	return ""
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s source) isGenerated() bool { return ast.IsGenerated(s.file) }

// at returns a position as editors understand it.
func (s source) at(pos token.Pos) string {
	return s.path + ":" + strconv.Itoa(s.set.Position(pos).Line)
}

func (s source) imports(t *testing.T) []string {
	t.Helper()
	var paths []string
	for _, spec := range s.file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatalf("%s: %v", s.at(spec.Pos()), err)
		}
		paths = append(paths, imported)
	}
	return paths
}

// readTree parses every Go file under root, whatever its build tags, but for
// what is not part of the project: test data, hidden directories, npm's modules.
func readTree(t *testing.T, root string) []source {
	t.Helper()
	var sources []source
	tree := os.DirFS(root)
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			base := path.Base(name)
			if name != "." && (strings.HasPrefix(base, ".") || slices.Contains([]string{"testdata", "node_modules", "vendor"}, base)) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		content, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, content, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		sources = append(sources, source{path: name, file: file, set: set})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(sources) == 0 {
		t.Fatalf("no Go file under %s", root)
	}
	return sources
}

// plant writes a small tree and reads it.
func plant(t *testing.T, files map[string]string) []source {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return readTree(t, root)
}

// assertFound checks that a rule finds one violation with the text, or none where
// the text is empty.
func assertFound(t *testing.T, found []string, want string) {
	t.Helper()
	switch {
	case want == "" && len(found) > 0:
		t.Errorf("found %q, want nothing", found)
	case want != "" && (len(found) != 1 || !strings.Contains(found[0], want)):
		t.Errorf("found %q, want one with %q", found, want)
	}
}
