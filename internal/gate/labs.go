package gate

import (
	"ringside"
	"ringside/sim"
	"ringside/vm"
	"ringside/wire"
)

// labs are scenarios of several machines.
func labs() []Scenario {
	return append([]Scenario{inLine(), overlay()}, tcp()...)
}

// inLine is three machines in a row, one of the cables bad and pulled for a while,
// with guests at both ends that call each other and one in the middle that babbles.
func inLine() Scenario {
	return Scenario{Name: "labs/line", Until: 10 * sim.Millisecond, Lab: func() ringside.LabConfig {
		host := func(name string, vms ...ringside.VM) ringside.LabHost {
			return ringside.LabHost{Name: name, Config: ringside.Config{VMs: vms, NICs: make([]ringside.NIC, 2), ITR: ringside.NoITR}}
		}
		a, b, c := guest(0), guest(1), guest(2)
		talking := func(of, to station) ringside.VM { return ringside.VM{MAC: of.mac, Program: chatter(to.mac, 90)} }
		return ringside.LabConfig{
			Seed: 1,
			Hosts: []ringside.LabHost{
				host("a", talking(a, c)), host("b", ringside.VM{MAC: b.mac, Program: babbler(1)}), host("c", talking(c, a)),
			},
			Cables: []ringside.Cable{
				{A: ringside.End{Host: "a", NIC: "eth1"}, B: ringside.End{Host: "b", NIC: "eth0"}, Metres: 100},
				{A: ringside.End{Host: "b", NIC: "eth1"}, B: ringside.End{Host: "c", NIC: "eth0"}, Link: mustParse("loss 5% duplicate 5% delay 100us 50us overtake corrupt 1%")},
			},
		}
	}, Faults: func(l *ringside.Lab) {
		l.At(3*sim.Millisecond, func() error { return l.SetCable("cable0", false) })
		l.At(5*sim.Millisecond, func() error { return l.SetCable("cable0", true) })
	}}
}

// chatter sends n frames to another guest, 100 us apart, and then takes what came.
func chatter(to [6]byte, n int) vm.Program {
	return calling(to, n, func(g *vm.Guest, _ int) error {
		g.Sleep(100 * sim.Microsecond)
		return nil
	})
}

func mustParse(link string) wire.Spec {
	s, err := wire.Parse(link)
	if err != nil {
		panic(err)
	}
	return s
}
