package snoop

import (
	"encoding/binary"

	"ringside/sim"
)

// A Drop is why a frame is dropped, 0 if it is not. Linux has no drop reason of
// its own for any of them (SKB_DROP_REASON_NOT_SPECIFIED); it has an errno.
type Drop uint8

const (
	Malformed    Drop = 1 + iota // EINVAL: a broken IP header or message
	DatabaseFull                 // E2BIG: HashMax entries are there, and snooping has ended
	PortFull                     // ENOMEM: the port has its MaxGroups
)

// String is the reason in words, "" if there is none.
func (d Drop) String() string {
	return [...]string{"", "malformed", "database full", "port full"}[d&3]
}

// A Result is what a frame is. The zero value is a frame with no restriction.
type Result struct {
	// Drop is set if the frame is to be dropped.
	Drop Drop
	// Type is the type of a membership message, its first byte; 0 is any other
	// frame. Messages are not looked up in the database.
	Type uint8
	// RoutersOnly says that without an entry for its group the frame goes to
	// routers only.
	RoutersOnly bool

	kind kind
}

// The types of messages.
const (
	igmpQuery    = 0x11
	igmpV1Report = 0x12
	igmpV2Report = 0x16
	igmpLeave    = 0x17
	igmpV3Report = 0x22
	igmpRouter   = 0x30 // RFC 4286 4.2, an advertisement
	mldQuery     = 130
	mldReport    = 131
	mldDone      = 132
	mldV2Report  = 143
	mldRouter    = 151 // RFC 4286 4.2

	protoIGMP   = 2
	protoPIM    = 103
	protoICMPv6 = 58

	typeIPv4 = 0x0800
	typeIPv6 = 0x86dd
)

// A message is a membership message, cut out of its frame.
type message struct {
	proto  proto
	port   *port // nil is the host
	vid    uint16
	host   MAC    // where the frame came from
	ip     []byte // the IP header
	body   []byte // from the type on, as long as the IP header says
	addrAt int    // where the group is in the body
}

// Receive looks at a frame to a group address other than broadcast that came by
// the port p, from the host if that is Local, with the VLAN id vid, 0 if there are
// no VLANs. off is where the network header begins; the Ethernet type is before
// it. The frame is not kept.
func (s *Snooper) Receive(p Port, vid uint16, frame []byte, off int, now sim.Time) Result {
	if now > s.now {
		s.Tick(now)
	}
	in := s.port(p)
	if !s.enabled || in == nil && p != Local {
		return Result{}
	}
	f, ip := network(frame, off)
	m := message{proto: f, port: in, vid: vid, ip: ip}
	switch f {
	case ip4:
		copy(m.host[:], frame[6:])
		return s.receive4(&m)
	case ip6:
		copy(m.host[:], frame[6:])
		return s.receive6(&m)
	}
	return Result{}
}

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

// malformed is the end of a frame that breaks a standard.
func (s *Snooper) malformed(m *message) Result {
	if s.cfg.StatsEnabled {
		st := s.statsOf(m.port)
		if m.proto == ip4 {
			st.IGMPParseErrors++
		} else {
			st.MLDParseErrors++
		}
	}
	return Result{Drop: Malformed}
}

