package nic

import (
	"fmt"

	"ringside/sim"
)

// registers are the plain ones: what was written is what is read.
type registers struct {
	ctrl    Ctrl
	ctrlExt CtrlExt
	vet     uint32
	rctl    Rctl
	tctl    Tctl
	tipg    uint32
	dtxctl  uint32
	rxcsum  Rxcsum
	rlpml   uint32
	rfctl   uint32
	mrqc    Mrqc
	mta     [MTAWords]uint32
	ral     [MaxAddrs]uint32
	rah     [MaxAddrs]uint32
	reta    [RETAWords]uint32
	rssrk   [RSSRKWords]uint32
}

// Read reads a register at the time now.
func (n *NIC) Read(reg uint32, now sim.Time) (uint32, error) {
	n.catchUp(now)
	v, err := n.read(reg, now)
	n.rearm()
	return v, err
}

// Write writes a register at the time now.
func (n *NIC) Write(reg, v uint32, now sim.Time) error {
	n.catchUp(now)
	err := n.write(reg, v, now)
	n.rearm()
	return err
}

func (n *NIC) read(reg uint32, now sim.Time) (uint32, error) {
	if q, off, ok := queueOf(reg, 0x2800, 0xC000); ok && q < n.queues && rxNames[off] != "" {
		return n.readRx(q, off), nil
	}
	if q, off, ok := queueOf(reg, 0x3800, 0xE000); ok && q < n.queues && txNames[off] != "" {
		return n.readTx(q, off), nil
	}
	i := &n.irq
	switch reg {
	case CTRL:
		return uint32(n.ctrl), nil
	case STATUS:
		return uint32(n.status()), nil
	case CTRL_EXT:
		return uint32(n.ctrlExt), nil
	case VET:
		return n.vet, nil
	case RCTL:
		return uint32(n.rctl), nil
	case TCTL:
		return uint32(n.tctl), nil
	case TIPG:
		return n.tipg, nil
	case DTXCTL:
		return n.dtxctl, nil
	case RXPBS:
		return uint32(n.fifo.room >> 10), nil
	case TXPBS:
		return txFIFO >> 10, nil
	case RXCSUM:
		return uint32(n.rxcsum), nil
	case RLPML:
		return n.rlpml, nil
	case RFCTL:
		return n.rfctl, nil
	case MRQC:
		return uint32(n.mrqc), nil
	case VT_CTL:
		if n.vt != nil {
			return uint32(n.vt.vtCtl), nil
		}
		return 0, nil
	case ICR, ICR2:
		v := i.icr
		i.icr = 0
		return v, nil
	case IMS, IMS2:
		return i.ims, nil
	case IAM, IAM2:
		return i.iam, nil
	case GPIE:
		return uint32(i.gpie), nil
	case EIMS:
		return i.eims, nil
	case EIAC:
		return i.eiac, nil
	case EIAM:
		return i.eiam, nil
	case EICR:
		return i.eicr, nil
	case IVAR_MISC:
		return i.ivarMisc, nil
	case ICS, ICS2, IMC, IMC2, EICS, EIMC:
		n.wrong(now, reg, -1, -1, 0, "read of a write-only register")
		return 0, fmt.Errorf("nic: read of %s: %w", RegisterName(reg), ErrWriteOnly)
	}
	if v, ok := n.stats.read(reg); ok {
		return v, nil
	}
	if n.vt != nil {
		if v, ok := n.vt.read(reg); ok {
			return v, nil
		}
	}
	if p := n.word(reg); p != nil {
		return *p, nil
	}
	if v, ok := rowOf(reg, EITR(0), Vectors); ok {
		return uint32(i.vectors[v].eitr), nil
	}
	n.wrong(now, reg, -1, -1, 0, "read of an unknown register")
	return 0, fmt.Errorf("nic: read of %s: %w", RegisterName(reg), ErrNoRegister)
}

