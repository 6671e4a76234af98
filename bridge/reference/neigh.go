package reference

import (
	"encoding/binary"
	"net/netip"

	"ringside/bridge"
)

// A Host is what the host knows on the bridge's interface, for neigh_suppress.
// Questions in a VLAN are for an interface on top of the bridge, which is not here.
type Host struct {
	Own        map[netip.Addr]bool       // addresses of its own
	Neighbours map[netip.Addr]bridge.MAC // that are valid
}

// suppresses is br_is_neigh_suppress_enabled: that a port has neigh_suppress. With
// neigh_vlan_suppress it has it for the VLANs chosen, of which there are none.
func (b *Bridge) suppresses(p *port, vid uint16) bool {
	if vid != 0 && p.cfg.NeighVLANSuppress {
		return false
	}
	return p.cfg.NeighSuppress
}

func (b *Bridge) anySuppresses() bool {
	for _, n := range b.Ports() {
		if c := b.ports[n].cfg; c.NeighSuppress || c.NeighVLANSuppress {
			return true
		}
	}
	return false
}

// suppress says that a frame is not flooded to ports with neigh_suppress: a question
// for a neighbour that the bridge has answered, or that needs no asking.
func (b *Bridge) suppress(p *port, f frame, vid uint16) bool {
	if !b.anySuppresses() || p.number != bridge.Local && b.suppresses(p, vid) {
		return false
	}
	switch body := f.rest[2:]; f.etherType() {
	case etherARP, etherRARP:
		return len(body) >= 28 && b.suppressARP(f, vid, body)
	case etherIPv6:
		return len(body) >= 64 && body[6] == 58 && body[41] == 0 && b.suppressND(f, vid, body)
	}
	return false
}

func (b *Bridge) suppressARP(f frame, vid uint16, p []byte) bool {
	if binary.BigEndian.Uint16(p[2:]) != etherIPv4 || p[4] != 6 || p[5] != 4 {
		return false
	}
	op := binary.BigEndian.Uint16(p[6:])
	sender, target := netip.AddrFrom4([4]byte(p[14:18])), netip.AddrFrom4([4]byte(p[24:28]))
	switch {
	case target.IsLoopback(), target.IsMulticast(), op == 1 && !group(f.dst):
		return false
	case op != 3 && op != 4 && (sender.As4()[0] == 0 || sender == target):
		return true // a probe or an announcement
	}
	return op == 1 && b.knows(target, vid)
}

func (b *Bridge) suppressND(f frame, vid uint16, p []byte) bool {
	from, to, target := netip.AddrFrom16([16]byte(p[8:24])), netip.AddrFrom16([16]byte(p[24:40])), netip.AddrFrom16([16]byte(p[48:64]))
	switch p[40] {
	case 135:
		if !group(f.dst) {
			return false
		}
		return from.IsUnspecified() || from == to || b.knows(target, vid)
	case 136:
		return p[44]&0x40 == 0 // nobody asked for it
	}
	return false
}

// knows says that the host has an address itself, or a neighbour with it that the
// bridge knows.
func (b *Bridge) knows(a netip.Addr, vid uint16) bool {
	if vid != 0 {
		return false
	}
	mac, ok := b.host.Neighbours[a]
	return b.host.Own[a] || ok && b.fdb[key{mac, vid}] != nil
}

// SetHost tells what the host knows.
func (b *Bridge) SetHost(h Host) { b.host = h }
