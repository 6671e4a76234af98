package nic

import (
	"encoding/binary"

	"ringside/cost"
	"ringside/sim"
)

// filters are the address registers made ready for use [7.1].
type filters struct {
	exact        [MaxAddrs]uint64 // valid addresses, as a frame's first six bytes read
	nExact       int
	first        uint64 // the first valid address that is nobody's group; addrMask+1 if none
	lengths      uint   // how many lengths, from the bare header on, are right for every frame
	plainLengths uint64 // how many from plainMin on
	lone         bool   // every unicast frame passes, and first is the only exact address
}

const (
	addrMask  = 1<<48 - 1
	groupBit  = 1 // of the first byte: multicast
	broadcast = addrMask
	header    = 14 // addresses and Ethertype
	stdMax    = 1518
	tagSize   = 4
)

// readdress reads RAL and RAH.
func (n *NIC) readdress() {
	n.nExact = 0
	for i, hi := range n.rah {
		if hi&RahAV != 0 {
			n.exact[n.nExact] = uint64(n.ral[i]) | uint64(hi&0xFFFF)<<32
			if n.vt != nil {
				n.vt.owners[n.nExact] = uint8(hi >> RahPoolShift)
			}
			n.nExact++
		}
	}
	n.first = addrMask + 1
	if n.nExact > 0 && n.exact[0]&groupBit == 0 {
		n.first = n.exact[0]
	}
	n.limit()
}

// classify is what the device makes of a frame: whether it wants it, for which
// queue, and what it will say of it in the descriptor.
func (n *NIC) classify(data []byte) (v verdict) {
	if uint(len(data)-header) >= n.lengths {
		if v.reason = n.badLength(data); v.reason != cost.NotDropped {
			return v
		}
	}
	dst := binary.LittleEndian.Uint64(data) & addrMask
	if dst != n.first {
		passed, inexact := n.filter(dst)
		if !passed {
			v.reason = cost.NICRxFilter
			return v
		}
		if inexact {
			v.status = RxPIF
		}
	}
	at := 14
	kind := binary.BigEndian.Uint16(data[12:14])
	if kind == uint16(n.vet) || n.ctrlExt&CtrlExtEXTVLAN != 0 {
		at, kind = n.untag(data)
	}
	if kind == etherIPv4 {
		v.info, v.queue = n.parseIPv4(data[at:])
	} else if kind == etherIPv6 {
		v.info, v.queue = n.parseIPv6(data[at:])
	}
	if n.rxcsum&(RxcsumIPOFLD|RxcsumTUOFLD) != 0 {
		v.status |= n.checked(data)
	}
	if n.ctrl&CtrlVME != 0 {
		n.strip(&v, data)
	}
	if v.queue < MaxQueues && n.rx[v.queue].lro != nil {
		v.reason = aside
	}
	return v
}

// badLength is what is wrong with a frame of a length that is not always right.
// With the receiver off no length is.
func (n *NIC) badLength(data []byte) cost.DropReason {
	switch {
	case n.rctl&RctlEN == 0:
		return cost.NICRxDisabled
	case len(data) < header:
		n.stats.ruc++
		return cost.NICRxRunt
	case len(data) > n.allowed(data):
		n.stats.roc++
		return cost.NICRxOversize
	}
	return cost.NotDropped
}

// untag finds the Ethertype behind a VLAN tag, and where its packet begins. An
// outer tag is looked through if CTRL_EXT.EXT_VLAN is set.
func (n *NIC) untag(data []byte) (at int, kind uint16) {
	at = header
	kind = binary.BigEndian.Uint16(data[12:])
	if n.ctrlExt&CtrlExtEXTVLAN != 0 && kind == uint16(n.vet>>16) && len(data) >= at+tagSize {
		kind = binary.BigEndian.Uint16(data[at+2:])
		at += tagSize
	}
	if kind == uint16(n.vet) && len(data) >= at+tagSize {
		kind = binary.BigEndian.Uint16(data[at+2:])
		at += tagSize
	}
	return at, kind
}

// allowed is the longest frame like this one, without its FCS: what RLPML says
// if RCTL.LPE is set, else 1518 bytes with FCS and four more for a VLAN tag
// [8.10].
func (n *NIC) allowed(data []byte) int {
	if n.rctl&RctlLPE != 0 {
		return int(n.rlpml) - fcs
	}
	if binary.BigEndian.Uint16(data[12:]) == uint16(n.vet) {
		return stdMax + tagSize - fcs
	}
	return stdMax - fcs
}

// filter says whether a destination passes, and whether it did only by the hash
// or by promiscuity.
func (n *NIC) filter(dst uint64) (passed, inexact bool) {
	if dst&groupBit != 0 {
		if dst == broadcast {
			n.stats.bprc++
		} else {
			n.stats.mprc++
		}
	}
	for _, a := range n.exact[:n.nExact] {
		if a == dst {
			return true, false
		}
	}
	switch {
	case dst == broadcast && n.rctl&RctlBAM != 0:
		return true, false
	case dst&groupBit == 0:
		return n.rctl&RctlUPE != 0, true
	case n.rctl&RctlMPE != 0:
		return true, true
	}
	h := n.mtaHash(dst)
	return n.mta[h>>5]>>(h&31)&1 != 0, true
}

// mtaHash is the twelve bits of a group address that RCTL.MO chooses: 47:36,
// 46:35, 45:34 or 43:32 of the address as the datasheet numbers them, its last
// byte on the wire highest [7.1].
func (n *NIC) mtaHash(dst uint64) uint32 {
	shift := [4]uint{36, 35, 34, 32}[n.rctl>>rctlMOShift&3]
	return uint32(dst>>shift) & 0xFFF
}

// writeRctl writes RCTL.
func (n *NIC) writeRctl(v Rctl, now sim.Time) {
	n.rctl = v
	n.limit()
	if v&RctlEN != 0 && v&RctlSECRC == 0 {
		n.wrong(now, RCTL, -1, -1, uint32(v), "receiver on without SECRC: frames here have no FCS to store")
	}
}

// limit makes ready what the lengths of frames are held against: none is right
// while the receiver is off.
func (n *NIC) limit() {
	longest := stdMax - fcs
	if n.rctl&RctlLPE != 0 {
		longest = int(n.rlpml) - fcs
	}
	if n.rctl&RctlEN == 0 {
		longest = 0
	}
	n.lengths = uint(max(longest-header+1, 0))
	n.plainLengths = uint64(max(longest-plainMin+1, 0))
	if n.rxcsum&(RxcsumIPOFLD|RxcsumTUOFLD) != 0 {
		n.plainLengths = 0 // each is looked at whole
	}
	n.lone = n.rctl&RctlUPE != 0 && (n.nExact == 0 || n.nExact == 1 && n.first <= addrMask)
}

// A frame is plain if its bytes say IPv4, without VLAN tag, options and
// fragments, with room for ports.
const plainMin = header + ipv4Header + portsLen

func isPlain(p *[plainMin]byte) bool {
	return binary.LittleEndian.Uint32(p[12:])&0xFFFFFF == 0x450008 && binary.LittleEndian.Uint16(p[20:])&0xFF3F == 0
}
