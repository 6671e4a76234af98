package nic

import (
	"fmt"

	"ringside/cost"
	"ringside/mem"
	"ringside/mmu"
	"ringside/sim"
	"ringside/trace"
)

// A DMA is the memory that a function reaches as a master of the bus: an IOMMU. It is
// asked for every descriptor and every buffer.
type DMA interface {
	// Bytes is the n bytes at the address that the function uses, nil if it may not
	// reach all of them or they are not in one piece. Refs is how many entries of
	// tables were read to find them.
	Bytes(s mmu.Source, iova mem.Addr, n int, write bool, now sim.Time) (b []byte, refs int)
}

// A Function is what a VF is given to. The zero value is nobody: it reaches no memory.
type Function struct {
	DMA    DMA
	Source mmu.Source
	IRQ    IRQ // of its vectors, from 0 on
}

// A VF is a virtual function: a part of the device that its guest drives, by registers
// of its own. Nothing that is written to them reaches further than the VF: what is
// wrong is counted, and is no misuse of the NIC's.
type VF struct {
	n     *NIC
	index int
	to    Function

	vtivar, misc uint32
	stat         VFStat
	unread       uint64 // frames in its memory that its driver has not taken
	misuses      []Misuse
}

// A VFStat is what a VF has done. Octets are without FCS.
type VFStat struct {
	RxPackets, RxOctets     uint64 // in its memory
	RxMulticasts            uint64 // of those
	TxPackets, TxOctets     uint64 // sent, to the wire or to other pools
	RxLooped, RxLoopedBytes uint64 // of RxPackets, from other pools
	TxLooped, TxLoopedBytes uint64 // of TxPackets, to other pools at least
	Faults                  uint64 // accesses to memory that were refused
	Misuses                 uint64 // what its driver must not do
	Resets                  uint64
}

// VF is virtual function i, nil if there is none.
func (n *NIC) VF(i int) *VF {
	if n.vt == nil || i < 0 || i >= len(n.vt.vfs) {
		return nil
	}
	return n.vt.vfs[i]
}

// VFs is how many there are.
func (n *NIC) VFs() int {
	if n.vt == nil {
		return 0
	}
	return len(n.vt.vfs)
}

// Assign gives the VF to a guest. It is done before its driver begins.
func (v *VF) Assign(f Function) { v.to = f }

// Stat is what the VF has done so far.
func (v *VF) Stat() VFStat { return v.stat }

// Misuses lists the first things that its driver must not have done.
func (v *VF) Misuses() []Misuse { return v.misuses }

// CatchUp is NIC.CatchUp.
func (v *VF) CatchUp(now sim.Time) { v.n.CatchUp(now) }

// queue is the number that one of the VF's queues has in the device.
func (v *VF) queue(q int) int { return v.index + q*Pools }

// mask is the VF's bit in registers with one for each.
func (v *VF) mask() uint32 { return 1 << v.index }

// RxTags is NIC.RxTags of one of the VF's queues.
func (v *VF) RxTags(queue int) []Tag { return v.n.RxTags(v.queue(queue)) }

// SetTxTag is NIC.SetTxTag likewise.
func (v *VF) SetTxTag(queue int, index uint32, t Tag) { v.n.SetTxTag(v.queue(queue), index, t) }

// Took says that the driver has taken so many frames off its rings. Hardware has no use
// for that; whoever counts frames has.
func (v *VF) Took(frames int) { v.unread -= min(uint64(frames), v.unread) }

// Unread is the number of frames in the VF's memory that its driver has not taken.
func (v *VF) Unread() uint64 { return v.unread }

// irqShift is the number of the VF's first vector.
func (v *VF) irqShift() int { return vfVector(v.index) }

// vtBits takes the VF's part of a register with a bit for each vector.
func (v *VF) vtBits(r uint32) uint32 { return r >> v.irqShift() & (1<<VFVectors - 1) }

// own puts bits of the VF's vectors where they are in the device.
func (v *VF) own(r uint32) uint32 { return r & (1<<VFVectors - 1) << v.irqShift() }

