package snoop

import (
	"fmt"
	"slices"

	"ringside/sim"
)

// A proto is what an entry's addresses are.
type proto uint8

const (
	l2  proto = iota // Ethernet addresses
	ip4              //
	ip6              //
)

// families are those that have messages and queriers.
var families = [...]proto{ip4, ip6}

// A Snooper is the multicast database of one bridge and what keeps it. New makes
// one.
type Snooper struct {
	cfg     Config // with defaults
	addrs   Addrs
	now     sim.Time
	running bool // the bridge is up
	enabled bool // mcast_snooping
	noAddr  bool // the last MLD query had no address to come from
	peeking bool // see Peek

	of     [3]bridgeSide // by proto
	ports  []*port       // by number; nil is none
	stats  Stats         // of the bridge's own interface
	groups map[key]*group
	order  []*group // the same, by key
	timers timerQueue

	queries []Query
	egress  []Egress
	most    int // the greatest HashMax so far
}

// A bridgeSide is the state that a bridge keeps for one protocol.
type bridgeSide struct {
	own     ownQuery
	other   timer    // another querier is there
	delay   sim.Time // until then its answers are awaited
	router  timer    // the host's stack has a router, says a query it sent
	querier querier
	routers []*port // ascending
}

// A port is what is kept for a port. The pointer is its identity.
type port struct {
	num    Port
	cfg    PortConfig
	router Router // cfg.Router, but that RouterTemp runs out
	state  State
	of     [3]portSide
	groups []*portGroup // in the order they were made
	hosts  int
	stats  Stats
}

// A portSide is the state that a port keeps for one protocol.
type portSide struct {
	own    ownQuery
	router timer
	listed bool // among the bridge's routers
}

// A State is that of the spanning tree, in Linux's numbers.
type State uint8

// The states. Reports are heard in all but Disabled, and queries sent in all but
// Disabled and Blocking.
const (
	Disabled State = iota
	Listening
	Learning
	Forwarding
	Blocking
)

// New makes the snooper of a bridge that is down and has no ports.
func New(cfg Config, addrs Addrs) (*Snooper, error) {
	cfg, err := cfg.resolved()
	if err != nil {
		return nil, err
	}
	s := &Snooper{cfg: cfg, addrs: addrs, enabled: true, groups: map[key]*group{}, most: cfg.HashMax}
	for _, f := range families {
		side := &s.of[f]
		side.own.do = func() { s.queryDue(nil, f) }
		side.other.do = func() { s.querierGone(f) }
		side.router.do = func() {}
	}
	return s, nil
}

// Config is the configuration in force, with its defaults put in.
func (s *Snooper) Config() Config { return s.cfg }

// SetAddrs changes the addresses that queries come from.
func (s *Snooper) SetAddrs(a Addrs) { s.addrs = a }

// Enabled says whether the bridge snoops. It ceases to when the database is full.
func (s *Snooper) Enabled() bool { return s.enabled }

// SetConfig changes the configuration. An option that changes has the effect that
// setting it has in Linux: a bridge made querier asks at once.
func (s *Snooper) SetConfig(cfg Config, now sim.Time) error {
	s.Tick(now)
	cfg, err := cfg.resolved()
	if err != nil {
		return err
	}
	old := s.cfg
	s.cfg = cfg
	s.most = max(s.most, cfg.HashMax)
	if cfg.Router != old.Router && cfg.Router != RouterAuto {
		for _, f := range families {
			s.timers.stop(&s.of[f].router)
		}
	}
	if cfg.Querier && !old.Querier {
		s.becomeQuerier()
	}
	return nil
}

// Open is the bridge going up (br_dev_open).
func (s *Snooper) Open(now sim.Time) {
	s.Tick(now)
	s.running = true
	s.open()
}

func (s *Snooper) open() {
	for _, f := range families {
		s.restart(&s.of[f].own)
	}
}

// Stop is the bridge going down (br_dev_stop). Linux disables its ports with it,
// and so does this.
func (s *Snooper) Stop(now sim.Time) {
	s.Tick(now)
	s.running = false
	for _, p := range s.ports {
		if p != nil {
			p.state = Disabled
			s.disable(p)
		}
	}
	for _, f := range families {
		side := &s.of[f]
		s.timers.stop(&side.own.timer)
		s.timers.stop(&side.other)
		s.timers.stop(&side.router)
		side.delay = s.now
	}
}

