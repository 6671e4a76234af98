package bridge

import (
	"ringside/bridge/snoop"
	"ringside/cost"
)

// beginSnooping makes the multicast database, with the bridge's interface up.
func (b *Bridge) beginSnooping() (err error) {
	cfg := b.cfg.Multicast
	cfg.Querier = false
	if b.snooper, err = snoop.New(cfg, b.cfg.addrs()); err != nil {
		return err
	}
	// A new querier waits for its first answers before it holds anything back.
	if err = b.snooper.SetConfig(b.cfg.Multicast, 0); err != nil {
		return err
	}
	b.snooper.SetSnooping(!b.cfg.NoSnooping, 0)
	b.snooper.Open(0)
	b.snooper.Tick(0) // its first queries, if it asks, are due at once
	b.collect()
	return nil
}

// snoopAdd has snooping know a port.
func (b *Bridge) snoopAdd(p Port) error {
	return b.snooper.AddPort(snoop.Port(p), b.config[p].snoop(), b.now)
}

func (b *Bridge) snoopRemove(p Port) {
	b.snooper.DeletePort(snoop.Port(p), b.now) // it may not have got so far
}

func (c *PortConfig) snoop() snoop.PortConfig {
	return snoop.PortConfig{FastLeave: c.FastLeave, ToUnicast: c.McastToUnicast, Router: c.McastRouter, MaxGroups: c.McastMaxGroups}
}

// snoopDown is br_multicast_disable_port.
func (b *Bridge) snoopDown(n Port) { b.snooper.DisablePort(snoop.Port(n), b.now) }

// snoop is br_multicast_rcv, for a frame to a group that is not broadcast: a
// membership message is learned from. The reason is why the frame is dropped, 0 if
// it is not.
func (b *Bridge) snoop(f *pass) cost.DropReason {
	f.mcast = b.snooper.Receive(snoop.Port(f.in), f.vid, f.frame, f.network, f.now)
	switch f.mcast.Drop {
	case 0:
	case snoop.Malformed:
		b.say("br_multicast_rcv", "a broken membership message, or IP header")
		return cost.RSMcastBad
	default:
		return cost.RSMcastFull
	}
	if f.mcast.Type != 0 {
		if b.why != nil {
			b.why.says("br_multicast_rcv", "a membership message of type %#x", f.mcast.Type)
		}
		f.work |= Snooped
		b.collect()
	}
	return 0
}

// collect fetches the queries that snooping has to send.
func (b *Bridge) collect() {
	if b.why != nil {
		return
	}
	for _, q := range b.snooper.Queries() {
		b.emit(Port(q.Port), q.Frame)
	}
	b.schedule()
}

// group finds the way of a frame to a group: to all ports, or to those of an entry
// of the multicast database and of routers (br_multicast_flood).
func (b *Bridge) group(f *pass) Verdict {
	f.work |= MDBLooked
	m := b.snooper.Lookup(f.mcast, f.vid, f.frame, f.network, f.now)
	if b.why != nil {
		b.sayMatch(f, &m)
	}
	if m.Flood {
		f.up = f.in != Local
		return b.flood(f, multicast)
	}
	if m.Up && f.in != Local {
		f.up = true
	}
	out := b.scratch[:0]
	for _, e := range m.Ports {
		q := Port(e.Port)
		if e.Unicast && q == f.in && MAC(e.To) == f.src.mac() {
			b.say("maybe_deliver_addr", "no copy goes back to the member that sent it")
			continue // no soliloquies
		}
		c, why := b.mayLeave(f, q)
		if why != 0 {
			continue
		}
		if e.Unicast && MAC(e.To) != broadcastMAC {
			c.To = MAC(e.To)
		}
		out = append(out, c)
	}
	b.scratch = out[:cap(out)]
	return b.deliver(f, out, Flood, cost.NoTxTarget)
}

// sayMatch tells of the entry that was found and of what each port is in it.
func (b *Bridge) sayMatch(f *pass, m *snoop.Match) {
	w := b.snooper.Way(m, f.mcast, f.vid, f.frame, f.network)
	b.why.decides("br_mdb_entry_skb_get", "%s", w.Says)
	was := NoPort
	for _, e := range m.Ports {
		if q := Port(e.Port); q != was {
			b.why.checks = append(b.why.checks, Check{"br_multicast_flood", q, w.Port(e.Port), false})
			was = q
		}
	}
}

var broadcastMAC = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// countSent counts a membership message at the interfaces by which it leaves.
func (b *Bridge) countSent(f *pass, out []Copy) {
	for _, c := range out {
		b.snooper.Sent(snoop.Port(c.Port), f.mcast)
	}
}
