package bridge

import "ringside/sim"

// minWalk is the least time between two walks.
const minWalk = 10 * sim.Millisecond

// Ticked is what a Tick did.
type Ticked struct {
	Walked int  // entries of the table looked at by the ageing walk
	Aged   int  // those of them taken out
	Sent   bool // the bridge has frames to send: see Sent
}

// Due is when Tick has something to do, sim.Never if never.
func (b *Bridge) Due() sim.Time { return b.due }

// Tick does what is due by now: the ageing walk, and the timers of the spanning
// tree and of snooping.
func (b *Bridge) Tick(now sim.Time) (did Ticked) {
	b.now = max(b.now, now)
	b.tree.Tick(now)
	b.snooper.Tick(now)
	if b.walk <= now {
		did.Walked, did.Aged = b.age(now)
	}
	b.collect()
	did.Sent = len(b.sent.list) > 0 && !b.sent.taken
	return did
}

// schedule sees to it that the next Tick comes when something is due, and tells
// what changed in a call of the machines beside the table. The tree's timers run
// with the protocol off, too, but nothing comes of them unless it was on.
func (b *Bridge) schedule() {
	b.due = min(b.walk, b.snooper.Due())
	if b.spanning {
		b.due = min(b.due, b.tree.Due())
	}
	for _, p := range b.changed {
		b.notifyLink(p, false)
	}
	b.changed = b.changed[:0]
	b.notifyMDB()
}

// age is the walk over the table that takes out what has aged, br_fdb_cleanup.
// The next walk is when the next entry ages, but not before 10 ms have passed,
// and never when there is none that can.
//
// As in Linux it is only the walk that ends an entry. One that has aged and was
// not taken out yet still forwards, and a frame from its station makes it young
// again; the walks are as close as the ages of the entries ask for.
func (b *Bridge) age(now sim.Time) (walked, aged int) {
	walked = b.fdb.n
	oldest := sim.Never
	b.sweep(func(l *line, i int) bool {
		switch {
		case l.what[i]&(static|extern) != 0:
			return false
		case l.updated[i] <= now-b.hold:
			return true
		}
		oldest = min(oldest, l.updated[i])
		return false
	})
	aged = walked - b.fdb.n
	b.stats.Aged += uint64(aged)
	b.walk = sim.Never
	if oldest != sim.Never {
		b.walk = max(after(oldest, b.hold), after(now, minWalk))
	}
	return walked, aged
}

// expect has the table walked when an entry of the time now has aged, if not
// before. A change of topology, which shortens the ages, does not hurry the walk:
// Linux has set its time before, too.
func (b *Bridge) expect(now sim.Time) {
	if b.walk == sim.Never && b.hold != sim.Never {
		b.walk = after(now, max(b.hold, b.cfg.Ageing))
		b.due = min(b.due, b.walk)
	}
}

// after is t later than now, or never.
func after(now, t sim.Time) sim.Time {
	if t > sim.Never-now {
		return sim.Never
	}
	return now + t
}
