package reference

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"ringside/bridge"
	"ringside/bridge/snoop"
	"ringside/sim"
)

// A snooper is the multicast database. Of a port and a group it knows what RFC 3376
// 6.2 to 6.5 has a router know, and so whether the port wants a source.
type snooper struct {
	b       *Bridge
	cfg     snoop.Config
	on      bool
	groups  map[groupKey]*groupEntry
	family  [2]family // IPv4, IPv6
	routers map[bridge.Port]*routerPort
	seq     int
}

// A family is what the bridge knows of queriers and of itself as a router.
type family struct {
	other sim.Time // until when another querier counts
	delay sim.Time // until when all is flooded, since hosts may not have answered yet
	from  netip.Addr
	self  sim.Time // until when the host itself is a router
}

type routerPort struct {
	until [2]sim.Time
}

type groupKey struct {
	vid   uint16
	group netip.Addr
	mac   bridge.MAC // of a group of Ethernet
}

type groupEntry struct {
	host      bool
	hostUntil sim.Time
	members   map[memberKey]*member
	static    map[staticKey]bool // (S,G) set by hand
}

type memberKey struct {
	port bridge.Port
	mac  bridge.MAC // of the host, on ports with mcast_to_unicast
}

type staticKey struct {
	port   bridge.Port
	source netip.Addr
}

// A member is a port's state for a group.
type member struct {
	seq       int // when it came, among all
	exclude   bool
	permanent bool
	timed     bool // its timer runs
	until     sim.Time
	sources   map[netip.Addr]sim.Time // when the source's timer ends; past it has ended
}

func newSnooper(b *Bridge) *snooper {
	s := &snooper{b: b, on: !b.cfg.NoSnooping, groups: map[groupKey]*groupEntry{}, routers: map[bridge.Port]*routerPort{}}
	s.cfg = defaults(b.cfg.Multicast)
	if s.cfg.Querier {
		for i := range s.family {
			s.family[i].delay = s.cfg.QueryResponseInterval
		}
	}
	return s
}

func defaults(c snoop.Config) snoop.Config {
	set := func(t *sim.Time, d sim.Time) {
		if *t == 0 {
			*t = d
		} else if *t == snoop.None {
			*t = 0
		}
	}
	set(&c.LastMemberInterval, sim.Second)
	set(&c.MembershipInterval, 260*sim.Second)
	set(&c.QuerierInterval, 255*sim.Second)
	set(&c.QueryResponseInterval, 10*sim.Second)
	if c.LastMemberCount == 0 {
		c.LastMemberCount = 2
	}
	if c.IGMPVersion == 0 {
		c.IGMPVersion = 2
	}
	if c.MLDVersion == 0 {
		c.MLDVersion = 1
	}
	return c
}

func (s *snooper) addPort(n bridge.Port) { s.routers[n] = &routerPort{} }

// setPort has a port's mcast_router change, which forgets what was known of it.
func (s *snooper) setPort(n bridge.Port, old snoop.Router) {
	p := s.b.ports[n]
	if p.cfg.McastRouter == old && old != snoop.RouterTemp {
		return
	}
	s.routers[n].until = [2]sim.Time{}
	if p.cfg.McastRouter == snoop.RouterTemp {
		s.markRouter(p, 0)
		s.markRouter(p, 1)
	}
}

func (s *snooper) removePort(n bridge.Port) {
	s.leaveAll(n, true)
	delete(s.routers, n)
}

// disable forgets what a port wanted, but not what was set by hand.
func (s *snooper) disable(n bridge.Port) {
	s.leaveAll(n, false)
	s.routers[n].until = [2]sim.Time{}
}

func (s *snooper) leaveAll(n bridge.Port, permanent bool) {
	for k, g := range s.groups {
		for mk, m := range g.members {
			if mk.port == n && (permanent || !m.permanent) {
				s.remove(k, mk)
			}
		}
		for sk := range g.static {
			if sk.port == n && permanent {
				delete(g.static, sk)
			}
		}
		s.sweep(k)
	}
}

// remove takes a member out. Linux has a group of Ethernet lose the host with it: it
// is no (*,G), and what an (S,G) has from one goes when nothing else is left.
func (s *snooper) remove(k groupKey, mk memberKey) {
	delete(s.groups[k].members, mk)
	if !k.group.IsValid() {
		s.groups[k].host = false
	}
	s.sweep(k)
}

// sweep takes a group out in which nobody is.
func (s *snooper) sweep(k groupKey) {
	if g := s.groups[k]; g != nil && !g.host && len(g.members) == 0 && len(g.static) == 0 {
		delete(s.groups, k)
	}
}

