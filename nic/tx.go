package nic

import (
	"encoding/binary"

	"ringside/cost"
	"ringside/mem"
	"ringside/offload"
	"ringside/sim"
	"ringside/trace"
)

// txFIFO is the transmit packet buffer: a frame is fetched when there is room
// for it, and is gone when its last bit is out.
const txFIFO = 40 << 10

// A txQueue is a transmit ring. The ring's head is where the driver sees it; the
// device is ahead by what it has fetched and not yet written back.
type txQueue struct {
	ring
	bit        uint32 // cause in EICR; 0 when IVAR maps it nowhere
	fetch      uint32 // next descriptor to fetch
	epoch      uint32 // counts how often the queue was switched off
	reported   uint64 // descriptors written back
	noticed    uint64 // of those, how many the last message of its vector told of
	contexts   [2][DescSize]byte
	contextSet uint8 // which of them were given, a bit each
	tdwb       [2]uint32
}

// A sent is a frame that was fetched: at the time at its descriptors are the
// driver's again.
type sent struct {
	at    sim.Time
	queue int32
	epoch uint32
	head  uint32
	done  int32 // descriptor that DD is written to, -1 for none
}

// A leaving is a frame in the transmit packet buffer.
type leaving struct {
	out  sim.Time
	size int
}

// A txState is the transmit side beside its rings.
type txState struct {
	txFree   sim.Time // when the transmit DMA engine is done with what it has
	sent     queue[sent]
	leaving  queue[leaving]
	leavingN int // bytes in it
	frame    [MaxFrame]byte
	out      WireFrame

	segmenter offload.Segmenter
	parts     [][]byte
}

// transmitAll looks at every transmit ring.
func (n *NIC) transmitAll(now sim.Time) {
	for q := range n.queues {
		n.transmit(q, now)
	}
}

// A txBurst collects what one doorbell has done, to be charged and counted once.
type txBurst struct {
	frames, frameBytes uint64 // put on the wire, padding included
	descs              uint64 // fetched
	parts, bytes, tlps uint64 // descriptors whose data was read
	done               uint64 // descriptors written back
	local              uint64 // frames for other pools alone
}

// transmit sends what the driver has put on a ring, whole frames at a time. It
// is done at the doorbell; what it does carries the time at which the device
// would have done it, and the driver sees nothing of it before.
func (n *NIC) transmit(queue int, now sim.Time) {
	q := &n.tx[queue]
	if n.tctl&TctlEN == 0 || !q.on() || n.busy || q.vf != nil && n.vt.vfte&q.vf.mask() == 0 {
		return
	}
	n.busy = true
	var b txBurst
	var c chain
	for q.fetch != q.tail {
		if !n.single(q, &c) {
			if n.chain(queue, &c, now); c.open {
				break
			}
		}
		last := q.before(c.end)
		tag := q.tags[last]
		q.tags[last] = Tag{}
		n.txFree = max(now, n.txFree)
		if q.vf != nil {
			n.fetchedVF(&c)
		} else if refs := n.remap.take(); refs != 0 {
			n.walked(refs)
			n.txFree += n.walkTime(refs)
		}
		b.descs += uint64(c.descs)
		switch {
		case c.isContext:
			index := c.first[12] >> 4 & 1
			q.contexts[index] = *c.first
			q.contextSet |= 1 << index
			n.txFree += sim.Time(n.price.txFetch)
		case c.wrong != cost.NotDropped:
			n.txFree += sim.Time(uint64(c.descs) * n.price.txFetch)
			n.dropTx(c.wrong, n.txFree, tag.ID, queue)
		default:
			n.leave(queue, &c, tag, &b)
		}
		q.fetch = c.end
		*n.sent.add() = sent{at: n.txFree, queue: int32(queue), epoch: q.epoch, head: c.end, done: c.report}
	}
	n.busy = false
	n.chargeTx(&b)
	n.replan()
}

