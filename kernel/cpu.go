package kernel

import (
	"fmt"

	"ringside/cost"
	"ringside/mmu"
	"ringside/sim"
)

// A CPU is one emulated processor with Linux's three contexts, the more urgent
// first: hard interrupt, softirq, process. It is busy for the cycles that its
// work is charged; what comes meanwhile waits.
//
//	IRQ ──► hardirq ──► softirq (inline, at most ten rounds or 2 ms)
//	                       │ too much?
//	                       ▼
//	                   ksoftirqd ─┐
//	                   tasks ─────┴─► run queue, in turn
//
// It works in pieces: one interrupt, one list of at most eight frames, one
// stretch of a task. After a piece it lets every event of an earlier time run
// first, so no piece sees a world older than itself by more than its own length.
type CPU struct {
	k     *Kernel
	id    int
	name  string
	acct  *cost.Account
	clock sim.Clock
	seen  sim.Time   // some time that the clock has shown
	tlb   *mmu.TLB   // nil without a model
	timer *sim.Timer // armed for the moment there is something to do

	lone    bool         // belongs to a process that polls: see Core
	watched bool         // somebody watches the run: the kernel has a sink
	border  border       // what it has seen of the tasks' borders
	running bool         // inside Fire: work found now is seen by the loop
	irqs    []irq        // waiting, in order of arrival
	work    []func(*CPU) // timers of the kernel that have fired, likewise

	softirq softirq
	backlog backlog
	ipi     *sim.Timer // an interrupt from another CPU; made when first needed
	ipis    []*CPU     // that are to be interrupted at the end of net_rx_action

	seat

	runq      []runnable // tasks that want the CPU, by the time they may have it
	current   *task      // has the CPU and wants to go on
	last      *task      // had it last; nil after idling
	sliceEnd  sim.Time
	floor     sim.Time // see least
	tick      bool     // the slice of a task is over: back to the event loop
	contended bool     // a task must look up after every system call
	vectors   int      // that interrupt it
	irqHome   bool     // interrupts come here, so tasks must look up anyway

	list [groNormalBatch]*skb // the frames of one piece

	xsks    []*XSK       // sockets with descriptors that were not published yet
	bulks   []*bulkQueue // frames that were redirected and not sent yet
	phantom skb          // see ghost
	xdpRing struct {     // what Tx has put there wants a doorbell
		d *driver
		q *txQueue
		n uint64 // of frames, which the device does not know of yet
	}

	// Room to work in, for frames that a device cannot send as they are.
	single   [1]*skb
	parts    [][]byte
	segments []*skb
}

// An irq is what wants its hard handler: a vector of a device, or one of the others.
type irq struct {
	d      *driver
	vector int
	kind   irqKind
	vf     *VirtualFunction // of irqVF
}

type irqKind uint8

const (
	irqDevice irqKind = iota
	irqTimer          // of the vector's NAPI instance, which defers interrupts
	irqIPI            // from another CPU
	irqVF             // of a virtual function, for its guest
)

// interrupt runs the hard handler.
func (c *CPU) interrupt(i irq) {
	switch i.kind {
	case irqTimer:
		i.d.napi[i.vector].watchdog(c)
	case irqIPI:
		c.ipiHandler()
	case irqVF:
		i.vf.interrupt(c, i.vector)
	default:
		i.d.interrupt(c, i.vector)
	}
}

// A runnable is a task on a run queue, or ksoftirqd where task is nil.
type runnable struct {
	task *task
	at   sim.Time // not before
}

// slice is how long a task may run while others wait: the base slice of Linux's
// fair scheduler, 3 ms.
const slice = 3 * sim.Millisecond

func newCPU(k *Kernel, id int) *CPU {
	c := &CPU{k: k, id: id, name: fmt.Sprintf("cpu%d", id), watched: k.sink != nil}
	c.acct = cost.NewAccount(c.name, k.book, false)
	c.clock = sim.NewClock(k.book.Hz, c.acct.Meter())
	c.timer = k.eng.NewTimer(c.name, c)
	c.backlog.cpu, c.backlog.weight = c, napiWeight
	c.irqHome = k.sched.Preempt
	if k.paging != nil {
		c.tlb, _ = mmu.NewTLB(k.paging.TLB) // which was checked
	}
	return c
}

