package peer

import (
	"ringside/netstack"
	"ringside/nic"
	"ringside/offload"
	"ringside/sim"
	"ringside/vm/guest"
)

// A port is the peer's own NIC, which nobody models: frames come in and wait for
// the kernel, and go out into a queue from which the wire takes them.
type port struct {
	p        *Peer
	dev      interface{ Arrive() }
	mtu      int
	tso, gro bool
	coalesce sim.Time
	id       uint64 // of the next frame that goes out
	counts   Counts

	in     fifo
	masked bool     // the kernel is polling
	polled sim.Time // when it last had nothing more
	packet netstack.Packet
	merge  merge

	cut   offload.Segmenter
	out   fifo
	full  bool   // the kernel waits for room
	room  bool   // and there is some
	last  []byte // of the frame that the wire has
	quiet bool   // the wire was told that there is nothing
	idle  [][]byte
}

// Features is what the port does for the stack: it sums what goes out, and verifies
// what comes in where it merges; it cuts.
func (d *port) Features() guest.Features {
	f := guest.Features{TxChecksum: true, RxChecksum: d.gro}
	if d.tso {
		f.GSOMax = maxGSO
	}
	return f
}

// maxQueued is how many frames wait on either side. It is many: a TCP window waits here
// and not in the kernel, which is on nobody's bill.
const maxQueued = 8192

// due is when the next interrupt is to be raised.
func (d *port) due() sim.Time {
	switch {
	case d.masked:
		return sim.Never
	case d.room:
		return 0
	case d.in.n == 0:
		return sim.Never
	}
	return max(d.in.first().At, d.polled+d.coalesce)
}

// Interrupt has the port polled.
func (d *port) Interrupt(int) bool { return true }

// Poll hands up what has come in by now.
func (d *port) Poll(budget int, deliver func(*netstack.Packet)) (int, bool) {
	n, more := 0, false
	d.room = false
	for d.in.n > 0 && d.in.first().At <= d.p.cpu.now {
		if more = n == budget; more {
			break
		}
		b := d.in.pop().Data
		if d.gro {
			d.merge.take(b, deliver)
		} else {
			d.up(b, offload.Meta{}, deliver)
		}
		n++
	}
	d.merge.flush(deliver)
	if !more {
		d.masked, d.polled = false, d.p.cpu.now
	}
	return n, more
}

// up hands one frame up.
func (d *port) up(b []byte, m offload.Meta, deliver func(*netstack.Packet)) {
	d.packet = netstack.Packet{Parts: append(d.packet.Parts[:0], b), Len: len(b), Meta: m}
	deliver(&d.packet)
	d.idle = append(d.idle, b)
}

// transmit takes a frame from the wire.
func (d *port) transmit(f *nic.WireFrame) {
	d.counts.In++
	d.counts.InBytes += uint64(len(f.Data))
	if d.in.n >= maxQueued {
		d.counts.Missed++
		return
	}
	in := d.in.push()
	in.ID, in.At, in.Data = f.ID, f.At, append(d.buffer(), f.Data...)
	d.p.cpu.look(d.due())
}

// Transmit sends what the stack gives: cut if need be, the checksum complete. It stops
// while too much waits for the wire.
func (d *port) Transmit(p *netstack.Packet) bool {
	if d.full = d.out.n >= maxQueued; d.full {
		return false
	}
	if p.Meta.GSO == offload.GSONone {
		d.queue(nil, p.Parts, p.Meta)
		return true
	}
	if d.cut.Start(p.Parts, p.Meta) != nil {
		d.counts.TxErrors++
		return true
	}
	for {
		hdr, payload, _, ok := d.cut.Next()
		if !ok {
			return true
		}
		d.queue(hdr, payload, offload.Meta{})
	}
}

// queue puts a frame behind those that the wire has not taken. It is summed when it is
// in one piece, and in the processor's cache.
func (d *port) queue(hdr []byte, parts [][]byte, m offload.Meta) {
	b := append(d.buffer(), hdr...)
	for _, part := range parts {
		b = append(b, part...)
	}
	if m.NeedsCsum {
		offload.Complete([][]byte{b}, &m)
	}
	f := d.out.push()
	f.ID, f.At, f.Data = d.id, d.p.cpu.now, b
	d.id++
	d.counts.Queued++
	if d.quiet && d.dev != nil {
		d.quiet = false
		d.dev.Arrive()
	}
}

// receive gives the wire the next frame.
func (d *port) receive(f *nic.WireFrame) bool {
	if d.last != nil {
		d.idle, d.last = append(d.idle, d.last), nil
	}
	if d.out.n == 0 {
		d.quiet = true
		return false
	}
	out := d.out.pop()
	f.ID, f.At, f.Data = out.ID, out.At, out.Data
	if d.full && d.out.n <= maxQueued/2 {
		d.full, d.room = false, true
		d.p.cpu.look(d.p.cpu.engine.Now())
	}
	d.last = f.Data
	d.counts.Out++
	d.counts.OutBytes += uint64(len(f.Data))
	return true
}

// buffer is an empty one.
func (d *port) buffer() []byte {
	n := len(d.idle)
	if n == 0 {
		return make([]byte, 0, d.mtu+18)
	}
	b := d.idle[n-1]
	d.idle = d.idle[:n-1]
	return b[:0]
}

// A fifo is a ring of frames that grows. They are written and read in place, field by
// field: a copy of what was just written would wait for it.
type fifo struct {
	ring  []nic.WireFrame // a power of two of them
	begin int
	n     int
}

func (q *fifo) first() *nic.WireFrame { return &q.ring[q.begin] }

// pop takes the first frame, which is good until the next push.
func (q *fifo) pop() *nic.WireFrame {
	f := &q.ring[q.begin]
	q.begin = (q.begin + 1) & (len(q.ring) - 1)
	q.n--
	return f
}

// push is the place of one more frame.
func (q *fifo) push() *nic.WireFrame {
	if q.n == len(q.ring) {
		ring := make([]nic.WireFrame, max(64, 2*q.n))
		copy(ring[copy(ring, q.ring[q.begin:]):], q.ring[:q.begin])
		q.ring, q.begin = ring, 0
	}
	f := &q.ring[(q.begin+q.n)&(len(q.ring)-1)]
	q.n++
	return f
}
