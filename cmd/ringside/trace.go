package main

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"ringside"
	"ringside/internal/journey"
	"ringside/internal/report"
	"ringside/trace"
	"ringside/wire"
)

func traceCommand() *cobra.Command {
	var o options
	var frame, loop uint64 = 0, 1
	c := &cobra.Command{
		Use:   "trace FILE --frame N [flags]",
		Short: "Tell one frame's journey, step by step",
		Long: `Trace replays a capture and follows one frame of it: step by step with the
function names of the real path, when and on which CPU, what each step did, what
it cost, and the running total. The frame is given by its number in the file, as
Wireshark counts; the run is the same one that ringside replay makes with the same
flags, and has the same trace hash.

An interrupt, a poll, a wake-up or a system call may serve many frames. Such a step
is marked [1/N], and has one frame's share beside it. Times are microseconds since
the frame's last bit came in; what was done before that for it and others, a read()
that waited for instance, has a time below zero.

` + policies + "\n" + linkHelp + `
Exit codes: 0 success, 1 the run failed, 2 wrong usage or unreadable input, or no
such frame, 130 interrupted.`,
		Example: `  ringside trace testdata/ping.pcap --frame 3
  ringside trace testdata/udp-flood.pcap --frame 500 --speed top --batch 32
  ringside trace testdata/mix.pcap --frame 1 --json`,
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) != 1:
				return usagef("trace: name one capture, as in ringside trace testdata/ping.pcap --frame 3")
			case frame == 0:
				return usagef("trace: which frame? Give its number in the file, as in --frame 3")
			}
			o.replay.Files = args
			if err := o.ready(); err != nil {
				return err
			}
			return follow(c, &o, frame, loop)
		},
	}
	fs := c.Flags()
	fs.SortFlags = false
	whole(fs, &frame, "frame", "", "the frame's number in the file, from 1", 1, math.MaxInt64, "3")
	whole(fs, &loop, "loop", "1", "in which playing of the file", 1, 1<<30, "2")
	o.machine(fs)
	o.batching(fs)
	o.sched(fs)
	o.paper(fs)
	return c
}

// follow runs the replay and prints the frame's journey.
func follow(c *cobra.Command, o *options, frame, loop uint64) error {
	in, err := openInput(c, o)
	if err != nil {
		return err
	}
	defer in.close()
	id, found := frame, (*ringside.Found)(nil)
	if frame < trace.FirstOwnID {
		if found, err = o.replay.Find(frame); err != nil {
			return err
		}
		id += (loop - 1) * found.Records
	}
	if found != nil && found.Skipped != "" {
		return stayed(c, o, found)
	}
	o.replay.Loop = int(loop)
	w := journey.Watch(id)
	o.cfg.Sink = w
	var lost *wire.Lost
	o.cfg.Lost = func(_ string, l wire.Lost) {
		if l.ID == id {
			lost = &l
		}
	}
	show := newProgress(c.ErrOrStderr(), false)
	o.replay.Progress = show.frames
	rep, err := o.replay.Run(o.cfg, nil)
	show.end()
	if err != nil {
		return advised(err)
	}
	j := w.Journey(o.cfg.Book)
	switch {
	case j == nil && lost != nil && found != nil:
		return lostOnLink(c, o, found, loop, lost, rep)
	case j == nil && found == nil:
		return usagef("trace: no guest and no host sent a frame %d in this run", frame)
	case j == nil && o.replay.Limit > 0:
		return usagef("trace: frame %d did not come to the wire: --limit %d ended the replay before it", frame, o.replay.Limit)
	case j == nil:
		return usagef("trace: frame %d did not come to the wire before --until ended the run", frame)
	}
	out := c.OutOrStdout()
	if o.json {
		page := journeyJSON(o, found, loop, j, rep)
		if lost != nil {
			page.Lost = lost.Why.String()
		}
		return printJSON(out, page)
	}
	width := columns(o.width, out)
	title(out, o, found, loop, j, width)
	if err := j.Write(out, width); err != nil {
		return err
	}
	if lost != nil {
		text := fmt.Sprintf("Behind the NIC it was lost on the link: %v, %s.", lost.Why, lost.Why.Says())
		fmt.Fprintln(out, strings.Join(report.Wrap(text, min(width, report.MaxWidth)), "\n"))
	}
	fmt.Fprintln(out, "\n"+strings.Join(report.Hash(rep.TraceHash, width), "\n"))
	return nil
}

