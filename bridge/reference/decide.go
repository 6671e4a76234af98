package reference

import (
	"ringside/bridge"
	"ringside/bridge/stp"
	"ringside/cost"
	"ringside/sim"
)

// An Egress is a frame that leaves by a port, or goes up if that is Local.
type Egress struct {
	Port  bridge.Port
	Frame []byte
}

// An Answer is what becomes of a frame.
type Answer struct {
	Out     []Egress // in the order of ports, what goes up last
	Action  bridge.Action
	Reason  cost.DropReason // if Action is Drop
	Learned bridge.Learned
}

func drop(r cost.DropReason) Answer { return Answer{Action: bridge.Drop, Reason: r} }

// Handle decides about a frame that came in by the port in.
func (b *Bridge) Handle(in bridge.Port, data []byte, now sim.Time) Answer {
	b.advance(now)
	p := b.ports[in]
	if p == nil {
		return drop(cost.NotSpecified)
	}
	if len(data) < 14 {
		return drop(cost.PktTooSmall)
	}
	if in == bridge.Local {
		return b.transmit(p, data)
	}
	f, whole := take(data)
	if !whole {
		return drop(cost.HdrTrunc)
	}
	return b.receive(p, f)
}

// receive is br_handle_frame.
func (b *Bridge) receive(p *port, f frame) Answer {
	if f.src == (bridge.MAC{}) || group(f.src) {
		return drop(cost.MACInvalidSource)
	}
	if n, ok := reserved(f.dst); ok {
		switch {
		case n == 1:
			return drop(cost.MACIEEEMACControl)
		case n == 0 && !b.cfg.STP:
		case b.forwardMask(p, n)>>n&1 == 1:
		default:
			return b.passPort(p, f)
		}
	}
	if !learns(p.state) {
		return drop(cost.BridgeIngressSTPState)
	}
	return b.finish(p, f)
}

// forwardMask is which reserved groups are forwarded: those of the masks, and in a
// provider bridge those that are its customers' alone (802.1Q table 8-2). The bridge's
// mask says nothing about :00.
func (b *Bridge) forwardMask(p *port, n byte) uint16 {
	mask := p.cfg.GroupFwdMask
	if n != 0 {
		mask |= b.cfg.GroupFwdMask
	}
	if b.provider() {
		mask |= 0xb801 &^ (1 << b.groupAddress())
	}
	return mask
}

func (b *Bridge) provider() bool { return b.cfg.VLANFiltering && b.protocol() == tpidS }

// groupAddress is the last byte of the address that BPDUs go to.
func (b *Bridge) groupAddress() byte {
	switch {
	case b.cfg.GroupAddress != bridge.MAC{}:
		return b.cfg.GroupAddress[5]
	case b.provider():
		return 8
	}
	return 0
}

// learns says that a port in this state learns.
func learns(s stp.State) bool { return s == stp.Forwarding || s == stp.Learning }

// passPort has the port's own stack take the frame; its source is learned
// nevertheless (br_handle_local_finish).
func (b *Bridge) passPort(p *port, f frame) Answer {
	a := Answer{Action: bridge.PassPort, Reason: cost.RSLinkLocal}
	if p.cfg.NoLearning || b.cfg.NoLinkLocalLearn || !learns(p.state) {
		return a
	}
	if vid, ok := b.shouldLearn(p, f); ok {
		a.Learned = b.update(key{f.src, vid}, p.number, false, b.now)
	}
	return a
}

// finish is br_handle_frame_finish.
func (b *Bridge) finish(p *port, f frame) (a Answer) {
	f, vid, ok := b.allowedIngress(p, f)
	if !ok {
		return drop(cost.RSVLANFiltered)
	}
	state := p.state
	if b.cfg.VLANFiltering && state == stp.Forwarding {
		if state = p.vlans.state(vid); !learns(state) {
			return drop(cost.RSVLANFiltered)
		}
	}
	src := key{f.src, vid}
	if p.cfg.Locked {
		if learned, ok := b.authorised(p, src); !ok {
			a := drop(cost.RSPortLocked)
			a.Learned = learned
			return a
		}
	}
	learned := bridge.LearnedNothing
	if !p.cfg.NoLearning {
		learned = b.update(src, p.number, false, b.now)
	}
	a = b.choose(p, f, vid, state)
	a.Learned = learned
	return a
}

// authorised says whether a locked port takes frames of a source: only those for
// which the database names this very port. With mab others get a locked entry.
func (b *Bridge) authorised(p *port, src key) (bridge.Learned, bool) {
	e := b.fdb[src]
	switch {
	case e == nil && !p.cfg.MAB:
		return bridge.LearnedNothing, false
	case e == nil:
		return b.update(src, p.number, true, b.now), false
	case e.port != p.number || e.local:
		return bridge.LearnedNothing, false
	case e.locked:
		return b.update(src, p.number, true, b.now), false
	}
	return bridge.LearnedNothing, true
}

// choose decides where a frame goes that was let in and learned from.
func (b *Bridge) choose(p *port, f frame, vid uint16, state stp.State) Answer {
	up := b.cfg.Promisc
	multicast := group(f.dst) && !broadcast(f.dst)
	var m message
	if broadcast(f.dst) {
		up = true
	}
	if multicast {
		if m = b.hear(p, f, vid); m.bad || m.full {
			return drop(m.reason())
		}
	}
	if state == stp.Learning {
		return drop(cost.BridgeIngressSTPState)
	}
	suppressed := b.suppress(p, f, vid)
	if !group(f.dst) {
		if e := b.fdb[key{f.dst, vid}]; e != nil {
			if e.local {
				return b.send(p, f, vid, nil, true)
			}
			return b.known(p, e, f, vid, up)
		}
		return b.flood(p, f, vid, unicast, suppressed, up)
	}
	if multicast {
		if to, host, known := b.members(p, f, vid, m); known {
			return b.send(p, f, vid, to, up || host).flooded()
		}
		return b.flood(p, f, vid, toGroup, suppressed, true)
	}
	return b.flood(p, f, vid, toAll, suppressed, up)
}

