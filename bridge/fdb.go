package bridge

import (
	"cmp"
	"fmt"
	"slices"

	"ringside/bridge/stp"
	"ringside/sim"
)

// A Kind says how an entry came into the table and what can become of it.
type Kind uint8

// The kinds, in bridge(8)'s words.
const (
	Dynamic   Kind = iota // learned from traffic, or set by hand to age
	Static                // set by hand; does not age, but moves unless sticky
	Permanent             // an address of the bridge's own or of a port: goes up
)

// String is the kind's name.
func (k Kind) String() string { return name(kindNames[:], k) }

var kindNames = [...]string{"dynamic", "static", "permanent"}

// An Entry is one address of the forwarding database.
type Entry struct {
	MAC  MAC
	VLAN uint16 // 0 is outside of all VLANs: what counts with filtering off
	Port Port   // where the station is; Local for the bridge's own address
	Kind Kind
	// Sticky entries do not move.
	Sticky bool
	// ExternLearned entries were set by a control plane (extern_learn). They do not
	// age; one that moves is learned from then on.
	ExternLearned bool
	// Locked entries were seen on a locked port with PortConfig.MAB: frames to the
	// station are forwarded, those from it are not.
	Locked bool

	Stale   bool     // has aged, and waits for the next walk to take it out
	Updated sim.Time // the station's last frame, or when it was set
}

// Add enters e as bridge fdb replace does; its Stale and Updated are not looked
// at.
//
// A Permanent entry is an address of the interface Port, which may be Local:
// frames to it go up and nowhere else. The others are stations on a port. A frame
// from a Static one on another port moves it there, unless it is Sticky. Dynamic
// is as if the station was heard of just now, but is not counted against
// Config.MaxLearned.
//
// A VLAN must be one of the port. VLAN 0 is outside of them and in every VLAN of
// the port: that many entries are made, as in Linux.
func (b *Bridge) Add(e Entry) error {
	if err := b.canAdd(e); err != nil {
		return fmt.Errorf("bridge: %v entry %v vlan %d: %w", e.Kind, e.MAC, e.VLAN, err)
	}
	if err := b.enter(e); err != nil {
		return fmt.Errorf("bridge: %v entry %v vlan %d: %w", e.Kind, e.MAC, e.VLAN, err)
	}
	if e.VLAN != 0 {
		return nil
	}
	for _, v := range b.vlans[e.Port].list {
		e.VLAN = v.vid
		if err := b.enter(e); err != nil {
			return fmt.Errorf("bridge: %v entry %v vlan %d: %w", e.Kind, e.MAC, e.VLAN, err)
		}
	}
	return nil
}

func (b *Bridge) canAdd(e Entry) error {
	switch {
	case !e.MAC.Station():
		return ErrAddress
	case !b.has(e.Port) || e.Port == Local && e.Kind != Permanent:
		return fmt.Errorf("%w: %d", ErrNoPort, e.Port)
	case e.Kind > Permanent:
		return fmt.Errorf("%w: there is no such kind", ErrConfig)
	case e.Sticky && (e.Kind == Permanent || e.ExternLearned):
		return fmt.Errorf("%w: only a station set by hand can be sticky", ErrConfig)
	case e.Locked:
		return fmt.Errorf("%w: locked entries come from traffic alone", ErrConfig)
	case e.VLAN != 0 && b.vlans[e.Port].find(e.VLAN) == nil:
		return fmt.Errorf("%w: the port is not in that VLAN", ErrVLAN)
	case e.Kind == Dynamic && !e.ExternLearned && !b.learns(e.Port):
		return fmt.Errorf("%w: the port %d is %v and cannot learn", ErrConfig, e.Port, b.ports[e.Port].state)
	}
	return nil
}

// learns says that the state of the port lets it learn.
func (b *Bridge) learns(p Port) bool {
	s := b.ports[p].state
	return s == stp.Learning || s == stp.Forwarding
}

