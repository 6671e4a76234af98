package nic

import (
	"encoding/binary"
	"math/bits"

	"ringside/offload"
	"ringside/sim"
	"ringside/trace"
)

// Receive side coalescing is no part of the 82576. It is taken from the 82599, whose
// RSCCTL stands at the same offset within a queue's block; in the 82576 the word is
// reserved, and 0 here after a reset.
//
// A queue merges one flow at a time, whose segments follow each other in the packet
// buffer. The payload of one that joins goes into a descriptor of its own; nothing
// is written back before the merged frame is over:
//
//	   first                 head
//	     v                    v
//	... | headers, payload | payload | payload | given | given | ...
//	      DD and EOP are still to come: all at once, in release
const maxCoalesced = 16 // descriptors, with RSCCTL.MAXDESC at its highest

// Rscctl is one of the RSCCTL registers.
type Rscctl uint32

// Bits of RSCCTL. MAXDESC lets a merged frame have 1, 4, 8 or 16 descriptors.
const (
	RscctlRSCEN        Rscctl = 1 << 0
	RscctlMaxDesc4     Rscctl = 1 << rscctlMaxDescShift
	RscctlMaxDesc8     Rscctl = 2 << rscctlMaxDescShift
	RscctlMaxDesc16    Rscctl = 3 << rscctlMaxDescShift
	rscctlMaxDescShift        = 2
)

// maxDescs is what MAXDESC says.
func (r Rscctl) maxDescs() int { return [...]int{1, 4, 8, maxCoalesced}[r>>rscctlMaxDescShift&3] }

// RSCCTL is the register of receive queue q.
func RSCCTL(q int) uint32 { return rxBlock(q) + offRSC }

// A coalescer is what a queue merges, and how much of it.
type coalescer struct {
	most int  // descriptors
	open bool // one is under way, and the rest is its

	offload.Held
	head    [offload.MaxHeader]byte
	headers int    // of its bytes, from Ethernet to TCP
	first   uint32 // descriptor
	buf     []byte // of the first, where the headers go
	descs   int
	sizes   [maxCoalesced]uint16
	id      uint64
	arrived sim.Time
	last    sim.Time // a segment came into memory
	until   sim.Time // nothing joins after that
	v       verdict
	tag     uint16
}

// writeRscctl switches the coalescing of a queue on or off, or changes its bound.
// What is held ends there.
func (n *NIC) writeRscctl(queue int, v Rscctl, now sim.Time) {
	q := &n.rx[queue]
	n.release(q, now)
	q.rscctl, q.lro = v&(RscctlRSCEN|RscctlMaxDesc16), nil
	if v&RscctlRSCEN != 0 {
		q.lro = &coalescer{most: v.maxDescs()}
	}
}

// coalesce takes the head of the packet buffer, which the DMA engine has just moved,
// into the merged frame of its queue, or begins one with it, and says whether it
// did. If not, what was held has gone before it.
func (n *NIC) coalesce(q *rxQueue, p *packet, d *dma) bool {
	l, buf := q.lro, n.buffer(q.desc(q.head), q)
	seg, ok := n.candidate(p, d)
	if ok = ok && buf != nil; l.open && !(ok && l.takes(&seg, p)) {
		n.release(q, d.done)
	}
	switch {
	case !ok:
		return false
	case l.open:
		n.join(q, p, seg.Header(), buf, d.done)
	case !n.begin(q, p, buf, d.done):
		return false
	}
	n.irq.raise(q.bit, d.done)
	if l.Ended() || l.descs == l.most || l.descs == int(q.n)-1 || q.head == q.tail {
		n.release(q, d.done)
	}
	n.fifo.remove()
	return true
}

// candidate is a segment that could be merged with others: whole, in one descriptor,
// and verified.
func (n *NIC) candidate(p *packet, d *dma) (seg offload.Packet, ok bool) {
	if p.v.status&(RxTCPCS|RxTCPE|RxIPE) != RxTCPCS || p.written != 0 || d.descs != 1 || d.bytes != p.size {
		return seg, false
	}
	data := n.fifo.data(p)
	seg, ok = offload.Look(data[:min(p.size, offload.MaxHeader)], p.size)
	return seg, ok && seg.Steady()
}

// takes says that a segment goes on where the merged frame ends, and that the device
// has the same to say of it.
func (l *coalescer) takes(seg *offload.Packet, p *packet) bool {
	return p.v.info == l.v.info && p.v.status == l.v.status && (p.v.status&RxVP == 0 || p.tag == l.tag) &&
		l.Same(seg) && l.Join(seg)
}