// transmit is br_dev_xmit: the host sends.
func (b *Bridge) transmit(p *port, data []byte) Answer {
	f := frame{dst: bridge.MAC(data[0:6]), src: bridge.MAC(data[6:12]), rest: data[12:]}
	if t := f.etherType(); b.cfg.VLANFiltering && t == b.protocol() {
		var whole bool
		if f, whole = take(data); !whole {
			return drop(cost.HdrTrunc)
		}
	}
	f, vid, ok := b.allowedIngress(p, f)
	if !ok {
		return drop(cost.RSVLANFiltered)
	}
	suppressed := b.suppress(p, f, vid)
	switch {
	case broadcast(f.dst):
		return b.flood(p, f, vid, toAll, suppressed, false)
	case group(f.dst):
		m := b.hear(p, f, vid)
		if m.bad || m.full {
			return drop(m.reason())
		}
		if to, _, known := b.members(p, f, vid, m); known {
			return b.send(p, f, vid, to, false).flooded()
		}
		return b.flood(p, f, vid, toGroup, suppressed, false)
	}
	if e := b.fdb[key{f.dst, vid}]; e != nil {
		return b.known(p, e, f, vid, false)
	}
	return b.flood(p, f, vid, unicast, suppressed, false)
}

// known is br_forward, to the port of an entry or to its backup.
func (b *Bridge) known(p *port, e *entry, f frame, vid uint16, up bool) Answer {
	to := e.port
	if q := b.ports[to]; q != nil && q.cfg.BackupPort != "" && !q.link {
		if backup := b.byName(q.cfg.BackupPort); backup != nil {
			to = backup.number
		}
	}
	var list []target
	if to != bridge.Local {
		list = []target{{port: to}}
	}
	a := b.send(p, f, vid, list, up)
	if a.Action == bridge.Drop {
		a.Reason = b.whyNot(p, to, vid)
	}
	return a
}

// The kinds of traffic, for what ports do not want flooded to them.
const (
	unicast = iota
	toGroup
	toAll
)

// flood is br_flood. What the host sends to groups is not kept from ports by their
// flags.
func (b *Bridge) flood(p *port, f frame, vid uint16, kind int, suppressed, up bool) Answer {
	var to []target
	for _, n := range b.Ports() {
		q := b.ports[n]
		host := p.number == bridge.Local
		switch {
		case kind == unicast && q.cfg.NoFlood:
		case kind == toGroup && q.cfg.NoMcastFlood && !host:
		case kind == toAll && q.cfg.NoBcastFlood && !host:
		case suppressed && b.suppresses(q, vid):
		default:
			to = append(to, target{port: n})
		}
	}
	return b.send(p, f, vid, to, up).flooded()
}

// flooded is an answer for a list of ports, be it of one or of none.
func (a Answer) flooded() Answer {
	if a.Action = bridge.Flood; len(a.Out) == 0 {
		a.Action, a.Reason = bridge.Drop, cost.NoTxTarget
	}
	return a
}

// A target is a port to which a frame may go, and the address it is sent to there
// if that is not the frame's.
type target struct {
	port bridge.Port
	to   bridge.MAC
	one  bool // to one host: not back to the one that sent it
}

// send makes the copies of a frame for those of the targets that take it.
func (b *Bridge) send(p *port, f frame, vid uint16, to []target, up bool) (a Answer) {
	for _, t := range to {
		q := b.ports[t.port]
		if !b.shouldDeliver(p, q, vid) || t.one && q == p && t.to == f.src {
			continue
		}
		g := b.handleVLAN(q, f, vid)
		if t.one && !broadcast(t.to) {
			g.dst = t.to
		}
		a.Out = append(a.Out, Egress{t.port, g.bytes()})
	}
	ports := len(a.Out)
	if host := b.ports[bridge.Local]; up && (b.cfg.Promisc || b.allowedEgress(host, vid)) {
		a.Out = append(a.Out, Egress{bridge.Local, b.handleVLAN(host, f, vid).bytes()})
	}
	switch {
	case len(a.Out) == 0 && up:
		a.Action, a.Reason = bridge.Drop, cost.RSVLANFiltered
	case len(a.Out) == 0:
		a.Action, a.Reason = bridge.Drop, cost.NoTxTarget
	case ports == 0:
		a.Action = bridge.Up
	default:
		a.Action = bridge.Forward
	}
	return a
}

// shouldDeliver is should_deliver.
func (b *Bridge) shouldDeliver(from, to *port, vid uint16) bool {
	return (to != from || to.cfg.Hairpin) &&
		to.state == stp.Forwarding &&
		b.allowedEgress(to, vid) &&
		!(from.cfg.Isolated && to.cfg.Isolated)
}

// whyNot is the reason for which a known station's port does not take a frame.
func (b *Bridge) whyNot(from *port, n bridge.Port, vid uint16) cost.DropReason {
	switch to := b.ports[n]; {
	case n == bridge.Local, to == from && !to.cfg.Hairpin:
		return cost.RSSamePort
	case to.state != stp.Forwarding:
		return cost.RSPortState
	case !b.allowedEgress(to, vid):
		return cost.RSVLANFiltered
	}
	return cost.RSIsolated
}
