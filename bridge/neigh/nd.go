package neigh

import (
	"encoding/binary"
	"net/netip"
)

// The parts of an IPv6 packet with a message of neighbour discovery.
const (
	ipv6Len = 40
	ndLen   = 24 // to the target's end

	ipv6NextHeader  = 6
	ipv6Source      = 8
	ipv6Destination = 24

	ndType   = ipv6Len
	ndCode   = ipv6Len + 1
	ndFlags  = ipv6Len + 4
	ndTarget = ipv6Len + 8
)

const (
	nextICMPv6    = 58
	solicitation  = 135
	advertisement = 136

	flagRouter    = 0x80
	flagSolicited = 0x40
	flagOverride  = 0x20

	optSourceLinkLayer = 1
	optTargetLinkLayer = 2
	optUnit            = 8 // bytes to a unit of an option's length
)

func (q *Query) nd(t *Table, lookup Lookup, buf []byte) (Verdict, []byte) {
	m := q.Frame[q.Network:]
	if len(m) < ipv6Len+ndLen || m[ipv6NextHeader] != nextICMPv6 || m[ndCode] != 0 || q.Suppressed {
		return Pass, nil
	}
	switch m[ndType] {
	case advertisement:
		if m[ndFlags]&flagSolicited == 0 {
			return Suppress, nil
		}
		return Pass, nil
	case solicitation:
	default:
		return Pass, nil
	}
	source, destination := [16]byte(m[ipv6Source:]), [16]byte(m[ipv6Destination:])
	switch {
	case q.toOne():
		return Pass, nil
	case source == [16]byte{} || source == destination:
		return Suppress, nil // duplicate address detection
	}
	n, v := q.find(netip.AddrFrom16([16]byte(m[ndTarget:])), t, lookup)
	if v != Reply {
		return v, nil
	}
	asks, ok := sourceLinkLayer(m[ipv6Len+ndLen:], [6]byte(q.Frame[6:]))
	if !ok {
		return Suppress, nil
	}
	return Reply, q.advertise(m, asks, n, buf)
}

// sourceLinkLayer is the address in the first such option, or another one if there
// is none. It is false if an option before it has no length or is cut off.
func sourceLinkLayer(options []byte, other [6]byte) (mac [6]byte, ok bool) {
	for len(options) > 1 {
		n := int(options[1]) * optUnit
		if n == 0 || n > len(options) {
			return mac, false
		}
		if options[0] == optSourceLinkLayer {
			return [6]byte(options[2:]), true
		}
		options = options[n:]
	}
	return other, true
}

// advertise answers the solicitation m in the name of who has the target.
func (q *Query) advertise(m []byte, asks [6]byte, n Neighbour, buf []byte) []byte {
	const payload = ndLen + optUnit
	target := m[ndTarget : ndTarget+16]

	buf = q.header(buf, asks, n.MAC, EtherIPv6)
	buf = append(buf, 6<<4|m[0]&0x0f, 0, 0, 0, 0, payload, nextICMPv6, 255)
	addresses := len(buf)
	buf = append(append(buf, target...), m[ipv6Source:ipv6Source+16]...)

	flags := byte(flagSolicited | flagOverride)
	if n.Router {
		flags |= flagRouter
	}
	body := len(buf)
	buf = append(buf, advertisement, 0, 0, 0, flags, 0, 0, 0)
	buf = append(append(buf, target...), optTargetLinkLayer, 1)
	buf = append(buf, n.MAC[:]...)
	binary.BigEndian.PutUint16(buf[body+2:], checksum(buf[addresses:]))
	return buf
}

// checksum is that of an ICMPv6 message behind its two addresses, with a pseudo
// header that names its length and its protocol.
func checksum(b []byte) uint16 {
	sum := uint32(len(b)-32) + nextICMPv6
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
