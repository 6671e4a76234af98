package reference

import (
	"encoding/binary"
	"net/netip"

	"ringside/cost"
)

// A message is what a frame to a group says about membership.
type message struct {
	bad         bool // broken: the frame is dropped
	full        bool // a report for which there was no room: likewise
	membership  bool // it is IGMP or MLD
	routersOnly bool // without an entry it goes to routers only
	records     []record
	query       *query
	router      bool // a router spoke: PIM hello, or a multicast router advertisement
}

// reason is why the frame is dropped.
func (m message) reason() cost.DropReason {
	if m.full {
		return cost.RSMcastFull
	}
	return cost.RSMcastBad
}

// A record is one statement about one group.
type record struct {
	kind    int
	group   netip.Addr
	sources []netip.Addr
}

// The kinds of records, RFC 3376 4.2.12, and two for older versions.
const (
	isInclude = 1 + iota
	isExclude
	toInclude
	toExclude
	allow
	block
	join  // a report of IGMPv1, v2 or MLDv1
	leave // a leave of IGMPv2 or done of MLDv1
)

type query struct {
	from     netip.Addr
	group    netip.Addr // unspecified in a general query
	response int64      // in units of 1/10 s in IGMP and 1 ms in MLD
	v3       bool
	sources  int
	suppress bool
}

var (
	allHosts     = netip.MustParseAddr("224.0.0.1")
	allPIM       = netip.MustParseAddr("224.0.0.13")
	allSnoopers4 = netip.MustParseAddr("224.0.0.106")
	allSnoopers6 = netip.MustParseAddr("ff02::6a")
	allNodes     = netip.MustParseAddr("ff02::1")
)

// parse reads the packet behind an EtherType.
func parse(etherType uint16, packet []byte) message {
	switch etherType {
	case etherIPv4:
		return parse4(packet)
	case etherIPv6:
		return parse6(packet)
	}
	return message{}
}

var broken = message{bad: true}

func parse4(p []byte) (m message) {
	if len(p) < 20 || p[0]>>4 != 4 || p[0]&15 < 5 {
		return broken
	}
	head, total := int(p[0]&15)*4, int(binary.BigEndian.Uint16(p[2:]))
	if len(p) < head || checksum(0, p[:head]) != 0 || len(p) < total || total < head {
		return broken
	}
	to := netip.AddrFrom4([4]byte(p[16:20]))
	body, protocol := p[head:total], p[9]
	if protocol != 2 {
		return other4(to, protocol, body)
	}
	if len(body) < 8 || checksum(0, body) != 0 {
		return broken
	}
	m.membership = true
	group := netip.AddrFrom4([4]byte(body[4:8]))
	switch body[0] {
	case 0x12, 0x16:
		m.routersOnly = true
		m.records = []record{{kind: join, group: group}}
	case 0x17:
		m.records = []record{{kind: leave, group: group}}
	case 0x22:
		m.records, m.bad = records(body[8:], int(binary.BigEndian.Uint16(body[6:])), 4)
	case 0x11:
		m.query = &query{from: netip.AddrFrom4([4]byte(p[12:16])), group: group, response: int64(body[1])}
		if len(body) != 8 {
			if len(body) < 12 {
				return broken
			}
			m.query.v3, m.query.suppress = true, body[8]&8 != 0
			m.query.sources = int(binary.BigEndian.Uint16(body[10:]))
			m.query.response = floating8(body[1])
		}
		if group.IsUnspecified() && to != allHosts {
			return broken
		}
	default:
		return other4(to, protocol, body)
	}
	return m
}

// other4 is a packet that is no membership message. Addresses of the local
// network's control block (224.0.0.0/24) are for all.
func other4(to netip.Addr, protocol byte, body []byte) (m message) {
	a := to.As4()
	if [3]byte(a[:3]) != [3]byte{224, 0, 0} {
		m.routersOnly = true
	} else if to == allPIM {
		m.router = protocol == 103 && len(body) >= 4 && body[0] == 0x20
	} else if to == allSnoopers4 {
		m.router = protocol == 2 && len(body) > 0 && body[0] == 0x30
	}
	return m
}

