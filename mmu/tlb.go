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
	l1     [NumPageSizes]array
	stlb   array
	stlb1G array
	walker walker

	// Stat counts since the beginning.
	Stat TLBStat
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
	for p := range t.l1 {
		t.l1[p] = newArray(c.L1[p])
	}
	t.walker.init(c.Walk)
	return t, nil
}

// Touch is an access to the n bytes from va on. It says how often the second level had to
// be asked and knew the page, and how many entries of tables were read for pages that it
// did not know either. A page that is not mapped is walked for every time.
func (t *TLB) Touch(s *Space, va mem.Addr, n int) (stlbHits, refs int) {
	if n <= mem.PageSize && t.Latest(s, va) && t.Latest(s, va+mem.Addr(n)-1) {
		return 0, 0
	}
	return t.touch(s, va, n)
}

// Latest says whether the page at va is the one of its set that was used last, as nearly
// always. An access all of whose pages are that costs nothing and changes nothing, so Touch
// can be left out.
func (t *TLB) Latest(s *Space, va mem.Addr) bool {
	a, page := &t.l1[s.lo%NumPageSizes], va>>(s.shift&63)
	return a.tags[int(uint64(page)&a.mask)*a.ways] == tag(page)<<16|s.low
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
			return size, 0, 0
		}
	}
	for size = s.lo; size <= s.hi; size++ {
		tag := s.tag(va, size)
		if a := t.second(size); a.ways > 0 && a.hit(tag) {
			t.l1[size].put(tag)
			t.Stat.STLBHits++
			return size, 1, 0
		}
	}
	return t.walk(s, va)
}

// walk brings the page at va into both levels.
func (t *TLB) walk(s *Space, va mem.Addr) (size PageSize, hit, refs int) {
	size, refs, ok := t.walker.walk(s, va)
	t.Stat.Walks++
	t.Stat.Refs += uint64(refs)
	if !ok {
		t.Stat.Faults++
		return Page4K, 0, refs
	}
	tag := s.tag(va, size)
	t.second(size).put(tag)
	t.l1[size].put(tag)
	return size, 0, refs
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
	}
	t.stlb.drop(gone)
	t.stlb1G.drop(gone)
	t.walker.drop(gone)
}

// tag is what the page of that size at va has in a TLB.
func (s *Space) tag(va mem.Addr, size PageSize) tag {
	return tagOf(uint64(va>>size.Shift()), s.id, size)
}
