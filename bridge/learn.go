package bridge

import "ringside/sim"

// learn puts the station src on the port in, as br_fdb_update does. A station
// that is known elsewhere moves at once, a static entry too: static says only
// that an entry does not age; it is sticky ones that stay. Flag is lockedOut when
// a locked port asks.
func (b *Bridge) learn(in Port, src addr, flag what, now sim.Time) Learned {
	if b.hold == 0 {
		return LearnedNothing
	}
	l, i := b.fdb.find(src)
	if l == nil {
		return b.create(in, src, flag, now)
	}
	if l.what[i]&local != 0 {
		b.stats.OwnSource++
		return OwnAddress
	}
	l.updated[i] = now
	if l.what[i].on(in) || l.what[i]&sticky != 0 {
		return Refreshed
	}
	b.move(l, i, in, now)
	return Moved
}

func (b *Bridge) create(in Port, src addr, flag what, now sim.Time) Learned {
	if b.fdb.learned >= b.cfg.MaxLearned || !b.fdb.insert(src, in.with(learned|flag), now) {
		b.stats.Refused++
		return Refused
	}
	b.stats.Created++
	b.expect(now)
	if b.cfg.Notify != nil {
		l, i := b.fdb.find(src)
		b.notifyFDB(l, i, false)
	}
	return Created
}

// move puts a station on another port. It is no longer what a control plane said
// it was, nor locked: a locked port does not come so far.
func (b *Bridge) move(l *line, i int, in Port, now sim.Time) {
	b.stats.Moved++
	b.flaps.note(l.key[i], l.what[i].port(), in, now, &b.stats)
	l.what[i] = l.what[i].at(in) &^ (extern | lockedOut)
	if l.what[i]&static == 0 {
		b.expect(now)
	}
	b.notifyFDB(l, i, false)
}
