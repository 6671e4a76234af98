package snoop

import (
	"bytes"
	"slices"
)

// With fast leave, and where sources are looked at, the hosts of a port group are
// followed one by one, so that what the last of them leaves can go at once.

// A host is one that sent a report.
type host struct {
	addr  addr
	mode  filterMode
	wants []*want
	n     uint32 // its sources, as counted against the limit
}

// A hostSet is the hosts that named one source; the zero source stands for a
// host's exclude mode. Its timer is that of the youngest, or a shorter one.
type hostSet struct {
	source addr
	wants  []*want
	timer  timer
}

// A want is a host in a set.
type want struct {
	host  *host
	set   *hostSet
	timer timer
}

// followHost notes what a host said in a record. Sources that no host is left to
// have named go at once.
func (s *Snooper) followHost(pg *portGroup, from addr, typ uint8, list []addr) {
	if !pg.port.cfg.FastLeave {
		return
	}
	switch typ {
	case allowNewSources:
		if pg.hostMode(from) == include {
			s.addWants(pg, from, include, list)
		} else {
			s.endWants(pg, from, list)
		}
	case blockOldSources:
		if pg.hostMode(from) == exclude {
			s.addWants(pg, from, exclude, list)
		} else {
			s.endWants(pg, from, list)
		}
	case modeIsInclude, changeToInclude:
		s.replaceWants(pg, from, include, typ == changeToInclude, list)
		if h := pg.followed(from); h != nil {
			h.mode = include
		}
		s.endWant(pg, from, addr{})
	case modeIsExclude, changeToExclude:
		s.replaceWants(pg, from, exclude, typ == changeToExclude, list)
		if h := pg.followed(from); h != nil {
			h.mode = exclude
		}
		s.addWant(pg, from, exclude, addr{}, true)
	}
}

// replaceWants notes a host's whole list. If it says it anew, what it said before
// is forgotten.
func (s *Snooper) replaceWants(pg *portGroup, from addr, mode filterMode, anew bool, list []addr) {
	change := anew
	anew = anew || pg.hostMode(from) != mode
	if anew {
		s.forgetHost(pg, from)
	}
	s.addWants(pg, from, mode, list)
	if !anew {
		return
	}
	for _, src := range slices.Clone(pg.sources) {
		set := pg.set(src.addr)
		switch {
		case set == nil:
			s.removeSource(src, true)
		case src.mark == ask && mode == include && change:
			// A host that is about to time out must not outlast the source.
			s.arm(&set.timer, s.after(s.lastMemberTime()))
		}
	}
}

func (pg *portGroup) hostMode(a addr) filterMode {
	if h := pg.followed(a); h != nil {
		return h.mode
	}
	return include
}

func (pg *portGroup) followed(a addr) *host {
	if at, ok := slices.BinarySearchFunc(pg.hosts, a, byHost); ok {
		return pg.hosts[at]
	}
	return nil
}

func (pg *portGroup) set(a addr) *hostSet {
	if at, ok := slices.BinarySearchFunc(pg.wanted, a, bySource); ok {
		return pg.wanted[at]
	}
	return nil
}

func byHost(h *host, a addr) int        { return bytes.Compare(h.addr[:], a[:]) }
func bySource(set *hostSet, a addr) int { return bytes.Compare(set.source[:], a[:]) }

func (s *Snooper) addWants(pg *portGroup, from addr, mode filterMode, list []addr) {
	for _, a := range list {
		if a != (addr{}) {
			s.addWant(pg, from, mode, a, false)
		}
	}
}

// addWant notes that a host named a source, and for how long. whole is the zero
// source, which is not counted.
func (s *Snooper) addWant(pg *portGroup, from addr, mode filterMode, a addr, whole bool) {
	h := pg.followed(from)
	if h == nil && pg.port.hosts >= pg.port.hostsLimit() {
		return
	}
	set := pg.set(a)
	w := findWant(h, set)
	if w == nil && h != nil && !whole && h.n >= maxSources {
		return
	}
	if w == nil {
		w = s.newWant(pg, from, mode, a)
		if !whole {
			w.host.n++
		}
	}
	until := s.after(s.cfg.MembershipInterval)
	s.arm(&w.timer, until)
	s.arm(&w.set.timer, until)
}

func (p *port) hostsLimit() int { return orDefault(p.cfg.HostsLimit, defaultHostsLimit) }

func findWant(h *host, set *hostSet) *want {
	if h != nil && set != nil {
		for _, w := range h.wants {
			if w.set == set {
				return w
			}
		}
	}
	return nil
}

func (s *Snooper) newWant(pg *portGroup, from addr, mode filterMode, a addr) *want {
	at, ok := slices.BinarySearchFunc(pg.hosts, from, byHost)
	if !ok {
		pg.hosts = slices.Insert(pg.hosts, at, &host{addr: from, mode: mode})
		pg.port.hosts++
	}
	i, ok := slices.BinarySearchFunc(pg.wanted, a, bySource)
	if !ok {
		set := &hostSet{source: a}
		set.timer.do = func() { s.forgetSet(pg, set) }
		pg.wanted = slices.Insert(pg.wanted, i, set)
	}
	w := &want{host: pg.hosts[at], set: pg.wanted[i]}
	w.timer.do = func() { s.endWant(pg, w.host.addr, w.set.source) }
	w.host.wants = append(w.host.wants, w)
	w.set.wants = append(w.set.wants, w)
	return w
}

// endWants is a host that names sources no more. A source goes with its last host.
func (s *Snooper) endWants(pg *portGroup, from addr, list []addr) {
	for _, a := range list {
		if !s.endWant(pg, from, a) {
			continue
		}
		if src := pg.source(a); src != nil {
			s.removeSource(src, true)
		}
	}
}

// endWant says whether the host was the last to name the source.
func (s *Snooper) endWant(pg *portGroup, from, a addr) bool {
	set := pg.set(a)
	w := findWant(pg.followed(from), set)
	if w == nil {
		return false
	}
	s.removeWant(pg, w)
	return len(set.wants) == 0
}

func (s *Snooper) removeWant(pg *portGroup, w *want) {
	s.timers.stop(&w.timer)
	w.host.wants = without(w.host.wants, w)
	w.set.wants = without(w.set.wants, w)
	if w.host.addr != (addr{}) {
		w.host.n-- // Linux counts the zero source here, though not when it came
	}
	if len(w.host.wants) == 0 {
		pg.hosts = without(pg.hosts, w.host)
		pg.port.hosts--
	}
	if len(w.set.wants) == 0 {
		s.timers.stop(&w.set.timer)
		pg.wanted = without(pg.wanted, w.set)
	}
}

func (s *Snooper) forgetHost(pg *portGroup, from addr) {
	h := pg.followed(from)
	for h != nil && len(h.wants) > 0 {
		s.removeWant(pg, h.wants[0])
	}
}

func (s *Snooper) forgetSet(pg *portGroup, set *hostSet) {
	for len(set.wants) > 0 {
		s.removeWant(pg, set.wants[0])
	}
}

func (s *Snooper) forgetHosts(pg *portGroup) {
	for len(pg.wanted) > 0 {
		s.forgetSet(pg, pg.wanted[0])
	}
}
