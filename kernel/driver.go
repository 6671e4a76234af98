package kernel

import (
	"fmt"

	"ringside/cost"
	"ringside/mem"
	"ringside/nic"
	"ringside/trace"
)

// A driver is igb: it probes the device, keeps its rings filled, harvests them
// when NAPI polls, and sends. It knows the device by its registers, by the
// descriptors in memory and by its interrupts.
//
// Every ring has three indexes of the driver's and one of the device's:
//
//	next_to_clean        head (device)         next_to_use
//	      │ done, DD set      │ the device's own      │ empty: tail stands here
//	──────┴───────────────────┴───────────────────────┴──────
type driver struct {
	k    *Kernel
	name string
	dev  *nic.NIC
	net  *netdev
	rx   []*rxQueue
	tx   []*txQueue
	napi []*napi
	pf   *pf // of a device with virtual functions
	node int // that its slot is on

	dma      remapping
	offloads Offloads
	xdp      *xdpHook // a program at the driver; nil without
	rxFields bool     // descriptors say more of a received frame than its length
}

// rxBufferSize is what SRRCTL tells the device; with the headroom it leaves a
// page room for the skb_shared_info at its end, as igb's large buffers do.
const (
	rxBufferSize  = 3072
	rxHeadroom    = 64 // least room in front of a frame, NET_SKB_PAD
	rxColours     = 8  // frames begin at so many different lines of their pages
	rxRefill      = 16 // IGB_RX_BUFFER_WRITE: refill in bundles, one doorbell each, and the rest after the poll
	rxBlockOrder  = 1  // two pages, used in turn
	txRingSize    = 256
	txQueueLength = 1000             // of the queue before the device
	maxTx         = nic.MaxFrame - 4 // longest frame that the device sends, without its FCS
)

type rxQueue struct {
	index       int
	reg         int    // its number in the device
	ring        []byte // descriptors, as the driver sees the device's memory
	base        mem.Addr
	size        int
	buffers     []rxBuffer
	nextToClean int
	nextToUse   int
	starved     bool      // on the kernel's list of queues without buffers
	cleaned     int       // done since the last refill
	headroom    mem.Addr  // beyond rxHeadroom
	xsk         *XSK      // whose memory its buffers are; nil for the kernel's
	partial     *skb      // frame whose last descriptor has not come yet
	flows       []devFlow // where they go; nil without RFS
}

// desc is the descriptor at index i.
func (q *rxQueue) desc(i int) nic.RxDesc {
	i *= nic.DescSize
	return nic.RxDesc(q.ring[i : i+nic.DescSize : i+nic.DescSize])
}

// An rxBuffer is a block of two pages of which the device has one half.
type rxBuffer struct {
	block mem.Addr
	addr  mem.Addr // of the frame in it, as the device was told
	half  mem.Addr // 0 or one page
	ready bool     // has a block to post
	umem  uint64   // address in the memory of a process, where the queue is one's
}

// place is where the device puts the frame of descriptor i. The room in front of
// it differs from descriptor to descriptor: if all frames began at the same line
// of their pages they would fight for the same few sets of the cache, as slab
// colouring knows.
func (b *rxBuffer) place(i int) mem.Addr {
	return b.block + b.half + rxHeadroom*mem.Addr(1+uint(i)%rxColours)
}

type txQueue struct {
	index       int
	reg         int // its number in the device
	ring        []byte
	base        mem.Addr
	size        int
	pending     []*skb // by the index of a frame's last descriptor
	nextToClean int
	nextToUse   int
	qdisc       []*skb // pfifo before the device, while the ring is full
}

func (q *txQueue) desc(i int) nic.TxDesc {
	return nic.TxDesc(q.ring[i*nic.DescSize : (i+1)*nic.DescSize])
}

