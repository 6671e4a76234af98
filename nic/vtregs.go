package nic

import "ringside/sim"

// Registers of virtualization as the physical function sees them, by the datasheet's
// names. Those in rows are functions, as elsewhere.
const (
	MBVFICR = 0x0C80 // mailbox causes: requests of VFs 7:0, acknowledgements 23:16; a 1 clears
	MBVFIMR = 0x0C84 // which VFs may raise ICR.VMMB
	VFLRE   = 0x0C88 // VFs that were reset; a 1 clears
	VFRE    = 0x0C8C // pools that receive
	VFTE    = 0x0C90 // pools that transmit
	QDE     = 0x2408 // queues that drop when they have no descriptor, as DROP_EN does
	DTXSWC  = 0x3500 // DMA transmit switch control
	WVBR    = 0x3554 // pools that sent what they must not; read clears
)

// Sizes of virtualization.
const (
	Pools      = 8         // sets of queues; pool p has queues p and p+8
	MaxVFs     = Pools - 1 // virtual functions; the physical one keeps a pool
	VFVectors  = 3         // MSI-X vectors of a VF
	VFQueues   = 2         // receive queues of a VF, and as many for transmit
	MailboxLen = 16        // words of a mailbox
	VLVFs      = 32        // entries of the VLAN pool filter
)

// Registers of pool or VF p that the physical function has.
func P2VMAILBOX(p int) uint32 { return 0x0C00 + 4*uint32(p) }                // mailbox control
func VMBMEM(p, i int) uint32  { return 0x0800 + 64*uint32(p) + 4*uint32(i) } // mailbox memory, word i
func VMVIR(p int) uint32      { return 0x3700 + 4*uint32(p) }                // VLAN inserted
func VMOLR(p int) uint32      { return 0x5AD0 + 4*uint32(p) }                // what the pool accepts
func VLVF(i int) uint32       { return 0x5D00 + 4*uint32(i) }                // pools of a VLAN, entry i
func VFTA(i int) uint32       { return 0x5600 + 4*uint32(i) }                // VLANs that pass at all, word i
func UTA(i int) uint32        { return 0xA000 + 4*uint32(i) }                // unicast table, word i

// Registers of a virtual function, as its driver sees them. Those of its two queues,
// EICS, EIMS, EIMC, EIAC, EIAM, EICR, EITR(0) to EITR(2) and IVAR_MISC stand where the
// physical function has its own.
const (
	VTCTRL      = 0x0000 // only RST
	VTSTATUS    = 0x0008 // link, read-only
	V2PMAILBOX  = 0x0C40 // mailbox control
	VTIVAR      = 0x1700 // vectors of receive and transmit of both queues
	VTIVAR_MISC = 0x1740 // vector of the mailbox
	VTMBMEM     = 0x0800 // mailbox memory, word 0

	VFGPRC   = 0x0F10 // packets received; all of these wrap, and reading leaves them
	VFGPTC   = 0x0F14 // packets sent
	VFGORC   = 0x0F18 // octets received
	VFGOTC   = 0x0F34 // octets sent
	VFMPRC   = 0x0F3C // multicasts received
	VFGPRLBC = 0x0F40 // packets received from the switch
	VFGPTLBC = 0x0F44 // packets sent to the switch
	VFGORLBC = 0x0F48 // octets likewise
	VFGOTLBC = 0x0F50
)

// VtCtl is the VT_CTL register.
type VtCtl uint32

// Bits of VT_CTL. The default pool is bits 9:7.
const (
	VtCtlDefPoolShift       = 7
	VtCtlDisDefPool   VtCtl = 1 << 29 // frames without a pool are dropped
	VtCtlReplEN       VtCtl = 1 << 30 // a frame may go to several pools
)

// Vmolr is one of the VMOLR registers.
type Vmolr uint32

// Bits of VMOLR.
const (
	VmolrRLPMLMask Vmolr = 0x3FFF  // longest frame with LPE, FCS included
	VmolrLPE       Vmolr = 1 << 16 // frames longer than 1518 bytes, 1522 with a tag
	VmolrAUPE      Vmolr = 1 << 24 // frames without a VLAN tag
	VmolrROMPE     Vmolr = 1 << 25 // multicasts that the MTA passes
	VmolrROPE      Vmolr = 1 << 26 // unicasts that no exact address has and the UTA passes
	VmolrBAM       Vmolr = 1 << 27 // broadcasts
	VmolrMPME      Vmolr = 1 << 28 // all multicasts
	VmolrSTRVLAN   Vmolr = 1 << 30 // the tag is taken off
)

// Dtxswc is the DTXSWC register.
type Dtxswc uint32

// Bits of DTXSWC: a bit for each pool in the first three fields.
const (
	DtxswcMACAS       Dtxswc = 0xFF     // source address must be the pool's
	DtxswcVLANAS      Dtxswc = 0xFF00   // VLAN must be the pool's
	DtxswcLLE         Dtxswc = 0xFF0000 // a pool may receive its own frames
	DtxswcVLANASShift        = 8
	DtxswcLLEShift           = 16
	DtxswcLoopbackEN  Dtxswc = 1 << 31 // frames are switched between pools
)

// Fields of RAH, VLVF and VMVIR beside those named elsewhere.
const (
	RahPoolShift  = 18      // RAH: the pools that have the address, 25:18
	VlvfPoolShift = 12      // VLVF: the pools in the VLAN, 19:12; its number is 11:0
	VlvfEN        = 1 << 31 // VLVF: entry is valid
	VmvirDefault  = 1 << 30 // VMVIR: the tag in 15:0 is put into every frame
	VmvirNever    = 1 << 31 // VMVIR: no tag is put in, whatever the descriptor says
)

