package kernel

import (
	"ringside/cost"
	"ringside/mem"
	"ringside/nic"
	"ringside/sim"
	"ringside/xdp"
)

// Zero-copy sockets: the buffers of the queue are the process'.

// takeQueue gives the NIC's queue over to the socket: its descriptors wait for buffers of
// the fill ring. It happens before time begins to cost. DROP_EN is set: a process that
// gives no buffers must not stall the others' queues.
func (x *XSK) takeQueue() {
	q, d := x.q, x.d
	d.poke(nic.RXDCTL(q.index), 0)
	for i := range q.buffers {
		if b := &q.buffers[i]; b.ready {
			x.k.mem.Release(b.block)
		}
		q.buffers[i] = rxBuffer{}
		q.desc(i).Give(0)
	}
	q.nextToClean, q.nextToUse, q.cleaned, q.xsk = 0, 0, q.size-1, x
	d.poke(nic.RDH(q.index), 0)
	d.poke(nic.RDT(q.index), 0)
	d.poke(nic.SRRCTL(q.index), uint32(nic.Srrctl(x.cfg.UMEM.Room>>nic.SrrctlBSizeShift)|nic.SrrctlAdvOneBuf)|uint32(nic.SrrctlDropEN))
	d.poke(nic.RXDCTL(q.index), uint32(nic.DctlENABLE))
	x.postFirst()
}

// postFirst gives the NIC its first buffers.
func (x *XSK) postFirst() {
	if x.stock(0) > 0 {
		x.d.poke(nic.RDT(x.q.index), uint32(x.q.nextToUse))
	}
}

// refill is igb_alloc_rx_buffers_zc.
func (x *XSK) refill(c *CPU) {
	n := x.stock(c.clock.Now())
	if n == 0 {
		return
	}
	c.shared(cost.XskBuffAlloc, n, "")
	c.shared(cost.IgbAllocRxBuffers, 1, fmt1(c, "RDT = %d", x.q.nextToUse))
	x.d.write(c, nic.RDT(x.q.index), uint32(x.q.nextToUse))
}

// stock writes descriptors for all buffers that there are by the time now, and returns
// how many.
func (x *XSK) stock(now sim.Time) (n uint64) {
	q := x.q
	x.Fill.SetNeedWakeup(false)
	for q.cleaned > 0 {
		addr, a, ok := x.buffer(now, x.cfg.UMEM.Room)
		if !ok {
			break
		}
		q.buffers[q.nextToUse] = rxBuffer{addr: a, umem: addr}
		q.desc(q.nextToUse).Give(uint64(a))
		if q.nextToUse++; q.nextToUse == q.size {
			q.nextToUse = 0
		}
		q.cleaned--
		n++
	}
	if n > 0 {
		q.desc(q.nextToUse).Give(0)
	}
	return n
}

// receive is igb_clean_rx_irq_zc for one descriptor; it returns its frame if that goes up.
func (x *XSK) receive(c *CPU, h *xdpHook, at int, desc nic.RxDesc, tag *nic.Tag) *skb {
	buf, n := &x.q.buffers[at], desc.Len()
	if last := desc.Status()&nic.RxEOP != 0; x.pieces || !last {
		x.pieces = !last
		x.discard(c, h, buf, n, tag)
		return nil
	}
	ctx := &h.ctx
	start := buf.addr - xdp.Headroom
	room := x.k.mem.Bytes(start, xdp.Headroom+x.cfg.UMEM.Room)
	ctx.Reset(h, room[:len(room):len(room)], xdp.Headroom, xdp.Headroom+n)
	ctx.Queue, ctx.Ifindex = x.q.index, int(h.dev.index)
	if desc.Status()&nic.RxVP != 0 {
		ctx.VLAN, ctx.Tagged = desc.VLAN(), true
	}
	h.length = int32(n)
	a := ctx.Run(h.cfg.Program)
	h.stat.count(a)
	from, to := ctx.Bounds()
	f := rawFrame{tag.ID, tag.Arrived, start + mem.Addr(from), int32(to - from), int8(x.q.index)}
	h.ran(c, f.id)
	switch {
	case a == xdp.Redirect && ctx.Target().Socket:
		x.post(c, h, buf.umem, from, f)
		return nil
	case a == xdp.Drop || a >= xdp.NumActions || a == xdp.Aborted:
		why := cost.XDPDropped
		if a != xdp.Drop {
			why = cost.RSXDPAborted
		}
		h.lose(c, f, why)
		x.spare = append(x.spare, buf.umem)
		return nil
	}
	s := x.copyOut(c, h, f)
	x.spare = append(x.spare, buf.umem)
	if s == nil || a == xdp.Pass {
		return s
	}
	s.raw = true
	h.send(c, a, s)
	return nil
}

