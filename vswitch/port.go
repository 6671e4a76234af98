package vswitch

import (
	"ringside/cost"
	"ringside/mem"
	"ringside/sim"
	"ringside/trace"
)

// A Port is a queue pair that the switch polls. It charges its own work to the Core.
type Port interface {
	// Receive fills burst from the front with what has come and says how many that
	// are. One that finds nothing charges cost.RteEthRxIdle once and nothing else. The
	// caller holds what it gets.
	Receive(burst []*Mbuf) int
	// Transmit sends a burst and says how many of it were taken, from the front: those
	// the port holds now, or has freed. The rest the switch drops for the reason why.
	Transmit(burst []*Mbuf) (n int, why cost.DropReason)
	// Next is the earliest time at which Receive could find something, sim.Never if
	// nothing is under way: then the port calls Core.Wake when something is.
	Next() sim.Time
	// InFlight counts the frames that have come in, by the count of whoever brought
	// them, and that Receive has not handed out.
	InFlight() uint64
	// Held counts the mbufs that the port has, on rings for instance.
	Held() int
	// Stalled says what waits for somebody who will not come, once a run is at rest.
	Stalled() []string
}

// A Toucher is a Core whose TLBs are modelled: if Touches says so, it is told which host
// memory the process touches.
type Toucher interface {
	Touches() bool
	Touch(a mem.Addr, n int)
}

// TouchOn is the core as a Toucher, nil where nobody wants to know.
func TouchOn(c Core) Toucher {
	if t, ok := c.(Toucher); ok && t.Touches() {
		return t
	}
	return nil
}

// A Core is the CPU that the switch has to itself, and the account it is charged to.
// kernel.Core is one.
type Core interface {
	// Now is the end of everything charged so far.
	Now() sim.Time
	// Charge does a step n times, ChargeBytes over so many bytes in all.
	Charge(s cost.Step, n uint64)
	ChargeBytes(s cost.Step, n, bytes uint64)
	// ChargeFrame is ChargeBytes for one frame, for runs that are Watched.
	ChargeFrame(id uint64, s cost.Step, n, bytes uint64)
	Watched() bool
	Show(*trace.Frame)
	// Wake says that a round from the time at on could find something.
	Wake(at sim.Time)
	// Cloned counts copies beyond the first of a frame.
	Cloned(n uint64)
	// Drop counts a frame that dies.
	Drop(id uint64, port int32, frame []byte, reason cost.DropReason)
	// Fail ends the run.
	Fail(error)
}

// Each charges a step once for every frame of a burst.
func Each(c Core, s cost.Step, burst []*Mbuf) {
	if !c.Watched() {
		c.Charge(s, uint64(len(burst)))
		return
	}
	for _, m := range burst {
		c.ChargeFrame(m.ID, s, 1, 0)
	}
}
