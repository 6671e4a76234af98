package vxlan

import (
	"encoding/binary"
	"math/bits"
)

// sourcePort is udp_flow_src_port: from the inner flow, so that the underlay spreads
// flows over its ways and keeps the packets of each in order [RFC 7348, section 5].
func (v *VTEP) sourcePort(frame []byte) uint16 {
	h := flowHash(frame, v.cfg.Seed)
	return v.cfg.SrcPortMin + uint16(h>>32*v.srcSpan>>32)
}

// A mix is a hash on its way, one multiplication for each word.
type mix uint64

func (h mix) add(x uint64) mix {
	hi, lo := bits.Mul64(uint64(h)^x^0x9e3779b97f4a7c15, 0xd6e8feb86659fd93)
	return mix(hi ^ lo)
}

// flowHash is a hash of what the packets of one flow have in common: addresses and
// protocol, ports or the flow label; of what is not IP the Ethernet header.
func flowHash(frame []byte, seed uint64) uint64 {
	h := mix(seed).add(1)
	typ, at := etherType(frame)
	p := frame[at:]
	switch {
	case typ == typeIPv4 && len(p) >= ipv4Len:
		return hashIPv4(h, p)
	case typ == typeIPv6 && len(p) >= ipv6Len:
		return hashIPv6(h, p)
	default:
		a, b := binary.BigEndian.Uint64(frame), uint64(binary.BigEndian.Uint32(frame[8:]))
		return uint64(h.add(a).add(b<<16 | uint64(typ)).add(2))
	}
}

// hashIPv4 leaves out the ports of fragments, which only the first one has.
func hashIPv4(h mix, p []byte) uint64 {
	h = h.add(binary.BigEndian.Uint64(p[12:])).add(uint64(p[9]))
	if word(p, 6)&0x3fff != 0 {
		return uint64(h.add(3))
	}
	return uint64(h.add(ports(p[9], p[min(int(p[0]&0xf)*4, len(p)):])))
}

// hashIPv6 takes the flow label in place of ports if there is one [RFC 6438].
func hashIPv6(h mix, p []byte) uint64 {
	for at := 8; at < ipv6Len; at += 8 {
		h = h.add(binary.BigEndian.Uint64(p[at:]))
	}
	if label := binary.BigEndian.Uint32(p) & 0xfffff; label != 0 {
		return uint64(h.add(uint64(label)).add(4))
	}
	return uint64(h.add(uint64(p[6])).add(ports(p[6], p[ipv6Len:])))
}

// ports is the two ports of a TCP, UDP or SCTP header, 0 of others.
func ports(protocol uint8, b []byte) uint64 {
	if (protocol == 6 || protocol == 17 || protocol == 132) && len(b) >= 4 {
		return uint64(binary.BigEndian.Uint32(b))
	}
	return 0
}
