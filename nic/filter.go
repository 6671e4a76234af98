package nic

import (
	"encoding/binary"

	"ringside/cost"
	"ringside/sim"
)

// filters are the address registers made ready for use [7.1.3].
type filters struct {
	exact  [MaxAddrs]uint64 // valid addresses, as a frame's first six bytes read
	nExact int
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
			n.nExact++
		}
	}
}

// classify is what the device makes of a frame: whether it wants it, for which
// queue, and what it will say of it in the descriptor.
func (n *NIC) classify(data []byte) (v verdict) {
	switch {
	case n.rctl&RctlEN == 0:
		v.reason = cost.NICRxDisabled
		return v
	case len(data) < header:
		n.stats.ruc++
		v.reason = cost.NICRxRunt
		return v
	case len(data) > n.longest && len(data) > n.allowed(data):
		n.stats.roc++
		v.reason = cost.NICRxOversize
		return v
	}
	dst := binary.LittleEndian.Uint64(data) & addrMask
	if dst&groupBit != 0 {
		if dst == broadcast {
			n.stats.bprc++
		} else {
			n.stats.mprc++
		}
	}
	if dst != n.exact[0] || n.nExact == 0 {
		passed, inexact := n.filter(dst)
		if !passed {
			v.reason = cost.NICRxFilter
			return v
		}
		if inexact {
			v.status = RxPIF
		}
	}
	n.parse(data, &v)
	return v
}

// allowed is the longest frame like this one, without its FCS: what RLPML says
// if RCTL.LPE is set, else 1518 bytes with FCS and four more for a VLAN tag
// [8.10.1].
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
// byte on the wire highest [7.1.3.2].
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

// limit finds the length up to which every frame is allowed.
func (n *NIC) limit() {
	if n.rctl&RctlLPE != 0 {
		n.longest = int(n.rlpml) - fcs
	} else {
		n.longest = stdMax - fcs
	}
}