// Read reads a register of the VF at the time now.
func (v *VF) Read(reg uint32, now sim.Time) (uint32, error) {
	n := v.n
	n.catchUp(now)
	defer n.rearm()
	if q, off, ok := vfQueueOf(reg, 0x2800); ok && vfRxRegister(off) {
		return n.readRx(v.queue(q), off), nil
	}
	if q, off, ok := vfQueueOf(reg, 0x3800); ok && txNames[off] != "" {
		return n.readTx(v.queue(q), off), nil
	}
	if i, ok := rowOf(reg, VTMBMEM, MailboxLen); ok {
		return n.vt.boxes[v.index].words[i], nil
	}
	if i, ok := rowOf(reg, EITR(0), VFVectors); ok {
		return uint32(n.irq.vectors[v.irqShift()+i].eitr), nil
	}
	s := &v.stat
	switch reg {
	case VTCTRL:
		return 0, nil
	case VTSTATUS:
		return uint32(n.status()), nil
	case V2PMAILBOX:
		return n.vt.boxes[v.index].readV2P(n.ctrlExt&CtrlExtPFRSTD != 0), nil
	case VTIVAR:
		return v.vtivar, nil
	case VTIVAR_MISC:
		return v.misc, nil
	case EIMS:
		return v.vtBits(n.irq.eims), nil
	case EIAC:
		return v.vtBits(n.irq.eiac), nil
	case EIAM:
		return v.vtBits(n.irq.eiam), nil
	case EICR:
		return v.vtBits(n.irq.eicr), nil
	case VFGPRC:
		return uint32(s.RxPackets), nil
	case VFGPTC:
		return uint32(s.TxPackets), nil
	case VFGORC:
		return uint32(s.RxOctets + s.RxPackets*fcs), nil
	case VFGOTC:
		return uint32(s.TxOctets + s.TxPackets*fcs), nil
	case VFMPRC:
		return uint32(s.RxMulticasts), nil
	case VFGPRLBC:
		return uint32(s.RxLooped), nil
	case VFGPTLBC:
		return uint32(s.TxLooped), nil
	case VFGORLBC:
		return uint32(s.RxLoopedBytes + s.RxLooped*fcs), nil
	case VFGOTLBC:
		return uint32(s.TxLoopedBytes + s.TxLooped*fcs), nil
	}
	return 0, v.refuse(reg, 0, "read of a register that a VF does not have, or that is written only", ErrNoRegister, now)
}

// vfQueueOf is queueOf of a VF, which has its queues where the first of the PF's are, and
// nowhere else.
func vfQueueOf(reg, base uint32) (q int, off uint32, ok bool) {
	if reg < base || reg >= base+VFQueues*0x100 {
		return 0, 0, false
	}
	off = (reg - base) & 0xFF
	return int(reg-base) >> 8, off, off < 0x40
}

// vfRxRegister says whether a VF has a register of receive queues.
func vfRxRegister(off uint32) bool { return rxNames[off] != "" && off != offRSC && off != offQDPC }

// Write writes a register of the VF at the time now.
func (v *VF) Write(reg, val uint32, now sim.Time) error {
	v.n.catchUp(now)
	err := v.write(reg, val, now)
	v.n.rearm()
	return err
}

func (v *VF) write(reg, val uint32, now sim.Time) error {
	n := v.n
	if q, off, ok := vfQueueOf(reg, 0x2800); ok && vfRxRegister(off) {
		return n.writeRx(reg, v.queue(q), off, val, now)
	}
	if q, off, ok := vfQueueOf(reg, 0x3800); ok && txNames[off] != "" {
		return n.writeTx(reg, v.queue(q), off, val, now)
	}
	if i, ok := rowOf(reg, VTMBMEM, MailboxLen); ok {
		n.vt.boxes[v.index].words[i] = val
		return nil
	}
	if i, ok := rowOf(reg, EITR(0), VFVectors); ok {
		n.irq.throttle(v.irqShift()+i, Eitr(val), now)
		return nil
	}
	i := &n.irq
	switch reg {
	case VTCTRL:
		if Ctrl(val)&CtrlRST != 0 {
			v.reset(now)
		}
	case V2PMAILBOX:
		n.fromVFMailbox(v.index, val, now)
	case VTIVAR:
		v.vtivar = val
		n.route()
	case VTIVAR_MISC:
		v.misc = val
	case EIMS:
		i.unmask(v.own(val), now)
	case EIMC:
		i.mask(v.own(val))
	case EICS:
		i.raise(v.own(val), now)
		if i.gpie&GpieEIAME == 0 {
			i.unmask(v.own(val)&i.eiam, now)
		}
	case EICR:
		i.clear(v.own(val))
		if i.gpie&GpieEIAME == 0 {
			i.mask(v.own(val) & i.eiam)
		}
	case EIAC:
		i.eiac = i.eiac&^v.own(^uint32(0)) | v.own(val)
	case EIAM:
		i.eiam = i.eiam&^v.own(^uint32(0)) | v.own(val)
	default:
		return v.refuse(reg, val, "write to a register that a VF does not have, or that is read only", ErrNoRegister, now)
	}
	return nil
}

