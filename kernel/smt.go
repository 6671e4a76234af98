package kernel

import (
	"ringside/cost"
	"ringside/sim"
)

// Two threads of a core that are busy at once share what it can do: work of either takes
// longer by a factor. After each piece a CPU looks for how long its sibling was busy
// meanwhile, and is charged its share of those cycles.
//
//	CPU      ├── piece ──┤        the piece ends, and the sibling goes on:
//	sibling     ├── busy ···     charged from where the sibling began
//
// When a CPU begins and its sibling is ahead in time, that piece of the sibling's was
// not alone after all: it is charged then.

// busyFrom says that the CPU has work from the time at on.
func (c *CPU) busyFrom(at sim.Time) {
	if c.busy {
		return
	}
	c.busy, c.stretch, c.reached = true, at, at
	s := c.sibling
	if ahead := s.clock.Now(); ahead > at {
		s.crowded(ahead - max(at, s.stretch))
	}
}

// share charges what the piece that has just ended lost to the sibling.
func (c *CPU) share() {
	s, now := c.sibling, c.clock.Now()
	from, to := max(c.reached, s.stretch), now
	if !s.busy {
		to = min(to, s.clock.Now())
	}
	c.reached = now
	if from < to {
		c.crowded(to - from)
	}
}

// crowded charges the CPU for work beside a busy sibling that took so long.
func (c *CPU) crowded(span sim.Time) {
	if n := c.clock.Cycles(span) / 1000; n > 0 {
		c.shared(cost.SmtShare, n, c.sibling.name)
		c.reached = c.clock.Now()
	}
}
