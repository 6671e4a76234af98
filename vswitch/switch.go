package vswitch

import (
	"errors"
	"fmt"

	"ringside/bridge"
	"ringside/cost"
	"ringside/sim"
)

// Config describes a switch. Core is required.
type Config struct {
	Core   Core
	Bridge *bridge.Bridge // decides; nil: ports are joined in pairs
	Burst  int            // most frames that a port is asked for at once; 0 means 32
	Kind   Kind           // what a packet costs beside drivers and bridge; the zero value is nothing
	Pool   *Pool          // checked for leaks; nil means that it is not
}

// A Kind is whose work between two ports is charged, beside that of drivers and bridge.
// What happens to frames is the same.
type Kind uint8

// The kinds.
const (
	Bare  Kind = iota // drivers, and a bridge if there is one
	Flow              // a flow cache instead of the bridge's lookup: Open vSwitch
	Graph             // a graph of nodes: VPP
)

// MaxBurst bounds Config.Burst.
const MaxBurst = 512

// A Switch is the switch. Poll it, or let a kernel.Core do so. See New.
type Switch struct {
	core   Core
	br     *bridge.Bridge
	kind   Kind
	pool   *Pool
	ports  []*port
	byPort []*port // by the bridge's number; nil where there is none
	burst  []*Mbuf
	busy   []*port // that have something to send
}

// A port is a Port and where the switch has it.
type port struct {
	Port
	index int32       // in traces
	in    bridge.Port // on the bridge
	mtu   int         // the longest frame that leaves
	wire  bool        // leads out of the machine
	out   []*Mbuf     // to be sent in this round
}

// New makes a switch without ports.
func New(c Config) (*Switch, error) {
	if c.Burst == 0 {
		c.Burst = 32
	}
	switch {
	case c.Core == nil:
		return nil, errors.New("vswitch: Config.Core is required")
	case c.Burst < 1 || c.Burst > MaxBurst:
		return nil, fmt.Errorf("vswitch: bursts of %d frames; 1 to %d are possible", c.Burst, MaxBurst)
	}
	if c.Bridge != nil {
		if err := plain(c.Bridge.Config()); err != nil {
			return nil, err
		}
	}
	return &Switch{core: c.Core, br: c.Bridge, kind: c.Kind, pool: c.Pool, burst: make([]*Mbuf, c.Burst)}, nil
}

// ErrBridge says that a bridge does what the switch cannot carry out.
var ErrBridge = errors.New("vswitch: not in user space")

// plain finds what a bridge does that needs frames of its own or frames with other bytes.
func plain(c bridge.Config) error {
	switch {
	case c.VLANFiltering:
		return fmt.Errorf("%w: VLAN filtering, which changes tags", ErrBridge)
	case c.STP:
		return fmt.Errorf("%w: the spanning tree, which sends BPDUs", ErrBridge)
	case c.Multicast.Querier:
		return fmt.Errorf("%w: a querier, which sends queries", ErrBridge)
	}
	return nil
}

// At is where a port stands.
type At struct {
	Index  int32             // of the interface, in traces
	Port   bridge.Port       // on the bridge, which has it already; without a bridge it is of no use
	Config bridge.PortConfig // what it was added with
	MTU    int               // the longest frame that leaves, header and tag included; 0 means DataRoom
	Wire   bool              // leads out of the machine, in traces
}

// AddPort adds a port: behind those that are there in the order of polling.
func (s *Switch) AddPort(p Port, at At) error {
	switch {
	case p == nil:
		return errors.New("vswitch: AddPort without a Port")
	case at.Config.NeighSuppress:
		return fmt.Errorf("%w: neighbour suppression at %s, which answers", ErrBridge, at.Config.Name)
	case at.Config.McastToUnicast:
		return fmt.Errorf("%w: multicast to unicast at %s, which changes addresses", ErrBridge, at.Config.Name)
	}
	q := &port{Port: p, index: at.Index, in: at.Port, mtu: at.MTU, wire: at.Wire}
	if q.mtu == 0 || q.mtu > DataRoom {
		q.mtu = DataRoom
	}
	s.ports = append(s.ports, q)
	if s.br == nil {
		return nil
	}
	for int(at.Port) >= len(s.byPort) {
		s.byPort = append(s.byPort, nil)
	}
	s.byPort[at.Port] = q
	return nil
}

// Poll is one round. It says whether anything had come.
func (s *Switch) Poll() bool {
	found := false
	for i, p := range s.ports {
		n := p.Receive(s.burst)
		if n == 0 {
			continue
		}
		found = true
		switch s.kind {
		case Flow:
			Each(s.core, cost.DpNetdevInput, s.burst[:n])
		case Graph:
			Each(s.core, cost.VlibMain, s.burst[:n])
		}
		if s.br != nil {
			s.bridge(p, s.burst[:n])
		} else {
			s.join(i, s.burst[:n])
		}
		s.flush()
	}
	return found
}

// join sends a burst to the port that in is joined with.
func (s *Switch) join(in int, burst []*Mbuf) {
	if in^1 >= len(s.ports) {
		for _, m := range burst {
			s.drop(m, s.ports[in].index, cost.NoTxTarget)
		}
		return
	}
	Each(s.core, cost.PktBurstForward, burst)
	out := s.ports[in^1]
	for _, m := range burst {
		s.queue(out, m)
	}
}

// queue puts a frame into the burst of a port.
func (s *Switch) queue(p *port, m *Mbuf) {
	if len(p.out) == 0 {
		s.busy = append(s.busy, p)
	}
	p.out = append(p.out, m)
}

// flush sends what the round has for each port. What does not fit is dropped.
func (s *Switch) flush() {
	for _, p := range s.busy {
		n, why := p.Transmit(p.out)
		for _, m := range p.out[n:] {
			s.drop(m, p.index, why)
		}
		p.out = p.out[:0]
	}
	s.busy = s.busy[:0]
}

func (s *Switch) drop(m *Mbuf, port int32, reason cost.DropReason) {
	s.core.Drop(m.ID, port, m.Data, reason)
	m.Free()
}

// Next is the earliest time at which Poll could find something.
func (s *Switch) Next() sim.Time {
	at := sim.Never
	for _, p := range s.ports {
		at = min(at, p.Next())
	}
	return at
}

// InFlight counts the frames that have come in and that no Poll has seen.
func (s *Switch) InFlight() (n uint64) {
	for _, p := range s.ports {
		n += p.InFlight()
	}
	return n
}

// Stalled lists what waits at a port for somebody who will not come.
func (s *Switch) Stalled() (list []string) {
	for _, p := range s.ports {
		list = append(list, p.Stalled()...)
	}
	return list
}

// Held counts the packet buffers that are with a port: between two rounds the switch has
// none.
func (s *Switch) Held() (n int) {
	for _, p := range s.ports {
		n += p.Held()
	}
	return n
}

// Check finds packet buffers that nobody has: between two rounds they are free or with
// ports, a flooded one with several.
func (s *Switch) Check() error {
	if s.pool == nil {
		return nil
	}
	return s.pool.Check(s.Held())
}