// interrupt is the hard handler of vector v: igb_msix_ring.
func (d *driver) interrupt(c *CPU, v int) {
	if d.pf != nil && v == otherVector {
		d.pf.msixOther(c)
		return
	}
	if d.k.batching.Interrupts == PerFrame && v < len(d.napi) {
		d.onePerFrame(c, v)
		return
	}
	c.shared(cost.IgbMsixRing, 1, fmt1(c, "vector %d", v))
	if v >= len(d.napi) {
		return // other causes
	}
	d.writeITR(c, d.napi[v])
	d.napi[v].schedule(c)
}

// unmask is igb_ring_irq_enable.
func (d *driver) unmask(c *CPU, n *napi) {
	c.shared(cost.IgbRingIrqEnable, 1, fmt1(c, "EIMS |= %#x", 1<<n.index))
	d.write(c, nic.EIMS, 1<<n.index)
}

// cleanRx is igb_clean_rx_irq: it takes finished frames off the ring into list
// and returns how many.
func (d *driver) cleanRx(c *CPU, q *rxQueue, list []*skb) int {
	d.dev.CatchUp(c.clock.Now())
	k, m, tags := d.k, d.k.mem, d.dev.RxTags(q.reg)
	n, frags, lost := 0, uint64(0), uint64(0)
	ntc := q.nextToClean
	for n < len(list) {
		desc, tag := q.desc(ntc), &tags[ntc]
		status := desc.Status()
		if status&nic.RxDD == 0 {
			break
		}
		if tag.Done > c.seen && tag.Done > c.look() {
			break
		}
		buf := &q.buffers[ntc]
		data := m.Bytes(buf.addr, desc.Len())
		s := q.partial
		if s == nil {
			s = k.newSKB()
			s.data, s.addr, s.block, s.length, s.queue = data, buf.addr, buf.block, int32(len(data)), int8(q.index)
		} else {
			q.partial = nil
			s.addFrag(frag{data, buf.addr, buf.block})
			frags++
		}
		if !buf.reuse(m) {
			lost++
		}
		if status&nic.RxEOP == 0 {
			q.partial = s
		} else {
			s.id, s.arrived = tag.ID, tag.Arrived
			list[n] = s
			n++
		}
		if ntc++; ntc == q.size {
			ntc = 0
		}
	}
	if d.rxFields {
		d.readFields(q, list[:n])
	}
	first := q.nextToClean
	descs := ntc - first // fewer than the ring has
	if descs < 0 {
		descs += q.size
	}
	q.nextToClean = ntc
	q.cleaned += descs
	if c.tlb != nil {
		c.touchRing(q.base, first, descs, q.size, nic.DescSize)
		c.touchFrames(list[:n])
	}
	if d.dma.users != nil {
		d.unmapRx(c, q, first, descs)
	}
	d.harvested(c, list[:n], frags, uint64(descs)-lost)
	if q.cleaned >= rxRefill {
		d.refill(c, q)
	}
	return n
}

// harvested charges what cleanRx did.
func (d *driver) harvested(c *CPU, done []*skb, frags, recycled uint64) {
	c.all(done, cost.IgbCleanRxIrq, cost.IgbGetRxBuffer, cost.IgbBuildSkb)
	if c.k.sched.far {
		c.farTouch(d, done)
	}
	if frags > 0 {
		c.some(done, cost.IgbCleanRxIrq, frags, (*skb).further, "further descriptors")
		c.some(done, cost.IgbAddRxFrag, frags, (*skb).further, "")
	}
	if recycled > 0 {
		c.acct.Charge(cost.IgbPutRxBuffer, recycled)
		if c.watched {
			d.noteRecycled(c, done)
		}
	}
	if d.k.batching.Interrupts == ByNAPI {
		c.all(done, cost.IgbProcessSkbFields, cost.NapiGroReceive)
	} else {
		c.all(done, cost.IgbProcessSkbFields)
	}
	if c.watched {
		for _, s := range done {
			c.k.show(c, s, sight{point: trace.Driver, port: d.net.index, vm: -1})
		}
	}
}

