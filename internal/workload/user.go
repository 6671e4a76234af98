package workload

import (
	"ringside"
	"ringside/bridge"
	"ringside/load"
	"ringside/vm"
	"ringside/vswitch"
)

// l2fwd: a process in user space passes frames between two NICs and looks nothing up.
func l2fwd(both bool) func(*Setup, Knobs) {
	return func(s *Setup, k Knobs) {
		switchP2P(both)(s, k)
		s.Config.UserSwitch.Pairs = true
	}
}

// pmdDrop: one port, whose frames have nowhere to go.
func pmdDrop(s *Setup, k Knobs) {
	s.Config.NICs = []ringside.NIC{{}}
	s.Dests = [][]load.MAC{{farMAC}}
	s.Config.UserSwitch.Pairs = true
	s.Count = droppedByKernel
	userPath(s, k)
}

// as charges the work of another switch between the ports of a case.
func as(kind vswitch.Kind, c func(*Setup, Knobs)) func(*Setup, Knobs) {
	return func(s *Setup, k Knobs) {
		c(s, k)
		s.Config.UserSwitch.Kind = kind
	}
}

// switchP2P: the bridge in user space, between two NICs.
func switchP2P(both bool) func(*Setup, Knobs) {
	return func(s *Setup, k Knobs) {
		twoPorts(s, both)
		userPath(s, k)
	}
}

// afxdpForward: the same bridge behind AF_XDP sockets, from NIC to NIC.
func afxdpForward(s *Setup, k Knobs) {
	twoPorts(s, false)
	s.Config.Path = ringside.AFXDP
	s.Config.UserSwitch.Burst = k.Batch
}

// userPath puts a machine on the path dpdk.
func userPath(s *Setup, k Knobs) {
	s.Config.Path = ringside.DPDK
	s.Config.UserSwitch.Burst = k.Batch
	if m := s.Config.Machine; m != nil && m.NIC.Model != "" {
		s.Config.UserSwitch.Scalar = !m.NIC.Vector
	}
	s.Config.UserSwitch.Scalar = s.Config.UserSwitch.Scalar || k.Plain
	s.Config.UserSwitch.Eager = k.Plain
	s.CPUs = []int{-1} // the core that polls is the last
}

// switchP2V: the bridge in user space, from a NIC to vhost-user rings. Four guests, which
// have a CPU each, share the frames: their drivers are the kernel's and dearer than the
// switch, which is what is measured.
func switchP2V(s *Setup, k Knobs) {
	toGuest(s)
	one := s.Config.VMs[0]
	s.Config.VMs, s.Dests = nil, [][]load.MAC{nil}
	for i := range 4 {
		v, cpu := one, 1+i
		v.MAC[5], v.CPU = byte(i), &cpu
		v.Known = []bridge.MAC{bridge.MAC(v.MAC)}
		s.Config.VMs = append(s.Config.VMs, v)
		s.Dests[0] = append(s.Dests[0], load.MAC(v.MAC))
	}
	s.Config.CPUs, s.Spec.Flows = 5, 4
	userPath(s, k)
}

// vhostRx: the kernel's bridge and vhost, from a NIC to a guest. Interrupts, vhost and the
// guest have a CPU each.
func vhostRx(s *Setup, _ Knobs) {
	toGuest(s)
	s.Config.Path, s.Config.CPUs = ringside.Vhost, 3
	guest, worker := 2, 1
	s.Config.VMs[0].CPU, s.Config.VMs[0].Virtio.CPU = &guest, &worker
}

// toGuest is one NIC and a guest that throws everything away.
func toGuest(s *Setup) {
	cpu := 1
	s.Config.CPUs = 2
	s.Config.VMs = []ringside.VM{{
		MAC: vm.MAC(guest), Known: []bridge.MAC{guest}, CPU: &cpu,
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
}

// vhostTx: a guest sends as fast as it can, and what comes out of its tap is dropped by
// the first that sees it.
func vhostTx(s *Setup, k Knobs) {
	guestCPU, worker := 2, 1
	s.Config.Path, s.Config.CPUs = ringside.Vhost, 3
	s.Config.Bridges = []ringside.Bridge{{Config: bridge.Config{VLANFiltering: true}}}
	frame := make([]byte, max(k.Size, 64)-4)
	copy(frame, farMAC[:])
	copy(frame[6:], guest[:])
	frame[12] = 0x08
	s.Config.VMs = []ringside.VM{{
		MAC: vm.MAC(guest), CPU: &guestCPU, Port: bridge.PortConfig{NoPVID: true},
		Program: func(g *vm.Guest) error {
			out := g.Memory()[:len(frame)]
			for {
				copy(out, frame)
				if err := g.Send(out); err != nil {
					return err
				}
			}
		},
	}}
	s.Config.VMs[0].Virtio.CPU = &worker
	s.Count, s.CPUs = droppedByKernel, []int{worker}
}