// chargeTx puts a burst on the account and into the statistics.
func (n *NIC) chargeTx(b *txBurst) {
	n.acct.ChargeBytes(cost.DevDescFetch, b.descs, b.descs*DescSize)
	n.acct.ChargeBytes(cost.DevTxDMA, b.parts, b.bytes)
	n.acct.Charge(cost.DevTLP, b.tlps)
	n.acct.ChargeBytes(cost.DevTxWriteback, b.done, b.done*DescSize)
	n.acct.Frames(cost.NIC, b.frames+b.local)
	octets := b.frameBytes + b.frames*fcs
	n.stats.gptc += b.frames
	n.stats.tpt += b.frames
	n.stats.gotc += octets
	n.stats.tot += octets
	n.sentFrames += b.frames
}

// A chain is the descriptors of one frame, from the queue's fetch on.
type chain struct {
	first  *[DescSize]byte
	data   []byte // of the first descriptor, if it is the only one
	descs  uint32
	end    uint32 // index behind the last
	size   int
	tlps   uint64
	report int32  // last descriptor with RS, -1 if none has it
	last   uint32 // command of the last descriptor
	refs   int    // entries of tables that the IOMMU has read for it
	open   bool   // the end has not been given yet
	wrong  cost.DropReason

	isContext bool      // no frame: one context descriptor
	asks      uint32    // what is to be done with the frame
	context   TxContext // and how, if anything
}

// single takes the commonest chain, one good data descriptor, and says whether
// it is one.
func (n *NIC) single(q *txQueue, c *chain) bool {
	if q.vf != nil || n.remap.by != nil {
		return false
	}
	d := q.desc(q.fetch)
	word2, word3 := binary.LittleEndian.Uint32(d[8:]), binary.LittleEndian.Uint32(d[12:])
	size := word2 & 0xFFFF
	if word2&^(TxRS|0xFFFF) != TxTypeData|TxDEXT|TxEOP|TxIFCS || word3 != size<<TxPaylenShift || size-header > MaxFrame-fcs-header {
		return false
	}
	data := n.memory.Bytes(mem.Addr(binary.LittleEndian.Uint64(d[:])), int(size))
	if data == nil {
		return false
	}
	c.first, c.data, c.descs, c.end = d, data, 1, q.next(q.fetch)
	c.size, c.tlps, c.report = int(size), tlps(int(size)), -1
	c.open, c.isContext, c.asks, c.wrong = false, false, 0, cost.NotDropped
	if word2&TxRS != 0 {
		c.report = int32(q.fetch)
	}
	return true
}

// chain walks the descriptors of the next frame, whatever they are, and checks
// them.
func (n *NIC) chain(queue int, c *chain, now sim.Time) {
	q := &n.tx[queue]
	*c = chain{report: -1}
	n.parts = n.parts[:0]
	if c.first = n.fetchDesc(q, q.fetch, c, now); c.first == nil {
		n.lostDesc(q, c)
		return
	}
	if cmd := binary.LittleEndian.Uint32(c.first[8:]); cmd&TxDEXT != 0 && cmd&TxTypeMask == TxTypeContext {
		c.isContext, c.descs, c.end = true, 1, q.next(q.fetch)
		return
	}
	for i := q.fetch; ; {
		d := c.first
		if i != q.fetch {
			if d = n.fetchDesc(q, i, c, now); d == nil {
				n.lostDesc(q, c)
				return
			}
		}
		cmd, opts := binary.LittleEndian.Uint32(d[8:]), binary.LittleEndian.Uint32(d[12:])
		size := int(cmd & 0xFFFF)
		c.last = cmd
		if wrong, what := n.badTx(q, c, d, cmd, opts, size, now); wrong != cost.NotDropped {
			v := uint64(opts)<<32 | uint64(cmd)
			if wrong == cost.NICTxDMA {
				v = binary.LittleEndian.Uint64(d[:])
			}
			n.badChain(c, queue, i, now, wrong, v, what)
		}
		if cmd&TxRS != 0 {
			c.report = int32(i)
		}
		c.descs++
		c.size += size
		c.tlps += tlps(size)
		i = q.next(i)
		if c.end = i; cmd&TxEOP != 0 {
			break
		}
		if i == q.tail {
			c.open = c.descs < q.n-1
			if !c.open {
				n.badChain(c, queue, q.fetch, now, cost.NICTxBad, uint64(c.descs), "chain as long as the ring, without EOP")
			}
			return
		}
	}
	n.checkFrame(c, queue, now)
}

