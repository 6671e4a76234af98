package main

import (
	"github.com/spf13/pflag"

	"ringside/cost"
	"ringside/machine"
)

// machineFlag adds the flag for the machine that prices are moved to.
func machineFlag(fs *pflag.FlagSet, at **machine.Machine) {
	flag(fs, "machine", "NAME|FILE", "", "the machine that prices are moved to: a name that ringside machine lists, or a .yaml file of your own", func(s string) (err error) {
		*at, err = machine.Open(s)
		return err
	})
}

// openBook is the price book of a name, moved to m; without a name it is linux-xeon, or
// what the mitigations of m ask for.
func openBook(name string, m *machine.Machine) (*cost.Book, error) {
	if name == "" && m != nil {
		return m.Book(nil)
	}
	if name == "" {
		name = "linux-xeon"
	}
	b, err := cost.Open(name)
	if err == nil && m != nil {
		b, err = m.Book(b)
	}
	if err != nil {
		return nil, &usageError{err}
	}
	return b, nil
}
