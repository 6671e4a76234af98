package virtio

import "encoding/binary"

// FlowHash is a number of 32 bits that is the same for all frames of a flow, both
// ways: of its addresses, and of its ports where it is TCP or UDP in one piece. What
// is not IP has 0. Both ends of a device choose the pair of queues by it, as Linux
// does by skb_get_hash.
func FlowHash(frame []byte) uint32 {
	at := 12
	for len(frame) >= at+6 && (frame[at] == 0x81 && frame[at+1] == 0 || frame[at] == 0x88 && frame[at+1] == 0xa8) {
		at += 4
	}
	if len(frame) < at+2 {
		return 0
	}
	kind, p := binary.BigEndian.Uint16(frame[at:]), frame[at+2:]
	switch {
	case kind == 0x0800 && len(p) >= 20:
		h := mix(uint64(binary.BigEndian.Uint32(p[12:])), uint64(binary.BigEndian.Uint32(p[16:])))
		whole := binary.BigEndian.Uint16(p[6:])&0x3fff == 0 // neither an offset nor more fragments
		return finish(h, p[9], ports(p, int(p[0]&15)*4, p[9], whole))
	case kind == 0x86dd && len(p) >= 40:
		h := mix(binary.BigEndian.Uint64(p[8:])^binary.BigEndian.Uint64(p[16:])*31, binary.BigEndian.Uint64(p[24:])^binary.BigEndian.Uint64(p[32:])*31)
		return finish(h, p[6], ports(p, 40, p[6], true))
	}
	return 0
}

// ports is both ports of a TCP or UDP packet, in no order; 0 where there are none.
func ports(p []byte, at int, protocol byte, whole bool) uint64 {
	if !whole || protocol != 6 && protocol != 17 || len(p) < at+4 {
		return 0
	}
	return mix(uint64(binary.BigEndian.Uint16(p[at:])), uint64(binary.BigEndian.Uint16(p[at+2:])))
}

// mix is a number of a and b in no order.
func mix(a, b uint64) uint64 { return spread(a) + spread(b) }

// spread spreads x over 64 bits, by multiplying with an odd number near 2^64 over the
// golden ratio, as hash tables do.
func spread(x uint64) uint64 {
	x *= 0x9e3779b97f4a7c15
	return (x ^ x>>32) * 0xbf58476d1ce4e5b9
}

// finish makes 32 bits of what tells a flow apart.
func finish(addresses uint64, protocol byte, ports uint64) uint32 {
	return uint32(spread(addresses^addresses>>29^ports^uint64(protocol)<<56) >> 32)
}
