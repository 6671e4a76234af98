package kernel

import "ringside/sim"

// A thread is what a task of the kernel's own does, which is no coroutine: a vCPU, a
// back end's worker. It works in pieces, and the event loop looks between them.
type thread interface {
	// piece does one piece of work. False says that there was nothing to do, and may
	// only be said if nothing was charged.
	piece(c *CPU) bool
	// rest is called before the thread sleeps. The result is the time at which it
	// wants to be woken if nobody does so earlier, Never for not at all.
	rest(c *CPU) sim.Time
	// interrupted says that the CPU is taken away: by an interrupt, or for another task.
	interrupted(c *CPU)
}

// runThread lets the current task, a thread, do a piece of work. When it finds
// nothing to do everybody earlier has a turn before that counts.
func (c *CPU) runThread(t *task) {
	if t.body.piece(c) {
		c.endSlice(t)
		return
	}
	now := c.clock.Now()
	if t.caught != now && c.k.eng.Next() <= now {
		t.caught = now
		return
	}
	t.asleep = true
	c.current = nil
	at := t.body.rest(c)
	t.ran = c.clock.Now()
	if at != sim.Never {
		t.wakeThread(nil, at)
	}
}

// endSlice gives the CPU to whoever waits for it when the current task's slice is over.
func (c *CPU) endSlice(t *task) {
	now := c.clock.Now()
	if now < c.sliceEnd {
		return
	}
	c.tick = true // the event loop may look at the time: a guest need not ever wait
	if len(c.runq) == 0 || c.runq[0].at > now {
		c.sliceEnd = now + slice
		return
	}
	t.body.interrupted(c)
	c.current = nil
	c.enqueue(t, c.clock.Now())
}

// wakeThread makes a thread runnable at the time at, or as soon as that if it was to
// be later. By is the CPU that does so, nil for a timer.
func (t *task) wakeThread(by *CPU, at sim.Time) {
	if t.asleep {
		t.asleep = false
		t.runnable(by, at)
		return
	}
	t.sooner(by, at)
}

// sooner makes a task that is to be runnable later runnable at the time at.
func (t *task) sooner(by *CPU, at sim.Time) {
	c := t.cpu
	for i, r := range c.runq {
		if r.task == t && r.at > at {
			c.dequeue(i)
			t.runnable(by, at)
			return
		}
	}
}
