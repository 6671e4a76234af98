package ringside

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"ringside/bridge"
	"ringside/cost"
	"ringside/load"
	"ringside/nic"
	"ringside/sim"
	"ringside/vm"
)

// A Load is traffic that is made, and how it is put on a machine's wire. Only Spec
// says something that has no default.
//
// A trial has three parts: frames are offered for the time of Warmup and nothing is
// counted; they go on for the time of For, which is measured; then no more come, and
// the machine runs until it is at rest, so that every frame has met its fate.
type Load struct {
	Spec   load.Spec
	Warmup sim.Time // 0 means 2 ms; negative means none
	For    sim.Time // 0 means 20 ms

	NIC   string // the adapter on whose wire it is; "" means the first
	VMs   int    // guests; 0 means as many as the Config has, or 1. Flows go to them in turn
	Batch int    // frames that a guest may fetch in one system call; 0 and 1 mean one

	// Program is of every guest whose VM in the Config has none. Nil means a sink that
	// tells frames apart and takes the time of Work for each.
	Program vm.Program
	Work    sim.Time

	Context context.Context // if not nil, stops the trial when it is done
	Start   func(*Host)     // if not nil, is called with the machine before it runs
}

// Defaults of a Load.
const (
	DefaultWarmup = 2 * sim.Millisecond
	DefaultFor    = 20 * sim.Millisecond
)

// A Trial is what a machine made of a Load. Rates, latency and everything else that
// has a time are of the part that is measured; Frames is of all.
type Trial struct {
	Load   string      `json:"load"`
	Frames TrialFrames `json:"frames"`

	Offered   uint64  `json:"offered"`   // frames that began in the time that is measured
	Delivered uint64  `json:"delivered"` // into guests, in that time
	ForNs     int64   `json:"for_ns"`
	Latency   Latency `json:"latency_ns"`

	Cycles     uint64 `json:"cycles"`
	BusyNs     int64  `json:"busy_ns"` // of all CPUs together
	Interrupts uint64 `json:"interrupts"`
	Polls      uint64 `json:"polls"`
	Syscalls   uint64 `json:"syscalls"`

	Bill   *cost.Bill `json:"-"` // of the time that is measured
	Report *Report    `json:"-"` // of the whole run
}

// TrialFrames is what became of the frames of a Load, when all was at rest.
type TrialFrames struct {
	Sent      uint64 `json:"sent"`
	Arrived   uint64 `json:"arrived"` // in a guest, each counted once
	Lost      uint64 `json:"lost"`
	Doubled   uint64 `json:"doubled"`      // came once more; only the Load's own sink can tell
	Reordered uint64 `json:"out_of_order"` // behind a later one of their flow; likewise
	Returned  uint64 `json:"returned"`     // frames of the load that came back by the wire
}

// OfferedPPS is the rate of frames offered, a second.
func (t *Trial) OfferedPPS() uint64 { return perSecond(t.Offered, t.ForNs) }

// DeliveredPPS is the rate of frames delivered, a second.
func (t *Trial) DeliveredPPS() uint64 { return perSecond(t.Delivered, t.ForNs) }

func perSecond(n uint64, ns int64) uint64 {
	return uint64(muldiv(n, uint64(sim.Second/sim.Nanosecond), uint64(max(ns, 1))))
}

// Run makes one trial on a machine made by cfg. The Host that ran is handed to look,
// if that is not nil, before it is closed. It fails with load.ErrRate if the NIC's
// link does not carry the load.
func (l Load) Run(cfg Config, look func(*Host) error) (*Trial, error) {
	if err := l.defaults(&cfg); err != nil {
		return nil, err
	}
	r := &trial{Load: l}
	if err := r.plug(&cfg); err != nil {
		return nil, err
	}
	h, err := New(cfg)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	if l.Start != nil {
		l.Start(h)
	}
	t, err := r.run(h)
	if err != nil {
		return nil, err
	}
	if look != nil {
		err = look(h)
	}
	return t, err
}

func (l *Load) defaults(cfg *Config) error {
	if l.Warmup == 0 {
		l.Warmup = DefaultWarmup
	}
	l.Warmup = max(l.Warmup, 0)
	if l.For == 0 {
		l.For = DefaultFor
	}
	if l.VMs == 0 {
		l.VMs = max(len(cfg.VMs), 1)
	}
	switch {
	case l.For < sim.Microsecond || l.For > longest || l.Warmup > longest:
		return fmt.Errorf("load: a trial of %v after %v; from 1 us to %v are possible", l.For, l.Warmup, longest)
	case l.VMs < len(cfg.VMs) || l.VMs > bridge.MaxPorts-1:
		return fmt.Errorf("load: %d VMs; the Config has %d, and up to %d are possible", l.VMs, len(cfg.VMs), bridge.MaxPorts-1)
	case l.Work < 0:
		return errors.New("load: a guest cannot take less than no time for a frame")
	}
	cfg.VMs = slices.Clone(cfg.VMs)
	for len(cfg.VMs) < l.VMs {
		cfg.VMs = append(cfg.VMs, VM{})
	}
	return nil
}

// A trial is one while it runs.
type trial struct {
	Load
	gen     *load.Generator
	at      load.Receiver // in all guests together
	back    load.Receiver // at the wire
	step    *sim.Timer
	counted bool // all guests run the sink that fills at
}

