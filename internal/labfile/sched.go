package labfile

import (
	"strings"

	"ringside"
	"ringside/internal/form"
)

// readTopology reads how the CPUs of the machine sit together.
func (l *lab) readTopology(f field) {
	l.topology = f
	t := &l.cfg.Topology
	l.Mapping(f, "how the CPUs sit together, as {nodes: 2, threads: 2}", []known{
		{Name: "nodes", Read: form.Whole(l.Reader, &t.Nodes, 1, 8)},
		{Name: "threads", Read: form.Whole(l.Reader, &t.Threads, 1, 2)},
	})
}

// readSched reads where tasks run.
func (l *lab) readSched(f field) {
	l.sched = f
	s, pinned := &l.cfg.Sched, true
	l.Mapping(f, "how the scheduler places tasks, as {pinning: off}", []known{
		{Name: "pinning", Read: l.On(&pinned)},
		{Name: "wakeup_preemption", Read: l.On(&s.Preempt)},
		{Name: "isolcpus", Read: l.cpuSet(&s.Isolated)},
		{Name: "working_set", Read: form.Whole(l.Reader, &s.WorkingSet, 64, 1<<18)},
	})
	s.Balance = !pinned
}

// cpuSet reads CPUs by their numbers, one or a list.
func (l *lab) cpuSet(into *ringside.CPUSet) func(field) {
	return func(f field) {
		for _, e := range l.List(f) {
			if k, ok := l.Number(e, 0, 63); ok {
				*into |= 1 << k
			}
		}
	}
}

// irqAffinity reads the CPUs that each vector may interrupt: a list for each.
func (l *lab) irqAffinity(into *[]ringside.CPUSet) func(field) {
	return func(f field) {
		for _, e := range l.List(f) {
			var set ringside.CPUSet
			l.cpuSet(&set)(e)
			*into = append(*into, set)
		}
	}
}

// node reads the number of a node.
func (l *lab) node(into **int) func(field) {
	return func(f field) {
		if n, ok := l.Number(f, 0, 7); ok {
			i := int(n)
			*into = &i
		}
	}
}

// checkSched finds what a machine with so many CPUs cannot be.
func (l *lab) checkSched(cpus int) {
	say := func(f field, err error) {
		if f.Node != nil && err != nil {
			l.Wrong(f, "%s", strings.ReplaceAll(err.Error(), "kernel: ", ""))
		}
	}
	say(l.topology, l.cfg.Topology.Check(cpus))
	say(l.sched, l.cfg.Sched.Check(cpus))
}
