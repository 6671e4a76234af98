package bridge

import (
	"ringside/bridge/snoop"
	"ringside/bridge/stp"
	"ringside/cost"
	"ringside/sim"
)

// A pass is one frame on its way through the bridge: what a step has found out and
// a later one needs.
type pass struct {
	in    Port
	p     *port
	frame []byte
	now   sim.Time

	dst, src addr      // in the frame's VLAN
	state    stp.State // of the port in the VLAN
	vid      uint16    // 0 with VLAN filtering off
	tci      uint16    // of the frame's tag, or of the one the PVID gave it
	network  int       // where the network header begins
	filtered bool      // VLAN filtering is on
	withTag  Copy      // how it leaves by a port that sends the VLAN tagged
	without  Copy      // and untagged

	up    bool         // it goes up, too
	quiet bool         // it is kept from ports with neigh_suppress
	mcast snoop.Result // what snooping says of it
	sent  int          // frames of the bridge's own before it
	work  Work
}

// drop ends a frame.
func (f *pass) drop(why cost.DropReason) Verdict {
	f.p.Drops++
	return Verdict{Reason: why, Work: f.work}
}

// decide is Handle without a short way: it begins at the function that Linux
// gives the frame to.
func (b *Bridge) decide(in Port, frame []byte, now sim.Time) Verdict {
	if !b.has(in) {
		b.say("br_handle_frame", "there is no such port")
		return Verdict{Reason: cost.NotSpecified}
	}
	b.now = max(b.now, now)
	f := pass{in: in, p: &b.ports[in], frame: frame, now: now, sent: b.sent.total}
	f.p.Rx++
	if len(frame) < headerLen {
		b.say("eth_type_trans", "there is no whole Ethernet header")
		return f.drop(cost.PktTooSmall)
	}
	f.dst, f.src = addresses(frame)
	if in == Local {
		return b.transmit(&f)
	}
	return b.receive(&f)
}

// receive is br_handle_frame, for a frame that came in by a port.
func (b *Bridge) receive(f *pass) Verdict {
	if tpid, _ := tag(f.frame); tpid != 0 && len(f.frame) < taggedLen {
		b.say("skb_vlan_untag", "the tag and what follows it are not whole")
		return f.drop(cost.HdrTrunc)
	}
	if !station(f.src) {
		b.say("br_handle_frame", "the source address is zero or a group")
		return f.drop(cost.MACInvalidSource)
	}
	f.state = f.p.state
	if n, ok := isReserved(f.dst); ok {
		switch {
		case b.forwards(n, f.p):
			if b.why != nil {
				b.why.says("br_handle_frame", "a reserved address that is forwarded: %s", b.whyForwarded(n))
			}
		case n == 1:
			b.say("br_handle_frame", "MAC control frames go no further")
			return f.drop(cost.MACIEEEMACControl)
		default:
			return b.reserved(f)
		}
	}
	b.say("br_handle_frame", "the source address is one of a station")
	if s := f.p.state; s != stp.Forwarding && s != stp.Learning {
		if b.why != nil {
			b.why.says("br_handle_frame", "the port is %v", s)
		}
		return f.drop(cost.BridgeIngressSTPState)
	}
	return b.finish(f)
}

// forwards says that frames to 01:80:c2:00:00:0n that come in by p are forwarded
// as those to any group are: because there is no spanning tree, or because
// group_fwd_mask says so.
func (b *Bridge) forwards(n uint8, p *port) bool {
	mask := b.required | p.fwdMask
	switch n {
	case 0:
		return !b.cfg.STP || mask&1 != 0
	case 1:
		return false
	}
	return (mask|b.cfg.GroupFwdMask)>>n&1 != 0
}

// whyForwarded is what lets frames to 01:80:c2:00:00:0n through.
func (b *Bridge) whyForwarded(n uint8) string {
	if n == 0 && !b.cfg.STP {
		return "there is no spanning tree"
	}
	return "group_fwd_mask has its bit"
}

