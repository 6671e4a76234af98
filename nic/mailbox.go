package nic

import "ringside/sim"

// A mailbox is sixteen words between the PF and a VF, and who has them. A message is
// written by whoever has taken the buffer, and announced; the other reads it and says
// so.
//
//	VF   V2PMAILBOX: VFU, REQ ──► MBVFICR.VFREQ, ICR.VMMB ──► PF
//	VF   PFSTS, PFACK, its interrupt ◄── P2VMAILBOX: PFU, STS, ACK   PF
type mailbox struct {
	words    [MailboxLen]uint32
	vfu, pfu bool   // who has taken the buffer
	flags    uint32 // V2PPFSTS, V2PPFACK: until the VF reads them
	told     bool   // the VF has read RSTD
}

// reset is what a reset of the VF does: the words stay.
func (m *mailbox) reset() { *m = mailbox{words: m.words, told: m.told} }

// readV2P is a read of V2PMAILBOX, while the PF is there or not.
func (m *mailbox) readV2P(ready bool) uint32 {
	v := m.flags
	m.flags = 0
	if m.vfu {
		v |= V2PVFU
	}
	if m.pfu {
		v |= V2PPFU
	}
	switch {
	case !ready:
		v |= V2PRSTI
		m.told = false
	case !m.told:
		v |= V2PRSTD
		m.told = true
	}
	return v
}

// fromVFMailbox is a write of V2PMAILBOX.
func (n *NIC) fromVFMailbox(vf int, v uint32, now sim.Time) {
	m := &n.vt.boxes[vf]
	m.vfu = v&V2PVFU != 0 && !m.pfu
	causes := uint32(0)
	if v&V2PREQ != 0 {
		causes |= 1 << vf
	}
	if v&V2PACK != 0 {
		causes |= 1 << (vf + mbAckShift)
	}
	if causes == 0 {
		return
	}
	n.vt.mbvficr |= causes
	n.mailboxCause(vf, now)
}

// mailboxCause tells the PF that it is to look at a VF, if MBVFIMR lets it.
func (n *NIC) mailboxCause(vf int, now sim.Time) {
	if n.vt.mbvfimr>>vf&1 != 0 {
		n.legacy(IcrVMMB, now)
	}
}

// readP2V is a read of P2VMAILBOX.
func (m *mailbox) readP2V() (v uint32) {
	if m.vfu {
		v |= P2VVFU
	}
	if m.pfu {
		v |= P2VPFU
	}
	return v
}

// toVF is a write of P2VMAILBOX.
func (n *NIC) toVF(vf int, v uint32, now sim.Time) {
	m := &n.vt.boxes[vf]
	if v&P2VRVFU != 0 {
		m.vfu = false
	}
	m.pfu = v&P2VPFU != 0 && !m.vfu
	was := m.flags
	if v&P2VSTS != 0 {
		m.flags |= V2PPFSTS
	}
	if v&P2VACK != 0 {
		m.flags |= V2PPFACK
	}
	if m.flags != was && vf < len(n.vt.vfs) {
		f := n.vt.vfs[vf]
		n.irq.raise(f.bit(f.misc), now)
	}
}