// noteRecycled shows how many of each frame's buffers went back on the ring. The
// frames' descriptors are the last that were cleaned, but for those of a frame
// that is not whole yet; a buffer that went back has the frame's block still, even
// if it was refilled since.
func (d *driver) noteRecycled(c *CPU, done []*skb) {
	for i, k := 0, len(done)-1; k >= 0; k-- {
		s, n := done[k], uint64(0)
		q := d.rx[s.queue]
		if k == len(done)-1 {
			if i = q.nextToClean; q.partial != nil {
				i -= 1 + int(q.partial.nfrags)
			}
		}
		for f := s.nfrags; f >= 0; f-- {
			block := s.block
			if f > 0 {
				block = s.frags.buf[f-1].block
			}
			i = (i - 1 + maxFrags*q.size) % q.size
			if buf := &q.buffers[i]; buf.ready && buf.block == block {
				n++
			}
		}
		if n > 0 {
			c.note(cost.IgbPutRxBuffer, s, n, 0, "")
		}
	}
}

// reuse is igb_can_reuse_rx_page: the frame takes the half it lies in; if nobody
// else holds the block the driver keeps it and turns to the other half, else
// its hold goes to the frame.
func (b *rxBuffer) reuse(m *mem.Memory) bool {
	if !m.HoldSole(b.block) {
		b.ready = false
		return false
	}
	b.half ^= mem.PageSize
	return true
}

// refill is igb_alloc_rx_buffers: descriptors in the read format for all that
// were cleaned, then the doorbell. What there is no memory for, the next poll
// tries again.
func (d *driver) refill(c *CPU, q *rxQueue) {
	if q.xsk != nil {
		q.xsk.refill(c)
		return
	}
	allocated, was := uint64(0), q.nextToUse
	at, left := q.nextToUse, q.cleaned
	for ; left > 0; left-- {
		buf := &q.buffers[at]
		if !buf.ready {
			if !d.restock(q, at, left, &allocated) {
				break
			}
		}
		buf.addr = buf.place(at) + q.headroom
		d.dmaMap(buf.addr, rxBufferSize)
		q.desc(at).Give(uint64(buf.addr))
		if at++; at == q.size {
			at = 0
		}
	}
	if c != nil && c.tlb != nil {
		c.touchRing(q.base, was, q.cleaned-left, q.size, nic.DescSize)
	}
	q.nextToUse, q.cleaned = at, left
	if q.empty() && c != nil {
		d.k.starve(d, q)
	}
	if q.nextToUse == was {
		return
	}
	// The descriptor at the tail stays ours. It must not look done, or a harvest
	// that comes round to it would take an old frame again.
	q.desc(q.nextToUse).Give(0)
	if c == nil { // probing: not billed
		d.poke(nic.RDT(q.reg), uint32(q.nextToUse))
		return
	}
	if d.dma.users != nil {
		c.shared(cost.DmaMapPage, uint64((q.nextToUse-was+q.size)%q.size), "")
	}
	if allocated > 0 {
		c.shared(cost.IgbAllocMappedPage, allocated, "")
	}
	c.shared(cost.IgbAllocRxBuffers, 1, fmt1(c, "RDT = %d", q.nextToUse))
	d.write(c, nic.RDT(q.reg), uint32(q.nextToUse))
}

// restock finds a block for the descriptor at the index at, the first of the left
// that are to be refilled, and says whether there was one. Blocks that are new are
// counted.
func (d *driver) restock(q *rxQueue, at, left int, allocated *uint64) bool {
	block, err := d.k.mem.Alloc(rxBlockOrder)
	if err != nil {
		return q.moveUp(at, left)
	}
	q.buffers[at] = rxBuffer{block: block, ready: true}
	*allocated++
	return true
}

