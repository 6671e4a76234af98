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

// Sent is a frame that the bridge sends itself.
type Sent struct {
	Port  Port   // by which it leaves; Local is up into the bridge's own interface
	Frame []byte // the whole frame, unpadded
}

// Due is when Tick has something to do, sim.Never if never.
func (b *Bridge) Due() sim.Time { return b.walk }

// Tick does what is due by now.
func (b *Bridge) Tick(now sim.Time) (did Ticked) {
	b.now = max(b.now, now)
	if b.walk <= now {
		did.Walked, did.Aged = b.age(now)
	}
	did.Sent = len(b.sent) > 0
	return did
}

// Sent is the frames that the bridge sends itself since the last call. They are
// good until the next call of anything.
func (b *Bridge) Sent() []Sent { return b.sent }

// age is the walk over the table that takes out what has aged, br_fdb_cleanup.
// The next walk is when the next entry ages, but not before 10 ms have passed,
// and never when there is none that can.
//
// As in Linux it is only the walk that ends an entry. One that has aged and was
// not taken out yet still forwards, and a frame from its station makes it young
// again; the walks are as close as the ages of the entries ask for.
func (b *Bridge) age(now sim.Time) (walked, aged int) {
	walked = b.fdb.n
	aged, oldest := b.fdb.age(now - b.cfg.Ageing)
	b.stats.Aged += uint64(aged)
	b.walk = sim.Never
	if oldest != sim.Never {
		b.walk = max(after(oldest, b.cfg.Ageing), after(now, minWalk))
	}
	return walked, aged
}

// expect has the table walked when an entry of the time now has aged, if not
// before.
func (b *Bridge) expect(now sim.Time) {
	if b.walk == sim.Never && b.cfg.Ageing != Hub {
		b.walk = after(now, b.cfg.Ageing)
	}
}

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
