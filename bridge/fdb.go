package bridge

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"

	"ringside/sim"
)

// A Kind says how an entry came into the table and what can become of it.
type Kind uint8

// The kinds, in bridge(8)'s words.
const (
	Dynamic   Kind = iota // learned from traffic; ages
	Static                // set by hand; does not age, but moves unless sticky
	Permanent             // an address of the bridge's own or of a port: goes up
)

// String is the kind's name.
func (k Kind) String() string { return name(kindNames[:], k) }

var kindNames = [...]string{"dynamic", "static", "permanent"}

// An Entry is one address of the forwarding database, for display.
type Entry struct {
	MAC     MAC
	VLAN    uint16   // always 0 so far
	Port    Port     // where the station is; Local for the bridge's own address
	Kind    Kind     //
	Sticky  bool     // does not move
	Stale   bool     // has aged, and waits for the next walk to take it out
	Updated sim.Time // the station's last frame; 0 if there was none
}

// AddLocal enters mac as an address of the interface p, a port or Local itself:
// frames to it go up and nowhere else. An address that is local already stays
// with its first interface, and one that was learned or set is replaced.
func (b *Bridge) AddLocal(mac MAC, p Port) error {
	if !mac.Station() {
		return fmt.Errorf("bridge: local entry: %w: %v", ErrAddress, mac)
	}
	if !b.has(p) {
		return fmt.Errorf("bridge: local entry %v: %w: %d", mac, ErrNoPort, p)
	}
	if err := b.addLocal(mac.addr(), p); err != nil {
		return fmt.Errorf("bridge: local entry %v: %w", mac, err)
	}
	return nil
}

func (b *Bridge) addLocal(a addr, p Port) error {
	if l, i := b.fdb.find(a); l != nil && l.flags[i]&local != 0 {
		return nil
	}
	return b.fdb.set(a, p, local|static)
}

// AddStatic enters mac as a station on the port p that does not age. A frame
// from it on another port moves it there, as in Linux, unless it is sticky. What
// was in the table for mac is replaced.
func (b *Bridge) AddStatic(mac MAC, p Port, stick bool) error {
	if !mac.Station() {
		return fmt.Errorf("bridge: static entry: %w: %v", ErrAddress, mac)
	}
	if p == Local || !b.has(p) {
		return fmt.Errorf("bridge: static entry %v: %w: %d", mac, ErrNoPort, p)
	}
	flags := static
	if stick {
		flags |= sticky
	}
	if err := b.fdb.set(mac.addr(), p, flags); err != nil {
		return fmt.Errorf("bridge: static entry %v: %w", mac, err)
	}
	return nil
}

// Delete takes the entry of mac out, of whatever kind, and says whether there
// was one.
func (b *Bridge) Delete(mac MAC) bool {
	at, i := b.fdb.locate(mac.addr())
	if at < 0 {
		return false
	}
	b.fdb.remove(at, i)
	return true
}

// Lookup is the entry of mac as it is at the time now.
func (b *Bridge) Lookup(mac MAC, now sim.Time) (Entry, bool) {
	l, i := b.fdb.find(mac.addr())
	if l == nil {
		return Entry{}, false
	}
	return b.entry(l, i, now), true
}

// Len is the number of entries of all kinds.
func (b *Bridge) Len() int { return b.fdb.n }

// Learned is the number of entries learned from traffic, which MaxLearned bounds.
func (b *Bridge) Learned() int { return b.fdb.learned }

// Entries is all entries as they are at the time now, sorted by address.
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
	e := Entry{
		MAC:     macOf(l.key[i] & addrMask),
		VLAN:    uint16(l.key[i] >> 48),
		Port:    Port(l.port[i]),
		Sticky:  l.flags[i]&sticky != 0,
		Updated: l.updated[i],
	}
	switch {
	case l.flags[i]&local != 0:
		e.Kind = Permanent
	case l.flags[i]&static != 0:
		e.Kind = Static
	default:
		e.Stale = b.expired(l, i, now)
	}
	return e
}

