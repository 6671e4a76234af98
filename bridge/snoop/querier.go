package snoop

import (
	"encoding/binary"
	"net/netip"

	"ringside/sim"
)

// An ownQuery is the bridge's general queries by one interface.
type ownQuery struct {
	timer
	sent int // of those at the start
}

// A querier is the one with the lowest address so far.
type querier struct {
	addr addr
	port Port // Local is the bridge itself
}

// A QuerierState is the querier of a protocol, for display.
type QuerierState struct {
	Addr netip.Addr // not valid if there is none
	Port Port       // by which another one is reached; Local if that is the bridge
	// Timer is how long another querier still counts; 0 if there is none.
	Timer sim.Time
}

// Querier is the querier for IPv6 or IPv4 (mcast_querier_state).
func (s *Snooper) Querier(ipv6 bool, now sim.Time) QuerierState {
	s.Tick(now)
	f := ip4
	if ipv6 {
		f = ip6
	}
	side := &s.of[f]
	if !s.enabled || !s.cfg.Querier && !side.other.pending() {
		return QuerierState{}
	}
	st := QuerierState{Addr: ipOf(f, side.querier.addr), Timer: side.other.left(s.now)}
	if side.other.pending() && s.port(side.querier.port) != nil {
		st.Port = side.querier.port
	}
	return st
}

func ipOf(f proto, a addr) netip.Addr {
	if f == ip4 {
		return netip.AddrFrom4([4]byte(a[:4]))
	}
	return netip.AddrFrom16(a)
}

// querierExists says whether snooping has a querier to rely on, so that unknown
// multicast of that protocol is not flooded.
func (s *Snooper) querierExists(f proto) bool {
	side := &s.of[f]
	own := s.cfg.Querier && !(f == ip6 && s.noAddr)
	return s.now >= side.delay && (own || side.other.pending())
}

// isQuerier says whether the bridge asks for groups itself.
func (s *Snooper) isQuerier(f proto) bool { return s.cfg.Querier && !s.of[f].other.pending() }

// own is the bridge's queries by p, nil for those to the host.
func (s *Snooper) own(p *port, f proto) *ownQuery {
	if p == nil {
		return &s.of[f].own
	}
	return &p.of[f].own
}

// restart has general queries begin from the start.
func (s *Snooper) restart(q *ownQuery) {
	q.sent = 0
	if s.enabled {
		s.arm(&q.timer, s.now)
	}
}

// becomeQuerier is mcast_querier being set. The answers to the first query are
// awaited before anything that is not known is held back.
func (s *Snooper) becomeQuerier() {
	for _, f := range families {
		if !s.of[f].other.pending() {
			s.of[f].delay = s.after(s.cfg.QueryResponseInterval)
		}
		s.restartAll(f)
	}
}

func (s *Snooper) restartAll(f proto) {
	s.restart(&s.of[f].own)
	for _, p := range s.ports {
		if p != nil && p.asks() {
			s.restart(&p.of[f].own)
		}
	}
}

// asks says whether queries go out by the port.
func (p *port) asks() bool { return p.state != Disabled && p.state != Blocking }

// querierGone is another querier that was not heard for too long.
func (s *Snooper) querierGone(f proto) {
	if s.running && s.enabled {
		s.restartAll(f)
	}
}

// queryDue is the time of a general query, by a port or, if that is nil, to the
// host. A bridge that is not the querier sends none, and no later one either.
func (s *Snooper) queryDue(p *port, f proto) {
	if p != nil && !p.asks() {
		return
	}
	q := s.own(p, f)
	if q.sent < s.cfg.StartupQueryCount {
		q.sent++
	}
	if !s.hears(p) || !s.enabled || !s.isQuerier(f) {
		return
	}
	if side := &s.of[f]; p == nil && side.querier.port != Local {
		side.querier = querier{}
	}
	s.send(p, f, queryFor{})
	wait := s.cfg.QueryInterval
	if q.sent < s.cfg.StartupQueryCount {
		wait = s.cfg.StartupQueryInterval
	}
	s.arm(&q.timer, s.after(wait))
}

// jiffy is the time for a code of zero, Linux's shortest.
const jiffy = sim.Millisecond

// query is a query from someone else.
func (s *Snooper) query(m *message) {
	if !s.hears(m.port) {
		return
	}
	group, wait, ok := s.queryOf(m)
	switch {
	case !ok:
	case group == addr{}:
		s.heardQuerier(m, wait)
	default:
		if g := s.groups[m.key(group)]; g != nil {
			s.shorten(g, s.after(times(wait, s.cfg.LastMemberCount)))
		}
	}
}

// queryOf is what a query asks for, and how long it gives. It is not ok if it
// changes nothing: it asks for sources, or others are told to suppress it.
func (s *Snooper) queryOf(m *message) (group addr, wait sim.Time, ok bool) {
	b := m.body
	group = m.group()
	switch {
	case m.proto == ip4 && len(b) == 8:
		if b[1] == 0 { // RFC 2236 4: of version 1, for 10 s
			return addr{}, 10 * sim.Second, true
		}
		return group, sim.Time(b[1]) * sim.Second / 10, true
	case m.proto == ip4:
		suppressed := s.filters(ip4) && group != addr{} && b[8]&8 != 0
		return group, max(jiffy, floating(int(b[1]), 4)*sim.Second/10), !suppressed && b[10]|b[11] == 0
	case len(b) == 24:
		wait = sim.Time(binary.BigEndian.Uint16(b[4:])) * sim.Millisecond
		return group, wait, wait != 0
	}
	suppressed := s.filters(ip6) && group != addr{} && b[24]&8 != 0
	wait = floating(int(binary.BigEndian.Uint16(b[4:])), 12) * sim.Millisecond
	return group, max(jiffy, wait), !suppressed && b[26]|b[27] == 0
}

// floating reads a code of RFC 3376 4.1.1 or RFC 3810 5.1.3: with the top bit set
// it has three bits of exponent and so many of mantissa.
func floating(code, mantissa int) sim.Time {
	if code>>(mantissa+3) == 0 {
		return sim.Time(code)
	}
	exp := code >> mantissa & 7
	return sim.Time(code&(1<<mantissa-1)|1<<mantissa) << (exp + 3)
}

// heardQuerier is a general query. The lowest address wins (RFC 3376 6.6.2);
// another is heard if there is no querier.
func (s *Snooper) heardQuerier(m *message, wait sim.Time) {
	side := &s.of[m.proto]
	from := m.source()
	unset := m.proto == ip4 && side.querier.addr == addr{}
	lower := string(from[:]) <= string(side.querier.addr[:])
	vacant := !side.own.pending() && !side.other.pending()
	if !unset && !lower && !vacant {
		return
	}
	side.querier = querier{addr: from}
	if m.port != nil {
		side.querier.port = m.port.num
	}
	if !side.other.pending() {
		side.delay = s.after(wait)
	}
	s.arm(&side.other, s.after(s.cfg.QuerierInterval))
	s.mark(m.port, m.proto)
}

// shorten is a query for a group: who does not answer it, on any port, is out.
func (s *Snooper) shorten(g *group, until sim.Time) {
	if g.host {
		s.lower(&g.timer, until)
	}
	for _, pg := range g.ports {
		if pg.timer.pending() || !s.filters(g.proto) || pg.mode == exclude {
			s.lower(&pg.timer, until)
		}
	}
}
