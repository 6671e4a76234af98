package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"ringside"
	"ringside/cost"
	"ringside/sim"
)

// MaxWidth is how wide a page is when nobody asks for less.
const MaxWidth = 100

// MinWidth is the narrowest page that can be read.
const MinWidth = 60

// A Page is what a report is printed on. The zero value is as wide as can be.
type Page struct {
	Columns int  // MinWidth to MaxWidth, which 0 means too
	Bridges bool // tell of the bridges, even if there is one and nothing befell it
}

// Write prints the report r, which has its Bill.
func Write(w io.Writer, r *ringside.Report, at Page) error {
	if at.Columns == 0 {
		at.Columns = MaxWidth
	}
	p := &page{w: min(max(at.Columns, MinWidth), MaxWidth)}
	p.header(r)
	p.journey(r)
	p.equation(r.Bill, r.Totals.Cycles, r.Conservation.In)
	p.trust(r)
	p.links(r.Links)
	p.conservation(&r.Conservation)
	p.drops(r)
	p.storm(r.Storm)
	p.bridges(r.Bridges, at.Bridges)
	p.vteps(r.VTEPs)
	p.xdp(r.XDP)
	p.vfs(r.VFs, r.IOMMU)
	p.translation(r)
	p.latency(r)
	p.guests(r)
	p.cpus(r)
	p.sched(r)
	p.blank()
	p.lines = append(p.lines, Hash(r.TraceHash, p.w)...)
	_, err := io.WriteString(w, strings.Join(p.lines, "\n")+"\n")
	return err
}

// Hash is the line with a run's trace hash, or lines where one is too short.
func Hash(hash string, columns int) []string {
	p := &page{w: columns}
	p.para("trace ", hash)
	return p.lines
}

// header says what ran.
func (p *page) header(r *ringside.Report) {
	m := &r.Machine
	if in := r.Input; in != nil {
		p.para("", fmt.Sprintf("%s, %s%s", Fit(in.File, 2*p.w), speedWords(in.Speed), loopWords(in.Loops)))
		p.para("  input    ", fmt.Sprintf("%s, %s, %s each on average", Count(in.Frames, "frame", "frames"), Count(in.Bytes, "byte", "bytes"), ratio(in.Bytes, in.Frames)))
		for _, reason := range slices.Sorted(maps.Keys(in.Skipped)) {
			p.para("  left out ", noteWords(in.Skipped[reason], reason))
		}
		for _, reason := range slices.Sorted(maps.Keys(in.Adjusted)) {
			p.para("  changed  ", noteWords(in.Adjusted[reason], reason))
		}
	} else {
		p.line("a machine of its owner's making")
	}
	irq := "interrupts as they come"
	if m.ITRUs > 0 {
		irq = fmt.Sprintf("%d us between interrupts", m.ITRUs)
	}
	drop := ""
	if m.DropEn {
		drop = ", DROP_EN"
	}
	if m.Offloads != "" {
		drop += ", offloads " + m.Offloads
	}
	p.para("  machine  ", fmt.Sprintf("%s, %s of %s%s, %s; %s at %s",
		bits(m.LinkBPS), Count(uint64(m.Queues), "queue", "queues"), Count(uint64(m.Ring), "descriptor", "descriptors"), drop, irq,
		Count(uint64(m.CPUs), "CPU", "CPUs"), hertz(r.Hz)))
	if r.Path != "" && r.Path != ringside.Native.String() {
		p.para("  path     ", r.Path)
	}
	if m.Batching != nil {
		p.para("  batching ", m.Batching.String())
	}
	program, batch := "their owner's programs", "one frame a read"
	if r.Input != nil {
		program = r.Input.Guest
	}
	if m.Batch > 1 {
		batch = fmt.Sprintf("up to %d frames a read", m.Batch)
	}
	p.para("  guests   ", fmt.Sprintf("%s running %s, %s, %s may wait for each", Count(uint64(m.VMs), "VM", "VMs"), program, batch, Count(uint64(m.TapQueue), "frame", "frames")))
	p.para("  prices   ", fmt.Sprintf("%s: %s", r.Bill.Book.Name, r.Bill.Book.Title))
	p.para("  time     ", fmt.Sprintf("%s of virtual time, seed %d", Span(sim.Time(r.VirtualNs)*sim.Nanosecond), r.Seed))
}

