package kernel

import (
	"errors"
	"fmt"

	"ringside/cost"
	"ringside/sim"
	"ringside/syscall"
	"ringside/trace"
	"ringside/virtio"
)

// A Guest is what runs on a virtual CPU: a kernel of its own. Its methods are called
// by the event loop, and it calls back the VCPU it was started on.
type Guest interface {
	// Run does one piece of the most urgent work: one interrupt, one poll, one stretch
	// of a process. False says that there was nothing to do: the guest halts until an
	// interrupt comes or its timer goes off.
	Run() bool
	// Interrupt says that an interrupt of that vector is pending; the next Run
	// handles it.
	Interrupt(vector int)
	// Timer says that the time of the last WakeAt has come, likewise.
	Timer()
	// Close ends what runs in the guest. No goroutine is left.
	Close()
}

// VCPUConfig describes a virtual CPU.
type VCPUConfig struct {
	Name    string // of its thread
	ID      int32  // of the guest, in traces
	CPU     int    // of the host, which the thread runs on
	Allowed CPUSet // that it may run on; see Process.Allowed
	Node    *int   // of the guest's memory; nil means that of its CPU
}

// A VCPU is a thread of the host in which a guest runs, one piece at a time. Its
// methods are for the guest's kernel and its drivers, and only while they run.
type VCPU struct {
	k     *Kernel
	task  task
	guest Guest

	inside bool // in the guest; else an entry is due before the next piece
	irqs   []virq
	eois   uint64     // interrupts that the guest has in hand
	timer  *sim.Timer // made when first needed
	set    sim.Time   // what it was last set for
	fired  bool       // and not told yet
}

// A virq is an interrupt that was injected. The vCPU does not see it earlier than
// it was.
type virq struct {
	vector int
	at     sim.Time
	posted bool // by hardware: no exit, also not for its end
	woken  bool // and it has found the guest halted: it is seen on entry
}

// AddVCPU makes a virtual CPU; Start lets a guest run on it.
func (k *Kernel) AddVCPU(c VCPUConfig) (*VCPU, error) {
	if c.CPU < 0 || c.CPU >= len(k.cpus) {
		return nil, fmt.Errorf("kernel: %s wants CPU %d, and there are %d", c.Name, c.CPU, len(k.cpus))
	}
	v := &VCPU{k: k}
	v.task = task{body: v, Task: &syscall.Task{Name: c.Name, ID: c.ID}}
	if err := k.admit(&v.task, c.CPU, c.Allowed, c.Node); err != nil {
		return nil, fmt.Errorf("kernel: %s: %w", c.Name, err)
	}
	k.vcpus = append(k.vcpus, v)
	return v, nil
}

// Start lets g run as soon as the CPU has time. It is called once.
func (v *VCPU) Start(g Guest) error {
	if v.guest != nil {
		return errors.New("kernel: " + v.task.Name + " has a guest already")
	}
	v.guest = g
	v.task.cpu.enqueue(&v.task, v.k.eng.Now())
	return nil
}

// piece enters the guest, unless it is there, and lets it do one piece of work.
func (v *VCPU) piece(c *CPU) bool {
	if !v.inside {
		v.inside = true
		c.shared(cost.KvmEntry, 1, v.task.Name)
	}
	v.see(c.clock.Now())
	more := v.guest.Run()
	if v.eois > 0 {
		c.shared(cost.KvmEOI, v.eois, v.task.Name)
		v.eois = 0
	}
	return more
}

// see tells the guest of what is pending at the time now.
func (v *VCPU) see(now sim.Time) {
	if v.fired {
		v.fired = false
		v.guest.Timer()
	}
	if len(v.irqs) == 0 {
		return
	}
	later := v.irqs[:0]
	for _, q := range v.irqs {
		if q.at > now {
			later = append(later, q)
			continue
		}
		switch {
		case !q.posted:
			v.eois++
		case !q.woken:
			v.Charge(cost.VtdPostedIntr, 1)
		}
		v.guest.Interrupt(q.vector)
	}
	v.irqs = later
}

// rest is kvm_vcpu_halt: the guest waits for an interrupt. One that was injected for
// a later time is known already.
func (v *VCPU) rest(c *CPU) sim.Time {
	v.inside = false
	c.shared(cost.KvmHalt, 1, v.task.Name)
	if v.fired {
		return c.clock.Now()
	}
	return v.pending()
}

// pending is the time of the first interrupt that the guest has not seen.
func (v *VCPU) pending() sim.Time {
	at := sim.Never
	for _, q := range v.irqs {
		at = min(at, q.at)
	}
	return at
}

// interrupted is the exit that gives the CPU to the host.
func (v *VCPU) interrupted(c *CPU) {
	if v.inside {
		v.inside = false
		c.shared(cost.KvmInterrupted, 1, v.task.Name)
	}
}