// join puts the payload of a segment, what lies behind its header, into a descriptor
// of the merged frame. The segment ends there.
func (n *NIC) join(q *rxQueue, p *packet, header int, buf []byte, at sim.Time) {
	data := n.fifo.data(p)
	q.lro.add(q, copy(buf, data[header:]), at)
	n.merged++
	n.hash.Add(trace.Record{At: at, Kind: trace.Merged, Who: p.v.queue, A: p.id, B: trace.Fate(trace.Bytes(data), p.arrived)})
	if n.sink != nil {
		n.show(trace.Frame{ID: p.id, At: at, Point: trace.NIC, Verdict: trace.Merge, Queue: int32(p.v.queue), Data: data})
		n.showSteps(p.id, at, len(data), 1)
	}
}

// begin holds a segment, if anything could join it before it has to be announced.
func (n *NIC) begin(q *rxQueue, p *packet, buf []byte, at sim.Time) bool {
	l, interval, data := q.lro, n.interval(q), n.fifo.data(p)
	if interval == 0 || l.most == 1 {
		return false
	}
	seg, _ := offload.Look(l.head[:copy(l.head[:], data)], p.size)
	h, ok := offload.Hold(seg)
	if !ok {
		return false
	}
	l.Held, l.open, l.headers, l.buf, l.first, l.descs = h, true, seg.Header(), buf, q.head, 0
	l.id, l.arrived, l.v, l.tag, l.until = p.id, p.arrived, p.v, p.tag, at+interval
	l.add(q, copy(buf, data), at)
	n.replanHeld()
	if n.sink != nil {
		n.showWritten(int(p.v.queue), p.id, at, data, 1)
	}
	return true
}

// add counts a descriptor of the merged frame.
func (l *coalescer) add(q *rxQueue, size int, at sim.Time) {
	l.sizes[l.descs] = uint16(size)
	l.descs, l.last = l.descs+1, at
	q.head = q.next(q.head)
}

// interval is how far the messages of a queue are apart, and so how long a segment
// may wait for others at most. Without a throttle it is announced at once.
func (n *NIC) interval(q *rxQueue) sim.Time {
	if q.bit == 0 {
		return 0
	}
	return n.irq.vectors[bits.TrailingZeros32(q.bit)].interval()
}

// release ends the merged frame of a queue, if there is one: its headers are put
// right and its descriptors are written back.
func (n *NIC) release(q *rxQueue, at sim.Time) {
	l := q.lro
	if l == nil || !l.open {
		return
	}
	at = max(at, l.last)
	info := l.v.info
	if l.Count > 1 {
		l.Finish()
		copy(l.buf, l.head[:l.headers])
		info |= 1 << rxRSCShift
	}
	i := l.first
	for k := range l.descs {
		status := uint32(RxDD)
		if k == l.descs-1 {
			status |= RxEOP
		}
		d := q.desc(i)
		writeBack(d, verdict{info: info, status: l.v.status}, uint64(l.sizes[k]), status)
		if l.v.status&RxVP != 0 {
			binary.LittleEndian.PutUint16(d[14:], l.tag)
		}
		q.tags[i] = Tag{l.id, l.arrived, at}
		i = q.next(i)
	}
	l.open = false
	q.written++
	n.written++
	n.replanHeld()
}

// announce ends the merged frames that a message of the vector, which goes out at
// the time at, tells of. A segment that came in later, as one CPU's time has it that
// is ahead of another's, is a cause of its own.
func (n *NIC) announce(vec int, at sim.Time) {
	for i := range n.queues {
		q := &n.rx[i]
		if q.bit != 1<<vec || q.lro == nil || !q.lro.open {
			continue
		}
		n.release(q, at)
		if last := q.lro.last; last > at {
			n.irq.raise(q.bit, last)
		}
	}
}

// expire ends the merged frames that have waited for as long as they may, while
// their vector was masked.
func (n *NIC) expire() {
	at := n.irq.held
	for i := range n.queues {
		if q := &n.rx[i]; q.lro != nil && q.lro.open && q.lro.until <= at {
			n.release(q, q.lro.until)
			n.irq.raise(q.bit, q.lro.until)
		}
	}
}

// replanHeld looks when the next merged frame has waited long enough.
func (n *NIC) replanHeld() {
	n.irq.held = sim.Never
	for i := range n.queues {
		if l := n.rx[i].lro; l != nil && l.open {
			n.irq.held = min(n.irq.held, l.until)
		}
	}
	n.irq.plan()
}

// holding is how many merged frames are not written back yet.
func (n *NIC) holding() (held uint64) {
	for i := range n.queues {
		if l := n.rx[i].lro; l != nil && l.open {
			held++
		}
	}
	return held
}
