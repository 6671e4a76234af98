package mmu

import "ringside/mem"

// A TLBConfig is the geometry of a processor's data TLBs and of the caches of its page
// walker. The zero value is a Skylake server.
type TLBConfig struct {
	L1     [NumPageSizes]Geometry // one for each size; 0 means 64 in 4 ways, 32 in 4 ways, 4 in one set
	STLB   Geometry               // second level, for pages of 4 KiB and 2 MiB; 0 means 1536 in 12 ways
	STLB1G Geometry               // second level, for pages of 1 GiB; 0 means 16 in 4 ways
	// Walk is the caches of the walker, by the size of what an entry stands for: one of
	// Walk[Page2M] is a table of the last level, one of Walk[Page1G] a table of the level
	// above. 0 means 32 in 4 ways and 4 in one set. What vendors build they do not say;
	// these are what others have measured. The first is not used.
	Walk [NumPageSizes]Geometry
}

// check fills in the defaults.
func (c *TLBConfig) check() error {
	for _, f := range [...]struct {
		g    *Geometry
		what string
		def  Geometry
	}{
		{&c.L1[Page4K], "L1 TLB for 4k", Geometry{64, 4}},
		{&c.L1[Page2M], "L1 TLB for 2m", Geometry{32, 4}},
		{&c.L1[Page1G], "L1 TLB for 1g", Geometry{4, 4}},
		{&c.STLB, "STLB", Geometry{1536, 12}},
		{&c.STLB1G, "STLB for 1g", Geometry{16, 4}},
		{&c.Walk[Page2M], "walk cache of last-level tables", Geometry{32, 4}},
		{&c.Walk[Page1G], "walk cache of tables above", Geometry{4, 4}},
	} {
		if err := f.g.check(f.what, f.def); err != nil {
			return err
		}
	}
	return nil
}

// A TLB is the translation buffers of one processor. Entries carry the number of their
// space, so going from one space to another flushes nothing.
type TLB struct {
	l1     [NumPageSizes + 1]array // the last is none: an index of two bits needs no check
	stlb   array
	stlb1G array
	walker walker

	latest [NumPageSizes + 1]latest // of l1

	// Stat counts since the beginning.
	Stat TLBStat
}

// A latest is tags each of which was the last to be used of its set: to use it again changes
// nothing, so nobody has to look at the set. Not all sets need be here; a place without is 0.
type latest struct {
	tags [latestTags]tag
	mask uint64 // sets less one; of more sets than latestTags some have one place
	off  bool   // there are no sets
}

const latestTags = 64

// note says that a tag was used.
func (l *latest) note(t tag) {
	if !l.off {
		l.tags[t.page()&l.mask%latestTags] = t
	}
}

// A TLBStat counts accesses that the first level did not know, and what became of them.
type TLBStat struct {
	STLBHits uint64 // the second level knew the page
	Walks    uint64 // nobody did
	Refs     uint64 // entries of tables read in all walks
	Faults   uint64 // of the walks, those that found nothing
}

// Add adds what another has counted.
func (s *TLBStat) Add(o TLBStat) {
	s.STLBHits += o.STLBHits
	s.Walks += o.Walks
	s.Refs += o.Refs
	s.Faults += o.Faults
}

// NewTLB makes empty buffers.
func NewTLB(c TLBConfig) (*TLB, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	t := &TLB{stlb: newArray(c.STLB), stlb1G: newArray(c.STLB1G)}
	for p := range c.L1 {
		t.l1[p] = newArray(c.L1[p])
		t.latest[p] = latest{mask: t.l1[p].mask, off: t.l1[p].ways == 0}
	}
	t.walker.init(c.Walk)
	return t, nil
}

// Touch is an access to the n bytes from va on. It says how often the second level had to
// be asked and knew the page, and how many entries of tables were read for pages that it
// did not know either. A page that is not mapped is walked for every time, and is as large
// as the smallest of the space.
func (t *TLB) Touch(s *Space, va mem.Addr, n int) (stlbHits, refs int) {
	if s.SamePage(va, va+mem.Addr(n)-1) {
		if t.Latest(s, va) {
			return 0, 0
		}
		return t.TouchPage(s, va)
	}
	return t.touch(s, va, n)
}

