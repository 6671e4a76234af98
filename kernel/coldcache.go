package kernel

import "ringside/cost"

// What a task that moves leaves behind is a number of lines: those of its working set,
// and those that it copied since it came to the CPU, as many as a core's own caches
// hold. On the CPU that it comes to it fetches them again as it goes: those of its
// working set at once, the others when it copies as much. They come from the cache that
// the cores of a node share, or from the other node.

const (
	cacheLine    = 64
	privateCache = 256 << 10 // bytes, the second level of the books' machine
	workingSet   = 8 << 10   // bytes: kernel stack, task, the code and rings that it goes round in
)

// copySteps are what copies a frame's bytes.
var copySteps = [...]cost.Step{
	cost.TunPutUser, cost.CopyIn, cost.VhostCopyOut, cost.VhostCopyIn, cost.GuestCopyOut, cost.GuestCopyIn,
}

// copied is the bytes that the CPU has copied so far.
func (c *CPU) copied() (n uint64) {
	for _, s := range copySteps {
		n += c.acct.Bytes(s)
	}
	return n
}

// arrived charges what a task that has moved must do first.
func (c *CPU) arrived(t *task) {
	if !t.moved {
		t.lines = max(t.lines, uint64(c.k.sched.WorkingSet/cacheLine))
		return
	}
	t.moved = false
	c.shared(cost.MigrateTask, 1, t.Name)
	c.touch(t, uint64(c.k.sched.WorkingSet/cacheLine))
}

// touch says that the task has touched so many lines more. Those that it had left
// behind come from there.
func (c *CPU) touch(t *task, lines uint64) {
	t.lines = min(t.lines+lines, privateCache/cacheLine)
	n := min(t.cold, lines)
	if n == 0 {
		return
	}
	t.cold -= n
	step := cost.ColdLines
	if t.coldFar {
		step = cost.ColdLinesFar
	}
	c.shared(step, n, t.Name)
}