func speedWords(s string) string {
	switch {
	case s == "original":
		return "at its own speed"
	case s == "top":
		return "as fast as the link goes"
	case strings.HasPrefix(s, "pps="):
		return "at " + s[4:] + " frames a second"
	case strings.HasPrefix(s, "mbps="):
		return "at " + s[5:] + " Mbit/s"
	}
	return s[1:] + " times as fast as it was"
}

func loopWords(n int) string {
	if n < 2 {
		return ""
	}
	return fmt.Sprintf(", %d times over", n)
}

// notes explain the reasons of ringside.Input.
var notes = map[string][2]string{ // for one frame, and for more
	ringside.SkipTruncated: {"frame that the capture cut short (--truncated pad fills them up)", "frames that the capture cut short (--truncated pad fills them up)"},
	ringside.SkipTooShort:  {"frame shorter than an Ethernet header", "frames shorter than an Ethernet header"},
	ringside.SkipLinkType:  {"packet of an interface that is not Ethernet", "packets of interfaces that are not Ethernet"},
	ringside.SkipFileCut:   {"file ends inside a record; the frames before it were played", "files end inside a record; the frames before it were played"},
	ringside.AdjustPadded:  {"frame shorter than 60 bytes was padded, as every sender does", "frames shorter than 60 bytes were padded, as every sender does"},
	ringside.AdjustFilled:  {"frame cut by the capture was filled up with zeros", "frames cut by the capture were filled up with zeros"},
	ringside.AdjustTime:    {"frame stamped before the one in front of it was sent right behind it", "frames stamped before the one in front of them were sent right behind it"},
	ringside.AdjustUntimed: {"frame without a time was sent right behind the one in front of it", "frames without a time were sent right behind the one in front of them"},
}

func noteWords(n uint64, reason string) string {
	words, ok := notes[reason]
	if !ok {
		words = [2]string{"frame", "frames"}
	}
	return fmt.Sprintf("%s (%s)", Count(n, words[0], words[1]), reason)
}

func bits(bps uint64) string {
	if bps%1e9 == 0 {
		return fmt.Sprintf("%d Gbit/s", bps/1e9)
	}
	return fmt.Sprintf("%s Mbit/s", Milli(bps/1000))
}

func hertz(hz uint64) string {
	if hz >= 1e9 {
		return Milli(hz/1e6) + " GHz"
	}
	return Milli(hz/1e3) + " MHz"
}

// stageWords say what a stage is.
var stageWords = [cost.NumStages]string{
	cost.NIC: "the device", cost.IRQ: "hard interrupts", cost.NAPI: "driver and softirq", cost.Stack: "core and host stack",
	cost.Bridge: "learn and forward", cost.Tap: "ring to the guest", cost.Sched: "wake-ups, switches", cost.Syscall: "the guest's border", cost.VM: "the guests",
	cost.Tunnel: "the overlay", cost.Vhost: "virtio's back end", cost.KVM: "exits, injections", cost.Guest: "guests' kernels",
	cost.TLB: "address translation", cost.Pmd: "polling in user space", cost.XDP: "programs and sockets", cost.VMM: "the VMM's threads",
}

// dearWords say what the cycles of a stage went into.
var dearWords = [cost.NumStages]string{
	cost.NIC: "the device", cost.IRQ: "hard interrupts", cost.NAPI: "driver and softirq", cost.Stack: "the core and the host's stack",
	cost.Bridge: "the bridge", cost.Tap: "the taps", cost.Sched: "waking guests and switching to them", cost.Syscall: "crossing into guests and copying",
	cost.VM: "the guests themselves", cost.Tunnel: "the overlay", cost.Vhost: "the back ends of virtio devices",
	cost.KVM: "leaving and entering guests", cost.Guest: "the guests' own kernels", cost.TLB: "misses of the TLBs",
	cost.Pmd: "polling and switching in user space", cost.XDP: "programs at the driver and AF_XDP sockets", cost.VMM: "the threads of VMMs",
}

const barWidth = 16

// journey is the table by stage and operation.
func (p *page) journey(r *ringside.Report) {
	p.title("THE JOURNEY, STAGE BY STAGE")
	total, frames := r.Totals.Cycles, r.Conservation.In
	var rows [][]string
	for s := range r.Bill.Ops {
		rows = append(rows, stageRows(r.Bill, cost.Stage(s), total, frames, p.w < 72)...)
	}
	rows = append(rows, []string{"all", Count(frames, "frame", "frames"), "", "", Comma(total), percent(total, total), ""})
	p.table([]column{{"operation", false, 0}, {"count", true, 0}, {"per frame", true, 1}, {"bytes", true, 2}, {"cycles", true, 0}, {"share", true, 0}, {"", false, 3}}, rows)
	p.blank()
	p.para("  ", dearest(r.Bill, total, frames))
}

