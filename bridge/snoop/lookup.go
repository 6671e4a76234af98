package snoop

import "ringside/sim"

// An Egress is a port by which a frame leaves.
type Egress struct {
	Port Port
	// Unicast says that the frame goes to the one host To, whose address takes the
	// place of the group's, or to the group if To is broadcast. Such a frame does
	// not go back to the host that sent it, even on a hairpin port.
	Unicast bool
	To      MAC
}

// A Match is where a frame to a group goes.
type Match struct {
	// Flood says that it goes to all ports that have mcast_flood, and up: the
	// group is not known, or there is no querier.
	Flood bool
	// Up says that the bridge's own interface takes it. If the interface is
	// promiscuous, or takes all multicast, it does so nevertheless.
	Up bool
	// Ports is where it goes if not Flood, ascending, valid until the next call of
	// anything. The port that the frame came from may be there.
	Ports []Egress
}

// Lookup says where a frame goes of which Receive said r.
func (s *Snooper) Lookup(r Result, vid uint16, frame []byte, off int, now sim.Time) Match {
	s.Tick(now)
	if !s.enabled {
		return Match{Flood: true, Up: true}
	}
	f, ip := network(frame, off)
	var g *group
	if r.Type == 0 {
		g = s.entry(f, vid, frame, ip)
	}
	known := g != nil
	if f != l2 {
		known = (known || r.RoutersOnly) && s.querierExists(f)
	}
	if !known {
		return Match{Flood: true, Up: true}
	}
	return Match{Up: g != nil && g.host || s.isRouter(f), Ports: s.ways(g, f)}
}

// entry is the entry for a frame. Where sources are looked at, that of its source
// comes first.
func (s *Snooper) entry(f proto, vid uint16, frame, ip []byte) *group {
	k := key{proto: f, vid: vid}
	switch {
	case f == ip4 && len(ip) >= 20:
		copy(k.dst[:], ip[16:20])
		if s.filters(ip4) {
			copy(k.src[:], ip[12:16])
		}
	case f == ip6 && len(ip) >= 40:
		copy(k.dst[:], ip[24:40])
		if s.filters(ip6) {
			copy(k.src[:], ip[8:24])
		}
	case f == l2 && len(frame) >= 6:
		copy(k.dst[:], frame[:6])
	default:
		return nil
	}
	if g := s.groups[k]; g != nil || k.src == (addr{}) {
		return g
	}
	return s.groups[k.from(addr{})]
}

// ways merges the ports of an entry, nil for none, with those of routers. A port
// with a router gets every frame, wanted or not, in place of the first of its
// entries. What is not IP goes to the routers of IPv4.
func (s *Snooper) ways(g *group, f proto) []Egress {
	out := s.egress[:0]
	routers := s.of[max(f, ip4)].routers
	var ports []*portGroup
	all := true
	if g != nil {
		ports = g.ports
		all = !s.filters(g.proto) || !g.star()
	}
	for len(ports) > 0 || len(routers) > 0 {
		if len(routers) > 0 && (len(ports) == 0 || routers[0].num <= ports[0].port.num) {
			p := routers[0]
			out = append(out, Egress{Port: p.num})
			routers = routers[1:]
			if len(ports) > 0 && ports[0].port == p {
				ports = ports[1:]
			}
			continue
		}
		pg := ports[0]
		ports = ports[1:]
		switch p := pg.port; {
		case p.cfg.ToUnicast:
			out = append(out, Egress{Port: p.num, Unicast: true, To: pg.host})
		case !all && pg.mode == include, pg.flags&blocked != 0:
		default:
			out = append(out, Egress{Port: p.num})
		}
	}
	s.egress = out
	return out
}
