package igbvf

import (
	"ringside/cost"
	"ringside/nic"
	"ringside/virtio"
	"ringside/vm/raw"
)

// A RawNIC is a driver below a program, without a stack between. It is raw.NIC.
type RawNIC struct {
	d  *Driver
	to []raw.Frame
	// take appends to to; made once.
	take func([]byte, nic.Tag)
}

var _ raw.NIC = (*RawNIC)(nil)

// Raw is the driver below a program.
func (d *Driver) Raw() *RawNIC {
	n := &RawNIC{d: d}
	n.take = func(data []byte, t nic.Tag) {
		d.dev.Received(t, data)
		n.to = append(n.to, raw.Frame{Data: data, Tag: virtio.Tag{ID: t.ID, Arrived: t.Arrived}})
	}
	return n
}

// Interrupt is Driver's.
func (n *RawNIC) Interrupt(vector int) bool { return n.d.Interrupt(vector) }

// Receive is igbvf_poll. The frames lie where the device has put them.
func (n *RawNIC) Receive(budget int, to []raw.Frame) []raw.Frame {
	d := n.d
	if d.stopped {
		return to
	}
	d.cpu.Charge(cost.IgbvfPoll, 1)
	d.cleanTx()
	n.to = to
	d.cleanRx(budget, n.take)
	to, n.to = n.to, nil
	return to
}

// Complete is the end of the poll.
func (n *RawNIC) Complete() bool { return n.d.stopped || n.d.complete() }

// Transmit copies a frame into a buffer of the ring's.
func (n *RawNIC) Transmit(frame []byte) bool {
	d := n.d
	switch {
	case d.stopped:
		return true
	case len(frame) > maxFrame || len(frame) < 14:
		d.stat.TxErrors++
		return true
	case !d.room():
		return false
	}
	copy(d.slot(len(frame)), frame)
	d.post(len(frame))
	return true
}

// Flush is the doorbell. A program that waits for room is told of it by an interrupt,
// even in the middle of a poll.
func (n *RawNIC) Flush() {
	d := n.d
	d.flush()
	if d.blocked && !d.stopped {
		d.blocked = false
		d.dev.Write(nic.EIMS, 1<<queueVec)
	}
}

// Stop resets the VF.
func (n *RawNIC) Stop() { n.d.stop() }

// stop is igbvf_down: nothing comes in or goes out any more.
func (d *Driver) stop() {
	d.stopped = true
	d.dev.Write(nic.VTCTRL, uint32(nic.CtrlRST))
}