// title says which frame this is.
func title(out io.Writer, o *options, f *ringside.Found, loop uint64, j *journey.Journey, width int) {
	name := fmt.Sprintf("frame %d, begun in the machine, %d bytes", j.ID, len(j.Bytes))
	if f != nil {
		name = fmt.Sprintf("frame %d of %s, %d bytes", f.Number, o.replay.Files[0], f.Length)
		if loop > 1 {
			name += fmt.Sprintf(", playing %d", loop)
		}
		if f.Adjusted != "" {
			name += fmt.Sprintf(", %d on the wire (%s)", len(f.Frame), f.Adjusted)
		}
	}
	lines := report.Wrap(name, min(width, report.MaxWidth))
	for _, l := range report.Wrap(strings.Join(journey.Decode(j.Bytes), "; "), min(width, report.MaxWidth)-2) {
		lines = append(lines, "  "+l)
	}
	fmt.Fprintln(out, strings.Join(lines, "\n")+"\n")
}

// stayed tells of a frame that did not go on the wire. That is an answer, and no
// failure.
func stayed(c *cobra.Command, o *options, f *ringside.Found) error {
	if o.json {
		return printJSON(c.OutOrStdout(), journeyOf{
			Schema: journeySchema, File: o.replay.Files[0], Frame: f.Number, Length: f.Length,
			Verdict: "not on the wire", Skipped: f.Skipped, Decoded: []string{}, Steps: []stepJSON{}, Ends: []endJSON{},
		})
	}
	why := f.Skipped
	if f.Why != "" {
		why += ": " + f.Why
	}
	hint := ""
	if f.Skipped == ringside.SkipTruncated {
		hint = fmt.Sprintf(" (%d of its %d bytes; --truncated pad fills it up)", f.Captured, f.Length)
	}
	fmt.Fprintf(c.OutOrStdout(), "frame %d of %s, %d bytes\n\nIt does not go on the wire: %s%s.\n", f.Number, o.replay.Files[0], f.Length, why, hint)
	return nil
}

// lostOnLink tells of a frame that went on the wire and never came to the NIC.
func lostOnLink(c *cobra.Command, o *options, f *ringside.Found, loop uint64, l *wire.Lost, rep *ringside.Report) error {
	out := c.OutOrStdout()
	if o.json {
		return printJSON(out, journeyOf{
			Schema: journeySchema, File: o.replay.Files[0], Frame: f.Number, Loop: loop, ID: l.ID, Seed: rep.Seed, Book: rep.Book,
			Length: f.Length, Adjusted: f.Adjusted, Verdict: "lost on the link", Lost: l.Why.String(), BeganPs: int64(l.At),
			Decoded: journey.Decode(f.Frame), Steps: []stepJSON{}, Ends: []endJSON{}, TraceHash: rep.TraceHash,
		})
	}
	width := columns(o.width, out)
	title(out, o, f, loop, &journey.Journey{ID: l.ID, Bytes: f.Frame}, width)
	text := fmt.Sprintf("It was lost on the link %s after the run began: %v, %s. The NIC never saw it.", report.Span(l.At), l.Why, l.Why.Says())
	fmt.Fprintln(out, strings.Join(report.Wrap(text, min(width, report.MaxWidth)), "\n"))
	fmt.Fprintln(out, "\n"+strings.Join(report.Hash(rep.TraceHash, width), "\n"))
	return nil
}

const journeySchema = "ringside.journey/1"

