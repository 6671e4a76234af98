package ringside

import (
	"ringside/bridge"
	"ringside/sim"
)

// Machine is what ran, in the units of the hardware and the kernel.
type Machine struct {
	LinkBPS  uint64 `json:"link_bps"`
	Queues   int    `json:"queues"`
	Ring     int    `json:"ring"`   // receive descriptors of each queue
	ITRUs    int64  `json:"itr_us"` // least gap between two interrupts of a vector
	DropEn   bool   `json:"drop_en"`
	CPUs     int    `json:"cpus"`
	VMs      int    `json:"vms"`
	Batch    int    `json:"batch"`     // frames one read of the first guest may take
	TapQueue int    `json:"tap_queue"` // frames that wait for a guest
}

func (h *Host) machine() Machine {
	c := &h.cfg
	m := Machine{
		LinkBPS: c.LinkBPS, Queues: c.Queues, Ring: c.Ring, ITRUs: int64(c.ITR / sim.Microsecond), DropEn: c.DropEn,
		CPUs: c.CPUs, VMs: len(c.VMs), Batch: 1, TapQueue: c.TapQueue,
	}
	if m.TapQueue == 0 {
		m.TapQueue = 1000 // Linux's tx_queue_len; see Config
	}
	if len(c.VMs) > 0 {
		m.Batch = max(1, c.VMs[0].Batch)
	}
	return m
}

// hostMAC is the address of the host's own stack.
func (c *Config) hostMAC() []byte {
	if m := c.Host.MAC; m != (bridge.MAC{}) {
		return m[:]
	}
	return []byte{0x02, 0, 0, 0, 0, 0xfe}
}
