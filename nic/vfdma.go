package nic

import (
	"encoding/binary"
	"math/bits"

	"ringside/cost"
	"ringside/mem"
	"ringside/sim"
)

// A target is where a part of a frame goes: a descriptor and its buffer, as the domain of
// their function has granted them.
type target struct {
	index uint32
	desc  *[DescSize]byte
	buf   []byte
}

// startVF is start for a queue of a VF: it begins to write d.bytes of the head of the
// packet buffer. A descriptor that cannot be used costs the frame and itself; nobody
// else waits for it.
func (n *NIC) startVF(q *rxQueue, d dma, at sim.Time) {
	s, refs := n.vt, 0
	s.targets = s.targets[:0]
	i := q.head
	for left, room := d.bytes, int(q.size); left > 0; i = q.next(i) {
		t, r, why := q.vf.target(q, i, min(left, room), at)
		refs += r
		if why != cost.NotDropped {
			n.walked(refs)
			n.dmaFree = at + n.rxTicks(uint64(len(s.targets)+1), 0, 0) + n.walkTime(refs)
			q.head = q.next(i)
			n.dropHead(why, at)
			return
		}
		s.targets = append(s.targets, t)
		d.tlps += tlps(len(t.buf))
		left -= len(t.buf)
	}
	n.walked(refs)
	d.done = at + n.rxTicks(uint64(d.descs), d.bytes, d.tlps) + n.walkTime(refs)
	n.dma, n.dmaFree, n.passing = d, d.done, 0
}

// direct writes a frame for one VF into its memory without a stay in the packet buffer, as
// straight does for the PF: that is empty, the DMA engine is idle, and the frame fits a
// descriptor and is there by now. It says whether it has dealt with the frame.
func (n *NIC) direct(a *arrival, v verdict, now sim.Time) bool {
	pool, size := a.dest.pools, len(a.data)
	v.queue = uint32(bits.TrailingZeros8(pool))
	q := &n.rx[v.queue&(MaxQueues-1)]
	if pool&(pool-1) != 0 || q.vf == nil || n.fifo.count != 0 || n.dmaFree > a.at || q.head == q.tail ||
		uint64(size) > q.size || size > n.fifo.room || a.dest.tagged && n.vt.accept.strip&pool != 0 {
		return false
	}
	done := a.at + n.rxTicks(1, size, tlps(size))
	if done > now {
		return false
	}
	t, refs, why := q.vf.target(q, q.head, size, a.at)
	n.walked(refs)
	if why != cost.NotDropped {
		q.head = q.next(q.head)
		n.dmaFree = a.at + n.rxTicks(1, 0, 0) + n.walkTime(refs)
		n.drop(why, a.at, a.id, int(v.queue), a.data)
		return true
	}
	if done += n.walkTime(refs); done > now { // it is being written
		n.fifo.put(a.id, a.at, v, 0, a.data, 0)
		n.fifo.head().local = a.local
		n.vt.targets = append(n.vt.targets[:0], t)
		n.dma = dma{busy: true, done: done, descs: 1, bytes: size, tlps: tlps(size)}
		n.dmaFree, n.passing = done, 0
		return true
	}
	q.head = q.next(q.head)
	n.dmaFree, n.passing = done, size
	n.settle(done)
	copy(t.buf, a.data)
	writeBack(t.desc, v, uint64(size), RxDD|RxEOP)
	q.tags[t.index] = Tag{a.id, a.at, done}
	q.written++
	n.written++
	n.irq.raise(q.bit, done)
	q.vf.received(a.data, a.local)
	n.did.descs++
	n.did.bytes += uint64(size)
	n.did.tlps += tlps(size)
	if n.sink != nil {
		n.showWritten(int(v.queue), a.id, done, a.data, 1)
	}
	return true
}

