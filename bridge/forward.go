package bridge

import "ringside/cost"

// forward finds the way to dst for a frame that came in by the port in, and
// completes v with it.
func (b *Bridge) forward(in Port, dst addr, v Verdict) Verdict {
	p := &b.ports[in]
	v.Up = b.cfg.Promisc && in != Local
	if dst&groupBit != 0 {
		v.Up = in != Local
		return b.flood(p, in, v)
	}
	v.Looked = true
	l, i := b.fdb.find(dst)
	if l == nil {
		return b.flood(p, in, v)
	}
	to := Port(l.port[i])
	if l.flags[i]&local != 0 && in != Local {
		v.Action, v.Up = Up, true
		b.ports[Local].stats.Tx++
		return v
	}
	if to == in || to == Local {
		v.Reason = cost.RSSamePort
		return b.undelivered(p, v)
	}
	b.ports[to].stats.Tx++
	v.Action, v.Out = Forward, b.ids[to:to+1:to+1]
	if v.Up {
		b.ports[Local].stats.Tx++
	}
	return v
}

// undelivered ends a frame that no port takes: it goes up if it may, or dies for
// v.Reason.
func (b *Bridge) undelivered(p *port, v Verdict) Verdict {
	if !v.Up {
		return p.drop(v)
	}
	v.Action, v.Reason = Up, cost.NotDropped
	b.ports[Local].stats.Tx++
	return v
}

// flood sends a frame to every port but its own. The list is made anew for each
// frame: it is as long as what the caller has to do with it.
func (b *Bridge) flood(p *port, in Port, v Verdict) Verdict {
	v.Flooded = true
	v.Out = b.members
	if in != Local {
		v.Out = b.scratch[:len(b.members)-1]
		copy(v.Out, b.members[:p.index])
		copy(v.Out[p.index:], b.members[p.index+1:])
	}
	if len(v.Out) == 0 {
		v.Reason = cost.NoTxTarget
		return b.undelivered(p, v)
	}
	for _, to := range v.Out {
		b.ports[to].stats.Tx++
	}
	v.Action = Flood
	if v.Up {
		b.ports[Local].stats.Tx++
	}
	return v
}
