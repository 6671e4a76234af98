package app

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ringside/vm/guest"
)

// A Spec is a program of the registry: what it does, which arguments it takes, and
// how it is made.
type Spec struct {
	Name string
	Does string // one line
	Args []Arg

	Forward bool // the machine must forward packets
	make    func(values) guest.Program
}

// An Arg is an argument of a program.
type Arg struct {
	Name     string
	Kind     string // "count", "size", "duration", "address", …: what may stand there
	Default  string // as it would be written; "" if there is none
	Required bool
	Does     string // one line
	parse    func(text string) (any, error)
}

// ErrUnknown says that there is no such program or argument.
var ErrUnknown = errors.New("no such")

// Names are the names of the programs, in order.
func Names() []string { return slices.Sorted(maps.Keys(registry)) }

// Lookup finds a program by its name.
func Lookup(name string) (*Spec, bool) {
	s, ok := registry[name]
	return s, ok
}

// New makes the program with that name. Arguments that are not given have their
// defaults. An error names the argument and says what is possible.
func New(name string, args map[string]string) (guest.Program, error) {
	s, ok := registry[name]
	if !ok {
		return nil, fmt.Errorf("app: %w program %q; there are %s", ErrUnknown, name, strings.Join(Names(), ", "))
	}
	v, err := s.read(args)
	if err != nil {
		return nil, fmt.Errorf("app: %s: %w", name, err)
	}
	return s.make(v), nil
}

// values are arguments that were checked, by name.
type values map[string]any

// read checks the arguments of a program.
func (s *Spec) read(args map[string]string) (values, error) {
	for _, name := range slices.Sorted(maps.Keys(args)) {
		if !slices.ContainsFunc(s.Args, func(a Arg) bool { return a.Name == name }) {
			return nil, fmt.Errorf("%w argument %q; %s", ErrUnknown, name, s.possible())
		}
	}
	v := values{}
	for _, a := range s.Args {
		text, given := args[a.Name]
		if !given {
			if a.Required {
				return nil, fmt.Errorf("argument %s is required: %s", a.Name, a.Does)
			}
			text = a.Default
		}
		got, err := a.parse(text)
		if err != nil {
			return nil, fmt.Errorf("argument %s: %q is not %s", a.Name, text, a.Kind)
		}
		v[a.Name] = got
	}
	return v, nil
}

// possible lists the arguments that a program takes.
func (s *Spec) possible() string {
	if len(s.Args) == 0 {
		return "it takes none"
	}
	var names []string
	for _, a := range s.Args {
		names = append(names, a.Name)
	}
	return "possible are " + strings.Join(names, ", ")
}

// registry is the programs by name.
var registry = map[string]*Spec{}

// register puts a program into the registry.
func register(s *Spec) *Spec {
	registry[s.Name] = s
	return s
}
