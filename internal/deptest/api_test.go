package deptest

import (
	"bytes"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// No package shows a type of gVisor's, the one that wraps it included: its API moves,
// and whoever embeds the machine must not move with it.
func TestNoTypeOfGVisorsIsInTheAPI(t *testing.T) {
	seen := 0
	for _, pkg := range compiled(t) {
		scope := pkg.Scope()
		for _, name := range scope.Names() {
			obj := scope.Lookup(name)
			if !obj.Exported() {
				continue
			}
			seen++
			w := apiWalk{foreign: "gvisor.dev/", done: map[types.Type]bool{}}
			w.object(obj)
			for _, found := range w.found {
				t.Errorf("%s.%s: %s", pkg.Path(), name, found)
			}
		}
	}
	if seen < 500 {
		t.Errorf("%d exported names were looked at: are those all?", seen)
	}
}

// compiled is the packages of the module with their types, as the go command has
// compiled them.
func compiled(t *testing.T) (list []*types.Package) {
	t.Helper()
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go command is not installed, which knows the types of what we import")
	}
	cmd := exec.Command(goTool, "list", "-pgo=off", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", "./...")
	cmd.Dir = root
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &problems)
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		exports[path] = file
	}
	imp := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	for path := range exports {
		if path != module && !strings.HasPrefix(path, module+"/") || exports[path] == "" {
			continue
		}
		pkg, err := imp.Import(path)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, pkg)
	}
	slices.SortFunc(list, func(a, b *types.Package) int { return strings.Compare(a.Path(), b.Path()) })
	return list
}

// An apiWalk goes through everything that users of a package can name or reach from a
// name: results, fields and methods, those of types that have no exported name, too.
type apiWalk struct {
	foreign string // paths of packages that must not be met begin with it
	done    map[types.Type]bool
	way     []string
	found   []string
}

func (w *apiWalk) object(o types.Object) {
	w.way = append(w.way, o.Name())
	w.typ(o.Type())
	w.way = w.way[:len(w.way)-1]
}

func (w *apiWalk) typ(t types.Type) {
	if w.done[t] {
		return
	}
	w.done[t] = true
	switch t := t.(type) {
	case *types.Alias:
		w.typ(types.Unalias(t))
	case *types.Named:
		w.named(t)
	case *types.Pointer:
		w.typ(t.Elem())
	case *types.Slice:
		w.typ(t.Elem())
	case *types.Array:
		w.typ(t.Elem())
	case *types.Chan:
		w.typ(t.Elem())
	case *types.Map:
		w.typ(t.Key())
		w.typ(t.Elem())
	case *types.Signature:
		w.tuple(t.Params())
		w.tuple(t.Results())
	case *types.Struct:
		for f := range t.Fields() {
			if f.Exported() || f.Embedded() {
				w.object(f)
			}
		}
	case *types.Interface:
		for m := range t.Methods() {
			if m.Exported() {
				w.object(m)
			}
		}
	}
}

func (w *apiWalk) tuple(t *types.Tuple) {
	for v := range t.Variables() {
		w.typ(v.Type())
	}
}

func (w *apiWalk) named(t *types.Named) {
	pkg := t.Obj().Pkg()
	switch {
	case pkg == nil:
		return
	case strings.HasPrefix(pkg.Path(), w.foreign):
		w.found = append(w.found, fmt.Sprintf("%s is %s.%s", strings.Join(w.way, "."), pkg.Path(), t.Obj().Name()))
		return
	case pkg.Path() != module && !strings.HasPrefix(pkg.Path(), module+"/"):
		return // of the standard library or another module, which know nothing of gVisor
	}
	for a := range t.TypeArgs().Types() {
		w.typ(a)
	}
	for m := range t.Methods() {
		if m.Exported() {
			w.object(m)
		}
	}
	w.typ(t.Underlying())
}

// The walk itself, on an API that shows what it must not.
func TestAPIWalkSeesWhatIsShown(t *testing.T) {
	foreign := types.NewPackage("gvisor.dev/x", "x")
	theirs := types.NewNamed(types.NewTypeName(0, foreign, "Address", nil), types.Typ[types.String], nil)
	ours := types.NewPackage(module+"/y", "y")
	field := func(name string, t types.Type) *types.Var { return types.NewField(0, ours, name, t, false) }
	of := func(fields ...*types.Var) types.Type { return types.NewStruct(fields, nil) }
	hidden := types.NewNamed(types.NewTypeName(0, ours, "hidden", nil), of(), nil)
	hidden.AddMethod(types.NewFunc(0, ours, "Get", types.NewSignatureType(nil, nil, nil, nil, types.NewTuple(field("", theirs)), false)))
	for _, row := range []struct {
		what string
		t    types.Type
		says string
	}{
		{"a field", of(field("A", types.NewSlice(theirs))), "T.A is gvisor.dev/x.Address"},
		{"a field that nobody sees", of(field("a", theirs)), ""},
		{"an embedded one", of(types.NewField(0, ours, "h", hidden, true)), "T.h.Get is gvisor.dev/x.Address"},
		{"a function's parameter", types.NewSignatureType(nil, nil, nil, types.NewTuple(field("", types.NewPointer(theirs))), nil, false), "T is gvisor.dev/x.Address"},
		{"a result without an exported name", types.NewSignatureType(nil, nil, nil, nil, types.NewTuple(field("", hidden)), false), "T.Get is gvisor.dev/x.Address"},
	} {
		w := apiWalk{foreign: "gvisor.dev/", done: map[types.Type]bool{}}
		w.object(types.NewTypeName(0, ours, "T", row.t))
		if got := strings.Join(w.found, "; "); got != row.says {
			t.Errorf("%s: found %q, want %q", row.what, got, row.says)
		}
	}
}