// Bits of P2VMAILBOX.
const (
	P2VSTS  = 1 << 0 // a message is there for the VF
	P2VACK  = 1 << 1 // the VF's message was read
	P2VVFU  = 1 << 2 // the VF has taken the buffer, read-only
	P2VPFU  = 1 << 3 // the PF has taken the buffer, or wants to
	P2VRVFU = 1 << 4 // takes the buffer away from the VF
)

// Bits of V2PMAILBOX.
const (
	V2PREQ   = 1 << 0 // a message is there for the PF
	V2PACK   = 1 << 1 // the PF's message was read
	V2PVFU   = 1 << 2 // the VF has taken the buffer, or wants to
	V2PPFU   = 1 << 3 // the PF has taken the buffer, read-only
	V2PPFSTS = 1 << 4 // the PF has sent a message; read clears
	V2PPFACK = 1 << 5 // the PF has read the last one; read clears
	V2PRSTI  = 1 << 6 // the PF is being reset
	V2PRSTD  = 1 << 7 // the PF's reset is done; read clears
)

// Bits of registers that the physical function has without virtualization, too.
const (
	MrqcVMDq       Mrqc    = 3       // queues by pools
	CtrlExtPFRSTD  CtrlExt = 1 << 14 // the PF's reset is done: VFs may go on
	IcrVMMB                = 1 << 8  // a VF has written to its mailbox, or was reset
	mbAckShift             = 16      // MBVFICR: acknowledgements
	ivarVFMask             = 3       // VTIVAR: the vector's number has two bits
	loopbackBuffer         = 8 << 20 // bytes that wait for their time in the switch
)

var vtNames = map[uint32]string{
	MBVFICR: "MBVFICR", MBVFIMR: "MBVFIMR", VFLRE: "VFLRE", VFRE: "VFRE", VFTE: "VFTE",
	QDE: "QDE", DTXSWC: "DTXSWC", WVBR: "WVBR",
}

var vtRows = [...]registerRow{
	{"P2VMAILBOX", P2VMAILBOX(0), Pools}, {"VMBMEM", VMBMEM(0, 0), Pools * MailboxLen}, {"VMVIR", VMVIR(0), Pools},
	{"VMOLR", VMOLR(0), Pools}, {"VLVF", VLVF(0), VLVFs}, {"VFTA", VFTA(0), MTAWords}, {"UTA", UTA(0), MTAWords},
}

// read answers for the registers of virtualization that the PF has.
func (s *sriov) read(reg uint32) (v uint32, ok bool) {
	switch reg {
	case MBVFICR:
		return s.mbvficr, true
	case VFLRE:
		return s.vflre, true
	case WVBR:
		v, s.wvbr = s.wvbr, 0
		return v, true
	case DTXSWC:
		return uint32(s.dtxswc), true
	}
	if p := s.plain(reg); p != nil {
		return *p, true
	}
	if p, ok := rowOf(reg, P2VMAILBOX(0), Pools); ok {
		return s.boxes[p].readP2V(), true
	}
	if p, ok := rowOf(reg, VMOLR(0), Pools); ok {
		return uint32(s.vmolr[p]), true
	}
	return 0, false
}

// plain is the place of a register that reads as it was written, nil if reg is none.
func (s *sriov) plain(reg uint32) *uint32 {
	switch reg {
	case MBVFIMR:
		return &s.mbvfimr
	case VFRE:
		return &s.vfre
	case VFTE:
		return &s.vfte
	case QDE:
		return &s.qde
	}
	if i, ok := rowOf(reg, VMBMEM(0, 0), Pools*MailboxLen); ok {
		return &s.boxes[i/MailboxLen].words[i%MailboxLen]
	}
	for _, row := range [...]struct {
		base  uint32
		words []uint32
	}{{VMVIR(0), s.vmvir[:]}, {VLVF(0), s.vlvf[:]}, {VFTA(0), s.vfta[:]}, {UTA(0), s.uta[:]}} {
		if i, ok := rowOf(reg, row.base, len(row.words)); ok {
			return &row.words[i]
		}
	}
	return nil
}

// writeVT writes a register of virtualization, and says whether reg is one.
func (n *NIC) writeVT(reg, v uint32, now sim.Time) bool {
	s := n.vt
	switch reg {
	case MBVFICR:
		s.mbvficr &^= v
	case VFLRE:
		s.vflre &^= v
	case VT_CTL:
		s.vtCtl = VtCtl(v)
	case DTXSWC:
		s.dtxswc = Dtxswc(v)
	case WVBR:
	default:
		return n.writeVTRow(reg, v, now)
	}
	s.changed()
	return true
}

// writeVTRow is writeVT for registers of which there are several, and plain ones.
func (n *NIC) writeVTRow(reg, v uint32, now sim.Time) bool {
	s := n.vt
	if p, ok := rowOf(reg, P2VMAILBOX(0), Pools); ok {
		n.toVF(p, v, now)
		return true
	}
	if p, ok := rowOf(reg, VMOLR(0), Pools); ok {
		s.vmolr[p] = Vmolr(v)
		s.changed()
		return true
	}
	p := s.plain(reg)
	if p == nil {
		return false
	}
	*p = v
	if s.changed(); reg == VFTE {
		n.transmitAll(now)
	}
	return true
}