// tick ends what has ended.
func (s *snooper) tick() {
	now := s.b.now
	for k, g := range s.groups {
		if g.host && k.group.IsValid() && g.hostUntil <= now {
			g.host = false
			s.sweep(k)
		}
		for mk, m := range g.members {
			if s.over(m, now) {
				s.remove(k, mk)
			}
		}
	}
}

// over has the timers of a member that have ended take effect, and says whether it
// is one no more: a group timer that ends makes an include list of what is still
// asked for, a source's timer takes it from an include list.
func (s *snooper) over(m *member, now sim.Time) bool {
	ended := m.timed && m.until <= now
	if m.permanent {
		m.timed = m.timed && !ended
		return false
	}
	if ended {
		m.exclude, m.timed = false, false
	}
	dropped := ended
	if !m.exclude {
		for a, t := range m.sources {
			if t <= now {
				delete(m.sources, a)
				dropped = true
			}
		}
	}
	return dropped && len(m.sources) == 0 && !m.exclude
}

// groupOf is the group that a frame is for, and the source it is from.
func groupOf(f frame, vid uint16) (k groupKey, source netip.Addr) {
	k.vid = vid
	switch p := f.rest[2:]; f.etherType() {
	case etherIPv4:
		k.group, source = netip.AddrFrom4([4]byte(p[16:20])), netip.AddrFrom4([4]byte(p[12:16]))
	case etherIPv6:
		k.group, source = netip.AddrFrom16([16]byte(p[24:40])), netip.AddrFrom16([16]byte(p[8:24]))
	default:
		k.mac = f.dst
	}
	return k, source
}

// index is which family a frame belongs to.
func index(etherType uint16) (int, bool) {
	return map[uint16]int{etherIPv4: 0, etherIPv6: 1}[etherType], etherType == etherIPv4 || etherType == etherIPv6
}

// byFamily is the value for IPv4 or for IPv6.
func byFamily(i int, four, six int) int {
	if i == 0 {
		return four
	}
	return six
}

// modern says that sources are looked at.
func (s *snooper) modern(i int) bool {
	return byFamily(i, s.cfg.IGMPVersion-2, s.cfg.MLDVersion-1) == 1
}

// hear is br_multicast_rcv.
func (b *Bridge) hear(p *port, f frame, vid uint16) message {
	s := b.snoop
	if !s.on {
		return message{}
	}
	m := parse(f.etherType(), f.rest[2:])
	i, _ := index(f.etherType())
	if m.router {
		s.markRouter(p, i)
	}
	if q := m.query; q != nil && !m.bad {
		s.asked(p, i, vid, q)
	}
	for _, r := range m.records {
		s.report(p, i, vid, f.src, r)
	}
	return m
}

// members is where a frame to a group goes if that is not to all: to those that want
// it and to routers. host says that it also goes up.
func (b *Bridge) members(p *port, f frame, vid uint16, m message) (to []target, host, known bool) {
	s := b.snoop
	if !s.on {
		return nil, false, false
	}
	k, source := groupOf(f, vid)
	g := s.groups[k]
	if m.membership {
		g = nil
	}
	i, ip := index(f.etherType())
	switch {
	case g == nil && !m.routersOnly:
		return nil, false, false
	case ip && !s.querier(i), !ip && g == nil:
		return nil, false, false
	}
	wants := map[bridge.Port][]target{}
	if g != nil {
		host = g.host
		for _, mk := range g.ordered() {
			mem := g.members[mk]
			if q := b.ports[mk.port]; q.cfg.McastToUnicast {
				wants[mk.port] = append(wants[mk.port], target{port: mk.port, to: mk.mac, one: true})
			} else if !s.modern(i) || !ip || mem.wants(source, b.now) {
				wants[mk.port] = []target{{port: mk.port}}
			}
		}
		for sk := range g.static {
			if s.modern(i) && sk.source == source {
				wants[sk.port] = []target{{port: sk.port}}
			}
		}
	}
	for n := range s.routers {
		if ip && s.router(n, i) || !ip && s.router(n, 0) {
			// A router gets the frame itself, in place of the copy for the first host.
			wants[n] = append([]target{{port: n}}, wants[n][min(len(wants[n]), 1):]...)
		}
	}
	for _, n := range b.Ports() {
		to = append(to, wants[n]...)
	}
	return to, host || s.hostRouter(i, ip), true
}

func (m *member) wants(source netip.Addr, now sim.Time) bool {
	t, listed := m.sources[source]
	if m.exclude {
		return !listed || t > now
	}
	return listed && t > now
}

