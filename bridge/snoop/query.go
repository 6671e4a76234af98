package snoop

import (
	"encoding/binary"
	"net/netip"

	"ringside/sim"
)

// A Query is a query that the bridge sends.
type Query struct {
	// Port is where it leaves. Local is up into the bridge's own interface, as if
	// it had come in by that.
	Port Port
	// Frame is the whole frame, without a VLAN tag and unpadded.
	Frame []byte
}

// Queries is what the bridge has to send since the last call. It is valid until
// the next call of anything.
func (s *Snooper) Queries() []Query {
	all := s.queries
	s.queries = s.queries[:0]
	return all
}

// A queryFor says what a query asks for.
type queryFor struct {
	group      addr      // zero is all
	to         addr      // zero is all hosts
	withList   bool      // only for the sources in list
	list       []*source //
	suppressed bool      // other routers do not lower their timers
}

// queryGroup asks a port for a group, at the group's address.
func (s *Snooper) queryGroup(pg *portGroup, suppressed bool) {
	dst := pg.group.dst
	s.send(pg.port, pg.group.proto, queryFor{group: dst, to: dst, suppressed: suppressed})
}

// querySources asks a port for those sources of a group that are still to be asked
// for: both is first for those with time left and, if there were any, then for the
// others, and not both is for the others alone. It says whether it is to be
// repeated.
func (s *Snooper) querySources(pg *portGroup, both bool) (more bool) {
	until := s.after(s.lastMemberTime())
	if both && !s.queryList(pg, pg.asked(until, true), both) {
		return false
	}
	list := pg.asked(until, false)
	if !s.queryList(pg, list, both) || !s.filters(pg.group.proto) {
		return false
	}
	for _, src := range list {
		more = more || src.queries > 0
	}
	return more
}

// asked is the sources to be asked for whose timer ends after a moment, or not.
func (pg *portGroup) asked(until sim.Time, later bool) (list []*source) {
	for _, src := range pg.sources {
		if src.queries > 0 && src.timer.at > until == later {
			list = append(list, src)
		}
	}
	return list
}

func (s *Snooper) queryList(pg *portGroup, list []*source, suppressed bool) bool {
	if s.filters(pg.group.proto) && len(list) == 0 {
		return false
	}
	dst := pg.group.dst
	sent := s.send(pg.port, pg.group.proto,
		queryFor{group: dst, to: dst, withList: true, list: list, suppressed: suppressed})
	if sent && s.filters(pg.group.proto) {
		for _, src := range list {
			src.queries--
		}
	}
	return sent
}

// send puts a query in line for p, nil for the host. It says whether it could.
func (s *Snooper) send(p *port, f proto, q queryFor) bool {
	if !s.hears(p) {
		return false
	}
	var frame []byte
	if f == ip4 {
		frame = s.query4(q)
	} else if frame = s.query6(q); frame == nil {
		return false
	}
	out := Query{Frame: frame}
	m := message{proto: f, port: p, ip: frame[14:]}
	m.body = frame[14+m.headLen():]
	if p != nil {
		out.Port = p.num
	} else {
		s.of[f].querier.addr = m.source()
	}
	s.count(p, m.kind(), p == nil)
	s.queries = append(s.queries, out)
	return true
}

// The IP headers of queries: with the Router Alert option (RFC 2113), and with
// hop-by-hop options that hold it (RFC 2711).
const (
	queryHead4 = 24
	queryHead6 = 40 + 8
)

func (m *message) headLen() int {
	if m.proto == ip4 {
		return queryHead4
	}
	return queryHead6
}

// header is an Ethernet header and room for n bytes.
func (s *Snooper) header(to []byte, typ uint16, n int) []byte {
	b := make([]byte, 14+n)
	if typ == typeIPv4 { // RFC 1112 6.4
		copy(b, []byte{0x01, 0x00, 0x5e, to[1] & 0x7f, to[2], to[3]})
	} else { // RFC 2464 7
		copy(b, []byte{0x33, 0x33, to[12], to[13], to[14], to[15]})
	}
	copy(b[6:], s.addrs.MAC[:])
	binary.BigEndian.PutUint16(b[12:], typ)
	return b
}

