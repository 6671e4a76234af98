package kernel

import (
	"math/bits"

	"ringside/cost"
	"ringside/virtio"
)

// Receive flow steering (Batching.RFS): frames go to the CPU on which their flow was
// last read. The reader of a tap leaves its CPU in a table that all share
// (rps_sock_flow_table); each receive queue remembers to which CPU it has sent a flow
// (rps_dev_flow_table), and sends it elsewhere only when nothing of it is left there:
//
//	reader ─► readers[hash] = CPU
//	get_rps_cpu: readers[hash] is another than flows[hash]?
//	             yes, and that one's backlog is past our last frame ─► follow the reader
//
// Linux keeps no account of frames that RPS has placed, so a flow that is read for the
// first time may overtake itself there; here they are remembered like all others.

// An rfs is the flows that readers have left.
type rfs struct{ readers []reader }

// A reader is the CPU that a flow was last read on.
type reader struct {
	hash uint32
	cpu  int32 // -1 for none
}

// A devFlow is where a queue's frames of a flow go.
type devFlow struct {
	cpu  int32  // -1 for nowhere yet
	tail uint64 // of that CPU's backlog behind the last of them
}

// newRFS makes the table of n flows, nil for none.
func newRFS(n int) *rfs {
	if n == 0 {
		return nil
	}
	r := &rfs{make([]reader, n)}
	for i := range r.readers {
		r.readers[i].cpu = -1
	}
	return r
}

// devFlows makes a queue's table, one of so many.
func (b *Batching) devFlows(queues int) []devFlow {
	n := b.RFSFlows
	if n == 0 {
		n = 1 << bits.Len(uint(max(b.RFS/queues, 1)-1))
	}
	if b.RFS == 0 {
		return nil
	}
	flows := make([]devFlow, n)
	for i := range flows {
		flows[i].cpu = -1
	}
	return flows
}

// recordFlow is sock_rps_record_flow: the frame was read on this CPU.
func (c *CPU) recordFlow(s *skb) {
	c.one(cost.SockRpsRecordFlow, s)
	hash := virtio.FlowHash(s.data)
	table := c.k.rfs.readers
	table[hash&uint32(len(table)-1)] = reader{hash, int32(c.id)}
}

// follow is the CPU for a frame with that hash, nil for this one without its backlog:
// that of its reader, or else of RPS; but the flow stays with the CPU that has some of
// it still. Flow is the queue's entry for it.
func (c *CPU) follow(hash uint32, flow *devFlow) *CPU {
	k := c.k
	next := int32(-1)
	if r := k.rfs.readers[hash&uint32(len(k.rfs.readers)-1)]; r.hash == hash {
		next = r.cpu
	}
	if next < 0 && k.rps != nil {
		next = int32(k.rpsCPU(hash).id)
	}
	if flow.cpu != next && (flow.cpu < 0 || k.cpus[flow.cpu].backlog.past(flow.tail, c)) {
		c.acct.Charge(cost.SetRpsCpu, 1)
		flow.cpu = next
	}
	if flow.cpu < 0 {
		return nil
	}
	return k.cpus[flow.cpu]
}

// past says that the first tail frames of a backlog have gone up by the time of c.
func (q *backlog) past(tail uint64, c *CPU) bool {
	return q.tail-uint64(len(q.queue)) >= tail && (q.cpu == c || q.cpu.clock.Now() <= c.clock.Now())
}

// steerByReader sends frames that a poll took where their flows are read. Those of
// flows that nobody reads go up at once, in their order.
func (c *CPU) steerByReader(dev *netdev, list []*skb) {
	c.all(list, cost.GetRpsCpu)
	here := 0
	for i, s := range list {
		hash := virtio.FlowHash(s.data)
		flows := dev.drv.rx[s.queue].flows
		flow := &flows[hash&uint32(len(flows)-1)]
		if to := c.follow(hash, flow); to != nil {
			if c.enqueueTo(to, dev, s) {
				flow.tail = to.backlog.tail
			}
			continue
		}
		list[here], list[i] = s, list[here]
		here++
	}
	if here > 0 {
		c.k.receive(c, dev, list[:here])
	}
}