func (s *Snooper) receive4(m *message) Result {
	head, end, ok := bounds4(m.ip)
	if !ok {
		return s.malformed(m)
	}
	if m.ip[9] != protoIGMP {
		return s.data4(m, head)
	}
	m.body = m.ip[head:end]
	if len(m.body) < 8 || sum(0, m.body) != 0xffff {
		return s.malformed(m)
	}
	m.addrAt = 4
	switch m.body[0] {
	case igmpQuery:
		if !m.goodQuery(8, 12, [4]byte(m.ip[16:20]) == allHosts) {
			return s.malformed(m)
		}
	case igmpV1Report, igmpV2Report, igmpV3Report, igmpLeave:
	default:
		return s.data4(m, head)
	}
	return s.message(m)
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

// data4 is an IPv4 packet that is no membership message. 224.0.0.0/24 is for
// everyone (RFC 4541 2.1.2), and there routers can be heard.
func (s *Snooper) data4(m *message, head int) Result {
	dst := [4]byte(m.ip[16:20])
	if [3]byte(dst[:3]) != [3]byte{224, 0, 0} {
		return Result{RoutersOnly: true}
	}
	body := m.ip[head:]
	switch {
	case dst[3] == 13 && m.ip[9] == protoPIM:
		if len(body) >= 4 && body[0] == 0x20 { // version 2, Hello
			s.mark(m.port, ip4)
		}
	case dst[3] == 106 && m.ip[9] == protoIGMP && body[0] == igmpRouter:
		s.mark(m.port, ip4)
	}
	return Result{}
}

var (
	allHosts    = [4]byte{224, 0, 0, 1}
	allNodes    = [16]byte{0: 0xff, 1: 0x02, 15: 0x01}
	allSnoopers = [16]byte{0: 0xff, 1: 0x02, 15: 0x6a}
)

func (s *Snooper) receive6(m *message) Result {
	end, ok := bounds6(m.ip)
	if !ok {
		return s.malformed(m)
	}
	dst := [16]byte(m.ip[24:40])
	data := Result{RoutersOnly: dst != allNodes}
	at, next, ok := payload6(m.ip)
	if !ok {
		return s.malformed(m)
	}
	if next != protoICMPv6 {
		return data
	}
	if at+8 > end || !m.goodSum6(at, end) {
		return s.malformed(m)
	}
	m.body, m.addrAt = m.ip[at:end], 8
	switch typ := m.body[0]; {
	case typ == mldV2Report && len(m.body) >= 24:
	case (typ == mldReport || typ == mldDone) && len(m.body) >= 24:
	case typ == mldQuery && len(m.body) >= 24:
		if !linkLocal(m.ip[8:24]) || !m.goodQuery(24, 28, dst == allNodes) {
			return s.malformed(m)
		}
	default:
		if dst == allSnoopers && typ == mldRouter {
			s.mark(m.port, ip6)
		}
		return data
	}
	return s.message(m)
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

// message is a good membership message.
func (s *Snooper) message(m *message) Result {
	r := Result{Type: m.body[0], kind: m.kind()}
	switch r.Type {
	case igmpV1Report, igmpV2Report, mldReport:
		r.RoutersOnly = true
		_, r.Drop = s.report(m, m.group(), true)
	case igmpV3Report, mldV2Report:
		r.Drop = s.records(m)
	case igmpQuery, mldQuery:
		s.query(m)
	case igmpLeave, mldDone:
		s.leave(m, m.group())
	}
	s.count(m.port, r.kind, true)
	return r
}

// forAll says that a group is one that no host has to join: 224.0.0.0/24, and
// ff02::1.
func forAll(f proto, g addr) bool {
	if f == ip4 {
		return [3]byte(g[:3]) == [3]byte{224, 0, 0}
	}
	return g == allNodes
}

func (m *message) key(g addr) key { return key{proto: m.proto, vid: m.vid, dst: g} }

// report is a host that is in a group.
func (s *Snooper) report(m *message, g addr, legacy bool) (*portGroup, Drop) {
	if forAll(m.proto, g) {
		return nil, 0
	}
	return s.join(m.key(g), m.port, m.host, legacy, 0)
}

// records is a report of IGMPv3 (RFC 3376 4.2) or MLDv2 (RFC 3810 5.2). Records
// before a broken one count. Auxiliary data, of which there is none, is not
// skipped.
func (s *Snooper) records(m *message) Drop {
	legacy := !s.filters(m.proto)
	size := m.proto.size()
	rest := m.body[8:]
	for range binary.BigEndian.Uint16(m.body[6:]) {
		if len(rest) < 4+size {
			return Malformed
		}
		n := int(binary.BigEndian.Uint16(rest[2:]))
		if len(rest) < 4+size+n*size {
			return Malformed
		}
		typ, g, list := rest[0], makeAddr(rest[4:4+size]), rest[4+size:4+size+n*size]
		rest = rest[4+size+n*size:]
		if typ < modeIsInclude || typ > blockOldSources {
			continue
		}
		if n == 0 && (typ == modeIsInclude || typ == changeToInclude) {
			if m.port == nil || legacy {
				s.leave(m, g)
			}
		} else if _, full := s.report(m, g, legacy); full != 0 {
			return full
		}
		if m.port != nil && !legacy {
			s.groupRecord(m, g, typ, list)
		}
	}
	return 0
}

func (s *Snooper) groupRecord(m *message, g addr, typ uint8, list []byte) {
	it := s.groups[m.key(g)]
	if it == nil || !s.hears(m.port) {
		return
	}
	pg := it.find(m.port, m.host)
	if pg == nil || pg.flags&permanent != 0 {
		return
	}
	size := m.proto.size()
	sources := make([]addr, 0, len(list)/size)
	for ; len(list) > 0; list = list[size:] {
		sources = append(sources, makeAddr(list[:size]))
	}
	s.record(pg, m.source(), typ, sources)
}

// source is the address of the packet's sender.
func (m *message) source() addr {
	if m.proto == ip4 {
		return makeAddr(m.ip[12:16])
	}
	return makeAddr(m.ip[8:24])
}

// leave is a host that says that it is in a group no more. While another bridge
// or router is the querier its query decides.
func (s *Snooper) leave(m *message, dst addr) {
	p := m.port
	g := s.groups[m.key(dst)]
	if forAll(m.proto, dst) || !s.hears(p) || g == nil {
		return
	}
	if p != nil && p.cfg.FastLeave {
		s.leaveFast(g, p, m.host)
		return
	}
	if s.of[m.proto].other.pending() {
		return
	}
	until := s.after(s.lastMemberTime())
	if s.cfg.Querier {
		s.send(p, m.proto, queryFor{group: dst})
		s.arm(&s.own(p, m.proto).timer, until)
		if pg := g.find(p, m.host); p != nil && pg != nil {
			s.lower(&pg.timer, until)
		}
	}
	if p == nil {
		if g.host {
			s.lower(&g.timer, until)
		}
	} else if pg := g.first(p); pg != nil {
		s.lower(&pg.timer, until)
	}
}

func (s *Snooper) leaveFast(g *group, p *port, mac MAC) {
	for pg := g.find(p, mac); pg != nil && pg.flags&permanent == 0; pg = g.find(p, mac) {
		pg.flags |= fastLeave
		s.removePortGroup(pg)
	}
}
