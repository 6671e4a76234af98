package main

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"ringside"
	"ringside/internal/chart"
	"ringside/internal/sweep"
)

func init() { extraVerbs = append(extraVerbs, sweepCommand) }

// A sweeper is the flags of a sweep, beside those of its points.
type sweeper struct {
	points
	by                   string
	shard                string
	merge                bool
	state, out, csv, svg string
	jobs                 int
}

// noKnobs are flags that change no machine.
var noKnobs = []string{"json", "width", "config", "seed"}

func sweepCommand() *cobra.Command {
	var s sweeper
	c := &cobra.Command{
		Use:   "sweep KNOB RANGE [FILE…] [flags]",
		Short: "Turn one knob over a range: what it buys and what it costs",
		Long: `Sweep runs the machine once for each value of a knob, on a load or on captures, and
prints a row for each: what was offered and delivered, loss, latency, cycles for a
frame delivered, busy cores, interrupts and polls.

A KNOB is any flag that changes the machine, as itr, ring, batch, napi-weight or
busy-poll, or a part of the load: rate, size, flows, burst. On a load there is one
guest without --vms. A RANGE is

  0..200us/10     ten steps of the same size
  1..256*2        each value twice the one before
  1,8,32          these

With --by KNOB=V1,V2 there is a curve for each value of a second knob. Points are
independent: all cores of this computer work on them, and the rows are the same in
whatever order. With --state FILE what is done is not done again after a break.
--shard 2/8 runs the third of eight parts, and sweep --merge PART… puts them
together; --shard job/8 takes the number from JOB_COMPLETION_INDEX, as a Kubernetes
Indexed Job has it (deploy/sweep.yaml).

Output files appear whole or not at all. Exit codes: 0 success, 1 a run failed, 2
wrong usage, 130 interrupted.`,
		Example: `  ringside sweep itr 0..200us/10 --load 64@1mpps --vms 1
  ringside sweep rate 250kpps..5mpps/19 --load 64 --cpus 1 --tap-queue 16384 \
    --by interrupts=per-frame,napi --svg livelock.svg
  ringside sweep batch 1..64*2 --load 64@2mpps --csv batch.csv
  ringside sweep ring 64..4096*2 testdata/udp-flood.pcap --speed top
  ringside sweep itr 0..200us/40 --load imix@50% --shard 0/4 --out part0.json
  ringside sweep --merge part0.json part1.json part2.json part3.json --svg itr.svg`,
		RunE: func(c *cobra.Command, args []string) error {
			if s.merge {
				return s.merged(c, args)
			}
			return s.run(c, args)
		},
	}
	fs := c.Flags()
	s.flags(fs)
	fs.StringVar(&s.by, "by", "", "a second `KNOB=V1,V2,…`, with a curve for each of its values")
	fs.StringVar(&s.state, "state", "", "a `FILE` that remembers the points that are done")
	fs.StringVar(&s.shard, "shard", "", "run only part `I/N` of the points, the first 0/N; job/N takes I from JOB_COMPLETION_INDEX")
	fs.BoolVar(&s.merge, "merge", false, "put parts together that --shard and --out made")
	whole(fs, &s.jobs, "jobs", "", "points that run at once; otherwise as many as this computer has cores", 1, 1024, "4")
	fs.StringVar(&s.out, "out", "", "write the result to a `FILE` as JSON ("+sweep.Schema+")")
	fs.StringVar(&s.csv, "csv", "", "write it to a `FILE` as CSV")
	fs.StringVar(&s.svg, "svg", "", "draw it to a `FILE` as SVG")
	s.point.paper(fs)
	return c
}

// run is a sweep, or a part of one.
func (s *sweeper) run(c *cobra.Command, args []string) error {
	if len(args) < 2 {
		return usagef("sweep: name a knob and its range, as in ringside sweep itr 0..200us/10 --load 64@1mpps")
	}
	plan, err := s.plan(args[0], args[1], args[2:])
	if err != nil {
		return err
	}
	part, err := parseShard(s.shard)
	if err != nil {
		return err
	}
	for _, p := range plan.Points() { // what is wrong with any is told before the first begins
		if _, err := s.options(plan, p); err != nil {
			return err
		}
	}
	r := sweep.Runner{Workers: s.jobs, Shard: part, Do: func(ctx context.Context, p sweep.Point) (sweep.Row, error) {
		return s.do(ctx, plan, p)
	}}
	if r.Workers == 0 {
		r.Workers = runtime.GOMAXPROCS(0)
	}
	if s.state != "" {
		state, err := sweep.OpenState(s.state, plan)
		if errors.Is(err, sweep.ErrOtherSweep) {
			return usagef("%w; give another file, or remove that one", err)
		}
		if err != nil {
			return &usageError{err}
		}
		defer state.Close()
		r.Done, r.Finished = state.Rows(), state.Add
	}
	rows, err := r.Run(c.Context(), plan)
	if err != nil {
		return advised(err)
	}
	return s.write(c, sweep.New(*plan, part, rows))
}

