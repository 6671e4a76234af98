package kernel

import "ringside/cost"

// The way in as it was before NAPI (Batching.Interrupts PerFrame). The line is
// level-triggered, as that of a PCI device was: it stays asserted while there is
// something on the ring, and the CPU comes back to the handler before it does
// anything else.
//
//	hard interrupt: one frame ─► netif_rx ─► backlog ═ softirq ═► process_backlog ─► bridge
//
// A frame that finds the backlog full has cost its interrupt already. That is
// receive livelock: beyond some rate there is time for nothing but to take frames
// in and throw them away.

// onePerFrame is the handler of vector v.
func (d *driver) onePerFrame(c *CPU, v int) {
	q, tx := d.rx[v], d.tx[v]
	d.dev.CatchUp(c.clock.Now())
	if !q.due(c, d) && !tx.due() && !q.empty() {
		return // somebody was here before: the line has fallen again
	}
	c.shared(cost.IgbMsixRing, 1, fmt1(c, "vector %d", v))
	d.cleanTx(c, tx)
	if d.cleanRx(c, q, c.list[:1]) == 1 {
		c.netifRx(d.net, c.list[0])
	}
	if q.cleaned > 0 && (q.cleaned >= min(rxRefill, q.size/2) || q.empty()) {
		d.refill(c, q)
	}
	if q.due(c, d) {
		c.irqs = append(c.irqs, irq{d: d, vector: v})
	}
}

// pending says that the vector's interrupt waits for the CPU already.
func (c *CPU) pending(d *driver, v int) bool {
	for _, i := range c.irqs {
		if i.d == d && i.vector == v && i.kind == irqDevice {
			return true
		}
	}
	return false
}

// due says that a frame is on the ring by the CPU's time.
func (q *rxQueue) due(c *CPU, d *driver) bool {
	return q.desc(q.nextToClean).Done() && d.dev.RxTags(q.index)[q.nextToClean].Done <= c.clock.Now()
}

// due says that a frame was sent whose skb can be freed.
func (q *txQueue) due() bool {
	for i := q.nextToClean; i != q.nextToUse; i = (i + 1) % q.size {
		if q.pending[i] != nil {
			return q.desc(i).Done()
		}
	}
	return false
}
