package bench

import (
	"ringside"
	"ringside/bridge"
	"ringside/vm"
)

// xdpCases are programs at the driver.
func xdpCases() []Case {
	return []Case{
		atDriver("xdp/drop", "64, a program reads each frame and drops it", ringside.Config{XDP: builtIn("drop-touch")}, dropped),
		atDriver("xdp/tx", "64, a program sends each frame back", ringside.Config{XDP: builtIn("tx")}, sentBack),
	}
}

func builtIn(name string) ringside.XDPConfig {
	x, err := ringside.OpenXDP(name)
	if err != nil {
		panic(err) // a name of this file
	}
	return x
}

func dropped(h *ringside.Host) uint64  { return h.Kernel.XDPStats()[0].Drop }
func sentBack(h *ringside.Host) uint64 { return h.Kernel.XDPStats()[0].Tx }

// atDriver is a case of 60-byte frames for one guest.
func atDriver(name, does string, cfg ringside.Config, count func(*ringside.Host) uint64) Case {
	return Case{Name: name, Does: does, size: 60, setUp: func() (*machine, error) {
		l := newLoad(60, pps, 1)
		cfg := cfg
		cfg.Wire, cfg.VMs = l, []ringside.VM{{Program: vm.Sink, Known: []bridge.MAC{bridge.MAC(station(0))}}}
		h, err := ringside.New(cfg)
		if err != nil {
			return nil, err
		}
		m := hostMachine(h, l)
		m.count = func() uint64 { return count(h) }
		return m, nil
	}}
}
