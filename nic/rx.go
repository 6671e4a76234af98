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
	srrctl   Srrctl
	size     uint64 // bytes in each buffer, 0 while the queue is off
	straight uint64 // the longest frame that fits both a buffer and the packet buffer
	reach    uint64 // addresses from 1 up at which a buffer lies inside memory
	bit      uint32 // cause in EICR; 0 when IVAR maps it nowhere
	written  uint64 // frames written to it
	noticed  uint64 // of those, how many the last message of its vector told of
	rscctl   Rscctl
	lro      *coalescer // nil while RSCCTL has it off
}

// A verdict is what the device makes of a frame by looking at it.
type verdict struct {
	info   uint64 // the first eight bytes of its write-back: types and hash
	status uint32 // RxPIF
	queue  uint32
	reason cost.DropReason // of a drop, or aside
}

// aside is no reason to drop a frame, but it cannot go straight to memory: the held
// frame is another than the wire's.
const aside = cost.NumReasons

// A burst is what receive has done, to be charged and counted once.
type burst struct {
	through, throughBytes uint64 // went straight from the wire to memory, a descriptor each
	seen, seenBytes       uint64 // taken from the wire beside them
	good, goodBytes       uint64 // of those, with room in the packet buffer
	descs, bytes          uint64 // moved by the DMA engine from there
	tags                  uint64 // stripped
	tlps                  uint64 // of all
}

// receive lets the receive side do everything that it does up to now: frames
// come in at their last bit, wait in the packet buffer while the DMA engine is
// busy or lacks descriptors, and are done when they are written back.
func (n *NIC) receive(now sim.Time) {
	for {
		if n.vt != nil {
			if !n.stepVT(now) {
				break
			}
			continue
		}
		if n.fifo.count == 0 {
			if !n.straight(now) {
				break
			}
		} else if !n.step(now) {
			break
		}
	}
	if n.did.through|n.did.seen|n.did.descs != 0 {
		n.charge(&n.did)
		n.did = burst{}
	}
}

// straight takes frames from the wire while each finds the packet buffer empty,
// the DMA engine idle and a descriptor with room for all of it: it goes straight
// to memory. This is the path whose every nanosecond counts. It ends with false
// when the next frame is not in by now, and with true when one went another way.
// It stays a function of its own: it needs every register.
//
//go:noinline
func (n *NIC) straight(now sim.Time) bool {
	have := n.have
	n.have = false
	if n.rssFields != 0 {
		n.hasher()
	}
	for {
		if !have {
			if n.idle || !n.wire.Receive(&n.held) {
				n.idle = true
				return false
			}
			n.arrives = n.link.arrival(n.held.At, len(n.held.Data))
		}
		at := n.arrives
		if at > now {
			n.have = true
			return false
		}
		have = false
		data := n.held.Data
		if n.sink != nil {
			n.show(trace.Frame{ID: n.held.ID, At: at, Point: trace.Wire, Queue: -1, Data: data})
		}

		// What it is. Nearly all frames are plain, and not worth a call.
		var v verdict
		size := uint64(len(data))
		if size-plainMin < n.plainLengths && isPlain((*[plainMin]byte)(data)) {
			dst, l4 := binary.LittleEndian.Uint64(data)&addrMask, &l4Types[data[23]]
			if dst != n.first {
				v.status = RxPIF
			}
			switch {
			case dst != n.first && (dst&groupBit != 0 || !n.lone), n.rssFields != 0 && n.rssFields&l4.field == 0:
				v = n.classify(n.held.Data)
			case n.rssFields != 0:
				v.info, v.queue = n.hashed(PktIPv4|uint64(l4.info), l4.kind, n.rss.sum12((*[12]byte)(data[26:])))
			default:
				v.info = PktIPv4 | uint64(l4.info)
			}
		} else {
			v = n.classify(n.held.Data)
		}

		// Where it goes.
		tlps := (size + 255) / 256
		done := at + sim.Time(n.price.rxDesc+size*n.price.rxByte+tlps*n.price.tlp)
		q := &n.rx[v.queue&(MaxQueues-1)]
		if v.reason != cost.NotDropped || done > now || n.dmaFree > at || q.head == q.tail || size > q.straight {
			n.detour(v, at)
			return true
		}
		i := int(q.head) * DescSize
		d := (*[DescSize]byte)(q.mem[i : i+DescSize])
		buf := binary.LittleEndian.Uint64(d[:])
		if buf-1 >= q.reach || d[8]&RxDD != 0 {
			n.detour(v, at)
			return true
		}

		// It is there.
		if 32 <= size && size <= 64 {
			mem.Copy64(n.ram[buf:buf+size:buf+size], data, int(size))
		} else {
			copy(n.ram[buf:buf+size], data)
		}
		n.dmaFree, n.passing = done, int(size)
		if done > n.irq.soon {
			n.settle(done)
		}
		writeBack(d, v, size, RxDD|RxEOP)
		q.tags[q.head] = Tag{n.held.ID, at, done}
		q.head = q.next(q.head)
		q.written++
		if q.bit&^n.irq.eicr != 0 {
			n.irq.raise(q.bit, done)
		}
		n.did.through++
		n.did.throughBytes += size
		n.did.tlps += tlps
		if n.sink != nil {
			n.showWritten(int(v.queue), n.held.ID, done, n.held.Data, 1)
		}
	}
}

