package machine

import (
	"fmt"

	"ringside/cost"
	"ringside/sim"
)

// A Machine is what prices and limits depend on. A zero stands for what is not known;
// a wait that is not known stays as it was measured. Hz and Name are required.
type Machine struct {
	Name   string
	Title  string // one line for people
	Source string // where the numbers come from

	Hz      uint64 // cycles a second of a core
	Cores   int    // of all nodes
	Threads int    // of a core; 0 means 1
	Nodes   int    // 0 means 1

	// Time until a line is there that lies in the last-level cache, in memory of the
	// own node and of the other one, or dirty in the cache of a core of the own socket
	// and of the other one.
	L2, L3            sim.Time
	DRAM, DRAMFar     sim.Time
	Remote, RemoteFar sim.Time
	DMALine           sim.Time // a line that a device wrote; 0 means L3 with DDIO and DRAM without
	TLB               TLB
	NIC               NIC
	Kernel            Kernel
	Mitigations       bool
	Retpoline         bool // indirect calls alone; with Mitigations, too, unless the file says no
	SMAP              bool
}

// A TLB is how many translations are kept, by page size 4k, 2m and 1g. The zero value is
// not known.
type TLB struct {
	L1 [3]int
	L2 [3]int // a size for which it is 0 is not kept there
}

// A NIC is the adapter.
type NIC struct {
	Model   string
	LinkBPS uint64
	Ports   int    // 0 means 1
	PPS     uint64 // what the adapter takes at most, all ports together; 0 is no bound
	PCIe    PCIe
	DDIO    bool // the device writes into the last-level cache
	Vector  bool // the poll-mode driver has vector code
}

// PCIe is the slot. The zero value is not known.
type PCIe struct {
	Generation, Lanes int
}

// laneMbps is what one lane carries, after line code, in Mbit/s, by generation.
var laneMbps = [...]uint64{1: 2000, 2: 4000, 3: 7877, 4: 15754, 5: 31508}

// Per1000 is the time of 1,000 bytes.
func (p PCIe) Per1000() sim.Time {
	if p == (PCIe{}) {
		return 0
	}
	return sim.Time(8000 * 1e6 / (laneMbps[p.Generation] * uint64(p.Lanes)))
}

// A Kernel is a version of Linux. The zero value is not known.
type Kernel struct {
	Major, Minor int
}

// Before says that the kernel is known and older than that version.
func (k Kernel) Before(major, minor int) bool {
	return k != (Kernel{}) && (k.Major < major || k.Major == major && k.Minor < minor)
}

// String is the version, as "4.18".
func (k Kernel) String() string { return fmt.Sprintf("%d.%d", k.Major, k.Minor) }

// String is the machine's name.
func (m *Machine) String() string { return m.Name }

// Place is the machine as far as prices depend on it.
func (m *Machine) Place() cost.Place {
	p := cost.Place{Name: m.Name, Hz: m.Hz}
	dma := m.DMALine
	switch {
	case dma != 0:
	case m.NIC.DDIO:
		dma = m.L3
	default:
		dma = m.DRAM
	}
	p.Wait[cost.TimeL3], p.Wait[cost.TimeDMA], p.Wait[cost.TimeDRAM] = uint64(m.L3), uint64(dma), uint64(m.DRAM)
	p.Wait[cost.TimeRemote], p.Wait[cost.TimeBus] = uint64(m.Remote), uint64(m.NIC.PCIe.Per1000())
	return p
}

// The built-in books that a machine chooses between.
const (
	plainBook      = "linux-xeon"
	mitigationBook = "linux-xeon-mitigations"
)

// Book is a price book for this machine: base, moved from the machines on which its
// prices were measured. A nil base is the built-in book that the machine's mitigations
// ask for. A book that only counts, or that was moved here before, stays as it is.
func (m *Machine) Book(base *cost.Book) (*cost.Book, error) {
	base, err := m.base(base)
	if err != nil || base.On == m.Name {
		return base, err
	}
	moved, err := base.Moved(m.Place(), func(name string) (cost.Place, bool) {
		at, err := builtin(name)
		if err != nil {
			return cost.Place{}, false
		}
		return at.Place(), true
	})
	if err != nil {
		return nil, fmt.Errorf("machine %s: %w", m.Name, err)
	}
	return moved, nil
}

// base is the book to be moved.
func (m *Machine) base(b *cost.Book) (*cost.Book, error) {
	if b != nil {
		return b, nil
	}
	off, err := cost.Open(plainBook)
	if err != nil {
		return nil, err
	}
	on, err := cost.Open(mitigationBook)
	switch {
	case err != nil:
		return nil, err
	case !m.Mitigations && !m.Retpoline:
		return off, nil
	case m.Mitigations && m.Retpoline:
		return on, nil
	case m.Mitigations:
		return on.With(cost.IndirectCall, off), nil
	}
	return off.With(cost.IndirectCall, on), nil
}
