package kernel

import (
	"fmt"
	"slices"

	"ringside/sim"
)

// A Sched is how the kernel's scheduler places tasks. The zero value leaves every task
// on the CPU that it was given, and lets those of one CPU have it in turn.
type Sched struct {
	// Balance lets tasks that are pinned to no CPU move: when they are woken, when a
	// CPU has nothing else to do, and now and then while some wait.
	Balance bool `json:"balance,omitempty"`
	// Preempt lets a task that is woken have the CPU at once if the one that has it
	// has had more of it lately (wake-up preemption).
	Preempt bool `json:"wakeup_preemption,omitempty"`
	// Isolated are CPUs that only tasks pinned to them run on (isolcpus).
	Isolated CPUSet `json:"isolcpus,omitzero"`
	// WorkingSet is how many bytes a task keeps in its CPU's private caches beside the
	// frames that it copies; 0 means 8 KiB. What of it a move leaves behind is fetched
	// again.
	WorkingSet int `json:"working_set,omitempty"`
}

// Check says what cannot be on a machine with so many CPUs.
func (s Sched) Check(cpus int) error {
	switch {
	case (s.Balance || s.Isolated != 0) && cpus > MaxSetCPUs:
		return fmt.Errorf("kernel: tasks that move, or isolated CPUs, among %d CPUs; up to %d are possible", cpus, MaxSetCPUs)
	case s.Isolated.last() >= cpus:
		return fmt.Errorf("kernel: Sched.Isolated names CPU %d, and there are %d", s.Isolated.last(), cpus)
	case s.Isolated.Len() == cpus:
		return fmt.Errorf("kernel: Sched.Isolated is all %d CPUs: nothing is left for tasks that are not pinned", cpus)
	case s.WorkingSet < 0 || s.WorkingSet > privateCache:
		return fmt.Errorf("kernel: Sched.WorkingSet is %d; up to %d bytes are possible, a private cache", s.WorkingSet, privateCache)
	}
	return nil
}

// Bounds of the scheduler, as Linux has them by default.
const (
	migrationCost = 500 * sim.Microsecond // a task that ran so lately is hot (sysctl_sched_migration_cost)
	granularity   = sim.Millisecond       // how much more a task must have had to be preempted (wakeup_granularity)
	sleeperCredit = 3 * sim.Millisecond   // least behind the others that a sleeper comes back
)

// scheduling is what the kernel keeps of its scheduler.
type scheduling struct {
	Sched
	tasks    []*task    // all, but those that have ended
	unpinned CPUSet     // for tasks that do not say
	balancer *sim.Timer // while tasks wait; made when first needed
	far      bool       // there is more than one node
	looks    bool       // stretches of tasks are looked at

	moves uint64
}

// setUpSched takes what the machine and its scheduler are to be.
func (k *Kernel) setUpSched(t Topology, s Sched, cpus int) error {
	if err := t.Check(cpus); err != nil {
		return err
	}
	if err := s.Check(cpus); err != nil {
		return err
	}
	if s.WorkingSet == 0 {
		s.WorkingSet = workingSet
	}
	k.topology = t
	k.sched = scheduling{Sched: s, far: t.nodes() > 1, looks: s.Balance || s.Preempt, unpinned: FirstCPUs(cpus) &^ s.Isolated}
	return nil
}

// mobility is what a task has of the scheduler: where it may run, and what it would
// leave behind. Move is the one place where a task goes from a CPU to another.
type mobility struct {
	allowed CPUSet // that it may run on; none means its CPU alone
	fixed   bool   // not now (migrate_disable)
	gone    bool   // it will not run again
	new     bool   // it has not been on a queue yet
	dozing  bool   // on a queue for a time to come
	moved   bool   // and has not run since
	node    int    // of its memory
	moves   uint64

	ran     sim.Time // when it last ended a stretch: it goes on no earlier
	had     sim.Time // of CPUs, as its CPU reckons it (vruntime)
	lines   uint64   // in its core's private caches
	cold    uint64   // left with another core, not fetched yet
	coldFar bool     // on another node
}

// admit gives a new task its CPU and finds what cannot be.
func (k *Kernel) admit(t *task, cpu int, allowed CPUSet, node *int) error {
	switch {
	case cpu < 0 || cpu >= len(k.cpus):
		return fmt.Errorf("it wants CPU %d, and there are %d", cpu, len(k.cpus))
	case allowed.last() >= len(k.cpus):
		return fmt.Errorf("it may run on CPU %d, and there are %d", allowed.last(), len(k.cpus))
	case node != nil && (*node < 0 || *node >= k.topology.nodes()):
		return fmt.Errorf("its memory is on node %d, and there are %d", *node, k.topology.nodes())
	}
	k.home(t, k.cpus[cpu], allowed, node)
	return nil
}

