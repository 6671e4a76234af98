package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ringside"
	"ringside/internal/chart"
	"ringside/internal/compare"
	"ringside/internal/sweep"
	"ringside/internal/workload"
)

func init() { extraVerbs = append(extraVerbs, compareCommand) }

// A comparer is the flags of a comparison, beside those of its machines.
type comparer struct {
	points
	axes          [3]axis
	tasks         []workload.Task // named workloads in place of all that
	out, csv, svg string
	jobs          int
}

// An axis is a flag of the machine that a comparison gives several values.
type axis struct {
	flag   string
	values []string
}

// newAxes is path, pinning and pages with what they are compared for unless the flags
// say otherwise.
func newAxes() (a [3]axis) {
	a = [3]axis{{flag: "path"}, {"pinning", []string{"on", "off"}}, {"pages", []string{"4k", "2m"}}}
	for _, p := range ringside.Paths() {
		a[0].values = append(a[0].values, p.String())
	}
	return a
}

func compareCommand() *cobra.Command {
	m := comparer{axes: newAxes()}
	c := &cobra.Command{
		Use:   "compare [FILE…] [flags]",
		Short: "The same frames every way there is: what each costs and gives up",
		Long: `Compare runs a load or captures once for each path, with tasks pinned and not, and
with small and huge pages, and prints three tables:

  what a frame costs in cycles on all CPUs together, what one core would carry that
  did all of that, what was delivered and lost, latency, and how many cores were busy;
  of those, idle ones poll and find nothing
  the cycles of a frame by kind of work
  what each path gives up

--path, --pinning and --pages take lists here. A machine that a path cannot be is a
row that says so. Every other flag is that of all machines; without --vms, --cpus or
--config four guests share four CPUs. With --workload it is named workloads as publications have them,
a forwarder or a drop at the driver, that are run on the machine of --machine. All cores of this computer work on the rows, which are the same
in whatever order.

Output files appear whole or not at all. Exit codes: 0 success, 1 a run failed, 2
wrong usage, 130 interrupted.`,
		Example: `  ringside compare --load 64@max
  ringside compare testdata/udp-flood.pcap --speed top
  ringside compare --load 1518@50% --path native,vhost,sriov --pinning on --pages 4k,2m,1g
  ringside compare --load imix@2mpps --machine e5-2690v3 --svg paths.svg --json
  ringside compare --workload all --machine my-server.yaml
  ringside compare --workload l2fwd,batch=1 --workload l2fwd,batch=32 --machine e5-2620v3-1.2`,
		RunE: func(c *cobra.Command, args []string) error { return m.run(c, args) },
	}
	m.flags(c.Flags())
	return c
}

// flags are those of points, but for the axes, whose flags take lists.
func (m *comparer) flags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	for i := range m.axes {
		a := &m.axes[i]
		flag(fs, a.flag, "LIST", strings.Join(a.values, ","), "values of --"+a.flag+" to compare", func(s string) error { return a.set(s) })
	}
	m.loadFlag(fs)
	flag(fs, "workload", "NAME", "", "instead of all that a named workload, with knobs as in "+workload.Example+", or all; may be repeated", func(s string) error { return addTasks(&m.tasks, s) })
	pointFlags(&m.point).VisitAll(func(f *pflag.Flag) {
		if fs.Lookup(f.Name) == nil {
			fs.AddFlag(f)
		}
	})
	m.point.flags = fs
	whole(fs, &m.jobs, "jobs", "", "machines that run at once; otherwise as many as this computer has cores", 1, 1024, "4")
	fs.StringVar(&m.out, "out", "", "write the result to a `FILE` as JSON ("+compare.Schema+")")
	fs.StringVar(&m.csv, "csv", "", "write it to a `FILE` as CSV")
	fs.StringVar(&m.svg, "svg", "", "draw it to a `FILE` as SVG")
	m.point.paper(fs)
}

// set reads a list of values, each of which the flag must take.
func (a *axis) set(s string) error {
	a.values = strings.Split(s, ",")
	for i, v := range a.values {
		if slices.Contains(a.values[:i], v) {
			return fmt.Errorf("%s is there twice", clip(v))
		}
		if err := pointFlags(&loadOptions{}).Lookup(a.flag).Value.Set(v); err != nil {
			return err
		}
	}
	return nil
}

