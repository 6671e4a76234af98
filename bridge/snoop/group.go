package snoop

import (
	"bytes"
	"cmp"
	"slices"
)

// An addr is an IPv6 address, or an IPv4 or Ethernet address and zeros.
type addr [16]byte

func makeAddr(b []byte) (a addr) {
	copy(a[:], b)
	return a
}

// A key names an entry of the database. src is zero in an entry for all sources,
// (*,G), and not in one for a single source, (S,G).
type key struct {
	dst, src addr
	vid      uint16
	proto    proto
}

// star says that the key is a (*,G). For IPv4 all of 0.0.0.0/8 is no source.
func (k key) star() bool {
	return k.proto == ip4 && k.src[0] == 0 || k.proto == ip6 && k.src == addr{}
}

func (k key) from(src addr) key { k.src = src; return k }

// A group is an entry of the database. One that nobody is in stays until its
// timer fires, or longer where Linux forgets to arm it.
type group struct {
	key
	ports []*portGroup // by port, and those of a port as they came
	host  bool         // the bridge's own interface is in
	timer timer        // of the host's membership
}

// A filterMode is whether a source list names those wanted or those not.
type filterMode uint8

const (
	include filterMode = iota
	exclude
)

// Flags of a port group, as bridge(8) shows them.
type flags uint8

const (
	permanent   flags = 1 << iota
	fastLeave         // was taken out by a fast leave
	addedByStar       // is here because the port wants all of the group's sources
	blocked           // the source is not wanted
)

// protoKernel is the protocol of what was learned; protoStatic of what was set.
const (
	protoKernel = 2
	protoStatic = 4
)

// A portGroup is a port's membership of a group; with mcast_to_unicast, one host's.
type portGroup struct {
	group    *group
	port     *port
	host     MAC // whose report made it; broadcast for one that was set
	flags    flags
	mode     filterMode
	protocol uint8
	gone     bool

	timer   timer // of the exclude mode, or of the membership in IGMPv2
	rexmit  timer // of queries for it that are to come
	queries uint8 // how many of them ask for the whole group
	sources []*source
	hosts   []*host    // by address; those followed for fast leave
	wanted  []*hostSet // by source
}

// A source is one of a port group's list. In exclude mode one whose timer runs is
// wanted (RFC 3376 6.2.3), and one whose timer does not is blocked.
type source struct {
	group     *portGroup
	addr      addr
	timer     timer
	queries   uint8 // how often it is still to be asked for
	installed bool  // there is an (S,G) for it
	static    bool  // set by hand
	mark      mark
}

var broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// group is the entry of k, made if there is none. With no room for it, snooping
// ends.
func (s *Snooper) group(k key) (*group, Drop) {
	if g := s.groups[k]; g != nil {
		return g, 0
	}
	if len(s.groups) >= s.cfg.HashMax {
		s.enabled = false
		return nil, DatabaseFull
	}
	g := &group{key: k}
	g.timer.do = func() { s.groupDue(g) }
	s.groups[k] = g
	at, _ := slices.BinarySearchFunc(s.order, k, (*group).compare)
	s.order = slices.Insert(s.order, at, g)
	return g, 0
}

// compare has entries stand by VLAN, protocol, group and source.
func (g *group) compare(k key) int {
	return cmp.Or(cmp.Compare(g.vid, k.vid), cmp.Compare(g.proto, k.proto),
		bytes.Compare(g.dst[:], k.dst[:]), bytes.Compare(g.src[:], k.src[:]))
}

// groupDue is the end of the host's membership, or of an entry nobody is in.
func (s *Snooper) groupDue(g *group) {
	if !s.running {
		return
	}
	s.hostLeave(g)
	if len(g.ports) == 0 {
		delete(s.groups, g.key)
		at, _ := slices.BinarySearchFunc(s.order, g.key, (*group).compare)
		s.order = slices.Delete(s.order, at, at+1)
	}
}

// abandon has an entry go soon if nobody is in it.
func (s *Snooper) abandon(g *group) {
	if len(g.ports) == 0 && !g.host && s.running {
		s.arm(&g.timer, s.now)
	}
}

func (s *Snooper) hostJoin(g *group) {
	if !g.host {
		g.host = true
		s.hostFollows(g)
	}
	if g.proto != l2 {
		s.arm(&g.timer, s.after(s.cfg.MembershipInterval))
	}
}

func (s *Snooper) hostLeave(g *group) {
	if g.host {
		g.host = false
		s.hostFollows(g)
	}
}

// find is the port group of p; if p tells hosts apart, of the host mac.
func (g *group) find(p *port, mac MAC) *portGroup {
	for _, pg := range g.ports {
		if pg.is(p, mac) {
			return pg
		}
	}
	return nil
}

// first is the port group of p that was made first.
func (g *group) first(p *port) *portGroup {
	for _, pg := range g.ports {
		if pg.port == p {
			return pg
		}
	}
	return nil
}

func (pg *portGroup) is(p *port, mac MAC) bool {
	return pg.port == p && (!p.cfg.ToUnicast || pg.host == mac)
}

