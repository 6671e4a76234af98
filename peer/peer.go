package peer

import (
	"errors"
	"fmt"
	"net/netip"

	"ringside/netstack"
	"ringside/nic"
	"ringside/sim"
	"ringside/vm/guest"
)

// Config describes a peer. Engine, Name and MAC are required.
type Config struct {
	Engine    *sim.Engine
	Name      string // tells it from others, in its chance and timers too
	MAC       [6]byte
	MTU       int // 0 means 1500
	Addresses []netip.Prefix
	Routes    []netstack.Route
	Gateway   netip.Addr // default route; the zero Addr is none
	Resolver  netip.Addr // DNS server; the zero Addr is none
	Forward   bool       // the stack forwards
	TCP       netstack.TCPConfig
	Processes []guest.Process

	// TSO lets its stack send TCP packets of 64 KiB, which its port cuts: on the wire
	// no frame is longer than MTU + 14 bytes.
	TSO bool
	// GRO puts segments that came in one after the other together before they go up.
	GRO bool
	// Delay is what each packet takes, in and out; 0 means 500 ns.
	Delay sim.Time
	// Coalesce is the least time between two interrupts of its port; 0 means 10 us.
	// Until then frames that came in wait.
	Coalesce sim.Time
	// FirstID is the number of the first frame that it sends; the next ones count up.
	FirstID uint64
	// Log takes what its processes log; nil drops it.
	Log func(at sim.Time, process, line string)
}

// A Peer is a machine at a wire. It is the nic.Wire of the NIC, or of the last link
// before it. New makes one.
type Peer struct {
	*guest.Kernel
	cpu  cpu
	port port
}

// New makes a peer, whose programs run as soon as time does.
func New(c Config) (*Peer, error) {
	switch {
	case c.Engine == nil:
		return nil, errors.New("peer: Config.Engine is required")
	case c.Name == "":
		return nil, errors.New("peer: Config.Name is required")
	case c.Delay < 0 || c.Coalesce < 0:
		return nil, fmt.Errorf("peer %s: a delay of %v and coalescing of %v: neither may be negative", c.Name, c.Delay, c.Coalesce)
	}
	if c.MTU == 0 {
		c.MTU = 1500
	}
	if c.Delay == 0 {
		c.Delay = 500 * sim.Nanosecond
	}
	if c.Coalesce == 0 {
		c.Coalesce = 10 * sim.Microsecond
	}
	p := &Peer{}
	p.port = port{p: p, mtu: c.MTU, tso: c.TSO, gro: c.GRO, coalesce: c.Coalesce, id: c.FirstID}
	p.port.merge.d = &p.port
	p.cpu = cpu{p: p, name: c.Name, engine: c.Engine, delay: c.Delay, wake: sim.Never}
	p.cpu.timer = c.Engine.NewTimer(c.Name, &p.cpu)
	var err error
	p.Kernel, err = guest.New(guest.Config{
		Name: c.Name, CPU: &p.cpu, Chance: func(what string) netstack.Source { return c.Engine.Source(what) },
		Interfaces: []guest.Interface{{Name: "eth0", NIC: &p.port, MAC: c.MAC, MTU: c.MTU, Addresses: c.Addresses}},
		Routes:     c.Routes, Gateway: c.Gateway, Resolver: c.Resolver, Forward: c.Forward, TCP: c.TCP,
		Processes: c.Processes, Unbilled: true, Log: c.Log,
	})
	if err != nil {
		return nil, err
	}
	c.Engine.Arm(p.cpu.timer, c.Engine.Now())
	return p, nil
}

// Plug says which NIC, or link before it, the peer is at the wire of: it is told of
// frames that are under way after Receive had none.
func (p *Peer) Plug(dev interface{ Arrive() }) { p.port.dev = dev }

// Receive hands out the next frame for the NIC. It is nic.Wire.
func (p *Peer) Receive(f *nic.WireFrame) bool { return p.port.receive(f) }

// Transmit takes a frame from the NIC. It is nic.Wire.
func (p *Peer) Transmit(f *nic.WireFrame) { p.port.transmit(f) }

// Counts is what went by the peer's port so far.
func (p *Peer) Counts() Counts { return p.port.counts }

// Counts are the frames on a peer's side of the wire.
type Counts struct {
	In, InBytes   uint64 // that came to it
	Out, OutBytes uint64 // that the NIC took
	Queued        uint64 // that it has sent, taken or not
	Missed        uint64 // of In, that found no room
	TxErrors      uint64 // packets that say of themselves what they are not
}

var _ nic.Wire = (*Peer)(nil)

// maxGSO is the longest packet that the port cuts.
const maxGSO = 65535
