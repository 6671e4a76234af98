package workload

import (
	"fmt"
	"strings"

	"ringside"
	"ringside/internal/spell"
	"ringside/load"
	"ringside/machine"
	"ringside/sim"
)

// Knobs are what a published measurement may vary. The zero value is frames of 64 bytes
// with FCS, one flow, one core, and what the case does by itself.
type Knobs struct {
	Size  int  // of frames, with FCS; 0 means 64
	Flows int  // 0 means 1, and 1024 for each of several cores
	Batch int  // frames that are taken at once, where the case has such a bound; 0 means its own
	Plain bool // of drivers in user space: without vector code, and a doorbell for every burst, as ixy has it
	Ring  int  // receive descriptors of each queue; 0 means 512
	Cores int  // as many queues and CPUs, and flows spread over them; 0 means 1
}

// A Setup is a machine with its load.
type Setup struct {
	Config ringside.Config
	// Dests is who frames are for, by NIC; a NIC without has no load.
	Dests [][]load.MAC
	Spec  load.Spec
	// Count is the frames that count, of all that happened so far.
	Count func(*ringside.Report) uint64
	// CPUs are those that do the work; the busiest of them is the one core. None means
	// all; below 0 they count from the end.
	CPUs        []int
	Cores       int      // that share the frames alike; 0 means 1
	Warmup, For sim.Time // 0 means 1 ms and 4 ms
}

// A Case is a workload by its name.
type Case struct {
	Name   string
	Does   string // what is run here
	Stands string // for what, and what of that is left out
	make   func(*Setup, Knobs)
}

// Cases lists the workloads.
func Cases() []Case { return cases }

// Find is the workload of a name.
func Find(name string) (*Case, error) {
	var names []string
	for i := range cases {
		if cases[i].Name == name {
			return &cases[i], nil
		}
		names = append(names, cases[i].Name)
	}
	hint := ""
	if near := spell.Nearest(name, names); near != "" {
		hint = fmt.Sprintf("did you mean %q? ", near)
	}
	return nil, fmt.Errorf("there is no workload %q: %sthere are %s", name, hint, strings.Join(names, ", "))
}

// gap is between interrupts: drivers of fast adapters choose about this under load, and
// with 50 us, as igb has them, a ring of sent frames would be emptied too seldom.
const gap = 10 * sim.Microsecond

// Make is the machine and the load of a case. A nil machine is the price book's own.
func (c *Case) Make(m *machine.Machine, k Knobs) Setup {
	s := Setup{Config: ringside.Config{Machine: m, Ring: 512, CPUs: 1, ITR: gap}}
	if k.Ring > 0 {
		s.Config.Ring = k.Ring
	}
	s.Spec.Flows = max(k.Flows, 1)
	if k.Size > 0 {
		s.Spec.Sizes = []load.Size{{Bytes: k.Size}}
	}
	c.make(&s, k)
	if k.Cores > 1 {
		s.spread(k)
	}
	return s
}

// flowsPerCore is so many that RSS gives every core about as many frames as any other.
const flowsPerCore = 1024

// spread puts the work on several cores. Each NIC has a queue for each of them, and one
// that is full drops: it must not hold up the others.
func (s *Setup) spread(k Knobs) {
	c := &s.Config
	s.Cores, c.Queues, c.DropEn = k.Cores, k.Cores, true
	if k.Flows == 0 {
		s.Spec.Flows = flowsPerCore * k.Cores
	}
	if c.Path != ringside.DPDK {
		c.CPUs = k.Cores
		return
	}
	s.CPUs = nil
	for i := range k.Cores {
		s.CPUs = append(s.CPUs, -1-i) // cores that poll are the last
	}
}

// Scales says whether the case can be put on several cores: nothing but queues has to be
// shared out.
func (c *Case) Scales() bool {
	s := c.Make(nil, Knobs{})
	switch s.Config.Path {
	case ringside.DPDK:
		return s.Config.UserSwitch.Pairs
	case ringside.AFXDP:
		return false
	}
	return len(s.Config.VMs) == 0
}
