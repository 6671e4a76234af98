package mmu

import (
	"errors"
	"fmt"

	"ringside/mem"
)

// What is wrong with a Map or an Unmap.
var (
	ErrAlign    = errors.New("mmu: not aligned to the page size")
	ErrRange    = errors.New("mmu: outside the addresses there are")
	ErrMapped   = errors.New("mmu: mapped already")
	ErrUnmapped = errors.New("mmu: not mapped")
	ErrSplit    = errors.New("mmu: a part of a larger page")
	ErrPerm     = errors.New("mmu: a page that may be neither read nor written")
)

// A Space is one address space: a radix tree of four levels whose leaves are pages of any
// of the three sizes. It is made by NewSpace or NewGuestSpace.
type Space struct {
	id     uint16
	under  *Space   // of a guest: what its physical addresses go through; nil on the host
	at     mem.Addr // where its tables lie
	tables []*table // the root first
	free   []uint32 // tables that are not in use
	leaves [NumPageSizes]int
	above  []*Space // whose under this is

	// What entries of a TLB for the space can be: from the size lo to hi, those of a guest
	// as large as the smaller of the two pages behind them. While there is one size only,
	// shift and low are what its tags are made with.
	lo, hi PageSize
	shift  uint8
	low    tag
}

// A table is one node: its entries, and how many of them are in use.
type table struct {
	entry [entries]entry
	used  int
}

// An entry of a table: 0 where nothing is.
//
//	63      52 51            12   7   6   5   1   0
//	│          │ page or table │ … │PS │ D │ A │ W │ P │
//	            (a table: its index)
type entry uint64

const (
	entryP  entry = 1 << 0 // may be read, or a table
	entryW  entry = 1 << 1
	entryA  entry = 1 << 5
	entryD  entry = 1 << 6
	entryPS entry = 1 << 7 // a page, on any level; x86 has the bit only above the last
	addrs         = (1<<physBits - 1) &^ (1<<pageShift - 1)
)

func (e entry) page() bool     { return e&entryPS != 0 }
func (e entry) addr() mem.Addr { return mem.Addr(e & addrs) }
func (e entry) index() uint32  { return uint32(e.addr() >> pageShift) }
func (e entry) perm() Perm     { return Perm(e & (entryP | entryW)) }

// NewSpace makes an empty space. The number, up to MaxSpace, tells it from others in a
// TLB, as a PCID or VPID does.
func NewSpace(id uint16) *Space {
	s := &Space{id: id & MaxSpace}
	s.resize()
	return s
}

// NewGuestSpace makes an empty space of a guest whose physical addresses go through
// under, its second-level table (EPT). The guest's tables lie one after the other from its
// physical address at on, where under has to map them for a walk to succeed.
func NewGuestSpace(id uint16, under *Space, at mem.Addr) *Space {
	s := &Space{id: id & MaxSpace, under: under, at: at}
	under.above = append(under.above, s)
	s.resize()
	return s
}

// MaxSpace is the largest number of a space.
const MaxSpace = 1<<14 - 1

// ID is the number of the space.
func (s *Space) ID() uint16 { return s.id }

// Under is the second-level table of a guest's space, nil on the host.
func (s *Space) Under() *Space { return s.under }

// Pages is the number of pages of that size.
func (s *Space) Pages(size PageSize) int { return s.leaves[size] }

// SamePage says that two addresses are in one page, as far as that is known without a look:
// where there are pages of several sizes, whether they would be if it was small.
func (s *Space) SamePage(a, b mem.Addr) bool { return (a^b)>>(s.shift&63) == 0 }

// Tables is the number of tables in use.
func (s *Space) Tables() int { return len(s.tables) - len(s.free) }