// forget takes out every entry of the port p, which is gone already. Local
// addresses pass to another interface that has them.
func (b *Bridge) forget(p Port) {
	b.fdb.sweep(func(l *line, i int) bool {
		if l.port[i] != uint16(p) {
			return false
		}
		if l.flags[i]&local == 0 {
			return true
		}
		mac := macOf(l.key[i] & addrMask)
		for _, q := range append(b.Ports(), Local) {
			if b.ports[q].MAC == mac {
				l.port[i] = uint16(q)
				return false
			}
		}
		return true
	})
}

// Flags of an entry.
const (
	local   uint8 = 1 << iota // an interface's own address
	static                    // does not age
	sticky                    // does not move
	learned                   // counts against MaxLearned
)

// A line is three entries in one 64-byte cache line, so that a lookup is one
// miss. Entries are packed: key[i] of 0 says that i and the ones behind it are
// free, and no key is 0, for zero is not the address of a station.
type line struct {
	key     [perLine]uint64 // address, and the VLAN from bit 48 up
	updated [perLine]sim.Time
	port    [perLine]uint16
	flags   [perLine]uint8
}

const (
	perLine = 3
	// firstLines is the size of an empty table: 4 KiB.
	firstLines = 64
	// maxProbe is how many lines a key may stand behind its own. With honest
	// addresses a table that is three quarters full has none behind the 20th;
	// see TestHonestAddressesStayNearHome. It is what bounds a lookup when
	// addresses are chosen to collide.
	maxProbe = 32
	// maxEntries bounds what a configuration may ask for.
	maxEntries = 1 << 28
)

func (l *line) used() int {
	for i := range l.key {
		if l.key[i] == 0 {
			return i
		}
	}
	return perLine
}

func (l *line) put(i int, key uint64, p Port, flags uint8, updated sim.Time) {
	l.key[i], l.port[i], l.flags[i], l.updated[i] = key, uint16(p), flags, updated
}

func (l *line) move(i int, from *line, j int) {
	l.put(i, from.key[j], Port(from.port[j]), from.flags[j], from.updated[j])
}

// A table is a hash table of addresses with linear probing by lines. A key whose
// line is full stands in the next one, and so on, at most maxProbe further; all
// lines before it are full. Deleting closes the gap, so there are no tombstones.
// It doubles when three quarters full and never shrinks.
type table struct {
	lines   []line
	shift   uint // a hash's top bits are the number of its line
	seed    uint64
	n       int // entries
	learned int // those with the flag
	limit   int // entries at which it grows
}

func newTable(seed uint64) table {
	t := table{seed: mix(seed)}
	t.resize(firstLines)
	return t
}

func (t *table) resize(lines int) {
	t.lines = make([]line, lines)
	t.shift = uint(64 - bits.Len(uint(lines-1)))
	t.n, t.learned = 0, 0
	t.limit = lines * perLine * 3 / 4
}

// multiplier is 2^64 divided by the golden ratio, made odd: it spreads
// neighbouring keys evenly.
const multiplier = 0x9e3779b97f4a7c15

func mix(x uint64) uint64 {
	hi, lo := bits.Mul64(x^0x6a09e667f3bcc909, multiplier)
	return hi ^ lo
}

// home is the line where key belongs.
func (t *table) home(key uint64) int {
	hi, lo := bits.Mul64(key^t.seed, multiplier)
	return int((hi ^ lo) >> t.shift)
}

// find returns the line and the place in it of key, or nil.
func (t *table) find(key uint64) (*line, int) {
	at := t.home(key)
	for range maxProbe {
		l := &t.lines[at]
		switch key {
		case l.key[0]:
			return l, 0
		case l.key[1]:
			return l, 1
		case l.key[2]:
			return l, 2
		}
		if l.key[perLine-1] == 0 {
			return nil, 0
		}
		at = (at + 1) & (len(t.lines) - 1)
	}
	return nil, 0
}

