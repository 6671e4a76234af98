package nic

import "fmt"

// Register offsets, by the datasheet's names [8.1].
const (
	CTRL     = 0x0000 // device control
	STATUS   = 0x0008 // device status, read-only
	CTRL_EXT = 0x0018 // extended device control
	VET      = 0x0038 // VLAN Ethertype

	ICR = 0x00C0 // legacy interrupt cause, read clears
	ICS = 0x00C8 // legacy cause set, write-only
	IMS = 0x00D0 // legacy mask set; reads as the mask
	IMC = 0x00D8 // legacy mask clear, write-only
	IAM = 0x00E0 // legacy auto-mask

	RCTL = 0x0100 // receive control
	TCTL = 0x0400 // transmit control
	TIPG = 0x0410 // transmit inter-packet gap

	ICR2 = 0x1500 // ICR to IAM again, where the 82576 has them beside the extended ones
	ICS2 = 0x1504
	IMS2 = 0x1508
	IMC2 = 0x150C
	IAM2 = 0x1510

	GPIE      = 0x1514 // general purpose interrupt enable
	EICS      = 0x1520 // extended cause set, write-only
	EIMS      = 0x1524 // extended mask set; reads as the mask
	EIMC      = 0x1528 // extended mask clear, write-only
	EIAC      = 0x152C // extended auto clear
	EIAM      = 0x1530 // extended auto mask
	EICR      = 0x1580 // extended cause; write clears
	IVAR_MISC = 0x1740 // vectors of the TCP timer and of other causes

	RXPBS = 0x2404 // receive packet buffer size in KiB, read-only here
	TXPBS = 0x3404 // transmit packet buffer size in KiB, read-only here

	DTXCTL = 0x3590 // DMA transmit control

	RXCSUM = 0x5000 // receive checksum control
	RLPML  = 0x5004 // longest packet with RCTL.LPE
	RFCTL  = 0x5008 // receive filter control
	MRQC   = 0x5818 // multiple receive queues command
	VT_CTL = 0x581C // virtualization control; must stay 0 without virtual functions
)

// Sizes of the device.
const (
	MaxQueues  = 16   // receive queues, and as many for transmit
	Vectors    = 25   // MSI-X vectors [7.3]
	MaxAddrs   = 24   // pairs of RAL and RAH [8.10]
	MTAWords   = 128  // words of the multicast table [8.10]
	RETAWords  = 32   // words of the redirection table, four entries each [8.10]
	RSSRKWords = 10   // words of the RSS key [8.10]
	MaxFrame   = 9728 // longest frame with its FCS: 9.5 KiB [8.10]
)

// Offsets within a queue's block, RDBAL or TDBAL at 0 [8.10], [8.12].
const (
	offBAL   = 0x00
	offBAH   = 0x04
	offLEN   = 0x08
	offSRR   = 0x0C // receive only
	offDH    = 0x10
	offDCA   = 0x14
	offDT    = 0x18
	offDCTL  = 0x28
	offRSC   = 0x2C // receive only
	offQDPC  = 0x30 // receive only
	offTDWBL = 0x38 // transmit only
	offTDWBH = 0x3C
)

// block is where the registers of queue q begin: the first four queues at base
// with 256 bytes each, where older devices have them, all sixteen at alias with
// 64 each.
func block(q int, base, alias uint32) uint32 {
	if q < 4 {
		return base + uint32(q)*0x100
	}
	return alias + uint32(q)*0x40
}

func rxBlock(q int) uint32 { return block(q, 0x2800, 0xC000) }
func txBlock(q int) uint32 { return block(q, 0x3800, 0xE000) }

