package snoop

import "ringside/sim"

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
	s.Tick(now)
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

// malformed is the end of a frame that breaks a standard.
func (s *Snooper) malformed(m *message) Result {
	if s.cfg.StatsEnabled && !s.peeking {
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
	case len(m.body) >= 24 && (typ == mldReport || typ == mldDone || typ == mldV2Report):
	case len(m.body) >= 24 && typ == mldQuery:
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

// message is a good membership message.
func (s *Snooper) message(m *message) Result {
	r := Result{Type: m.body[0], kind: m.kind()}
	if s.peeking {
		r.RoutersOnly = r.Type == igmpV1Report || r.Type == igmpV2Report || r.Type == mldReport
		return r
	}
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
