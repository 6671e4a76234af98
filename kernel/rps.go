package kernel

import (
	"math/bits"

	"ringside/cost"
	"ringside/sim"
	"ringside/virtio"
)

// Receive packet steering (Batching.RPS). The CPU that polls a NIC only chooses who
// takes a frame further, by its flow; the frame goes on that CPU's backlog, and an
// interrupt tells it so if it does not poll already.
//
//	igb_poll ─► get_rps_cpu ─► enqueue_to_backlog ═ IPI at the end of net_rx_action ═►
//	            rps_trigger_softirq ─► process_backlog ─► bridge
//
// Every entry has the time at which it was made: a CPU that is earlier does not see
// it yet.

// rpsCPUs is the CPUs of a mask.
func (k *Kernel) rpsCPUs(mask uint64) (list []*CPU) {
	for ; mask != 0; mask &= mask - 1 {
		list = append(list, k.cpus[bits.TrailingZeros64(mask)])
	}
	return list
}

// steer sends frames that a poll took their ways.
func (c *CPU) steer(dev *netdev, list []*skb) {
	c.all(list, cost.GetRpsCpu)
	for _, s := range list {
		c.enqueueTo(c.k.rpsCPU(virtio.FlowHash(s.data)), dev, s)
	}
}

// rpsCPU is the CPU for frames with that hash.
func (k *Kernel) rpsCPU(hash uint32) *CPU { return k.rps[uint64(hash)*uint64(len(k.rps))>>32] }

// enqueueTo is enqueue_to_backlog of another CPU, or of this one. It says whether there
// was room.
func (c *CPU) enqueueTo(to *CPU, dev *netdev, s *skb) bool {
	c.one(cost.EnqueueToBacklog, s)
	if to.node != c.node {
		c.one(cost.NumaBacklog, s)
	}
	q := &to.backlog
	if len(q.queue) >= c.k.batching.Backlog {
		c.drop(s, cost.Stack, cost.CPUBacklog)
		return false
	}
	now := c.clock.Now()
	q.tail++
	q.queue = append(q.queue, queued{s, dev, now, c})
	switch {
	case q.state != napiIdle:
	case to == c:
		q.state = napiScheduled
		c.softirq.raise(c, &q.napi)
	default:
		q.state = napiScheduled
		c.ipis = append(c.ipis, to)
	}
	return true
}

// sendIPIs is net_rps_action_and_irq_enable: the CPUs that have got frames and do
// not poll are told.
func (c *CPU) sendIPIs() {
	for _, to := range c.ipis {
		c.shared(cost.RpsSendIPI, 1, to.name)
		to.interruptAt(c.clock.Now())
	}
	c.ipis = c.ipis[:0]
}

// interruptAt has the CPU interrupted by another one at the time at.
func (c *CPU) interruptAt(at sim.Time) {
	if c.ipi == nil {
		c.ipi = c.k.eng.NewTimer(c.name+"/ipi", sim.HandlerFunc(func(now sim.Time) {
			c.irqs = append(c.irqs, irq{kind: irqIPI})
			c.kick(now)
		}))
	}
	if at < c.ipi.At() {
		c.k.eng.Arm(c.ipi, at)
	}
}

// ipiHandler is rps_trigger_softirq.
func (c *CPU) ipiHandler() {
	c.shared(cost.RpsTriggerSoftirq, 1, "")
	if n := &c.backlog.napi; n.state == napiScheduled && !n.listed {
		c.softirq.raise(c, &c.backlog.napi)
	}
}

// unseen has the backlog polled again when the CPU has come to the time of its
// first frame: whoever put it there would have found nobody polling, so he pays for
// the interrupt.
func (q *backlog) unseen() {
	first := &q.queue[0]
	first.by.acct.Charge(cost.RpsSendIPI, 1)
	q.cpu.interruptAt(first.at)
}
