package nic

import (
	"encoding/binary"

	"ringside/cost"
	"ringside/sim"
)

// A packet is a frame in the packet buffer.
type packet struct {
	id      uint64
	arrived sim.Time
	pos     int // of its bytes in fifo.ram
	size    int
	written int // bytes that are in host memory already
	v       verdict
	room    int    // bytes of the packet buffer that are free when it is out
	waited  bool   // RNBC has counted it
	local   bool   // from another pool
	tag     uint16 // that was taken off, with RxVP
}

// A fifo is the receive packet buffer: one queue for all rings, in the order of
// arrival. It is as large as Config.FIFO says; the memory behind it is
// twice that, so that every frame lies in one piece.
type fifo struct {
	queue[packet]
	room int
	ram  []byte
	used int // bytes of frames
	end  int // where the next frame goes
}

func (f *fifo) head() *packet { return f.at(0) }

func (f *fifo) data(p *packet) []byte { return f.ram[p.pos : p.pos+p.size] }

// put copies a frame in; false if there is no room beside the bytes that are
// passing through.
func (f *fifo) put(id uint64, at sim.Time, v verdict, tag uint16, data []byte, passing int) bool {
	if len(data) > f.room-f.used-passing {
		return false
	}
	if f.ram == nil {
		f.ram = make([]byte, 2*f.room)
	}
	if f.count == 0 || f.end+len(data) > len(f.ram) {
		f.end = 0
	}
	copy(f.ram[f.end:], data)
	*f.add() = packet{id: id, arrived: at, pos: f.end, size: len(data), room: len(data), v: v, tag: tag}
	f.end += len(data)
	f.used += len(data)
	return true
}

// share adds one more packet with the bytes of the last, for another queue.
func (f *fifo) share(queue uint32) {
	p := *f.at(f.count - 1)
	f.at(f.count - 1).room = 0
	p.v.queue = queue
	*f.add() = p
}

// remove takes the head out.
func (f *fifo) remove() {
	f.used -= f.head().room
	f.pop()
}

// A queue is a list with two ends in a ring that only grows.
type queue[T any] struct {
	ring  []T // its length is a power of two
	first int
	count int
}

func (q *queue[T]) at(i int) *T { return &q.ring[(q.first+i)&(len(q.ring)-1)] }

// add makes room for one more at the end, and returns it as it is.
func (q *queue[T]) add() *T {
	if q.count == len(q.ring) {
		q.grow()
	}
	q.count++
	return q.at(q.count - 1)
}

func (q *queue[T]) grow() {
	bigger := make([]T, max(64, 2*q.count))
	for i := range q.count {
		bigger[i] = *q.at(i)
	}
	q.ring, q.first = bigger, 0
}

func (q *queue[T]) pop() {
	q.first = (q.first + 1) & (len(q.ring) - 1)
	q.count--
}

// A dma is what the receive DMA engine is at: the head of the packet buffer goes
// into descs descriptors.
type dma struct {
	busy  bool
	done  sim.Time
	descs uint32
	bytes int
	tlps  uint64
}

// step does the next thing while frames are in the packet buffer: the DMA engine
// ends or begins a write, or one more frame arrives. False if that lies after
// now.
func (n *NIC) step(now sim.Time) bool {
	t := n.dmaNext()
	if (n.have || n.pull()) && n.arrives < t {
		if n.arrives > now {
			return false
		}
		n.take()
		return true
	}
	if t > now {
		return false
	}
	if n.dma.busy {
		n.finish()
	} else {
		n.start(t)
	}
	return true
}

// dmaNext is when the DMA engine next ends or begins a write; Never while it
// waits for descriptors.
func (n *NIC) dmaNext() sim.Time {
	switch {
	case n.dma.busy:
		return n.dma.done
	case n.stalled:
		return sim.Never
	}
	return max(n.fifo.head().arrived, n.dmaFree)
}

