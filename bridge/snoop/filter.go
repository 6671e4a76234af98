package snoop

import (
	"slices"

	"ringside/sim"
)

// The types of a group record. IGMPv3 and MLDv2 have the same numbers.
const (
	modeIsInclude = 1 + iota
	modeIsExclude
	changeToInclude
	changeToExclude
	allowNewSources
	blockOldSources
)

// A mark is what a record does to a source of the list.
type mark uint8

const (
	keep   mark = iota
	ask         // the source is to be asked for, and then goes
	forget      // goes
)

// An effect is what a record does to the timer of a source that it names.
type effect uint8

const (
	none    effect = iota // as it is; a new source is then a blocked one
	renewed               // the membership interval
	asGroup               // that of the group
	ignored               // a new source is not taken up
)

// A rule is a row of the tables in RFC 3376 6.4.1 and 6.4.2, which those of RFC
// 3810 7.4.1 and 7.4.2 equal.
type rule struct {
	known, fresh effect // sources named, in the list already and not
	askKnown     bool   // and those wanted of them are asked for
	others       mark   // sources not named
	askGroup     bool   // the group is asked for
	toExclude    bool   // the mode is then exclude, and its timer runs anew
	leaves       bool   // may have been the last the port wanted
}

var rules = [2][7]rule{
	include: {
		modeIsInclude:   {known: renewed, fresh: renewed},
		allowNewSources: {known: renewed, fresh: renewed},
		modeIsExclude:   {others: forget, toExclude: true},
		changeToInclude: {known: renewed, fresh: renewed, others: ask, leaves: true},
		changeToExclude: {askKnown: true, others: forget, toExclude: true},
		blockOldSources: {askKnown: true, fresh: ignored, leaves: true},
	},
	exclude: {
		modeIsInclude:   {known: renewed, fresh: renewed},
		allowNewSources: {known: renewed, fresh: renewed},
		modeIsExclude:   {fresh: renewed, others: forget, toExclude: true},
		changeToInclude: {known: renewed, fresh: renewed, others: ask, askGroup: true, leaves: true},
		changeToExclude: {fresh: asGroup, askKnown: true, others: forget, toExclude: true},
		blockOldSources: {fresh: asGroup, askKnown: true, leaves: true},
	},
}

// record applies a group record that the host at from sent to its port group.
func (s *Snooper) record(pg *portGroup, from addr, typ uint8, list []addr) {
	r := &rules[pg.mode][typ]
	toAsk := s.markSources(pg, r, list)
	s.followHost(pg, from, typ, list)
	for _, src := range slices.Clone(pg.sources) {
		if src.mark == forget {
			s.removeSource(src, false)
		}
	}
	if toAsk {
		s.askSources(pg)
	}
	if r.askGroup {
		s.askGroup(pg)
	}
	if r.toExclude {
		if pg.mode == include {
			s.starExcludes(pg)
		}
		pg.mode = exclude
		s.arm(&pg.timer, s.after(s.cfg.MembershipInterval))
	}
	if r.leaves {
		s.checkLast(pg, typ)
	}
}

// markSources does what a rule says to the sources, or marks them for it. It
// tells whether any is to be asked for, counting as Linux does: a source that is
// named twice stands for two, so that one not named may be overlooked.
func (s *Snooper) markSources(pg *portGroup, r *rule, list []addr) bool {
	for _, src := range pg.sources {
		src.mark = r.others
		if r.others == ask && pg.mode == exclude && !src.timer.pending() {
			src.mark = keep
		}
	}
	asked, left := 0, len(pg.sources)
	for _, a := range list {
		src := pg.source(a)
		known := src != nil
		if known && (src.timer.pending() || pg.mode == include) {
			left--
		}
		if src = s.named(pg, src, r, a); src == nil {
			continue
		}
		if r.askKnown && (src.timer.pending() || known && pg.mode == include) {
			src.mark = ask
			asked++
		}
	}
	return asked > 0 || r.others == ask && left != 0
}

// named does what a rule says to a source that a record names.
func (s *Snooper) named(pg *portGroup, src *source, r *rule, a addr) *source {
	does := r.known
	if src == nil {
		if does = r.fresh; does == ignored {
			return nil
		}
		if src = s.newSource(pg, a); src == nil {
			return nil
		}
	} else if src.mark != ask || !r.askKnown {
		src.mark = keep
	}
	switch does {
	case renewed:
		s.runSource(src, s.after(s.cfg.MembershipInterval))
	case asGroup:
		s.runSource(src, pg.timer.at)
	case none:
		if pg.mode == include && r.toExclude {
			s.install(src)
		}
	}
	return src
}

// checkLast takes away a port group that no host wants anything of any more.
func (s *Snooper) checkLast(pg *portGroup, typ uint8) {
	last := pg.port.cfg.FastLeave && len(pg.hosts) == 0
	empty := typ == blockOldSources && pg.mode == include && len(pg.sources) == 0
	if last {
		pg.flags |= fastLeave
	}
	if last || empty {
		s.removePortGroup(pg)
	}
}

// lastMemberTime is how long a host has to say that it is still there.
func (s *Snooper) lastMemberTime() sim.Time {
	return times(s.cfg.LastMemberInterval, s.cfg.LastMemberCount)
}

// times is a span n times, at most sim.Never.
func times(span sim.Time, n int) sim.Time {
	if n > 0 && span > sim.Never/sim.Time(n) {
		return sim.Never
	}
	return span * sim.Time(n)
}

// askSources lowers the timers of the sources marked, and asks for them if the
// bridge is the querier. The query sent at once is that of RFC 3376 6.6.3.2 for
// sources with time left, which are those that were renewed after an earlier
// one; the marked ones follow by retransmission.
func (s *Snooper) askSources(pg *portGroup) {
	if !s.running || !s.enabled {
		return
	}
	asks := s.isQuerier(pg.group.proto)
	until := s.after(s.lastMemberTime())
	for _, src := range pg.sources {
		if src.mark != ask || src.timer.at <= until {
			continue
		}
		if asks {
			src.queries = uint8(s.cfg.LastMemberCount)
		}
		s.runSource(src, until)
	}
	if asks {
		s.querySources(pg, true)
		s.lower(&pg.rexmit, s.after(s.cfg.LastMemberInterval))
	}
}

// askGroup asks for the whole group and lowers its timer.
func (s *Snooper) askGroup(pg *portGroup) {
	if !s.running || !s.enabled {
		return
	}
	if s.isQuerier(pg.group.proto) {
		pg.queries = uint8(s.cfg.LastMemberCount - 1)
		s.queryGroup(pg, false)
		s.lower(&pg.rexmit, s.after(s.cfg.LastMemberInterval))
	}
	if pg.mode == exclude {
		s.lower(&pg.timer, s.after(s.lastMemberTime()))
	}
}

// rexmitDue is the next query for a port group.
func (s *Snooper) rexmitDue(pg *portGroup) {
	if !s.running || !s.enabled || !s.isQuerier(pg.group.proto) {
		return
	}
	if pg.queries > 0 {
		pg.queries--
		s.queryGroup(pg, true)
	}
	if more := s.querySources(pg, false); more || pg.queries > 0 {
		s.arm(&pg.rexmit, s.after(s.cfg.LastMemberInterval))
	}
}
