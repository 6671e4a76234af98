package bridge

import (
	"strings"

	"ringside/bridge/stp"
)

// flags is what a port is set to, and what is known of it, as Handle needs it.
type flags uint32

const (
	learning       flags = 1 << iota // BR_LEARNING
	floodUnicast                     // BR_FLOOD
	floodMulticast                   // BR_MCAST_FLOOD
	floodBroadcast                   // BR_BCAST_FLOOD
	hairpin                          // BR_HAIRPIN_MODE
	isolated                         // BR_ISOLATED
	locked                           // BR_PORT_LOCKED
	mab                              // BR_PORT_MAB
	neighSuppress                    // BR_NEIGH_SUPPRESS
	neighVLAN                        // BR_NEIGH_VLAN_SUPPRESS
	toUnicast                        // BR_MULTICAST_TO_UNICAST
	forwarding                       // its state is Forwarding
	noCarrier                        //
	aside                            // no frame leaves by it by the short way
)

var flagNames = [...]string{"learning", "flood", "mcast_flood", "bcast_flood", "hairpin", "isolated", "locked", "mab",
	"neigh_suppress", "neigh_vlan_suppress", "mcast_to_unicast", "forwarding", "no-carrier"}

// String is the flags as bridge(8) calls them.
func (f flags) String() string {
	var on []string
	for i, name := range flagNames {
		if f>>i&1 != 0 {
			on = append(on, name)
		}
	}
	return strings.Join(on, " ")
}

// flags is those of a port's configuration.
func (c *PortConfig) flags() (f flags) {
	for _, o := range []struct {
		on   bool
		flag flags
	}{
		{!c.NoLearning, learning}, {!c.NoFlood, floodUnicast}, {!c.NoMcastFlood, floodMulticast},
		{!c.NoBcastFlood, floodBroadcast}, {c.Hairpin, hairpin}, {c.Isolated, isolated}, {c.Locked, locked},
		{c.MAB, mab}, {c.NeighSuppress, neighSuppress}, {c.NeighVLANSuppress, neighVLAN}, {c.McastToUnicast, toUnicast},
		{c.LinkDown, noCarrier},
	} {
		if o.on {
			f |= o.flag
		}
	}
	return f
}

// settle works out what Handle reads of a port from its configuration and its
// state: see Handle for what makes the short way.
func (b *Bridge) settle(n Port) {
	p := &b.ports[n]
	if n != Local {
		p.flags = b.config[n].flags()
	}
	if p.state == stp.Forwarding {
		p.flags |= forwarding
	}
	if p.flags&forwarding == 0 || b.backup[n] != Local {
		p.flags |= aside
	}
	p.fwdMask = b.config[n].GroupFwdMask
	p.avoids = aside | p.flags&isolated
	p.tag, p.tagVLAN = noTag, noTag
	switch {
	case n == Local || p.flags&(learning|forwarding|locked) != learning|forwarding:
	case b.hold == 0 || b.cfg.Promisc || b.suppressing:
	case b.cfg.VLANFiltering:
		p.tagVLAN = n.with(0)
	default:
		p.tag = n.with(0)
	}
}

// settleAll is settle for all ports.
func (b *Bridge) settleAll() {
	b.settle(Local)
	for _, p := range b.members {
		b.settle(p)
	}
}