// moveUp gives the descriptor at the index to the buffer of a later one of the
// left that are to be refilled, and says whether there was one. Linux need not
// look for it: there a recycled page goes to next_to_alloc, so the pages that are
// left come first.
func (q *rxQueue) moveUp(to, left int) bool {
	at := to
	for range left {
		if at++; at == q.size {
			at = 0
		}
		if b := &q.buffers[at]; b.ready {
			q.buffers[to], *b = *b, rxBuffer{}
			return true
		}
	}
	return false
}

// empty says that the device has no descriptor of the queue.
func (q *rxQueue) empty() bool { return q.cleaned == q.size-1 }

// xmit is igb_xmit_frame: s goes on the transmit ring of this CPU, or waits
// before it.
func (d *driver) xmit(c *CPU, s *skb) {
	if s.length > maxTx && !s.gso() {
		c.drop(s, cost.Bridge, cost.PktTooBig) // is_skb_forwardable, in br_dev_queue_push_xmit
		return
	}
	if s.headed && !d.inserts(s) && !c.pushInside(s) {
		c.drop(s, cost.NAPI, cost.NoMem)
		return
	}
	q := d.tx[c.id%len(d.tx)]
	if c.watched {
		c.k.show(c, s, sight{point: trace.Driver, tx: true, port: d.net.index, vm: -1})
	}
	if len(q.qdisc) > 0 || !d.post(c, q, s) {
		if len(q.qdisc) >= txQueueLength {
			c.drop(s, cost.NAPI, cost.QdiscDrop)
			return
		}
		q.qdisc = append(q.qdisc, s)
		return
	}
	d.doorbell(c, q)
}

// post fills descriptors for s and says whether there was room.
func (d *driver) post(c *CPU, q *txQueue, s *skb) bool {
	need, ask := 1+int(s.nfrags), order{paylen: int(s.length)}
	if d.net.features != 0 {
		ask = d.orders(s)
	}
	free := q.nextToClean - q.nextToUse - 1
	if free < 0 {
		free += q.size
	}
	if free < need+ask.descs {
		return false
	}
	if ask.descs > 0 {
		d.postContext(c, q, s, &ask)
	}
	if c.tlb != nil {
		c.touchRing(q.base, q.nextToUse, need, q.size, nic.DescSize)
		c.touchSKB(s)
	}
	if d.dma.users != nil {
		d.mapTx(c, s)
	}
	for i := range need {
		addr, n := s.addr, len(s.data)
		if i > 0 {
			addr, n = s.frags.buf[i-1].addr, len(s.frags.buf[i-1].data)
		}
		at := q.nextToUse
		cmd, opts := nic.TxIFCS|ask.cmd, ask.opts
		ask.cmd, ask.opts = 0, 0 // they stand in the first
		if i == need-1 {
			cmd |= nic.TxEOP | nic.TxRS
			q.pending[at] = s
			d.dev.SetTxTag(q.reg, uint32(at), nic.Tag{ID: s.id, Arrived: s.arrived})
		}
		q.desc(at).Give(uint64(addr), n, cmd, ask.paylen)
		if opts != 0 {
			q.desc(at).Ask(opts)
		}
		if q.nextToUse++; q.nextToUse == q.size {
			q.nextToUse = 0
		}
		c.one(cost.IgbXmitFrame, s)
	}
	return true
}

func (d *driver) doorbell(c *CPU, q *txQueue) {
	c.shared(cost.IgbTxDoorbell, 1, fmt1(c, "TDT = %d", q.nextToUse))
	d.write(c, nic.TDT(q.reg), uint32(q.nextToUse))
}

