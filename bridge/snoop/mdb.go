package snoop

import (
	"fmt"
	"net/netip"
	"slices"

	"ringside/sim"
)

// A Group is a group's address: of IP, or if that is not valid of Ethernet.
type Group struct {
	IP  netip.Addr
	MAC MAC
}

// String is the address as bridge(8) prints it.
func (g Group) String() string {
	if g.IP.IsValid() {
		return g.IP.String()
	}
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", g.MAC[0], g.MAC[1], g.MAC[2], g.MAC[3], g.MAC[4], g.MAC[5])
}

// A Static is an entry that is set by hand, bridge mdb add.
type Static struct {
	Port  Port // Local for the host to join
	Group Group
	// Source makes it an (S,G). Not valid is (*,G).
	Source netip.Addr
	VID    uint16
	// Permanent entries stay, others last as long as a report does. Groups of
	// Ethernet must be permanent, and what the host joins in IP cannot be.
	Permanent bool
	// Include has Sources be those wanted, and not those not wanted. It needs one.
	Include bool
	Sources []netip.Addr
	// Protocol is who set it, 0 is static (4).
	Protocol uint8
	// Replace has an entry that is there be changed, and not refused.
	Replace bool
}

// Allows says whether Add would take e, but for what is there already: nil, or why
// not.
func (s *Snooper) Allows(e Static) error {
	if _, _, err := s.checkStatic(&e); err != nil {
		return fmt.Errorf("snoop: %v on port %d: %w", e.Group, e.Port, err)
	}
	return nil
}

// Add enters e. What was entered before an error of the kind ErrFull stays, as in
// Linux: a group that nobody is in.
func (s *Snooper) Add(e Static, now sim.Time) error {
	s.Tick(now)
	k, p, err := s.checkStatic(&e)
	if err == nil {
		err = s.add(&e, k, p)
	}
	if err != nil {
		return fmt.Errorf("snoop: add %v on port %d vlan %d: %w", e.Group, e.Port, e.VID, err)
	}
	return nil
}

func (s *Snooper) checkStatic(e *Static) (k key, p *port, err error) {
	if !s.running || !s.enabled {
		return k, nil, ErrDisabled
	}
	if p = s.port(e.Port); p == nil && e.Port != Local {
		return k, nil, ErrNoPort
	}
	if k, err = keyOf(e.Group, e.Source, e.VID); err != nil {
		return k, nil, err
	}
	switch {
	case k.proto == l2 && !e.Permanent:
		return k, nil, fmt.Errorf("%w: of Ethernet and not permanent", ErrGroup)
	case p == nil && k.proto != l2 && (e.Permanent || !k.star()):
		return k, nil, fmt.Errorf("%w: the host can join it neither for ever nor for one source", ErrGroup)
	case p != nil && p.state == Disabled && !e.Permanent:
		return k, nil, fmt.Errorf("%w: the port is disabled and the entry not permanent", ErrNoPort)
	case (e.Include || len(e.Sources) > 0) && (p == nil || !k.star()):
		return k, nil, fmt.Errorf("%w: a list is for the sources of a (*,G) on a port", ErrSource)
	case e.Include && len(e.Sources) == 0:
		return k, nil, fmt.Errorf("%w: include of none", ErrSource)
	case len(e.Sources) >= maxSources:
		return k, nil, fmt.Errorf("%w: more than %d", ErrSource, maxSources-1)
	}
	for _, a := range e.Sources {
		if !sameFamily(k.proto, a) || a.IsMulticast() {
			return k, nil, fmt.Errorf("%w: %v", ErrSource, a)
		}
	}
	if e.Protocol == 0 {
		e.Protocol = protoStatic
	}
	return k, p, nil
}

// keyOf is a database key for addresses that may have entries.
func keyOf(g Group, source netip.Addr, vid uint16) (key, error) {
	k := key{vid: vid}
	switch ip := g.IP; {
	case vid >= 4095:
		return k, fmt.Errorf("%w: VLAN %d", ErrGroup, vid)
	case !ip.IsValid():
		if g.MAC[0]&1 == 0 || source.IsValid() {
			return k, ErrGroup
		}
		k.dst = makeAddr(g.MAC[:])
		return k, nil
	case ip.Is4():
		if !ip.IsMulticast() || forAll(ip4, makeAddr(ip.AsSlice())) {
			return k, ErrGroup
		}
		k.proto = ip4
	default:
		if ip.Is4In6() || ip.As16() == allNodes {
			return k, ErrGroup
		}
		k.proto = ip6
	}
	k.dst = makeAddr(g.IP.AsSlice())
	if source.IsValid() {
		if !sameFamily(k.proto, source) || source.IsMulticast() {
			return k, fmt.Errorf("%w: %v", ErrSource, source)
		}
		k.src = makeAddr(source.AsSlice())
	}
	return k, nil
}

func sameFamily(f proto, a netip.Addr) bool {
	return f == ip4 && a.Is4() || f == ip6 && isIPv6(a)
}