// Registers of receive queue q [8.10].
func RDBAL(q int) uint32  { return rxBlock(q) + offBAL }  // ring base, low
func RDBAH(q int) uint32  { return rxBlock(q) + offBAH }  // ring base, high
func RDLEN(q int) uint32  { return rxBlock(q) + offLEN }  // ring length in bytes
func SRRCTL(q int) uint32 { return rxBlock(q) + offSRR }  // buffer size, descriptor type, drop
func RDH(q int) uint32    { return rxBlock(q) + offDH }   // head, the device's
func RDT(q int) uint32    { return rxBlock(q) + offDT }   // tail, the driver's: the doorbell
func RXDCTL(q int) uint32 { return rxBlock(q) + offDCTL } // queue enable
func RQDPC(q int) uint32  { return rxBlock(q) + offQDPC } // frames dropped for lack of descriptors

// Registers of transmit queue q [8.12].
func TDBAL(q int) uint32  { return txBlock(q) + offBAL }
func TDBAH(q int) uint32  { return txBlock(q) + offBAH }
func TDLEN(q int) uint32  { return txBlock(q) + offLEN }
func TDH(q int) uint32    { return txBlock(q) + offDH }
func TDT(q int) uint32    { return txBlock(q) + offDT }
func TXDCTL(q int) uint32 { return txBlock(q) + offDCTL }

// Registers that come in rows.
func EITR(v int) uint32  { return 0x1680 + 4*uint32(v) } // throttle of vector v [8.8]
func IVAR(i int) uint32  { return 0x1700 + 4*uint32(i) } // vectors of queues i and i+8 [8.8]
func MTA(i int) uint32   { return 0x5200 + 4*uint32(i) } // multicast table, word i [8.10]
func RETA(i int) uint32  { return 0x5C00 + 4*uint32(i) } // redirection table, word i [8.10]
func RSSRK(i int) uint32 { return 0x5C80 + 4*uint32(i) } // RSS key, word i [8.10]

// RAL is the low half of exact address i: the first 16 stand together, the
// other eight apart [8.10].
func RAL(i int) uint32 {
	if i < 16 {
		return 0x5400 + 8*uint32(i)
	}
	return 0x54E0 + 8*uint32(i-16)
}

// RAH is the high half of exact address i [8.10].
func RAH(i int) uint32 { return RAL(i) + 4 }

// Ctrl is the CTRL register [8.2].
type Ctrl uint32

// Bits of CTRL.
const (
	CtrlFD  Ctrl = 1 << 0  // full duplex
	CtrlSLU Ctrl = 1 << 6  // set link up
	CtrlRST Ctrl = 1 << 26 // reset; clears itself
	CtrlVME Ctrl = 1 << 30 // VLAN tags are taken off received frames
)

// Status is the STATUS register [8.2].
type Status uint32

// Bits of STATUS.
const (
	StatusFD Status = 1 << 0 // full duplex
	StatusLU Status = 1 << 1 // link up
)

// CtrlExt is the CTRL_EXT register [8.2].
type CtrlExt uint32

// Bits of CTRL_EXT.
const (
	CtrlExtEXTVLAN CtrlExt = 1 << 26 // frames carry an outer VLAN tag
	CtrlExtDRVLOAD CtrlExt = 1 << 28 // a driver is loaded
)

// Rctl is the RCTL register [8.10].
type Rctl uint32

// Bits of RCTL.
const (
	RctlEN    Rctl = 1 << 1  // receiver on
	RctlSBP   Rctl = 1 << 2  // store bad packets; there are none here
	RctlUPE   Rctl = 1 << 3  // unicast promiscuous
	RctlMPE   Rctl = 1 << 4  // multicast promiscuous
	RctlLPE   Rctl = 1 << 5  // packets longer than 1522 bytes, up to RLPML
	RctlBAM   Rctl = 1 << 15 // broadcast accepted
	RctlVFE   Rctl = 1 << 18 // VLAN filter; only with virtual functions
	RctlSECRC Rctl = 1 << 26 // FCS stripped; must be set here

	rctlMOShift = 12 // which 12 bits of an address index the MTA
)

// Tctl is the TCTL register [8.12].
type Tctl uint32

// Bits of TCTL.
const (
	TctlEN  Tctl = 1 << 1 // transmitter on
	TctlPSP Tctl = 1 << 3 // short packets padded; always done here
)