// inject is irqfd_wakeup: the CPU c puts an interrupt into the guest. One that is
// pending already takes it in, as a bit in the APIC does.
func (v *VCPU) inject(c *CPU, vector int) {
	c.shared(cost.IrqfdInject, 1, v.task.Name)
	if v.task.asleep {
		c.shared(cost.KvmWakeUp, 1, v.task.Name)
	}
	v.injectAt(c, c.clock.Now(), vector)
}

func (v *VCPU) injectAt(by *CPU, at sim.Time, vector int) { v.pend(by, virq{vector: vector, at: at}) }

// post is an interrupt that the hardware puts into the guest at the time at; by is the
// CPU that has woken it for that, nil if it was awake.
func (v *VCPU) post(by *CPU, at sim.Time, vector int) { v.pend(by, virq{vector, at, true, by != nil}) }

// pend has an interrupt wait for the guest. One of its vector that waits already takes
// it in.
func (v *VCPU) pend(by *CPU, irq virq) {
	at, vector := irq.at, irq.vector
	v.task.wakeThread(by, at)
	for i := range v.irqs {
		if q := &v.irqs[i]; q.vector == vector {
			q.at = min(q.at, at)
			return
		}
	}
	v.irqs = append(v.irqs, irq)
}

// Now is the time of the CPU: the end of everything charged to it so far.
func (v *VCPU) Now() sim.Time { return v.task.cpu.clock.Now() }

// Charge does the step s n times.
func (v *VCPU) Charge(s cost.Step, n uint64) { v.task.cpu.shared(s, n, v.task.Name) }

// ChargeBytes does the step s n times, over so many bytes in all.
func (v *VCPU) ChargeBytes(s cost.Step, n, bytes uint64) {
	v.ChargeFrame(0, s, n, bytes)
}

// ChargeFrame is ChargeBytes for the frame with that ID, if it is one, so that its
// journey shows the step.
func (v *VCPU) ChargeFrame(id uint64, s cost.Step, n, bytes uint64) {
	c := v.task.cpu
	c.acct.ChargeBytes(s, n, bytes)
	if c.k.sched.far && bytes > 0 && v.task.node != c.node {
		c.acct.ChargeBytes(cost.NumaGuestCopy, 1, bytes)
	}
	if !c.watched {
		return
	}
	c.showBorder(c.current, c.clock.Now()-c.took(s, n, bytes))
	if id == 0 || c.k.sink.Watching(id) {
		c.k.sink.Step(trace.Step{ID: id, At: c.clock.Now(), CPU: int32(c.id), Step: s, N: n, Bytes: bytes, Note: v.task.Name})
	}
}

// Took says that the guest's program has the frame that the tag names: its latency ends
// here, and not where the frame was put into the guest's memory.
func (v *VCPU) Took(t virtio.Tag) {
	v.task.cpu.acct.Frames(cost.VM, 1)
	v.k.Latency.Record(v.task.cpu.clock.Now() - t.Arrived)
}

// Work does a program's own work, beside the price of GuestRun that was charged when
// it began, for at most the span d, and returns how much of d is left: it stops where
// something may come that is to be looked at first. It makes some progress.
func (v *VCPU) Work(d sim.Time) sim.Time {
	c := v.task.cpu
	now := c.clock.Now()
	if now > syscall.EndOfTime {
		v.Fail(fmt.Errorf("works beyond the end of virtual time, %v", syscall.EndOfTime))
		return 0
	}
	turn := max(min(c.k.eng.Next(), v.pending())-now, grain)
	if len(c.runq) > 0 {
		turn = min(turn, max(c.sliceEnd, c.runq[0].at, now+grain)-now)
	}
	c.acct.Prolong(cost.GuestRun, c.clock.Cycles(min(d, turn, syscall.EndOfTime)))
	return max(d-(c.clock.Now()-now), 0)
}

// WakeAt sets the guest's timer: Guest.Timer is called at that time, or at once if it
// has passed. Each call replaces the last; Never means not at all.
func (v *VCPU) WakeAt(at sim.Time) {
	if v.timer == nil {
		v.timer = v.k.eng.NewTimer(v.task.Name, (*guestTimer)(v))
	}
	if v.timer.Armed() && at == v.set || !v.timer.Armed() && at == sim.Never {
		return
	}
	v.fired, v.set = false, at
	if at != sim.Never {
		v.Charge(cost.KvmTimer, 1)
	}
	v.k.eng.Arm(v.timer, at)
}

// guestTimer is a vCPU's timer as the engine knows it.
type guestTimer VCPU

// Fire is the end of the time that the guest has set.
func (t *guestTimer) Fire(now sim.Time) {
	t.fired = true
	t.task.wakeThread(nil, now)
}

// Fail ends the run with an error of the guest.
func (v *VCPU) Fail(err error) { v.k.eng.Fail(fmt.Errorf("%s: %w", v.task.Name, err)) }

// Halted says whether the guest waits for an interrupt.
func (v *VCPU) Halted() bool { return v.task.asleep }
