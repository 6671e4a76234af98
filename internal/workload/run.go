package workload

import (
	"fmt"

	"ringside"
	"ringside/cost"
	"ringside/load"
	"ringside/machine"
	"ringside/nic"
	"ringside/sim"
)

// A Result is what a machine made of a workload.
type Result struct {
	Frames   uint64  // that counted, in the time that was measured
	PPS      float64 // of them, a second
	CorePPS  float64 // of all cores, a second that the busiest CPU was busy with more than polls that found nothing
	Busy     float64 // its share of the time
	Cycles   float64 // of the busiest CPU, for each of its frames
	Bound    Bound
	Report   *ringside.Report // of the whole run
	Interval sim.Time
}

// A Bound is what kept a rate from being higher.
type Bound string

// What can be in the way.
const (
	ByCPU    Bound = "cpu"
	ByLink   Bound = "link"   // the wires carried all they can, and it was taken
	ByNIC    Bound = "nic"    // the adapter takes no more, as the machine's file has it
	ByDevice Bound = "device" // its transfers over the bus
)

// full is the share of time from which on a CPU has nothing left.
const full = 0.98

// Run puts the case on a machine, lets it get going, and reads it for a while.
func (c *Case) Run(m *machine.Machine, k Knobs) (*Result, error) {
	s := c.Make(m, k)
	r, err := s.run()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	if m != nil && m.NIC.PPS != 0 && r.PPS > float64(m.NIC.PPS) {
		r.PPS, r.Bound = float64(m.NIC.PPS), ByNIC
	}
	return r, nil
}

func (s *Setup) run() (*Result, error) {
	offered, err := s.plug()
	if err != nil {
		return nil, err
	}
	h, err := ringside.New(s.Config)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	if s.Warmup == 0 {
		s.Warmup = sim.Millisecond
	}
	if s.For == 0 {
		s.For = 4 * sim.Millisecond
	}
	// A CPU that finds work without end stops for events only: one is where it is read.
	stop := h.Engine.NewTimer("workload/read", sim.HandlerFunc(func(sim.Time) {}))
	until := func(at sim.Time) error {
		h.Engine.Arm(stop, at)
		return h.RunUntil(at)
	}
	if err := until(s.Warmup); err != nil {
		return nil, err
	}
	before, sent := look(h), total(offered)
	if err := until(s.Warmup + s.For); err != nil {
		return nil, err
	}
	return s.read(before, look(h), total(offered)-sent), nil
}

// plug puts a load on each wire that has one.
func (s *Setup) plug() ([]*load.Generator, error) {
	c := &s.Config
	if len(c.NICs) == 0 {
		c.NICs = []ringside.NIC{{}}
	}
	var list []*load.Generator
	for i, dests := range s.Dests {
		if len(dests) == 0 {
			continue
		}
		bps := c.LinkBPS
		if bps == 0 && c.Machine != nil {
			bps = c.Machine.NIC.LinkBPS
		}
		g, err := load.New(load.Config{
			Spec: s.Spec, Seed: c.Seed + uint64(i), LinkBPS: bps, Dests: dests, FirstID: 1 + uint64(i)<<40,
		})
		if err != nil {
			return nil, err
		}
		c.NICs[i].Wire = g
		list = append(list, g)
	}
	return list, nil
}

func total(list []*load.Generator) (n uint64) {
	for _, g := range list {
		n += g.Sent()
	}
	return n
}

// A glance is a report, and what each of its CPUs has spent on polls in user space that
// found nothing.
type glance struct {
	*ringside.Report
	idle []uint64 // cycles
}

func look(h *ringside.Host) glance {
	g := glance{Report: h.Report()}
	for _, a := range h.Kernel.Accounts() {
		g.idle = append(g.idle, a.Price(cost.RteEthRxIdle, a.Count(cost.RteEthRxIdle), 0)/1000)
	}
	return g
}

// read makes a Result of two looks and how many frames were sent between them.
func (s *Setup) read(before, after glance, sent uint64) *Result {
	r := &Result{Frames: s.Count(after.Report) - s.Count(before.Report), Report: after.Report, Interval: s.For}
	seconds := float64(s.For) / float64(sim.Second)
	cpus := s.CPUs
	if len(cpus) == 0 {
		for i := range after.CPUs {
			cpus = append(cpus, i)
		}
	}
	var worked, cycles float64
	for _, i := range cpus {
		if i < 0 {
			i += len(after.CPUs)
		}
		busy := float64(after.CPUs[i].BusyNs-before.CPUs[i].BusyNs) / (seconds * 1e9)
		r.Busy = max(r.Busy, busy)
		if w := busy - float64(after.idle[i]-before.idle[i])/(seconds*float64(after.Hz)); w > worked {
			worked, cycles = w, float64(after.CPUs[i].Cycles-before.CPUs[i].Cycles)
		}
	}
	r.PPS = float64(r.Frames) / seconds
	r.CorePPS, r.Cycles = r.PPS/max(worked, 1e-9), cycles*float64(max(s.Cores, 1))/max(float64(r.Frames), 1)
	switch {
	case worked >= full && (sent == 0 || float64(r.Frames) < 0.999*float64(sent)):
		r.Bound = ByCPU
	case float64(r.Frames) >= 0.999*float64(sent):
		r.Bound = ByLink
	default:
		r.Bound = ByDevice
	}
	return r
}

var _ nic.Wire = (*load.Generator)(nil)
