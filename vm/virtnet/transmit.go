package virtnet

import (
	"ringside/cost"
	"ringside/mem"
	"ringside/netstack"
	"ringside/sim"
	"ringside/virtio"
)

// Transmit is start_xmit: the packet is copied into pages of the guest's memory and
// given to the device. False says that the ring is full; the device calls when most of
// it is free again. It is guest.NIC.
func (d *Driver) Transmit(pk *netstack.Packet) bool {
	if !d.ready() {
		return true
	}
	p := d.pairFor(pk.Parts[0])
	if !p.post(pk) {
		return false
	}
	p.kick()
	return true
}

// ready sets the device up, if that was not done before, and says whether it works.
func (d *Driver) ready() bool {
	if !d.probed {
		if err := d.probe(); err != nil {
			d.cpu.Fail(err)
		}
	}
	return len(d.pairs) > 0
}

// pairFor is the pair of queues that a frame is sent on.
func (d *Driver) pairFor(head []byte) *pair {
	if len(d.pairs) == 1 {
		return &d.pairs[0]
	}
	return &d.pairs[uint64(virtio.FlowHash(head))*uint64(len(d.pairs))>>32]
}

// kick tells the device of what was posted, if it wants to know.
func (p *pair) kick() {
	if p.tx.Driver.KickNeeded() {
		p.d.dev.Kick(p.n, true)
	}
}

// post puts a packet on the ring. False says that there is no room.
func (p *pair) post(pk *netstack.Packet) bool {
	d := p.d
	p.freeOld()
	n := (pk.Len + virtio.HdrLen + mem.PageSize - 1) / mem.PageSize
	if n > p.tx.Size() || !d.allowed(pk.Meta) {
		d.stat.TxErrors++
		return true
	}
	if p.tx.Driver.Free() < n && !p.room(n) {
		return false
	}
	d.cpu.Charge(cost.VirtnetXmit, 1)
	p.tx.Driver.Add(d.cpu.Now(), p.copy(pk, n), nil)
	return true
}

// copy puts a packet and its header into the pages of the n descriptors that the next
// chain will have.
func (p *pair) copy(pk *netstack.Packet, n int) []virtio.Buffer {
	w := p.d.work
	w.heads, w.bufs = p.tx.Driver.Ahead(w.heads[:0], n), w.bufs[:0]
	left := pk.Len + virtio.HdrLen
	part, off := 0, 0
	for i, desc := range w.heads {
		at, room := p.txAt+mem.Addr(desc)*mem.PageSize, min(left, mem.PageSize)
		page := p.d.mem.Bytes(at, room)
		if p.d.touch != nil {
			p.d.touched(p.txLies, desc, at, room)
		}
		w.bufs = append(w.bufs, virtio.Buffer{Addr: at, Len: uint32(room)})
		left -= room
		if i == 0 {
			virtio.PutHdr(page, pk.Meta, 0)
			page = page[virtio.HdrLen:]
		}
		for len(page) > 0 && part < len(pk.Parts) {
			k := copy(page, pk.Parts[part][off:])
			page = page[k:]
			if off += k; off == len(pk.Parts[part]) {
				part, off = part+1, 0
			}
		}
	}
	return w.bufs
}

// room stops sending when there are not n free descriptors: it wants a call when three
// quarters of what is in flight were sent. It says whether there is room after all.
func (p *pair) room(n int) bool {
	for {
		more, at := p.tx.Driver.EnableCallsDelayed(p.d.cpu.Now())
		if !more {
			if at != sim.Never {
				p.d.dev.CallAt(p.n, true, at)
			}
			p.stopped = true
			return false
		}
		p.freeOld()
		if p.tx.Driver.Free() >= n {
			p.tx.Driver.DisableCalls()
			return true
		}
	}
}

// freeOld is free_old_xmit: what was sent is free again.
func (p *pair) freeOld() {
	n := uint64(0)
	now := p.d.cpu.Now()
	for {
		if _, _, ok := p.tx.Driver.Get(now); !ok {
			break
		}
		n++
	}
	if n > 0 {
		p.d.cpu.Charge(cost.VirtnetFreeOld, n)
	}
	if err := p.tx.Driver.Err(); err != nil {
		p.d.fail(err)
	}
}
