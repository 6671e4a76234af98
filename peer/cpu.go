package peer

import (
	"fmt"

	"ringside/cost"
	"ringside/sim"
	"ringside/vm/guest"
)

// A cpu is the peer's processor. Nobody is charged for what it does; it is busy for
// a delay for each packet, and for the work that programs say they do.
type cpu struct {
	p      *Peer
	name   string
	engine *sim.Engine
	timer  *sim.Timer // armed for the moment there is something to do
	delay  sim.Time
	now    sim.Time // its own time: the end of what it has done so far
	wake   sim.Time // of WakeAt
	busy   bool     // within Fire
}

// Now is the CPU's own time.
func (c *cpu) Now() sim.Time { return c.now }

// Charge takes the delay for a packet, and nothing for anything else.
func (c *cpu) Charge(s cost.Step, n uint64) {
	if s == cost.GuestIPRcv || s == cost.GuestIPOutput || s == cost.GuestPacketRcv || s == cost.GuestPacketSnd {
		c.now += sim.Time(n) * c.delay
	}
}

// ChargeBytes takes no time.
func (c *cpu) ChargeBytes(cost.Step, uint64, uint64) {}

// Work lets the program work until the next event.
func (c *cpu) Work(d sim.Time) sim.Time {
	turn := min(d, max(c.engine.Next()-c.now, sim.Microsecond))
	c.now += turn
	return d - turn
}

// WakeAt sets the kernel's timer.
func (c *cpu) WakeAt(at sim.Time) { c.wake = at }

// Fail ends the run with an error of the peer.
func (c *cpu) Fail(err error) { c.engine.Fail(fmt.Errorf("%s: %w", c.name, err)) }

// look makes sure that the CPU looks for work at the time at, or when it is done
// with what it has.
func (c *cpu) look(at sim.Time) {
	if at = max(at, c.now); !c.busy && at < c.timer.At() {
		c.engine.Arm(c.timer, at)
	}
}

// Fire does work until there is none, or until others have to come first.
func (c *cpu) Fire(now sim.Time) {
	c.now = max(c.now, now)
	c.busy = true
	c.interrupts()
	for c.p.Run() {
		if c.engine.Next() <= c.now || c.engine.Err() != nil || c.now > now+longest {
			c.busy = false
			c.engine.Arm(c.timer, c.now)
			return
		}
		c.interrupts()
	}
	c.busy = false
	c.engine.Arm(c.timer, min(c.wake, c.p.port.due()))
}

// longest is how long the CPU works before the event loop may look at the time: a
// program need not ever wait.
const longest = sim.Millisecond

// interrupts raises what is due: the kernel's timer, and the port's interrupt.
func (c *cpu) interrupts() {
	if c.wake <= c.now {
		c.wake = sim.Never
		c.p.Timer()
	}
	if c.p.port.due() <= c.now {
		c.p.port.masked = true
		c.p.Interrupt(0)
	}
}

var _ guest.CPU = (*cpu)(nil)
