package snoop

import "ringside/sim"

// Where sources are looked at, a frame is sent by the (S,G) if there is one. It
// is made for every source that some port has in its list, and so must also have
// those ports that want all sources of the group: they are added to it as
// star_excl entries, and go when the last port with a reason of its own goes.

// runSource starts a source's timer and has its (S,G) follow.
func (s *Snooper) runSource(src *source, until sim.Time) {
	s.arm(&src.timer, until)
	s.install(src)
}

// install sees to it that the source has an (S,G) on its port, blocked if its
// timer does not run.
func (s *Snooper) install(src *source) {
	s.makeInstalled(src)
	sg := s.at(src.key(), src.group.port)
	if sg == nil || sg.flags&permanent != 0 {
		return
	}
	if src.timer.pending() {
		sg.flags &^= blocked
	} else {
		sg.flags |= blocked
	}
}

func (src *source) key() key { return src.group.group.key.from(src.addr) }

func (s *Snooper) makeInstalled(src *source) {
	if src.installed {
		return
	}
	var state flags
	if !src.timer.pending() {
		state = blocked
	}
	sg, full := s.join(src.key(), src.group.port, src.group.host, false, state)
	if sg == nil || full != 0 {
		return
	}
	src.installed = true
	sg.flags &^= addedByStar
	if sg.protocol != protoKernel && sg.flags&permanent != 0 {
		return
	}
	s.timers.stop(&sg.timer) // it lives as long as the source does
	if star := s.groups[src.group.group.key]; star != nil {
		s.addStars(star, sg)
	}
}

// uninstall takes the source's (S,G) from its port, but for one that was set by
// hand on its own.
func (s *Snooper) uninstall(src *source, leave bool) {
	g := s.groups[src.key()]
	if g == nil {
		return
	}
	src.installed = false
	sg := g.find(src.group.port, src.group.host)
	if sg == nil || sg.protocol != protoKernel && sg.flags&permanent != 0 && !src.static {
		return
	}
	if leave {
		sg.flags |= fastLeave
	}
	s.removePortGroup(sg)
}

// addStars adds to a new (S,G) the host and the ports that are in the group for
// all sources.
func (s *Snooper) addStars(star *group, sg *portGroup) {
	if star.host {
		sg.group.host = true
	}
	for _, pg := range star.ports {
		if pg.mode == exclude {
			s.addStar(sg.group.key, pg.port, sg.host)
		}
	}
}

func (s *Snooper) addStar(k key, p *port, mac MAC) {
	if s.at(k, p) != nil {
		return
	}
	if sg, _ := s.join(k, p, mac, false, 0); sg != nil && sg.protocol == protoKernel {
		sg.flags |= addedByStar
	}
}

// starExcludes is pg beginning to want all sources: it enters every (S,G) of its
// group.
func (s *Snooper) starExcludes(pg *portGroup) {
	for _, k := range pg.group.installedElsewhere(pg) {
		s.addStar(k, pg.port, pg.host)
	}
}

// starIncludes is pg, of the group g, ceasing to want all sources.
func (s *Snooper) starIncludes(pg *portGroup, g *group) {
	for _, k := range g.installedElsewhere(pg) {
		sg := s.at(k, pg.port)
		if sg != nil && sg.flags&addedByStar != 0 && sg.protocol == protoKernel {
			s.removePortGroup(sg)
		}
	}
}

// installedElsewhere is the (S,G) that other port groups of g have.
func (g *group) installedElsewhere(pg *portGroup) []key {
	var keys []key
	for _, other := range g.ports {
		if other == pg {
			continue
		}
		for _, src := range other.sources {
			if src.installed {
				keys = append(keys, src.key())
			}
		}
	}
	return keys
}

// tidySource empties an (S,G) in which no port has a reason of its own any more.
// What was set to stay does stay, and is no reason.
func (s *Snooper) tidySource(g *group) {
	for _, pg := range g.ports {
		if pg.flags&(addedByStar|permanent) == 0 {
			return
		}
	}
	g.host = false
	for {
		pg := g.transient()
		if pg == nil {
			return
		}
		s.removePortGroup(pg)
	}
}

func (g *group) transient() *portGroup {
	for _, pg := range g.ports {
		if pg.flags&permanent == 0 {
			return pg
		}
	}
	return nil
}

// hostFollows has the host be in each (S,G) of a (*,G) that it is in.
func (s *Snooper) hostFollows(g *group) {
	if !g.star() {
		return
	}
	for _, k := range g.installedElsewhere(nil) {
		if sg := s.groups[k]; sg != nil {
			sg.host = g.host
		}
	}
}
