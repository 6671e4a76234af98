package kernel

import (
	"ringside/cost"
	"ringside/sim"
)

// Two threads of a core that are busy at once share what it can do: work of either takes
// longer by a factor. After each piece a CPU looks for how long its sibling was busy
// meanwhile, and is charged its share of those cycles.
//
//	CPU          ├── piece ──┤       charged from where the sibling began
//	sibling         ├── busy ···
//
// A sibling that is ahead in time has done its part of that without knowing: it is
// charged then, for each moment once.

// busyFrom says that the CPU has work from the time at on.
func (c *CPU) busyFrom(at sim.Time) {
	if !c.busy {
		c.busy, c.stretch, c.reached = true, at, at
	}
}

// share charges what the piece that has just ended lost to the sibling, and what the
// sibling's lost to it.
func (c *CPU) share() {
	s, now := c.sibling, c.clock.Now()
	ahead := s.clock.Now()
	from, to, late := max(c.reached, s.stretch), now, min(now, ahead)
	if !s.busy {
		to = late
	}
	unknown := late - max(from, s.paid)
	c.crowded(to - from)
	if to == now {
		to = c.clock.Now() // what the charge took is no work
	}
	c.paid, c.reached = max(c.paid, to), c.clock.Now()
	s.crowded(unknown)
	s.paid = max(s.paid, late)
}

// crowded charges the CPU for work of that span beside a busy sibling.
func (c *CPU) crowded(span sim.Time) {
	if n := c.clock.Cycles(span) / 1000; n > 0 {
		c.shared(cost.SmtShare, n, c.sibling.name)
		c.reached = c.clock.Now()
	}
}
