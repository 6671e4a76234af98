package deptest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// These tests read the packages in which a run happens for what would make two
// runs differ.

// clocks are the functions of package time that look at the wall clock or wait
// for it.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// Neither the wall clock nor a goroutine nor a choice of the scheduler has a
// place in the core. The root package is part of it here.
func TestCoreHasNoWallClockAndNoGoroutines(t *testing.T) {
	for _, f := range sources(t) {
		if f.dir != "." && !slices.Contains(strings.Fields(core), f.dir) {
			continue
		}
		for _, wrong := range f.forbidden() {
			t.Error(wrong)
		}
	}
}

// forbidden lists what has no place in the core, each with its reason.
func (f *source) forbidden() (list []string) {
	say := func(n ast.Node, format string, args ...any) {
		list = append(list, f.at(n)+": "+fmt.Sprintf(format, args...))
	}
	clock, generator := f.called("time"), f.called("math/rand/v2")
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			say(n, "a go statement: who runs first would be the scheduler's choice")
		case *ast.SelectStmt:
			say(n, "a select: which case is taken would be the scheduler's choice")
		case *ast.ChanType:
			say(n, "a channel: there is nobody to talk to")
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			switch {
			case !ok:
			case clock != "" && x.Name == clock && slices.Contains(clocks, n.Sel.Name):
				say(n, "time.%s: a run has virtual time only", n.Sel.Name)
			case generator != "" && x.Name == generator && !strings.HasPrefix(n.Sel.Name, "New") && !isType(n.Sel.Name):
				say(n, "rand.%s: the process's own chance; the engine has a seeded one by name", n.Sel.Name)
			}
		}
		return true
	})
	return list
}

// The checks themselves, on code that is wrong.
func TestCoreChecksSeeWhatIsWrong(t *testing.T) {
	const code = `package x

import (
	clock "time"
	"math/rand/v2"
)

var m map[int]int

func f(c chan int) {
	go f(c)
	select {}
	_ = clock.Now()
	_ = clock.Second
	_ = rand.IntN(3)
	_ = rand.New(nil)
	for range m {
	}
	var x float64
	x = x * 2
	_ = 2.0 * 3.0
	_ = x < 1
}
`
	f := &source{name: "x.go", fset: token.NewFileSet()}
	var err error
	if f.ast, err = parser.ParseFile(f.fset, "x.go", code, 0); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(f.forbidden(), "\n")
	want := `x.go:10: a channel: there is nobody to talk to
x.go:11: a go statement: who runs first would be the scheduler's choice
x.go:12: a select: which case is taken would be the scheduler's choice
x.go:13: time.Now: a run has virtual time only
x.go:15: rand.IntN: the process's own chance; the engine has a seeded one by name`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}

	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	conf := types.Config{Error: func(error) {}} // what is imported is not there
	conf.Check("x", f.fset, []*ast.File{f.ast}, info)
	var maps, floats []int
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if walksMap(info, n) != "" {
			maps = append(maps, f.fset.Position(n.Pos()).Line)
		}
		if reckonsInFloats(info, n) {
			floats = append(floats, f.fset.Position(n.Pos()).Line)
		}
		return true
	})
	if !slices.Equal(maps, []int{17}) || !slices.Equal(floats, []int{20}) {
		t.Errorf("map walked in lines %v, want 17; floats in %v, want 20", maps, floats)
	}
}

// isType says that the name is one of math/rand/v2's types.
func isType(name string) bool {
	return slices.Contains([]string{"Rand", "Source", "PCG", "ChaCha8", "Zipf"}, name)
}

