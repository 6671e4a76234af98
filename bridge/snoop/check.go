package snoop

import (
	"fmt"
	"slices"
)

// Check looks for what must never be and returns the first of it: a bound that is
// broken, a list that is not in order, an index that does not agree, a timer that
// nothing owns. It is slow; tests and fuzzers call it.
func (s *Snooper) Check() error {
	if len(s.groups) > s.most {
		return fmt.Errorf("snoop: %d groups, hash_max is %d", len(s.groups), s.most)
	}
	c := checker{Snooper: s}
	if len(s.order) != len(s.groups) || !slices.IsSortedFunc(s.order, func(a, b *group) int { return a.compare(b.key) }) {
		c.fail("%d groups, %d in order", len(s.groups), len(s.order))
	}
	for _, g := range s.order {
		c.group(g)
	}
	for _, f := range families {
		c.side(f)
	}
	for _, p := range s.ports {
		if p != nil {
			c.port(p)
		}
	}
	if c.running != len(s.timers.list) {
		c.fail("%d timers run, but %d have an owner", len(s.timers.list), c.running)
	}
	for i, t := range s.timers.list {
		if t.pos != i+1 || i > 0 && s.timers.Less(i, (i-1)/2) {
			c.fail("timer %d is out of order", i)
		}
	}
	return c.err
}

// A checker counts what it meets and keeps the first error.
type checker struct {
	*Snooper
	running int // timers
	err     error
}

func (c *checker) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("snoop: "+format, args...)
	}
}

func (c *checker) timer(t *timer) {
	if t.pending() {
		c.running++
	}
}

func (c *checker) group(g *group) {
	c.timer(&g.timer)
	if c.groups[g.key] != g {
		c.fail("group %x is not found", g.key.dst)
	}
	for i, pg := range g.ports {
		if i > 0 && g.ports[i-1].port.num > pg.port.num {
			c.fail("ports of group %x are not in order", g.key.dst)
		}
		if !g.star() && g.first(pg.port) != pg {
			c.fail("port %d is twice in a group with a source", pg.port.num)
		}
		if pg.group != g || pg.gone || c.ports[pg.port.num] != pg.port || !slices.Contains(pg.port.groups, pg) {
			c.fail("port %d has lost a group %x", pg.port.num, g.key.dst)
		}
		c.portGroup(pg)
	}
}

func (c *checker) portGroup(pg *portGroup) {
	c.timer(&pg.timer)
	c.timer(&pg.rexmit)
	if len(pg.sources) > maxSources || len(pg.sources) > 0 && !pg.group.star() {
		c.fail("port %d has %d sources in a group", pg.port.num, len(pg.sources))
	}
	for _, src := range pg.sources {
		c.timer(&src.timer)
		if src.group != pg || pg.source(src.addr) != src || !isSource(pg.group.proto, src.addr) {
			c.fail("source %x is not in its place", src.addr)
		}
	}
	c.hosts(pg)
}

func (c *checker) hosts(pg *portGroup) {
	ofHosts, ofSets := 0, 0
	for i, h := range pg.hosts {
		ofHosts += len(h.wants)
		if len(h.wants) == 0 || i > 0 && byHost(pg.hosts[i-1], h.addr) >= 0 {
			c.fail("host %x is not in its place", h.addr)
		}
	}
	for i, set := range pg.wanted {
		c.timer(&set.timer)
		ofSets += len(set.wants)
		if len(set.wants) == 0 || i > 0 && bySource(pg.wanted[i-1], set.source) >= 0 {
			c.fail("hosts of source %x are not in their place", set.source)
		}
		for _, w := range set.wants {
			c.timer(&w.timer)
		}
	}
	if ofHosts != ofSets {
		c.fail("hosts want %d sources, sources have %d hosts", ofHosts, ofSets)
	}
}

func (c *checker) side(f proto) {
	side := &c.of[f]
	c.timer(&side.own.timer)
	c.timer(&side.other)
	c.timer(&side.router)
	for i, p := range side.routers {
		if i > 0 && side.routers[i-1].num >= p.num || !p.of[f].listed || c.ports[p.num] != p {
			c.fail("router port %d is not in its place", p.num)
		}
	}
}

func (c *checker) port(p *port) {
	hosts := 0
	for _, pg := range p.groups {
		hosts += len(pg.hosts)
		if pg.port != p || !slices.Contains(pg.group.ports, pg) {
			c.fail("port %d has a group that does not have it", p.num)
		}
	}
	if hosts != p.hosts {
		c.fail("port %d has %d hosts and counts %d", p.num, hosts, p.hosts)
	}
	for _, f := range families {
		side := &p.of[f]
		c.timer(&side.own.timer)
		c.timer(&side.router)
		if side.listed != slices.Contains(c.of[f].routers, p) {
			c.fail("port %d is a router or not", p.num)
		}
	}
}
