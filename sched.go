package ringside

import (
	"ringside/cost"
	"ringside/kernel"
)

// place is the CPU of one more thread of guests: the one asked for, or else in turn
// over those that serve no interrupts and are not isolated.
func (h *Host) place(want *int) int {
	if want != nil {
		h.placed++
		return *want
	}
	n, queues := h.placed, h.cfg.queues()
	for range h.cfg.CPUs {
		cpu := n % h.cfg.CPUs
		if guests := h.cfg.CPUs - queues; guests > 0 {
			cpu = queues + n%guests
		}
		n++
		if !h.cfg.Sched.Isolated.Has(cpu) {
			h.placed = n
			return cpu
		}
	}
	h.placed = n
	return 0 // all that serve no interrupts are isolated
}

// allowed is the CPUs of a thread that is pinned to cpu, or may run on those of set.
func allowed(cpu *int, set CPUSet) CPUSet {
	if cpu != nil {
		return kernel.OneCPU(*cpu)
	}
	return set
}

// vcpu describes the virtual CPU of VM i, which begins on the CPU cpu.
func (h *Host) vcpu(i, cpu int) kernel.VCPUConfig {
	v := &h.cfg.VMs[i]
	return kernel.VCPUConfig{Name: v.Name, ID: int32(i), CPU: cpu, Allowed: allowed(v.CPU, v.Allowed), Node: v.Node}
}

// A SchedReport is what the scheduler did and what the topology cost. A machine of one
// node and one thread a core whose tasks stay where they are has none.
type SchedReport struct {
	Nodes      int               `json:"nodes"`
	Threads    int               `json:"threads_per_core"`
	NICNodes   []int             `json:"nic_nodes"`
	Migrations uint64            `json:"migrations"`
	ColdLines  uint64            `json:"cold_lines"`         // fetched again by tasks that moved
	FarLines   uint64            `json:"remote_lines"`       // that came from another node, those of moved tasks among them
	FarBytes   uint64            `json:"remote_bytes"`       // copied from or to another node
	Shared     uint64            `json:"shared_core_cycles"` // of work beside a busy thread of the same core
	CPUs       []CPUSeat         `json:"cpus"`
	Tasks      []kernel.TaskStat `json:"tasks"`
}

// A CPUSeat is where a CPU is, and the share of the run for which it was busy.
type CPUSeat struct {
	Name        string `json:"name"`
	Node        int    `json:"node"`
	Core        int    `json:"core"`
	Utilization uint64 `json:"utilization_ppm"`
}

// schedReport is nil where there is nothing to say.
func (h *Host) schedReport(bill *cost.Bill, all *Report) *SchedReport {
	c := &h.cfg
	if c.Topology == (Topology{}) && c.Sched == (Sched{}) {
		return nil
	}
	steps := func(list ...cost.Step) (n uint64) {
		for _, s := range list {
			n += bill.Steps[s].Count
		}
		return n
	}
	r := &SchedReport{
		Nodes: max(c.Topology.Nodes, 1), Threads: max(c.Topology.Threads, 1), NICNodes: []int{},
		Migrations: h.Kernel.Migrations(), ColdLines: steps(cost.ColdLines, cost.ColdLinesFar), Shared: steps(cost.SmtShare),
		FarLines: bill.Count(cost.NUMALine), Tasks: h.Kernel.Tasks(),
	}
	for _, s := range [...]cost.Step{cost.NumaCopyUser, cost.NumaVhostCopy, cost.NumaGuestCopy} {
		r.FarBytes += bill.Steps[s].Bytes
	}
	for _, n := range c.NICs {
		r.NICNodes = append(r.NICNodes, *n.Node)
	}
	for i, cpu := range all.CPUs[:c.CPUs] { // behind them are those of processes that poll
		r.CPUs = append(r.CPUs, CPUSeat{
			Name: cpu.Name, Node: c.Topology.Node(i, c.CPUs), Core: c.Topology.Core(i, c.CPUs),
			Utilization: uint64(muldiv(uint64(cpu.BusyNs), 1_000_000, uint64(max(all.VirtualNs, 1)))),
		})
	}
	return r
}
