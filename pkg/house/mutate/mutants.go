package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
)

// mutant is one small change of a file: the bytes from start to end become text.
type mutant struct {
	file       string
	function   string // that it is in; empty outside of functions
	line       int
	start, end int
	was, text  string
	source     []byte
}

func (m mutant) String() string { return fmt.Sprintf("%s:%d: %s", m.file, m.line, m.change()) }

// change is one line, whatever the code is.
func (m mutant) change() string {
	return strings.Join(strings.Fields(m.was+" -> "+m.text), " ")
}

// key names a mutant by its function and its line's text, so that it stays the same
// when lines above it come and go.
func (m mutant) key() string {
	from := bytes.LastIndexByte(m.source[:m.start], '\n') + 1
	line, _, _ := bytes.Cut(m.source[from:], []byte{'\n'})
	name := filepath.Join(filepath.Base(filepath.Dir(m.file)), filepath.Base(m.file))
	if m.function != "" {
		name += " " + m.function
	}
	return fmt.Sprintf("%s: %s: %s", name, strings.Join(strings.Fields(string(line)), " "), m.change())
}

// operators says what each operator is replaced by, one mutant for each.
var operators = map[token.Token][]string{
	token.EQL: {"!="}, token.NEQ: {"=="},
	token.LSS: {"<=", ">="}, token.LEQ: {"<", ">"},
	token.GTR: {">=", "<="}, token.GEQ: {">", "<"},
	token.LAND: {"||"}, token.LOR: {"&&"},
	token.ADD: {"-"}, token.SUB: {"+"}, token.MUL: {"/"}, token.QUO: {"*"},
	token.INC: {"--"}, token.DEC: {"++"},
	token.ADD_ASSIGN: {"-="}, token.SUB_ASSIGN: {"+="},
}

// mutants returns every mutant of a file, in the order of the file's syntax tree.
func mutants(name string, source []byte) ([]mutant, error) {
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, name, source, 0)
	if err != nil {
		return nil, err
	}
	f := finder{name: name, source: source, files: files}
	for _, declaration := range parsed.Decls {
		f.function = ""
		if function, is := declaration.(*ast.FuncDecl); is {
			f.function = function.Name.Name
		}
		ast.Inspect(declaration, f.visit)
	}
	return f.found, nil
}

type finder struct {
	name     string
	source   []byte
	files    *token.FileSet
	function string
	found    []mutant
}

func (f *finder) add(from, to token.Pos, text string) {
	start, end := f.files.Position(from), f.files.Position(to).Offset
	f.found = append(f.found, mutant{
		file: f.name, function: f.function, line: start.Line, start: start.Offset, end: end,
		was: string(f.source[start.Offset:end]), text: text, source: f.source,
	})
}

func (f *finder) operator(at token.Pos, op token.Token) {
	for _, text := range operators[op] {
		f.add(at, at+token.Pos(len(op.String())), text)
	}
}

func (f *finder) visit(node ast.Node) bool {
	switch n := node.(type) {
	case *ast.ImportSpec:
		return false
	case *ast.BinaryExpr:
		f.operator(n.OpPos, n.Op)
	case *ast.IncDecStmt:
		f.operator(n.TokPos, n.Tok)
	case *ast.AssignStmt:
		f.operator(n.TokPos, n.Tok)
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			f.add(n.OpPos, n.OpPos+1, "")
		}
	case *ast.IfStmt:
		f.force(n.Cond)
	case *ast.CaseClause:
		f.shorten(n.List)
	case *ast.BasicLit:
		if n.Kind == token.INT {
			f.add(n.Pos(), n.End(), "("+n.Value+"+1)")
		}
	case *ast.ReturnStmt:
		f.swallow(n.Results)
	case *ast.ExprStmt:
		if _, call := n.X.(*ast.CallExpr); call {
			f.add(n.Pos(), n.End(), "")
		}
	}
	return true
}

// force keeps the condition in the text, so that its variables stay in use.
func (f *finder) force(condition ast.Expr) {
	f.add(condition.Pos(), condition.Pos(), "true || ")
	f.add(condition.Pos(), condition.Pos(), "false && ")
	last := len(f.found)
	for i := last - 2; i < last; i++ { // "a || b" needs its own parentheses
		end := f.files.Position(condition.End()).Offset
		f.found[i].was, f.found[i].end = string(f.source[f.found[i].start:end]), end
		f.found[i].text += "(" + f.found[i].was + ")"
	}
}

// shorten drops each value of a case list of several.
func (f *finder) shorten(list []ast.Expr) {
	for i := 1; i < len(list); i++ {
		f.add(list[i-1].End(), list[i].End(), "")
	}
	if len(list) > 1 {
		f.add(list[0].Pos(), list[1].Pos(), "")
	}
}

// swallow returns nil in place of an error.
func (f *finder) swallow(results []ast.Expr) {
	if len(results) == 0 {
		return
	}
	last := results[len(results)-1]
	if name, ok := last.(*ast.Ident); ok && name.Name == "err" {
		f.add(last.Pos(), last.End(), "nil")
	}
}
