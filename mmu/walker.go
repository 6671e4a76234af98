package mmu

import "ringside/mem"

// A walker walks tables for a TLB. It remembers where tables lie (Intel's paging-structure
// caches), so that most walks begin near their end: one reference, where a full walk has
// four. Of a guest it remembers what both walks found, the place in the host's memory.
type walker struct {
	tables [NumPageSizes]array // by what an entry of the table above stands for
}

func (w *walker) init(g [NumPageSizes]Geometry) {
	w.tables[Page2M], w.tables[Page1G] = newArray(g[Page2M]), newArray(g[Page1G])
}

func (w *walker) drop(gone func(tag) bool) {
	for p := range w.tables {
		w.tables[p].drop(gone)
	}
}

// walk translates va, and says how large the page is and how many entries were read.
func (w *walker) walk(s *Space, va mem.Addr) (size PageSize, refs int, ok bool) {
	t, ok := w.translate(s, va)
	return t.Size, t.Refs, ok
}

func (w *walker) translate(s *Space, va mem.Addr) (Translation, bool) {
	full, ok := s.down(va)
	if !ok {
		t, _ := s.Walk(va)
		return t, false
	}
	// The lowest table that is known already.
	from := levels // none: at the root, whose place a guest knows in its own addresses
	for p := max(full.size+1, Page2M); p <= Page1G; p++ {
		if a := &w.tables[p]; a.ways > 0 && a.hit(s.tag(va, p)) {
			from = int(p)
			break
		}
	}
	t := Translation{Addr: full.entry.addr() | va&(full.size.Bytes()-1), Size: full.size, Perm: full.entry.perm()}
	*full.entry |= entryA
	for level := min(from, levels) - 1; level >= int(full.size); level-- {
		if s.under != nil && level != from-1 || s.under != nil && from == levels {
			below, ok := w.translate(s.under, s.at+mem.Addr(full.way[level])<<pageShift)
			t.Refs += below.Refs
			if !ok {
				return t, false
			}
		}
		t.Refs++
		if p := PageSize(level + 1); p <= Page1G && from > int(p) {
			w.tables[p].put(s.tag(va, p))
		}
	}
	if s.under == nil {
		return t, true
	}
	below, ok := w.translate(s.under, t.Addr)
	return Translation{below.Addr, min(t.Size, below.Size), t.Perm & below.Perm, t.Refs + below.Refs}, ok
}

// A path is the way from the root to a page: the tables by level, and its entry.
type path struct {
	way   [levels]uint32
	entry *entry
	size  PageSize
}

// down finds the page at va.
func (s *Space) down(va mem.Addr) (p path, ok bool) {
	if va >= 1<<addressBits || len(s.tables) == 0 {
		return p, false
	}
	for level := levels - 1; ; level-- {
		e := &s.tables[p.way[level]].entry[index(va, level)]
		switch {
		case *e == 0:
			return p, false
		case e.page():
			p.entry, p.size = e, PageSize(level)
			return p, true
		}
		p.way[level-1] = e.index()
	}
}
