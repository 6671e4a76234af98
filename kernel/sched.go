package kernel

import "fmt"

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

// privateCache is the bytes that a core's own caches hold.
const privateCache = 256 << 10

// scheduling is what the kernel keeps of its scheduler.
type scheduling struct {
	Sched
	on bool // CPUs have to look at where tasks are and what they do
}

// setUpSched takes what the machine and its scheduler are to be.
func (k *Kernel) setUpSched(t Topology, s Sched, cpus int) error {
	if err := t.Check(cpus); err != nil {
		return err
	}
	if err := s.Check(cpus); err != nil {
		return err
	}
	k.topology, k.sched = t, scheduling{Sched: s}
	return nil
}
