package ringside

import (
	"ringside/kernel"
	"ringside/xdp"
)

// XDPConfig is a program at a NIC.
type XDPConfig = kernel.XDPConfig

// An XDPStat is what a NIC's program has said.
type XDPStat = kernel.XDPStat

// OpenXDP is the built-in program of a name; XDPPrograms lists them. Devices are the
// interfaces that the program redirect may send to.
func OpenXDP(name string, devices ...string) (XDPConfig, error) {
	p, err := xdp.Open(name)
	if err != nil {
		return XDPConfig{}, err
	}
	return XDPConfig{Program: p, Name: name, Devices: devices}, nil
}

// XDPPrograms are the built-in programs that OpenXDP knows.
func XDPPrograms() []string { return xdp.Names() }

// The path xdp: a program at each NIC forwards frames between stations that the bridge
// knows straight to their taps, and passes everything else to the bridge. Guests are
// those of the native path.
var xdpWiring = wiring{
	givesUp: []string{"frames longer than a receive buffer", "merging (GRO) of what is redirected", "hooks and captures between driver and tap"},
	nic:     (*Host).addXDPNIC,
	vm:      (*Host).addProcess,
}

// addXDPNIC makes a NIC with a program: its own, or the one of the path.
func (h *Host) addXDPNIC(n *NIC, cpu int) error {
	if n.XDP.Program == nil && n.Bridge != NoBridge {
		n.XDP = XDPConfig{Program: xdp.FDB, Name: "fdb"}
	}
	return h.addNIC(n, cpu)
}
