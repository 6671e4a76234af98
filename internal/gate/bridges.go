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
	return []Scenario{patched(), storm("storm/until", 3, 3*sim.Millisecond, "CPU_BACKLOG")}
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