// at is the port group of an (S,G) for a port, of which there is at most one.
func (s *Snooper) at(k key, p *port) *portGroup {
	if g := s.groups[k]; g != nil {
		return g.first(p)
	}
	return nil
}

// newPortGroup makes a port group that is not yet in its group.
func (s *Snooper) newPortGroup(g *group, p *port, mac MAC, mode filterMode, f flags, protocol uint8) (*portGroup, Drop) {
	if p.cfg.MaxGroups > 0 && len(p.groups) >= p.cfg.MaxGroups {
		return nil, PortFull
	}
	if !g.star() && g.first(p) != nil {
		return nil, PortFull
	}
	pg := &portGroup{group: g, port: p, host: mac, mode: mode, flags: f, protocol: protocol}
	pg.timer.do = func() { s.portGroupDue(pg) }
	pg.rexmit.do = func() { s.rexmitDue(pg) }
	p.groups = append(p.groups, pg)
	return pg, 0
}

// enter puts pg behind the others of its port.
func (g *group) enter(pg *portGroup) {
	at := len(g.ports)
	for at > 0 && g.ports[at-1].port.num > pg.port.num {
		at--
	}
	g.ports = slices.Insert(g.ports, at, pg)
}

// join is the port group for a report of group k by p, or nothing if p is nil,
// the host, who is noted in the group. legacy is a report without sources.
func (s *Snooper) join(k key, p *port, mac MAC, legacy bool, state flags) (*portGroup, Drop) {
	if !s.hears(p) {
		return nil, 0
	}
	g, full := s.group(k)
	if full != 0 {
		return nil, full
	}
	if p == nil {
		s.hostJoin(g)
		return nil, 0
	}
	pg := g.find(p, mac)
	if pg == nil {
		mode := include
		if legacy {
			mode = exclude
		}
		if pg, full = s.newPortGroup(g, p, mac, mode, state, protoKernel); full != 0 {
			return nil, full
		}
		g.enter(pg)
	}
	if legacy {
		s.arm(&pg.timer, s.after(s.cfg.MembershipInterval))
	}
	return pg, 0
}

// removePortGroup takes pg out of everything. What was in an (S,G) on account of
// it goes too.
func (s *Snooper) removePortGroup(pg *portGroup) {
	g := pg.group
	pg.gone = true
	g.ports = without(g.ports, pg)
	pg.port.groups = without(pg.port.groups, pg)
	s.timers.stop(&pg.timer)
	s.timers.stop(&pg.rexmit)
	s.forgetHosts(pg)
	for len(pg.sources) > 0 {
		s.removeSource(pg.sources[0], false)
	}
	if g.star() {
		s.starIncludes(pg, g)
	} else {
		s.tidySource(g)
	}
	s.abandon(g)
}

func without[T comparable](list []T, it T) []T {
	if at := slices.Index(list, it); at >= 0 {
		return slices.Delete(list, at, at+1)
	}
	return list
}

// portGroupDue is the end of a membership, or of the exclude mode: what is left
// is an include of the sources that are wanted (RFC 3376 6.5).
func (s *Snooper) portGroupDue(pg *portGroup) {
	if !s.running || pg.flags&permanent != 0 {
		return
	}
	changed := pg.mode == exclude
	pg.mode = include
	for _, src := range slices.Clone(pg.sources) {
		if !src.timer.pending() {
			s.removeSource(src, false)
			changed = true
		}
	}
	switch {
	case len(pg.sources) == 0:
		s.removePortGroup(pg)
	case changed && pg.group.star():
		s.starIncludes(pg, pg.group)
	}
}

func (pg *portGroup) source(a addr) *source {
	for _, src := range pg.sources {
		if src.addr == a {
			return src
		}
	}
	return nil
}

// newSource adds a source, in front. An address that cannot be one's, or one too
// many, gives nil.
func (s *Snooper) newSource(pg *portGroup, a addr) *source {
	if len(pg.sources) >= maxSources || !isSource(pg.group.proto, a) {
		return nil
	}
	src := &source{group: pg, addr: a}
	src.timer.do = func() { s.sourceDue(src) }
	pg.sources = slices.Insert(pg.sources, 0, src)
	return src
}

func isSource(f proto, a addr) bool {
	if f == ip4 {
		return a[0] != 0 && a[0]&0xf0 != 0xe0
	}
	return a != addr{} && a[0] != 0xff
}

// removeSource takes a source and its (S,G) away. leave says that its last host
// left.
func (s *Snooper) removeSource(src *source, leave bool) {
	s.uninstall(src, leave)
	s.unlinkSource(src)
}

func (s *Snooper) unlinkSource(src *source) {
	src.group.sources = without(src.group.sources, src)
	s.timers.stop(&src.timer)
}

// sourceDue is a source that nobody has asked for any more (RFC 3376 6.3): in
// exclude mode it becomes a blocked one.
func (s *Snooper) sourceDue(src *source) {
	if !s.running {
		return
	}
	pg := src.group
	if pg.mode == exclude {
		s.install(src)
		return
	}
	s.removeSource(src, false)
	if len(pg.sources) == 0 {
		s.removePortGroup(pg)
	}
}