// plug makes the guests and the wire.
func (r *trial) plug(cfg *Config) error {
	r.counted = true
	dests := make([]load.MAC, len(cfg.VMs))
	for i := range cfg.VMs {
		v := &cfg.VMs[i]
		if v.Program == nil && v.Processes == nil && r.Program == nil {
			v.Program = r.sink
		} else {
			r.counted = false
			if v.Program == nil && v.Processes == nil {
				v.Program = r.Program
			}
		}
		inherit(&v.Batch, r.Batch, 0)
		inherit(&v.MAC, defaultMAC(i), v.MAC)
		v.Known = append(slices.Clone(v.Known), bridge.MAC(v.MAC))
		dests[i] = load.MAC(v.MAC)
	}
	cfg.NICs = slices.Clone(cfg.NICs)
	if len(cfg.NICs) == 0 {
		cfg.NICs = make([]NIC, 1)
	}
	n := r.adapter(cfg.NICs)
	if n == nil {
		return fmt.Errorf("load: there is no NIC %q to play on", r.NIC)
	}
	bps := n.LinkBPS
	inherit(&bps, cfg.LinkBPS, 10e9)
	var err error
	r.gen, err = load.New(load.Config{
		Spec: r.Spec, Seed: cfg.Seed, LinkBPS: bps, Dests: dests, Mark: r.Warmup, End: r.Warmup + r.For,
	})
	if err != nil {
		return err
	}
	r.at.Sent, r.back.Sent = r.gen.Sent, r.gen.Sent
	r.gen.Taken = func(f *nic.WireFrame) { r.back.Take(f.Data) }
	n.Wire = r.gen
	return nil
}

// adapter is the NIC that the load is for.
func (r *trial) adapter(list []NIC) *NIC {
	for i := range list {
		inherit(&list[i].Name, "", fmt.Sprintf("eth%d", i))
		if r.NIC == "" || list[i].Name == r.NIC {
			return &list[i]
		}
	}
	return nil
}

// sink is the program of guests that have no other.
func (r *trial) sink(g *vm.Guest) error {
	for {
		f, err := g.Receive()
		if err != nil {
			return err
		}
		r.at.Take(f)
		g.Work(r.Work)
	}
}

// run lets the machine run in the three parts.
func (r *trial) run(h *Host) (*Trial, error) {
	if err := r.until(h, r.Warmup); err != nil {
		return nil, err
	}
	h.Kernel.Latency.Reset()
	before := readingOf(h)
	if err := r.until(h, r.Warmup+r.For); err != nil {
		return nil, err
	}
	after := readingOf(h)
	latency := h.latency()
	if err := h.Run(); err != nil {
		return nil, err
	}
	t := &Trial{
		Load: r.Spec.String(), Frames: r.frames(h),
		Offered: r.gen.Marked(), Delivered: after.delivered - before.delivered, ForNs: r.For.Nanoseconds(), Latency: latency,
		BusyNs: (after.busy - before.busy).Nanoseconds(), Cycles: after.cycles - before.cycles,
		Interrupts: after.interrupts - before.interrupts, Polls: after.polls - before.polls, Syscalls: after.syscalls - before.syscalls,
	}
	t.Bill, t.Report = after.bill.Since(before.bill), h.Report()
	t.Report.Input = r.input()
	return t, nil
}

// input is the load as a report has what was played.
func (r *trial) input() *Input {
	name := "load " + r.Spec.String()
	guest := "sink"
	switch {
	case !r.counted:
		guest = "custom"
	case r.Work > 0:
		guest = "slow=" + r.Work.String()
	}
	return &Input{
		File: name, Files: []string{name}, Frames: r.gen.Sent(), Bytes: r.gen.Bytes(), Speed: OriginalSpeed.String(), Loops: 1,
		Guest: guest, Skipped: map[string]uint64{}, Mapping: []Mapped{},
	}
}

// until is RunUntil in steps between which the trial can be stopped. A CPU that finds
// work without end only stops for an event, so there is one at the end of each step.
func (r *trial) until(h *Host, end sim.Time) error {
	const step = sim.Millisecond
	if r.step == nil {
		r.step = h.Engine.NewTimer("load/step", sim.HandlerFunc(func(sim.Time) {}))
	}
	for at := min(h.Engine.Now()+step, end); ; at = min(at+step, end) {
		if r.Context != nil && r.Context.Err() != nil {
			return context.Cause(r.Context)
		}
		h.Engine.Arm(r.step, at)
		if err := h.RunUntil(at); err != nil || at == end {
			return err
		}
	}
}

// frames is what became of the load's frames.
func (r *trial) frames(h *Host) TrialFrames {
	f := TrialFrames{Sent: r.gen.Sent(), Returned: r.back.Unique()}
	if r.counted {
		f.Arrived, f.Doubled, f.Reordered = r.at.Unique(), r.at.Doubled, r.at.Reordered
	} else {
		f.Arrived = min(h.Kernel.Flow().ToVMs, f.Sent)
	}
	f.Lost = f.Sent - f.Arrived
	return f
}

// A reading is what a trial reads at both ends of the time that it measures.
type reading struct {
	delivered, cycles, interrupts, polls, syscalls uint64
	busy                                           sim.Time
	bill                                           *cost.Bill
}

func readingOf(h *Host) reading {
	b := h.Bill()
	c := reading{
		delivered: h.Kernel.Flow().ToVMs, cycles: b.Cycles(), bill: b,
		interrupts: b.Count(cost.HardIRQ), polls: b.Count(cost.NAPIPoll), syscalls: b.Count(cost.SyscallEnter),
	}
	for _, a := range h.Kernel.Accounts() {
		c.busy += sim.Span(a.Ticks(), sim.Scale(h.book.Hz))
	}
	return c
}
