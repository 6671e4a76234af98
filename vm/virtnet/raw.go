package virtnet

import (
	"math/bits"

	"ringside/cost"
	"ringside/netstack"
	"ringside/virtio"
	"ringside/vm/raw"
)

// RawOff is the features that a driver below a program must not ask for, as Config.Off:
// the program wants whole frames with nothing left to do on them.
const RawOff = virtio.FCSUM | virtio.FGuestCSUM | virtio.FHostTSO4 | virtio.FHostTSO6 | virtio.FGuestTSO4 | virtio.FGuestTSO6

// A RawNIC is a driver below a program, without a stack between. It is raw.NIC.
type RawNIC struct {
	d      *Driver
	polled uint32 // pairs of the present poll, by bit
	short  uint32 // of them, those on which there was no more
	kicks  uint32 // pairs that were sent on since Flush
	packet netstack.Packet
	linear []byte // bytes of frames that came in several buffers
}

var _ raw.NIC = (*RawNIC)(nil)

// Raw is the driver as a program's kernel sees it.
func (d *Driver) Raw() *RawNIC { return &RawNIC{d: d} }

// Interrupt is Driver's.
func (n *RawNIC) Interrupt(vector int) bool { return n.d.Interrupt(vector) }

// Receive is virtnet_poll of every pair that was scheduled, beginning behind the one at
// which the last budget ended.
func (n *RawNIC) Receive(budget int, to []raw.Frame) []raw.Frame {
	d := n.d
	begin, most := d.first, len(to)+budget
	d.first, n.polled, n.short, n.linear = 0, 0, 0, n.linear[:0]
	for todo := d.scheduled; todo != 0 && len(to) < most; {
		i := bits.TrailingZeros32(todo)
		if later := todo >> begin << begin; later != 0 {
			i = bits.TrailingZeros32(later)
		}
		todo &^= 1 << i
		p := &d.pairs[i]
		n.polled |= 1 << i
		d.cpu.Charge(cost.VirtnetPoll, 1)
		p.unstop()
		if to = n.receive(p, most, to); len(to) < most {
			n.short |= 1 << i
		} else {
			d.first = i + 1
		}
	}
	return to
}

// receive is virtnet_receive of a pair, until there are so many frames.
func (n *RawNIC) receive(p *pair, most int, to []raw.Frame) []raw.Frame {
	now := p.d.cpu.Now()
	for len(to) < most {
		head, length, ok := p.rx.Driver.Get(now)
		if !ok { // by then; what was done since has taken time
			if now = p.d.cpu.Now(); !p.rx.Driver.Pending(now) {
				break
			}
			continue
		}
		if b := p.plain(head, length); b != nil {
			to = append(to, raw.Frame{Data: b, Tag: p.rx.Tag(head)})
		} else if p.receiveBuf(head, length) {
			to = append(to, raw.Frame{Data: n.whole(p.packet.Parts), Tag: p.rx.Tag(head)})
		}
	}
	if err := p.rx.Driver.Err(); err != nil {
		p.d.fail(err)
	}
	return to
}

// whole is a frame's bytes in one piece.
func (n *RawNIC) whole(parts [][]byte) []byte {
	if len(parts) == 1 {
		return parts[0]
	}
	at := len(n.linear)
	for _, b := range parts {
		n.linear = append(n.linear, b...)
	}
	return n.linear[at:len(n.linear):len(n.linear)]
}

// Complete puts buffers back and ends the poll of the pairs on which there is no more.
func (n *RawNIC) Complete() bool {
	d := n.d
	for todo := n.polled; todo != 0; todo &= todo - 1 {
		p := &d.pairs[bits.TrailingZeros32(todo)]
		p.refill(p.rx.Size())
		if n.short&(1<<p.n) != 0 && p.complete() {
			d.scheduled &^= 1 << p.n
		}
	}
	return d.scheduled == 0
}

// Transmit copies the frame into the device's queue; Flush kicks.
func (n *RawNIC) Transmit(frame []byte) bool {
	d := n.d
	if !d.ready() {
		return true
	}
	pk := &n.packet
	pk.Parts, pk.Len = append(pk.Parts[:0], frame), len(frame)
	p := d.pairFor(frame)
	p.unstop()
	n.kicks |= 1 << p.n
	return p.post(pk)
}

// Flush is the doorbell of every pair that was sent on.
func (n *RawNIC) Flush() {
	for ; n.kicks != 0; n.kicks &= n.kicks - 1 {
		n.d.pairs[bits.TrailingZeros32(n.kicks)].kick()
	}
}

// Stop resets the device.
func (n *RawNIC) Stop() {
	n.d.dev.Reset()
	n.d.pairs, n.d.scheduled, n.kicks = nil, 0, 0
}
