package compare

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// WriteJSON writes the result for programs.
func (r *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteCSV writes a line for each row that has numbers.
func (r *Result) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	head := []string{"path", "pinning", "pages", "offered_pps", "delivered_pps", "sent", "delivered", "lost", "p50_ns", "p99_ns", "cycles_per_frame", "core_pps", "cores", "idle_cores"}
	if err := c.Write(append(head, r.Kinds...)); err != nil {
		return err
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Cannot != "" {
			continue
		}
		line := []string{row.Path, row.Pinning, row.Pages}
		for _, n := range []uint64{row.OfferedPPS, row.DeliveredPPS, row.Sent, row.Delivered, row.Lost, uint64(row.P50Ns), uint64(row.P99Ns)} {
			line = append(line, strconv.FormatUint(n, 10))
		}
		line = append(line, two(row.CyclesPerFrame), strconv.FormatUint(row.CorePPS, 10), two(row.Cores), two(row.IdleCores))
		for _, k := range r.Kinds {
			line = append(line, two(row.Cycles[k]))
		}
		if err := c.Write(line); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

func two(x float64) string { return strconv.FormatFloat(x, 'f', 2, 64) }

// WriteTable writes the result for people, in so many columns where it can.
func (r *Result) WriteTable(w io.Writer, columns int) error {
	for _, part := range []func(io.Writer) error{r.rates, r.kinds, func(w io.Writer) error { return r.prices(w, columns) }} {
		if err := part(w); err != nil {
			return err
		}
	}
	return nil
}

// rates is a row for each machine.
func (r *Result) rates(w io.Writer) error {
	return table(w, func(t io.Writer) {
		fmt.Fprintf(t, "path   \tpinned\tpages\tcycles\tone core\tdelivered\tlost\tp50\tp99\tcores\tidle\t\n")
		for i := range r.Rows {
			row := &r.Rows[i]
			fmt.Fprintf(t, "%-7s\t%s\t%s\t", row.Path, row.Pinning, row.Pages)
			if row.Cannot != "" {
				fmt.Fprint(t, "cannot\t\t\t\t\t\t\t\t\n")
				continue
			}
			fmt.Fprintf(t, "%.0f\t%s\t%s\t%s\t%s\t%s\t%.2f\t%s\t\n", row.CyclesPerFrame, mpps(row.CorePPS), mpps(row.DeliveredPPS),
				share(row.Lost, row.Sent), micros(row.P50Ns), micros(row.P99Ns), row.Cores, idle(row.IdleCores))
		}
	})
}

// kinds is where the cycles of a frame go.
func (r *Result) kinds(w io.Writer) error {
	var used []string
	for _, k := range r.Kinds {
		if slices.ContainsFunc(r.Rows, func(row Row) bool { return row.Cycles[k] > 0 }) {
			used = append(used, k)
		}
	}
	if len(used) == 0 {
		return nil
	}
	fmt.Fprintln(w, "\ncycles for a frame, by kind")
	return table(w, func(t io.Writer) {
		fmt.Fprintf(t, "path   \tpinned\tpages\t%s\t\n", strings.Join(used, "\t"))
		for i := range r.Rows {
			row := &r.Rows[i]
			if row.Cannot != "" {
				continue
			}
			fmt.Fprintf(t, "%-7s\t%s\t%s\t", row.Path, row.Pinning, row.Pages)
			for _, k := range used {
				fmt.Fprintf(t, "%s\t", cycles(row.Cycles[k]))
			}
			fmt.Fprintln(t)
		}
	})
}

// prices is what each path gives up, and why one cannot be.
func (r *Result) prices(w io.Writer, columns int) error {
	said := map[string]bool{}
	for i := range r.Rows {
		row := &r.Rows[i]
		if said[row.Path] {
			continue
		}
		said[row.Path] = true
		words := "gives up " + strings.Join(row.GivesUp, "; ")
		switch {
		case row.Cannot != "":
			words = "cannot: " + row.Cannot
		case len(row.GivesUp) == 0:
			continue
		}
		if len(said) > 0 && i > 0 || len(said) == 1 {
			fmt.Fprintln(w)
		}
		for n, line := range wrap(words, max(columns-8, 24)) {
			name := row.Path
			if n > 0 {
				name = ""
			}
			if _, err := fmt.Fprintf(w, "%-7s %s\n", name, line); err != nil {
				return err
			}
		}
	}
	return nil
}

// wrap cuts words into lines of at most n columns.
func wrap(words string, n int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(words) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > n:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// table aligns columns to the right, and has no spaces that all lines begin or end with.
func table(w io.Writer, fill func(io.Writer)) error {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fill(t)
	if err := t.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(strings.TrimPrefix(line, "  "), " \n")); err != nil {
			return err
		}
	}
	return nil
}

// mpps is a rate in millions of frames a second.
func mpps(n uint64) string {
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%.2fM", float64(n)/1e6)
}

// share is a part of a whole that is never rounded to none.
func share(n, of uint64) string {
	switch p := float64(n) * 100 / float64(max(of, 1)); {
	case n == 0:
		return "0"
	case p < 0.01:
		return "<0.01%"
	default:
		return fmt.Sprintf("%.2f%%", p)
	}
}

func micros(ns int64) string {
	if ns == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1fus", float64(ns)/1e3)
}

func idle(cores float64) string {
	if cores == 0 {
		return "-"
	}
	return two(cores)
}

func cycles(x float64) string {
	switch {
	case x == 0:
		return "-"
	case x < 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.0f", x)
}
