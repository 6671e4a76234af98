package workload

import (
	"net/netip"

	"ringside"
	"ringside/bridge"
	"ringside/load"
	"ringside/sim"
	"ringside/vm"
	"ringside/xdp"
)

// Addresses of workloads: the host's own, and stations behind the second NIC.
var (
	hostMAC = load.MAC{2, 0, 0, 0, 0, 0xfe}
	farMAC  = load.MAC{2, 0, 0, 0, 0xfd, 1}
	nearMAC = load.MAC{2, 0, 0, 0, 0xfd, 0}
	guest   = load.MAC{2, 0, 0, 0, 1, 0}
)

// kernelDrop: frames are of no VLAN that the bridge's port is in, so what comes first
// behind the receive core frees them.
func kernelDrop(s *Setup, _ Knobs) {
	s.Config.Bridges = []ringside.Bridge{{Config: bridge.Config{VLANFiltering: true}}}
	s.Config.NICs = []ringside.NIC{{Port: bridge.PortConfig{NoPVID: true}}}
	s.Dests = [][]load.MAC{{farMAC}}
	s.Count = droppedByKernel
}

// droppedByKernel are frames that died in software.
func droppedByKernel(r *ringside.Report) (n uint64) {
	for _, d := range r.Drops {
		if d.Stage != "nic" {
			n += d.Frames
		}
	}
	return n
}

// udpNoPort: the NIC is no port, and the host's IP layer takes packets that nobody has
// asked for.
func udpNoPort(s *Setup, _ Knobs) {
	s.Config.NICs = []ringside.NIC{{Bridge: ringside.NoBridge, Host: ringside.HostStack{
		MAC: hostMAC, Addresses: []netip.Prefix{netip.MustParsePrefix("198.19.0.1/15")}, // whom loads are for
	}}}
	s.Dests = [][]load.MAC{{hostMAC}}
	s.Count = func(r *ringside.Report) uint64 { return r.Conservation.ToHost }
}

// tapSink: a process reads frames from its tap, one a system call, on the CPU that
// takes them off the ring or on another.
func tapSink(other bool) func(*Setup, Knobs) {
	return func(s *Setup, k Knobs) {
		cpu := 0
		if other {
			s.Config.CPUs, cpu = 2, 1
		}
		s.Config.VMs = []ringside.VM{{
			MAC: vm.MAC(guest), Known: []bridge.MAC{guest}, Batch: k.Batch, CPU: &cpu,
			Program: func(g *vm.Guest) error {
				for {
					if _, err := g.Receive(); err != nil {
						return err
					}
				}
			},
		}}
		s.Dests = [][]load.MAC{{guest}}
		s.Count = func(r *ringside.Report) uint64 { return r.Conservation.ToVMs }
		s.Warmup, s.For = 5*sim.Millisecond, 40*sim.Millisecond // slices of two tasks on one CPU are milliseconds
	}
}

// bridgeForward: the kernel's bridge, from one NIC to another.
func bridgeForward(s *Setup, _ Knobs) {
	twoPorts(s, false)
}

// twoPorts is two NICs on a bridge that knows who is behind which, with a load on the
// first or on both.
func twoPorts(s *Setup, both bool) {
	s.Config.NICs = []ringside.NIC{{Name: "eth0"}, {Name: "eth1"}}
	s.Config.Bridges = []ringside.Bridge{{FDB: []ringside.FDBEntry{
		{Dev: "eth0", Entry: bridge.Entry{MAC: nearMAC, Kind: bridge.Static, Sticky: true}},
		{Dev: "eth1", Entry: bridge.Entry{MAC: farMAC, Kind: bridge.Static, Sticky: true}},
	}}}
	s.Dests = [][]load.MAC{{farMAC}, nil}
	if both {
		s.Dests[1] = []load.MAC{nearMAC}
	}
	s.Count = toWire
}

func toWire(r *ringside.Report) uint64 { return r.Conservation.ToWire }

// xdpVerdict is a program at the driver whose verdict is the whole story.
func xdpVerdict(p xdp.Program, generic bool, count func(*ringside.Report) uint64) func(*Setup, Knobs) {
	return func(s *Setup, _ Knobs) {
		s.Config.NICs = []ringside.NIC{{XDP: ringside.XDPConfig{Program: p, Generic: generic}}}
		s.Dests = [][]load.MAC{{farMAC}}
		s.Count = count
	}
}

// xdpRedirect sends every frame on by a second NIC.
func xdpRedirect(s *Setup, _ Knobs) {
	twoPorts(s, false)
	s.Config.NICs[0].XDP = ringside.XDPConfig{Program: xdp.RedirectByMap, Devices: []string{"eth1"}}
	s.Config.NICs[1].XDP = ringside.XDPConfig{Program: xdp.PassAll} // else it has no ring for such frames
}

// xdpPassDrop is kernelDrop behind a program that passes all.
func xdpPassDrop(s *Setup, k Knobs) {
	kernelDrop(s, k)
	s.Config.NICs[0].XDP = ringside.XDPConfig{Program: xdp.PassAll}
}
