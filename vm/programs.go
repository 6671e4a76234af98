package vm

import (
	"bytes"
	"encoding/binary"
	"errors"

	"ringside/syscall"
)

// Sink takes every frame and does nothing with it.
func Sink(g *Guest) error {
	for {
		if _, err := g.Receive(); err != nil {
			return err
		}
		g.Work(0)
	}
}

// Slow is Sink with a service time: every frame keeps it busy for the span d.
func Slow(d Time) Program {
	return func(g *Guest) error {
		for {
			if _, err := g.Receive(); err != nil {
				return err
			}
			g.Work(d)
		}
	}
}

// offer is Send of a frame that may be lost: a host without memory for it does not
// end the guest.
func (g *Guest) offer(f []byte) error {
	if err := g.Send(f); !errors.Is(err, syscall.ENOMEM) {
		return err
	}
	return nil
}

// Reflect sends every frame back with source and destination exchanged. Frames
// for a group are taken and not sent back, and neither are frames of its own
// that come round again.
func Reflect(g *Guest) error {
	for {
		f, err := g.Receive()
		if err != nil {
			return err
		}
		g.Work(0)
		if len(f) < ethHeader || f[0]&1 != 0 || bytes.Equal(f[6:12], g.MAC[:]) {
			continue
		}
		turn(f, g.MAC)
		if err := g.offer(f); err != nil {
			return err
		}
	}
}

// Echo is a host in the smallest sense: it answers ARP requests and pings for
// Addr, and neighbour solicitations and pings where Addr is IPv6. Everything
// else it takes and ignores: fragments, extension headers, and whatever is cut,
// damaged, or from nobody who can be answered.
func Echo(g *Guest) error {
	for {
		f, err := g.Receive()
		if err != nil {
			return err
		}
		g.Work(0)
		if !g.answer(f) {
			continue
		}
		if err := g.offer(f); err != nil {
			return err
		}
	}
}

// Sizes and numbers of the protocols that Echo speaks.
const (
	ethHeader = 14
	typeIPv4  = 0x0800
	typeARP   = 0x0806
	typeIPv6  = 0x86dd

	arpLen     = 28
	arpRequest = 1
	arpReply   = 2

	protoICMP   = 1
	protoICMPv6 = 58
	ip6Header   = 40
	hopLimit    = 64 // of what it sends

	echoRequest   = 8
	echoReply     = 0
	echoRequest6  = 128
	echoReply6    = 129
	solicitation  = 135
	advertisement = 136
)

// turn makes a received frame one for its sender.
func turn(f []byte, me MAC) {
	copy(f[0:6], f[6:12])
	copy(f[6:12], me[:])
}

// answer turns f into the answer to it and says whether there is one.
func (g *Guest) answer(f []byte) bool {
	if len(f) < ethHeader || !g.Addr.IsValid() {
		return false
	}
	switch binary.BigEndian.Uint16(f[12:]) {
	case typeARP:
		return g.answerARP(f)
	case typeIPv4:
		return g.answerPing(f)
	case typeIPv6:
		return g.answerIPv6(f)
	}
	return false
}

// answerARP [RFC 826].
func (g *Guest) answerARP(f []byte) bool {
	p := f[ethHeader:]
	if len(p) < arpLen || !g.Addr.Is4() ||
		!bytes.Equal(p[:6], []byte{0, 1, 8, 0, 6, 4}) || binary.BigEndian.Uint16(p[6:]) != arpRequest {
		return false
	}
	me := g.Addr.As4()
	if !bytes.Equal(p[24:28], me[:]) {
		return false
	}
	turn(f, g.MAC)
	binary.BigEndian.PutUint16(p[6:], arpReply)
	copy(p[18:28], p[8:18])
	copy(p[8:14], g.MAC[:])
	copy(p[14:18], me[:])
	return true
}