// target is what descriptor i says of n bytes of a frame.
func (v *VF) target(q *rxQueue, i uint32, n int, now sim.Time) (t target, refs int, why cost.DropReason) {
	t.index = i
	if t.desc, refs = v.desc(&q.ring, i, true, now); t.desc == nil {
		return t, refs, cost.NICIOMMUFault
	}
	addr := binary.LittleEndian.Uint64(t.desc[:])
	if addr == 0 || t.desc[8]&RxDD != 0 {
		v.n.badBuffer(v.queueOf(q), i, t.desc, now)
		return t, refs, cost.NICRxDMA
	}
	b, r := v.bytes(mem.Addr(addr), n, true, now)
	if t.buf = b; b == nil {
		why = cost.NICIOMMUFault
	}
	return t, refs + r, why
}

// queueOf is the number of one of the VF's queues.
func (v *VF) queueOf(q *rxQueue) int {
	if q == &v.n.rx[v.queue(0)] {
		return v.queue(0)
	}
	return v.queue(1)
}

// finishVF is finish for a queue of a VF, from where the bytes are in memory.
func (n *NIC) finishVF(q *rxQueue, p *packet, data []byte) {
	var last uint32
	for i := range n.vt.targets {
		t := &n.vt.targets[i]
		p.written += copy(t.buf, data[p.written:])
		status := uint32(RxDD)
		if p.written == p.size {
			status |= RxEOP
		}
		writeBack(t.desc, p.v, uint64(len(t.buf)), status)
		if p.v.status&RxVP != 0 {
			binary.LittleEndian.PutUint16(t.desc[14:], p.tag)
		}
		last = t.index
		q.tags[last] = Tag{Done: n.dma.done}
		q.head = q.next(last)
	}
	n.irq.raise(q.bit, n.dma.done)
	if p.written < p.size {
		return
	}
	q.tags[last] = Tag{p.id, p.arrived, n.dma.done}
	q.written++
	n.written++
	q.vf.received(data, p.local)
	if n.sink != nil {
		n.showWritten(int(p.v.queue), p.id, n.dma.done, data, uint64(len(n.vt.targets)))
	}
	n.fifo.remove()
}

// received counts a frame that is in the VF's memory.
func (v *VF) received(data []byte, local bool) {
	s := &v.stat
	v.unread++
	s.RxPackets++
	s.RxOctets += uint64(len(data))
	if data[0]&groupBit != 0 && binary.LittleEndian.Uint64(data)&addrMask != broadcast {
		s.RxMulticasts++
	}
	if local {
		s.RxLooped++
		s.RxLoopedBytes += uint64(len(data))
	}
}

// lostDesc ends a chain at a descriptor that the IOMMU does not let its function read.
func (n *NIC) lostDesc(q *txQueue, c *chain) {
	c.descs++
	c.end = q.fetch
	for range c.descs {
		c.end = q.next(c.end)
	}
	c.open, c.report, c.isContext, c.wrong = false, -1, false, cost.NICIOMMUFault
	c.first = &blank
}

// blank stands for a descriptor that could not be read.
var blank [DescSize]byte

// fetchedVF counts and charges what was fetched from a VF's ring.
func (n *NIC) fetchedVF(c *chain) {
	if !c.isContext {
		n.vt.fromVF++
	}
	n.walked(c.refs)
	n.txFree += n.walkTime(c.refs)
}

// data is what a data descriptor points to, as the function of the ring may reach it.
func (n *NIC) data(q *txQueue, c *chain, d *[DescSize]byte, size int, now sim.Time) []byte {
	a := mem.Addr(binary.LittleEndian.Uint64(d[:]))
	if q.vf == nil {
		if n.remap.by != nil && !n.reach(a, size, false, now) {
			return nil
		}
		return n.memory.Bytes(a, size)
	}
	b, refs := q.vf.bytes(a, size, false, now)
	c.refs += refs
	return b
}

// walked charges the device for table entries that the IOMMU has read for it, and
// walkTime is how long it waits for them.
func (n *NIC) walked(refs int) {
	if refs != 0 {
		n.acct.Charge(cost.DevIotlbWalk, uint64(refs))
	}
}

func (n *NIC) walkTime(refs int) sim.Time { return sim.Time(uint64(refs) * n.price.walk) }
