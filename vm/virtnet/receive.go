package virtnet

import (
	"math/bits"

	"ringside/cost"
	"ringside/mem"
	"ringside/netstack"
	"ringside/offload"
	"ringside/sim"
	"ringside/virtio"
)

// A pair is a pair of queues. Descriptor i of a ring owns buffer i: what is to be
// known of a buffer is its number.
type pair struct {
	d          *Driver
	n          int
	rx, tx     *virtio.Ring
	rxAt, txAt mem.Addr // of buffer 0

	rxLies, txLies virtio.Layout
	stopped        bool // the stack waits for room to send
	packet         netstack.Packet
}

// Poll is virtnet_poll of every pair that was scheduled, beginning behind the one at
// which the last budget ended. It is guest.NIC.
func (d *Driver) Poll(budget int, deliver func(*netstack.Packet)) (n int, more bool) {
	begin := d.first
	d.first = 0
	for todo := d.scheduled; todo != 0; {
		i := bits.TrailingZeros32(todo)
		if later := todo >> begin << begin; later != 0 {
			i = bits.TrailingZeros32(later)
		}
		todo &^= 1 << i
		p := &d.pairs[i]
		d.cpu.Charge(cost.VirtnetPoll, 1)
		p.unstop()
		got := p.receive(budget-n, deliver)
		n += got
		if n < budget && p.complete() {
			d.scheduled &^= 1 << p.n
		}
		if n >= budget {
			d.first = i + 1
			break
		}
	}
	return n, d.scheduled != 0
}

// unstop takes back what was sent if sending had stopped, so that it is tried again.
func (p *pair) unstop() {
	if !p.stopped {
		return
	}
	p.tx.Driver.DisableCalls()
	p.freeOld()
	p.stopped = false
}

// complete is virtqueue_napi_complete: it wants calls again, and says whether the poll
// is over: something may have come meanwhile.
func (p *pair) complete() bool {
	p.d.cpu.Charge(cost.VirtnetCompleteDone, 1)
	more, at := p.rx.Driver.EnableCalls(p.d.cpu.Now())
	if more {
		p.rx.Driver.DisableCalls()
		return false
	}
	if at != sim.Never {
		p.d.dev.CallAt(p.n, false, at)
	}
	return true
}

// receive is virtnet_receive: it hands at most budget packets up and puts buffers back.
func (p *pair) receive(budget int, deliver func(*netstack.Packet)) (n int) {
	for n < budget {
		head, length, ok := p.rx.Driver.Get(p.d.cpu.Now())
		if !ok {
			break
		}
		n++
		if p.receiveBuf(head, length) {
			deliver(&p.packet)
		}
	}
	if err := p.rx.Driver.Err(); err != nil {
		p.d.fail(err)
		return n
	}
	p.refill(budget)
	return n
}

// refill is the end of a poll of so many packets at most: buffers that are missing are
// put back, if there are enough of them.
func (p *pair) refill(budget int) {
	if !p.refills(budget) {
		return
	}
	p.d.cpu.Charge(cost.VirtnetRefill, p.fill(p.d.cpu.Now()))
	if p.rx.Driver.KickNeeded() {
		p.d.dev.Kick(p.n, false)
	}
}

// refills says whether so many buffers are missing that the ring is filled up. A small
// one is always.
func (p *pair) refills(budget int) bool {
	free := p.rx.Driver.Free()
	return free > min(budget, p.rx.Size())/2 || free > 0 && p.rx.Size() < tsoRing
}

// receiveBuf is receive_buf: the packet that begins in the chain head, and has so many
// bytes there, becomes p.packet. False says that it is none.
func (p *pair) receiveBuf(head uint16, length uint32) bool {
	d := p.d
	tag := p.rx.Tag(head)
	d.dev.ChargeFrame(tag, cost.VirtnetReceiveBuf, 1, 0)
	first := p.buffer(head, length)
	if length < virtio.HdrLen {
		d.stat.RxErrors++
		return false
	}
	pk := &p.packet
	pk.Parts, pk.Len = append(pk.Parts[:0], first[virtio.HdrLen:]), int(length)-virtio.HdrLen
	buffers, plain := virtio.Plain(first)
	if buffers != 1 && d.features.Has(virtio.FMrgRxbuf) && !p.merge(tag, int(buffers)-1) {
		d.stat.RxErrors++
		return false
	}
	pk.Meta = offload.Meta{}
	if !plain && !p.readHdr(first) {
		d.stat.RxErrors++
		return false
	}
	return true
}

// plain is receiveBuf of a frame in one buffer with nothing left to do, as nearly all are:
// its bytes. Nil says that it is another, or none, and nothing was done.
func (p *pair) plain(head uint16, length uint32) []byte {
	d := p.d
	if d.touch != nil || length <= virtio.HdrLen {
		return nil
	}
	b := p.buffer(head, length)
	if buffers, plain := virtio.Plain(b); !plain || buffers != 1 {
		return nil
	}
	d.dev.ChargeFrame(p.rx.Tag(head), cost.VirtnetReceiveBuf, 1, 0)
	return b[virtio.HdrLen:]
}

// readHdr reads what travels beside the packet that is being received, and says whether
// that can be.
func (p *pair) readHdr(first []byte) bool {
	m, _, err := virtio.ParseHdr(first, p.packet.Len)
	p.packet.Meta = m
	return err == nil && p.d.features.FromDevice(m)
}

// merge adds the further buffers of the packet that is being received, and says whether
// they were there.
func (p *pair) merge(tag virtio.Tag, further int) bool {
	if further < 0 {
		return false
	}
	p.d.dev.ChargeFrame(tag, cost.VirtnetAddFrag, uint64(further), 0)
	pk := &p.packet
	for range further {
		head, length, ok := p.rx.Driver.Get(p.d.cpu.Now())
		if !ok {
			return false
		}
		pk.Parts, pk.Len = append(pk.Parts, p.buffer(head, length)), pk.Len+int(length)
	}
	return true
}

// buffer is the first n bytes of the buffer of a receive descriptor, which has them:
// the ring has checked that.
func (p *pair) buffer(head uint16, n uint32) []byte {
	at := p.rxAt + mem.Addr(head)*mem.Addr(p.d.buffer)
	if p.d.touch != nil {
		p.d.touched(p.rxLies, head, at, int(n))
	}
	return p.d.mem.Bytes(at, int(n))
}

// fill is try_fill_recv: every free descriptor of the receive ring gets its buffer. It
// returns how many there were.
func (p *pair) fill(now sim.Time) uint64 {
	return uint64(p.rx.Driver.AddOwn(now, p.rxAt, p.d.buffer))
}
