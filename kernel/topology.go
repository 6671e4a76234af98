package kernel

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"ringside/sim"
)

// A Topology is how the CPUs of a machine sit together. The zero value is one node of
// cores with one thread each.
//
// CPUs have the numbers that Linux gives them on an x86 server: first the first threads
// of all cores, node by node, then the second threads in the same order. Eight CPUs on
// two nodes with two threads to a core are
//
//	node 0: core 0 is CPUs 0 and 4, core 1 is CPUs 1 and 5
//	node 1: core 2 is CPUs 2 and 6, core 3 is CPUs 3 and 7
//
// A node is a socket with memory of its own, and one last-level cache for its cores.
type Topology struct {
	Nodes   int `json:"nodes,omitempty"`            // 0 means 1
	Threads int `json:"threads_per_core,omitempty"` // 1 or 2; 0 means 1
}

// MaxNodes is as many nodes as a machine may have.
const MaxNodes = 8

func (t Topology) nodes() int   { return max(t.Nodes, 1) }
func (t Topology) threads() int { return max(t.Threads, 1) }

// Check says what cannot be on a machine with so many CPUs.
func (t Topology) Check(cpus int) error {
	switch {
	case t.Nodes < 0 || t.Nodes > MaxNodes:
		return fmt.Errorf("kernel: Topology.Nodes is %d; 1 to %d are possible", t.Nodes, MaxNodes)
	case t.Threads < 0 || t.Threads > 2:
		return fmt.Errorf("kernel: Topology.Threads is %d; a core has 1 or 2", t.Threads)
	case cpus%(t.nodes()*t.threads()) != 0:
		return fmt.Errorf("kernel: %d CPUs do not make %d nodes of cores with %d threads: their number must be a multiple of %d",
			cpus, t.nodes(), t.threads(), t.nodes()*t.threads())
	}
	return nil
}

// Fill is cpus, or the next larger number that the topology can have.
func (t Topology) Fill(cpus int) int {
	unit := t.nodes() * t.threads()
	return (max(cpus, 1) + unit - 1) / unit * unit
}

// Core is the core that a CPU of so many is a thread of.
func (t Topology) Core(cpu, cpus int) int { return cpu % (cpus / t.threads()) }

// Node is the node that a CPU of so many is on.
func (t Topology) Node(cpu, cpus int) int {
	cores := cpus / t.threads()
	return t.Core(cpu, cpus) / (cores / t.nodes())
}

// Sibling is the other thread of a CPU's core, and false if there is none.
func (t Topology) Sibling(cpu, cpus int) (int, bool) {
	if t.threads() == 1 {
		return 0, false
	}
	return (cpu + cpus/2) % cpus, true
}

// A seat is where a CPU sits: what of the topology it asks for while it works.
type seat struct {
	node    int
	llc     []*CPU // that share its last-level cache, itself first, in the order of their numbers round
	sibling *CPU   // nil if its core has one thread

	// Of a core with two threads; see share.
	busy    bool     // it goes on as soon as it may
	stretch sim.Time // when the present or last stretch of work began
	reached sim.Time // up to which it was looked at
	paid    sim.Time // up to which it knew of its sibling

	passed int // times that the balancer found only hot tasks to move here
}

// seatCPUs has the CPUs find each other.
func (k *Kernel) seatCPUs() {
	n := len(k.cpus)
	for _, c := range k.cpus {
		c.node = k.topology.Node(c.id, n)
		if i, ok := k.topology.Sibling(c.id, n); ok {
			c.sibling = k.cpus[i]
		}
	}
	for _, c := range k.cpus {
		for i := range n {
			if o := k.cpus[(c.id+i)%n]; o.node == c.node {
				c.llc = append(c.llc, o)
			}
		}
	}
}

// A CPUSet is some of the first 64 CPUs, a bit for each. The zero value is none.
type CPUSet uint64

// MaxSetCPUs is how many CPUs a machine may have whose tasks move.
const MaxSetCPUs = 64

// OneCPU is the set of that CPU alone, none if a set cannot have it.
func OneCPU(cpu int) CPUSet {
	if cpu < 0 || cpu >= MaxSetCPUs {
		return 0
	}
	return 1 << cpu
}

// FirstCPUs is the set of the first n.
func FirstCPUs(n int) CPUSet {
	if n >= MaxSetCPUs {
		return ^CPUSet(0)
	}
	return 1<<max(n, 0) - 1
}

// Has says whether a CPU is in the set.
func (s CPUSet) Has(cpu int) bool { return s&OneCPU(cpu) != 0 }

// Len is how many CPUs are in the set.
func (s CPUSet) Len() int { return bits.OnesCount64(uint64(s)) }

// first is the CPU with the lowest number; the set must have one.
func (s CPUSet) first() int { return bits.TrailingZeros64(uint64(s)) }

// last is the CPU with the highest number, -1 if there is none.
func (s CPUSet) last() int { return bits.Len64(uint64(s)) - 1 }

// String is the set as Linux writes it in cpulist files: 0-3,8.
func (s CPUSet) String() string {
	var parts []string
	for s != 0 {
		lo := s.first()
		n := bits.TrailingZeros64(^(uint64(s) >> lo))
		part := strconv.Itoa(lo)
		if n > 1 {
			part += "-" + strconv.Itoa(lo+n-1)
		}
		parts = append(parts, part)
		s &^= FirstCPUs(lo + n)
	}
	return strings.Join(parts, ",")
}

// MarshalText is String.
func (s CPUSet) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is ParseCPUs.
func (s *CPUSet) UnmarshalText(text []byte) (err error) {
	*s, err = ParseCPUs(string(text))
	return err
}

// ParseCPUs reads a list of CPUs, as in 0-3,8. "" is none.
func ParseCPUs(list string) (s CPUSet, err error) {
	if list == "" {
		return 0, nil
	}
	for _, part := range strings.Split(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		lo, err := strconv.ParseUint(from, 10, 6)
		hi, err2 := strconv.ParseUint(to, 10, 6)
		if errors.Join(err, err2) != nil || hi < lo {
			return 0, fmt.Errorf("kernel: CPUs %q: give numbers from 0 to %d, as in 1-3 or 1,3", list, MaxSetCPUs-1)
		}
		s |= FirstCPUs(int(hi)+1) &^ FirstCPUs(int(lo))
	}
	return s, nil
}