// plan is what the arguments and flags say.
func (s *sweeper) plan(knob, values string, files []string) (*sweep.Plan, error) {
	v := thisVersion()
	p := &sweep.Plan{Version: strings.TrimSpace(v.Version + " " + v.Revision), Knob: knob, Settings: []sweep.Setting{}}
	var err error
	if p.Values, err = sweep.ParseValues(values); err != nil {
		return nil, usagef("sweep: %w", err)
	}
	if s.by != "" {
		by, list, ok := strings.Cut(s.by, "=")
		if !ok || by == knob {
			return nil, usagef("--by %s: give another knob and its values, as in --by interrupts=napi,per-frame", clip(s.by))
		}
		if p.By = by; list == "" {
			return nil, usagef("--by %s: give its values, as in --by interrupts=napi,per-frame", by)
		}
		if p.Series, err = sweep.ParseValues(list); err != nil {
			return nil, usagef("--by: %w", err)
		}
	}
	if len(p.Values)*max(len(p.Series), 1) > sweep.MaxValues {
		return nil, usagef("sweep: %d points; up to %d are possible", len(p.Values)*len(p.Series), sweep.MaxValues)
	}
	for _, k := range []string{knob, p.By} {
		if k != "" && !s.isKnob(k) {
			return nil, usagef("sweep: there is no knob %q: it is a flag of the machine without its dashes, as itr, ring or batch, or rate, size, flows or burst of the load", k)
		}
	}
	switch {
	case s.text == "" && len(files) == 0:
		return nil, usagef("sweep: what comes on the wire? Give --load, as in --load 64@1mpps, or captures")
	case s.text != "" && len(files) > 0:
		return nil, usagef("sweep: a load and captures: give one of them")
	case s.text != "":
		p.Settings = append(p.Settings, sweep.Setting{Flag: "load", Value: s.point.load.String()})
	}
	p.Settings = append(p.Settings, s.given(knob, p.By)...)
	all := slices.Clone(p.Settings)
	for _, v := range p.Values {
		all = append(all, sweep.Setting{Flag: knob, Value: v})
	}
	for _, v := range p.Series {
		all = append(all, sweep.Setting{Flag: p.By, Value: v})
	}
	for _, name := range append(slices.Clone(files), read(all)...) {
		f, err := fileOf(name)
		if err != nil {
			return nil, &usageError{err}
		}
		p.Files = append(p.Files, f)
	}
	s.point.replay.Files = files
	return p, nil
}

// isKnob says that a name is that of a flag that changes the machine, or of a part
// of the load.
func (s *sweeper) isKnob(name string) bool {
	if loadKnobs[name] != nil {
		return true
	}
	return pointFlags(&loadOptions{}).Lookup(name) != nil && !slices.Contains(noKnobs, name)
}

// options are those of one point.
func (s *sweeper) options(plan *sweep.Plan, p sweep.Point) (*loadOptions, error) {
	settings := plan.Settings
	if plan.By != "" {
		settings = append(slices.Clone(settings), sweep.Setting{Flag: plan.By, Value: p.Series})
	}
	return s.points.options("sweep", append(slices.Clone(settings), sweep.Setting{Flag: plan.Knob, Value: p.Value}))
}

// do runs one point.
func (s *sweeper) do(ctx context.Context, plan *sweep.Plan, p sweep.Point) (sweep.Row, error) {
	o, err := s.options(plan, p)
	if err != nil {
		return sweep.Row{}, err
	}
	t, rep, err := s.play(ctx, o)
	switch {
	case err != nil:
		return sweep.Row{}, err
	case t != nil:
		return rowOfTrial(t), nil
	}
	return rowOfReplay(rep), nil
}