func (s *Snooper) add(e *Static, k key, p *port) error {
	g, full := s.group(k)
	switch {
	case full != 0:
		return fmt.Errorf("%w: %v", ErrFull, full)
	case p == nil:
		if g.host && !e.Replace {
			return ErrExists
		}
		s.hostJoin(g)
		return nil
	}
	pg := g.first(p)
	switch {
	case pg != nil && !e.Replace:
		return ErrExists
	case !k.star():
		return s.addSourceGroup(e, g, p, e.flags(), false)
	case pg != nil:
		return s.replace(e, pg)
	}
	return s.addStarGroup(e, g, p)
}

func (e *Static) flags() flags {
	if e.Permanent {
		return permanent
	}
	return 0
}

func (e *Static) mode() filterMode {
	if e.Include {
		return include
	}
	return exclude
}

// addStarGroup enters a port in a (*,G).
func (s *Snooper) addStarGroup(e *Static, g *group, p *port) error {
	pg, full := s.newPortGroup(g, p, broadcast, e.mode(), e.flags(), e.Protocol)
	if full != 0 {
		return fmt.Errorf("%w: %v", ErrFull, full)
	}
	if err := s.addSources(e, pg); err != nil {
		p.groups = without(p.groups, pg)
		return err
	}
	g.enter(pg)
	s.time(pg, e, e.mode() == exclude)
	if s.filters(g.proto) && pg.mode == exclude {
		s.starExcludes(pg)
	}
	return nil
}

// time starts the timer of what does not stay.
func (s *Snooper) time(pg *portGroup, e *Static, runs bool) {
	if runs && !e.Permanent {
		s.arm(&pg.timer, s.after(s.cfg.MembershipInterval))
	} else {
		s.timers.stop(&pg.timer)
	}
}

// replace makes pg be what e says. Sources that e does not name go.
func (s *Snooper) replace(e *Static, pg *portGroup) error {
	old := slices.Clone(pg.sources)
	if err := s.addSources(e, pg); err != nil {
		return err
	}
	for _, src := range old {
		if !slices.ContainsFunc(e.Sources, func(a netip.Addr) bool { return src.addr == makeAddr(a.AsSlice()) }) {
			s.removeSource(src, false)
		}
	}
	pg.flags, pg.mode, pg.protocol = e.flags(), e.mode(), e.Protocol
	s.time(pg, e, pg.mode == exclude)
	if s.filters(pg.group.proto) {
		if pg.mode == exclude {
			s.starExcludes(pg)
		} else {
			s.starIncludes(pg, pg.group)
		}
	}
	return nil
}

func (s *Snooper) addSources(e *Static, pg *portGroup) error {
	for i, a := range e.Sources {
		err := s.addSource(e, pg, makeAddr(a.AsSlice()))
		if err == nil {
			continue
		}
		for _, a := range e.Sources[:i] {
			if src := pg.source(makeAddr(a.AsSlice())); src != nil {
				s.removeSource(src, false)
			}
		}
		return fmt.Errorf("source %v: %w", a, err)
	}
	return nil
}

func (s *Snooper) addSource(e *Static, pg *portGroup, a addr) error {
	src := pg.source(a)
	if src != nil && !e.Replace {
		return ErrExists
	}
	if src == nil {
		if src = s.newSource(pg, a); src == nil {
			return ErrFull
		}
	}
	if e.Include && !e.Permanent {
		s.arm(&src.timer, s.after(s.cfg.MembershipInterval))
	} else {
		s.timers.stop(&src.timer)
	}
	if err := s.addSourceOf(e, pg, src); err != nil {
		s.unlinkSource(src)
		return err
	}
	src.installed, src.static = true, true
	return nil
}

// addSourceOf enters the port in the (S,G) of a list's source.
func (s *Snooper) addSourceOf(e *Static, pg *portGroup, src *source) error {
	g, full := s.group(src.key())
	if full != 0 {
		return fmt.Errorf("%w: %v", ErrFull, full)
	}
	f := e.flags()
	if !e.Include {
		f |= blocked
	}
	return s.addSourceGroup(e, g, pg.port, f, true)
}

// addSourceGroup enters a port in an (S,G) or a group of Ethernet. What is there
// for a list's source has no timer of its own.
func (s *Snooper) addSourceGroup(e *Static, g *group, p *port, f flags, ofList bool) error {
	if pg := g.first(p); pg != nil {
		if !e.Replace {
			return ErrExists
		}
		pg.flags, pg.protocol = f, e.Protocol
		s.time(pg, e, !ofList)
		return nil
	}
	pg, full := s.newPortGroup(g, p, broadcast, include, f, e.Protocol)
	if full != 0 {
		return fmt.Errorf("%w: %v", ErrFull, full)
	}
	g.enter(pg)
	s.time(pg, e, !ofList)
	if s.filters(g.proto) {
		if star := s.groups[g.key.from(addr{})]; star != nil {
			s.addStars(star, pg)
		}
	}
	return nil
}

