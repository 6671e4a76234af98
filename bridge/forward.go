package bridge

import "ringside/cost"

// forward finds the way to dst for a frame from the port in. What was done so
// far is in did, and PassedUp there says that the frame goes up whatever its
// address.
func (b *Bridge) forward(p *port, in Port, dst addr, did Work) Verdict {
	if dst&groupBit != 0 {
		if in != Local {
			did |= PassedUp
		}
		return b.flood(p, in, did)
	}
	did |= Looked
	l, i := b.fdb.find(dst)
	if l == nil {
		return b.flood(p, in, did)
	}
	w := l.what[i]
	switch to := w.port(); {
	case w&local != 0 && in != Local:
		return b.up(did | PassedUp)
	case to != in && to != Local:
		return b.single(to, did)
	case did&PassedUp != 0:
		return b.up(did)
	}
	v := p.drop(cost.RSSamePort)
	v.Work = did
	return v
}

// up is a frame that goes to the bridge's own interface and nowhere else.
func (b *Bridge) up(did Work) Verdict {
	l := &b.ports[Local]
	l.Tx++
	return Verdict{Out: l.self[:], Action: Up, Work: did}
}

// single sends a frame to one port, and up if so said.
func (b *Bridge) single(to Port, did Work) Verdict {
	b.ports[to].Tx++
	if did&PassedUp == 0 {
		return Verdict{Out: b.ports[to].self[:], Action: Forward, Work: did}
	}
	b.ports[Local].Tx++
	out := append(b.scratch[:0], Copy{Port: to}, Copy{Port: Local})
	return Verdict{Out: out, Action: Forward, Work: did}
}

// flood sends a frame to every port but its own, and up if so said. The list is
// made anew for each frame: it is as long as what the caller has to do with it.
func (b *Bridge) flood(p *port, in Port, did Work) Verdict {
	did |= Flooded
	out := b.scratch[:0]
	for _, to := range b.members {
		if to != in {
			b.ports[to].Tx++
			out = append(out, Copy{Port: to})
		}
	}
	if did&PassedUp != 0 {
		b.ports[Local].Tx++
		out = append(out, Copy{Port: Local})
	}
	if len(out) == 0 {
		p.Drops++
		return Verdict{Reason: cost.NoTxTarget, Work: did}
	}
	return Verdict{Out: out, Action: Flood, Work: did}
}