// start begins to write the head of the packet buffer at the time at, into as
// many descriptors as it needs or its queue has. Without any it is dropped where
// DROP_EN is set [7.1]; else it waits, and all behind it.
func (n *NIC) start(at sim.Time) {
	p := n.fifo.head()
	q := &n.rx[p.v.queue]
	if !q.on() {
		n.dropHead(cost.NICRxDisabled, at)
		return
	}
	rest, room := p.size-p.written, int(q.size)
	need := uint32((rest + room - 1) / room)
	descs := min(need, q.given())
	if descs < need && (q.srrctl&SrrctlDropEN != 0 || n.vt != nil && n.vt.qde>>p.v.queue&1 != 0) && p.written == 0 {
		n.stats.rqdpc[p.v.queue]++
		n.dropHead(cost.NICRxNoDesc, at)
		return
	}
	if descs == 0 {
		n.stalled = true
		if !p.waited {
			p.waited = true
			n.stats.rnbc++
		}
		return
	}
	d := dma{busy: true, descs: descs, bytes: min(rest, int(descs)*room)}
	if q.vf != nil {
		n.startVF(q, d, at)
		return
	}
	for i, left := q.head, d.bytes; left > 0; i = q.next(i) {
		if n.buffer(q.desc(i), q) == nil {
			n.badBuffer(int(p.v.queue), i, q.desc(i), at)
			n.dropHead(cost.NICRxDMA, at)
			return
		}
		if n.remap.by != nil && !n.reachRx(q, i, min(left, room), at) {
			n.walked(n.remap.take())
			n.dropHead(cost.NICIOMMUFault, at)
			return
		}
		d.tlps += tlps(min(left, room))
		left -= room
	}
	d.done = at + n.rxTicks(uint64(descs), d.bytes, d.tlps)
	if refs := n.remap.take(); refs != 0 {
		n.walked(refs)
		d.done += n.walkTime(refs)
	}
	n.dma, n.dmaFree, n.passing = d, d.done, 0
}

// finish ends a write: the bytes and the descriptors are in memory.
func (n *NIC) finish() {
	d, p := n.dma, n.fifo.head()
	n.dma.busy = false
	q := &n.rx[p.v.queue]
	n.settle(d.done)
	data := n.fifo.data(p)
	n.did.descs += uint64(d.descs)
	n.did.bytes += uint64(d.bytes)
	n.did.tlps += d.tlps
	if q.vf != nil {
		n.finishVF(q, p, data)
		return
	}
	if q.lro != nil && n.coalesce(q, p, &d) {
		return
	}
	var last uint32
	for range d.descs {
		desc := q.desc(q.head)
		buf := n.buffer(desc, q)
		if buf == nil { // the driver has changed it since
			n.badBuffer(int(p.v.queue), q.head, desc, d.done)
			n.dropHead(cost.NICRxDMA, d.done)
			return
		}
		chunk := copy(buf, data[p.written:])
		p.written += chunk
		status := uint32(RxDD)
		if p.written == p.size {
			status |= RxEOP
		}
		writeBack(desc, p.v, uint64(chunk), status)
		if p.v.status&RxVP != 0 {
			binary.LittleEndian.PutUint16(desc[14:], p.tag)
		}
		q.tags[q.head].Done = d.done
		last, q.head = q.head, q.next(q.head)
	}
	n.irq.raise(q.bit, d.done)
	if p.written < p.size {
		return // more when the driver gives more
	}
	q.tags[last] = Tag{p.id, p.arrived, d.done}
	q.written++
	n.written++
	if n.sink != nil {
		n.showWritten(int(p.v.queue), p.id, d.done, data, uint64(d.descs))
	}
	n.fifo.remove()
}

// dropHead drops the head of the packet buffer.
func (n *NIC) dropHead(r cost.DropReason, at sim.Time) {
	p := n.fifo.head()
	n.dma.busy, n.stalled = false, false
	n.drop(r, at, p.id, int(p.v.queue), n.fifo.data(p))
	n.fifo.remove()
}

// resume lets the DMA engine look at queue q again at the time now, if that is
// what it waits for.
func (n *NIC) resume(q int, now sim.Time) {
	if n.fifo.count != 0 && n.stalled && int(n.fifo.head().v.queue) == q {
		n.stalled = false
		n.dmaFree = max(n.dmaFree, now)
	}
}

// rxCould is the earliest moment at which reception could have a message of one
// of the quiet vectors at the CPU: not before the next frame under way is in
// memory, and never if no queue of theirs has a descriptor for it.
func (n *NIC) rxCould(quiet uint32) sim.Time {
	if n.vt != nil {
		return n.rxCouldVT(quiet)
	}
	var vecs uint32
	for q := range n.queues {
		if r := &n.rx[q]; r.on() && r.head != r.tail {
			vecs |= r.bit & quiet
		}
	}
	if vecs == 0 {
		return sim.Never
	}
	return n.throttled(n.nextDone(), vecs)
}

// nextDone is a moment before which no further frame is in memory, after all
// that lies before it has been done: the end of the write under way, or of one
// that would begin as soon as it can.
func (n *NIC) nextDone() sim.Time {
	switch {
	case n.fifo.count != 0 && n.dma.busy:
		return n.dma.done
	case n.fifo.count != 0 && n.stalled:
		return sim.Never
	case n.fifo.count != 0:
		return n.dmaNext()
	case n.vt == nil && n.rctl&RctlEN != 0 && (n.have || n.pull()):
		size := len(n.held.Data)
		return max(n.arrives, n.dmaFree) + n.rxTicks(1, size, tlps(size))
	}
	return sim.Never
}