// refuse counts an access that is none of a VF's.
func (v *VF) refuse(reg, val uint32, what string, err error, now sim.Time) error {
	v.misuse(Misuse{At: now, Register: fmt.Sprintf("%#05x", reg), Queue: -1, Index: -1, Value: uint64(val), What: what})
	return fmt.Errorf("nic: VF %d: register %#05x: %w", v.index, reg, err)
}

func (v *VF) misuse(m Misuse) {
	v.stat.Misuses++
	if len(v.misuses) < maxMisuses {
		v.misuses = append(v.misuses, m)
	}
}

// bit is the cause that a field of VTIVAR names, 0 if it names none.
func (v *VF) bit(field uint32) uint32 {
	if field&IvarValid == 0 || field&ivarVFMask >= VFVectors {
		return 0
	}
	return 1 << (v.irqShift() + int(field&ivarVFMask))
}

// route tells the VF's queues their vectors.
func (v *VF) route() {
	for q := range VFQueues {
		field := v.vtivar >> (16 * q)
		v.n.rx[v.queue(q)].bit = v.bit(field)
		v.n.tx[v.queue(q)].bit = v.bit(field >> 8)
	}
}

// FLR is a function level reset, as the hypervisor does it: whatever the VF's driver has
// set up is gone, what is under way ends, and the PF hears of it.
func (v *VF) FLR(now sim.Time) {
	v.n.catchUp(now)
	v.reset(now)
	v.n.rearm()
}

// reset is FLR, and what VTCTRL.RST does.
func (v *VF) reset(now sim.Time) {
	n := v.n
	v.stat.Resets++
	for q := range VFQueues {
		i := v.queue(q)
		n.writeRxdctl(RXDCTL(i), i, 0, now)
		n.stopTx(i, now)
		n.rx[i] = rxQueue{srrctl: srrctlReset, ring: ring{tags: n.rx[i].tags, vf: v}}
		n.tx[i] = txQueue{ring: ring{tags: n.tx[i].tags, vf: v}, epoch: n.tx[i].epoch + 1}
	}
	v.lose(now)
	all := v.own(^uint32(0))
	n.irq.eims &^= all
	n.irq.eiac &^= all
	n.irq.eiam &^= all
	n.irq.clear(all)
	for i := range VFVectors {
		n.irq.throttle(v.irqShift()+i, 0, now)
	}
	v.vtivar, v.misc = 0, 0
	v.route()
	s := n.vt
	s.boxes[v.index].reset()
	s.vfre &^= v.mask()
	s.vfte &^= v.mask()
	s.vflre |= v.mask()
	s.changed()
	n.mailboxCause(v.index, now)
}

// lose drops the frames in the VF's memory that nobody will look at any more.
func (v *VF) lose(now sim.Time) {
	n := v.n
	for ; v.unread > 0; v.unread-- {
		n.drops.Add(cost.NIC, cost.NICVFReset, 1)
		n.hash.Add(trace.Record{At: now, Kind: trace.Dropped, Who: trace.WhoDropped(cost.NIC, cost.NICVFReset)})
	}
}

// bytes is memory that the VF may reach; nil, and a fault, if it may not.
func (v *VF) bytes(a mem.Addr, n int, write bool, now sim.Time) (b []byte, refs int) {
	if v.to.DMA != nil {
		b, refs = v.to.DMA.Bytes(v.to.Source, a, n, write, now)
	}
	if b == nil {
		v.stat.Faults++
	}
	return b, refs
}

// desc is descriptor i of a ring of the VF's, nil if it may not reach it.
func (v *VF) desc(r *ring, i uint32, write bool, now sim.Time) (*[DescSize]byte, int) {
	b, refs := v.bytes(mem.Addr(r.base)+mem.Addr(i)*DescSize, DescSize, write, now)
	if b == nil {
		return nil, refs
	}
	return (*[DescSize]byte)(b), refs
}

// sent counts a frame that the VF has sent; v may be nil, for the PF.
func (v *VF) sent(data []byte) {
	if v != nil {
		v.stat.TxPackets++
		v.stat.TxOctets += uint64(len(data))
	}
}

// looped counts one that goes to other pools, likewise.
func (v *VF) looped(data []byte) {
	if v != nil {
		v.stat.TxLooped++
		v.stat.TxLoopedBytes += uint64(len(data))
	}
}
