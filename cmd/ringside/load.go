package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ringside"
	"ringside/internal/report"
	"ringside/load"
	"ringside/sim"
)

func init() { extraVerbs = append(extraVerbs, loadCommand) }

// loadOptions are the flags of a generated load, beside those of the machine.
type loadOptions struct {
	options
	load load.Spec
	warm sim.Time
	span sim.Time
}

// trial adds the flags that say how long a load is offered.
func (o *loadOptions) trial(fs *pflag.FlagSet) {
	o.warm, o.span = ringside.DefaultWarmup, ringside.DefaultFor
	span := func(at *sim.Time, name, def, usage string) {
		flag(fs, name, "SPAN", def, usage, func(s string) error {
			t, ok := duration(s)
			if !ok || t > 100*sim.Second {
				return fmt.Errorf("give a span of virtual time up to 100s, as in --%s %s", name, def)
			}
			*at = t
			return nil
		})
	}
	span(&o.warm, "warmup", "2ms", "virtual time for which a load is offered before anything is counted")
	span(&o.span, "for", "20ms", "virtual time that is measured")
}

// setLoad reads the load.
func (o *loadOptions) setLoad(s string) (err error) {
	if o.load, err = load.Parse(s); err != nil {
		return fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "load "))
	}
	return nil
}

// made is the load for the library. Flags that only mean something for captures
// are refused.
func (o *loadOptions) made(ctx context.Context) (ringside.Load, error) {
	for _, name := range []string{"speed", "limit", "until", "settle", "truncated", "map", "addr"} {
		if f := o.flags.Lookup(name); f != nil && f.Changed {
			return ringside.Load{}, usagef("--%s is for captures; a load says itself what comes and how fast", name)
		}
	}
	if !o.flags.Lookup("vms").Changed {
		o.replay.VMs = 0
		if o.lab != nil {
			o.replay.VMs = len(o.cfg.VMs)
		}
	}
	l := ringside.Load{
		Spec: o.load, Warmup: o.warm, For: o.span, NIC: o.replay.NIC, VMs: o.replay.VMs, Batch: o.replay.Batch, Context: ctx,
	}
	switch span, slow := strings.CutPrefix(o.guest, "slow="); {
	case slow:
		l.Work, _ = duration(span)
	case o.guest != "sink":
		l.Program = o.replay.Program
	}
	return l, nil
}

func loadCommand() *cobra.Command {
	var o loadOptions
	var search, bill bool
	var resolution, tolerance uint64
	c := &cobra.Command{
		Use:   "load SIZES[@RATE][,WORD…] [flags]",
		Short: "Offer made traffic to the machine and say what it delivers",
		Long: `Load offers traffic that is made: frames of known sizes (with FCS), at a known rate,
in a known order of flows, which go to the guests in turn. It says what was offered
and what was delivered in the time that was measured, and after the machine has
come to rest, which frames were lost, doubled or out of order.

  SIZES  64, several with weights as 64:7+594:4+1518, or imix (7:4:1 of these)
  RATE   max (what the link carries), 1mpps, 5gbps (of frames with FCS) or 50%
  WORD   flows=N, pick=robin|random|zipf, burst=N, gap=SPAN, poisson

Without --vms there is one guest, or those of --config.

With --search it looks for the throughput as RFC 2544, 26.1 has it: the highest rate
at which nothing is lost. The given RATE is tried first; half of what is left follows
until --resolution. --loss tolerates some, as MLRsearch's partial drop rate does.

The curve of delivered against offered load is ringside sweep rate.

Exit codes: 0 success, 1 the run failed, 2 wrong usage, 130 interrupted.`,
		Example: `  ringside load 64@1mpps
  ringside load imix@5gbps,flows=1000,pick=zipf --vms 4 --queues 4
  ringside load 64 --search --cpus 1
  ringside load 64 --search --loss 5000 --for 100ms --json
  ringside load 64@2mpps --cpus 1 --interrupts per-frame --bill`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("load: say what is offered, as in ringside load %s", load.Example)
			}
			if err := o.setLoad(args[0]); err != nil {
				return usagef("load: %w", err)
			}
			if err := o.ready(); err != nil {
				return err
			}
			l, err := o.made(c.Context())
			if err != nil {
				return err
			}
			if search {
				return searchLoad(c, &o, l, load.Search{Resolution: resolution, LossPPM: tolerance})
			}
			if o.flags.Changed("resolution") || o.flags.Changed("loss") {
				return usagef("load: --resolution and --loss are for --search")
			}
			t, err := l.Run(o.cfg, nil)
			if err != nil {
				return advised(err)
			}
			if o.json {
				return printJSON(c.OutOrStdout(), struct {
					Schema string `json:"schema"`
					*ringside.Trial
					Report *ringside.Report `json:"report"`
				}{"ringside.load/1", t, t.Report})
			}
			if err := writeTrial(c.OutOrStdout(), t, &o); err != nil || !bill {
				return err
			}
			fmt.Fprintln(c.OutOrStdout())
			return report.Write(c.OutOrStdout(), t.Report, report.Page{Columns: columns(o.width, c.OutOrStdout()), Bridges: o.lab != nil})
		},
	}
	fs := c.Flags()
	o.machine(fs)
	o.batching(fs)
	o.sched(fs)
	o.trial(fs)
	fs.BoolVar(&search, "search", false, "look for the highest rate without loss")
	whole(fs, &resolution, "resolution", "", "frames a second; otherwise a 256th of the highest rate", 1, 1e9, "10000")
	whole(fs, &tolerance, "loss", "0", "loss that --search tolerates, in millionths", 0, 999_999, "5000")
	fs.BoolVar(&bill, "bill", false, "print the bill of the whole run, too")
	o.paper(fs)
	return c
}

