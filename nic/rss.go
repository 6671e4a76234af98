package nic

import (
	"encoding/binary"

	"ringside/cost"
)

// The headers that the device looks into.
const (
	etherIPv4   = 0x0800
	etherIPv6   = 0x86DD
	protoTCP    = 6
	protoUDP    = 17
	protoSCTP   = 132
	ipv4Header  = 20
	ipv6Header  = 40
	portsLen    = 4
	rssInputMax = 2*16 + portsLen // bytes that the longest hash covers
	rssKeyLen   = 4 * RSSRKWords
)

// toeplitz is the hash of RSS by tables: the hash of an input is the exclusive
// or of its bytes' entries, one table for each position [7.1.1.7.2].
type toeplitz [rssInputMax][256]uint32

// fill makes the tables of a key. A set bit at position p of the input, counted
// from the first byte's highest, contributes the 32 bits of the key from p on.
func (t *toeplitz) fill(key *[rssKeyLen]byte) {
	for i := range t {
		window := uint64(binary.BigEndian.Uint32(key[i:]))<<8 | uint64(key[i+4])
		for b := range 8 {
			bit := uint32(window >> (b + 1)) // for the bit of value 1<<b
			if b == 7 {
				bit = uint32(window >> 8)
			}
			for v := range 1 << b {
				t[i][1<<b|v] = t[i][v] ^ bit
			}
		}
	}
}

// sum hashes input, which begins at position at.
func (t *toeplitz) sum(input []byte, at int) (h uint32) {
	rows := t[at : at+len(input)]
	for i := range rows {
		h ^= rows[i][input[i]]
	}
	return h
}

// rekey says that RSSRK has changed.
func (n *NIC) rekey() { n.keyed = false }

// hasher returns the tables, made anew if the key has changed.
func (n *NIC) hasher() *toeplitz {
	if n.keyed {
		return n.rss
	}
	if n.rss == nil {
		n.rss = new(toeplitz)
	}
	var key [rssKeyLen]byte
	for i, w := range n.rssrk {
		binary.LittleEndian.PutUint32(key[4*i:], w)
	}
	n.rss.fill(&key)
	n.keyed = true
	return n.rss
}

// parse finds the packet's type, and its RSS hash and queue if MRQC wants one
// [7.1.1.7]. It looks through one VLAN tag, and through an outer one if
// CTRL_EXT.EXT_VLAN is set.
func (n *NIC) parse(data []byte, v *verdict) {
	at := 12
	kind := binary.BigEndian.Uint16(data[at:])
	if n.ctrlExt&CtrlExtEXTVLAN != 0 && kind == uint16(n.vet>>16) && len(data) >= at+tagSize+2 {
		at += tagSize
		kind = binary.BigEndian.Uint16(data[at:])
	}
	if kind == uint16(n.vet) && len(data) >= at+tagSize+2 {
		at += tagSize
		kind = binary.BigEndian.Uint16(data[at:])
	}
	switch kind {
	case etherIPv4:
		n.parseIPv4(data[at+2:], v)
	case etherIPv6:
		n.parseIPv6(data[at+2:], v)
	}
}

// l4 is the packet type bit of a protocol.
func l4(proto byte) uint64 {
	switch proto {
	case protoTCP:
		return PktTCP
	case protoUDP:
		return PktUDP
	case protoSCTP:
		return PktSCTP
	}
	return 0
}

// parseIPv4 looks into an IPv4 packet. A fragment has no ports.
func (n *NIC) parseIPv4(p []byte, v *verdict) {
	if len(p) < ipv4Header || p[0]>>4 != 4 || p[0]&0xF < 5 {
		return
	}
	v.info = PktIPv4
	size := int(p[0]&0xF) * 4
	if size > ipv4Header {
		v.info |= PktIPv4Ex
	}
	whole := binary.BigEndian.Uint16(p[6:])&0x3FFF == 0
	if whole {
		v.info |= l4(p[9])
	}
	if n.mrqc&MrqcModeMask != MrqcRSS {
		return
	}
	if whole && len(p) >= size+portsLen {
		if p[9] == protoTCP && n.mrqc&MrqcTCPIPv4 != 0 {
			n.hashed(v, RSSTCPIPv4, p[12:20], p[size:size+portsLen])
			return
		}
		if p[9] == protoUDP && n.mrqc&MrqcUDPIPv4 != 0 {
			n.hashed(v, RSSUDPIPv4, p[12:20], p[size:size+portsLen])
			return
		}
	}
	if n.mrqc&MrqcIPv4 != 0 {
		n.hashed(v, RSSIPv4, p[12:20], nil)
	}
}

// parseIPv6 looks into an IPv6 packet, and not past extension headers.
func (n *NIC) parseIPv6(p []byte, v *verdict) {
	if len(p) < ipv6Header || p[0]>>4 != 6 {
		return
	}
	next := p[6]
	v.info = PktIPv6 | l4(next)
	extended := next == 0 || next == 43 || next == 44 || next == 51 || next == 60 || next == 135
	if extended {
		v.info |= PktIPv6Ex
	}
	if n.mrqc&MrqcModeMask != MrqcRSS {
		return
	}
	if len(p) >= ipv6Header+portsLen {
		ports := p[ipv6Header : ipv6Header+portsLen]
		if kind := ipv6Ports(n.mrqc, next); kind != RSSNone {
			n.hashed(v, kind, p[8:40], ports)
			return
		}
	}
	switch {
	case extended && n.mrqc&MrqcIPv6Ex != 0:
		n.hashed(v, RSSIPv6Ex, p[8:40], nil)
	case n.mrqc&MrqcIPv6 != 0:
		n.hashed(v, RSSIPv6, p[8:40], nil)
	case n.mrqc&MrqcIPv6Ex != 0:
		n.hashed(v, RSSIPv6Ex, p[8:40], nil)
	}
}

// ipv6Ports is the hash with ports that MRQC wants of a protocol in IPv6. The
// fields named Ex cover packets without extension headers too.
func ipv6Ports(m Mrqc, proto byte) RSSType {
	switch {
	case proto == protoTCP && m&MrqcTCPIPv6 != 0:
		return RSSTCPIPv6
	case proto == protoTCP && m&MrqcTCPIPv6Ex != 0:
		return RSSTCPIPv6Ex
	case proto == protoUDP && m&MrqcUDPIPv6 != 0:
		return RSSUDPIPv6
	case proto == protoUDP && m&MrqcUDPIPv6Ex != 0:
		return RSSUDPIPv6Ex
	}
	return RSSNone
}

// hashed hashes addresses and ports and looks the queue up in RETA. The hash
// stands in the descriptor when RXCSUM.PCSD says so.
func (n *NIC) hashed(v *verdict, kind RSSType, addrs, ports []byte) {
	t := n.hasher()
	h := t.sum(addrs, 0) ^ t.sum(ports, len(addrs))
	e := h & 127
	v.queue = int(n.reta[e>>2] >> (8 * (e & 3)) & 0xF)
	if n.rxcsum&RxcsumPCSD != 0 {
		v.info |= uint64(kind) | uint64(h)<<32
	}
	if v.queue >= len(n.rx) {
		v.queue, v.reason = 0, cost.NICRxDisabled
	}
}