// stageRows are one stage's lines: itself, then its operations in the book's
// order.
func stageRows(b *cost.Bill, s cost.Stage, total, frames uint64, narrow bool) [][]string {
	var rows [][]string
	ps := uint64(0)
	for o, l := range b.Ops[s] {
		if ps += l.Picoseconds; l.Count > 0 {
			rows = append(rows, operationRow(cost.Op(o), l, total, frames))
		}
	}
	if rows == nil {
		return nil
	}
	cycles := b.StageCycles(s)
	cell, share := Comma(cycles), percent(cycles, total)
	if cycles == 0 && ps > 0 {
		cell, share = Span(sim.Time(ps)), ""
	}
	seen := ""
	if b.Frames[s] > 0 {
		seen = Count(b.Frames[s], "frame", "frames")
	}
	name := pad(s.String(), 8, false) + stageWords[s]
	if narrow {
		name = s.String()
	}
	stage := []string{name, seen, "", "", cell, share, bar(cycles, total, barWidth)}
	return append([][]string{stage}, rows...)
}

func operationRow(o cost.Op, l cost.OpLine, total, frames uint64) []string {
	cell, share, bytes := Comma(l.Cycles()), percent(l.Cycles(), total), ""
	if l.MilliCycles == 0 && l.Picoseconds > 0 {
		cell, share = Span(sim.Time(l.Picoseconds)), ""
	}
	if o.Bytes() {
		bytes = Comma(l.Bytes)
	}
	return []string{"  " + o.String(), Comma(l.Count), ratio(l.Count, frames), bytes, cell, share, ""}
}

// dearest says in a sentence what the cycles went into.
func dearest(b *cost.Bill, total, frames uint64) string {
	if total == 0 {
		return "Nothing cost a cycle."
	}
	order := stagesByCycles(b)
	var parts []string
	for _, s := range order[:min(3, len(order))] {
		parts = append(parts, fmt.Sprintf("%s went into %s", percent(b.StageCycles(s), total), dearWords[s]))
	}
	if b.Book.Counts() {
		return fmt.Sprintf("A frame took %s operations. Of all operations %s.", ratio(total, frames), strings.Join(parts, ", "))
	}
	return fmt.Sprintf("A frame cost %s cycles, %s of one CPU. Of all cycles %s.",
		ratio(total, frames), Span(perFrameTime(total, frames, b.Book.Hz)), strings.Join(parts, ", "))
}

// stagesByCycles are the stages that cost something, the dearest first.
func stagesByCycles(b *cost.Bill) (order []cost.Stage) {
	for s := cost.Stage(0); s < cost.NumStages; s++ {
		if b.StageCycles(s) > 0 {
			order = append(order, s)
		}
	}
	slices.SortStableFunc(order, func(x, y cost.Stage) int {
		return cmp.Compare(b.StageCycles(y), b.StageCycles(x))
	})
	return order
}

// perFrameTime is how long a CPU of hz works for one frame.
func perFrameTime(cycles, frames, hz uint64) sim.Time {
	if frames == 0 {
		return 0
	}
	return sim.Time(float64(cycles) / float64(frames) * 1e12 / float64(hz))
}

