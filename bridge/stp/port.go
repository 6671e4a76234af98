package stp

import (
	"fmt"
	"slices"

	"ringside/sim"
)

// A State is a port's state, by the numbers of bridge(8).
type State uint8

// The states of a port.
const (
	Disabled   State = iota // takes no part
	Listening               // sends and takes BPDUs alone
	Learning                // learns too
	Forwarding              // forwards
	Blocking                // takes BPDUs alone
)

var stateNames = [...]string{"disabled", "listening", "learning", "forwarding", "blocking"}

// String is the state as bridge(8) prints it.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// MaxPort is the greatest number of a port: an identifier has ten bits for it.
const MaxPort = 1<<portBits - 1

const (
	defaultCost         = 100
	maxCost             = 1<<16 - 1
	defaultPortPriority = 32
	maxPortPriority     = 1<<6 - 1
)

// CostOf is the path cost that Linux (since 6.2; before it 1 Gbit/s was 4) gives a
// link by its speed in Mbit/s. A TAP device says 10 Mbit/s unless it is told
// otherwise, which is 100, and so is a speed that is not known.
func CostOf(mbps int) uint32 {
	switch {
	case mbps > 10_000:
		return 1
	case mbps == 10_000:
		return 2
	case mbps == 5_000:
		return 3
	case mbps == 2_500:
		return 4
	case mbps == 1_000:
		return 5
	case mbps == 100:
		return 19
	}
	return defaultCost
}

// A PortConfig describes a port. The zero value is a port of 10 Mbit/s.
type PortConfig struct {
	// MAC is the source of what the port sends.
	MAC [6]byte
	// Cost is the path cost of the link, 1 to 65535: see CostOf. Zero is 100.
	Cost uint32
	// Priority is 0 to 63. Zero is 32; SetPortPriority can set zero.
	Priority uint8
	// RootBlock keeps the port from becoming the root port: root_block.
	RootBlock bool
	// Guard disables the port when a BPDU comes in by it: bpdu_guard.
	Guard bool
}

// A port is what the protocol keeps of a port.
type port struct {
	number   uint16
	id       PortID
	mac      [6]byte
	cost     uint32
	adminSet bool // the cost was set by hand
	carrier  bool
	state    State

	heard vector   // the best message on the link, ours if the port is designated
	since sim.Time // when the message would have had age 0

	ack, pending     bool
	rootBlock, guard bool
	timers           timers
	stats            Stats
}

// Stats counts what a port did while the protocol was on.
type Stats struct {
	RxBPDU, RxTCN, TxBPDU, TxTCN          uint64
	TransitionBlocking, TransitionForward uint64
}

// AddPort adds port n, without a carrier. Numbers are 1 to MaxPort.
func (t *Tree) AddPort(n uint16, cfg PortConfig) error {
	if cfg.Cost == 0 {
		cfg.Cost = defaultCost
	}
	if cfg.Priority == 0 {
		cfg.Priority = defaultPortPriority
	}
	switch {
	case n == 0 || n > MaxPort || t.find(n) != nil:
		return fmt.Errorf("stp: port %d: %w: want a free number from 1 to %d", n, ErrRange, MaxPort)
	case cfg.Cost > maxCost:
		return fmt.Errorf("stp: port %d: cost %d: %w: 1 to %d", n, cfg.Cost, ErrRange, maxCost)
	case cfg.Priority > maxPortPriority:
		return fmt.Errorf("stp: port %d: priority %d: %w: 0 to %d", n, cfg.Priority, ErrRange, maxPortPriority)
	}
	p := &port{number: n, id: MakePortID(cfg.Priority, n), mac: cfg.MAC, cost: cfg.Cost,
		rootBlock: cfg.RootBlock, guard: cfg.Guard, timers: idle}
	t.designate(p)
	t.ports = slices.Insert(t.ports, 0, p)
	t.env.SetState(n, Disabled)
	return nil
}

// RemovePort takes port n away, after disabling it.
func (t *Tree) RemovePort(n uint16, now sim.Time) error {
	p, err := t.at(n, now)
	if err != nil {
		return err
	}
	t.disable(p)
	t.ports = slices.DeleteFunc(t.ports, func(q *port) bool { return q == p })
	t.due = unknown
	return nil
}

// Enable says that port n has a carrier.
func (t *Tree) Enable(n uint16, now sim.Time) error {
	p, err := t.at(n, now)
	if err != nil {
		return err
	}
	p.carrier = true
	if t.up && p.state == Disabled {
		t.enable(p)
	}
	return nil
}

// Disable says that port n has no carrier.
func (t *Tree) Disable(n uint16, now sim.Time) error {
	p, err := t.at(n, now)
	if err != nil {
		return err
	}
	p.carrier = false
	if t.up && p.state != Disabled {
		t.disable(p)
	}
	return nil
}