// reserved is a frame to a reserved address, which goes to the port's own stack:
// its source is learned first (br_handle_local_finish). A BPDU goes from there to
// the spanning tree.
func (b *Bridge) reserved(f *pass) Verdict {
	b.say("br_handle_frame", "a reserved address that is not forwarded")
	if b.cfg.NoLinkLocalLearn {
		b.say("br_fdb_update", "no_linklocal_learn is on: its source is not learned")
	} else if f.p.flags&learning != 0 && b.learns(f.in) {
		if vid, ok := b.learnVLAN(f); ok {
			f.work |= Work(b.learn(f.in, f.src.in(vid), 0, f.now))
			if b.why != nil {
				b.sayLearned(f)
			}
		}
	} else if f.p.flags&learning == 0 {
		b.say("br_fdb_update", "learning is off on the port: its source is not learned")
	}
	v := Verdict{Action: PassPort, Reason: cost.RSLinkLocal}
	if b.cfg.STP {
		switch err := b.tree.ReceiveFrame(uint16(f.in), f.frame, f.now); err {
		case nil:
			b.say("br_stp_rcv", "the spanning tree takes the BPDU")
			v.Reason = cost.RSBPDU
		case stp.ErrGuard:
			b.say("br_stp_rcv", "the port has guard on: the BPDU disables it")
		}
		b.schedule()
	}
	v.Work = f.work | b.emitted(f)
	return v
}

// finish is br_handle_frame_finish.
func (b *Bridge) finish(f *pass) Verdict {
	f.work |= Finished
	if !b.admit(f) {
		return f.drop(cost.RSVLANFiltered)
	}
	if f.p.flags&locked != 0 && !b.unlock(f) {
		return f.drop(cost.RSPortLocked)
	}
	if f.p.flags&learning != 0 {
		f.work |= Work(b.learn(f.in, f.src, 0, f.now))
	}
	if b.why != nil {
		b.sayLearned(f)
	}
	f.up = b.cfg.Promisc
	kind := f.kind()
	switch kind {
	case broadcast:
		f.up = true
	case multicast:
		if why := b.snoop(f); why != 0 {
			return f.drop(why)
		}
	}
	if f.state == stp.Learning {
		b.say("br_handle_frame_finish", "the port is learning: it does not forward yet")
		return f.drop(cost.BridgeIngressSTPState)
	}
	b.suppress(f)
	return b.route(f, kind)
}

// transmit is br_dev_xmit, for a frame that the host's own stack sends.
func (b *Bridge) transmit(f *pass) Verdict {
	if tpid, _ := tag(f.frame); b.cfg.VLANFiltering && tpid == b.cfg.VLANProtocol && len(f.frame) < taggedLen {
		b.say("skb_vlan_untag", "the tag and what follows it are not whole")
		return f.drop(cost.HdrTrunc)
	}
	if !b.admit(f) {
		return f.drop(cost.RSVLANFiltered)
	}
	b.suppress(f)
	kind := f.kind()
	if kind == multicast {
		if why := b.snoop(f); why != 0 {
			return f.drop(why)
		}
	}
	return b.route(f, kind)
}

// unlock says that a locked port lets the frame in: its source is known there, and
// not locked itself. With MAB an unknown source is entered as locked.
func (b *Bridge) unlock(f *pass) bool {
	f.work |= Looked2
	l, i := b.fdb.find(f.src)
	switch {
	case l == nil && f.p.flags&mab != 0:
		b.say("br_handle_frame_finish", "the port is locked; its new source is entered as locked")
		f.work |= Work(b.learn(f.in, f.src, lockedOut, f.now))
		return false
	case l == nil:
		b.say("br_handle_frame_finish", "the port is locked and does not know the source")
		return false
	case !l.what[i].on(f.in) || l.what[i]&local != 0:
		if b.why != nil {
			b.why.says("br_handle_frame_finish", "the port is locked and the source is known elsewhere: %s", b.entry(l, i, f.now).words())
		}
		return false
	case l.what[i]&lockedOut != 0:
		b.say("br_handle_frame_finish", "the port and the entry of the source are locked")
		f.work |= Work(b.learn(f.in, f.src, lockedOut, f.now))
		return false
	}
	if b.why != nil {
		b.why.says("br_handle_frame_finish", "the port is locked and lets its source in: %s", b.entry(l, i, f.now).words())
	}
	return true
}