// trust says how much of the total rests on which kind of price.
func (p *page) trust(r *ringside.Report) {
	b := r.Bill
	if b.Book.Counts() {
		p.title("HOW FAR TO TRUST IT")
		p.para("  ", "The counts are exact. This book has no prices: every operation counts one cycle, so C is a number of operations.")
		return
	}
	work := (b.Steps[cost.GuestRun].Extra + 500) / 1000
	by := map[cost.Status]uint64{}
	guesses := []cost.Op{}
	var of [cost.NumOps]uint64
	for o := cost.Op(0); o < cost.NumOps; o++ {
		for s := range b.Ops {
			of[o] += b.Ops[s][o].Cycles()
		}
		if o == cost.GuestWork {
			of[o] -= min(work, of[o])
		}
		status := b.Book.Entries[o].Status
		by[status] += of[o]
		if !status.Calibrated() && of[o] > 0 {
			guesses = append(guesses, o)
		}
	}
	total := r.Totals.Cycles
	p.title("HOW FAR TO TRUST IT")
	p.para("  ", "The counts are exact. The cycles are those counts times prices of this kind:")
	var rows [][]string
	for _, s := range []cost.Status{cost.Read, cost.ReadSecond, cost.Derived, cost.Figure, cost.Assumed} {
		if by[s] > 0 {
			rows = append(rows, []string{percent(by[s], total), string(s), s.Says()})
		}
	}
	if work > 0 {
		rows = append(rows, []string{percent(work, total), "none", "the guests' own work, as long as this run was told it takes"})
	}
	p.table([]column{{"share", true, 0}, {"price", false, 0}, {"which means", false, 0}}, rows)
	if len(guesses) == 0 {
		return
	}
	slices.SortStableFunc(guesses, func(x, y cost.Op) int { return cmp.Compare(of[y], of[x]) })
	var parts []string
	for _, o := range guesses {
		parts = append(parts, fmt.Sprintf("%s %s", o, percent(of[o], total)))
	}
	p.para("  ", "The guesses are "+strings.Join(parts, ", ")+".")
}

// conservation is the account of frames.
func (p *page) conservation(c *ringside.Conservation) {
	var dropped uint64
	for _, n := range c.Dropped {
		dropped += n
	}
	sign := "✓"
	if !c.Balanced {
		sign = "✗ FRAMES ARE MISSING"
	}
	p.title("NOTHING LOST")
	p.para("  ", fmt.Sprintf("in %s + cloned %s%s = delivered %s + dropped %s%s + in flight %s  %s",
		Comma(c.In), Comma(c.Cloned), further("segmented", c.Segmented), Comma(c.Delivered), Comma(dropped), further("merged", c.Merged), Comma(c.InFlight), sign))
	p.para("  in         ", fmt.Sprintf("%s from the wire, %s begun by guests and host", Comma(c.FromWire), Comma(c.Own)))
	p.para("  delivered  ", fmt.Sprintf("%s to VMs, %s to the host's own stack, %s out on the wire", Comma(c.ToVMs), Comma(c.ToHost), Comma(c.ToWire)))
}

// further is a term that only runs with offloads have.
func further(what string, n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" + %s %s", what, Comma(n))
}

func (p *page) drops(r *ringside.Report) {
	if len(r.Drops) == 0 {
		return
	}
	p.blank()
	var rows [][]string
	ours := false
	for _, d := range r.Drops {
		whose := "Linux"
		if !d.Linux {
			whose, ours = "ours", true
		}
		rows = append(rows, []string{d.Stage, Comma(d.Frames), d.Reason, whose, d.Says})
	}
	p.table([]column{{"dropped at", false, 0}, {"frames", true, 0}, {"reason", false, 0}, {"whose", false, 2}, {"which means", false, 0}}, rows)
	if ours {
		p.para("  ", "A name of Linux is one of its enum skb_drop_reason. Ours mark what Linux drops or counts without a reason.")
	}
}

func (p *page) latency(r *ringside.Report) {
	l := &r.Latency
	if r.Conservation.ToVMs == 0 {
		return
	}
	p.title("LATENCY, FROM THE LAST BIT ON THE WIRE (OR THE SENDER) INTO THE GUEST")
	var row []string
	for _, ns := range []int64{l.Min, l.P50, l.P90, l.P99, l.P999, l.Max} {
		row = append(row, Span(sim.Time(ns)*sim.Nanosecond))
	}
	p.table([]column{{"least", true, 0}, {"p50", true, 0}, {"p90", true, 2}, {"p99", true, 0}, {"p99.9", true, 1}, {"most", true, 0}}, [][]string{row})
	p.para("  ", "Percentiles are exact to one part in 64.")
}

// fewRows is how many guests or CPUs are listed one by one.
const fewRows = 10