// Srrctl is one of the SRRCTL registers [8.10.2].
type Srrctl uint32

// Bits of SRRCTL.
const (
	SrrctlBSizeMask  Srrctl = 0x7F       // buffer size in KiB
	SrrctlAdvOneBuf  Srrctl = 1 << 25    // DESCTYPE: advanced, one buffer
	SrrctlDescMask   Srrctl = 7 << 25    // DESCTYPE
	SrrctlDropEN     Srrctl = 1 << 31    // drop when there is no descriptor
	srrctlReset      Srrctl = 0x00000400 // header size 256, nothing else
	SrrctlBSizeShift        = 10         // from bytes to SRRCTL's field
)

// bufferSize is BSIZEPACKET in bytes.
func (s Srrctl) bufferSize() int { return int(s&SrrctlBSizeMask) << SrrctlBSizeShift }

// Dctl is one of the RXDCTL or TXDCTL registers [8.10], [8.12].
type Dctl uint32

// DctlENABLE switches a queue on; it reads as set once the queue is on.
const DctlENABLE Dctl = 1 << 25

// Gpie is the GPIE register [8.8].
type Gpie uint32

// Bits of GPIE.
const (
	GpieNSICR        Gpie = 1 << 0  // every read of ICR clears it
	GpieMultipleMSIX Gpie = 1 << 4  // one EICR bit, one MSI-X vector
	GpieEIAME        Gpie = 1 << 30 // a message masks its vector as EIAM says
	GpiePBA          Gpie = 1 << 31 // pending bits clear on EICR's clear
)

// Eitr is one of the EITR registers [8.8].
type Eitr uint32

// Bits of EITR. The interval is bits 14:2, in microseconds.
const (
	EitrIntervalMask  Eitr = 0x7FFC
	EitrIntervalShift      = 2
	EitrCntIgnr       Eitr = 1 << 31 // leave the running counter alone
)

// IVAR fields: a vector's number and this bit [8.8].
const IvarValid = 0x80

// Rxcsum is the RXCSUM register [8.10].
type Rxcsum uint32

// Bits of RXCSUM.
const (
	RxcsumIPOFLD Rxcsum = 1 << 8  // sums of IPv4 headers are verified; 0 after a reset of the model
	RxcsumTUOFLD Rxcsum = 1 << 9  // and those of TCP and UDP
	RxcsumPCSD   Rxcsum = 1 << 13 // the descriptor holds the RSS hash, not a checksum
)

// Mrqc is the MRQC register [8.10].
type Mrqc uint32

// Bits of MRQC.
const (
	MrqcModeMask  Mrqc = 7
	MrqcRSS       Mrqc = 2 // sixteen queues by RSS
	MrqcTCPIPv4   Mrqc = 1 << 16
	MrqcIPv4      Mrqc = 1 << 17
	MrqcTCPIPv6Ex Mrqc = 1 << 18
	MrqcIPv6Ex    Mrqc = 1 << 19
	MrqcIPv6      Mrqc = 1 << 20
	MrqcTCPIPv6   Mrqc = 1 << 21
	MrqcUDPIPv4   Mrqc = 1 << 22
	MrqcUDPIPv6   Mrqc = 1 << 23
	MrqcUDPIPv6Ex Mrqc = 1 << 24
)

// RahAV says that an exact address is valid [8.10].
const RahAV = 1 << 31

// IcrLSC is the legacy cause of a link that changed [8.8].
const IcrLSC = 1 << 2

