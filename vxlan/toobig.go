package vxlan

import "encoding/binary"

// What an ICMP error about a packet needs [RFC 792; RFC 4443, section 3.2].
const (
	icmpLen      = 8
	minMTUv4     = 576  // no error tells of less, and none is longer
	minMTUv6     = 1280 // likewise
	protoICMP    = 1
	protoICMPv6  = 58
	fragNeeded   = 0x0304
	packetTooBig = 0x0200
)

// Fits says that the packet in a frame of that length is no longer than mtu, which is
// the underlay's less Overhead.
func Fits(length, mtu int) bool { return length-ethLen <= mtu }

// TooBig appends to b the frame that answers one whose packet does not fit into mtu,
// as if the far station had sent it: ICMP's fragmentation needed, or packet too big of
// ICMPv6. It is what Linux does for a VTEP that is a port of a bridge, where there is no
// router to answer. Frame is all of the frame that b is to quote, up to 1294 bytes.
//
// Without an answer b is returned as it was: the packet may be fragmented, has options
// or a tag, is itself an ICMP error, comes from or goes to no host, or mtu is less than
// every host has to take. Such a frame goes on, and the underlay fragments it.
func TooBig(b, frame []byte, mtu int) []byte {
	if len(frame) < ethLen {
		return b
	}
	p := frame[ethLen:]
	switch typ := word(frame, ethLen-2); {
	case typ == typeIPv4 && len(p) >= ipv4Len && mtu >= minMTUv4 && answersIPv4(p):
		return tooBigIPv4(b, frame, mtu)
	case typ == typeIPv6 && len(p) >= ipv6Len && mtu >= minMTUv6 && answersIPv6(p):
		return tooBigIPv6(b, frame, mtu)
	}
	return b
}

// ethernet appends the header of an answer to a frame.
func ethernet(b, frame []byte) []byte {
	b = append(b, frame[6:12]...)
	b = append(b, frame[:6]...)
	return append(b, frame[12:14]...)
}

// answersIPv4 says that the packet may not be fragmented and that its sender may be
// told so [RFC 1122, section 3.2.2].
func answersIPv4(p []byte) bool {
	src, dst := p[12:16], p[16:20]
	switch {
	case word(p, 6) != 0x4000, src[0] == 0, src[0] == 127, src[0] >= 224 && src[0] < 240, broadcast(src), dst[0] >= 224 && dst[0] < 240, broadcast(dst):
		return false
	case p[9] == protoICMP:
		return !icmpError(p, int(p[0]&0xf)*4)
	}
	return true
}

func broadcast(a []byte) bool { return binary.BigEndian.Uint32(a) == 0xffffffff }

// icmpError says that the ICMP message at an offset of p is an error, or cannot be
// told from one.
func icmpError(p []byte, at int) bool {
	if at >= len(p) {
		return true
	}
	switch p[at] {
	case 3, 4, 5, 11, 12:
		return true
	}
	return false
}

func tooBigIPv4(b, frame []byte, mtu int) []byte {
	p := frame[ethLen:]
	quote := p[:min(len(p), minMTUv4-ipv4Len-icmpLen)]
	b = ethernet(b, frame)
	at := len(b)
	b = append(b, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(ipv4Len+icmpLen+len(quote)))
	b = append(b, 0, 0, 0x40, 0, p[8], protoICMP, 0, 0)
	b = append(b, p[16:20]...)
	b = append(b, p[12:16]...)
	binary.BigEndian.PutUint16(b[at+10:], ^fold(sum(0, b[at:])))
	at = len(b)
	b = binary.BigEndian.AppendUint16(b, fragNeeded)
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(min(mtu, 0xffff)))
	b = append(b, quote...)
	binary.BigEndian.PutUint16(b[at+2:], ^fold(sum(0, b[at:])))
	return b
}

// answersIPv6 is answersIPv4's other half [RFC 4443, section 2.4 (e)].
func answersIPv6(p []byte) bool {
	src := [16]byte(p[8:])
	switch {
	case src == [16]byte{}, src == [16]byte{15: 1}, src[0] == 0xff:
		return false
	case p[6] == protoICMPv6:
		return len(p) > ipv6Len && p[ipv6Len] >= 128
	}
	return true
}

func tooBigIPv6(b, frame []byte, mtu int) []byte {
	p := frame[ethLen:]
	quote := p[:min(len(p), minMTUv6-ipv6Len-icmpLen)]
	b = ethernet(b, frame)
	at := len(b)
	b = append(b, 0x60, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(icmpLen+len(quote)))
	b = append(b, protoICMPv6, p[7])
	b = append(b, p[24:40]...)
	b = append(b, p[8:24]...)
	pseudo := sum(uint32(icmpLen+len(quote)+protoICMPv6), b[at+8:]) // of RFC 8200, section 8.1
	at = len(b)
	b = binary.BigEndian.AppendUint16(b, packetTooBig)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(mtu))
	b = append(b, quote...)
	binary.BigEndian.PutUint16(b[at+2:], ^fold(sum(pseudo, b[at:])))
	return b
}

// sum adds the 16-bit words of b to s [RFC 1071]. B is short enough for 32 bits.
func sum(s uint32, b []byte) uint32 {
	for len(b) >= 2 {
		s += uint32(b[0])<<8 | uint32(b[1])
		b = b[2:]
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	s = s&0xffff + s>>16
	return uint16(s + s>>16)
}
