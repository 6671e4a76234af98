package bridge

import (
	"ringside/bridge/stp"
	"ringside/cost"
)

// A packetKind is Linux's enum br_pkt_type, as the flag that a port has to have to
// be flooded with it.
type packetKind = flags

const (
	unicast   = floodUnicast
	multicast = floodMulticast
	broadcast = floodBroadcast
)

func (f *pass) kind() packetKind {
	switch {
	case f.dst&addrMask == addrMask:
		return broadcast
	case f.dst&groupBit != 0:
		return multicast
	}
	return unicast
}

// route finds the way of a frame that was let in.
func (b *Bridge) route(f *pass, kind packetKind) Verdict {
	switch kind {
	case broadcast:
		if b.why != nil {
			b.why.decides("br_flood", "it is a broadcast")
		}
		return b.flood(f, kind)
	case multicast:
		return b.group(f)
	}
	f.work |= Looked
	l, i := b.fdb.find(f.dst)
	if l == nil {
		if b.why != nil {
			b.why.decides("br_fdb_find_rcu", "%v is not known: flooded", f.dst.mac())
		}
		return b.flood(f, kind)
	}
	w := l.what[i]
	if b.why != nil {
		b.why.decides("br_fdb_find_rcu", "%s", b.entry(l, i, f.now).words())
	}
	if w&local != 0 && f.in != Local {
		f.up = true
		return b.deliver(f, b.scratch[:0], Up, cost.RSVLANFiltered)
	}
	return b.forward(f, w.port())
}

// forward is br_forward: the frame goes to one port, or to its backup if it has no
// carrier, and up if so said.
func (b *Bridge) forward(f *pass, to Port) Verdict {
	if to == Local {
		b.say("br_forward", "it is the host's own address, and the host sends it")
		return b.deliver(f, b.scratch[:0], Up, cost.RSSamePort)
	}
	if q := b.backup[to]; q != Local && b.ports[to].flags&noCarrier != 0 {
		if b.why != nil {
			b.why.says("br_forward", "port %d has no carrier: its backup_port is port %d", to, q)
		}
		to = q
		f.work |= Redirected
	}
	c, why := b.mayLeave(f, to)
	if why != 0 {
		return b.deliver(f, b.scratch[:0], Up, why)
	}
	return b.deliver(f, append(b.scratch[:0], c), Forward, 0)
}

// mayLeave is should_deliver, and br_handle_vlan where that says yes: how the frame
// leaves by a port, or why it does not.
func (b *Bridge) mayLeave(f *pass, q Port) (c Copy, why cost.DropReason) {
	to := &b.ports[q]
	switch {
	case q == f.in && to.flags&hairpin == 0:
		why = cost.RSSamePort
	case to.flags&forwarding == 0:
		why = cost.RSPortState
	case f.filtered:
		v := b.vlans[q].find(f.vid)
		if v == nil || v.state != stp.Forwarding {
			why = cost.RSVLANFiltered
			break
		}
		if to.flags&f.p.flags&isolated == 0 {
			c = f.shape(v)
		}
	}
	if why == 0 && to.flags&f.p.flags&isolated != 0 {
		why = cost.RSIsolated
	}
	if b.why != nil {
		b.sayDelivers(f, q, why)
	}
	c.Port = q
	return c, why
}

// flood is br_flood: the frame goes to every port that may have it. The list is made
// anew for each frame: it is as long as what the caller has to do with it.
func (b *Bridge) flood(f *pass, kind packetKind) Verdict {
	f.work |= Flooded
	need := kind | forwarding
	if f.in == Local && kind != unicast {
		need = forwarding // what the host sends is not kept from a port by its flag
	}
	if !f.quiet && b.why == nil && f.p.flags&hairpin == 0 {
		out := b.floodPlain(f, need)
		if f.filtered {
			out = b.inVLAN(f, out)
		}
		return b.deliver(f, out, Flood, cost.NoTxTarget)
	}
	out := b.scratch[:0]
	for _, q := range b.members {
		if b.ports[q].flags&kind&need != kind&need {
			if b.why != nil {
				b.why.says("br_flood", "port %d has %v off", q, kind)
			}
			continue
		}
		if f.quiet && b.suppresses(q, f.vid) {
			if b.why != nil {
				b.why.says("br_flood", "port %d has neigh_suppress", q)
			}
			continue
		}
		if c, why := b.mayLeave(f, q); why == 0 {
			out = append(out, c)
		}
	}
	return b.deliver(f, out, Flood, cost.NoTxTarget)
}

// floodPlain lists the ports where nobody asks for more than their flags: it is what
// mayLeave says of each, but quicker.
func (b *Bridge) floodPlain(f *pass, need flags) []Copy {
	mask := need | f.p.flags&isolated
	out := b.scratch[:cap(b.scratch)]
	n := 0
	for _, q := range b.members {
		if b.ports[q].flags&mask == need && q != f.in {
			out[n] = Copy{Port: q}
			n++
		}
	}
	return out[:n]
}

// inVLAN leaves those of the copies that are for ports in the frame's VLAN, as they
// leave there.
func (b *Bridge) inVLAN(f *pass, list []Copy) []Copy {
	out := list[:0]
	for _, c := range list {
		if v := b.vlans[c.Port].find(f.vid); v != nil && v.state == stp.Forwarding {
			in := f.shape(v)
			in.Port = c.Port
			out = append(out, in)
		}
	}
	return out
}

// deliver counts the copies and adds the one that goes up, br_pass_frame_up. The
// action is that of a frame with a copy for a port, why the reason if there is no
// copy at all.
func (b *Bridge) deliver(f *pass, out []Copy, a Action, why cost.DropReason) Verdict {
	for _, c := range out {
		b.ports[c.Port].Tx++
	}
	if a != Flood && len(out) == 0 {
		a = Up
	}
	if f.up {
		out = b.passUp(f, out)
	}
	if f.filtered && len(out) > 0 {
		f.work |= VLANEgress
	}
	if f.mcast.Type != 0 {
		b.countSent(f, out)
	}
	f.work |= b.emitted(f)
	if len(out) == 0 {
		return f.drop(why)
	}
	return Verdict{Out: out, Action: a, Work: f.work}
}

// passUp is br_pass_frame_up: the bridge's own interface is in the VLAN, or sees
// everything.
func (b *Bridge) passUp(f *pass, out []Copy) []Copy {
	var c Copy
	if f.filtered {
		v := b.vlans[Local].find(f.vid)
		switch {
		case v != nil && v.state == stp.Forwarding:
			c = f.shape(v)
		case v == nil && b.cfg.Promisc:
			c = f.withTag
		default:
			b.say("br_pass_frame_up", "the bridge's own interface is not in the VLAN")
			return out
		}
	}
	b.say("br_pass_frame_up", "it goes up into the bridge's own interface")
	f.work |= PassedUp
	b.ports[Local].Tx++
	c.Port = Local
	return append(out, c)
}
