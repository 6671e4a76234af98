package nic

import (
	"encoding/binary"
	"fmt"

	"ringside/cost"
	"ringside/mem"
	"ringside/sim"
	"ringside/trace"
)

// An rxQueue is a receive ring and what belongs to it.
type rxQueue struct {
	ring
	srrctl  Srrctl
	size    int    // bytes in each buffer
	bit     uint32 // cause in EICR; 0 when IVAR maps it nowhere
	written uint64 // frames written to it
	noticed uint64 // of those, how many the last message of its vector told of
}

// A verdict is what the device makes of a frame by looking at it.
type verdict struct {
	info   uint64 // the first eight bytes of its write-back: types and hash
	status uint32 // RxPIF
	queue  int
	reason cost.DropReason
}

// A burst collects what one call of receive has done, to be charged once.
type burst struct {
	descs, bytes, tlps uint64 // moved by the DMA engine
	seen, seenBytes    uint64 // taken from the wire
	good, goodBytes    uint64 // of those, with room in the packet buffer
}

// receive lets the receive side do everything that it does up to now: frames
// come in at their last bit, wait in the packet buffer while the DMA engine is
// busy or lacks descriptors, and are done when they are written back.
func (n *NIC) receive(now sim.Time) {
	var b burst
	for {
		if n.fifo.count != 0 {
			if !n.step(now, &b) {
				break
			}
			continue
		}
		if !n.pull() || n.arrives > now {
			break
		}
		n.take(now, &b)
	}
	if b.seen|b.descs != 0 {
		n.charge(&b)
	}
}

// charge puts a burst on the account and into the statistics.
func (n *NIC) charge(b *burst) {
	n.acct.Frames(cost.NIC, b.seen)
	n.stats.tpr += b.seen
	n.stats.tor += b.seenBytes + b.seen*fcs
	n.stats.gprc += b.good
	n.stats.gorc += b.goodBytes + b.good*fcs
	n.acct.ChargeBytes(cost.DevDescFetch, b.descs, b.descs*DescSize)
	n.acct.ChargeBytes(cost.DevRxDMA, b.descs, b.bytes)
	n.acct.Charge(cost.DevTLP, b.tlps)
	n.acct.ChargeBytes(cost.DevRxWriteback, b.descs, b.descs*DescSize)
}

// take takes the held frame in: its last bit is there. A frame that finds the
// packet buffer empty, the DMA engine idle and a descriptor with room for all of
// it goes straight to memory.
func (n *NIC) take(now sim.Time, b *burst) {
	data, at := n.held.Data, n.arrives
	n.have = false
	n.in++
	b.seen++
	b.seenBytes += uint64(len(data))
	n.hash.Add(trace.Record{At: at, Kind: trace.FrameIn, A: n.held.ID, B: trace.Bytes(data)})
	if n.sink != nil {
		n.show(&trace.Frame{ID: n.held.ID, At: at, Point: trace.Wire, Queue: -1, Data: data})
	}
	v := n.classify(data)
	if v.reason != cost.NotDropped {
		n.drop(v.reason, at, n.held.ID, v.queue, data)
		return
	}
	q := &n.rx[v.queue]
	done := at + n.rxTicks(1, len(data), tlps(len(data)))
	if n.fifo.count != 0 || n.dmaFree > at || done > now || len(data) > q.size || q.head == q.tail {
		n.admit(v, at, b)
		return
	}
	d := q.mem[q.head*DescSize : q.head*DescSize+DescSize]
	buf := n.buffer(q, d)
	if buf == nil {
		n.badBuffer(v.queue, q.head, d, at)
		n.drop(cost.NICRxDMA, at, n.held.ID, v.queue, data)
		return
	}
	copy(buf, data)
	n.dmaFree = done
	if done > n.irq.soon {
		n.settle(done)
	}
	n.writeBack(q, d, v, len(data), RxDD|RxEOP)
	q.tags[q.head] = Tag{n.held.ID, at}
	q.head = q.next(q.head)
	n.wrote(q, done)
	b.good++
	b.goodBytes += uint64(len(data))
	b.descs++
	b.bytes += uint64(len(data))
	b.tlps += tlps(len(data))
	if n.sink != nil {
		n.showWritten(v.queue, n.held.ID, done, data, 1)
	}
}

// tlps is how many PCIe transactions carry size bytes.
func tlps(size int) uint64 { return uint64(size+255) / 256 }

// rxTicks is how long the DMA engine is busy with so many descriptors, bytes and
// transactions.
func (n *NIC) rxTicks(descs uint64, size int, tlps uint64) sim.Time {
	return sim.Time(descs*n.price.rxDesc + uint64(size)*n.price.rxByte + tlps*n.price.tlp)
}

// buffer is the memory that a descriptor in the read format points to, nil if it
// is not in that format or points outside memory.
func (n *NIC) buffer(q *rxQueue, d []byte) []byte {
	lo, hi := binary.LittleEndian.Uint64(d), binary.LittleEndian.Uint64(d[8:])
	if lo == 0 || hi&RxDD != 0 {
		return nil
	}
	return n.memory.Bytes(mem.Addr(lo), q.size)
}

