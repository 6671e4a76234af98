package snoop

import "encoding/binary"

// network is what a frame carries, and its bytes.
func network(frame []byte, off int) (proto, []byte) {
	if off < 14 || off > len(frame) {
		return l2, nil
	}
	switch binary.BigEndian.Uint16(frame[off-2:]) {
	case typeIPv4:
		return ip4, frame[off:]
	case typeIPv6:
		return ip6, frame[off:]
	}
	return l2, nil
}

// bounds4 is where a packet's payload begins and ends.
func bounds4(ip []byte) (head, end int, ok bool) {
	if len(ip) < 20 || ip[0]>>4 != 4 {
		return 0, 0, false
	}
	head = int(ip[0]&0xf) * 4
	end = int(binary.BigEndian.Uint16(ip[2:]))
	if head < 20 || head > len(ip) || sum(0, ip[:head]) != 0xffff || end < head || end > len(ip) {
		return 0, 0, false
	}
	return head, end, true
}

// goodQuery checks a query's length, which tells its version, and that a general
// one goes to all.
func (m *message) goodQuery(short, long int, toAll bool) bool {
	n := len(m.body)
	return (n == short || n >= long) && (toAll || m.group() != addr{})
}

// bounds6 is where a packet's payload ends.
func bounds6(ip []byte) (end int, ok bool) {
	if len(ip) < 40 || ip[0]>>4 != 6 {
		return 0, false
	}
	n := int(binary.BigEndian.Uint16(ip[4:]))
	return 40 + n, n > 0 && 40+n <= len(ip)
}

// Headers that may come before the payload.
const (
	hopByHop    = 0
	routing     = 43
	fragment    = 44
	authHeader  = 51
	noNext      = 59
	destOptions = 60
)

// payload6 walks the extension headers of a packet that has hop-by-hop options,
// as MLD's must; of another it says that it is none. It is not ok if they do not
// end.
func payload6(ip []byte) (at int, next uint8, ok bool) {
	at, next = 40, ip[6]
	if next != hopByHop {
		return at, noNext, true
	}
	for {
		size := 8
		switch next {
		case noNext:
			return 0, 0, false
		case hopByHop, routing, fragment, authHeader, destOptions:
		default:
			return at, next, true
		}
		if at+2 > len(ip) || next == fragment && at+4 > len(ip) {
			return 0, 0, false
		}
		switch next {
		case fragment:
			if binary.BigEndian.Uint16(ip[at+2:])&^7 != 0 {
				return at, next, true // not the first: there is no header to see
			}
		case authHeader:
			size = (int(ip[at+1]) + 2) * 4
		default:
			size = (int(ip[at+1]) + 1) * 8
		}
		at, next = at+size, ip[at]
	}
}

func (m *message) goodSum6(at, end int) bool {
	pseudo := uint32(end-at) + protoICMPv6
	return sum(pseudo+uint32(sum(0, m.ip[8:40])), m.ip[at:end]) == 0xffff
}

// linkLocal also holds for a group address of the link, as in Linux.
func linkLocal(a []byte) bool {
	return a[0] == 0xfe && a[1]&0xc0 == 0x80 || a[0] == 0xff && a[1]&0xf == 2
}

// sum is the ones' complement sum of b and what was summed before.
func sum(before uint32, b []byte) uint16 {
	n := uint64(before)
	for ; len(b) >= 2; b = b[2:] {
		n += uint64(b[0])<<8 | uint64(b[1])
	}
	if len(b) == 1 {
		n += uint64(b[0]) << 8
	}
	for n > 0xffff {
		n = n>>16 + n&0xffff
	}
	return uint16(n)
}

// group is the address a message is about.
func (m *message) group() addr { return makeAddr(m.body[m.addrAt : m.addrAt+m.proto.size()]) }

// size is an address's number of bytes.
func (f proto) size() int { return [...]int{6, 4, 16}[f] }

// source is the address of the packet's sender.
func (m *message) source() addr {
	if m.proto == ip4 {
		return makeAddr(m.ip[12:16])
	}
	return makeAddr(m.ip[8:24])
}