// TouchPage is Touch of what is known to be in one page.
func (t *TLB) TouchPage(s *Space, va mem.Addr) (stlbHits, refs int) {
	if s.low == noTag { // pages of several sizes
		_, stlbHits, refs = t.page(s, va)
		return stlbHits, refs
	}
	tag := tag(va>>(s.shift&63))<<16 | s.low
	l1 := &t.l1[s.lo&3]
	hit, out := l1.use(tag)
	if hit {
		t.latest[s.lo&3].note(tag)
		return 0, 0
	}
	second := t.second(s.lo)
	hit, out2 := second.use(tag)
	if hit {
		t.latest[s.lo&3].note(tag)
		t.Stat.STLBHits++
		return 1, 0
	}
	_, refs, ok := t.walk(s, va)
	if !ok {
		l1.undo(tag, out)
		second.undo(tag, out2)
		return 0, refs
	}
	t.latest[s.lo&3].note(tag)
	return 0, refs
}

// Latest says whether the page at va is known to be the one of its set that was used last,
// as nearly always. An access all of whose pages are that costs nothing and changes nothing,
// so Touch can be left out.
func (t *TLB) Latest(s *Space, va mem.Addr) bool {
	l, page := &t.latest[s.lo&3], va>>(s.shift&63)
	return l.tags[uint64(page)&l.mask%latestTags] == tag(page)<<16|s.low
}

func (t *TLB) touch(s *Space, va mem.Addr, n int) (stlbHits, refs int) {
	for end := va + mem.Addr(max(n, 1)); ; {
		size, hits, r := t.page(s, va)
		stlbHits, refs = stlbHits+hits, refs+r
		next := va&^(size.Bytes()-1) + size.Bytes()
		if next >= end || next < va {
			return stlbHits, refs
		}
		va = next
	}
}

// page is an access to one page, whose size it says.
func (t *TLB) page(s *Space, va mem.Addr) (size PageSize, hit, refs int) {
	for size = s.lo; size <= s.hi; size++ {
		if a := &t.l1[size]; a.ways > 0 && a.hit(s.tag(va, size)) {
			t.latest[size].note(s.tag(va, size))
			return size, 0, 0
		}
	}
	for size = s.lo; size <= s.hi; size++ {
		tag := s.tag(va, size)
		if a := t.second(size); a.ways > 0 && a.hit(tag) {
			t.l1[size].put(tag)
			t.latest[size].note(tag)
			t.Stat.STLBHits++
			return size, 1, 0
		}
	}
	size, refs, ok := t.walk(s, va)
	if ok {
		tag := s.tag(va, size)
		t.second(size).put(tag)
		t.l1[size].put(tag)
		t.latest[size].note(tag)
	}
	return size, 0, refs
}

// walk finds the page at va. Where there is none it is as large as the space's smallest.
func (t *TLB) walk(s *Space, va mem.Addr) (size PageSize, refs int, ok bool) {
	size, refs, ok = t.walker.walk(s, va)
	t.Stat.Walks++
	t.Stat.Refs += uint64(refs)
	if !ok {
		t.Stat.Faults++
		size = s.lo
	}
	return size, refs, ok
}

// second is the second level for pages of a size.
func (t *TLB) second(size PageSize) *array {
	if size == Page1G {
		return &t.stlb1G
	}
	return &t.stlb
}

// Flush forgets everything, as a processor without PCIDs does when it changes its space.
func (t *TLB) Flush() { t.drop(func(tag) bool { return true }) }

// FlushBut forgets everything that does not belong to the space, as changing it without
// PCIDs leaves what is global.
func (t *TLB) FlushBut(s *Space) { t.drop(func(have tag) bool { return have.space() != s.id }) }

// FlushSpace forgets what belongs to the space.
func (t *TLB) FlushSpace(s *Space) { t.drop(func(have tag) bool { return have.space() == s.id }) }

// Invalidate forgets the pages that have any of the n bytes from va on, and what the
// walker knows of their tables.
func (t *TLB) Invalidate(s *Space, va mem.Addr, n int) {
	last := va + mem.Addr(max(n, 1)) - 1
	t.drop(func(have tag) bool {
		shift := have.size().Shift()
		return have.space() == s.id && have.page() >= uint64(va>>shift) && have.page() <= uint64(last>>shift)
	})
}

func (t *TLB) drop(gone func(tag) bool) {
	for p := range t.l1 {
		t.l1[p].drop(gone)
		t.latest[p].tags = [latestTags]tag{}
	}
	t.stlb.drop(gone)
	t.stlb1G.drop(gone)
	t.walker.drop(gone)
}

// tag is what the page of that size at va has in a TLB.
func (s *Space) tag(va mem.Addr, size PageSize) tag {
	return tagOf(uint64(va>>size.Shift()), s.id, size)
}