// badTx is what is wrong with one data descriptor.
func (n *NIC) badTx(q *txQueue, c *chain, d *[DescSize]byte, cmd, opts uint32, size int, now sim.Time) (cost.DropReason, string) {
	switch {
	case cmd&TxDEXT == 0:
		return cost.NICTxBad, "descriptor without DEXT: legacy descriptors are not modelled"
	case cmd&TxTypeMask == TxTypeContext:
		return cost.NICTxBad, "context descriptor inside a frame"
	case cmd&TxTypeMask != TxTypeData:
		return cost.NICTxBad, "descriptor of a reserved type"
	case opts&TxDD != 0:
		return cost.NICTxBad, "descriptor given with DD set: not in the read format"
	case opts&txPoptsIPsec != 0:
		return cost.NICTxBad, "IPsec is not modelled"
	case size == 0:
		return cost.NICTxBad, "descriptor of length 0"
	}
	data := n.data(q, c, d, size, now)
	switch {
	case data == nil && (q.vf != nil || n.remap.by != nil):
		return cost.NICIOMMUFault, "descriptor given with data that the IOMMU refuses"
	case data == nil:
		return cost.NICTxDMA, "descriptor given with its data outside memory"
	}
	n.parts = append(n.parts, data)
	return cost.NotDropped, ""
}

// badChain notes what is wrong with a chain; the first thing is why its frame is
// dropped.
func (n *NIC) badChain(c *chain, queue int, index uint32, now sim.Time, r cost.DropReason, v uint64, what string) {
	n.misuse(now, "TXD", queue, int(index), v, what)
	if c.wrong == cost.NotDropped {
		c.wrong = r
	}
}

// checkFrame checks a chain as a whole, its first and last descriptors.
func (n *NIC) checkFrame(c *chain, queue int, now sim.Time) {
	q := &n.tx[queue]
	last, cmd := q.before(c.end), c.last
	opts := binary.LittleEndian.Uint32(c.first[12:])
	paylen, headers := int(opts>>TxPaylenShift), 0
	c.asks = asked(binary.LittleEndian.Uint32(c.first[8:]), opts)
	if n.vt != nil && n.vt.vmvir[queue&(Pools-1)]&(VmvirDefault|VmvirNever) != 0 {
		c.asks &^= askVLE
	}
	switch {
	case c.wrong != cost.NotDropped:
	case c.asks&askTSE == 0 && c.size+fcs > MaxFrame:
		n.badChain(c, queue, q.fetch, now, cost.NICTxBad, uint64(c.size), "frame longer than 9.5 KiB")
	case c.size < header:
		n.badChain(c, queue, q.fetch, now, cost.NICTxBad, uint64(c.size), "frame shorter than an Ethernet header")
	case cmd&TxIFCS == 0:
		n.badChain(c, queue, last, now, cost.NICTxBad, uint64(cmd), "frame without IFCS: it would leave without an FCS")
	case c.asks != 0:
		if what := c.orders(q); what != "" {
			n.badOrders(c, queue, now, what)
			return
		}
		if c.asks&askTSE != 0 { // then PAYLEN is that of the payload
			if err := n.startTSO(c); err != nil {
				n.badOrders(c, queue, now, "TSE: "+err.Error())
				return
			}
			headers = n.segmenter.HeaderLen()
		}
	}
	if c.wrong == cost.NotDropped && paylen != c.size-headers {
		n.misuse(now, "TXD", queue, int(q.fetch), uint64(paylen), "PAYLEN is not the length of the frame")
	}
}

