package snoop

import (
	"fmt"
	"slices"
)

// A Way is how a Match came about, for display. It is good until the next call that
// may change the snooper.
type Way struct {
	// Says is the entry that was found, or why there is none, and what follows.
	Says string

	entry   *group
	routers []*port
}

// Way says why Lookup, just called with the same, gave m.
func (s *Snooper) Way(m *Match, r Result, vid uint16, frame []byte, off int) Way {
	if !s.enabled {
		return Way{Says: "mcast_snooping is off: flooded"}
	}
	f, ip := network(frame, off)
	var w Way
	if r.Type == 0 {
		w.entry = s.entry(f, vid, frame, ip)
	}
	switch {
	case w.entry != nil:
		w.Says = "the entry of " + w.entry.words()
	case r.Type != 0:
		w.Says = "a membership message is not looked up"
	default:
		w.Says = named(f, vid, frame, ip) + " has no entry"
	}
	switch {
	case m.Flood && f != l2 && (w.entry != nil || r.RoutersOnly):
		w.Says += ", but there is no querier: flooded"
	case m.Flood:
		w.Says += ": flooded"
	case w.entry == nil:
		w.Says += ": to routers alone"
	}
	if w.entry != nil && w.entry.host {
		w.Says += "; the bridge's own interface is a member"
	}
	if !m.Flood {
		w.routers = s.of[max(f, ip4)].routers
		if s.isRouter(f) {
			w.Says += "; the bridge's own interface is a router's"
		}
	}
	return w
}

// Port says what a port of the Match is.
func (w *Way) Port(n Port) string {
	var says string
	if w.entry != nil {
		for _, pg := range w.entry.ports {
			if pg.port.num == n {
				says = "a member port"
				if pg.flags&permanent != 0 {
					says += ", permanent"
				}
				break
			}
		}
	}
	if slices.ContainsFunc(w.routers, func(p *port) bool { return p.num == n }) {
		if says == "" {
			return "a router port"
		}
		says += ", and a router port"
	}
	return says
}

// words is the key as bridge mdb show prints it.
func (k key) words() string {
	s := k.address().String()
	if k.src != (addr{}) {
		s += fmt.Sprintf(" src %v", ipOf(k.proto, k.src))
	}
	if k.vid != 0 {
		s += fmt.Sprintf(" vid %d", k.vid)
	}
	return s
}

// address is the group's.
func (k key) address() Group {
	if k.proto == l2 {
		return Group{MAC: MAC(k.dst[:6])}
	}
	return Group{IP: ipOf(k.proto, k.dst)}
}

// named is the group that a frame is for.
func named(f proto, vid uint16, frame, ip []byte) string {
	k := key{proto: f, vid: vid}
	switch {
	case f == ip4 && len(ip) >= 20:
		copy(k.dst[:], ip[16:20])
	case f == ip6 && len(ip) >= 40:
		copy(k.dst[:], ip[24:40])
	default:
		k.proto = l2
		copy(k.dst[:], frame[:6])
	}
	return k.words()
}
