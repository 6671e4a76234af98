package dpdk

import (
	"ringside/cost"
	"ringside/mem"
	"ringside/nic"
	"ringside/sim"
	"ringside/trace"
	"ringside/vswitch"
)

// An rxQueue is a receive ring. Every descriptor has an mbuf, whether it is with the
// device or not; the device has not been told of the last held ones.
type rxQueue struct {
	base  mem.Addr
	ring  []byte
	size  int
	next  int // the next that the device is to write
	held  int
	mbufs []*vswitch.Mbuf
	tags  []nic.Tag
}

func (q *rxQueue) desc(i int) nic.RxDesc {
	return nic.RxDesc(q.ring[i*nic.DescSize : (i+1)*nic.DescSize : (i+1)*nic.DescSize])
}

func (q *rxQueue) after(i int) int {
	if i++; i == q.size {
		return 0
	}
	return i
}

// due is when the frame at the ring's next descriptor is there, sim.Never if it is not
// known of.
func (q *rxQueue) due() sim.Time {
	if !q.desc(q.next).Done() {
		return sim.Never
	}
	return q.tags[q.next].Done
}

func (d *Device) setUpRx(i int) error {
	n := d.cfg.RxRing
	q := &d.rx[i]
	*q = rxQueue{size: n, mbufs: make([]*vswitch.Mbuf, n)}
	var err error
	if q.base, q.ring, err = d.ring(n); err != nil {
		return err
	}
	for at := range n {
		m := d.cfg.Pool.Get()
		if m == nil {
			return vswitch.ErrPool
		}
		q.mbufs[at] = m
		q.desc(at).Give(uint64(m.Addr))
	}
	d.poke(nic.RDBAL(i), uint32(q.base))
	d.poke(nic.RDBAH(i), uint32(q.base>>32))
	d.poke(nic.RDLEN(i), uint32(n*nic.DescSize))
	srrctl := nic.Srrctl(vswitch.DataRoom>>nic.SrrctlBSizeShift) | nic.SrrctlAdvOneBuf
	if d.cfg.DropEn {
		srrctl |= nic.SrrctlDropEN
	}
	d.poke(nic.SRRCTL(i), uint32(srrctl))
	d.poke(nic.RXDCTL(i), uint32(nic.DctlENABLE))
	d.poke(nic.RDT(i), uint32(n-1))
	q.tags = d.nic.RxTags(i)
	return nil
}

// Receive is eth_igb_recv_pkts: frames whose descriptors have DD become the burst, and
// another mbuf takes the place of each.
func (p *Port) Receive(burst []*vswitch.Mbuf) int {
	now, q, n := p.core.Now(), p.rx, 0
	if p.quiet <= now {
		p.dev.nic.CatchUp(now)
	}
	for ; n < len(burst); n++ {
		d := q.desc(q.next)
		if !d.Done() || q.tags[q.next].Done > now {
			break
		}
		fresh := p.dev.cfg.Pool.Get()
		if fresh == nil {
			break
		}
		m, tag := q.mbufs[q.next], q.tags[q.next]
		m.Data = m.Data[:d.Len()]
		m.ID, m.Arrived = tag.ID, tag.Arrived
		q.mbufs[q.next] = fresh
		d.Give(uint64(fresh.Addr))
		q.next = q.after(q.next)
		burst[n] = m
	}
	if n == 0 {
		p.core.Charge(cost.RteEthRxIdle, 1)
		return 0
	}
	p.charge(burst[:n])
	if q.held += n; q.held >= p.dev.cfg.FreeThresh {
		q.held, p.quiet = 0, 0
		p.core.Charge(cost.EthIgbRxDoorbell, 1)
		p.write(nic.RDT(p.q), (q.next+q.size-1)%q.size)
		p.released()
	}
	return n
}

// released tells the device's other ports that it has buffers again: one queue without
// may have stalled all.
func (p *Port) released() {
	if len(p.dev.ports) == 1 {
		return
	}
	for _, o := range p.dev.ports {
		if o != p {
			o.arrived()
		}
	}
}

// charge is what a burst has cost.
func (p *Port) charge(burst []*vswitch.Mbuf) {
	if p.touch != nil {
		for _, m := range burst {
			p.touch.Touch(m.Addr, headerBytes)
		}
	}
	p.core.Charge(cost.RteEthRxBurst, 1)
	vswitch.Each(p.core, cost.EthIgbRecvPkts, burst)
	if p.dev.cfg.Scalar {
		vswitch.Each(p.core, cost.RteMbufRawAlloc, burst)
	}
	if !p.core.Watched() {
		return
	}
	for _, m := range burst {
		p.core.Show(&trace.Frame{ID: m.ID, Point: trace.Driver, Queue: int32(p.q), Port: p.i, VM: -1, Len: len(m.Data), Data: m.Data})
	}
}

// headerBytes is as much of a frame as a switch looks at.
const headerBytes = 64

// write writes a register at the core's time.
func (p *Port) write(reg uint32, v int) {
	if err := p.dev.nic.Write(reg, uint32(v), p.core.Now()); err != nil {
		p.core.Fail(err)
	}
}
