package deptest

import (
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

// Every exported name has a comment, and every package says what it is. A name
// in a group may have its comment at the group or behind it; functions of one
// line each that stand together, registers for instance, are a group.
func TestExportedNamesAreExplained(t *testing.T) {
	packages := map[string]bool{}
	for _, f := range sources(t) {
		packages[f.dir] = packages[f.dir] || f.ast.Doc != nil
		if f.ast.Name.Name == "main" {
			continue
		}
		for i, decl := range f.ast.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				switch {
				case !d.Name.IsExported() || !exportedReceiver(d):
				case d.Doc == nil && !f.follows(i):
					t.Errorf("%s: %s has no comment", f.at(d), d.Name.Name)
				case d.Doc != nil && !begins(d.Doc.Text(), d.Name.Name) && !f.follows(i+1):
					t.Errorf("%s: the comment of %s does not begin with its name", f.at(d), d.Name.Name)
				}
			case *ast.GenDecl:
				unexplained(t, f, d)
			}
		}
	}
	for dir, ok := range packages {
		if !ok {
			t.Errorf("package %s has no comment that says what it is", dir)
		}
	}
}

// follows says that declaration i is a function of one line right under another.
func (f *source) follows(i int) bool {
	if i == 0 || i >= len(f.ast.Decls) {
		return false
	}
	line := func(p token.Pos) int { return f.fset.Position(p).Line }
	above, ok := f.ast.Decls[i-1].(*ast.FuncDecl)
	this, ok2 := f.ast.Decls[i].(*ast.FuncDecl)
	return ok && ok2 && line(above.Pos()) == line(above.End()) && line(this.Pos()) == line(this.End()) &&
		line(this.Pos()) == line(above.Pos())+1
}

// begins says that a comment begins with a name, as Go's tools want it.
func begins(text, name string) bool {
	first, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	if first == "A" || first == "An" || first == "The" {
		first, _, _ = strings.Cut(rest, " ")
	}
	return strings.HasPrefix(first, name) || strings.HasPrefix(text, "Deprecated:")
}

// exportedReceiver says that a function is no method of a hidden type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

// unexplained reports the exported names of a declaration without a comment.
func unexplained(t *testing.T, f *source, d *ast.GenDecl) {
	if d.Tok == token.IMPORT || d.Doc != nil {
		return
	}
	above := false // a comment stands over this row or over one before it
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc == nil && s.Comment == nil {
				t.Errorf("%s: %s has no comment", f.at(s), s.Name.Name)
			}
		case *ast.ValueSpec:
			above = above || s.Doc != nil
			for _, name := range s.Names {
				if name.IsExported() && !above && s.Comment == nil {
					t.Errorf("%s: %s has no comment", f.at(s), name.Name)
				}
			}
		}
	}
}
