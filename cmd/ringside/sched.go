package main

import (
	"errors"
	"strings"

	"github.com/spf13/pflag"

	"ringside"
	"ringside/kernel"
)

// sched adds the flags that say how the CPUs sit together and where tasks run.
func (o *options) sched(fs *pflag.FlagSet) {
	c := &o.cfg
	flag(fs, "pinning", "on|off", "on", "off lets guests and back ends move to other CPUs, but for those that a lab gives one", onOff(func(on bool) { c.Sched.Balance = !on }))
	flag(fs, "wakeup-preemption", "on|off", "off", "a task that is woken may have the CPU before the slice of another ends", onOff(func(on bool) { c.Sched.Preempt = on }))
	flag(fs, "isolcpus", "CPUS", "", "CPUs for pinned tasks only, as in 2-3", cpuList(&c.Sched.Isolated))
	whole(fs, &c.Topology.Nodes, "nodes", "1", "NUMA nodes that the CPUs are on", 0, kernel.MaxNodes, "2")
	flag(fs, "smt", "on|off", "off", "on has two threads in each core", onOff(func(on bool) {
		if c.Topology.Threads = 1; on {
			c.Topology.Threads = 2
		}
	}))
	whole(fs, &c.NICNode, "nic-node", "0", "the node that the NIC's slot is on", 0, kernel.MaxNodes-1, "1")
	flag(fs, "irq-affinity", "CPUS[/CPUS…]", "", "CPUs that each vector may interrupt (smp_affinity), the last for all that follow, as in 0/1/2-3; off for one after the other", func(s string) error {
		c.IRQAffinity = nil
		if s == "off" {
			return nil
		}
		for part := range strings.SplitSeq(s, "/") {
			set, err := ringside.ParseCPUs(part)
			if err != nil || set == 0 {
				return errors.New("give CPUs from 0 to 63 for each vector, as in --irq-affinity 0 or --irq-affinity 0/1/2-3, or off")
			}
			c.IRQAffinity = append(c.IRQAffinity, set)
		}
		return nil
	})
	whole(fs, &c.Batching.RFS, "rfs", "0", "flows that are sent to the CPU on which they were last read (rps_sock_flow_entries), a power of two", 0, kernel.MaxFlows, "4096")
}

// onOff is for a flag that is on or off.
func onOff(set func(bool)) func(string) error {
	return func(s string) error {
		if s != "on" && s != "off" {
			return errors.New("give on or off")
		}
		set(s == "on")
		return nil
	}
}

// cpuList is for a flag that is a list of CPUs.
func cpuList(at *ringside.CPUSet) func(string) error {
	return func(s string) error {
		if s == "off" {
			s = ""
		}
		set, err := ringside.ParseCPUs(s)
		if err != nil {
			return errors.New("give CPUs from 0 to 63, as in 1-3 or 1,3, or off")
		}
		*at = set
		return nil
	}
}