// word is the place of a register in a table of plain words, nil if reg is none.
func (n *NIC) word(reg uint32) *uint32 {
	if i, ok := rowOf(reg, MTA(0), MTAWords); ok {
		return &n.mta[i]
	}
	if i, high, ok := addrOf(reg); ok {
		if high {
			return &n.rah[i]
		}
		return &n.ral[i]
	}
	if i, ok := rowOf(reg, RETA(0), RETAWords); ok {
		return &n.reta[i]
	}
	if i, ok := rowOf(reg, RSSRK(0), RSSRKWords); ok {
		return &n.rssrk[i]
	}
	if i, ok := rowOf(reg, IVAR(0), 8); ok {
		return &n.irq.ivar[i]
	}
	return nil
}

func (n *NIC) write(reg, v uint32, now sim.Time) error {
	if q, off, ok := queueOf(reg, 0x2800, 0xC000); ok && q < n.queues && rxNames[off] != "" {
		return n.writeRx(reg, q, off, v, now)
	}
	if q, off, ok := queueOf(reg, 0x3800, 0xE000); ok && q < n.queues && txNames[off] != "" {
		return n.writeTx(reg, q, off, v, now)
	}
	if n.vt != nil {
		if n.writeVT(reg, v, now) {
			return nil
		}
		defer n.vt.changed()
	}
	i := &n.irq
	switch reg {
	case EIMS:
		if i.gpie&GpieMultipleMSIX == 0 {
			n.wrong(now, reg, -1, -1, v, "unmasked without GPIE.Multiple_MSIX: single-vector modes are not modelled, no message goes out")
		}
		i.unmask(v&vectorMask, now)
	case EIMC:
		i.mask(v)
	case EICS:
		i.raise(v&vectorMask, now)
		if i.gpie&GpieEIAME == 0 {
			i.unmask(v&i.eiam&vectorMask, now)
		}
	case EICR:
		i.clear(v)
		if i.gpie&GpieEIAME == 0 {
			i.mask(v & i.eiam)
		}
	case EIAC:
		i.eiac = v & vectorMask
	case EIAM:
		i.eiam = v & vectorMask
	case GPIE:
		i.gpie = Gpie(v)
		i.plan()
	case IVAR_MISC:
		i.ivarMisc = v
		n.checkIvar(reg, v, 2, now)
	case ICR, ICR2:
		i.icr &^= v
	case ICS, ICS2:
		n.legacy(v, now)
	case IMS, IMS2:
		i.ims |= v
		if i.icr&v != 0 {
			i.raise(ivarBit(i.ivarMisc>>8), now)
		}
	case IMC, IMC2:
		i.ims &^= v
	case IAM, IAM2:
		i.iam = v
	case CTRL:
		if Ctrl(v)&CtrlRST != 0 {
			n.abort(now)
			n.reset()
			break
		}
		n.ctrl = Ctrl(v)
	case CTRL_EXT:
		n.ctrlExt = CtrlExt(v)
	case VET:
		n.vet = v
	case RCTL:
		n.writeRctl(Rctl(v), now)
	case TCTL:
		n.tctl = Tctl(v)
		n.transmitAll(now)
	case TIPG:
		n.tipg = v
	case DTXCTL:
		n.dtxctl = v
	case RXCSUM:
		n.rxcsum = Rxcsum(v)
		n.limit()
	case RLPML:
		n.rlpml = v & 0x3FFF
		n.limit()
	case RFCTL:
		n.rfctl = v
	case MRQC:
		n.mrqc, n.rssFields = Mrqc(v), 0
		if n.mrqc&MrqcModeMask == MrqcRSS {
			n.rssFields = n.mrqc &^ 0xFFFF
		}
		m := n.mrqc & MrqcModeMask
		if n.vt != nil {
			n.vt.on = m == MrqcVMDq
		}
		if m != 0 && m != MrqcRSS && !(n.vt != nil && n.vt.on) {
			n.wrong(now, reg, -1, -1, v, "virtualization modes are not modelled; one queue is used")
		}
	case VT_CTL:
		if v != 0 {
			n.wrong(now, reg, -1, -1, v, "virtualization is not modelled; ignored")
		}
	default:
		return n.writeRow(reg, v, now)
	}
	return nil
}

