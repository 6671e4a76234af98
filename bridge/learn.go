package bridge

import "ringside/sim"

// learn puts the station src on the port in, as br_fdb_update does. A station
// that is known elsewhere moves at once, a static entry too: static says only
// that an entry does not age; it is sticky ones that stay.
func (b *Bridge) learn(p *port, in Port, src addr, now sim.Time) Learned {
	if p.NoLearning || b.cfg.Ageing == Hub {
		return LearnedNothing
	}
	l, i := b.fdb.find(src)
	if l == nil {
		return b.create(in, src, now)
	}
	if l.flags[i]&local != 0 {
		b.stats.OwnSource++
		return OwnAddress
	}
	l.updated[i] = now
	if l.port[i] == uint16(in) || l.flags[i]&sticky != 0 {
		return Refreshed
	}
	l.port[i] = uint16(in)
	b.stats.Moved++
	return Moved
}

func (b *Bridge) create(in Port, src addr, now sim.Time) Learned {
	if b.fdb.learned >= b.cfg.MaxLearned || !b.fdb.insert(src, in, learned, now) {
		b.stats.Refused++
		return Refused
	}
	b.stats.Created++
	if b.due == sim.Never {
		b.due = after(now, b.cfg.Ageing)
	}
	return Created
}
