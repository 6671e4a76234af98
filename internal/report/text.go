package report

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"ringside/sim"
)

// Comma is n with its thousands set apart.
func Comma(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Milli is a number of thousandths as a decimal without trailing zeros.
func Milli(n uint64) string {
	s := fmt.Sprintf("%s.%03d", Comma(n/1000), n%1000)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

// Span is a span of virtual time with a unit that leaves a whole part.
func Span(t sim.Time) string {
	s := t.String()
	i := strings.LastIndexAny(s, "0123456789") + 1
	num := s[:i]
	if strings.Contains(num, ".") {
		num = strings.TrimRight(strings.TrimRight(num, "0"), ".")
	}
	if i == len(s) {
		return num
	}
	return num + " " + s[i:]
}

// Count is a number and its noun.
func Count(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Comma(n) + " " + many
}

// ratio is a/b to two decimals.
func ratio(a, b uint64) string {
	if b == 0 {
		return "-"
	}
	hundredths := a/b*100 + (a%b*100+b/2)/b
	return fmt.Sprintf("%s.%02d", Comma(hundredths/100), hundredths%100)
}

// percent is the share of part in whole.
func percent(part, whole uint64) string {
	if whole == 0 || part == 0 {
		return "0.0 %"
	}
	tenths := (float64(part) / float64(whole)) * 1000
	if tenths < 0.5 {
		return "<0.1 %"
	}
	return fmt.Sprintf("%.1f %%", tenths/10)
}

var eighths = [...]string{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"}

// bar is part of whole as a bar, the whole being n columns.
func bar(part, whole uint64, n int) string {
	if whole == 0 {
		return ""
	}
	units := int(float64(part)/float64(whole)*float64(8*n) + 0.5)
	if units == 0 && part > 0 {
		units = 1
	}
	return strings.Repeat("█", units/8) + eighths[units%8]
}

// width is how many columns s takes.
func width(s string) int { return utf8.RuneCountInString(s) }

// pad fills s up to n columns, on the left if right is set.
func pad(s string, n int, right bool) string {
	fill := strings.Repeat(" ", max(0, n-width(s)))
	if right {
		return fill + s
	}
	return s + fill
}

// Fit cuts s to n columns and shows that it did.
func Fit(s string, n int) string {
	if width(s) <= n {
		return s
	}
	if n < 2 {
		return string([]rune(s)[:max(n, 0)])
	}
	return string([]rune(s)[:n-1]) + "…"
}

// Wrap breaks text at spaces into lines of at most n columns. A word that is
// longer than a line is cut. A line has at least one column.
func Wrap(text string, n int) (lines []string) {
	n = max(n, 1)
	line := ""
	for _, word := range strings.Fields(text) {
		for width(word) > n {
			r := []rune(word)
			if line != "" {
				lines, line = append(lines, line), ""
			}
			lines, word = append(lines, string(r[:n])), string(r[n:])
		}
		switch {
		case line == "":
			line = word
		case width(line)+1+width(word) > n:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// A page gathers lines that are no wider than it is.
type page struct {
	w     int
	lines []string
}

func (p *page) line(s string) { p.lines = append(p.lines, strings.TrimRight(Fit(s, p.w), " ")) }

func (p *page) blank() { p.lines = append(p.lines, "") }

// title begins a section.
func (p *page) title(s string) {
	p.blank()
	p.line(s)
}

// para is text behind a label, broken where the page ends, its further lines
// standing under the first.
func (p *page) para(label, text string) {
	for i, l := range Wrap(text, max(p.w-width(label), 16)) {
		if i == 0 {
			p.line(label + l)
		} else {
			p.line(strings.Repeat(" ", width(label)) + l)
		}
	}
}

// A column of a table. Those with a higher drop go first when the page is
// narrow; 0 stays.
type column struct {
	name  string
	right bool
	drop  int
}

// tableGap stands in front of every column.
const tableGap = 2

// table prints rows under the names of their columns. Where the page is too
// narrow for all columns some are left out, and then the last one is broken into
// lines.
func (p *page) table(cols []column, rows [][]string) {
	widths := make([]int, len(cols))
	for i, c := range cols {
		widths[i] = width(c.name)
		for _, r := range rows {
			widths[i] = max(widths[i], width(r[i]))
		}
	}
	keep := p.keep(cols, widths)
	last := len(cols) - 1
	room := widths[last]
	if keep[last] {
		room -= max(0, taken(keep, widths)-p.w)
	}
	put := func(cells []string) {
		line := ""
		for i, s := range cells[:last] {
			if keep[i] {
				line += strings.Repeat(" ", tableGap) + pad(s, widths[i], cols[i].right)
			}
		}
		switch {
		case !keep[last]:
			p.line(line)
		case cols[last].right || room >= widths[last]:
			p.line(line + strings.Repeat(" ", tableGap) + pad(cells[last], widths[last], cols[last].right))
		case room >= 16:
			p.para(line+strings.Repeat(" ", tableGap), cells[last])
		default:
			p.line(line)
			p.para("      ", cells[last])
		}
	}
	names := make([]string, len(cols))
	for i, c := range cols {
		names[i] = c.name
	}
	put(names)
	for _, r := range rows {
		put(r)
	}
}

// keep says which columns there is room for.
func (p *page) keep(cols []column, widths []int) []bool {
	keep := make([]bool, len(cols))
	for i := range cols {
		keep[i] = true
	}
	for level := 9; level > 0 && taken(keep, widths) > p.w; level-- {
		for i, c := range cols {
			if c.drop == level {
				keep[i] = false
			}
		}
	}
	return keep
}

// taken is how wide the columns are that are kept.
func taken(keep []bool, widths []int) (n int) {
	for i, w := range widths {
		if keep[i] {
			n += tableGap + w
		}
	}
	return n
}