// discard gives back the buffer of a piece of a frame that is longer than a buffer, and
// drops the frame with its last one. RLPML, which is of all queues, may let such frames in.
func (x *XSK) discard(c *CPU, h *xdpHook, buf *rxBuffer, n int, tag *nic.Tag) {
	c.one(cost.IgbCleanRxXdp, c.ghost(tag.ID))
	x.spare = append(x.spare, buf.umem)
	if !x.pieces {
		x.stat.RxDropped++
		h.lose(c, rawFrame{tag.ID, tag.Arrived, buf.addr, int32(n), int8(x.q.index)}, cost.PktTooBig)
	}
}

// post is xsk_rcv_zc: the frame is in the process' memory already.
func (x *XSK) post(c *CPU, h *xdpHook, umem uint64, from int, f rawFrame) {
	c.one(cost.XdpDoRedirect, c.ghost(f.id))
	if x.Rx.Free() == 0 {
		x.stat.RxRingFull++
		x.stat.RxDropped++
		h.lose(c, f, cost.RSXSKRxFull)
		x.spare = append(x.spare, umem)
		return
	}
	c.one(cost.XskRcvZC, c.ghost(f.id))
	x.delivered(c, f.id, f.arrived, x.k.mem.Bytes(f.addr, int(f.length)))
	x.give(c, umem+uint64(from)-xdp.Headroom, int(f.length), xdp.Tag{ID: f.id, Arrived: f.arrived})
}

// copyOut is igb_construct_skb_zc: what does not go to the process needs a buffer of the
// kernel's.
func (x *XSK) copyOut(c *CPU, h *xdpHook, f rawFrame) *skb {
	s, err := x.k.allocSKB(int(f.length))
	if err != nil {
		h.lose(c, f, cost.NoMem)
		return nil
	}
	s.fill([][]byte{x.k.mem.Bytes(f.addr, int(f.length))})
	s.id, s.arrived, s.queue = f.id, f.arrived, f.queue
	c.many(cost.IgbConstructSkbZC, s, 1, uint64(f.length))
	return s
}

// xmit is igb_xmit_zc: frames off the send ring become descriptors. It says whether the
// poll may end: not while something of a later time waits on a ring, whose process has seen
// that the queue is polled and will not tell.
func (x *XSK) xmit(c *CPU) bool {
	d := x.d
	q := d.tx[x.cfg.Queue%len(d.tx)]
	if !x.Tx.Caught() {
		x.stat.TxInvalid++
	}
	posted := false
	for range x.Tx.Size() {
		free := q.nextToClean - q.nextToUse - 1
		if free < 0 {
			free += q.size
		}
		if free < xdpTxSpare || x.Comp.Free() <= x.sent {
			break
		}
		desc, t, ok := x.Tx.TakeDesc(c.clock.Now())
		if !ok {
			break
		}
		x.Tx.Release()
		a, ok := x.frame(c, desc, t)
		if !ok {
			continue
		}
		x.postFrame(c, q, a, desc, t)
		posted = true
	}
	if posted {
		d.doorbell(c, q)
	}
	now := c.clock.Now()
	if at, ok := x.Tx.Due(); ok && at > now {
		return false
	}
	at, ok := x.Fill.Due()
	return !ok || at <= now || x.q.cleaned == 0
}

// postFrame fills a descriptor with a frame of the UMEM.
func (x *XSK) postFrame(c *CPU, q *txQueue, a mem.Addr, desc xdp.Desc, t xdp.Tag) {
	s := x.k.newSKB()
	s.data, s.addr, s.block, s.length = x.k.mem.Bytes(a, int(desc.Len)), a, 0, int32(desc.Len)
	s.raw, s.umem = true, true
	c.one(cost.XskTxPeekDesc, s)
	x.begin(c, s, t)
	x.d.postRaw(c, q, s)
	x.sent++
}

// done gives the buffer of a frame that was sent back to the process.
func (x *XSK) done(c *CPU, s *skb) {
	x.sent--
	x.complete(c, x.cfg.UMEM.addrOf(s.addr))
	x.Comp.Publish()
	s.next, x.k.freeSKBs = x.k.freeSKBs, s
	x.k.skbs--
}
