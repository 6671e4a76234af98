package reference

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"ringside/bridge"
	"ringside/bridge/snoop"
	"ringside/bridge/stp"
	"ringside/sim"
)

// AddMDB enters a group by hand, for all sources, and says whether that is allowed:
// bridge mdb add. With filtering VLAN 0 is every VLAN of the port.
func (b *Bridge) AddMDB(e snoop.Static) bool {
	p := b.ports[bridge.Port(e.Port)]
	if !b.snoop.on || p == nil || !registers(e.Group) {
		return false
	}
	host, ip := p.number == bridge.Local, e.Group.IP.IsValid()
	switch {
	case !ip && !e.Permanent, host && ip && e.Permanent:
		return false
	case !host && p.state == stp.Disabled && !e.Permanent:
		return false
	}
	vlans := b.mdbVLANs(p, e.VID)
	for _, vid := range vlans {
		if !b.addMDB(p, e, keyOf(e.Group, vid)) {
			return false
		}
	}
	return len(vlans) > 0
}

// registers says that a group can be registered.
func registers(g snoop.Group) bool {
	if !g.IP.IsValid() {
		return g.MAC[0]&1 == 1
	}
	return g.IP.IsMulticast() && !local(g.IP)
}

func keyOf(g snoop.Group, vid uint16) groupKey {
	if g.IP.IsValid() {
		return groupKey{vid: vid, group: g.IP}
	}
	return groupKey{vid: vid, mac: bridge.MAC(g.MAC)}
}

func (b *Bridge) mdbVLANs(p *port, vid uint16) []uint16 {
	switch {
	case vid != 0 || !b.cfg.VLANFiltering:
		return []uint16{vid}
	case p.number != bridge.Local:
		return p.vlans.sorted()
	}
	all := map[uint16]bool{} // the host's are those of all
	for _, q := range b.ports {
		maps.Copy(all, q.vlans.member)
	}
	return slices.Sorted(maps.Keys(all))
}

func (b *Bridge) addMDB(p *port, e snoop.Static, k groupKey) bool {
	s := b.snoop
	until := b.now + s.cfg.MembershipInterval
	g := s.entry(k)
	if p.number == bridge.Local {
		if g.host {
			return false
		}
		g.host, g.hostUntil = true, until
		return true
	}
	for mk := range g.members {
		if mk.port == p.number {
			return false
		}
	}
	mk := memberKey{port: p.number}
	if p.cfg.McastToUnicast {
		mk.mac = bridge.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}
	m := s.member(k, mk)
	m.exclude, m.permanent = true, e.Permanent
	if !e.Permanent {
		m.timed, m.until = true, until
	}
	return true
}

// DeleteMDB takes a group of a port out, of whatever kind, or the host's, and says
// whether it was there; in the last VLAN, if there are several.
func (b *Bridge) DeleteMDB(n bridge.Port, group snoop.Group, vid uint16) (ok bool) {
	p := b.ports[n]
	if p == nil {
		return false
	}
	ok = true
	for _, vid := range b.mdbVLANs(p, vid) {
		ok = b.snoop.on && b.snoop.delete(n, keyOf(group, vid))
	}
	return ok
}

func (s *snooper) delete(n bridge.Port, k groupKey) bool {
	g := s.groups[k]
	if g == nil {
		return false
	}
	if n == bridge.Local {
		was := g.host
		g.host = false
		s.sweep(k)
		return was
	}
	for _, mk := range g.ordered() {
		if mk.port == n {
			s.remove(k, mk)
			return true
		}
	}
	return false
}

// MDB is the groups for all sources, a line for each port and host, sorted.
func (b *Bridge) MDB() (lines []string) {
	now := b.now
	for k, g := range b.snoop.groups {
		name := snoop.Group{IP: k.group, MAC: snoop.MAC(k.mac)}
		if g.host {
			left, l2 := g.hostUntil-now, !k.group.IsValid()
			if l2 {
				left = 0
			}
			lines = append(lines, MDBLine(0, name, k.vid, l2, left, false, nil))
		}
		for mk, m := range g.members {
			left := sim.Time(0)
			if m.timed {
				left = max(m.until-now, 0)
			}
			lines = append(lines, MDBLine(mk.port, name, k.vid, m.permanent, left, !m.exclude, m.left(now)))
		}
	}
	slices.Sort(lines)
	return lines
}

// left is how long the timers of the sources still run.
func (m *member) left(now sim.Time) map[netip.Addr]sim.Time {
	list := map[netip.Addr]sim.Time{}
	for a, t := range m.sources {
		list[a] = max(t-now, 0)
	}
	return list
}

// MDBLine is an entry in words.
func MDBLine(p bridge.Port, g snoop.Group, vid uint16, permanent bool, left sim.Time, include bool, sources map[netip.Addr]sim.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v vlan %d port %d permanent %v timer %v include %v", g, vid, p, permanent, left, include)
	for _, a := range slices.SortedFunc(maps.Keys(sources), netip.Addr.Compare) {
		fmt.Fprintf(&b, " %v %v", a, sources[a])
	}
	return b.String()
}