// A throughput is what a search found, as JSON.
type throughput struct {
	Schema string `json:"schema"`
	Load   string `json:"load"`
	LinkPS uint64 `json:"line_pps"`
	ForNs  int64  `json:"for_ns"`
	*load.Found
}

// searchLoad is ringside load --search.
func searchLoad(c *cobra.Command, o *loadOptions, l ringside.Load, s load.Search) error {
	bps := o.cfg.LinkBPS
	if bps == 0 {
		bps = 10e9
	}
	if l.Spec.Gap > 0 {
		return usagef("load: --search sets the rate; a gap between bursts leaves it nothing to set")
	}
	s.Max = l.Spec.PPS(bps)
	if line := l.Spec.LinePPS(bps); s.Max > line {
		return usagef("load: %d frames a second, and the link carries %d of these", s.Max, line)
	}
	show := newProgress(c.ErrOrStderr(), o.json)
	found, err := s.Run(func(pps uint64) (uint64, uint64, error) {
		l.Spec.Rate = load.Rate{PPS: pps}
		t, err := l.Run(o.cfg, nil)
		if err != nil {
			return 0, 0, err
		}
		show.frames(t.Frames.Sent)
		return t.Frames.Sent, t.Frames.Lost, nil
	})
	show.end()
	if err != nil {
		return advised(err)
	}
	l.Spec.Rate = load.Rate{}
	if o.json {
		return printJSON(c.OutOrStdout(), throughput{"ringside.throughput/1", l.Spec.String(), l.Spec.LinePPS(bps), (o.warm + o.span).Nanoseconds(), found})
	}
	return writeFound(c.OutOrStdout(), found, l, bps)
}

func writeFound(w io.Writer, f *load.Found, l ringside.Load, bps uint64) error {
	for _, t := range f.Trials {
		word := "lost"
		if t.Pass {
			word = "pass"
		}
		fmt.Fprintf(w, "%12d pps  %9d offered  %9d lost  %s\n", t.PPS, t.Offered, t.Lost, word)
	}
	if f.PPS == 0 {
		_, err := fmt.Fprintf(w, "no rate passes down to %d frames a second\n", f.Resolution)
		return err
	}
	line := l.Spec.LinePPS(bps)
	_, err := fmt.Fprintf(w, "throughput %d frames a second, %.1f%% of the link's %d, to within %d\n", f.PPS, float64(f.PPS)*100/float64(line), line, f.Resolution)
	return err
}

func writeTrial(w io.Writer, t *ringside.Trial, o *loadOptions) error {
	loss := ""
	if t.Frames.Lost > 0 {
		loss = fmt.Sprintf(" (%.3f%%)", float64(t.Frames.Lost)*100/float64(t.Frames.Sent))
	}
	fmt.Fprintf(w, "%s for %v after %v\n", t.Load, o.span, o.warm)
	fmt.Fprintf(w, "  offered    %10d frames a second\n", t.OfferedPPS())
	fmt.Fprintf(w, "  delivered  %10d frames a second\n", t.DeliveredPPS())
	fmt.Fprintf(w, "  of %d frames in all %d arrived, %d lost%s, %d doubled, %d out of order\n",
		t.Frames.Sent, t.Frames.Arrived, t.Frames.Lost, loss, t.Frames.Doubled, t.Frames.Reordered)
	if t.Delivered > 0 {
		fmt.Fprintf(w, "  latency    %.1f us at p50, %.1f us at p99\n", float64(t.Latency.P50)/1e3, float64(t.Latency.P99)/1e3)
		fmt.Fprintf(w, "  cost       %d cycles for a frame delivered\n", t.Cycles/t.Delivered)
	}
	_, err := fmt.Fprintf(w, "  CPU        %.2f cores busy, %d interrupts, %d polls\n", float64(t.BusyNs)/float64(t.ForNs), t.Interrupts, t.Polls)
	return err
}