// writeRow writes a register of a table, or refuses.
func (n *NIC) writeRow(reg, v uint32, now sim.Time) error {
	if vec, ok := rowOf(reg, EITR(0), Vectors); ok {
		n.irq.throttle(vec, Eitr(v), now)
		return nil
	}
	if p := n.word(reg); p != nil {
		*p = v
		n.wroteRow(reg, v, now)
		return nil
	}
	if s := statNames[reg]; s != "" || reg == STATUS || reg == RXPBS || reg == TXPBS {
		n.wrong(now, reg, -1, -1, v, "write to a read-only register")
		return fmt.Errorf("nic: write to %s: %w", RegisterName(reg), ErrReadOnly)
	}
	what := "write to an unknown register"
	if _, ok := rowOf(reg, EITR(Vectors), 32-Vectors); ok {
		what = "throttle of a vector that does not exist"
	}
	n.wrong(now, reg, -1, -1, v, what)
	return fmt.Errorf("nic: write to %s: %w", RegisterName(reg), ErrNoRegister)
}

// wroteRow follows up on a table that has a meaning of its own.
func (n *NIC) wroteRow(reg, v uint32, now sim.Time) {
	if _, ok := rowOf(reg, IVAR(0), 8); ok {
		n.checkIvar(reg, v, 4, now)
		n.route()
		return
	}
	if i, ok := rowOf(reg, RETA(0), RETAWords); ok {
		for b := range 4 {
			n.redirect[4*i+b] = uint8(v >> (8 * b) & 0xF)
			if q := int(v >> (8 * b) & 0xF); q >= n.queues {
				n.wrong(now, reg, q, 4*i+b, v, "redirection to a queue that does not exist")
			}
		}
		return
	}
	if _, ok := rowOf(reg, RSSRK(0), RSSRKWords); ok {
		n.rekey()
		return
	}
	if _, _, ok := addrOf(reg); ok {
		n.readdress()
	}
}

// checkIvar notes fields that name a vector the device does not have.
func (n *NIC) checkIvar(reg, v uint32, fields int, now sim.Time) {
	for i := range fields {
		f := v >> (8 * i) & 0xFF
		if f&IvarValid != 0 && f&0x7F >= uint32(n.pfVectors()) {
			n.wrong(now, reg, -1, i, v, "cause mapped to a vector that does not exist")
		}
	}
}

// status is the link, up whenever the driver has set it up, and full duplex.
func (n *NIC) status() Status {
	if n.ctrl&CtrlSLU != 0 {
		return StatusFD | StatusLU
	}
	return StatusFD
}

// reset puts every register to what it holds after CTRL.RST [4.2.1].
func (n *NIC) reset() {
	n.redirect, n.rssFields = [128]uint8{}, 0
	n.registers = registers{ctrl: CtrlFD, vet: 0x81008100, rlpml: MaxFrame}
	n.irq = interrupts{next: sim.Never, sent: sim.Never, held: sim.Never, soon: sim.Never}
	n.stats = counters{}
	for q := range n.queues {
		n.rx[q] = rxQueue{srrctl: srrctlReset, ring: ring{tags: n.rx[q].tags, vf: n.function(q)}}
		n.tx[q] = txQueue{ring: ring{tags: n.tx[q].tags, vf: n.function(q)}, epoch: n.tx[q].epoch}
	}
	if n.vt != nil {
		n.vt.reset()
	}
	m := n.mac
	n.ral[0] = uint32(m[0]) | uint32(m[1])<<8 | uint32(m[2])<<16 | uint32(m[3])<<24
	n.rah[0] = uint32(m[4]) | uint32(m[5])<<8 | RahAV
	n.readdress()
	n.rekey()
	n.limit()
	n.replan()
}
