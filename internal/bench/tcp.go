package bench

import (
	"fmt"
	"net"
	"net/netip"

	"ringside"
	"ringside/kernel"
	"ringside/sim"
	"ringside/virtio"
	"ringside/vm/guest"
)

// The TCP cases: one connection, whose client writes all it can and whose server reads,
// in virtual time, with every step on the bill. A frame counts where it comes to the
// server's side: from the wire, or at its tap.

// plain is the features of virtio-net that take work from the stack.
const plain = virtio.FCSUM | virtio.FGuestCSUM | virtio.FGuestTSO4 | virtio.FGuestTSO6 | virtio.FHostTSO4 | virtio.FHostTSO6

// tcpCases are those measured in turns with tcp/bare.
func tcpCases() []Case {
	return []Case{
		{Name: "tcp/bare", Does: "two bare stacks joined by a queue, MTU 1500", tcp: true, setUp: bareMachine},
		{Name: "tcp/1500", Does: "a peer at the wire to a guest, MTU 1500, no offloads", tcp: true, setUp: func() (*machine, error) {
			c, s := fromPeer()
			c.Hosts[0].VMs[0].Virtio.Off = plain
			small(&c.Hosts[0].Config, 64)
			return s.machine(c, fromWire)
		}},
		{Name: "tcp/offloads", Does: "a peer at the wire to a guest, frames of 1514 bytes; TSO, GRO and checksums", tcp: true, setUp: func() (*machine, error) {
			c, s := fromPeer()
			c.Peers[0].TSO, c.Hosts[0].Offloads = true, kernel.AllOffloads()
			small(&c.Hosts[0].Config, 128)
			return s.machine(c, fromWire)
		}},
		{Name: "tcp/bare-gso", Does: "guest to guest on one host and one CPU, frames of 64 KiB", tcp: true, setUp: func() (*machine, error) {
			c, s := fromPeer()
			c.Hosts[0].VMs = append(c.Hosts[0].VMs, ringside.VM{Addresses: c.Peers[0].Addresses, Processes: c.Peers[0].Processes})
			for i := range c.Hosts[0].VMs {
				c.Hosts[0].VMs[i].Virtio.Size = 64 // three frames, which stay in the processor's cache
			}
			c.Peers, c.Hosts[0].CPUs = nil, 2
			return s.machine(c, toTap)
		}},
	}
}

// small gives a machine rings that stay in the processor's cache, and one CPU for
// interrupts and the vhost worker. An interrupt brings 42 frames of 1,538 bytes.
func small(c *ringside.Config, ring int) {
	c.Ring = ring
	c.VMs[0].Virtio.Size, c.VMs[0].Virtio.CPU = 64, new(int)
}

// A served is what the server has read.
type served struct{ payload uint64 }

// fromPeer is a peer that sends to the one guest of a host.
func fromPeer() (ringside.LabConfig, *served) {
	s := &served{}
	prefix := func(i int) []netip.Prefix { return []netip.Prefix{netip.PrefixFrom(bareAddr(i), 24)} }
	return ringside.LabConfig{
		Hosts: []ringside.LabHost{{Config: ringside.Config{VMs: []ringside.VM{
			{Addresses: prefix(1), Processes: []guest.Process{{Name: "server", Main: s.serve}}},
		}}}},
		Peers: []ringside.Peer{{Addresses: prefix(0), Processes: []guest.Process{{Name: "client", Main: send}}}},
	}, s
}

// serve reads one connection.
func (s *served) serve(p *guest.Proc) error {
	l, err := p.Listen("tcp", ":5001")
	if err != nil {
		return err
	}
	c, err := l.Accept()
	if err != nil {
		return err
	}
	buf := make([]byte, chunk)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return err
		}
		s.payload += uint64(n)
	}
}

// send writes without end.
func send(p *guest.Proc) error {
	c, err := p.Dial("tcp", net.JoinHostPort(bareAddr(1).String(), "5001"))
	if err != nil {
		return err
	}
	buf := make([]byte, chunk)
	for {
		if _, err := c.Write(buf); err != nil {
			return err
		}
	}
}

func fromWire(h *ringside.Host) uint64 { return h.NIC.Counts().In }

func toTap(h *ringside.Host) uint64 { return h.Kernel.TapStats()[0].RxFrames }

// machine runs the lab in slices of virtual time.
func (s *served) machine(c ringside.LabConfig, frames func(*ringside.Host) uint64) (*machine, error) {
	l, err := ringside.NewLab(c)
	if err != nil {
		return nil, err
	}
	count := func() uint64 { return frames(l.Hosts[0]) }
	return &machine{
		run: func(n int) error {
			for end := count() + uint64(n); count() < end; {
				next := l.Engine.Next() // a CPU with nobody to wait for may be far ahead
				if next == sim.Never {
					return fmt.Errorf("no more frames come")
				}
				if err := l.Engine.RunUntil(max(next, l.Engine.Now()+100*sim.Microsecond)); err != nil {
					return err
				}
			}
			return nil
		},
		count: count, payload: func() uint64 { return s.payload }, check: l.Check, close: l.Close,
	}, nil
}