// answerPing [RFC 792].
func (g *Guest) answerPing(f []byte) bool {
	p := f[ethHeader:]
	if len(p) < 20 || !g.Addr.Is4() || p[0]>>4 != 4 || p[9] != protoICMP {
		return false
	}
	head, total := int(p[0]&15)*4, int(binary.BigEndian.Uint16(p[2:]))
	me := g.Addr.As4()
	if head < 20 || total < head+8 || total > len(p) || !bytes.Equal(p[16:20], me[:]) ||
		binary.BigEndian.Uint16(p[6:])&0x3fff != 0 { // a fragment
		return false
	}
	icmp := p[head:total]
	if icmp[0] != echoRequest || checksum(0, p[:head]) != 0 || checksum(0, icmp) != 0 {
		return false
	}
	if from := [4]byte(p[12:16]); from == me || from[0] == 0 || from[0] == 127 || from[0] >= 224 {
		return false // nobody who can be answered [RFC 1122, 3.2.1.3]
	}
	turn(f, g.MAC)
	copy(p[16:20], p[12:16])
	copy(p[12:16], me[:])
	p[8] = hopLimit
	binary.BigEndian.PutUint16(p[10:], 0)
	binary.BigEndian.PutUint16(p[10:], checksum(0, p[:head]))
	icmp[0] = echoReply
	binary.BigEndian.PutUint16(icmp[2:], 0)
	binary.BigEndian.PutUint16(icmp[2:], checksum(0, icmp))
	return true
}

// answerIPv6 answers pings [RFC 4443] and solicitations [RFC 4861, 7.2.4].
func (g *Guest) answerIPv6(f []byte) bool {
	p := f[ethHeader:]
	if len(p) < ip6Header || !g.Addr.Is6() || p[0]>>4 != 6 || p[6] != protoICMPv6 {
		return false
	}
	n := int(binary.BigEndian.Uint16(p[4:]))
	if n < 8 || ip6Header+n > len(p) {
		return false
	}
	icmp := p[ip6Header : ip6Header+n]
	me, from, to := g.Addr.As16(), [16]byte(p[8:24]), [16]byte(p[24:40])
	if checksum(pseudo6(p, n), icmp) != 0 || from == me || from == [16]byte{} || from[0] == 0xff {
		return false
	}
	switch {
	case icmp[0] == echoRequest6 && to == me:
		icmp[0] = echoReply6
		p[7] = hopLimit
	case icmp[0] == solicitation && n >= 24 && [16]byte(icmp[8:24]) == me && (to == me || to == solicitedNode(me)):
		if p[7] != 255 || icmp[1] != 0 { // from beyond the link [RFC 4861, 7.1.1]
			return false
		}
		if n < 32 || icmp[24] != 1 || icmp[25] != 1 { // source link-layer address, to be turned into the target's
			return false
		}
		icmp[0] = advertisement
		icmp[4] = 0x60 // solicited, override
		icmp[24] = 2
		copy(icmp[26:32], g.MAC[:])
	default:
		return false
	}
	turn(f, g.MAC)
	copy(p[24:40], p[8:24])
	copy(p[8:24], me[:])
	binary.BigEndian.PutUint16(icmp[2:], 0)
	binary.BigEndian.PutUint16(icmp[2:], checksum(pseudo6(p, n), icmp))
	return true
}

// solicitedNode is the group that a host of that address listens to [RFC 4291,
// 2.7.1].
func solicitedNode(a [16]byte) [16]byte {
	return [16]byte{0: 0xff, 1: 0x02, 11: 1, 12: 0xff, 13: a[13], 14: a[14], 15: a[15]}
}

// pseudo6 is the sum of the IPv6 pseudo-header of an ICMPv6 message of n bytes.
func pseudo6(p []byte, n int) uint32 {
	return sum(sum(0, p[8:40]), []byte{0, 0, byte(n >> 8), byte(n), 0, 0, 0, protoICMPv6})
}

// checksum is the Internet checksum of b on top of a sum [RFC 1071].
func checksum(s uint32, b []byte) uint16 {
	s = sum(s, b)
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return ^uint16(s)
}

func sum(s uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}