// take takes the held frame in while others are in the packet buffer.
func (n *NIC) take() {
	data, at, id := n.held.Data, n.arrives, n.held.ID
	n.have = false
	if n.sink != nil {
		n.show(trace.Frame{ID: id, At: at, Point: trace.Wire, Queue: -1, Data: data})
	}
	n.detour(n.classify(data), at)
}

// detour puts the frame just taken into the packet buffer, or drops it.
func (n *NIC) detour(v verdict, at sim.Time) {
	data := n.held.Data
	if v.reason == aside {
		v.reason = cost.NotDropped
	}
	n.in++
	n.did.seen++
	n.did.seenBytes += uint64(len(data))
	passing := 0
	if at < n.dmaFree {
		passing = n.passing
	}
	if v.reason == cost.NotDropped && !n.fifo.put(n.held.ID, at, v, n.tag, data, passing) {
		n.stats.mpc++
		v.reason = cost.NICRxFIFO
	}
	if v.reason != cost.NotDropped {
		n.drop(v.reason, at, n.held.ID, int(v.queue), data)
		return
	}
	n.did.good++
	n.did.goodBytes += uint64(len(data))
}

// charge puts a burst on the account and into the statistics.
func (n *NIC) charge(b *burst) {
	n.in += b.through
	n.written += b.through
	seen, good, descs := b.seen+b.through, b.good+b.through, b.descs+b.through
	n.stats.tpr += seen
	n.stats.tor += b.seenBytes + b.throughBytes + b.tags*tagSize + seen*fcs
	n.stats.gprc += good
	n.stats.gorc += b.goodBytes + b.throughBytes + b.tags*tagSize + good*fcs
	n.acct.Frames(cost.NIC, seen)
	n.acct.ChargeBytes(cost.DevDescFetch, descs, descs*DescSize)
	n.acct.ChargeBytes(cost.DevRxDMA, descs, b.bytes+b.throughBytes)
	n.acct.Charge(cost.DevTLP, b.tlps)
	n.acct.ChargeBytes(cost.DevRxWriteback, descs, descs*DescSize)
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
func (n *NIC) buffer(d *[DescSize]byte, q *rxQueue) []byte {
	buf := binary.LittleEndian.Uint64(d[:])
	if buf-1 >= q.reach || d[8]&RxDD != 0 {
		return nil
	}
	return n.ram[buf : buf+q.size]
}

// badBuffer says what was wrong with a descriptor. It stays where it is, the
// head too, so the queue is jammed until the driver mends it.
func (n *NIC) badBuffer(q int, index uint32, d *[DescSize]byte, at sim.Time) {
	lo, hi := binary.LittleEndian.Uint64(d[:]), binary.LittleEndian.Uint64(d[8:])
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
func writeBack(d *[DescSize]byte, v verdict, size uint64, status uint32) {
	binary.LittleEndian.PutUint64(d[:], v.info)
	binary.LittleEndian.PutUint64(d[8:], uint64(v.status|status)|size<<32)
}

// drop ends a frame's life in the device.
func (n *NIC) drop(r cost.DropReason, at sim.Time, id uint64, queue int, data []byte) {
	n.dropped++
	n.drops.Add(cost.NIC, r, 1)
	n.hash.Add(trace.Record{At: at, Kind: trace.Dropped, Who: trace.WhoDropped(cost.NIC, r), A: id})
	if n.sink != nil {
		n.show(trace.Frame{ID: id, At: at, Point: trace.NIC, Verdict: trace.Drop, Reason: r, Data: data, Queue: int32(queue)})
	}
}

// readRx reads a register of a receive queue.
func (n *NIC) readRx(queue int, off uint32) uint32 {
	q := &n.rx[queue]
	switch off {
	case offSRR:
		return uint32(q.srrctl)
	case offRSC:
		return uint32(q.rscctl)
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
		}
	case offSRR:
		n.writeSrrctl(reg, queue, Srrctl(v), now)
	case offDCTL:
		n.writeRxdctl(reg, queue, Dctl(v), now)
	case offRSC:
		if q.vf != nil {
			n.wrong(now, reg, queue, -1, v, "coalescing of a virtual function's queue; ignored")
			break
		}
		n.writeRscctl(queue, Rscctl(v), now)
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
		n.release(q, now)
		if n.dma.busy && int(n.fifo.head().v.queue) == queue {
			n.dropHead(cost.NICRxDisabled, now)
		}
		q.disable()
		q.size, q.straight, q.reach = 0, 0, 0
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
		q.size = uint64(q.srrctl.bufferSize())
		q.straight = min(q.size, uint64(n.fifo.room))
		if n.remap.by != nil {
			q.straight = 0 // an address is asked for first
		}
		q.reach = uint64(max(len(n.ram)-int(q.size), 0))
		n.resume(queue, now)
	}
}