// A journeyOf is a journey for programs.
type journeyOf struct {
	Schema    string     `json:"schema"`
	File      string     `json:"file"`
	Frame     uint64     `json:"frame"`
	Loop      uint64     `json:"loop"`
	ID        uint64     `json:"id"`
	Seed      uint64     `json:"seed"`
	Book      string     `json:"book"`
	Length    int        `json:"length"`
	Skipped   string     `json:"skipped,omitempty"`
	Lost      string     `json:"lost,omitempty"` // on the link; why
	Adjusted  string     `json:"adjusted,omitempty"`
	Decoded   []string   `json:"decoded"`
	BeganPs   int64      `json:"began_ps"` // virtual time; the steps' times are since then
	Steps     []stepJSON `json:"steps"`
	Ends      []endJSON  `json:"ends"`
	Copies    int        `json:"copies"`
	Verdict   string     `json:"verdict"`
	Totals    totalsJSON `json:"totals"`
	TraceHash string     `json:"trace_hash,omitempty"`
}

type stepJSON struct {
	AtPs        int64  `json:"at_ps"`
	CPU         string `json:"cpu"` // eth0 for the device
	Step        string `json:"step"`
	Stage       string `json:"stage"`
	Does        string `json:"does"`
	Note        string `json:"note,omitempty"`
	Guest       string `json:"guest,omitempty"`
	Count       uint64 `json:"count"`
	Bytes       uint64 `json:"bytes,omitempty"`
	SharedBy    uint64 `json:"shared_by"`   // frames; 1 for a step of this frame alone
	MilliCycles uint64 `json:"millicycles"` // this frame's share
	Picoseconds uint64 `json:"device_ps,omitempty"`
	Total       uint64 `json:"total_millicycles"`
}

type endJSON struct {
	AtPs    int64  `json:"at_ps"`
	Verdict string `json:"verdict"`
	Point   string `json:"point"`
	VM      string `json:"vm,omitempty"`
	Stage   string `json:"stage,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

type totalsJSON struct {
	MilliCycles uint64 `json:"millicycles"`
	Own         uint64 `json:"own_millicycles"`
	Shared      uint64 `json:"shared_millicycles"`
	DevicePs    int64  `json:"device_ps"`
}

func journeyJSON(o *options, f *ringside.Found, loop uint64, j *journey.Journey, rep *ringside.Report) journeyOf {
	t := j.Totals()
	out := journeyOf{
		Schema: journeySchema, File: o.replay.Files[0], Frame: j.ID, Loop: loop, ID: j.ID, Seed: rep.Seed, Book: rep.Book,
		Length: len(j.Bytes), Decoded: journey.Decode(j.Bytes), BeganPs: int64(j.Began), Steps: []stepJSON{}, Ends: []endJSON{},
		Copies: j.Copies, Verdict: j.Verdict(), TraceHash: rep.TraceHash,
		Totals: totalsJSON{t.Cycles(), t.Own, t.Shared, int64(t.Device)},
	}
	if f != nil {
		out.Frame, out.Length, out.Adjusted = f.Number, f.Length, f.Adjusted
	}
	var total uint64
	for _, s := range j.Steps {
		total += s.MilliCycles
		cpu := "eth0"
		if s.CPU >= 0 {
			cpu = fmt.Sprintf("cpu%d", s.CPU)
		}
		out.Steps = append(out.Steps, stepJSON{
			int64(s.At - j.Began), cpu, s.Step.String(), s.Step.Stage().String(), s.Step.Does(), s.Note, s.Guest,
			s.Count, s.Bytes, max(s.Shared, 1), s.MilliCycles, s.Picoseconds, total,
		})
	}
	for _, e := range j.Ends {
		end := endJSON{AtPs: int64(e.At - j.Began), Verdict: e.Verdict.String(), Point: e.Point.String()}
		if e.VM >= 0 {
			end.VM = fmt.Sprintf("vm%d", e.VM)
		}
		if e.Verdict == trace.Drop {
			end.Stage, end.Reason = e.Stage.String(), e.Reason.String()
		}
		out.Ends = append(out.Ends, end)
	}
	return out
}
