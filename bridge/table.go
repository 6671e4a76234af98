package bridge

import (
	"math/bits"

	"ringside/sim"
)

// A line is three entries in one 64-byte cache line, so that a lookup is one
// miss. Entries are packed: key[i] of 0 says that i and the ones behind it are
// free.
type line struct {
	key     [perLine]addr
	updated [perLine]sim.Time
	what    [perLine]what
	_       uint32
}

// A what is an entry's port, from bit 8 up, and its flags.
type what uint32

const (
	local     what = 1 << iota // an interface's own address
	static                     // does not age
	sticky                     // does not move
	learned                    // counts against MaxLearned
	extern                     // set by a control plane: does not age
	lockedOut                  // seen on a locked port: may not speak yet
	byUser                     // set by hand
	marks     what = 0xff
)

func (p Port) with(f what) what { return what(p)<<8 | f }

// on says that w's port is p.
func (w what) on(p Port) bool { return w>>8 == what(p) }

// same says that w and x have the same port.
func (w what) same(x what) bool { return w^x <= marks }

// refreshes says that a frame from the port with that tag changes nothing in the
// entry but its age.
func (w what) refreshes(tag what) bool { return w&^(marks&^local) == tag }

func (w what) port() Port { return Port(w >> 8) }

// at is w on another port.
func (w what) at(p Port) what { return p.with(w & marks) }

const (
	perLine = 3
	// firstLines is the size of an empty table: 4 KiB.
	firstLines = 64
	// maxProbe is how many lines a lookup reads at the most. In a table that is
	// two thirds full of honest addresses no key is further from its line than
	// about 40; see TestAddressesStayNearHome. The bound is for those that are
	// chosen to collide.
	maxProbe = 64
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

func (l *line) full() bool { return l.key[perLine-1] != 0 }

func (l *line) put(i int, key addr, w what, updated sim.Time) {
	l.key[i], l.what[i], l.updated[i] = key, w, updated
}

func (l *line) move(i int, from *line, j int) {
	l.put(i, from.key[j], from.what[j], from.updated[j])
}

// A table is a hash table of addresses with linear probing by lines. A key whose
// line is full stands in the next one, and so on, at most maxProbe further; all
// lines before it are full. Deleting closes the gap, so there are no tombstones.
// It doubles when two thirds full, which is two entries a line, and never
// shrinks. An address that finds no room within reach is not entered.
type table struct {
	lines   []line
	seed    uint64
	n       int // entries
	learned int // those with the flag
	limit   int // entries at which it grows
}

func newTable(seed uint64) table {
	t := table{seed: seed * mixer}
	t.resize(firstLines)
	return t
}

func (t *table) resize(lines int) {
	t.lines = make([]line, lines)
	t.n, t.learned = 0, 0
	t.limit = lines * perLine / 3 * 2
}

// The multipliers of the hash, odd so that nothing is lost: 2^64 divided by the
// golden ratio, which spreads neighbours evenly, and a number without a pattern.
const (
	golden = 0x9e3779b97f4a7c15
	mixer  = 0xd6e8feb86659fd93
)

// home is the number of the line where key belongs. Multiplying carries every
// bit upwards, so the bytes are turned round in between, and the bits taken are
// from the middle, where all others have come by.
func (t *table) home(key addr) int {
	h := bits.ReverseBytes64((uint64(key)^t.seed)*golden) * mixer
	return int(h>>32) & (len(t.lines) - 1)
}

// largeTable is from how many lines on a table is taken to be in memory and not in
// a cache: 512 KiB, more than half of a core's second level.
const largeTable = 1 << 13

// Large says that the table is so large that it is worth while to call Ahead for
// the frames of a burst.
func (b *Bridge) Large() bool { return len(b.fdb.lines) >= largeTable }

// Ahead reads where the addresses of a frame stand that Handle is to be asked
// about. A processor has many such reads on their way at once, and the answers to
// Handle, which wait for one each, come from its cache then. It changes nothing.
func (b *Bridge) Ahead(frame []byte) {
	if len(frame) >= headerLen {
		dst, src := addresses(frame)
		b.ahead += b.fdb.lines[b.fdb.home(dst)].key[0] + b.fdb.lines[b.fdb.home(src)].key[0]
	}
}

// match is the place of key in the line, if it is there at all: the caller looks.
// It takes no branch, for where in its line a key stands is past predicting.
func (l *line) match(key addr) int {
	second, third := 0, 0
	if l.key[1] == key {
		second = 1
	}
	if l.key[2] == key {
		third = 1
	}
	return second + third*2
}

// find returns the line and the place in it of key, or nil.
func (t *table) find(key addr) (*line, int) {
	at := t.home(key)
	for range maxProbe {
		l := &t.lines[at]
		if i := l.match(key); l.key[i] == key {
			return l, i
		}
		if !l.full() {
			break
		}
		at = (at + 1) & (len(t.lines) - 1)
	}
	return nil, 0
}

// locate is find with the number of the line, -1 if key is not there.
func (t *table) locate(key addr) (at, i int) {
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

// rewrite changes what an entry is, in its place.
func (t *table) rewrite(l *line, i int, w what) {
	if l.what[i]&learned != 0 {
		t.learned--
	}
	if w&learned != 0 {
		t.learned++
	}
	l.what[i] = w
}

// insert enters key, which must not be there, and says whether it could.
func (t *table) insert(key addr, w what, now sim.Time) bool {
	if t.n >= t.limit {
		t.grow()
	}
	for !t.place(key, w, now) {
		// No room within reach. In a crowded table that may be chance; in one
		// that is not half full somebody chose the addresses.
		if t.n < len(t.lines)*perLine/2 {
			return false
		}
		t.grow()
	}
	return true
}

func (t *table) place(key addr, w what, updated sim.Time) bool {
	at := t.home(key)
	for range maxProbe {
		if l := &t.lines[at]; !l.full() {
			l.put(l.used(), key, w, updated)
			t.n++
			if w&learned != 0 {
				t.learned++
			}
			return true
		}
		at = (at + 1) & (len(t.lines) - 1)
	}
	return false
}

// grow doubles the table. The entries are carried over in the order of their
// homes, beginning behind a gap. In that order no entry comes to stand further
// from its home than the furthest did before, since every line has no more
// entries to take than it had, and no more that overflow from those before it:
// so there is always room within reach.
func (t *table) grow() {
	old := t.lines
	mask := len(old) - 1
	first := 0
	for first < mask && old[(first-1)&mask].full() {
		first++
	}
	t.resize(2 * len(old))
	for k := range old {
		home := (first + k) & mask
		for d := range maxProbe {
			l := &old[(home+d)&mask]
			for i := range l.used() {
				if t.home(l.key[i])&mask == home && !t.place(l.key[i], l.what[i], l.updated[i]) {
					panic("bridge: no room in a table twice as large")
				}
			}
			if !l.full() {
				break
			}
		}
	}
}

// remove takes the entry at place i of line at out, and closes the gap: the last
// entry of the line moves up, and a line that was full takes back one that had
// to go on from it.
func (t *table) remove(at, i int) {
	t.n--
	if t.lines[at].what[i]&learned != 0 {
		t.learned--
	}
	for {
		l := &t.lines[at]
		last := l.used() - 1
		l.move(i, l, last)
		l.put(last, 0, 0, 0)
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
		if !l.full() {
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
