package report

import (
	"fmt"
	"io"
	"math"
	"strings"

	"ringside/internal/validate"
)

// WriteValidation prints what was published beside what the model predicts.
func WriteValidation(w io.Writer, v *validate.Report, columns int) error {
	if columns == 0 {
		columns = MaxWidth
	}
	p := &page{w: min(max(columns, MinWidth), MaxWidth)}
	for _, g := range v.Groups {
		p.title(strings.ToUpper(g.Name))
		p.para("  ", g.About)
		p.validation(g.Rows)
		p.para("  ", verdict(&g))
		p.blank()
	}
	p.para("", fmt.Sprintf("%d parameters were fitted. From a row marked * a price was worked out.", v.Fitted))
	_, err := io.WriteString(w, strings.Join(p.lines, "\n")+"\n")
	return err
}

// WritePredictions prints what every workload makes of a machine.
func WritePredictions(w io.Writer, g *validate.Group, columns int) error {
	if columns == 0 {
		columns = MaxWidth
	}
	p := &page{w: min(max(columns, MinWidth), MaxWidth)}
	p.para("", g.Name+": "+g.About)
	p.blank()
	var table [][]string
	for _, r := range g.Rows {
		table = append(table, []string{r.Case, fmt.Sprintf("%.2f", *r.Predicted), r.Bound, r.What})
	}
	p.table([]column{{"workload", false, 0}, {"Mpps", true, 0}, {"bound", false, 0}, {"what", false, 0}}, table)
	_, err := io.WriteString(w, strings.Join(p.lines, "\n")+"\n")
	return err
}

func (p *page) validation(rows []validate.Row) {
	var table [][]string
	for _, r := range rows {
		what, mark := r.What, ""
		if r.Priced {
			mark = "*"
		}
		predicted, ratio, bound := "none", "", ""
		if r.Predicted == nil {
			what += ": " + r.Why
		} else {
			predicted, ratio, bound = fmt.Sprintf("%.2f", *r.Predicted), fmt.Sprintf("%.2f", *r.Ratio), r.Bound
		}
		table = append(table, []string{r.Source + mark, r.Machine, fmt.Sprintf("%.2f", r.Published), predicted, ratio, bound, what})
	}
	p.table([]column{{"source", false, 0}, {"machine", false, 0}, {"published", true, 0}, {"predicted", true, 0}, {"ratio", true, 0}, {"bound", false, 0}, {"what", false, 0}}, table)
}

// verdict is what came of a group.
func verdict(g *validate.Group) string {
	if g.Median == nil {
		return "no row could be predicted"
	}
	reached := "reached"
	if !g.Reached {
		reached = "missed"
	}
	return fmt.Sprintf("median |ln ratio| %.3f, a factor of %.2f; goal %.2f %s", *g.Median, math.Exp(*g.Median), g.Goal, reached)
}
