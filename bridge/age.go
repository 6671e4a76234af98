package bridge

import "ringside/sim"

// minWalk is the least time between two walks.
const minWalk = 10 * sim.Millisecond

// Age is the walk over the table that takes out what has aged, br_fdb_cleanup.
// It returns how many entries it looked at, which is all of them, how many it
// took out, and when to walk again: when the next entry ages, but not before 10
// ms have passed, and sim.Never when there is none that can.
//
// As in Linux it is only the walk that ends an entry. One that has aged and was
// not taken out yet still forwards, and a frame from its station makes it young
// again; the walks are as close as the ages of the entries ask for.
func (b *Bridge) Age(now sim.Time) (looked, removed int, next sim.Time) {
	looked = b.fdb.n
	oldest := sim.Never
	if b.cfg.Ageing != sim.Never {
		removed, oldest = b.fdb.age(now - b.cfg.Ageing)
	}
	b.stats.Aged += uint64(removed)
	b.due = sim.Never
	if oldest != sim.Never {
		b.due = max(after(oldest, b.cfg.Ageing), after(now, minWalk))
	}
	return looked, removed, b.due
}

// Due is when the next walk is to be made: what Age returned, or, when that was
// never, the moment the first station learned since then ages.
func (b *Bridge) Due() sim.Time { return b.due }

// expired says that a dynamic entry has aged.
func (b *Bridge) expired(l *line, i int, now sim.Time) bool {
	return now-l.updated[i] >= b.cfg.Ageing
}

// after is t later than now, or never.
func after(now, t sim.Time) sim.Time {
	if t > sim.Never-now {
		return sim.Never
	}
	return now + t
}
