package nic

import (
	"errors"
	"fmt"

	"ringside/sim"
)

// What Read and Write wrap.
var (
	ErrNoRegister = errors.New("no such register")
	ErrReadOnly   = errors.New("register is read-only")
	ErrWriteOnly  = errors.New("register is write-only")
)

// A Misuse is one thing that a driver did and a driver must not do. Hardware
// would have done something about it in silence.
type Misuse struct {
	At       sim.Time
	Register string // "RDT[0]"; "RXD" and "TXD" are descriptors
	Queue    int    // -1 where there is none
	Index    int    // of a descriptor, vector or table entry; -1 where there is none
	Value    uint64 // what was written, or found
	What     string
}

// String is the misuse on one line.
func (m Misuse) String() string {
	s := fmt.Sprintf("%v %s", m.At, m.Register)
	if m.Queue >= 0 && (m.Register == "RXD" || m.Register == "TXD") {
		s += fmt.Sprintf(" queue %d", m.Queue)
	}
	if m.Index >= 0 {
		s += fmt.Sprintf(" index %d", m.Index)
	}
	return fmt.Sprintf("%s value %#x: %s", s, m.Value, m.What)
}

// maxMisuses is how many are kept; a driver with one mistake makes it often.
const maxMisuses = 100

// Misuses lists the first hundred, and counts all.
func (n *NIC) Misuses() (list []Misuse, total uint64) { return n.misuses, n.misused }

func (n *NIC) misuse(at sim.Time, reg string, queue, index int, v uint64, what string) {
	if f := n.function(queue); f != nil {
		f.misuse(Misuse{at, reg, queue / Pools, index, v, what})
		return
	}
	n.misused++
	if len(n.misuses) < maxMisuses {
		n.misuses = append(n.misuses, Misuse{at, reg, queue, index, v, what})
	}
}

// wrong notes a misuse of the register reg, which names its queue itself.
func (n *NIC) wrong(at sim.Time, reg uint32, queue, index int, v uint32, what string) {
	if f := n.function(queue); f != nil && f.stat.Misuses >= maxMisuses {
		f.stat.Misuses++
		return
	}
	if n.misused >= maxMisuses {
		n.misused++ // no name is made for what is only counted
		return
	}
	n.misuse(at, RegisterName(reg), queue, index, uint64(v), what)
}