// Map maps the n bytes from va on to those from pa on with pages of that size, to which all
// three have to be aligned. Where anything in the range is mapped already, or something else
// is wrong, it changes nothing and returns an error.
func (s *Space) Map(va, pa mem.Addr, n int, size PageSize, p Perm) error {
	if size >= NumPageSizes {
		return fmt.Errorf("%w: %v", ErrAlign, size)
	}
	step := size.Bytes()
	switch {
	case p&^ReadWrite != 0 || p == 0:
		return fmt.Errorf("%w: %v", ErrPerm, p)
	case n <= 0 || (va|pa|mem.Addr(n))&(step-1) != 0:
		return fmt.Errorf("%w: %d bytes from %#x to %#x, pages of %v", ErrAlign, n, uint64(va), uint64(pa), size)
	case va >= 1<<addressBits || mem.Addr(n) > 1<<addressBits-va || pa >= 1<<physBits || mem.Addr(n) > 1<<physBits-pa:
		return fmt.Errorf("%w: %d bytes from %#x to %#x", ErrRange, n, uint64(va), uint64(pa))
	}
	end := va + mem.Addr(n)
	if at, ok := s.first(va, end); ok {
		return fmt.Errorf("%w: the page at %#x, where %d bytes from %#x on were to be mapped", ErrMapped, uint64(at), n, uint64(va))
	}
	leaf := entryPS | entry(p)
	for ; va < end; va, pa = va+step, pa+step {
		t := s.grow(va, size)
		t.entry[index(va, int(size))] = leaf | entry(pa)
		t.used++
	}
	s.count(size, n>>size.Shift())
	return nil
}

// Unmap takes the n bytes from va on out of the space. All of it has to be mapped, in whole
// pages of any sizes; else it changes nothing and returns an error.
func (s *Space) Unmap(va mem.Addr, n int) error {
	if n <= 0 || (va|mem.Addr(n))&(Page4K.Bytes()-1) != 0 {
		return fmt.Errorf("%w: %d bytes from %#x", ErrAlign, n, uint64(va))
	}
	if va >= 1<<addressBits || mem.Addr(n) > 1<<addressBits-va {
		return fmt.Errorf("%w: %d bytes from %#x", ErrRange, n, uint64(va))
	}
	end := va + mem.Addr(n)
	for at := va; at < end; {
		l := s.leaf(at)
		switch {
		case l.entry == nil:
			return fmt.Errorf("%w: %#x", ErrUnmapped, uint64(at))
		case at&(l.size.Bytes()-1) != 0 || l.size.Bytes() > end-at:
			return fmt.Errorf("%w: %#x is in one of %v", ErrSplit, uint64(at), l.size)
		}
		at += l.size.Bytes()
	}
	for va < end {
		size := s.clear(va)
		s.count(size, -1)
		va += size.Bytes()
	}
	return nil
}

// A Translation is what a walk finds.
type Translation struct {
	Addr mem.Addr // physical; of a guest's space, what its second-level table makes of it
	Size PageSize // of the page; of a guest, of the smaller of the two
	Perm Perm     // of a guest, what both allow
	Refs int      // entries of tables that were read on the way
}

// Walk translates va from the root, without any cache. A guest's space is walked in two
// dimensions: each of its tables lies at an address that its second-level table has to
// translate first. ok is false where nothing is mapped; then Refs is what was read until
// that was known, and nothing else counts.
func (s *Space) Walk(va mem.Addr) (t Translation, ok bool) {
	if va >= 1<<addressBits || len(s.tables) == 0 {
		return t, false
	}
	for i, level := uint32(0), levels-1; ; level-- {
		if s.under != nil {
			below, ok := s.under.Walk(s.at + mem.Addr(i)<<pageShift)
			t.Refs += below.Refs
			if !ok {
				return t, false
			}
		}
		t.Refs++
		e := &s.tables[i].entry[index(va, level)]
		switch {
		case *e == 0:
			return t, false
		case !e.page():
			i = e.index()
			continue
		}
		*e |= entryA
		t.Size, t.Perm = PageSize(level), e.perm()
		t.Addr = e.addr() | va&(t.Size.Bytes()-1)
		break
	}
	if s.under == nil {
		return t, true
	}
	below, ok := s.under.Walk(t.Addr)
	return Translation{below.Addr, min(t.Size, below.Size), t.Perm & below.Perm, t.Refs + below.Refs}, ok
}

// Written marks the page at va as written to, as a store does.
func (s *Space) Written(va mem.Addr) {
	if l := s.leaf(va); l.entry != nil {
		*l.entry |= entryA | entryD
	}
}

