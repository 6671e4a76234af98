package bridge

import (
	"encoding/binary"
	"fmt"
	"slices"

	"ringside/bridge/neigh"
)

const (
	etherIPv4  = 0x0800
	nextICMPv6 = 58
	ipv6Len    = 40
)

// suppress is br_do_proxy_suppress_arp and br_do_suppress_nd: a question for a
// neighbour is answered in its place, or kept from the ports with neigh_suppress.
func (b *Bridge) suppress(f *pass) {
	if !b.suppressing || !asks(f.frame, f.network) {
		return
	}
	f.work |= Suppressed
	q := neigh.Query{
		Frame: f.frame, Network: f.network, EtherType: binary.BigEndian.Uint16(f.frame[f.network-2:]),
		VID: f.vid, TPID: b.cfg.VLANProtocol, TCI: f.tci, PVID: b.vlans[f.in].pvid,
		Suppressed: b.suppresses(f.in, f.vid), Host: f.in == Local,
	}
	v, reply := neigh.Decide(&q, b.neighbours, b.lookup, b.reply)
	switch {
	case b.why == nil:
	case reply != nil:
		b.why.says("br_do_suppress", "the host knows the neighbour %v, on a port with neigh_suppress: answered", MAC(reply[6:12]))
	case v == neigh.Suppress:
		b.say("br_do_suppress", "an announcement, or a question that is known and not answered: kept from ports with neigh_suppress")
	default:
		b.say("br_do_suppress", "no question whose answer the host knows")
	}
	f.quiet = v != neigh.Pass
	if reply != nil {
		b.reply = reply
		b.emit(f.in, reply)
	}
}

// asks says that a frame may be a question for a neighbour.
func asks(frame []byte, network int) bool {
	switch binary.BigEndian.Uint16(frame[network-2:]) {
	case neigh.EtherARP, neigh.EtherRARP:
		return true
	case neigh.EtherIPv6:
		return len(frame) > network+ipv6Len && frame[network+6] == nextICMPv6
	}
	return false
}

// suppresses says that the port q has neigh_suppress, for a VLAN.
func (b *Bridge) suppresses(q Port, vid uint16) bool {
	flags := b.ports[q].flags
	if vid == 0 || flags&neighVLAN == 0 {
		return flags&neighSuppress != 0
	}
	v := b.vlans[q].find(vid)
	return v != nil && v.neighSuppress
}

// station is what package neigh asks of the table.
func (b *Bridge) station(mac [6]byte, vid uint16) neigh.Station {
	l, i := b.fdb.find(MAC(mac).addr().in(vid))
	if l == nil {
		return neigh.Station{}
	}
	p := l.what[i].port()
	return neigh.Station{Known: true, Suppressed: p != Local && b.suppresses(p, vid)}
}

// watchNeighbours looks whether any port has neigh_suppress: then every frame may be
// a question, and goes the whole way.
func (b *Bridge) watchNeighbours() {
	was := b.suppressing
	b.suppressing = slices.ContainsFunc(b.members, func(p Port) bool {
		return b.ports[p].flags&(neighSuppress|neighVLAN) != 0
	})
	if b.suppressing != was {
		b.settleAll()
	}
}

// SetVLANNeighSuppress is neigh_suppress of one VLAN of a port, which counts with
// PortConfig.NeighVLANSuppress.
func (b *Bridge) SetVLANNeighSuppress(p Port, vid uint16, on bool) error {
	if !b.has(p) || p == Local {
		return fmt.Errorf("bridge: vlan %d: %w: %d", vid, ErrNoPort, p)
	}
	v := b.vlans[p].find(vid)
	if v == nil {
		return fmt.Errorf("bridge: vlan %d on port %d: %w: it is not there", vid, p, ErrVLAN)
	}
	v.neighSuppress = on
	b.notifyVLAN(p, v, false)
	return nil
}