// State is the state of port n; Disabled if there is none.
func (t *Tree) State(n uint16) State {
	if p := t.find(n); p != nil {
		return p.state
	}
	return Disabled
}

// SetState sets the state of port n by hand, which the protocol does not allow
// while it is on, and a link without carrier only for Disabled. With the protocol
// off a Blocking port is due to forward, and does so at once.
func (t *Tree) SetState(n uint16, s State, now sim.Time) error {
	p, err := t.at(n, now)
	switch {
	case err != nil:
		return err
	case s > Blocking:
		return fmt.Errorf("stp: port %d: %v: %w", n, s, ErrRange)
	case t.on:
		return fmt.Errorf("stp: port %d: %w: turn it off first", n, ErrBusy)
	case !p.carrier && s != Disabled:
		return fmt.Errorf("stp: port %d: %w", n, ErrDown)
	}
	t.setState(p, s)
	t.selectStates()
	return nil
}

// SetPathCost sets the path cost of port n by hand, 1 to 65535.
func (t *Tree) SetPathCost(n uint16, cost uint32, now sim.Time) error {
	p, err := t.at(n, now)
	if err != nil {
		return err
	}
	if cost < 1 || cost > maxCost {
		return fmt.Errorf("stp: port %d: cost %d: %w: 1 to %d", n, cost, ErrRange, maxCost)
	}
	p.cost, p.adminSet = cost, true
	t.elect()
	t.selectStates()
	return nil
}

// LinkCost sets the path cost of port n by its link's speed, unless it was set by
// hand. It has its effect at the next election, as in Linux.
func (t *Tree) LinkCost(n uint16, cost uint32) error {
	p := t.find(n)
	if p == nil {
		return fmt.Errorf("stp: %w: %d", ErrPort, n)
	}
	if !p.adminSet {
		p.cost = min(max(cost, 1), maxCost)
	}
	return nil
}

// SetPortPriority sets the priority in the identifier of port n, 0 to 63.
func (t *Tree) SetPortPriority(n uint16, priority uint8, now sim.Time) error {
	p, err := t.at(n, now)
	if err != nil {
		return err
	}
	if priority > maxPortPriority {
		return fmt.Errorf("stp: port %d: priority %d: %w: 0 to %d", n, priority, ErrRange, maxPortPriority)
	}
	id := MakePortID(priority, n)
	if t.designated(p) {
		p.heard.port = id
	}
	p.id = id
	if p.heard.bridge == t.id && p.id < p.heard.port {
		t.designate(p)
		t.selectStates()
	}
	return nil
}

// SetPortMAC sets the source of what port n sends.
func (t *Tree) SetPortMAC(n uint16, mac [6]byte) error {
	return t.change(n, func(p *port) { p.mac = mac })
}

// SetRootBlock sets PortConfig.RootBlock. It has its effect at the next election.
func (t *Tree) SetRootBlock(n uint16, on bool) error {
	return t.change(n, func(p *port) { p.rootBlock = on })
}

// SetGuard sets PortConfig.Guard.
func (t *Tree) SetGuard(n uint16, on bool) error { return t.change(n, func(p *port) { p.guard = on }) }

func (t *Tree) change(n uint16, do func(*port)) error {
	p := t.find(n)
	if p == nil {
		return fmt.Errorf("stp: %w: %d", ErrPort, n)
	}
	do(p)
	return nil
}

func (t *Tree) find(n uint16) *port {
	for _, p := range t.ports {
		if p.number == n {
			return p
		}
	}
	return nil
}

// at brings the tree to the time and finds a port.
func (t *Tree) at(n uint16, now sim.Time) (*port, error) {
	t.Tick(now)
	p := t.find(n)
	if p == nil {
		return nil, fmt.Errorf("stp: %w: %d", ErrPort, n)
	}
	return p, nil
}

// enable lets a port take part, as if nothing were on its link.
func (t *Tree) enable(p *port) {
	t.designate(p)
	t.setState(p, Blocking)
	p.ack, p.pending = false, false
	t.selectStates()
}

// disable takes a port out.
func (t *Tree) disable(p *port) {
	wasRoot := t.IsRoot()
	t.designate(p)
	t.setState(p, Disabled)
	p.ack, p.pending = false, false
	for i := range p.timers {
		t.disarm(&p.timers, i)
	}
	t.env.Flush(p.number)
	t.reconfigure(wasRoot)
}

func (t *Tree) setState(p *port, s State) {
	p.state = s
	if t.on {
		switch s {
		case Blocking:
			p.stats.TransitionBlocking++
		case Forwarding:
			p.stats.TransitionForward++
		}
	}
	t.env.SetState(p.number, s)
}
