package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ringside/cost"
	"ringside/internal/report"
)

// A bookJSON is a book for programs.
type bookJSON struct {
	Schema  string            `json:"schema"`
	Name    string            `json:"name"`
	Title   string            `json:"title"`
	Hz      uint64            `json:"clock_hz"`
	Prices  []priceJSON       `json:"prices"`
	Sources map[string]string `json:"sources"`
}

type priceJSON struct {
	Op     string `json:"op"`
	Value  string `json:"value"` // as the book has it
	Unit   string `json:"unit"`
	Status string `json:"status"`
	Source string `json:"source"`
	Note   string `json:"note,omitempty"`

	// What the bill reckons with, in thousandths of a cycle and in picoseconds.
	MilliCycles        uint64 `json:"millicycles,omitempty"`
	MilliCyclesPerByte uint64 `json:"millicycles_per_byte,omitempty"`
	Picoseconds        uint64 `json:"picoseconds,omitempty"`
	PicosecondsPerByte uint64 `json:"picoseconds_per_byte,omitempty"`
}

type shelfJSON struct {
	Schema string         `json:"schema"`
	Books  []shelfEntryJS `json:"books"`
}

type shelfEntryJS struct {
	Name   string         `json:"name"`
	Title  string         `json:"title"`
	Hz     uint64         `json:"clock_hz"`
	Status map[string]int `json:"entries_by_status"`
}

func bookCommand() *cobra.Command {
	var asJSON, text, notes bool
	var wide int
	c := &cobra.Command{
		Use:   "book [NAME|FILE] [flags]",
		Short: "Show a price list and its sources, or check your own",
		Long: `Book lists the built-in cost books; shows one as a table with value, unit, status
and source of every price; or checks a file of your own and shows it. A file that
is wrong is refused with every line that is wrong, and exit code 2.

What ends in .yaml or .yml, or has a / in it, is a file; anything else is the name
of a built-in book. A book prices every operation itself: none builds on another.

Statuses: READ in its source, READ-2 quoted by another text, DERIVED by arithmetic
on numbers that were read, FIGURE off a plot, ASSUMED a guess, COUNTING no price.`,
		Example: `  ringside book                              the built-in books
  ringside book linux-xeon --notes           one of them, with its reasons
  ringside book linux-xeon --text > my.yaml  a file to begin your own with
  ringside book ./my.yaml                    check and show it
  ringside replay testdata/mix.pcap --book ./my.yaml`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("book: shows one book at a time, and was given %d", len(args))
			}
			out := c.OutOrStdout()
			w := columns(wide, out)
			switch {
			case len(args) == 0 && text:
				return usagef("--text prints one book: name it, as in ringside book linux-xeon --text")
			case text && asJSON:
				return usagef("--text and --json: give one of them")
			case len(args) == 0:
				return listBooks(out, asJSON, w)
			case text:
				b, err := cost.BookText(args[0])
				if err != nil {
					return &usageError{err}
				}
				_, err = out.Write(b)
				return err
			}
			b, err := cost.Open(args[0])
			if err != nil {
				return &usageError{err}
			}
			if asJSON {
				return printJSON(out, bookAsJSON(b))
			}
			return report.WriteBook(out, b, w, notes)
		},
	}
	c.Flags().SortFlags = false
	c.Flags().BoolVar(&notes, "notes", false, "print the note of every price: formulas, arguments, errors of reading")
	c.Flags().BoolVar(&text, "text", false, "print the file of a built-in book, to begin your own with")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object for programs")
	whole(c.Flags(), &wide, "width", "", "columns of the page, at most 100; otherwise those of the terminal", report.MinWidth, 1000, "80")
	return c
}

func listBooks(out io.Writer, asJSON bool, w int) error {
	shelf := shelfJSON{Schema: "ringside.books/1"}
	for _, name := range cost.Books() {
		b, err := cost.Open(name)
		if err != nil {
			return err
		}
		by := map[string]int{}
		for _, e := range b.Entries {
			by[string(e.Status)]++
		}
		shelf.Books = append(shelf.Books, shelfEntryJS{b.Name, b.Title, b.Hz, by})
	}
	if asJSON {
		return printJSON(out, shelf)
	}
	for _, b := range shelf.Books {
		var parts []string
		for _, s := range slices.Sorted(maps.Keys(b.Status)) {
			parts = append(parts, fmt.Sprintf("%d %s", b.Status[s], s))
		}
		fmt.Fprintln(out, b.Name)
		for _, l := range report.Wrap(b.Title+". Prices: "+strings.Join(parts, ", ")+".", min(w, report.MaxWidth)-2) {
			fmt.Fprintln(out, "  "+l)
		}
	}
	fmt.Fprintln(out)
	for _, l := range report.Wrap("ringside book NAME shows one; ringside book NAME --text > my.yaml begins your own.", min(w, report.MaxWidth)) {
		fmt.Fprintln(out, l)
	}
	return nil
}

func bookAsJSON(b *cost.Book) bookJSON {
	j := bookJSON{Schema: cost.BookSchema, Name: b.Name, Title: b.Title, Hz: b.Hz, Sources: b.Sources}
	if j.Sources == nil {
		j.Sources = map[string]string{}
	}
	for o, e := range b.Entries {
		each, perByte := b.Cycles(cost.Op(o))
		ps, psPerByte := b.Picoseconds(cost.Op(o))
		j.Prices = append(j.Prices, priceJSON{cost.Op(o).String(), e.Value, e.Unit, string(e.Status), e.Source, e.Note, each, perByte, ps, psPerByte})
	}
	return j
}