func (p *page) guests(r *ringside.Report) {
	if len(r.VMs) == 0 {
		return
	}
	p.title("GUESTS")
	addrs := map[string][]string{}
	mapped, for_ := map[string]uint64{}, uint64(0)
	if r.Input != nil {
		for _, m := range r.Input.Mapping {
			addrs[m.VM] = append(addrs[m.VM], m.MAC)
			mapped[m.VM] += m.Frames
			for_ += m.Frames
		}
	}
	row := func(name, cpu, addr string, addressed, frames, bytes, sent, cut uint64) []string {
		return []string{name, cpu, addr, Comma(addressed), Comma(frames), Comma(bytes), Comma(cut), Comma(sent)}
	}
	var rows [][]string
	var sum ringside.VMReport
	for i, v := range r.VMs {
		sum.Frames, sum.Bytes, sum.Sent, sum.Truncated = sum.Frames+v.Frames, sum.Bytes+v.Bytes, sum.Sent+v.Sent, sum.Truncated+v.Truncated
		if i < fewRows || len(r.VMs) == fewRows+1 {
			rows = append(rows, row(v.Name, fmt.Sprintf("cpu%d", v.CPU), addressWords(addrs[v.Name]), mapped[v.Name], v.Frames, v.Bytes, v.Sent, v.Truncated))
		}
	}
	if more := len(r.VMs) - len(rows); more > 0 {
		name := fmt.Sprintf("… and %s more", Comma(uint64(more)))
		var rest ringside.VMReport
		var restMapped uint64
		for _, v := range r.VMs[len(rows):] {
			rest.Frames, rest.Bytes, rest.Sent, rest.Truncated = rest.Frames+v.Frames, rest.Bytes+v.Bytes, rest.Sent+v.Sent, rest.Truncated+v.Truncated
			restMapped += mapped[v.Name]
		}
		rows = append(rows, row(name, "", "", restMapped, rest.Frames, rest.Bytes, rest.Sent, rest.Truncated))
	}
	if len(rows) > 1 {
		rows = append(rows, row("all", "", "", for_, sum.Frames, sum.Bytes, sum.Sent, sum.Truncated))
	}
	cols := []column{{"guest", false, 0}, {"CPU", false, 3}, {"address", false, 0}, {"meant for it", true, 2}, {"received", true, 0}, {"bytes", true, 4}, {"cut", true, 1}, {"sent", true, 0}}
	if sum.Truncated == 0 {
		cols = slices.Delete(cols, 6, 7)
		for i := range rows {
			rows[i] = slices.Delete(rows[i], 6, 7)
		}
	}
	p.table(cols, rows)
	if in := r.Input; in != nil {
		p.para("  ", fmt.Sprintf("Of %s from the wire %s were meant for a guest, %s for an address that no guest has, %s for a group.",
			Count(in.Frames, "frame", "frames"), Comma(for_), Comma(in.Unmapped), Comma(in.Groups)))
	}
}

func addressWords(macs []string) string {
	switch len(macs) {
	case 0:
		return "none"
	case 1:
		return macs[0]
	}
	return fmt.Sprintf("%s +%d", macs[0], len(macs)-1)
}

func (p *page) cpus(r *ringside.Report) {
	if len(r.CPUs) == 0 {
		return
	}
	p.title("CPUS")
	var rows [][]string
	for i, c := range r.CPUs {
		if i >= fewRows && len(r.CPUs) > fewRows+1 {
			break
		}
		soft := []string{"", ""}
		if i < len(r.Softnet) {
			soft = []string{Comma(r.Softnet[i].Processed), Comma(r.Softnet[i].TimeSqueeze)}
		}
		rows = append(rows, append([]string{c.Name, percent(uint64(c.BusyNs), uint64(max(r.VirtualNs, 0))),
			Span(sim.Time(c.BusyNs) * sim.Nanosecond), Comma(c.Cycles)}, soft...))
	}
	if more := len(r.CPUs) - len(rows); more > 0 {
		var busy int64
		var cycles, processed, squeezed uint64
		for i := len(rows); i < len(r.CPUs); i++ {
			busy += r.CPUs[i].BusyNs
			cycles += r.CPUs[i].Cycles
			if i < len(r.Softnet) {
				processed += r.Softnet[i].Processed
				squeezed += r.Softnet[i].TimeSqueeze
			}
		}
		rows = append(rows, []string{fmt.Sprintf("… and %d more", more), percent(uint64(busy), uint64(r.VirtualNs)*uint64(more)),
			Span(sim.Time(busy) * sim.Nanosecond), Comma(cycles), Comma(processed), Comma(squeezed)})
	}
	p.table([]column{{"CPU", false, 0}, {"busy", true, 0}, {"busy for", true, 1}, {"cycles", true, 0}, {"softnet processed", true, 0}, {"time_squeeze", true, 2}}, rows)
}
