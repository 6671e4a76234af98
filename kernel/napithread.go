package kernel

import (
	"fmt"

	"ringside/cost"
	"ringside/sim"
	"ringside/syscall"
)

// A napiThread polls one NAPI instance as a task among others, in place of softirq
// (Batching.Threaded). It has the CPU in slices, so nobody starves; but it must be
// woken, and switched to.
type napiThread struct {
	n    *napi
	task task
}

func newNAPIThread(n *napi) *napiThread {
	t := &napiThread{n: n}
	t.task = task{body: t, asleep: true, Task: &syscall.Task{Name: fmt.Sprintf("napi/%s-%d", n.drv.name, n.index), ID: -1}}
	n.drv.k.home(&t.task, n.cpu, 0, nil)
	return t
}

// wake is what napi_schedule does in place of raising the softirq.
func (t *napiThread) wake(c *CPU) {
	c.shared(cost.WakeNAPIThread, 1, t.task.Name)
	t.task.wakeThread(c, c.clock.Now())
}

// piece is a piece of napi_threaded_poll.
func (t *napiThread) piece(c *CPU) bool {
	n := t.n
	switch n.state {
	case napiIdle:
		return false
	case napiScheduled:
		n.begin(c)
	}
	if n.piece(c) {
		return true
	}
	c.softirq.stat.Processed += uint64(n.work)
	n.finish(c)
	c.sendIPIs()
	return true
}

func (t *napiThread) rest(*CPU) sim.Time { return sim.Never }
func (t *napiThread) interrupted(*CPU)   {}