func rowOfTrial(t *ringside.Trial) sweep.Row {
	return sweep.Row{
		OfferedPPS: t.OfferedPPS(), DeliveredPPS: t.DeliveredPPS(), Sent: t.Frames.Sent, Lost: t.Frames.Lost, LossPPM: ppm(t.Frames.Lost, t.Frames.Sent),
		P50Ns: t.Latency.P50, P99Ns: t.Latency.P99, CyclesPerFrame: hundredths(t.Cycles, t.Delivered), CoresBusy: hundredths(uint64(t.BusyNs), uint64(t.ForNs)),
		Interrupts: t.Interrupts, Polls: t.Polls, ForNs: t.ForNs, TraceHash: t.Report.TraceHash,
	}
}

// rowOfReplay is of the whole run. Frames that were flooded are delivered more than
// once, so what is lost is what was dropped.
func rowOfReplay(r *ringside.Report) sweep.Row {
	c := &r.Conservation
	var busy int64
	for _, cpu := range r.CPUs {
		busy += cpu.BusyNs
	}
	var dropped uint64
	for _, d := range r.Drops {
		dropped += d.Frames
	}
	ns := max(r.VirtualNs, 1)
	return sweep.Row{
		OfferedPPS: perSecond(c.FromWire, ns), DeliveredPPS: perSecond(c.ToVMs, ns), Sent: c.FromWire, Lost: dropped, LossPPM: ppm(dropped, c.In+c.Cloned),
		P50Ns: r.Latency.P50, P99Ns: r.Latency.P99, CyclesPerFrame: hundredths(r.Totals.Cycles, c.ToVMs), CoresBusy: hundredths(uint64(busy), uint64(ns)),
		Interrupts: r.Totals.Interrupts, Polls: r.Totals.Polls, ForNs: r.VirtualNs, TraceHash: r.TraceHash,
	}
}

func perSecond(n uint64, ns int64) uint64 { return uint64(float64(n) * 1e9 / float64(ns)) }

func ppm(n, of uint64) uint64 {
	if of == 0 {
		return 0
	}
	return uint64(float64(n) * 1e6 / float64(of))
}

// hundredths is a/b to two decimals, 0 for nothing.
func hundredths(a, b uint64) float64 {
	if b == 0 {
		return 0
	}
	return math.Round(float64(a)*100/float64(b)) / 100
}

// parseShard reads I/N.
func parseShard(s string) (*sweep.Shard, error) {
	if s == "" {
		return nil, nil
	}
	wrong := usagef("--shard %s: give a part and how many there are, the first 0, as in --shard 0/8; or job/8 with JOB_COMPLETION_INDEX set", clip(s))
	index, of, ok := strings.Cut(s, "/")
	if index == "job" {
		index = os.Getenv("JOB_COMPLETION_INDEX")
	}
	i, errI := strconv.ParseUint(index, 10, 31)
	n, errN := strconv.ParseUint(of, 10, 31)
	if !ok || errI != nil || errN != nil || n == 0 || i >= n {
		return nil, wrong
	}
	return &sweep.Shard{Index: int(i), Of: int(n)}, nil
}

// merged is ringside sweep --merge.
func (s *sweeper) merged(c *cobra.Command, names []string) error {
	if len(names) == 0 {
		return usagef("sweep: name the parts, as in ringside sweep --merge part0.json part1.json")
	}
	var parts []*sweep.Result
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return usagef("sweep: %w", err)
		}
		r, err := sweep.ReadJSON(f)
		f.Close()
		if err != nil {
			return usagef("%s: %w", name, err)
		}
		parts = append(parts, r)
	}
	r, err := sweep.Merge(parts)
	if err != nil {
		return &usageError{err}
	}
	return s.write(c, r)
}

// write writes what is asked for: first the files, then the page.
func (s *sweeper) write(c *cobra.Command, r *sweep.Result) error {
	err := writeFiles(output{s.out, r.WriteJSON}, output{s.csv, r.WriteCSV}, output{s.svg, func(w io.Writer) error { return chart.WriteSVG(w, r) }})
	switch {
	case err != nil:
		return err
	case s.point.json:
		return r.WriteJSON(c.OutOrStdout())
	}
	return r.WriteTable(c.OutOrStdout())
}
