package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"ringside/cost"
	"ringside/sim"
)

// WriteBook prints a cost book as a table, at most columns wide, with the note of
// every price if asked, and the sources behind it.
func WriteBook(w io.Writer, b *cost.Book, columns int, notes bool) error {
	if columns == 0 {
		columns = MaxWidth
	}
	p := &page{w: min(max(columns, MinWidth), MaxWidth)}
	p.para("", fmt.Sprintf("%s: %s", b.Name, b.Title))
	p.para("", fmt.Sprintf("A cycle is one of %s; the bill reckons in what stands under \"on the bill\".", hertz(b.Hz)))
	p.blank()
	p.prices(b, notes)
	p.statuses(b)
	if len(b.Sources) > 0 {
		p.title("SOURCES")
		for _, id := range slices.SortedFunc(maps.Keys(b.Sources), byNumber) {
			p.para("  "+pad(id, 5, false), b.Sources[id])
		}
	}
	_, err := io.WriteString(w, strings.Join(p.lines, "\n")+"\n")
	return err
}

// byNumber orders S2 before S10.
func byNumber(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

func (p *page) prices(b *cost.Book, notes bool) {
	var rows [][]string
	for o, e := range b.Entries {
		what := cost.Op(o).Does()
		if notes && e.Note != "" {
			what += ". " + e.Note
		}
		rows = append(rows, []string{cost.Op(o).String(), e.Value, e.Unit, onBill(b, cost.Op(o)), string(e.Status), e.Source, what})
	}
	p.table([]column{{"operation", false, 0}, {"value", true, 0}, {"unit", false, 0}, {"on the bill", true, 0}, {"status", false, 0}, {"source", false, 0}, {"what it is", false, 0}}, rows)
}

// onBill is the price in the coin of the bill.
func onBill(b *cost.Book, o cost.Op) string {
	each, perByte := b.Cycles(o)
	ps, psPerByte := b.Picoseconds(o)
	switch {
	case each > 0:
		return Milli(each) + " cyc"
	case perByte > 0:
		return Milli(perByte) + " cyc/B"
	case ps > 0:
		return Span(sim.Time(ps))
	}
	return fmt.Sprintf("%d ps/B", psPerByte)
}

func (p *page) statuses(b *cost.Book) {
	by := map[cost.Status]int{}
	for _, e := range b.Entries {
		by[e.Status]++
	}
	p.blank()
	for _, s := range []cost.Status{cost.Read, cost.ReadSecond, cost.Derived, cost.Figure, cost.Assumed, cost.Counting} {
		if by[s] > 0 {
			p.para("  ", fmt.Sprintf("%d of %d are %s: %s", by[s], len(b.Entries), s, s.Says()))
		}
	}
}