// look reads the clock and keeps in seen what it shows. Whoever asks whether the
// CPU has reached some moment need not look when seen is that late already, which
// is why this stays a call.
//
//go:noinline
func (c *CPU) look() sim.Time {
	c.seen = c.clock.Now()
	return c.seen
}

// kick makes sure that the CPU looks for work at the time at, or as soon as it
// is done with what it has.
func (c *CPU) kick(at sim.Time) {
	if c.running {
		return
	}
	if now := c.clock.Now(); at < now {
		at = now
	}
	if at < c.timer.At() {
		c.k.eng.Arm(c.timer, at)
	}
}

// Fire does work until there is none, or until others have to come first. Tasks of one
// CPU that keep each other busy need nobody else: they get no further ahead of the
// engine than a slice, so that a run can end in the middle.
func (c *CPU) Fire(now sim.Time) {
	began := c.clock.Begin(now)
	if c.sibling != nil {
		c.busyFrom(began)
	}
	c.running = true
	for c.piece() || c.k.sched.Balance && c.pull() {
		if c.sibling != nil {
			c.share()
		}
		if at := c.clock.Now(); c.tick || c.k.eng.Next() <= at || at-now >= slice || c.k.eng.Err() != nil {
			c.running, c.tick = false, false
			c.k.eng.Arm(c.timer, at)
			return
		}
	}
	c.running, c.busy = false, false
	c.last = nil // idle
	if len(c.runq) > 0 {
		c.k.eng.Arm(c.timer, c.runq[0].at)
	}
}

// piece does one piece of the most urgent work and says whether there was any.
func (c *CPU) piece() bool {
	switch {
	case len(c.irqs) > 0:
		c.exit()
		v := c.irqs[0]
		c.irqs = c.irqs[:copy(c.irqs, c.irqs[1:])]
		c.interrupt(v)
	case len(c.work) > 0:
		c.exit()
		f := c.work[0]
		c.work = c.work[:copy(c.work, c.work[1:])]
		f(c)
	case c.softirq.inline:
		c.softirqPiece()
	case c.current != nil:
		c.run()
	case !c.pick():
		return false
	case c.current != nil && !c.irqHome:
		c.run() // nothing can come between here: one event less
	}
	return true
}

// exit takes the CPU from the thread that has it: a guest is left.
func (c *CPU) exit() {
	if t := c.current; t != nil && t.body != nil {
		t.body.interrupted(c)
	}
}

// later has f run on the CPU as a softirq, as soon as there is time.
func (c *CPU) later(f func(*CPU)) {
	c.work = append(c.work, f)
	c.kick(c.k.eng.Now())
}

// pick takes the next task off the run queue and says whether there was one
// whose time has come.
func (c *CPU) pick() bool {
	if len(c.runq) == 0 || c.runq[0].at > c.clock.Now() {
		return false
	}
	r := c.dequeue(c.fairest())
	if r.task == nil {
		c.shared(cost.Schedule, 1, "ksoftirqd")
		c.last = nil
		c.softirq.beginInline(c)
		c.softirq.thread = true
		c.sliceEnd = c.clock.Now() + slice
		return true
	}
	c.current, r.task.dozing = r.task, false
	c.setContended()
	if c.last != r.task {
		c.shared(cost.Schedule, 1, r.task.Name)
		c.switched()
		c.last = r.task
	}
	if c.k.sched.Balance {
		c.arrived(r.task)
	}
	c.sliceEnd = c.clock.Now() + slice
	return true
}

// dequeue takes the runnable at index i off the run queue.
func (c *CPU) dequeue(i int) runnable {
	r := c.runq[i]
	c.runq = c.runq[:i+copy(c.runq[i:], c.runq[i+1:])]
	return r
}

// enqueue puts t on the run queue for the time at, behind those of the same time.
func (c *CPU) enqueue(t *task, at sim.Time) {
	if t != nil {
		t.new = false
	}
	i := len(c.runq)
	for i > 0 && c.runq[i-1].at > at {
		i--
	}
	c.runq = append(c.runq, runnable{})
	copy(c.runq[i+1:], c.runq[i:])
	c.runq[i] = runnable{t, at}
	c.setContended()
	c.kick(at)
	if c.k.sched.Balance {
		c.k.sched.watch(c)
	}
}

func (c *CPU) setContended() { c.contended = c.irqHome || c.softirq.inline || len(c.runq) > 0 }