// querier says that there is a querier, and hosts have had time to answer it.
func (s *snooper) querier(i int) bool {
	own := s.cfg.Querier && (i == 0 || s.b.cfg.Addrs.LinkLocal.IsValid())
	return s.family[i].delay <= s.b.now && (own || s.family[i].other > s.b.now)
}

// router says that a multicast router is behind a port.
func (s *snooper) router(n bridge.Port, i int) bool {
	p := s.b.ports[n]
	switch p.cfg.McastRouter {
	case snoop.RouterNever:
		return false
	case snoop.RouterAlways:
		return p.link
	}
	return s.routers[n].until[i] > s.b.now
}

func (s *snooper) hostRouter(i int, ip bool) bool {
	switch s.cfg.Router {
	case snoop.RouterAlways:
		return true
	case snoop.RouterAuto:
		return ip && s.family[i].self > s.b.now
	}
	return false
}

// markRouter is br_multicast_mark_router.
func (s *snooper) markRouter(p *port, i int) {
	until := s.b.now + s.cfg.QuerierInterval
	if p.number == bridge.Local {
		if s.cfg.Router == snoop.RouterAuto {
			s.family[i].self = until
		}
		return
	}
	if r := p.cfg.McastRouter; r == snoop.RouterAuto || r == snoop.RouterTemp {
		s.routers[p.number].until[i] = until
	}
}

// asked is a query that came in.
func (s *snooper) asked(p *port, i int, vid uint16, q *query) {
	unit := sim.Second / 10
	if i == 1 {
		unit = sim.Second / 1000
	}
	wait := sim.Time(q.response) * unit
	general := q.group.IsUnspecified()
	switch {
	case !q.v3 && i == 0 && wait == 0: // IGMPv1
		wait, general = 10*sim.Second, true
	case !q.v3 && i == 1 && wait == 0:
		return
	case q.v3 && (q.sources > 0 || s.modern(i) && !general && q.suppress):
		return
	}
	if general {
		s.querierIs(p, i, q.from, wait)
		return
	}
	g := s.groups[groupKey{vid: vid, group: q.group}]
	if g == nil {
		return
	}
	until := s.b.now + wait*sim.Time(s.cfg.LastMemberCount)
	if g.host {
		g.hostUntil = min(g.hostUntil, until)
	}
	for _, m := range g.members {
		if m.timed && m.until > until || !m.timed && (!s.modern(i) || m.exclude) {
			m.timed, m.until = true, until
		}
	}
}

// querierIs has a querier be known, if it is better than the one that is: RFC 3376
// 6.6.2 has the lower address win.
func (s *snooper) querierIs(p *port, i int, from netip.Addr, wait sim.Time) {
	fam := &s.family[i]
	now := s.b.now
	best, known := fam.from, fam.other > now
	if !known {
		best, known = s.ownAddress(i), s.cfg.Querier
	}
	if known && !(i == 0 && best.IsUnspecified()) && from.Compare(best) > 0 {
		return
	}
	fam.from = from
	if fam.other <= now {
		fam.delay = now + wait
	}
	fam.other = now + s.cfg.QuerierInterval
	s.markRouter(p, i)
}

// ownAddress is the one that the bridge's queries come from. Without one it asks for
// IPv4 only, with 0.0.0.0, which yields to all; in IPv6 :: yields to nobody.
func (s *snooper) ownAddress(i int) netip.Addr {
	a := s.b.cfg.Addrs
	switch {
	case i == 1 && a.LinkLocal.IsValid():
		return a.LinkLocal
	case i == 1:
		return netip.IPv6Unspecified()
	case s.cfg.QueryUseIfaddr && a.IPv4.IsValid():
		return a.IPv4
	}
	return netip.IPv4Unspecified()
}

// local says that a group is never registered.
func local(a netip.Addr) bool {
	if a.Is4() {
		b := a.As4()
		return [3]byte(b[:3]) == [3]byte{224, 0, 0}
	}
	return a == allNodes
}

// report is one record of a report from the station src on p.
func (s *snooper) report(p *port, i int, vid uint16, src bridge.MAC, r record) {
	if local(r.group) || r.kind > leave || r.kind < isInclude {
		return
	}
	k := groupKey{vid: vid, group: r.group}
	mk := memberKey{port: p.number}
	if p.number != bridge.Local && p.cfg.McastToUnicast {
		mk.mac = src
	}
	nobody := len(r.sources) == 0 && (r.kind == toInclude || r.kind == isInclude)
	plain := p.number == bridge.Local || !s.modern(i)
	switch {
	case r.kind == leave, plain && nobody:
		s.left(p, k, mk, i)
		return
	case plain, r.kind == join:
		s.joined(p, k, mk)
		return
	case !nobody:
		s.member(k, mk)
	}
	if g := s.groups[k]; g != nil && g.members[mk] != nil && !g.members[mk].permanent {
		s.told(k, mk, r)
	}
}

