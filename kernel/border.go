package kernel

import (
	"ringside/cost"
	"ringside/sim"
	"ringside/trace"
)

// borderSteps are what a task charges itself at its border, in the order in which
// the end of one system call and the beginning of the next have them. Package
// syscall knows no sink, so they are shown from here, by what the CPU's account
// has of them; the path without a sink pays nothing for that.
var borderSteps = [...]cost.Step{
	cost.SysExit, cost.GuestRun, cost.SysEnter, cost.TunChrReadIter, cost.TunChrWriteIter, cost.SysPoll,
}

// A border is how much of them the sink has seen.
type border [len(borderSteps)]cost.Line

// showBorder shows the steps at t's border that were charged since it was last
// called, the last of them over at the time end. It is called before anything
// else of the CPU is shown and whenever a task stops running, so they are t's.
func (c *CPU) showBorder(t *task, end sim.Time) {
	if t == nil {
		return
	}
	var at [len(borderSteps)]sim.Time
	scale := sim.Scale(c.k.book.Hz)
	for i := len(borderSteps) - 1; i >= 0; i-- {
		at[i] = end
		now, was := c.acct.Line(borderSteps[i]), c.border[i]
		end -= sim.Span(c.acct.Price(borderSteps[i], now.Count-was.Count, 0)+now.Extra-was.Extra, scale)
	}
	for i, s := range borderSteps {
		now, was := c.acct.Line(s), c.border[i]
		if now == was {
			continue
		}
		c.border[i] = now
		c.k.sink.Step(trace.Step{At: at[i], CPU: int32(c.id), Step: s, N: now.Count - was.Count, Extra: now.Extra - was.Extra, Note: t.Name})
	}
}
