package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ringside/cost"
	"ringside/internal/report"
	"ringside/machine"
)

func init() { extraVerbs = append(extraVerbs, machineCommand) }

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

func machineCommand() *cobra.Command {
	var text, notes bool
	var wide int
	c := &cobra.Command{
		Use:   "machine [NAME|FILE] [flags]",
		Short: "List machines, or show the prices as moved to one",
		Long: `Machine lists the built-in machines; shows the price book as moved to one; or checks
a file of your own and shows the book moved there. A file that is wrong is refused
with every line that is wrong, and exit code 2. docs/machines.md explains the file.`,
		Example: `  ringside machine                           the built-in machines
  ringside machine e5-2620v3 --notes         the prices there, and where they came from
  ringside machine e5-2620v3 --text > my.yaml  a file to begin your own with
  ringside replay testdata/mix.pcap --machine ./my.yaml`,
		RunE: func(c *cobra.Command, args []string) error {
			out := c.OutOrStdout()
			switch {
			case len(args) > 1:
				return usagef("machine: shows one machine at a time, and was given %d", len(args))
			case len(args) == 0 && text:
				return usagef("--text prints one machine: name it, as in ringside machine e5-2620v3 --text")
			case len(args) == 0:
				for _, name := range machine.Names() {
					m, err := machine.Open(name)
					if err != nil {
						return err
					}
					fmt.Fprintf(out, "%-16s %s\n", name, m.Title)
				}
				return nil
			case text:
				b, err := machine.Text(args[0])
				if err != nil {
					return &usageError{err}
				}
				_, err = out.Write(b)
				return err
			}
			m, err := machine.Open(args[0])
			if err != nil {
				return &usageError{err}
			}
			b, err := m.Book(nil)
			if err != nil {
				return err
			}
			return report.WriteBook(out, b, columns(wide, out), notes)
		},
	}
	c.Flags().SortFlags = false
	c.Flags().BoolVar(&notes, "notes", false, "print the note of every price: what it was, on which machine")
	c.Flags().BoolVar(&text, "text", false, "print the file of a built-in machine, to begin your own with")
	whole(c.Flags(), &wide, "width", "", "columns of the page, at most 100; otherwise those of the terminal", report.MinWidth, 1000, "80")
	return c
}
