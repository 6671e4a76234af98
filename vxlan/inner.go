package vxlan

import "encoding/binary"

const (
	typeIPv4 = 0x0800
	typeIPv6 = 0x86dd
	ipv4Len  = 20
	ipv6Len  = 40
)

// An inner is what the outer header takes from the inner packet: nothing if it is not
// IP.
type inner struct {
	tos, ttl uint8
	df       bool
}

func readInner(frame []byte) inner {
	typ, at := etherType(frame)
	p := frame[at:]
	switch {
	case typ == typeIPv4 && len(p) >= ipv4Len:
		return inner{tos: p[1], ttl: p[8], df: p[6]&0x40 != 0 && at == ethLen}
	case typ == typeIPv6 && len(p) >= ipv6Len:
		return inner{tos: p[0]<<4 | p[1]>>4, ttl: p[7], df: at == ethLen}
	}
	return inner{}
}

// etherType is the type of what a frame carries, behind up to two VLAN tags, and where
// that begins.
func etherType(frame []byte) (typ uint16, at int) {
	at = ethLen
	for range 2 {
		if typ = word(frame, at-2); typ != 0x8100 && typ != 0x88a8 {
			return typ, min(at, len(frame))
		}
		at += 4
	}
	return word(frame, at-2), min(at, len(frame))
}

// word is the 16 bits at an offset, 0 behind the end.
func word(b []byte, at int) uint16 {
	if len(b) < at+2 {
		return 0
	}
	return binary.BigEndian.Uint16(b[at:])
}

// An ECN is the last two bits of an IP header's traffic class [RFC 3168, section 5].
type ECN uint8

// The codepoints.
const (
	NotECT ECN = iota
	ECT1
	ECT0
	CE
)

// encapECN is the outer traffic class: the inner packet's ECN field, but for one that
// is marked already, whose outer packet is to say what happens on its own way. That is
// Linux, and RFC 3168's full functionality; RFC 6040 would copy the mark.
func encapECN(tos, in uint8) uint8 {
	ecn := ECN(in & 3)
	if ecn == CE {
		ecn = ECT0
	}
	return tos&^3 | uint8(ecn)
}

// decapECN is the inner ECN field after the tunnel [RFC 6040, section 4.2]. It is not
// ok if the underlay marked a packet whose ends know nothing of marks: that one has to
// be dropped.
func decapECN(outer, in ECN) (ecn ECN, ok bool) {
	switch {
	case in == NotECT:
		return NotECT, outer != CE
	case outer == CE:
		return CE, true
	case outer == ECT1 && in == ECT0:
		return ECT1, true
	}
	return in, true
}

// innerECN is the ECN field of the packet in a frame; ok is false if it is not IP.
func innerECN(frame []byte) (ecn ECN, ok bool) {
	typ, at := etherType(frame)
	p := frame[at:]
	switch {
	case typ == typeIPv4 && len(p) >= ipv4Len:
		return ECN(p[1] & 3), true
	case typ == typeIPv6 && len(p) >= ipv6Len:
		return ECN(p[1] >> 4 & 3), true
	}
	return 0, false
}

// SetECN writes the ECN field of the packet in a frame, and the checksum of its header
// if it has one. A frame that carries no IP is left alone.
func SetECN(frame []byte, ecn ECN) {
	if len(frame) < ethLen {
		return
	}
	if _, ok := innerECN(frame); !ok {
		return
	}
	typ, at := etherType(frame)
	p := frame[at:]
	if typ == typeIPv6 {
		p[1] = p[1]&^0x30 | uint8(ecn)<<4
		return
	}
	was := word(p, 0)
	p[1] = p[1]&^3 | uint8(ecn)
	// The checksum after a change of one word [RFC 1624, eqn. 3].
	sum := uint32(^word(p, 10)) + uint32(^was) + uint32(word(p, 0))
	sum = sum&0xffff + sum>>16
	sum = sum&0xffff + sum>>16
	binary.BigEndian.PutUint16(p[10:], ^uint16(sum))
}