// Delete takes an entry out, of whatever kind. The host leaves if the port is
// Local.
func (s *Snooper) Delete(p Port, dst Group, source netip.Addr, vid uint16, now sim.Time) error {
	s.Tick(now)
	err := s.delete(p, dst, source, vid)
	if err != nil {
		return fmt.Errorf("snoop: delete %v on port %d vlan %d: %w", dst, p, vid, err)
	}
	return nil
}

func (s *Snooper) delete(p Port, dst Group, source netip.Addr, vid uint16) error {
	if !s.running || !s.enabled {
		return ErrDisabled
	}
	k, err := keyOf(dst, source, vid)
	if err != nil {
		return err
	}
	g := s.groups[k]
	switch {
	case g == nil:
	case p == Local && g.host:
		s.hostLeave(g)
		s.abandon(g)
		return nil
	case p != Local && s.port(p) != nil:
		if pg := g.first(s.port(p)); pg != nil {
			s.removePortGroup(pg)
			return nil
		}
	}
	return ErrNotFound
}

// A Filter is which entries Flush takes out; a field that is zero is for all.
type Filter struct {
	Port         Port
	LocalOnly    bool // those of the host, whatever Port says
	VID          uint16
	Protocol     uint8
	Permanent    bool // those only
	NotPermanent bool // those only
}

// Flush takes entries out, bridge mdb flush.
func (s *Snooper) Flush(f Filter, now sim.Time) {
	s.Tick(now)
	for _, g := range s.order {
		if f.VID != 0 && f.VID != g.vid {
			continue
		}
		if g.host && (f.LocalOnly || f.Port == 0) && f.Protocol == 0 && f.state(g.proto == l2) {
			s.hostLeave(g)
			s.abandon(g)
		}
		for _, pg := range slices.Clone(g.ports) {
			if !pg.gone && f.takes(pg) {
				s.removePortGroup(pg)
			}
		}
	}
}

func (f *Filter) state(isPermanent bool) bool {
	return !(f.Permanent && !isPermanent || f.NotPermanent && isPermanent)
}

func (f *Filter) takes(pg *portGroup) bool {
	return !f.LocalOnly && (f.Port == 0 || f.Port == pg.port.num) &&
		(f.Protocol == 0 || f.Protocol == pg.protocol) && f.state(pg.flags&permanent != 0)
}

// An Entry is a line of bridge -d mdb show.
type Entry struct {
	Port      Port // Local is the host
	Group     Group
	Source    netip.Addr // not valid in a (*,G)
	VID       uint16
	Permanent bool
	FastLeave bool // left by a fast leave: seen on what is going only
	StarExcl  bool // there because the port wants all sources
	Blocked   bool
	// Timer is how long the entry still lasts, 0 for ever or as long as its sources.
	Timer sim.Time

	// What follows is of ports.

	Protocol uint8 // 2 is learned, 4 set by hand
	Host     MAC   // which sent the report, with mcast_to_unicast
	// Filtered says that sources are looked at, and Include and Sources are shown.
	Filtered bool
	Include  bool
	Sources  []Source
}

// A Source is one of an entry's list.
type Source struct {
	Addr  netip.Addr
	Timer sim.Time // 0 in an exclude list is not wanted
}

// Entries is all entries: by VLAN, protocol, group, source and port, those of the
// host before those of ports.
func (s *Snooper) Entries(now sim.Time) []Entry {
	s.Tick(now)
	var all []Entry
	for _, g := range s.order {
		if g.host {
			e := s.entryOf(g)
			e.Permanent = g.proto == l2
			e.Timer = g.timer.left(s.now)
			all = append(all, e)
		}
		for _, pg := range g.ports {
			all = append(all, s.portEntry(pg))
		}
	}
	return all
}

func (s *Snooper) entryOf(g *group) Entry {
	e := Entry{VID: g.vid, Group: g.address()}
	if g.proto != l2 && g.src != (addr{}) {
		e.Source = ipOf(g.proto, g.src)
	}
	return e
}

func (s *Snooper) portEntry(pg *portGroup) Entry {
	f := pg.group.proto
	e := s.entryOf(pg.group)
	e.Port, e.Protocol, e.Host = pg.port.num, pg.protocol, pg.host
	e.Permanent = pg.flags&permanent != 0 || f == l2
	e.FastLeave, e.StarExcl, e.Blocked = pg.flags&fastLeave != 0, pg.flags&addedByStar != 0, pg.flags&blocked != 0
	e.Timer = pg.timer.left(s.now)
	if e.Filtered = s.filters(f); !e.Filtered {
		return e
	}
	e.Include = pg.mode == include
	for _, src := range pg.sources {
		e.Sources = append(e.Sources, Source{Addr: ipOf(f, src.addr), Timer: src.timer.left(s.now)})
	}
	slices.SortFunc(e.Sources, func(a, b Source) int { return a.Addr.Compare(b.Addr) })
	return e
}