// Used says whether the page at va was walked to or written since it was mapped or
// ClearUsed was called: its accessed and dirty bits.
func (s *Space) Used(va mem.Addr) (accessed, dirty bool) {
	l := s.leaf(va)
	return l.entry != nil && *l.entry&entryA != 0, l.entry != nil && *l.entry&entryD != 0
}

// ClearUsed takes both bits of the page at va back. A TLB that has the page does not set
// the accessed bit again before it has to walk: it is to be told (TLB.Invalidate).
func (s *Space) ClearUsed(va mem.Addr) {
	if l := s.leaf(va); l.entry != nil {
		*l.entry &^= entryA | entryD
	}
}

// A leaf is the entry of a page, nil if there is none.
type leaf struct {
	entry *entry
	size  PageSize
}

func (s *Space) leaf(va mem.Addr) leaf {
	if va >= 1<<addressBits || len(s.tables) == 0 {
		return leaf{}
	}
	t := s.tables[0]
	for level := levels - 1; ; level-- {
		e := &t.entry[index(va, level)]
		switch {
		case *e == 0:
			return leaf{}
		case e.page():
			return leaf{e, PageSize(level)}
		}
		t = s.tables[e.index()]
	}
}

// index is where in a table of that level, 0 for the last, the entry of va is.
func index(va mem.Addr, level int) int {
	return int(va>>(pageShift+levelBits*level)) & (entries - 1)
}

// first is the first address of a range at which something is mapped.
func (s *Space) first(va, end mem.Addr) (mem.Addr, bool) {
	if len(s.tables) == 0 {
		return 0, false
	}
	for va < end {
		t, level := s.tables[0], levels-1
		for {
			e := t.entry[index(va, level)]
			if e == 0 {
				break
			}
			if e.page() {
				return va, true
			}
			t, level = s.tables[e.index()], level-1
		}
		span := mem.Addr(1) << (pageShift + levelBits*level) // all of it is empty
		va = va&^(span-1) + span
	}
	return 0, false
}

// grow is the table that has the entry of the page at va, made if it must be.
func (s *Space) grow(va mem.Addr, size PageSize) *table {
	if len(s.tables) == 0 {
		s.tables = append(s.tables, new(table))
	}
	t := s.tables[0]
	for level := levels - 1; level > int(size); level-- {
		e := &t.entry[index(va, level)]
		if *e == 0 {
			*e = entryP | entryW | entry(s.newTable())<<pageShift
			t.used++
		}
		t = s.tables[e.index()]
	}
	return t
}

func (s *Space) newTable() uint32 {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		return i
	}
	s.tables = append(s.tables, new(table))
	return uint32(len(s.tables) - 1)
}

// clear takes the page at va, which is there, out of the tree, and the tables that are
// empty without it. It says how large the page was.
func (s *Space) clear(va mem.Addr) PageSize {
	var way [levels]uint32 // the tables from the root on, by level
	level := levels - 1
	for {
		e := &s.tables[way[level]].entry[index(va, level)]
		if e.page() {
			break
		}
		level--
		way[level] = e.index()
	}
	size := PageSize(level)
	for ; level < levels; level++ {
		t := s.tables[way[level]]
		t.entry[index(va, level)] = 0
		if t.used--; t.used > 0 || level == levels-1 {
			break
		}
		s.free = append(s.free, way[level])
	}
	return size
}

// count keeps how many pages of a size there are.
func (s *Space) count(size PageSize, n int) {
	was := s.leaves[size]
	s.leaves[size] += n
	if was == 0 || s.leaves[size] == 0 {
		s.resize()
	}
}

// resize finds out which sizes the space's entries in a TLB can have.
func (s *Space) resize() {
	s.lo, s.hi = NumPageSizes, Page4K
	for size := range NumPageSizes {
		if s.leaves[size] > 0 {
			s.lo, s.hi = min(s.lo, size), size
		}
	}
	if s.lo == NumPageSizes {
		s.lo = Page4K
	}
	if s.under != nil {
		s.lo, s.hi = min(s.lo, s.under.lo), min(s.hi, s.under.hi)
	}
	s.shift, s.low = uint8(s.lo.Shift()), tagOf(0, s.id, s.lo)
	if s.lo != s.hi {
		s.low = noTag
	}
	for _, g := range s.above {
		g.resize()
	}
}