// badBuffer says what was wrong with a descriptor. It stays where it is, the
// head too, so the queue is jammed until the driver mends it.
func (n *NIC) badBuffer(q int, index uint32, d []byte, at sim.Time) {
	lo, hi := binary.LittleEndian.Uint64(d), binary.LittleEndian.Uint64(d[8:])
	switch {
	case hi&RxDD != 0:
		n.misuse(at, "RXD", q, int(index), hi, "descriptor given with DD set: not in the read format")
	case lo == 0:
		n.misuse(at, "RXD", q, int(index), lo, "descriptor given with buffer address 0")
	default:
		n.misuse(at, "RXD", q, int(index), lo, "descriptor given with its buffer outside memory")
	}
}

// writeBack overwrites a descriptor with its write-back format.
func (n *NIC) writeBack(q *rxQueue, d []byte, v verdict, size int, status uint32) {
	binary.LittleEndian.PutUint64(d, v.info)
	binary.LittleEndian.PutUint64(d[8:], uint64(v.status|status)|uint64(size)<<32)
}

// wrote counts a frame that is in memory now and raises its cause.
func (n *NIC) wrote(q *rxQueue, at sim.Time) {
	q.written++
	n.written++
	if q.bit&^n.irq.eicr != 0 {
		n.irq.raise(q.bit, at)
	}
}

// drop ends a frame's life in the device.
func (n *NIC) drop(r cost.DropReason, at sim.Time, id uint64, queue int, data []byte) {
	n.dropped++
	n.drops.Add(cost.NIC, r, 1)
	n.hash.Add(trace.Record{At: at, Kind: trace.Dropped, Who: trace.WhoDropped(cost.NIC, r), A: id})
	if n.sink != nil {
		n.show(&trace.Frame{ID: id, At: at, Point: trace.NIC, Verdict: trace.Drop, Reason: r, Data: data, Queue: int32(queue)})
	}
}

// readRx reads a register of a receive queue.
func (n *NIC) readRx(queue int, off uint32) uint32 {
	q := &n.rx[queue]
	switch off {
	case offSRR:
		return uint32(q.srrctl)
	case offQDPC:
		v := min(n.stats.rqdpc[queue], rqdpcMax)
		n.stats.rqdpc[queue] = 0
		return uint32(v)
	}
	v, _ := q.read(off)
	return v
}

// writeRx writes a register of a receive queue.
func (n *NIC) writeRx(reg uint32, queue int, off, v uint32, now sim.Time) error {
	q := &n.rx[queue]
	switch off {
	case offDT:
		wrong, moved := q.doorbell(v)
		if wrong != "" {
			n.wrong(now, reg, queue, int(v), v, wrong)
		}
		if moved {
			n.resume(queue, now)
			n.catchUp(now)
		}
	case offSRR:
		n.writeSrrctl(reg, queue, Srrctl(v), now)
	case offDCTL:
		n.writeRxdctl(reg, queue, Dctl(v), now)
	case offDCA:
		q.dca = v
	case offQDPC:
		n.wrong(now, reg, queue, -1, v, "write to a read-only register")
		return fmt.Errorf("nic: write to %s: %w", RegisterName(reg), ErrReadOnly)
	default:
		if wrong, ok := q.place(off, v); ok && wrong != "" {
			n.wrong(now, reg, queue, -1, v, wrong)
		}
	}
	return nil
}

// writeSrrctl writes SRRCTL. Of an enabled queue only DROP_EN may change.
func (n *NIC) writeSrrctl(reg uint32, queue int, v Srrctl, now sim.Time) {
	q := &n.rx[queue]
	if q.on() && (v^q.srrctl)&^SrrctlDropEN != 0 {
		n.wrong(now, reg, queue, -1, uint32(v), "written while the queue is enabled; ignored but for DROP_EN")
		v = q.srrctl&^SrrctlDropEN | v&SrrctlDropEN
	}
	q.srrctl = v
	n.resume(queue, now)
}

// writeRxdctl switches a receive queue on or off.
func (n *NIC) writeRxdctl(reg uint32, queue int, v Dctl, now sim.Time) {
	q := &n.rx[queue]
	was := q.on()
	q.dctl = v&^DctlENABLE | q.dctl&DctlENABLE
	switch {
	case v&DctlENABLE == 0 && was:
		if n.dma.busy && n.fifo.head().v.queue == queue {
			n.dropHead(cost.NICRxDisabled, now)
		}
		q.disable()
		n.resume(queue, now)
	case v&DctlENABLE != 0 && !was:
		wrong := ""
		switch {
		case q.srrctl&SrrctlDescMask != SrrctlAdvOneBuf:
			wrong = "queue enabled with an SRRCTL.DESCTYPE that is not modelled: only advanced, one buffer"
		case q.srrctl.bufferSize() == 0:
			wrong = "queue enabled with buffer size 0"
		default:
			wrong = q.enable(n.memory)
		}
		if wrong != "" {
			n.wrong(now, reg, queue, -1, uint32(v), wrong)
			return
		}
		q.size = q.srrctl.bufferSize()
		n.resume(queue, now)
	}
}
