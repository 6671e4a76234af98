package bridge

import (
	"fmt"

	"ringside/bridge/stp"
)

// Check looks for what must never be and returns the first of it: a count that
// does not agree, a bound that is broken, an entry that a lookup does not find
// or that points to a port that is gone. It is slow; runs and fuzzers call it at
// their end.
func (b *Bridge) Check() error {
	if err := b.fdb.check(); err != nil {
		return fmt.Errorf("bridge: %w", err)
	}
	if b.fdb.learned > b.bound {
		return fmt.Errorf("bridge: %d learned entries, the bound is %d", b.fdb.learned, b.bound)
	}
	for at := range b.fdb.lines {
		l := &b.fdb.lines[at]
		for i := range l.used() {
			if p := l.what[i].port(); !b.has(p) || p == Local && l.what[i]&local == 0 {
				return fmt.Errorf("bridge: entry %v points to port %d, which is not there", l.key[i].mac(), p)
			}
		}
	}
	live := 0
	for n := range b.ports {
		p := Port(n)
		if p == Local || !b.has(p) {
			continue
		}
		if live >= len(b.members) || b.members[live] != p || b.ports[p].self[0] != (Copy{Port: p}) {
			return fmt.Errorf("bridge: port %d is not in its place among those flooded", p)
		}
		live++
	}
	if live != len(b.members) {
		return fmt.Errorf("bridge: %d ports, but %d are flooded", live, len(b.members))
	}
	if err := b.snooper.Check(); err != nil {
		return fmt.Errorf("bridge: %w", err)
	}
	return b.checkPorts()
}

// checkPorts looks whether what Handle reads of each port is what settle makes of
// its configuration, and whether its VLANs are in order.
func (b *Bridge) checkPorts() error {
	for n := range b.ports {
		p := Port(n)
		if !b.has(p) {
			continue
		}
		was := b.ports[p]
		if b.settle(p); b.ports[p] != was {
			return fmt.Errorf("bridge: port %d is %+v, but settled %+v", p, was, b.ports[p])
		}
		if p != Local && p <= stp.MaxPort && was.state != b.tree.State(uint16(p)) {
			return fmt.Errorf("bridge: port %d is %v, but %v in the spanning tree", p, was.state, b.tree.State(uint16(p)))
		}
		g := &b.vlans[p]
		for i, v := range g.list {
			if v.vid < 1 || v.vid > maxVLAN || i > 0 && g.list[i-1].vid >= v.vid {
				return fmt.Errorf("bridge: VLAN %d of port %d is out of order", v.vid, p)
			}
		}
		if g.pvid != 0 && g.find(g.pvid) == nil {
			return fmt.Errorf("bridge: port %d is not in its PVID %d", p, g.pvid)
		}
		if q := b.backup[p]; q != Local && (q == p || !b.has(q)) {
			return fmt.Errorf("bridge: port %d has the backup %d", p, q)
		}
	}
	return nil
}

func (t *table) check() error {
	n, nLearned := 0, 0
	for at := range t.lines {
		l := &t.lines[at]
		used := l.used()
		for i, key := range l.key {
			if i >= used {
				if key != 0 {
					return fmt.Errorf("line %d has a gap at %d", at, i)
				}
				continue
			}
			n++
			if l.what[i]&learned != 0 {
				nLearned++
			}
			if found, j := t.find(key); found != l || j != i {
				return fmt.Errorf("entry %v in line %d is not found there", key.mac(), at)
			}
		}
	}
	if n != t.n || nLearned != t.learned {
		return fmt.Errorf("table holds %d entries and %d learned ones, but counts %d and %d", n, nLearned, t.n, t.learned)
	}
	return nil
}