func (s *snooper) entry(k groupKey) *groupEntry {
	if s.groups[k] == nil {
		s.groups[k] = &groupEntry{members: map[memberKey]*member{}, static: map[staticKey]bool{}}
	}
	return s.groups[k]
}

func (s *snooper) member(k groupKey, mk memberKey) *member {
	g := s.entry(k)
	if g.members[mk] == nil {
		s.seq++
		g.members[mk] = &member{seq: s.seq, sources: map[netip.Addr]sim.Time{}}
	}
	return g.members[mk]
}

// ordered is the members of a group, those that came first before others.
func (g *groupEntry) ordered() []memberKey {
	return slices.SortedFunc(maps.Keys(g.members), func(x, y memberKey) int { return cmp.Compare(g.members[x].seq, g.members[y].seq) })
}

// joined is a report of an old version: the group from all sources.
func (s *snooper) joined(p *port, k groupKey, mk memberKey) {
	until := s.b.now + s.cfg.MembershipInterval
	g := s.entry(k)
	if p.number == bridge.Local {
		g.host, g.hostUntil = true, until
		return
	}
	fresh := g.members[mk] == nil
	m := s.member(k, mk)
	m.exclude = m.exclude || fresh
	m.timed, m.until = true, until
}

// left is a leave. With fast leave it takes effect at once, else the group is asked
// for and the rest of the time is short. With another querier that one asks.
func (s *snooper) left(p *port, k groupKey, mk memberKey, i int) {
	g := s.groups[k]
	if g == nil {
		return
	}
	if p.number != bridge.Local && p.cfg.FastLeave {
		if m := g.members[mk]; m != nil && !m.permanent {
			s.remove(k, mk)
		}
		return
	}
	if s.family[i].other > s.b.now {
		return
	}
	until := s.b.now + sim.Time(s.cfg.LastMemberCount)*s.cfg.LastMemberInterval
	if p.number == bridge.Local {
		if g.host {
			g.hostUntil = min(g.hostUntil, until)
		}
		return
	}
	shorten := func(m *member) { // an include list has no timer yet, and gets one
		if m != nil && (!m.timed || m.until > until) {
			m.timed, m.until = true, until
		}
	}
	if s.cfg.Querier {
		shorten(g.members[mk])
	}
	for _, qk := range g.ordered() { // Linux takes the port's first, whoever left
		if qk.port == p.number {
			shorten(g.members[qk])
			break
		}
	}
}

// told is a report of IGMPv3 or MLDv2, RFC 3376 6.4. A is the report's sources.
func (s *snooper) told(k groupKey, mk memberKey, r record) {
	m, now := s.groups[k].members[mk], s.b.now
	gmi, lmqt := now+s.cfg.MembershipInterval, now+sim.Time(s.cfg.LastMemberCount)*s.cfg.LastMemberInterval
	inA := map[netip.Addr]bool{}
	for _, a := range r.sources {
		inA[a] = true
	}
	soon := func(a netip.Addr) { // Send Q(G,a) lowers the source's timer
		if m.sources[a] > lmqt {
			m.sources[a] = lmqt
		}
	}
	switch r.kind {
	case isInclude, allow, toInclude:
		if r.kind == toInclude {
			for a, t := range m.sources {
				if !inA[a] && t > now {
					soon(a)
				}
			}
			if m.exclude && (!m.timed || m.until > lmqt) { // Send Q(G)
				m.timed, m.until = true, lmqt
			}
		}
		for a := range inA {
			m.sources[a] = gmi
		}
	case isExclude, toExclude:
		fresh := sim.Time(0) // B-A of an include list: not wanted
		if m.exclude {
			if fresh = gmi; r.kind == toExclude {
				fresh = m.until
			}
		}
		for a := range m.sources {
			if !inA[a] {
				delete(m.sources, a)
			}
		}
		for a := range inA {
			old, had := m.sources[a]
			if !had {
				m.sources[a] = fresh
			}
			if r.kind == toExclude && (had && old > now || !had && m.exclude) {
				soon(a)
			}
		}
		m.exclude, m.timed, m.until = true, true, gmi
	case block:
		for a := range inA {
			old, had := m.sources[a]
			switch {
			case !had && m.exclude:
				m.sources[a] = m.until
				soon(a)
			case had && old > now:
				soon(a)
			}
		}
		if !m.exclude && len(m.sources) == 0 {
			s.remove(k, mk)
		}
	}
}