// home puts a new task on the CPU c, or the next one that it may run on.
func (k *Kernel) home(t *task, c *CPU, allowed CPUSet, node *int) {
	if allowed == 0 && k.sched.Balance {
		allowed = k.sched.unpinned
	}
	for allowed != 0 && !allowed.Has(c.id) {
		c = k.cpus[(c.id+1)%len(k.cpus)]
	}
	t.cpu, t.allowed, t.node, t.new = c, allowed, c.node, true
	if node != nil {
		t.node = *node
	}
	k.sched.tasks = append(slices.DeleteFunc(k.sched.tasks, func(t *task) bool { return t.gone }), t)
}

// movable says whether the task may go to another CPU.
func (t *task) movable() bool {
	return t.cpu.k.sched.Balance && t.allowed.Len() > 1 && !t.fixed
}

// runnable puts a task that was woken on the run queue of a CPU that suits it
// (try_to_wake_up). One that is to run later only stays where it is.
func (t *task) runnable(by *CPU, at sim.Time) {
	at = t.notBefore(at)
	t.dozing = by == nil && at > max(t.cpu.clock.Now(), t.cpu.k.eng.Now())
	if !t.dozing && t.movable() {
		if to := t.selectCPU(by, at); to != t.cpu {
			t.move(to)
		}
	}
	t.cpu.enqueue(t, at)
	if t.cpu.k.sched.Preempt {
		t.cpu.preempt(t, at)
	}
}

// notBefore is at, or the task's own time if that is later: another CPU may be behind.
func (t *task) notBefore(at sim.Time) sim.Time {
	if t.moves == 0 && !t.cpu.k.sched.Balance {
		return at
	}
	return max(at, t.ran, t.cpu.k.eng.Now())
}

// move is set_task_cpu: the task, which runs nowhere and is on no queue, belongs to
// another CPU from now on.
func (t *task) move(to *CPU) {
	from := t.cpu
	if to.k.sched.Preempt {
		t.had += to.least() - from.least()
	}
	t.cold, t.coldFar, t.lines = t.cold+t.lines, from.node != to.node, 0
	t.cpu, t.moved = to, true
	t.moves++
	to.k.sched.moves++
	t.Task.Move(to.acct, &to.clock, &to.contended)
}

// load is how many tasks the CPU has at the time at: one that runs, and those that
// wait. A CPU that is ahead has done already what it is busy with at that time.
func (c *CPU) load(at sim.Time) (n int) {
	if _, runs := c.holder(); runs || c.clock.Now() > at {
		n++
	}
	for _, r := range c.runq {
		if r.task == nil || !r.task.dozing {
			n++
		}
	}
	return n
}

// idle is available_idle_cpu: no task, though there may be an interrupt's work.
func (c *CPU) idle(at sim.Time) bool { return c.load(at) == 0 }

// selectCPU is select_task_rq for a task that is woken by the CPU by, nil for a timer.
// First wake_affine chooses between the CPU that it ran on and the one that wakes it,
//
//	the waker's, if that is idle and shares its cache with the other, which is not;
//	the old one, if that is idle;
//	the one with fewer tasks, the old one if they have as many;
//
// then select_idle_sibling looks among those that share a cache with it: the CPU
// itself, if it is idle; the old one; one on an idle core; any idle one. With none it
// stays at the choice.
func (t *task) selectCPU(by *CPU, at sim.Time) *CPU {
	prev, target := t.cpu, t.cpu
	if by != nil && by != prev && !by.lone && t.allowed.Has(by.id) {
		target = affine(prev, by, at)
	}
	if target.idle(at) {
		return target
	}
	if prev.node == target.node && prev.idle(at) {
		return prev
	}
	var found *CPU
	for _, c := range target.llc {
		if !t.allowed.Has(c.id) || !c.idle(at) {
			continue
		}
		if c.sibling == nil || c.sibling.idle(at) {
			return c
		}
		if found == nil {
			found = c
		}
	}
	if found != nil {
		return found
	}
	return target
}

// affine is wake_affine.
func affine(prev, by *CPU, at sim.Time) *CPU {
	switch {
	case by.idle(at) && by.node == prev.node && !prev.idle(at):
		return by
	case prev.idle(at):
		return prev
	case by.load(at) < prev.load(at):
		return by
	}
	return prev
}

