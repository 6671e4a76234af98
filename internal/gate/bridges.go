package gate

import (
	"net/netip"

	"ringside"
	"ringside/bridge"
	"ringside/sim"
	"ringside/vm"
)

// bridged are machines with more than one bridge.
func bridged() []Scenario {
	return []Scenario{patched(), filtered(), storm("storm/until", 3, 3*sim.Millisecond, "CPU_BACKLOG")}
}

// patched is talk over two bridges with a patch between them, a host's stack and
// guests on both, a second NIC, and a guest that is shown what goes through the
// first.
func patched() Scenario {
	s := talk("bridges/patch", 1, false)
	machine := s.Machine
	s.Machine = func() ringside.Config {
		c := machine()
		other := router
		other.mac[5], other.ip4 = 0xfd, router.ip4.Next()
		c.Bridges = []ringside.Bridge{{}, {
			Config: bridge.Config{Ageing: 5 * sim.Millisecond},
			Host:   ringside.HostStack{MAC: other.mac, Addresses: []netip.Prefix{netip.PrefixFrom(other.ip4, 24)}},
		}}
		c.Patches = make([]ringside.Patch, 1)
		c.NICs = []ringside.NIC{{MirrorIn: "spy", MirrorOut: "spy"}, {Bridge: "br1", Queues: 2, MTU: 500}}
		for i := range c.VMs {
			if i%2 == 1 {
				c.VMs[i].Bridge, c.VMs[i].Known = "br1", nil
			}
		}
		c.VMs = append(c.VMs, ringside.VM{Program: vm.Sink, Bridge: ringside.NoBridge, Port: bridge.PortConfig{Name: "spy"}})
		return c
	}
	s.Drops = []string{"PKT_TOO_BIG"}
	return s
}

// filtered is talk in three VLANs over two bridges that filter, with a spanning
// tree that has to open a loop of two patches first, neighbours that a bridge
// answers for, groups, and every kind of port.
func filtered() Scenario {
	s := talk("bridges/vlans", 1, false)
	machine := s.Machine
	s.Until = 60 * sim.Second
	s.Machine = func() ringside.Config {
		c := machine()
		w := c.Wire.(*Wire)
		for i := range w.Frames {
			f := &w.Frames[i]
			f.At += 35 * sim.Second
			if i%3 > 0 {
				f.Data = bridge.Copy{Tag: 0x81000000 | uint32(10*(i%3))}.Apply(nil, f.Data)
			}
		}
		filtering := bridge.Config{
			STP: true, VLANFiltering: true, VLANStats: true,
			VLANs: []bridge.VLAN{{VID: 10}, {VID: 20}},
		}
		filtering.Multicast.Querier = true
		c.Bridges = []ringside.Bridge{
			{Config: filtering, Neigh: []ringside.Neighbour{{Addr: guest(4).ip4, MAC: guest(4).mac, VID: 10}}},
			{Config: filtering},
		}
		c.Bridges[1].Priority = 0x1000
		trunk := bridge.PortConfig{VLANs: []bridge.VLAN{{VID: 10}, {VID: 20}}}
		c.NICs = []ringside.NIC{{Port: trunk}}
		c.Patches = []ringside.Patch{
			{A: ringside.PatchEnd{Port: trunk}, B: ringside.PatchEnd{Port: trunk}},
			{A: ringside.PatchEnd{Port: trunk}, B: ringside.PatchEnd{Port: trunk, MirrorIn: "spy"}},
		}
		for i := range c.VMs {
			v := &c.VMs[i]
			v.Known = nil
			v.Port = []bridge.PortConfig{
				{}, access(10), access(20), trunk, {NeighSuppress: true, VLANs: access(10).VLANs}, {Locked: true, MAB: true},
			}[i]
			if i >= 3 {
				v.Bridge = "br1"
			}
		}
		c.VMs = append(c.VMs, ringside.VM{Program: vm.Sink, Bridge: ringside.NoBridge, Port: bridge.PortConfig{Name: "spy"}})
		return c
	}
	s.Drops = []string{"RS_PORT_LOCKED", "NO_TX_TARGET", "BRIDGE_INGRESS_STP_STATE"}
	return s
}

// access is a port in one VLAN, for stations that know of none.
func access(vid uint16) bridge.PortConfig {
	return bridge.PortConfig{NoPVID: true, VLANs: []bridge.VLAN{{VID: vid, PVID: true, Untagged: true}}}
}

// storm is a broadcast among two bridges with so many patches and no spanning
// tree.
func storm(name string, patches int, until sim.Time, drops ...string) Scenario {
	return Scenario{Name: name, Start: plug, Until: until, Drops: drops, Machine: func() ringside.Config {
		var s script
		s.arp(far(0), far(1))
		return ringside.Config{
			Seed: 1, Wire: &s.wire, Bridges: make([]ringside.Bridge, 2), Patches: make([]ringside.Patch, patches), TapQueue: 64,
			VMs: []ringside.VM{{Program: vm.Sink}, {Program: vm.Slow(20 * sim.Microsecond), Bridge: "br1"}},
		}
	}}
}
