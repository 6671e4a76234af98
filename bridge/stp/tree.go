package stp

import (
	"errors"
	"fmt"
	"slices"

	"ringside/sim"
)

// An Env is what a Tree acts on. Its methods must not call the Tree.
type Env interface {
	// SetState says the state of a port, each time it is set.
	SetState(port uint16, s State)
	// Selected says that the tree has gone through its ports and left this one in
	// a state other than Disabled and Blocking, be it the one it was in.
	Selected(port uint16)
	// Send sends a whole frame by a port, without padding and check sequence. The
	// frame is the Tree's again when Send returns.
	Send(port uint16, frame []byte)
	// TopologyChange says that a change of topology begins or is over: see Ageing.
	TopologyChange(active bool)
	// Flush says that what was learned on a port is to be forgotten.
	Flush(port uint16)
}

// Config describes a bridge. The zero value is a bridge with the protocol off, and
// what Linux gives a new bridge.
type Config struct {
	// STP turns the protocol on: stp_state.
	STP bool
	// Priority is the upper half of the bridge's identifier. Zero is 32768;
	// SetPriority can set zero.
	Priority uint16
	// MAC is the lower part of the identifier.
	MAC [6]byte
	// HelloTime (1 to 10 s), MaxAge (6 to 40 s) and ForwardDelay (2 to 30 s, but
	// free with the protocol off) are used while this bridge is the root. Zero is
	// 2 s, 20 s and 15 s; SetForwardDelay can set zero.
	HelloTime, MaxAge, ForwardDelay sim.Time
	// Group is where BPDUs go to and are taken from. Zero is Group.
	Group [6]byte
}

// The bounds and the values that Linux has for a bridge's times.
const (
	minHelloTime, defaultHelloTime, maxHelloTime          = 1 * sim.Second, 2 * sim.Second, 10 * sim.Second
	minMaxAge, defaultMaxAge, maxMaxAge                   = 6 * sim.Second, 20 * sim.Second, 40 * sim.Second
	minForwardDelay, defaultForwardDelay, maxForwardDelay = 2 * sim.Second, 15 * sim.Second, 30 * sim.Second

	defaultPriority = 0x8000
	holdTime        = 1 * sim.Second
	// ageIncrement is what a message ages by being passed on: more than one tick,
	// so that it never passes for free.
	ageIncrement = 4 * sim.Millisecond
)

// What a caller can do wrong.
var (
	ErrRange = errors.New("value out of range")
	ErrPort  = errors.New("no such port")
	ErrBusy  = errors.New("the spanning tree decides the state")
	ErrDown  = errors.New("the link is down")
)

// A times is the three times that a root gives to its tree.
type times struct{ hello, maxAge, forwardDelay sim.Time }

// A Tree is the spanning tree of one bridge.
type Tree struct {
	env   Env
	on    bool // the protocol
	up    bool // the bridge's interface
	now   sim.Time
	id    BridgeID
	group [6]byte

	root     BridgeID
	rootCost uint32
	rootPort *port // nil at the root

	own     times // what the bridge says as a root
	current times // what its root says

	topologyChange, topologyChangeDetected bool
	shortened                              sim.Time // see Ageing; 0 is not

	ports  []*port // the one added last is first, as Linux's list has them
	timers timers
	due    sim.Time // of the next timer; -1 if it must be looked for
	frame  []byte
}

