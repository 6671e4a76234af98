package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ringside/internal/workload"
	"ringside/machine"
)

// WorkloadsSchema names the shape of what compare --workload prints as JSON.
const WorkloadsSchema = "ringside.workloads/1"

// workloads is what named workloads make of a machine.
type workloads struct {
	Schema  string        `json:"schema"`
	Machine string        `json:"machine,omitempty"`
	Rows    []workloadRow `json:"rows"`
}

// A workloadRow is one of them.
type workloadRow struct {
	Workload string  `json:"workload"` // with its knobs
	Does     string  `json:"does"`
	Stands   string  `json:"stands_for"`
	PPS      float64 `json:"pps"`      // frames a second that count
	CorePPS  float64 `json:"core_pps"` // that the busiest CPU would carry, had it nothing in its way
	Cycles   float64 `json:"cycles_per_frame"`
	Bound    string  `json:"bound"`
}

// addTasks reads one --workload.
func addTasks(list *[]workload.Task, s string) error {
	if s == "all" {
		for i := range workload.Cases() {
			*list = append(*list, workload.Task{Case: &workload.Cases()[i]})
		}
		return nil
	}
	t, err := workload.Parse(s)
	*list = append(*list, t)
	return err
}

// workloadFlags are those that go with --workload.
var workloadFlags = []string{"workload", "machine", "json", "width"}

// runWorkloads is compare --workload.
func (m *comparer) runWorkloads(c *cobra.Command, args []string) error {
	var other error
	c.Flags().Visit(func(f *pflag.Flag) {
		if other == nil && !slices.Contains(workloadFlags, f.Name) {
			other = usagef("compare: --%s does not go with --workload: a workload is a machine and a load of its own; its knobs stand behind its name, as in %s", f.Name, workload.Example)
		}
	})
	switch {
	case other != nil:
		return other
	case len(args) > 0:
		return usagef("compare: captures do not go with --workload, which has a load of its own")
	}
	out := workloads{Schema: WorkloadsSchema}
	if m.point.host != nil {
		out.Machine = m.point.host.Name
	}
	for _, t := range m.tasks {
		row, err := runWorkload(t, m.point.host)
		if err != nil {
			return advised(err)
		}
		out.Rows = append(out.Rows, row)
		if err := c.Context().Err(); err != nil {
			return err
		}
	}
	if m.point.json {
		return printJSON(c.OutOrStdout(), out)
	}
	return out.write(c.OutOrStdout())
}

func runWorkload(t workload.Task, on *machine.Machine) (workloadRow, error) {
	r, err := t.Run(on, t.Knobs)
	if err != nil {
		return workloadRow{}, err
	}
	return workloadRow{t.String(), t.Does, t.Stands, math.Round(r.PPS), math.Round(r.CorePPS), math.Round(r.Cycles*100) / 100, string(r.Bound)}, nil
}

// write prints the rows for people.
func (w *workloads) write(to io.Writer) error {
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "workload\tframes/s\tone core\tcycles\tbound by\twhat is run")
	for _, r := range w.Rows {
		fmt.Fprintf(t, "%s\t%.2fM\t%.2fM\t%.0f\t%s\t%s\n", r.Workload, r.PPS/1e6, r.CorePPS/1e6, r.Cycles, r.Bound, r.Does)
	}
	return t.Flush()
}
