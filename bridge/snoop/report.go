package snoop

import "encoding/binary"

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