// points are all machines of the comparison.
func (m *comparer) machines() (list []compare.Point) {
	for _, path := range m.axes[0].values {
		for _, pinning := range m.axes[1].values {
			for _, pages := range m.axes[2].values {
				list = append(list, compare.Point{Path: path, Pinning: pinning, Pages: pages})
			}
		}
	}
	return list
}

// narrow is the machine that is compared unless flags or a lab say otherwise: four
// guests that four CPUs share with interrupts and back ends, so that it matters where
// tasks run.
func (m *comparer) narrow() (list []sweep.Setting) {
	if m.point.config != "" {
		return nil
	}
	for _, s := range [...]sweep.Setting{{Flag: "vms", Value: "4"}, {Flag: "cpus", Value: "4"}} {
		if !m.point.flags.Changed(s.Flag) {
			list = append(list, s)
		}
	}
	return list
}

func (m *comparer) run(c *cobra.Command, files []string) error {
	switch {
	case len(m.tasks) > 0:
		return m.runWorkloads(c, files)
	case m.text == "" && len(files) == 0:
		return usagef("compare: what comes on the wire? Give --load, as in --load 64@max, or captures")
	case m.text != "" && len(files) > 0:
		return usagef("compare: a load and captures: give one of them")
	}
	for _, name := range files {
		if _, err := fileOf(name); err != nil {
			return &usageError{err}
		}
	}
	m.point.replay.Files = files
	given := append(m.narrow(), m.given(m.axes[0].flag, m.axes[1].flag, m.axes[2].flag)...)
	options := func(p compare.Point) (*loadOptions, error) {
		return m.options("compare", append(slices.Clone(given),
			sweep.Setting{Flag: m.axes[0].flag, Value: p.Path}, sweep.Setting{Flag: m.axes[1].flag, Value: p.Pinning}, sweep.Setting{Flag: m.axes[2].flag, Value: p.Pages}))
	}
	list := m.machines()
	for _, p := range list { // what is wrong with any is told before the first begins
		if _, err := options(p); err != nil {
			return err
		}
	}
	if m.jobs == 0 {
		m.jobs = runtime.GOMAXPROCS(0)
	}
	rows, err := compare.Run(c.Context(), list, m.jobs, func(ctx context.Context, p compare.Point) (compare.Row, error) {
		o, err := options(p)
		if err != nil {
			return compare.Row{}, err
		}
		t, rep, err := m.play(ctx, o)
		switch {
		case err != nil:
			return compare.Row{}, err
		case t != nil:
			return compare.OfTrial(t), nil
		}
		return compare.OfReplay(rep), nil
	})
	if err != nil {
		return advised(err)
	}
	r, err := m.result(options, list[0], rows)
	if err != nil {
		return err
	}
	r.Files = files
	return m.write(c, r)
}

// result is the rows with what is the same for all.
func (m *comparer) result(options func(compare.Point) (*loadOptions, error), first compare.Point, rows []compare.Row) (*compare.Result, error) {
	o, err := options(first)
	if err != nil {
		return nil, err
	}
	v := thisVersion()
	r := &compare.Result{Schema: compare.Schema, Version: strings.TrimSpace(v.Version + " " + v.Revision), Book: o.cfg.Book.Name, Hz: o.cfg.Book.Hz, Rows: rows}
	if o.host != nil {
		r.Machine = o.host.Name
	}
	if m.text != "" {
		r.Load = m.point.load.String()
	}
	for _, k := range compare.Kinds() {
		r.Kinds = append(r.Kinds, k.String())
	}
	for i := range rows {
		p, err := ringside.ParsePath(rows[i].Path)
		if err != nil {
			return nil, err
		}
		rows[i].GivesUp = append([]string{}, p.GivesUp()...)
	}
	return r, nil
}

// write writes what is asked for: first the files, then the page.
func (m *comparer) write(c *cobra.Command, r *compare.Result) error {
	err := writeFiles(
		output{m.out, r.WriteJSON}, output{m.csv, r.WriteCSV},
		output{m.svg, func(w io.Writer) error { return chart.CompareSVG(w, r) }},
	)
	switch {
	case err != nil:
		return err
	case m.point.json:
		return r.WriteJSON(c.OutOrStdout())
	}
	return r.WriteTable(c.OutOrStdout(), columns(m.point.width, c.OutOrStdout()))
}
