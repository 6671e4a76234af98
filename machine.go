package ringside

import (
	"ringside/bridge"
	"ringside/kernel"
	"ringside/sim"
)

// Machine is what ran, in the units of the hardware and the kernel.
type Machine struct {
	Name     string `json:"name,omitempty"` // of the Config's Machine, "" without one
	LinkBPS  uint64 `json:"link_bps"`
	Queues   int    `json:"queues"`
	Ring     int    `json:"ring"`   // receive descriptors of each queue
	ITRUs    int64  `json:"itr_us"` // least gap between two interrupts of a vector
	DropEn   bool   `json:"drop_en"`
	Offloads string `json:"offloads,omitempty"` // the words for what is on
	CPUs     int    `json:"cpus"`
	VMs      int    `json:"vms"`
	Batch    int    `json:"batch"`     // frames one read of the first guest may take
	TapQueue int    `json:"tap_queue"` // frames that wait for a guest

	Batching *kernel.Batching `json:"batching,omitempty"` // nil for Linux's defaults
}

func (h *Host) machine() Machine {
	c := &h.cfg
	n := &c.NICs[0]
	m := Machine{
		LinkBPS: n.LinkBPS, Queues: n.Queues, Ring: n.Ring, ITRUs: int64(n.ITR / sim.Microsecond), DropEn: n.DropEn,
		CPUs: c.CPUs, VMs: len(c.VMs), Batch: 1, TapQueue: c.TapQueue,
	}
	if c.Machine != nil {
		m.Name = c.Machine.Name
	}
	if n.Offloads != (Offloads{}) {
		m.Offloads = n.Offloads.String()
	}
	if m.TapQueue == 0 {
		m.TapQueue = 1000 // Linux's tx_queue_len; see Config
	}
	if c.Batching != (kernel.Batching{}) {
		m.Batching = &c.Batching
	}
	if len(c.VMs) > 0 {
		m.Batch = max(1, c.VMs[0].Batch)
	}
	return m
}

// hosts lists the addresses of the host's own stacks.
func (c Config) hosts() (list []bridge.MAC, err error) {
	if err = c.bridges(); err != nil {
		return nil, err
	}
	for i := range c.Bridges {
		list = append(list, c.Bridges[i].MAC)
	}
	return list, nil
}
