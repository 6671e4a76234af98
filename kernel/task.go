package kernel

import (
	"fmt"
	"iter"

	"ringside/cost"
	"ringside/mem"
	"ringside/sim"
	"ringside/syscall"
)

// A task is a guest's process: a coroutine of the event loop. Its program runs
// inside runTask until it must wait, and goes on there when it was woken.
type task struct {
	*syscall.Task
	cpu     *CPU
	resume  func() (struct{}, bool)
	stop    func()
	yield   func(struct{}) bool
	asleep  bool
	caught  sim.Time // the time at which it has let everybody else go first
	wakeAt  sim.Time // when not 0: it sleeps until then, when waker will find it so
	waker   *CPU
	killed  bool
	refused int // times the program recovered from being killed
	started bool
	done    bool
	ready   bool       // what it would sleep for has come meanwhile
	alarm   *sim.Timer // for timeouts; made when first needed
	body    thread     // of a thread of the kernel's own, which has no program
	region  *Region    // the program's memory; nil without a model of paging

	mobility
}

// killed is what unwinds a program whose machine is switched off.
type killed struct{}

// A Process is what Spawn starts.
type Process struct {
	Name    string
	ID      int32 // tells guests apart in traces
	CPU     int
	Allowed CPUSet                    // that it may run on; 0 means CPU alone, or any that is not isolated if tasks move (Sched.Balance)
	Node    *int                      // of its memory; nil means that of its CPU
	Memory  *mem.Memory               // private
	Inherit []string                  // devices it finds open, as descriptors 0, 1, …
	Files   []syscall.File            // that it finds open behind them, and that do not block
	Program func(*syscall.Task) error // may use only the system calls of its task
}

// Spawn starts a process: it runs as soon as its CPU has time.
func (k *Kernel) Spawn(p Process) error {
	name, program := p.Name, p.Program
	switch {
	case p.CPU < 0 || p.CPU >= len(k.cpus):
		return fmt.Errorf("kernel: %s wants CPU %d, and there are %d", name, p.CPU, len(k.cpus))
	case program == nil:
		return fmt.Errorf("kernel: %s has no program", name)
	case p.Memory == nil:
		return fmt.Errorf("kernel: %s has no memory", name)
	}
	t := &task{}
	var err error
	if t.region, err = k.UserRegion(p.Memory.Size()); err == nil {
		err = k.admit(t, p.CPU, p.Allowed, p.Node)
	}
	if err != nil {
		return fmt.Errorf("kernel: %s: %w", name, err)
	}
	c := t.cpu
	t.Task = syscall.NewTask(name, p.ID, p.Memory, syscall.Host{
		Devices: k, Scheduler: (*scheduler)(t), Account: c.acct, Clock: &c.clock, Contended: &c.contended,
	})
	for i, dev := range p.Inherit {
		if _, errno := t.Inherit(dev, syscall.ReadWrite); errno != syscall.OK {
			for _, dev := range p.Inherit[:i] {
				k.tapOf(dev).opened = false
			}
			t.gone = true
			return fmt.Errorf("kernel: %s: open %s: %w", name, dev, errno)
		}
	}
	for _, f := range p.Files {
		if _, errno := t.InheritFile(f, syscall.ReadWrite|syscall.NonBlock); errno != syscall.OK {
			t.gone = true
			return fmt.Errorf("kernel: %s: %w", name, errno)
		}
	}
	t.resume, t.stop = iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		defer func() {
			switch r := recover().(type) {
			case nil, killed:
			default:
				k.eng.Fail(fmt.Errorf("%s: program panicked: %v", name, r))
			}
		}()
		if err := program(t.Task); err != nil {
			k.eng.Fail(fmt.Errorf("%s: %w", name, err))
		}
		t.Exit()
	})
	k.tasks = append(k.tasks, t)
	c.enqueue(t, k.eng.Now())
	return nil
}

// runTask lets the current task run until it waits.
func (c *CPU) runTask() {
	t := c.current
	if t.body != nil {
		c.runThread(t)
		return
	}
	t.started = true
	_, ok := t.resume()
	if c.watched {
		c.showBorder(t, c.clock.Now())
	}
	if !ok {
		t.done, t.gone = true, true
		c.current = nil
		return
	}
	if c.current == nil { // sleeps, or is queued again
		return
	}
	if c.contended && len(c.runq) > 0 && c.clock.Now() >= c.sliceEnd {
		c.current = nil
		c.enqueue(t, c.clock.Now())
	}
}

// wake makes a sleeping task runnable at the time at. By is the CPU that does so, nil
// for a timer.
func (t *task) wake(by *CPU, at sim.Time) {
	if t.body != nil {
		t.wakeThread(by, at)
		return
	}
	if !t.asleep {
		t.sooner(by, at)
		return
	}
	if t.alarm != nil && t.alarm.At() < at { // its alarm comes first
		return
	}
	t.asleep = false
	if t.alarm != nil {
		t.cpu.k.eng.Disarm(t.alarm)
	}
	t.runnable(by, at)
}

