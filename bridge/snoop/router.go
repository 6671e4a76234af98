package snoop

import (
	"cmp"
	"fmt"
	"slices"

	"ringside/sim"
)

// A RouterPort is a port with a multicast router behind it, for display.
type RouterPort struct {
	Port       Port
	Router     Router
	IPv4, IPv6 bool     // for which it is one
	Timer4     sim.Time // how long it will still be; 0 for ever
	Timer6     sim.Time //
	Timer      sim.Time // the longer of both
}

// Routers is the router ports, ascending. With mcast_router 0 of the bridge
// Linux lists none, though frames go to them.
func (s *Snooper) Routers(now sim.Time) []RouterPort {
	s.Tick(now)
	var all []RouterPort
	if s.cfg.Router == RouterNever {
		return nil
	}
	for _, p := range s.ports {
		if p == nil || !p.of[ip4].listed && !p.of[ip6].listed {
			continue
		}
		r := RouterPort{
			Port: p.num, Router: p.router,
			IPv4: p.of[ip4].listed, Timer4: p.of[ip4].router.left(s.now),
			IPv6: p.of[ip6].listed, Timer6: p.of[ip6].router.left(s.now),
		}
		r.Timer = max(r.Timer4, r.Timer6)
		all = append(all, r)
	}
	return all
}

// SetRouter is mcast_router of a port. Setting RouterTemp again makes it last
// longer.
func (s *Snooper) SetRouter(p Port, r Router, now sim.Time) error {
	s.Tick(now)
	it := s.port(p)
	if it == nil || r > RouterTemp {
		return fmt.Errorf("snoop: set router of port %d: %w", p, ErrNoPort)
	}
	it.cfg.Router = r
	s.setRouter(it, r)
	return nil
}

func (s *Snooper) setRouter(p *port, r Router) {
	same := p.router == r
	p.router = r
	for _, f := range families {
		side := &p.of[f]
		switch r {
		case RouterTemp:
			if same {
				s.arm(&side.router, s.after(s.cfg.QuerierInterval))
			} else {
				s.mark(p, f)
			}
		case RouterAlways:
			if !same {
				s.timers.stop(&side.router)
				s.list(p, f)
			}
		case RouterNever:
			s.timers.stop(&side.router)
			fallthrough
		case RouterAuto:
			if !same {
				s.unlist(p, f)
			}
		}
	}
}

// mark notes that a router's message came by p, nil for the host's own.
func (s *Snooper) mark(p *port, f proto) {
	if s.peeking || !s.hears(p) {
		return
	}
	until := s.after(s.cfg.QuerierInterval)
	switch {
	case p == nil:
		if s.cfg.Router == RouterAuto {
			s.arm(&s.of[f].router, until)
		}
	case p.router == RouterAuto || p.router == RouterTemp:
		s.list(p, f)
		s.arm(&p.of[f].router, until)
	}
}

func (s *Snooper) list(p *port, f proto) {
	if p.of[f].listed {
		return
	}
	p.of[f].listed = true
	all := &s.of[f].routers
	at, _ := slices.BinarySearchFunc(*all, p.num, byNumber)
	*all = slices.Insert(*all, at, p)
}

func byNumber(p *port, n Port) int { return cmp.Compare(p.num, n) }

// unlist takes p from the router ports. One that was set for a time is one no
// more when neither protocol has it.
func (s *Snooper) unlist(p *port, f proto) {
	if !p.of[f].listed {
		return
	}
	p.of[f].listed = false
	all := &s.of[f].routers
	at, _ := slices.BinarySearchFunc(*all, p.num, byNumber)
	*all = slices.Delete(*all, at, at+1)
	if p.router == RouterTemp && !p.of[ip4].listed && !p.of[ip6].listed {
		p.router = RouterAuto
	}
}

// routerGone is a router port's timer.
func (s *Snooper) routerGone(p *port, f proto) {
	if p.router == RouterAuto || p.router == RouterTemp {
		s.unlist(p, f)
	}
}

// isRouter says whether the host takes the frames that go to routers.
func (s *Snooper) isRouter(f proto) bool {
	switch s.cfg.Router {
	case RouterAlways:
		return true
	case RouterAuto:
		return f != l2 && s.of[f].router.pending()
	}
	return false
}
