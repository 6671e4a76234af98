package bridge

import "ringside/sim"

// learn puts the station src on the port in, as br_fdb_update does. A station
// that is known elsewhere moves at once, a static entry too: static says only
// that an entry does not age; it is sticky ones that stay.
func (b *Bridge) learn(in Port, src addr, now sim.Time) Learned {
	if b.deaf(in) {
		return LearnedNothing
	}
	l, i := b.fdb.find(src)
	if l == nil {
		return b.create(in, src, now)
	}
	if l.what[i]&local != 0 {
		b.stats.OwnSource++
		return OwnAddress
	}
	l.updated[i] = now
	if l.what[i].on(in) || l.what[i]&sticky != 0 {
		return Refreshed
	}
	l.what[i] = l.what[i].at(in)
	b.stats.Moved++
	return Moved
}

func (b *Bridge) create(in Port, src addr, now sim.Time) Learned {
	if b.fdb.learned >= b.cfg.MaxLearned || !b.fdb.insert(src, in.with(learned), now) {
		b.stats.Refused++
		return Refused
	}
	b.stats.Created++
	b.expect(now)
	return Created
}