// cleanTx is igb_clean_tx_irq: frees what was sent, then lets waiting frames in.
func (d *driver) cleanTx(c *CPU, q *txQueue) {
	if q.nextToClean == q.nextToUse {
		return
	}
	d.dev.CatchUp(c.clock.Now())
	for q.nextToClean != q.nextToUse {
		// Only a frame's last descriptor reports: look ahead to it.
		last := q.nextToClean
		for q.pending[last] == nil {
			if last++; last == q.size {
				last = 0
			}
		}
		if !q.desc(last).Done() {
			break
		}
		s := q.pending[last]
		q.pending[last] = nil
		if c.tlb != nil {
			c.touchRing(q.base, last, 1, q.size, nic.DescSize)
			c.touchSKB(s)
		}
		if last++; last == q.size {
			last = 0
		}
		q.nextToClean = last
		if s.umem {
			d.rx[q.index].xsk.done(c, s)
			continue
		}
		if s.raw {
			c.one(cost.IgbCleanTxXdp, s)
		} else {
			if d.dma.users != nil {
				d.unmapTx(c, s)
			}
			c.one(cost.IgbCleanTxIrq, s)
		}
		d.k.release(s)
	}
	waited := len(q.qdisc)
	for len(q.qdisc) > 0 && d.post(c, q, q.qdisc[0]) {
		q.qdisc = q.qdisc[:copy(q.qdisc, q.qdisc[1:])]
	}
	if len(q.qdisc) < waited {
		d.doorbell(c, q)
	}
}

// register is the number that queue i has in the device: those of a PF are behind the
// pools of its VFs.
func (d *driver) register(i int) int {
	if d.pf != nil {
		return len(d.pf.vfs) + i
	}
	return i
}

// write is writel on a running machine: the caller has charged it.
func (d *driver) write(c *CPU, reg, v uint32) {
	if err := d.dev.Write(reg, v, c.clock.Now()); err != nil {
		d.k.eng.Fail(fmt.Errorf("%s: %w", d.name, err))
	}
}

// poke is writel while probing, before time begins to cost.
func (d *driver) poke(reg, v uint32) {
	if err := d.dev.Write(reg, v, d.k.eng.Now()); err != nil {
		d.k.eng.Fail(fmt.Errorf("%s: probe: %w", d.name, err))
	}
}

// held calls note for every skb that the driver has.
func (d *driver) held(note func(*skb)) {
	for _, q := range d.rx {
		note(q.partial)
	}
	for _, n := range d.napi {
		n.gro.each(note)
	}
	for _, q := range d.tx {
		for _, s := range q.qdisc {
			note(s)
		}
		for _, s := range q.pending {
			note(s)
		}
	}
}

// inFlight counts frames between the device and the stack, and those on their
// way out that have not left. One whose end has not come is still the device's.
func (d *driver) inFlight() (n uint64) {
	for _, q := range d.rx {
		at := q.nextToClean
		for range q.size {
			if !q.desc(at).Done() {
				break
			}
			if q.desc(at).Status()&nic.RxEOP != 0 {
				n++
			}
			if at++; at == q.size {
				at = 0
			}
		}
	}
	for _, q := range d.tx {
		n += uint64(len(q.qdisc))
	}
	for _, na := range d.napi {
		na.gro.each(func(*skb) { n++ })
	}
	return n
}

// stalled finds receive work that nobody will come for.
func (d *driver) stalled() (found []string) {
	for i, n := range d.napi {
		q := d.rx[i]
		if q.desc(q.nextToClean).Done() && n.state == napiIdle {
			found = append(found, fmt.Sprintf("%s: queue %d: descriptor %d is done, NAPI is %v", d.name, i, q.nextToClean, n.state))
		}
		if n.gro != nil && n.gro.n > 0 && n.state == napiIdle {
			found = append(found, fmt.Sprintf("%s: queue %d: GRO holds %d frames, NAPI is %v", d.name, i, n.gro.n, n.state))
		}
		if q.empty() && q.xsk == nil {
			found = append(found, fmt.Sprintf("%s: queue %d: no memory for a receive buffer: other rings have it, and frames that nobody reads; give the host more", d.name, i))
		}
	}
	return found
}
