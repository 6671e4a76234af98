package nic

import "encoding/binary"

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
// or of its bytes' entries, one table for each position [7.1].
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

// sum12 hashes the addresses and ports of IPv4, as they follow one another in a
// packet without options.
func (t *toeplitz) sum12(p *[12]byte) uint32 {
	return t[0][p[0]] ^ t[1][p[1]] ^ t[2][p[2]] ^ t[3][p[3]] ^
		t[4][p[4]] ^ t[5][p[5]] ^ t[6][p[6]] ^ t[7][p[7]] ^
		t[8][p[8]] ^ t[9][p[9]] ^ t[10][p[10]] ^ t[11][p[11]]
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

// l4Types has what MRQC calls a packet of each protocol that has ports, and the
// packet type bit in the descriptor.
var l4Types = [256]struct {
	info  uint16
	kind  RSSType
	field Mrqc
}{
	protoTCP:  {PktTCP, RSSTCPIPv4, MrqcTCPIPv4},
	protoUDP:  {PktUDP, RSSUDPIPv4, MrqcUDPIPv4},
	protoSCTP: {PktSCTP, RSSNone, 0},
}

// parseIPv4 looks into an IPv4 packet. A fragment has no ports.
func (n *NIC) parseIPv4(p []byte) (info uint64, queue uint32) {
	if len(p) < ipv4Header || p[0]>>4 != 4 || p[0]&0xF < 5 {
		return 0, 0
	}
	info = PktIPv4
	size := int(p[0]&0xF) * 4
	if size > ipv4Header {
		info |= PktIPv4Ex
	}
	whole := binary.BigEndian.Uint16(p[6:])&0x3FFF == 0
	l4 := &l4Types[p[9]]
	if whole {
		info |= uint64(l4.info)
	}
	if n.rssFields == 0 {
		return info, 0
	}
	switch {
	case whole && n.rssFields&l4.field != 0 && len(p) >= size+portsLen:
		if size == ipv4Header {
			return n.hashed(info, l4.kind, n.hasher().sum12((*[12]byte)(p[12:])))
		}
		in := [12]byte(p[12:24])
		copy(in[8:], p[size:size+portsLen])
		return n.hashed(info, l4.kind, n.hasher().sum12(&in))
	case n.rssFields&MrqcIPv4 != 0:
		return n.hashed(info, RSSIPv4, n.hasher().sum(p[12:20], 0))
	}
	return info, 0
}

// parseIPv6 looks into an IPv6 packet, and not past extension headers.
func (n *NIC) parseIPv6(p []byte) (info uint64, queue uint32) {
	if len(p) < ipv6Header || p[0]>>4 != 6 {
		return 0, 0
	}
	next := p[6]
	info = PktIPv6 | uint64(l4Types[next].info)
	extended := next == 0 || next == 43 || next == 44 || next == 51 || next == 60 || next == 135
	if extended {
		info |= PktIPv6Ex
	}
	if n.rssFields == 0 {
		return info, 0
	}
	t := n.hasher()
	if kind := ipv6Ports(n.rssFields, next); kind != RSSNone && len(p) >= ipv6Header+portsLen {
		return n.hashed(info, kind, t.sum(p[8:ipv6Header+portsLen], 0))
	}
	switch {
	case n.rssFields&MrqcIPv6Ex != 0:
		return n.hashed(info, RSSIPv6Ex, t.sum(p[8:ipv6Header], 0))
	case n.rssFields&MrqcIPv6 != 0:
		return n.hashed(info, RSSIPv6, t.sum(p[8:ipv6Header], 0))
	}
	return info, 0
}

// ipv6Ports is the hash with ports that MRQC wants of a protocol in IPv6. The
// fields named Ex come first, and cover packets without extension headers too.
func ipv6Ports(m Mrqc, proto byte) RSSType {
	switch {
	case proto == protoTCP && m&MrqcTCPIPv6Ex != 0:
		return RSSTCPIPv6Ex
	case proto == protoTCP && m&MrqcTCPIPv6 != 0:
		return RSSTCPIPv6
	case proto == protoUDP && m&MrqcUDPIPv6Ex != 0:
		return RSSUDPIPv6Ex
	case proto == protoUDP && m&MrqcUDPIPv6 != 0:
		return RSSUDPIPv6
	}
	return RSSNone
}

// hashed looks the queue of a hash up in RETA. The hash stands in the descriptor
// when RXCSUM.PCSD says so.
func (n *NIC) hashed(info uint64, kind RSSType, h uint32) (uint64, uint32) {
	if n.rxcsum&RxcsumPCSD != 0 {
		info |= uint64(kind) | uint64(h)<<32
	}
	return info, uint32(n.redirect[h&127])
}
