package mmu

import "ringside/mem"

// An iotlb remembers translations, not only that there are any: what was unmapped and not
// invalidated goes on being translated. A set is in the order of use, the last first.
type iotlb struct {
	slots []ioEntry
	mask  uint64
	ways  int
}

// An ioEntry is the page of a tag and what may be done with it.
type ioEntry struct {
	tag  tag
	perm Perm
	addr mem.Addr
}

func newIOTLB(g Geometry) iotlb {
	if g.Entries == 0 {
		return iotlb{}
	}
	return iotlb{make([]ioEntry, g.Entries), uint64(g.Entries/g.Ways - 1), g.Ways}
}

func (b *iotlb) set(t tag) []ioEntry {
	i := int(t.page()&b.mask) * b.ways
	return b.slots[i : i+b.ways]
}

// find is the entry of a tag, now the one used last, or nil.
func (b *iotlb) find(t tag) *ioEntry {
	set := b.set(t)
	for i := range set {
		if set[i].tag == t {
			if i > 0 {
				e := set[i]
				copy(set[1:i+1], set[:i])
				set[0] = e
			}
			return &set[0]
		}
	}
	return nil
}

// put makes room for an entry, in the place of one with its tag if there is one.
func (b *iotlb) put(e ioEntry) {
	set := b.set(e.tag)
	if len(set) == 0 {
		return
	}
	at := len(set) - 1
	for i := range set {
		if set[i].tag == e.tag {
			at = i
			break
		}
	}
	copy(set[1:at+1], set[:at])
	set[0] = e
}

// remove forgets one page.
func (b *iotlb) remove(t tag) {
	set := b.set(t)
	for i := range set {
		if set[i].tag == t {
			copy(set[i:], set[i+1:])
			set[len(set)-1] = ioEntry{}
			return
		}
	}
}

// drop forgets what gone says.
func (b *iotlb) drop(gone func(tag) bool) {
	for at := 0; at < len(b.slots); at += b.ways {
		set, n := b.slots[at:at+b.ways], 0
		for _, e := range set {
			if e.tag != 0 && !gone(e.tag) {
				set[n] = e
				n++
			}
		}
		clear(set[n:])
	}
}
