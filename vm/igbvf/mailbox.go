package igbvf

import (
	"encoding/binary"

	"ringside/cost"
	"ringside/nic"
)

// maxWaiting bounds the messages that wait for the mailbox.
const maxWaiting = 16

// A mailbox sends messages to the PF, one at a time: the next goes when the last was
// answered.
type mailbox struct {
	waiting [][]uint32
	asked   bool // a message was sent and not answered
}

// reset is e1000_reset_hw_vf: the PF is asked to let the VF go, and tells its address.
func (m *mailbox) reset(d *Driver) bool {
	if d.dev.Read(nic.V2PMAILBOX)&nic.V2PRSTI != 0 {
		return false
	}
	m.asked = false
	m.send(d, []uint32{nic.MsgReset})
	words, ok := m.answer(d)
	if !ok || words[0]&nic.MsgTypeMask != nic.MsgReset || words[0]&nic.MsgACK == 0 {
		return false
	}
	binary.LittleEndian.PutUint32(d.mac[:], words[1])
	binary.LittleEndian.PutUint16(d.mac[4:], uint16(words[2]))
	return true
}

// ask sends a message as soon as it can. Before the machine runs the answer is there at
// once.
func (m *mailbox) ask(d *Driver, words ...uint32) {
	if m.asked {
		if len(m.waiting) < maxWaiting {
			m.waiting = append(m.waiting, words)
		}
		return
	}
	if d.cpu.Now() > 0 {
		d.cpu.Charge(cost.IgbvfMailbox, 1)
	}
	m.send(d, words)
	m.look(d)
}

// send is e1000_write_mbx_vf.
func (m *mailbox) send(d *Driver, words []uint32) {
	d.dev.Write(nic.V2PMAILBOX, nic.V2PVFU)
	for i, w := range words {
		d.dev.Write(nic.VTMBMEM+4*uint32(i), w)
	}
	m.asked = true
	d.dev.Write(nic.V2PMAILBOX, nic.V2PREQ)
}

// answer takes what the PF has sent, if it has.
func (m *mailbox) answer(d *Driver) (words [3]uint32, ok bool) {
	if d.dev.Read(nic.V2PMAILBOX)&nic.V2PPFSTS == 0 {
		return words, false
	}
	for i := range words {
		words[i] = d.dev.Read(nic.VTMBMEM + 4*uint32(i))
	}
	d.dev.Write(nic.V2PMAILBOX, nic.V2PACK)
	m.asked = false
	return words, true
}

// look takes an answer if it is there.
func (m *mailbox) look(d *Driver) {
	if words, ok := m.answer(d); ok && words[0]&nic.MsgACK == 0 {
		d.stat.Refused++
	}
}

// interrupt takes the answer, and sends what waits.
func (m *mailbox) interrupt(d *Driver) {
	m.look(d)
	if !m.asked && len(m.waiting) > 0 {
		words := m.waiting[0]
		m.waiting = m.waiting[1:]
		m.ask(d, words...)
	}
}