// run lets the current task run, and looks at what it did if the scheduler asks.
func (c *CPU) run() {
	if !c.k.sched.looks {
		c.runTask()
		return
	}
	t := c.current
	if t.allowed != 0 && !t.allowed.Has(c.id) {
		c.k.eng.Fail(fmt.Errorf("scheduler: %s runs on %s and may run on %v only", t.Name, c.name, t.allowed))
	}
	began, copied := c.clock.Now(), c.copied()
	c.runTask()
	now := c.clock.Now()
	t.had += now - began
	if t.cpu == c { // else it was woken elsewhere meanwhile
		t.ran = now
		if c.k.sched.Balance {
			c.touch(t, (c.copied()-copied)/cacheLine)
		}
	}
}

// preempt is wakeup_preempt: if t, which was just woken, has had less of the CPU than
// the one that has it, by more than the granularity, that one's slice is over. A
// sleeper comes back no further behind the others than its credit.
func (c *CPU) preempt(t *task, at sim.Time) {
	t.had = max(t.had, c.least()-sleeperCredit)
	if had, runs := c.holder(); runs && had-t.had > granularity {
		c.sliceEnd = min(c.sliceEnd, at)
	}
}

// holder is how much of the CPU the task that has it has had, and whether one has it.
func (c *CPU) holder() (had sim.Time, runs bool) {
	switch {
	case c.current != nil:
		return c.current.had, true
	case c.softirq.inline && c.softirq.thread:
		return c.softirq.had, true
	}
	return 0, false
}

// least is the least that any task of the CPU has had, which never goes back
// (min_vruntime).
func (c *CPU) least() sim.Time {
	least, runs := c.holder()
	if !runs {
		least = sim.Never
	}
	for _, r := range c.runq {
		least = min(least, c.hadOf(r))
	}
	if least != sim.Never {
		c.floor = max(c.floor, least)
	}
	return c.floor
}

func (c *CPU) hadOf(r runnable) sim.Time {
	if r.task == nil {
		return c.softirq.had
	}
	return r.task.had
}

// fairest is whose turn it is of those whose time has come: the first, or with
// wake-up preemption the one that has had least.
func (c *CPU) fairest() (best int) {
	if !c.k.sched.Preempt {
		return 0
	}
	now := c.clock.Now()
	for i, r := range c.runq {
		if r.at <= now && c.hadOf(r) < c.hadOf(c.runq[best]) {
			best = i
		}
	}
	return best
}

// checkTasks finds a task that is not in exactly one place: asleep, on the run queue
// of its CPU, or running there.
func (k *Kernel) checkTasks() error {
	places := map[*task]int{}
	for _, c := range k.cpus {
		if c.current != nil {
			places[c.current]++
			if c.current.cpu != c {
				return fmt.Errorf("scheduler: %s has %s, which belongs to %s", c.name, c.current.Name, c.current.cpu.name)
			}
		}
		for i, r := range c.runq {
			if i > 0 && r.at < c.runq[i-1].at {
				return fmt.Errorf("scheduler: the run queue of %s is out of order", c.name)
			}
			if r.task == nil {
				continue
			}
			places[r.task]++
			if r.task.cpu != c {
				return fmt.Errorf("scheduler: %s is on the run queue of %s and belongs to %s", r.task.Name, c.name, r.task.cpu.name)
			}
		}
	}
	for _, t := range k.sched.tasks {
		switch n := places[t]; {
		case t.gone || t.new:
		case t.asleep && n != 0:
			return fmt.Errorf("scheduler: %s is asleep, and in %d places", t.Name, n)
		case !t.asleep && n != 1:
			return fmt.Errorf("scheduler: %s is awake, and in %d places", t.Name, n)
		case t.allowed != 0 && !t.allowed.Has(t.cpu.id):
			return fmt.Errorf("scheduler: %s is on %s and may run on %v only", t.Name, t.cpu.name, t.allowed)
		}
	}
	return nil
}

// A TaskStat is one task as the scheduler knows it.
type TaskStat struct {
	Name       string `json:"name"`
	CPU        int    `json:"cpu"` // where it is now
	Allowed    CPUSet `json:"allowed,omitzero"`
	Migrations uint64 `json:"migrations"`
}

// Tasks is all tasks that have not ended, in the order in which they began.
func (k *Kernel) Tasks() []TaskStat {
	list := []TaskStat{}
	for _, t := range k.sched.tasks {
		if !t.gone {
			list = append(list, TaskStat{t.Name, t.cpu.id, t.allowed, t.moves})
		}
	}
	return list
}

// Migrations is how often a task went from one CPU to another.
func (k *Kernel) Migrations() uint64 { return k.sched.moves }