func parse6(p []byte) (m message) {
	if len(p) < 40 || p[0]>>4 != 6 {
		return broken
	}
	length := int(binary.BigEndian.Uint16(p[4:]))
	if len(p) < 40+length || length == 0 {
		return broken
	}
	from, to := netip.AddrFrom16([16]byte(p[8:24])), netip.AddrFrom16([16]byte(p[24:40]))
	body := p[40 : 40+length]
	m.routersOnly = to != allNodes
	if p[6] != 0 { // no hop-by-hop options: no MLD
		return m
	}
	next, body, ok := skip(p[6], body)
	if !ok {
		return broken
	}
	if next != 58 {
		return m
	}
	if len(body) < 8 || checksum(pseudo(p[8:40], len(body)), body) != 0 {
		return broken
	}
	m.router = to == allSnoopers6 && body[0] == 151
	if len(body) < 24 {
		return m
	}
	group := netip.AddrFrom16([16]byte(body[8:24]))
	switch body[0] {
	case 131:
		m.membership, m.routersOnly = true, true
		m.records = []record{{kind: join, group: group}}
	case 132:
		m.membership, m.routersOnly = true, false
		m.records = []record{{kind: leave, group: group}}
	case 143:
		m.membership, m.routersOnly = true, false
		m.records, m.bad = records(body[8:], int(binary.BigEndian.Uint16(body[6:])), 16)
	case 130:
		m.membership, m.routersOnly = true, false
		m.query = &query{from: from, group: group, response: int64(binary.BigEndian.Uint16(body[4:]))}
		if !from.IsLinkLocalUnicast() || len(body) != 24 && len(body) < 28 || group.IsUnspecified() && to != allNodes {
			return broken
		}
		if len(body) != 24 {
			m.query.v3, m.query.suppress = true, body[24]&8 != 0
			m.query.sources = int(binary.BigEndian.Uint16(body[26:]))
			m.query.response = floating16(binary.BigEndian.Uint16(body[4:]))
		}
	}
	return m
}

// skip goes over extension headers (ipv6_skip_exthdr). Of a fragment but the first
// the protocol is that of fragments.
func skip(next byte, p []byte) (byte, []byte, bool) {
	for {
		length := 0
		switch next {
		case 0, 43, 60:
			if len(p) >= 2 {
				length = int(p[1])*8 + 8
			}
		case 51:
			if len(p) >= 2 {
				length = int(p[1])*4 + 8
			}
		case 44:
			if length = 8; len(p) >= 4 && binary.BigEndian.Uint16(p[2:])&^7 != 0 {
				return next, p, true
			}
		case 59:
			return 0, nil, false
		default:
			return next, p, true
		}
		if length == 0 || len(p) < length {
			return 0, nil, false
		}
		next, p = p[0], p[length:]
	}
}

// records reads the records of an IGMPv3 or MLDv2 report with addresses of size
// bytes. What stands before a broken one counts.
func records(p []byte, n, size int) (list []record, bad bool) {
	for range n {
		if len(p) < 4+size {
			return list, true
		}
		r := record{kind: int(p[0])}
		r.group, _ = netip.AddrFromSlice(p[4 : 4+size])
		count := int(binary.BigEndian.Uint16(p[2:]))
		p = p[4+size:]
		if len(p) < count*size {
			return list, true
		}
		for i := range count {
			a, _ := netip.AddrFromSlice(p[i*size : (i+1)*size])
			r.sources = append(r.sources, a)
		}
		p = p[count*size:]
		list = append(list, r)
	}
	return list, false
}

// floating8 is a time in the notation of RFC 3376 4.1.1, floating16 of RFC 3810 5.1.3.
func floating8(c byte) int64 {
	if c < 128 {
		return int64(c)
	}
	return int64(c&15|16) << (c>>4&7 + 3)
}

func floating16(c uint16) int64 {
	if c < 32768 {
		return int64(c)
	}
	return int64(c&0xfff|0x1000) << (c>>12&7 + 3)
}

func pseudo(addresses []byte, n int) uint32 {
	return uint32(^checksum(0, addresses)) + uint32(n) + 58
}

// checksum is the Internet checksum, RFC 1071: 0 over data that has its own.
func checksum(sum uint32, p []byte) uint16 {
	for i, c := range p {
		if i%2 == 0 {
			sum += uint32(c) << 8
		} else {
			sum += uint32(c)
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
