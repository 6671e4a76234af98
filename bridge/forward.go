package bridge

import "ringside/cost"

// forward finds the way to dst for a frame from the port in. What was done so
// far is in did, and Up there says that the frame goes up whatever its address.
func (b *Bridge) forward(p *port, in Port, dst addr, did Work) Verdict {
	if dst&groupBit != 0 {
		did.Up = in != Local
		return b.flood(p, in, did)
	}
	did.Looked = true
	l, i := b.fdb.find(dst)
	if l == nil {
		return b.flood(p, in, did)
	}
	v := Verdict{Action: Up, Work: did}
	w := l.what[i]
	switch to := w.port(); {
	case w&local != 0 && in != Local:
		v.Up = true
	case to != in && to != Local:
		b.ports[to].Tx++
		v.Action, v.Out = Forward, b.ports[to].self[:]
	case !v.Up:
		p.Drops++
		v.Action, v.Reason = Drop, cost.RSSamePort
	}
	if v.Up {
		b.ports[Local].Tx++
	}
	return v
}

// flood sends a frame to every port but its own, and up if so said. The list is
// made anew for each frame: it is as long as what the caller has to do with it.
func (b *Bridge) flood(p *port, in Port, did Work) Verdict {
	out := b.scratch[:0]
	for _, to := range b.members {
		if to != in {
			b.ports[to].Tx++
			out = append(out, to)
		}
	}
	v := Verdict{Out: out, Action: Flood, Work: did}
	switch {
	case v.Up:
		b.ports[Local].Tx++
	case len(v.Out) == 0:
		p.Drops++
		v.Action, v.Reason = Drop, cost.NoTxTarget
	}
	return v
}
