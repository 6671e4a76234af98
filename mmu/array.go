package mmu

import "fmt"

// A Geometry is the size of a set-associative buffer. Of a Config's, the zero value is the
// default and negative Entries are none at all.
type Geometry struct {
	Entries int // as many as Ways times a power of two
	Ways    int // 0 means Entries: any entry may be anywhere
}

// check fills in what is left open and says what is wrong.
func (g *Geometry) check(what string, def Geometry) error {
	switch {
	case *g == Geometry{}:
		*g = def
	case g.Entries < 0:
		*g = Geometry{}
	}
	if g.Entries == 0 {
		return nil
	}
	if g.Ways == 0 {
		g.Ways = g.Entries
	}
	if sets := g.Entries / max(g.Ways, 1); g.Ways < 0 || g.Ways > maxWays || g.Entries > maxEntries || sets*g.Ways != g.Entries || sets&(sets-1) != 0 {
		return fmt.Errorf("mmu: %s: %d entries in sets of %d: up to %d are possible, in a power of two of sets of up to %d", what, g.Entries, g.Ways, maxEntries, maxWays)
	}
	return nil
}

const (
	maxEntries = 1 << 16
	maxWays    = 64
)

// An array is a set-associative buffer of tags. A set keeps its tags in the order in which
// they were used, the last one first, so that the one to go is at its end (LRU).
type array struct {
	tags []tag
	mask uint64 // sets less one
	ways int    // 0: there is no such buffer
}

// A tag says what an entry is for: it holds a page of a size in a space.
//
//	63        16 15      2 1  0
//	│ page      │ space   │ k  │  k: size and one, so that no tag is 0
type tag uint64

// noTag is in no buffer: there is no such page.
const noTag = ^tag(0)

func tagOf(page uint64, space uint16, size PageSize) tag {
	return tag(page<<16 | uint64(space)<<2 | uint64(size) + 1)
}

func (t tag) page() uint64   { return uint64(t >> 16) }
func (t tag) space() uint16  { return uint16(t>>2) & MaxSpace }
func (t tag) size() PageSize { return PageSize(t&3) - 1 }

func newArray(g Geometry) array {
	if g.Entries == 0 {
		return array{tags: make([]tag, 1)}
	}
	return array{make([]tag, g.Entries), uint64(g.Entries/g.Ways - 1), g.Ways}
}

// set is where a tag can be.
func (a *array) set(t tag) []tag {
	i := int(t.page()&a.mask) * a.ways
	return a.tags[i : i+a.ways]
}

// hit says whether the tag is there, and makes it the one used last.
func (a *array) hit(t tag) bool {
	set := a.set(t)
	for i := range set {
		if set[i] == t {
			for ; i > 0; i-- {
				set[i] = set[i-1]
			}
			set[0] = t
			return true
		}
	}
	return false
}

// put makes room for a tag that is not there.
func (a *array) put(t tag) {
	set := a.set(t)
	if len(set) == 0 {
		return
	}
	for i := len(set) - 1; i > 0; i-- {
		set[i] = set[i-1]
	}
	set[0] = t
}

// use is hit, and put where that says no, in one way through the set: a tag that is not there
// comes in, and out is the one that had to go.
func (a *array) use(t tag) (hit bool, out tag) {
	set := a.set(t)
	out = t
	for i := range set {
		set[i], out = out, set[i]
		if out == t {
			return true, out
		}
	}
	return false, out
}

// undo takes back the use of t, which was no hit and had out go.
func (a *array) undo(t, out tag) {
	if set := a.set(t); len(set) > 0 {
		copy(set, set[1:])
		set[len(set)-1] = out
	}
}

// drop takes out the tags for which gone is true.
func (a *array) drop(gone func(tag) bool) {
	if a.ways == 0 {
		return
	}
	for at := 0; at < len(a.tags); at += a.ways {
		set, n := a.tags[at:at+a.ways], 0
		for _, t := range set {
			if t != 0 && !gone(t) {
				set[n] = t
				n++
			}
		}
		clear(set[n:])
	}
}