// query4 is a query of IGMPv2 (RFC 2236 2) or IGMPv3 (RFC 3376 4.1).
func (s *Snooper) query4(q queryFor) []byte {
	const head = queryHead4
	to, n := q.to, 8
	if to == (addr{}) {
		to = addr{224, 0, 0, 1}
	}
	if s.filters(ip4) {
		n = 12 + 4*len(q.list)
	}
	b := s.header(to[:4], typeIPv4, head+n)
	ip, body := b[14:14+head], b[14+head:]
	copy(ip, []byte{0x46, 0xc0, 0, 0, 0, 0, 0x40, 0, 1, protoIGMP})
	binary.BigEndian.PutUint16(ip[2:], uint16(head+n))
	if s.cfg.QueryUseIfaddr && s.addrs.IPv4.Is4() {
		copy(ip[12:], s.addrs.IPv4.AsSlice())
	}
	copy(ip[16:], to[:4])
	copy(ip[20:], []byte{0x94, 4, 0, 0})
	binary.BigEndian.PutUint16(ip[10:], ^sum(0, ip))

	body[0] = igmpQuery
	body[1] = uint8(s.wait(q) / (sim.Second / 10))
	copy(body[4:8], q.group[:])
	if s.filters(ip4) {
		s.version3(body[8:12], q)
		for i, src := range q.list {
			copy(body[12+4*i:], src.addr[:4])
		}
	}
	binary.BigEndian.PutUint16(body[2:], ^sum(0, body))
	return b
}

// wait is how long hosts have to answer.
func (s *Snooper) wait(q queryFor) sim.Time {
	if q.group == (addr{}) {
		return s.cfg.QueryResponseInterval
	}
	return s.cfg.LastMemberInterval
}

// version3 is what a query of IGMPv3 or MLDv2 says after the group: the S flag and
// a robustness of 2, the query interval and the number of sources.
func (s *Snooper) version3(b []byte, q queryFor) {
	b[0] = 2
	if q.suppressed {
		b[0] |= 8
	}
	b[1] = uint8(s.cfg.QueryInterval / sim.Second)
	binary.BigEndian.PutUint16(b[2:], uint16(len(q.list)))
}

// query6 is a query of MLD (RFC 2710 3) or MLDv2 (RFC 3810 5.1), or nil without a
// link-local address.
func (s *Snooper) query6(q queryFor) []byte {
	const head = queryHead6
	to, n := q.to, 24
	if to == (addr{}) {
		to = allNodes
	}
	if s.noAddr = !isIPv6(s.addrs.LinkLocal); s.noAddr {
		return nil
	}
	if s.filters(ip6) {
		n = 28 + 16*len(q.list)
	}
	b := s.header(to[:], typeIPv6, head+n)
	ip, body := b[14:14+head], b[14+head:]
	ip[0], ip[7] = 0x60, 1
	binary.BigEndian.PutUint16(ip[4:], uint16(8+n))
	copy(ip[8:], s.addrs.LinkLocal.AsSlice())
	copy(ip[24:], to[:])
	copy(ip[40:], []byte{protoICMPv6, 0, 5, 2, 0, 0, 0, 0})

	body[0] = mldQuery
	binary.BigEndian.PutUint16(body[4:], uint16(s.wait(q)/sim.Millisecond))
	copy(body[8:24], q.group[:])
	if s.filters(ip6) {
		s.version3(body[24:28], q)
		for i, src := range q.list {
			copy(body[28+16*i:], src.addr[:])
		}
	}
	pseudo := uint32(n) + protoICMPv6 + uint32(sum(0, ip[8:40]))
	binary.BigEndian.PutUint16(body[2:], ^sum(pseudo, body))
	return b
}

func isIPv6(a netip.Addr) bool { return a.Is6() && !a.Is4In6() }