// locate is find with the number of the line, -1 if key is not there.
func (t *table) locate(key uint64) (at, i int) {
	at = t.home(key)
	for range maxProbe {
		l := &t.lines[at]
		for i, k := range l.key {
			if k == key {
				return at, i
			}
		}
		at = (at + 1) & (len(t.lines) - 1)
	}
	return -1, 0
}

// set enters key, over what was there for it.
func (t *table) set(key uint64, p Port, flags uint8) error {
	l, i := t.find(key)
	if l == nil {
		if !t.insert(key, p, flags, 0) {
			return ErrFull
		}
		return nil
	}
	if l.flags[i]&learned != 0 {
		t.learned--
	}
	l.port[i], l.flags[i] = uint16(p), flags
	return nil
}

// insert enters key, which must not be there, and says whether it could.
func (t *table) insert(key uint64, p Port, flags uint8, now sim.Time) bool {
	if t.n >= t.limit {
		t.grow()
	}
	for !t.place(key, p, flags, now) {
		// No room within reach. In a crowded table that is chance; in an
		// empty one somebody chose the addresses.
		if t.n < len(t.lines)*perLine/4 || !t.grow() {
			return false
		}
	}
	return true
}

func (t *table) place(key uint64, p Port, flags uint8, updated sim.Time) bool {
	at := t.home(key)
	for range maxProbe {
		if l := &t.lines[at]; l.key[perLine-1] == 0 {
			l.put(l.used(), key, p, flags, updated)
			t.n++
			if flags&learned != 0 {
				t.learned++
			}
			return true
		}
		at = (at + 1) & (len(t.lines) - 1)
	}
	return false
}

// grow doubles the table and says whether it could: addresses chosen to collide
// may find no room within reach in the new one either. Then it stays as it is
// and does not try again.
func (t *table) grow() bool {
	if t.limit == len(t.lines)*perLine {
		return false
	}
	next := *t
	next.resize(2 * len(t.lines))
	for at := range t.lines {
		l := &t.lines[at]
		for i := range l.used() {
			if !next.place(l.key[i], Port(l.port[i]), l.flags[i], l.updated[i]) {
				t.limit = len(t.lines) * perLine
				return false
			}
		}
	}
	*t = next
	return true
}

// remove takes the entry at place i of line at out, and closes the gap: the last
// entry of the line moves up, and a line that was full takes back one that had
// to go on from it.
func (t *table) remove(at, i int) {
	t.n--
	if t.lines[at].flags[i]&learned != 0 {
		t.learned--
	}
	for {
		l := &t.lines[at]
		last := l.used() - 1
		l.move(i, l, last)
		l.put(last, 0, 0, 0, 0)
		if last < perLine-1 {
			return
		}
		from, j := t.successor(at)
		if from < 0 {
			return
		}
		l.move(last, &t.lines[from], j)
		at, i = from, j
	}
}

// successor finds an entry behind the line at that may stand in it.
func (t *table) successor(at int) (from, i int) {
	mask := len(t.lines) - 1
	for d := 1; d < maxProbe; d++ {
		from = (at + d) & mask
		l := &t.lines[from]
		for i = range l.used() {
			if (from-t.home(l.key[i]))&mask >= d {
				return from, i
			}
		}
		if l.used() < perLine {
			break
		}
	}
	return -1, 0
}

// sweep shows every entry to drop and takes out those it says. An entry may be
// shown twice.
func (t *table) sweep(drop func(l *line, i int) bool) {
	for at := range t.lines {
		l := &t.lines[at]
		for i := 0; i < perLine && l.key[i] != 0; {
			if drop(l, i) {
				t.remove(at, i)
			} else {
				i++
			}
		}
	}
}
