package programs

import (
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"ringside/internal/form"
	"ringside/sim"
	"ringside/vm/app"
	"ringside/vm/guest"
)

// An Entry is a program that a file runs.
type Entry struct {
	Program string // its name
	Name    string // of the process
	Main    guest.Program
	Key     form.Place
	Forward bool // its machine passes packets on between its interfaces
	Rules   int  // of a firewall

	spec *app.Spec
}

// Processes are what a guest is given of a list; nil of an empty one.
func Processes(list []Entry) (out []guest.Process) {
	for _, e := range list {
		out = append(out, guest.Process{Name: e.Name, Main: e.Main})
	}
	return out
}

// Forward says whether one of a list wants its machine to pass packets on.
func Forward(list []Entry) bool {
	return slices.ContainsFunc(list, func(e Entry) bool { return e.Forward })
}

// Read reads what is under run: a list of programs, each a name, or a mapping of
// its name to its arguments and, beside that, of as to the name of its process and
// of start to the time when it begins.
func Read(r *form.Reader, f form.Field) (list []Entry) {
	for _, f := range r.List(f) {
		e, ok := read(r, f)
		if !ok {
			continue
		}
		if i := slices.IndexFunc(list, func(o Entry) bool { return o.Name == e.Name }); i >= 0 {
			r.Fail(e.Key, "%s: a second process named %s, the first is on line %d: give it another name, as in {%s: {…}, as: %s2}",
				f.Path, e.Name, list[i].Key.Line, e.Program, e.Name)
			continue
		}
		list = append(list, e)
	}
	return list
}

func read(r *form.Reader, f form.Field) (e Entry, ok bool) {
	if f.Node.Kind == yaml.ScalarNode {
		if e.Program, ok = r.Text(f); !ok {
			return e, false
		}
		e.Name, e.Key = e.Program, f.Key
		nothing := form.Field{Path: f.Path, Name: e.Program, Key: f.Key, Node: &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}}
		return e, e.find(r, f) && e.make(r, f, nothing, 0)
	}
	before := len(r.Problems())
	var program form.Field
	var start sim.Time
	for _, k := range r.Fields(f, "a program, as http or {http: {port: 80}}") {
		switch {
		case k.Name == "as":
			e.Name, _ = r.Ifname(k)
		case k.Name == "start":
			start, _ = r.Span(k, 0, maxStart)
		case program.Node != nil:
			r.Fail(k.Key, "%s: a second program, %s, in one entry: each has one of its own", f.Path, form.Quote(k.Name))
		default:
			program = k
		}
	}
	if len(r.Problems()) > before {
		return e, false
	}
	if program.Node == nil {
		r.Wrong(f, "which program? %s", r.Hint("", "There are ", app.Names()))
		return e, false
	}
	if e.Program, e.Key = program.Name, program.Key; e.Name == "" {
		e.Name = program.Name
	}
	return e, e.find(r, f) && e.make(r, f, program, start)
}

const maxStart = 24 * 3600 * sim.Second

// find finds the program of a name.
func (e *Entry) find(r *form.Reader, f form.Field) (ok bool) {
	if e.spec, ok = app.Lookup(e.Program); !ok {
		r.Fail(e.Key, "%s: there is no program %s: %s", f.Path, form.Quote(e.Program), r.Hint(e.Program, "there are ", app.Names()))
	}
	return ok
}

// make reads the arguments and makes the program.
func (e *Entry) make(r *form.Reader, f, at form.Field, start sim.Time) bool {
	before := len(r.Problems())
	given := map[string]string{}
	var keys []form.Known
	for _, a := range e.spec.Args {
		keys = append(keys, form.Known{Name: a.Name, Read: func(f form.Field) {
			text, ok := argument(r, f, &a)
			if !ok {
				return
			}
			if err := a.Check(text); err != nil {
				r.Wrong(f, "%s is not %s", form.Quote(text), a.Kind)
			}
			given[a.Name] = text
		}})
	}
	r.Mapping(at, "the arguments of "+e.Program, keys)
	for _, a := range e.spec.Args {
		if _, ok := given[a.Name]; a.Required && !ok && len(r.Problems()) == before {
			r.Fail(e.Key, "%s: %s needs %s: %s, %s", f.Path, e.Program, a.Name, a.Does, a.Kind)
		}
	}
	if len(r.Problems()) > before {
		return false
	}
	main, err := app.New(e.Program, given)
	if err != nil {
		r.Fail(e.Key, "%s: %s", f.Path, strings.TrimPrefix(err.Error(), "app: "))
		return false
	}
	e.Main, e.Forward = later(start, main), e.spec.Forward
	if rules := strings.Trim(given["rules"], "; "); rules != "" {
		e.Rules = 1 + strings.Count(rules, ";")
	}
	return true
}

// argument is the text of an argument. The items of a list are joined as the program
// has them: by commas, or by semicolons.
func argument(r *form.Reader, f form.Field, a *app.Arg) (string, bool) {
	if f.Node.Kind != yaml.SequenceNode {
		return r.Text(f)
	}
	var items []string
	for _, e := range r.List(f) {
		s, ok := r.Text(e)
		if !ok {
			return "", false
		}
		items = append(items, s)
	}
	if strings.Contains(a.Kind, "with ; between") {
		return strings.Join(items, "; "), true
	}
	return strings.Join(items, ","), true
}

// later is a program that begins when a span of time has passed.
func later(start sim.Time, main guest.Program) guest.Program {
	if start == 0 {
		return main
	}
	return func(p *guest.Proc) error {
		p.Sleep(time.Duration(start.Nanoseconds()))
		return main(p)
	}
}