var regNames = map[uint32]string{
	CTRL: "CTRL", STATUS: "STATUS", CTRL_EXT: "CTRL_EXT", VET: "VET",
	ICR: "ICR", ICS: "ICS", IMS: "IMS", IMC: "IMC", IAM: "IAM",
	ICR2: "ICR", ICS2: "ICS", IMS2: "IMS", IMC2: "IMC", IAM2: "IAM",
	RCTL: "RCTL", TCTL: "TCTL", TIPG: "TIPG", GPIE: "GPIE",
	EICS: "EICS", EIMS: "EIMS", EIMC: "EIMC", EIAC: "EIAC", EIAM: "EIAM", EICR: "EICR",
	IVAR_MISC: "IVAR_MISC", RXPBS: "RXPBS", TXPBS: "TXPBS", DTXCTL: "DTXCTL",
	RXCSUM: "RXCSUM", RLPML: "RLPML", RFCTL: "RFCTL", MRQC: "MRQC", VT_CTL: "VT_CTL",
}

var (
	rxNames = [0x40]string{offBAL: "RDBAL", offBAH: "RDBAH", offLEN: "RDLEN", offSRR: "SRRCTL",
		offDH: "RDH", offDCA: "RXCTL", offDT: "RDT", offDCTL: "RXDCTL", offRSC: "RSCCTL", offQDPC: "RQDPC"}
	txNames = [0x40]string{offBAL: "TDBAL", offBAH: "TDBAH", offLEN: "TDLEN",
		offDH: "TDH", offDCA: "TXCTL", offDT: "TDT", offDCTL: "TXDCTL", offTDWBL: "TDWBAL", offTDWBH: "TDWBAH"}
)

// A registerRow is a row of registers with one name.
type registerRow struct {
	name string
	base uint32
	n    int
}

// queueOf takes a register of a queue's block apart: its queue, and its offset
// within the block.
func queueOf(reg, base, alias uint32) (q int, off uint32, ok bool) {
	switch {
	case reg >= base && reg < base+0x400:
		return int(reg-base) >> 8, (reg - base) & 0xFF, (reg-base)&0xFF < 0x40
	case reg >= alias && reg < alias+MaxQueues*0x40:
		return int(reg-alias) >> 6, (reg - alias) & 0x3F, true
	}
	return 0, 0, false
}

// rowOf is the index of reg in a row of n words at base.
func rowOf(reg, base uint32, n int) (int, bool) {
	i := (reg - base) / 4
	return int(i), reg >= base && reg < base+4*uint32(n) && reg&3 == 0
}

// addrOf is the index of an exact address that reg is one half of.
func addrOf(reg uint32) (i int, high, ok bool) {
	if w, ok := rowOf(reg, 0x5400, 32); ok {
		return w / 2, w&1 == 1, true
	}
	if w, ok := rowOf(reg, 0x54E0, 2*(MaxAddrs-16)); ok {
		return 16 + w/2, w&1 == 1, true
	}
	return 0, false, false
}

// RegisterName is the datasheet's name of a register, with the number of its
// queue, vector or word: "RDT[3]". A register that the model does not have gives
// its offset.
func RegisterName(reg uint32) string {
	if s, ok := regNames[reg]; ok {
		return s
	}
	if s, ok := statNames[reg]; ok {
		return s
	}
	if s, ok := vtNames[reg]; ok {
		return s
	}
	if q, off, ok := queueOf(reg, 0x2800, 0xC000); ok && rxNames[off] != "" {
		return fmt.Sprintf("%s[%d]", rxNames[off], q)
	}
	if q, off, ok := queueOf(reg, 0x3800, 0xE000); ok && txNames[off] != "" {
		return fmt.Sprintf("%s[%d]", txNames[off], q)
	}
	if i, high, ok := addrOf(reg); ok {
		return fmt.Sprintf("%s[%d]", map[bool]string{false: "RAL", true: "RAH"}[high], i)
	}
	for _, row := range append(vtRows[:], []registerRow{
		{"EITR", EITR(0), 32}, {"IVAR", IVAR(0), 8}, {"MTA", MTA(0), MTAWords},
		{"RETA", RETA(0), RETAWords}, {"RSSRK", RSSRK(0), RSSRKWords},
	}...) {
		if i, ok := rowOf(reg, row.base, row.n); ok {
			return fmt.Sprintf("%s[%d]", row.name, i)
		}
	}
	return fmt.Sprintf("%#05x", reg)
}