// New makes the tree of a bridge without ports, whose interface is down.
func New(cfg Config, env Env) (*Tree, error) {
	if cfg.Priority == 0 {
		cfg.Priority = defaultPriority
	}
	if cfg.Group == ([6]byte{}) {
		cfg.Group = Group
	}
	t := &Tree{env: env, on: cfg.STP, group: cfg.Group, timers: idle, due: sim.Never}
	t.id = MakeBridgeID(cfg.Priority, cfg.MAC)
	t.root = t.id
	for _, f := range []struct {
		set         func(sim.Time) error
		value, zero sim.Time
	}{
		{t.SetHelloTime, cfg.HelloTime, defaultHelloTime},
		{t.SetMaxAge, cfg.MaxAge, defaultMaxAge},
		{t.SetForwardDelay, cfg.ForwardDelay, defaultForwardDelay},
	} {
		if f.value == 0 {
			f.value = f.zero
		}
		if err := f.set(f.value); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Clone is a tree of the same state that acts on another Env.
func (t *Tree) Clone(env Env) *Tree {
	c := *t
	c.env, c.frame, c.ports = env, nil, nil
	for _, p := range t.ports {
		q := *p
		c.ports = append(c.ports, &q)
		if p == t.rootPort {
			c.rootPort = &q
		}
	}
	return &c
}

// IsRoot says that the bridge is the root of its tree, as far as it knows.
func (t *Tree) IsRoot() bool { return t.root == t.id }

// Carrier says that the bridge's interface has a carrier: a port forwards.
func (t *Tree) Carrier() bool {
	return slices.ContainsFunc(t.ports, func(p *port) bool { return p.state == Forwarding })
}

// Ageing is how long the bridge keeps a learned entry: the forward delay while a
// change of topology lasts, and what is configured otherwise. After a change that
// ended with the protocol off it stays twice the forward delay, as in Linux, until
// AgeingConfigured.
func (t *Tree) Ageing(configured sim.Time) sim.Time {
	switch {
	case t.topologyChange:
		return t.current.forwardDelay
	case t.shortened != 0:
		return t.shortened
	}
	return configured
}

// AgeingConfigured says that the ageing time was set by hand.
func (t *Tree) AgeingConfigured() { t.shortened = 0 }

// Up is the bridge's interface coming up: ports that have a carrier take part.
func (t *Tree) Up(now sim.Time) {
	t.Tick(now)
	if t.up {
		return
	}
	t.up = true
	if t.on {
		t.arm(&t.timers, timerHello, t.current.hello)
	}
	for _, p := range t.ports {
		if p.carrier {
			t.enable(p)
		}
	}
}

// Down is the bridge's interface going down: all ports are disabled.
func (t *Tree) Down(now sim.Time) {
	t.Tick(now)
	if !t.up {
		return
	}
	t.up = false
	for _, p := range t.ports {
		if p.state != Disabled {
			t.disable(p)
		}
	}
	t.setTopologyChange(false)
	t.topologyChangeDetected = false
	for i := range t.timers {
		t.disarm(&t.timers, i)
	}
}

// SetSTP turns the protocol on or off. To turn it on brings the forward delay into
// its bounds.
func (t *Tree) SetSTP(on bool, now sim.Time) {
	t.Tick(now)
	if on == t.on {
		return
	}
	t.on = on
	if !on {
		return
	}
	t.setForwardDelay(min(max(t.own.forwardDelay, minForwardDelay), maxForwardDelay))
	if t.up {
		t.arm(&t.timers, timerHello, t.current.hello)
	}
	t.selectStates()
}

// STP says that the protocol is on.
func (t *Tree) STP() bool { return t.on }

// SetPriority sets the priority in the bridge's identifier; every value is one.
func (t *Tree) SetPriority(priority uint16, now sim.Time) {
	t.Tick(now)
	id := MakeBridgeID(priority, t.id.MAC())
	t.rename(id, func(p *port) {
		if p.state != Disabled && t.designated(p) {
			p.heard.bridge = id
		}
	})
}

// SetMAC sets the address in the bridge's identifier.
func (t *Tree) SetMAC(mac [6]byte, now sim.Time) {
	t.Tick(now)
	old := t.id.MAC()
	t.rename(MakeBridgeID(t.id.Priority(), mac), func(p *port) {
		for _, id := range []*BridgeID{&p.heard.bridge, &p.heard.root} {
			if id.MAC() == old {
				*id = MakeBridgeID(id.Priority(), mac)
			}
		}
	})
}

// rename gives the bridge an identifier, and each port before that what follows.
func (t *Tree) rename(id BridgeID, each func(*port)) {
	wasRoot := t.IsRoot()
	for _, p := range t.ports {
		each(p)
	}
	t.id = id
	t.reconfigure(wasRoot)
}

// SetGroup sets where BPDUs go to and are taken from.
func (t *Tree) SetGroup(group [6]byte) { t.group = group }

// SetHelloTime sets the hello time, 1 to 10 s.
func (t *Tree) SetHelloTime(d sim.Time) error {
	return t.setTime("hello time", d, minHelloTime, maxHelloTime, &t.own.hello, &t.current.hello)
}

// SetMaxAge sets the max age, 6 to 40 s.
func (t *Tree) SetMaxAge(d sim.Time) error {
	return t.setTime("max age", d, minMaxAge, maxMaxAge, &t.own.maxAge, &t.current.maxAge)
}

// SetForwardDelay sets the forward delay, 2 to 30 s. With the protocol off it is
// anything from zero up; with zero, ports forward at once.
func (t *Tree) SetForwardDelay(d sim.Time) error {
	low, high := sim.Time(minForwardDelay), sim.Time(maxForwardDelay)
	if !t.on {
		low, high = 0, sim.Never/4
	}
	return t.setTime("forward delay", d, low, high, &t.own.forwardDelay, &t.current.forwardDelay)
}

func (t *Tree) setTime(what string, d, low, high sim.Time, own, current *sim.Time) error {
	if d < low || d > high {
		return fmt.Errorf("stp: %s %v: %w: %v to %v", what, d, ErrRange, low, high)
	}
	*own = d
	if t.IsRoot() {
		*current = d
	}
	return nil
}

func (t *Tree) setForwardDelay(d sim.Time) {
	t.own.forwardDelay = d
	if t.IsRoot() {
		t.current.forwardDelay = d
	}
}
