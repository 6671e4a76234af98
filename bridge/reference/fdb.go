package reference

import (
	"math"

	"ringside/bridge"
	"ringside/sim"
)

// A key is what the forwarding database is searched by.
type key struct {
	mac bridge.MAC
	vid uint16
}

// An entry has Linux's flags, one field for each (BR_FDB_*).
type entry struct {
	port    bridge.Port
	local   bool // frames to it go up
	static  bool // does not age
	sticky  bool // does not move
	extern  bool // set by a control plane: does not age, moves
	user    bool // set by hand
	locked  bool // seen on a locked port with mab
	counted bool // against fdb_max_learned
	updated sim.Time
}

func (b *Bridge) kind(e *entry) bridge.Kind {
	switch {
	case e.local:
		return bridge.Permanent
	case e.static:
		return bridge.Static
	}
	return bridge.Dynamic
}

// expired is has_expired.
func (b *Bridge) expired(e *entry, now sim.Time) bool {
	return !e.static && !e.extern && b.ageing() != sim.Never && e.updated+b.ageing() <= now
}

func (b *Bridge) ageing() sim.Time {
	if b.hold != 0 {
		return b.hold
	}
	return b.configured()
}

// configured is the ageing time as it is set.
func (b *Bridge) configured() sim.Time {
	switch b.cfg.Ageing {
	case 0:
		return bridge.DefaultAgeing
	case bridge.Hub:
		return 0
	}
	return b.cfg.Ageing
}

// age is br_fdb_cleanup, the walk that takes out what has aged. The next is when the
// next entry ages, but not before 10 ms; without an entry that can there is none.
func (b *Bridge) age() (aged int) {
	if b.due > b.now {
		return 0
	}
	b.due = sim.Never
	for k, e := range b.fdb {
		if b.expired(e, b.now) {
			delete(b.fdb, k)
			aged++
			continue
		}
		b.await(e, b.now+10*sim.Millisecond)
	}
	return aged
}

// await has the walk be made when e ages, but not before soonest.
func (b *Bridge) await(e *entry, soonest sim.Time) {
	if b.ageing() != sim.Never && !e.static && !e.extern {
		b.due = min(b.due, max(e.updated+b.ageing(), soonest))
	}
}

// awaitFirst is await when no walk is to be made yet. A change of topology does not
// bring it forward: Linux has set its time before.
func (b *Bridge) awaitFirst(e *entry) {
	span := max(b.ageing(), b.configured())
	if b.due == sim.Never && span != sim.Never && b.ageing() != sim.Never && !e.static && !e.extern {
		b.due = e.updated + span
	}
}

// create makes an entry (fdb_create), unless it would be one learned too many.
func (b *Bridge) create(k key, e entry) bool {
	if !e.user && !e.local {
		if b.Learned() >= b.maxLearned() {
			return false
		}
		e.counted = true
	}
	b.fdb[k] = &e
	b.awaitFirst(&e)
	return true
}

func (b *Bridge) maxLearned() int {
	switch b.cfg.MaxLearned {
	case 0:
		return bridge.DefaultMaxLearned
	case bridge.Unlimited:
		return math.MaxInt
	}
	return b.cfg.MaxLearned
}

// Learned is how many entries count against fdb_max_learned.
func (b *Bridge) Learned() (n int) {
	for _, e := range b.fdb {
		if e.counted {
			n++
		}
	}
	return n
}

// update is br_fdb_update: a frame from k came by the port n.
func (b *Bridge) update(k key, n bridge.Port, locked bool, now sim.Time) bridge.Learned {
	if b.ageing() == 0 {
		return bridge.LearnedNothing
	}
	e := b.fdb[k]
	if e == nil {
		if !b.create(k, entry{port: n, locked: locked, updated: now}) {
			return bridge.Refused
		}
		return bridge.Created
	}
	if e.local {
		return bridge.OwnAddress
	}
	e.updated = now
	if e.port == n || e.sticky {
		return bridge.Refreshed
	}
	e.port, e.extern, e.locked = n, false, false
	b.awaitFirst(e)
	return bridge.Moved
}

// addLocal enters an interface's own address (fdb_add_local).
func (b *Bridge) addLocal(k key, n bridge.Port) {
	if k.mac == (bridge.MAC{}) || group(k.mac) {
		return
	}
	if e := b.fdb[k]; e != nil && e.local {
		return // the first interface with the address has it
	}
	b.fdb[k] = &entry{port: n, local: true, static: true, updated: b.now}
}

// deleteLocal takes a local address from the interface n, and gives it to another
// that has it too (fdb_delete_local): the ports in their order, then the bridge.
func (b *Bridge) deleteLocal(k key, n bridge.Port) {
	for _, q := range append(b.Ports(), bridge.Local) {
		if p := b.ports[q]; q != n && p.mac == k.mac && (k.vid == 0 || p.vlans.has(k.vid)) {
			b.fdb[k].port, b.fdb[k].user = q, false
			return
		}
	}
	delete(b.fdb, k)
}

func (b *Bridge) deleteOf(k key, n bridge.Port) {
	if b.fdb[k].local {
		b.deleteLocal(k, n)
	} else {
		delete(b.fdb, k)
	}
}