// called is the name by which a file calls a package, "" if it does not import
// it.
func (f *source) called(path string) string {
	for _, spec := range f.ast.Imports {
		if spec.Path.Value != `"`+path+`"` {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		path = strings.TrimSuffix(path, "/v2")
		return path[strings.LastIndex(path, "/")+1:]
	}
	return ""
}

// unordered are the functions that walk a map, in Go's random order, and may,
// because the order cannot be seen.
var unordered = map[string]string{
	"frame.go Find":       "one record was looked at: each of the maps has one reason at most",
	"replay.go talkative": "the addresses are sorted before anyone looks",
	"report.go dropped":   "a sum of whole numbers",
}

// floats are the functions that reckon with floating point, whose results may
// differ in the last bit between processors, and may, because nothing depends on
// them but a printed number.
var floats = map[string]string{
	"report.go Report": "cycles per frame, a whole number of hundredths divided once",
}

// The core walks no map and reckons in whole numbers.
func TestCoreHasNoRandomOrderAndNoFloats(t *testing.T) {
	usedMaps, usedFloats := map[string]bool{}, map[string]bool{}
	for dir, pkg := range checkCore(t) {
		for _, file := range pkg.files {
			name := filepath.ToSlash(filepath.Join(dir, filepath.Base(pkg.fset.Position(file.Pos()).Filename)))
			for _, decl := range file.Decls {
				where := name
				if f, ok := decl.(*ast.FuncDecl); ok {
					where += " " + f.Name.Name
				}
				at := func(n ast.Node) string { return fmt.Sprintf("%s:%d", name, pkg.fset.Position(n.Pos()).Line) }
				ast.Inspect(decl, func(n ast.Node) bool {
					if what := walksMap(pkg.info, n); what != "" {
						usedMaps[where] = true
						if unordered[where] == "" {
							t.Errorf("%s: %s in %s: the order of a map is another in every run", at(n), what, where)
						}
					}
					if reckonsInFloats(pkg.info, n) {
						usedFloats[where] = true
						if floats[where] == "" {
							t.Errorf("%s: floating point in %s: the last bit is another on another processor", at(n), where)
						}
					}
					return true
				})
			}
		}
	}
	for where := range unordered {
		if !usedMaps[where] {
			t.Errorf("%s walks no map: its exception can go", where)
		}
	}
	for where := range floats {
		if !usedFloats[where] {
			t.Errorf("%s has no floats: its exception can go", where)
		}
	}
}

// walksMap says how a node walks a map, "" if it does not.
func walksMap(info *types.Info, n ast.Node) string {
	switch n := n.(type) {
	case *ast.RangeStmt:
		if _, ok := info.TypeOf(n.X).Underlying().(*types.Map); ok {
			return "range over a map"
		}
		if f := mapsFunc(info, n.X); f != "" {
			return "range over maps." + f
		}
	case *ast.CallExpr:
		if sorts(info, n) {
			return ""
		}
		for _, arg := range n.Args {
			if f := mapsFunc(info, arg); f != "" {
				return "maps." + f + " without sorting"
			}
		}
	}
	return ""
}

// mapsFunc is the name of the function of package maps that an expression calls
// for an iterator.
func mapsFunc(info *types.Info, e ast.Expr) string {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return ""
	}
	if f := function(info, call); f != nil && f.Pkg() != nil && f.Pkg().Path() == "maps" && slices.Contains([]string{"Keys", "Values", "All"}, f.Name()) {
		return f.Name()
	}
	return ""
}

// sorts says that a call is slices.Sorted or one of its kin.
func sorts(info *types.Info, call *ast.CallExpr) bool {
	f := function(info, call)
	return f != nil && f.Pkg() != nil && f.Pkg().Path() == "slices" && strings.HasPrefix(f.Name(), "Sorted")
}

func function(info *types.Info, call *ast.CallExpr) *types.Func {
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok {
		return nil
	}
	f, _ := info.Uses[sel.Sel].(*types.Func)
	return f
}

// reckonsInFloats says that a node is arithmetic on floats, constants apart.
func reckonsInFloats(info *types.Info, n ast.Node) bool {
	e, ok := n.(*ast.BinaryExpr)
	if !ok {
		return false
	}
	switch e.Op {
	case token.ADD, token.SUB, token.MUL, token.QUO:
	default:
		return false
	}
	tv := info.Types[e]
	b, ok := tv.Type.Underlying().(*types.Basic)
	return ok && tv.Value == nil && b.Info()&(types.IsFloat|types.IsComplex) != 0
}

// A checked is a package with its types.
type checked struct {
	fset  *token.FileSet
	files []*ast.File
	info  *types.Info
}

// checkCore finds the types of the core's packages. The go command says which
// files belong to each on this platform, and where it has compiled what they
// import.
func checkCore(t *testing.T) map[string]*checked {
	t.Helper()
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go command is not installed, which knows the types of what we import")
	}
	patterns := []string{module}
	for _, dir := range strings.Fields(core) {
		patterns = append(patterns, module+"/"+dir)
	}
	list := exec.Command(goTool, append([]string{"list", "-export", "-deps", "-json=ImportPath,Dir,GoFiles,Export"}, patterns...)...)
	list.Dir = root
	var problems bytes.Buffer
	list.Stderr = &problems
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &problems)
	}
	type goPackage struct {
		ImportPath, Dir, Export string
		GoFiles                 []string
	}
	exports := map[string]string{}
	var wanted []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
		if slices.Contains(patterns, p.ImportPath) {
			wanted = append(wanted, p)
		}
	}
	byDir := map[string]*checked{}
	for _, p := range wanted {
		dir := short(p.ImportPath)
		c := &checked{fset: token.NewFileSet(), info: &types.Info{
			Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{},
		}}
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(c.fset, filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			c.files = append(c.files, file)
		}
		conf := types.Config{Importer: importer.ForCompiler(c.fset, "gc", func(path string) (io.ReadCloser, error) {
			if exports[path] == "" {
				return nil, fmt.Errorf("%s is not compiled", path)
			}
			return os.Open(exports[path])
		})}
		if _, err := conf.Check(p.ImportPath, c.fset, c.files, c.info); err != nil {
			t.Fatal(err)
		}
		byDir[dir] = c
	}
	if len(byDir) != len(patterns) {
		t.Fatalf("types of %d packages, wanted %d", len(byDir), len(patterns))
	}
	return byDir
}