// SetSnooping is mcast_snooping: off, everything is flooded, and what ports have
// that is not permanent is forgotten.
func (s *Snooper) SetSnooping(on bool, now sim.Time) {
	s.Tick(now)
	if on == s.enabled {
		return
	}
	s.enabled = on
	if !on {
		for _, p := range s.ports {
			if p != nil {
				s.disable(p)
			}
		}
	}
	if !on || !s.running {
		return
	}
	s.open()
	for _, p := range s.ports {
		if p != nil {
			s.enable(p)
		}
	}
}

// AddPort adds a port in the state Disabled.
func (s *Snooper) AddPort(p Port, cfg PortConfig, now sim.Time) error {
	s.Tick(now)
	if p <= Local || p > maxPort {
		return fmt.Errorf("snoop: add port: %w: %d", ErrNoPort, p)
	}
	if s.port(p) != nil {
		return fmt.Errorf("snoop: add port %d: %w", p, ErrExists)
	}
	if err := cfg.check(); err != nil {
		return err
	}
	if need := int(p) + 1 - len(s.ports); need > 0 {
		s.ports = append(s.ports, make([]*port, need)...)
	}
	it := &port{num: p, cfg: cfg}
	for _, f := range families {
		it.of[f].own.do = func() { s.queryDue(it, f) }
		it.of[f].router.do = func() { s.routerGone(it, f) }
	}
	s.ports[p] = it
	s.setRouter(it, cfg.Router)
	return nil
}

// DeletePort takes a port away with everything it has.
func (s *Snooper) DeletePort(p Port, now sim.Time) error {
	s.Tick(now)
	it := s.port(p)
	if it == nil {
		return fmt.Errorf("snoop: delete port: %w: %d", ErrNoPort, p)
	}
	s.disable(it)
	for len(it.groups) > 0 {
		s.removePortGroup(it.groups[0])
	}
	s.ports[p] = nil
	return nil
}

// SetPort changes a port's options.
func (s *Snooper) SetPort(p Port, cfg PortConfig, now sim.Time) error {
	s.Tick(now)
	it := s.port(p)
	if it == nil {
		return fmt.Errorf("snoop: set port: %w: %d", ErrNoPort, p)
	}
	if err := cfg.check(); err != nil {
		return err
	}
	old := it.cfg
	it.cfg = cfg
	if cfg.Router != old.Router {
		s.setRouter(it, cfg.Router)
	}
	return nil
}

// SetState changes a port's state of the spanning tree and nothing else.
func (s *Snooper) SetState(p Port, st State) {
	if it := s.port(p); it != nil {
		it.state = st
	}
}

// EnablePort begins a port's queries from the start, which Linux does each time
// that it chooses the port a state other than Blocking.
func (s *Snooper) EnablePort(p Port, now sim.Time) {
	s.Tick(now)
	if it := s.port(p); it != nil {
		s.enable(it)
	}
}

func (s *Snooper) enable(p *port) {
	if !s.enabled || !s.running {
		return
	}
	for _, f := range families {
		s.restart(&p.of[f].own)
		if p.router == RouterAlways {
			s.list(p, f)
		}
	}
}

// DisablePort makes a port Disabled and forgets what is not permanent of it.
func (s *Snooper) DisablePort(p Port, now sim.Time) {
	s.Tick(now)
	if it := s.port(p); it != nil {
		it.state = Disabled
		s.disable(it)
	}
}

func (s *Snooper) disable(p *port) {
	for _, pg := range slices.Clone(p.groups) {
		if !pg.gone && pg.flags&permanent == 0 {
			s.removePortGroup(pg)
		}
	}
	for _, f := range families {
		side := &p.of[f]
		s.unlist(p, f)
		s.timers.stop(&side.router)
		s.timers.stop(&side.own.timer)
	}
}

// port is the port of that number, or nil.
func (s *Snooper) port(p Port) *port {
	if p < 0 || int(p) >= len(s.ports) {
		return nil
	}
	return s.ports[p]
}

// hears says whether what comes by the port counts; nil is the host.
func (s *Snooper) hears(p *port) bool { return s.running && (p == nil || p.state != Disabled) }

// filters says whether sources are looked at: IGMPv3 and MLDv2.
func (s *Snooper) filters(f proto) bool {
	return f == ip4 && s.cfg.IGMPVersion == 3 || f == ip6 && s.cfg.MLDVersion == 2
}

// Peek has f look at the Snooper without changing it: within f, Receive and Lookup
// say what they would say, but no time passes, nothing is learned of a message, and
// nothing is counted. A report for which there is no room is not told from another.
func (s *Snooper) Peek(f func()) {
	s.peeking = true
	defer func() { s.peeking = false }()
	f()
}
