package sweep

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// WriteJSON writes r as one object.
func (r *Result) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// ReadJSON reads a result.
func ReadJSON(from io.Reader) (*Result, error) {
	var r Result
	d := json.NewDecoder(from)
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("sweep: not a %s: %w", Schema, err)
	}
	if r.Schema != Schema {
		return nil, fmt.Errorf("sweep: the schema is %q; %s is read", r.Schema, Schema)
	}
	return &r, nil
}

// WriteCSV writes a row a line, with a line of names in front.
func (r *Result) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	names := []string{r.Plan.Knob}
	if r.Plan.By != "" {
		names = append([]string{r.Plan.By}, names...)
	}
	c.Write(append(names, "offered_pps", "delivered_pps", "sent", "lost", "loss_ppm", "p50_ns", "p99_ns", "cycles_per_frame", "cores_busy", "interrupts", "polls", "for_ns", "trace_hash"))
	for _, row := range r.Rows {
		var line []string
		if r.Plan.By != "" {
			line = append(line, row.Series)
		}
		line = append(line, row.Value)
		for _, n := range []uint64{row.OfferedPPS, row.DeliveredPPS, row.Sent, row.Lost, row.LossPPM} {
			line = append(line, strconv.FormatUint(n, 10))
		}
		line = append(line, strconv.FormatInt(row.P50Ns, 10), strconv.FormatInt(row.P99Ns, 10), two(row.CyclesPerFrame), two(row.CoresBusy),
			strconv.FormatUint(row.Interrupts, 10), strconv.FormatUint(row.Polls, 10), strconv.FormatInt(row.ForNs, 10), row.TraceHash)
		c.Write(line)
	}
	c.Flush()
	return c.Error()
}

func two(x float64) string { return strconv.FormatFloat(x, 'f', 2, 64) }

// WriteTable writes the rows for people.
func (r *Result) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	name := r.Plan.Knob
	if r.Plan.By != "" {
		name = r.Plan.By + " " + name
	}
	fmt.Fprintf(t, "%s\toffered/s\tdelivered/s\tloss\tp50\tp99\tcycles\tcores\tinterrupts\tpolls\t\n", name)
	for _, row := range r.Rows {
		name := row.Value
		if row.Series != "" {
			name = row.Series + " " + name
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\t%s\t%.0f\t%.2f\t%d\t%d\t\n", name, row.OfferedPPS, row.DeliveredPPS, loss(&row),
			micros(row.P50Ns), micros(row.P99Ns), row.CyclesPerFrame, row.CoresBusy, row.Interrupts, row.Polls)
	}
	return t.Flush()
}

// loss is a share that is never rounded to none.
func loss(r *Row) string {
	switch {
	case r.Lost == 0:
		return "0"
	case r.LossPPM < 100:
		return "<0.01%"
	}
	return fmt.Sprintf("%.2f%%", float64(r.LossPPM)/1e4)
}

func micros(ns int64) string {
	if ns == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1fus", float64(ns)/1e3)
}