// Fire is the task's alarm.
func (t *task) Fire(now sim.Time) { t.wake(nil, now) }

// scheduler is a task as its system calls see it.
type scheduler task

// CatchUp lets every earlier event run first. Once is enough for one time: what
// is armed for that time later comes later, or two tasks of one time would let
// each other go first for ever.
func (s *scheduler) CatchUp(*syscall.Task) bool {
	t := (*task)(s)
	waited := false
	for {
		now := t.cpu.clock.Now()
		if now > syscall.EndOfTime {
			t.cpu.k.eng.Fail(fmt.Errorf("%s: works beyond the end of virtual time, %v", t.Name, syscall.EndOfTime))
			t.pause()
		}
		if t.caught == now || t.cpu.k.eng.Next() > now {
			return waited
		}
		t.caught, waited = now, true
		t.pause()
	}
}

// Block sleeps until wake.
func (s *scheduler) Block(*syscall.Task) {
	t := (*task)(s)
	if t.ready {
		t.ready = false
		if t.alarm != nil {
			t.cpu.k.eng.Disarm(t.alarm)
		}
		return
	}
	c := t.cpu
	t.asleep, t.ran = true, c.clock.Now()
	if at := t.wakeAt; at != 0 {
		t.wakeAt = 0
		if t.alarm == nil || at <= t.alarm.At() {
			if t.waker != nil {
				t.waker.shared(cost.SockDefReadable, 1, t.Name)
			}
			c.current = nil
			t.wake(t.waker, at)
		}
	}
	c.current = nil
	for t.cpu.current != t {
		t.pause()
	}
}

// wakeLater has a task that is about to sleep woken at the time at by a CPU that is
// there already, nil for nobody's: the earliest of several counts.
func (t *task) wakeLater(by *CPU, at sim.Time) {
	if t.wakeAt == 0 || at < t.wakeAt {
		t.wakeAt, t.waker = at, by
	}
}

// Preempt lets interrupts in, and other tasks when the slice is over.
func (s *scheduler) Preempt(*syscall.Task) {
	t := (*task)(s)
	c := t.cpu
	if t.killed || c.softirq.inline || c.clock.Now() >= c.sliceEnd && len(c.runq) > 0 || c.irqHome && c.k.eng.Next() <= c.clock.Now() {
		t.pause()
	}
}

// grain is how finely an interrupt can cut a task's work.
const grain = sim.Microsecond

// Turn lets interrupts in where they come to the task's CPU, and other tasks when
// the slice is over. The task may work until the next event, since none but an
// event can take the CPU away from it.
func (s *scheduler) Turn(st *syscall.Task) sim.Time {
	t := (*task)(s)
	if t.cpu.contended {
		s.CatchUp(st)
	}
	s.Tick(st)
	c := t.cpu
	now, atLeast := c.clock.Now(), slice
	if c.irqHome {
		atLeast = grain
	}
	turn := max(c.k.eng.Next()-now, atLeast)
	if len(c.runq) > 0 {
		turn = min(turn, max(c.sliceEnd, c.runq[0].at)-now)
	}
	return turn
}

// Tick ends the task's slice when it is over: the event loop may look at the time,
// and whoever waits gets the CPU.
func (s *scheduler) Tick(*syscall.Task) {
	t := (*task)(s)
	c := t.cpu
	if c.clock.Now() < c.sliceEnd {
		return
	}
	c.tick = true
	t.pause()
	c = t.cpu                                    // it may have moved
	if now := c.clock.Now(); now >= c.sliceEnd { // nobody wanted it
		c.sliceEnd = now + slice
	}
}

// WakeAt arms the task's alarm.
func (s *scheduler) WakeAt(_ *syscall.Task, at sim.Time) {
	t := (*task)(s)
	if at == sim.Never {
		return
	}
	if t.alarm == nil {
		t.alarm = t.cpu.k.eng.NewTimer(t.Name, t)
	}
	t.cpu.k.eng.Arm(t.alarm, at)
}

// pause goes back to runTask and returns when the task is resumed.
func (t *task) pause() {
	if !t.killed {
		if t.yield(struct{}{}); !t.killed {
			return
		}
	}
	if t.refused++; t.refused <= maxRefused {
		panic(killed{})
	}
	for { // it will not end: leave it where it is
		t.yield(struct{}{})
	}
}

// maxRefused is how often a program may recover from being unwound before it is
// left alone.
const maxRefused = 64

// kill unwinds the program of a task that has not ended and says whether it did
// end. What the program does on its way out touches the machine no more.
func (t *task) kill() bool {
	if !t.started {
		t.stop()
		return true
	}
	t.killed = true
	t.Disconnect()
	_, alive := t.resume()
	return !alive
}

// wakeReader charges the waking CPU and wakes t, unless t is awake by then.
func (c *CPU) wakeReader(t *task) {
	if t.alarm != nil && t.alarm.At() <= c.clock.Now() {
		return
	}
	c.shared(cost.SockDefReadable, 1, t.Name)
	t.wake(c, c.clock.Now())
}