// enter is fdb_add_entry, and br_fdb_external_learn_add, for one VLAN. An entry that
// is what it is to be already does not become younger by it.
func (b *Bridge) enter(e Entry) error {
	key, w := e.MAC.addr().in(e.VLAN), e.what()
	l, i := b.fdb.find(key)
	switch {
	case l == nil:
		if !b.fdb.insert(key, w, b.now) {
			return ErrFull
		}
		l, i = b.fdb.find(key)
	default:
		old := l.what[i]
		w |= old & e.keeps()
		changed := w != old&^learned|byUser || b.entry(l, i, b.now).Stale
		b.fdb.rewrite(l, i, w)
		if changed || e.ExternLearned {
			l.updated[i] = b.now
		}
		if !changed {
			return nil
		}
	}
	if w&(static|extern) == 0 {
		b.expect(b.now)
	}
	b.notifyFDB(l, i, false)
	return nil
}

// what is the port and the flags that e asks for.
func (e Entry) what() what {
	w := e.Port.with(byUser)
	switch {
	case e.ExternLearned && e.Port != Local:
		w |= extern
	case e.ExternLearned:
		w |= extern | local
	case e.Kind == Permanent:
		w |= local | static
	case e.Kind == Static:
		w |= static
	}
	if e.Sticky {
		w |= sticky
	}
	return w
}

// keeps is the flags that an entry has on when e takes its place: a control plane does
// not ask what it was, and people do not ask who else knows it.
func (e Entry) keeps() what {
	if e.ExternLearned {
		return local | static | sticky
	}
	return extern
}

// addLocal enters an interface's own address in a VLAN. One that is local already
// stays with its first interface, and what was learned or set is replaced
// (fdb_add_local).
func (b *Bridge) addLocal(mac MAC, p Port, vid uint16) error {
	if mac == (MAC{}) {
		return nil
	}
	key := mac.addr().in(vid)
	l, i := b.fdb.find(key)
	switch {
	case l == nil:
		if !b.fdb.insert(key, p.with(local|static), b.now) {
			return fmt.Errorf("local address %v: %w", mac, ErrFull)
		}
		l, i = b.fdb.find(key)
	case l.what[i]&local != 0:
		return nil
	default:
		b.notifyFDB(l, i, true)
		b.fdb.rewrite(l, i, p.with(local|static))
		l.updated[i] = b.now
	}
	b.notifyFDB(l, i, false)
	return nil
}

// dropLocal takes the own address of the interface p out of a VLAN, or passes it
// to another that has it (br_fdb_find_delete_local).
func (b *Bridge) dropLocal(mac MAC, p Port, vid uint16) {
	at, i := b.fdb.locate(mac.addr().in(vid))
	if at < 0 {
		return
	}
	l := &b.fdb.lines[at]
	if w := l.what[i]; w&local != 0 && w&byUser == 0 && w.on(p) && !b.inherit(l, i, p) {
		b.delete(at, i)
	}
}

// inherit passes a local address of the interface p to another that has it and is
// in its VLAN, and says whether there is one.
func (b *Bridge) inherit(l *line, i int, p Port) bool {
	mac, vid := l.key[i].mac(), l.key[i].vlan()
	for n := len(b.members); n >= 0; n-- {
		q := Local // the last to be asked
		if n > 0 {
			q = b.members[len(b.members)-n]
		}
		if q != p && b.config[q].MAC == mac && (vid == 0 || b.vlans[q].find(vid) != nil) {
			b.fdb.rewrite(l, i, l.what[i].at(q)&^byUser)
			return true
		}
	}
	return false
}

// delete takes an entry out and says so.
func (b *Bridge) delete(at, i int) {
	b.notifyFDB(&b.fdb.lines[at], i, true)
	b.fdb.remove(at, i)
}

// Delete takes the entry of mac in a VLAN out, of whatever kind, and says whether
// there was one. With VLAN 0 it is also taken out of every VLAN of its port.
func (b *Bridge) Delete(mac MAC, vlan uint16) bool {
	at, i := b.fdb.locate(mac.addr().in(vlan))
	if at < 0 {
		return false
	}
	p := b.fdb.lines[at].what[i].port()
	b.delete(at, i)
	if vlan != 0 {
		return true
	}
	for _, v := range b.vlans[p].list {
		at, i := b.fdb.locate(mac.addr().in(v.vid))
		if at >= 0 && b.fdb.lines[at].what[i].on(p) {
			b.delete(at, i)
		}
	}
	return true
}