// leave takes a good frame through the device: fetched when the transmit packet
// buffer has room for it, on the wire when the link is free.
func (n *NIC) leave(queue int, c *chain, tag Tag, b *txBurst) {
	if c.asks != 0 || n.vt != nil {
		n.leaveDone(queue, c, tag, b)
		return
	}
	size := max(c.size, minFrame)
	start := n.room(n.txFree, size)
	descs := uint64(c.descs)
	fetched := start + sim.Time(descs*(n.price.txFetch+n.price.txEach)+uint64(c.size)*n.price.txByte+c.tlps*n.price.tlp)
	out := max(fetched, n.link.txOut) + n.link.span(onWire(size))
	n.link.txOut = out + n.link.gap
	*n.leaving.add() = leaving{out, size}
	n.leavingN += size
	n.txFree = fetched
	if c.report >= 0 {
		n.txFree += n.price.txDone
		b.done++
	}
	b.frames++
	b.frameBytes += uint64(size)
	b.parts += descs
	b.bytes += uint64(c.size)
	b.tlps += c.tlps
	data := c.data
	if len(data) < minFrame {
		data = n.gather(c)
	}
	n.countGroup(data)
	n.hash.Add(trace.Record{At: out, Kind: trace.Sent, A: tag.ID, B: trace.Bytes(data)})
	if n.sink != nil {
		n.showSent(queue, tag.ID, fetched, out, data, c, true)
	}
	n.out = WireFrame{ID: tag.ID, At: out, Data: data}
	n.wire.Transmit(&n.out)
}

// room is the first moment from at on at which the transmit packet buffer has
// room for size bytes.
func (n *NIC) room(at sim.Time, size int) sim.Time {
	for n.leaving.count != 0 {
		f := n.leaving.at(0)
		if f.out > at {
			if n.leavingN+size <= txFIFO {
				break
			}
			at = f.out
		}
		n.leavingN -= f.size
		n.leaving.pop()
	}
	return at
}

// gather is the bytes of the frame that was looked at last in one piece, padded to the least that a frame
// has.
func (n *NIC) gather(c *chain) []byte {
	size := 0
	if c.data != nil {
		size = copy(n.frame[:], c.data)
	} else {
		for _, p := range n.parts {
			size += copy(n.frame[size:], p)
		}
	}
	for size < minFrame {
		n.frame[size] = 0
		size++
	}
	return n.frame[:size]
}

// dropTx drops a frame on its way out.
func (n *NIC) dropTx(r cost.DropReason, at sim.Time, id uint64, queue int) {
	n.droppedTx++
	n.drops.Add(cost.NIC, r, 1)
	n.acct.Frames(cost.NIC, 1)
	n.hash.Add(trace.Record{At: at, Kind: trace.Dropped, Who: trace.WhoDropped(cost.NIC, r), A: id})
	if n.sink != nil {
		n.show(trace.Frame{ID: id, At: at, Point: trace.NIC, Tx: true, Verdict: trace.Drop, Reason: r, Queue: int32(queue)})
	}
}

// reclaim gives the descriptors of fetched frames back, those before the moment t
// and not behind the next message: the head moves, DD is written, the cause is
// raised.
func (n *NIC) reclaim(t sim.Time) {
	for n.sent.count != 0 {
		s := n.sent.at(0)
		if s.at >= t || s.at > n.irq.next {
			break
		}
		n.sent.pop()
		q := &n.tx[s.queue]
		if s.epoch != q.epoch || !q.on() {
			continue
		}
		q.head = s.head
		if s.done < 0 {
			continue
		}
		d := n.reportTo(q, uint32(s.done), s.at)
		if d == nil {
			continue
		}
		binary.LittleEndian.PutUint64(d[:], 0)
		binary.LittleEndian.PutUint64(d[8:], TxDD<<32)
		q.reported++
		n.irq.raise(q.bit, s.at)
	}
	n.replan()
}

// replan looks when the next write-back is.
func (n *NIC) replan() {
	n.irq.sent = sim.Never
	if n.sent.count != 0 {
		n.irq.sent = n.sent.at(0).at
	}
	n.irq.plan()
}

