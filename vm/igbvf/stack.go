package igbvf

import (
	"ringside/cost"
	"ringside/netstack"
	"ringside/nic"
	"ringside/vm/guest"
)

// A StackNIC is a driver below a guest's stack. It is guest.NIC. The VF does nothing for
// the stack: no checksum is left to it and nothing is cut.
type StackNIC struct {
	d       *Driver
	packet  netstack.Packet
	deliver func(*netstack.Packet)
	take    func([]byte, nic.Tag)
}

var _ guest.NIC = (*StackNIC)(nil)

// Stack is the driver below a stack.
func (d *Driver) Stack() *StackNIC {
	n := &StackNIC{d: d}
	n.take = func(data []byte, t nic.Tag) {
		d.dev.Received(t, data)
		n.packet = netstack.Packet{Parts: append(n.packet.Parts[:0], data), Len: len(data)}
		n.deliver(&n.packet)
	}
	return n
}

// Features is none.
func (n *StackNIC) Features() guest.Features { return guest.Features{} }

// Interrupt is Driver's.
func (n *StackNIC) Interrupt(vector int) bool { return n.d.Interrupt(vector) }

// Poll is igbvf_poll.
func (n *StackNIC) Poll(budget int, deliver func(*netstack.Packet)) (got int, more bool) {
	d := n.d
	d.cpu.Charge(cost.IgbvfPoll, 1)
	d.cleanTx()
	n.deliver = deliver
	got = d.cleanRx(budget, n.take)
	return got, !d.complete()
}

// Transmit is igbvf_xmit_frame: the frame is put together in a buffer of the ring's, and
// the device is told.
func (n *StackNIC) Transmit(p *netstack.Packet) bool {
	d := n.d
	switch {
	case p.Len > maxFrame || p.Len < 14 || !p.Meta.Plain():
		d.stat.TxErrors++
		return true
	case !d.room():
		return false
	}
	to := d.slot(p.Len)
	for _, part := range p.Parts {
		to = to[copy(to, part):]
	}
	d.post(p.Len)
	d.flush()
	return true
}