// Lookup is the entry of mac in a VLAN as it is at the time now.
func (b *Bridge) Lookup(mac MAC, vlan uint16, now sim.Time) (Entry, bool) {
	l, i := b.fdb.find(mac.addr().in(vlan))
	if l == nil {
		return Entry{}, false
	}
	return b.entry(l, i, now), true
}

// Len is the number of entries of all kinds.
func (b *Bridge) Len() int { return b.fdb.n }

// Learned is the number of entries learned from traffic, which MaxLearned bounds.
func (b *Bridge) Learned() int { return b.fdb.learned }

// Entries is all entries as they are at the time now, sorted by address and VLAN.
func (b *Bridge) Entries(now sim.Time) []Entry {
	all := make([]Entry, 0, b.fdb.n)
	for at := range b.fdb.lines {
		l := &b.fdb.lines[at]
		for i := range l.used() {
			all = append(all, b.entry(l, i, now))
		}
	}
	slices.SortFunc(all, func(x, y Entry) int {
		return cmp.Or(slices.Compare(x.MAC[:], y.MAC[:]), cmp.Compare(x.VLAN, y.VLAN))
	})
	return all
}

func (b *Bridge) entry(l *line, i int, now sim.Time) Entry {
	w := l.what[i]
	e := Entry{
		MAC:           l.key[i].mac(),
		VLAN:          l.key[i].vlan(),
		Port:          w.port(),
		Sticky:        w&sticky != 0,
		ExternLearned: w&extern != 0,
		Locked:        w&lockedOut != 0,
		Updated:       l.updated[i],
	}
	switch {
	case w&local != 0:
		e.Kind = Permanent
	case w&static != 0:
		e.Kind = Static
	default:
		e.Stale = w&extern == 0 && b.hold != sim.Never && now-l.updated[i] >= b.hold
	}
	return e
}

// Is asks for a property of an entry: to have it, not to have it, or either.
type Is int8

// The answers that are wanted.
const (
	Any Is = iota
	Yes
	No
)

func (is Is) matches(has bool) bool { return is == Any || (is == Yes) == has }

// A Filter is which entries Flush takes out. The zero value is all of them, the
// interfaces' own addresses too, as bridge fdb flush has it.
type Filter struct {
	Port      Port   // of one port; 0 is all
	Self      bool   // of the bridge's own interface alone, whatever Port says
	VLAN      uint16 // of one VLAN; 0 is all
	Permanent Is
	Static    Is // a permanent entry is static, too
	Sticky    Is
	Extern    Is // ExternLearned
	ByUser    Is // set by hand
}

func (f *Filter) matches(key addr, w what) bool {
	switch {
	case f.Self && w.port() != Local, !f.Self && f.Port != 0 && w.port() != f.Port:
		return false
	case f.VLAN != 0 && key.vlan() != f.VLAN:
		return false
	}
	return f.Permanent.matches(w&local != 0) && f.Static.matches(w&static != 0) && f.Sticky.matches(w&sticky != 0) &&
		f.Extern.matches(w&extern != 0) && f.ByUser.matches(w&byUser != 0)
}

// Flush takes out the entries that f says and returns how many they were.
func (b *Bridge) Flush(f Filter) int {
	before := b.fdb.n
	b.sweep(func(l *line, i int) bool { return f.matches(l.key[i], l.what[i]) })
	return before - b.fdb.n
}

// sweep is the table's, with an event for each entry that goes.
func (b *Bridge) sweep(drop func(l *line, i int) bool) {
	b.fdb.sweep(func(l *line, i int) bool {
		if !drop(l, i) {
			return false
		}
		b.notifyFDB(l, i, true)
		return true
	})
}

// forget takes out entries of the port p, br_fdb_delete_by_port: those that were
// learned, of one VLAN if vid is not 0, or all. Local addresses pass to another
// interface that has them.
func (b *Bridge) forget(p Port, vid uint16, all bool) {
	b.sweep(func(l *line, i int) bool {
		w := l.what[i]
		switch {
		case !w.on(p):
			return false
		case !all && (w&(static|extern) != 0 || vid != 0 && l.key[i].vlan() != vid):
			return false
		}
		return w&local == 0 || !b.inherit(l, i, p)
	})
}