// txCould is the earliest moment at which a write-back could have a message of
// one of the quiet vectors at the CPU.
func (n *NIC) txCould(quiet uint32) sim.Time {
	for i := range n.sent.count {
		s := n.sent.at(i)
		q := &n.tx[s.queue]
		if s.done >= 0 && q.bit&quiet != 0 && s.epoch == q.epoch {
			return n.throttled(s.at, q.bit)
		}
	}
	return sim.Never
}

// fetchDesc reads descriptor i, as the ring's function may reach it; nil if it may not.
func (n *NIC) fetchDesc(q *txQueue, i uint32, c *chain, now sim.Time) *[DescSize]byte {
	if q.vf == nil {
		if n.remap.by != nil && !n.reach(mem.Addr(q.base)+mem.Addr(i)*DescSize, DescSize, false, now) {
			return nil
		}
		return q.desc(i)
	}
	d, refs := q.vf.desc(&q.ring, i, false, now)
	c.refs += refs
	return d
}

// reportTo is descriptor i for its write-back, likewise.
func (n *NIC) reportTo(q *txQueue, i uint32, at sim.Time) *[DescSize]byte {
	if q.vf == nil {
		return q.desc(i)
	}
	d, refs := q.vf.desc(&q.ring, i, true, at)
	n.walked(refs)
	return d
}

// endsFrame says whether descriptor i has EOP; one that cannot be read has.
func (n *NIC) endsFrame(q *txQueue, i uint32, now sim.Time) bool {
	var c chain
	d := n.fetchDesc(q, i, &c, now)
	n.walked(c.refs)
	return d == nil || binary.LittleEndian.Uint32(d[8:])&TxEOP != 0
}

// stopTx switches a transmit queue off. Frames that wait on its ring are
// dropped.
func (n *NIC) stopTx(queue int, now sim.Time) {
	q := &n.tx[queue]
	if !q.on() {
		return
	}
	for q.fetch != q.tail {
		var id uint64
		for q.fetch != q.tail {
			eop := n.endsFrame(q, q.fetch, now)
			id = q.tags[q.fetch].ID
			q.fetch = q.next(q.fetch)
			if eop {
				break
			}
		}
		if q.vf != nil {
			n.vt.fromVF++
		}
		n.dropTx(cost.NICTxDisabled, now, id, queue)
	}
	q.disable()
	q.head = q.tail
	q.epoch++
}

// readTx reads a register of a transmit queue.
func (n *NIC) readTx(queue int, off uint32) uint32 {
	q := &n.tx[queue]
	switch off {
	case offTDWBL, offTDWBH:
		return q.tdwb[off>>2&1]
	}
	v, _ := q.read(off)
	return v
}

// writeTx writes a register of a transmit queue.
func (n *NIC) writeTx(reg uint32, queue int, off, v uint32, now sim.Time) error {
	q := &n.tx[queue]
	switch off {
	case offDT:
		wrong, moved := q.doorbell(v)
		if wrong != "" {
			n.wrong(now, reg, queue, int(v), v, wrong)
		}
		if moved {
			n.transmit(queue, now)
		}
	case offDCTL:
		n.writeTxdctl(reg, queue, Dctl(v), now)
	case offDCA:
		q.dca = v
	case offTDWBL, offTDWBH:
		q.tdwb[off>>2&1] = v
		if off == offTDWBL && v&1 != 0 {
			n.wrong(now, reg, queue, -1, v, "head write-back is not modelled; DD is written to descriptors")
		}
	default:
		if wrong, ok := q.place(off, v); ok && wrong != "" {
			n.wrong(now, reg, queue, -1, v, wrong)
		}
	}
	return nil
}

// writeTxdctl switches a transmit queue on or off.
func (n *NIC) writeTxdctl(reg uint32, queue int, v Dctl, now sim.Time) {
	q := &n.tx[queue]
	was := q.on()
	q.dctl = v&^DctlENABLE | q.dctl&DctlENABLE
	switch {
	case v&DctlENABLE == 0:
		n.stopTx(queue, now)
	case !was:
		if wrong := q.enable(n.memory); wrong != "" {
			n.wrong(now, reg, queue, -1, uint32(v), wrong)
			return
		}
		q.fetch = q.head
		n.transmit(queue, now)
	}
}
