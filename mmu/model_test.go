package mmu_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/mem"
	"ringside/mmu"
	"ringside/sim"
)

// A slowPage is a page of the models below, which keep all of them in a list.
type slowPage struct {
	va, pa mem.Addr
	size   mmu.PageSize
	perm   mmu.Perm
}

func (p slowPage) end() mem.Addr { return p.va + p.size.Bytes() }

type slowSpace []slowPage

func (s slowSpace) at(va mem.Addr) (slowPage, bool) {
	i := slices.IndexFunc(s, func(p slowPage) bool { return p.va <= va && va < p.end() })
	if i < 0 {
		return slowPage{}, false
	}
	return s[i], true
}

// mapped is Space.Map by the letter.
func (s *slowSpace) mapped(va, pa mem.Addr, n int, size mmu.PageSize, perm mmu.Perm) error {
	step := size.Bytes()
	switch end := va + mem.Addr(n); {
	case perm == 0:
		return mmu.ErrPerm
	case n <= 0 || va%step != 0 || pa%step != 0 || mem.Addr(n)%step != 0:
		return mmu.ErrAlign
	case end > 1<<48 || pa+mem.Addr(n) > 1<<52:
		return mmu.ErrRange
	case slices.ContainsFunc(*s, func(p slowPage) bool { return p.va < end && va < p.end() }):
		return mmu.ErrMapped
	}
	for off := mem.Addr(0); off < mem.Addr(n); off += step {
		*s = append(*s, slowPage{va + off, pa + off, size, perm})
	}
	return nil
}

// unmapped is Space.Unmap.
func (s *slowSpace) unmapped(va mem.Addr, n int) error {
	if n <= 0 || (va|mem.Addr(n))%4096 != 0 {
		return mmu.ErrAlign
	}
	end := va + mem.Addr(n)
	if end > 1<<48 {
		return mmu.ErrRange
	}
	for at := va; at < end; {
		p, ok := s.at(at)
		switch {
		case !ok:
			return mmu.ErrUnmapped
		case p.va != at || p.end() > end:
			return mmu.ErrSplit
		}
		at = p.end()
	}
	*s = slices.DeleteFunc(*s, func(p slowPage) bool { return p.va >= va && p.va < end })
	return nil
}

// somewhere is an address in one of a few places that lie close together and far apart:
// neighbours, other tables of every level, both ends.
func somewhere(r *rand.Rand) mem.Addr {
	bases := [...]mem.Addr{0, 1 << 21, 1 << 30, 1<<30 - 1<<21, 1 << 39, 1<<48 - 1<<31, 1<<48 - 1<<21}
	a := bases[r.IntN(len(bases))] + mem.Addr(r.IntN(6))<<12 + mem.Addr(r.IntN(3))<<21 + mem.Addr(r.IntN(2))<<30
	if r.IntN(10) == 0 {
		a += mem.Addr(r.IntN(4096))
	}
	return a
}

// Maps, unmaps and walks in random order: the tree has what a list of pages has, refuses
// what that refuses for the same reason, changes nothing then, and gives its tables back.
func TestPageTablesAreAListOfPages(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 5))
		s, slow := mmu.NewSpace(7), slowSpace{}
		for step := range 400 {
			size := mmu.PageSize(r.IntN(3))
			va := somewhere(r)
			if r.IntN(4) > 0 {
				va &^= size.Bytes() - 1
			}
			n := int(size.Bytes()) * r.IntN(4)
			var got, want error
			switch r.IntN(3) {
			case 0:
				pa, perm := mem.Addr(r.Uint64N(1<<22))<<30, mmu.Perm(r.IntN(4))
				got, want = s.Map(va, pa, n, size, perm), slow.mapped(va, pa, n, size, perm)
			case 1:
				if len(slow) > 0 && r.IntN(3) > 0 {
					p := slow[r.IntN(len(slow))]
					va, n = p.va, int(p.size.Bytes())
				}
				got, want = s.Unmap(va, n), slow.unmapped(va, n)
			default:
				va = somewhere(r)
				have, ok := s.Walk(va)
				p, mapped := slow.at(va)
				require.Equal(t, mapped, ok, "seed %d step %d: %#x", seed, step, va)
				if ok {
					require.Equal(t, mmu.Translation{Addr: p.pa + va - p.va, Size: p.size, Perm: p.perm, Refs: p.size.Levels()}, have)
				}
				continue
			}
			require.True(t, errors.Is(got, want) && (got == nil) == (want == nil), "seed %d step %d: %v, want %v", seed, step, got, want)
		}
		pages := [mmu.NumPageSizes]int{}
		for _, p := range slow {
			pages[p.size]++
		}
		for size, n := range pages {
			require.Equal(t, n, s.Pages(mmu.PageSize(size)))
		}
		for _, p := range slow {
			require.NoError(t, s.Unmap(p.va, int(p.size.Bytes())))
		}
		require.LessOrEqual(t, s.Tables(), 1, "seed %d: an empty space has its root", seed)
	}
}

func TestAccessedAndDirtyBits(t *testing.T) {
	s := mmu.NewSpace(1)
	require.NoError(t, s.Map(0x1000, 0x5000, 4096, mmu.Page4K, mmu.ReadWrite))
	used := func() [2]bool { a, d := s.Used(0x1fff); return [2]bool{a, d} }
	require.Equal(t, [2]bool{false, false}, used())
	s.Walk(0x1800)
	require.Equal(t, [2]bool{true, false}, used())
	s.ClearUsed(0x1000)
	s.Written(0x1234)
	require.Equal(t, [2]bool{true, true}, used())
	a, d := s.Used(0x2000)
	require.False(t, a || d, "nothing is mapped there")
}

// A slowTLB keeps every page that was ever used, with the time of its last use, and finds
// out which of them a set-associative buffer with LRU still has.
type slowTLB struct {
	sets, ways int
	used       []slowUse // the latest last
}

type slowUse struct {
	space uint16
	page  uint64
	size  mmu.PageSize
}

func (b *slowTLB) use(u slowUse, fill bool) bool {
	set, rank := u.page%uint64(b.sets), 0
	for i := len(b.used) - 1; i >= 0 && rank < b.ways; i-- {
		v := b.used[i]
		if v == u {
			b.used = append(slices.Delete(b.used, i, i+1), u)
			return true
		}
		if v.page%uint64(b.sets) == set {
			rank++
		}
	}
	if fill {
		b.used = append(slices.DeleteFunc(b.used, func(v slowUse) bool { return v == u }), u)
	}
	return false
}

// forget takes out the pages of a space, and first those that had to go before.
func (b *slowTLB) forget(s *mmu.Space) {
	var left []slowUse
	rank := make([]int, b.sets)
	for _, u := range slices.Backward(b.used) {
		if set := u.page % uint64(b.sets); rank[set] < b.ways {
			rank[set]++
			left = append(left, u)
		}
	}
	slices.Reverse(left)
	b.used = slices.DeleteFunc(left, func(u slowUse) bool { return u.space == s.ID() })
}

// Random accesses of two spaces: hits and misses are those of the slow model, and so are
// references where the walker remembers nothing.
func TestTLBAgainstASlowModel(t *testing.T) {
	none := mmu.Geometry{Entries: -1}
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 9))
		cfg := mmu.TLBConfig{STLB: mmu.Geometry{Entries: 24, Ways: 6}, STLB1G: mmu.Geometry{Entries: 4, Ways: 2}}
		cfg.L1 = [3]mmu.Geometry{{Entries: 8, Ways: 2}, {Entries: 4, Ways: 4}, {Entries: 2, Ways: 1}}
		cfg.Walk = [3]mmu.Geometry{{}, none, none}
		tlb, err := mmu.NewTLB(cfg)
		require.NoError(t, err)
		l1 := [3]*slowTLB{{sets: 4, ways: 2}, {sets: 1, ways: 4}, {sets: 2, ways: 1}}
		stlb, stlb1g := &slowTLB{sets: 4, ways: 6}, &slowTLB{sets: 2, ways: 2}

		var spaces [2]*mmu.Space
		for i := range spaces {
			s := mmu.NewSpace(uint16(i + 1))
			require.NoError(t, s.Map(0, 0, 32<<12, mmu.Page4K, mmu.Read))
			require.NoError(t, s.Map(1<<30, 0, 8<<21, mmu.Page2M, mmu.Read))
			if seed%2 == 0 {
				require.NoError(t, s.Map(1<<39, 0, 6<<30, mmu.Page1G, mmu.Read))
			}
			spaces[i] = s
		}
		var want mmu.TLBStat
		for range 3000 {
			s := spaces[r.IntN(2)]
			va := [...]mem.Addr{mem.Addr(r.IntN(33 << 12)), 1<<30 + mem.Addr(r.IntN(8<<21)), 1<<39 + mem.Addr(r.IntN(6<<30))}[r.IntN(3)]
			n := 1 + r.IntN(9000)
			hits, refs := 0, 0
			for at := va; at < va+mem.Addr(n); {
				w, ok := s.Walk(at)
				if !ok {
					refs += w.Refs
					want.Walks, want.Faults = want.Walks+1, want.Faults+1
					at = at&^4095 + 4096
					continue
				}
				u := slowUse{s.ID(), uint64(at) / uint64(w.Size.Bytes()), w.Size}
				second := stlb
				if w.Size == mmu.Page1G {
					second = stlb1g
				}
				if !l1[w.Size].use(u, true) {
					if second.use(u, true) {
						hits++
					} else {
						refs += w.Refs
						want.Walks++
					}
				}
				at = at&^(w.Size.Bytes()-1) + w.Size.Bytes()
			}
			want.STLBHits, want.Refs = want.STLBHits+uint64(hits), want.Refs+uint64(refs)
			gotHits, gotRefs := tlb.Touch(s, va, n)
			require.Equal(t, [2]int{hits, refs}, [2]int{gotHits, gotRefs}, "seed %d: %d bytes at %#x", seed, n, va)
			if r.IntN(200) == 0 {
				tlb.Flush()
				for _, b := range []*slowTLB{l1[0], l1[1], l1[2], stlb, stlb1g} {
					b.used = nil
				}
			}
		}
		require.Equal(t, want, tlb.Stat)
	}
}

// Spaces whose pages are all of one size take a shorter way, and the pages that were used last
// a shorter one still: with buffers of few sets, of more than are remembered so, and with none,
// where nothing is mapped and across flushes, hits and misses are those of the slow model.
func TestSpacesOfOnePageSizeAgainstASlowModel(t *testing.T) {
	none := mmu.Geometry{Entries: -1}
	for _, tt := range []struct {
		name       string
		l1         mmu.Geometry
		sets, ways int
	}{
		{"few sets", mmu.Geometry{Entries: 8, Ways: 2}, 4, 2},
		{"one set", mmu.Geometry{Entries: 4}, 1, 4},
		{"more sets than are remembered", mmu.Geometry{Entries: 256, Ways: 2}, 128, 2},
		{"no first level", none, 1, 0},
	} {
		for seed := range uint64(24) {
			size := mmu.PageSize(seed % 3)
			cfg := mmu.TLBConfig{STLB: mmu.Geometry{Entries: 24, Ways: 6}, STLB1G: mmu.Geometry{Entries: 4, Ways: 2}}
			cfg.L1 = [3]mmu.Geometry{tt.l1, tt.l1, tt.l1}
			cfg.Walk = [3]mmu.Geometry{{}, none, none}
			tlb, err := mmu.NewTLB(cfg)
			require.NoError(t, err)
			l1, second := &slowTLB{sets: tt.sets, ways: tt.ways}, &slowTLB{sets: 4, ways: 6}
			if size == mmu.Page1G {
				second = &slowTLB{sets: 2, ways: 2}
			}
			const pages = 300
			var spaces [2]*mmu.Space
			for i := range spaces {
				spaces[i] = mmu.NewSpace(uint16(i + 1))
				require.NoError(t, spaces[i].Map(0, 0, pages<<size.Shift(), size, mmu.Read))
			}
			r, at, want := rand.New(rand.NewPCG(seed, 17)), mem.Addr(0), mmu.TLBStat{}
			for step := range 4000 {
				s := spaces[r.IntN(2)]
				switch r.IntN(4) { // near, far, and often where it was
				case 0:
					at = mem.Addr(r.IntN(8)) << size.Shift()
				case 1:
					at = mem.Addr(r.IntN(pages+2))<<size.Shift() + mem.Addr(r.IntN(4096))
				}
				u, hits, refs := slowUse{s.ID(), uint64(at >> size.Shift()), size}, 0, 0
				w, mapped := s.Walk(at)
				switch {
				case !mapped:
					refs, want.Walks, want.Faults = w.Refs, want.Walks+1, want.Faults+1
				case l1.use(u, true):
				case second.use(u, true):
					hits = 1
				default:
					refs, want.Walks = w.Refs, want.Walks+1
				}
				want.STLBHits, want.Refs = want.STLBHits+uint64(hits), want.Refs+uint64(refs)
				if tlb.Latest(s, at) {
					require.Zero(t, hits+refs, "%s, seed %d, step %d: the latest of its set is missed", tt.name, seed, step)
				}
				touch := tlb.TouchPage
				if r.IntN(2) == 0 {
					touch = func(s *mmu.Space, at mem.Addr) (int, int) { return tlb.Touch(s, at, 1) }
				}
				gotHits, gotRefs := touch(s, at)
				require.Equal(t, [2]int{hits, refs}, [2]int{gotHits, gotRefs}, "%s, seed %d, step %d: %#x", tt.name, seed, step, at)
				switch r.IntN(300) {
				case 0:
					tlb.Flush()
					l1.used, second.used = nil, nil
				case 1:
					tlb.FlushSpace(s)
					l1.forget(s)
					second.forget(s)
				}
			}
			require.Equal(t, want, tlb.Stat)
		}
	}
}

// An access over three pages of which only the middle one is unknown misses that one.
func TestPageBetweenTwoKnownOnesMisses(t *testing.T) {
	tlb, err := mmu.NewTLB(mmu.TLBConfig{})
	require.NoError(t, err)
	s := mmu.NewSpace(1)
	require.NoError(t, s.Map(0, 0, 3<<12, mmu.Page4K, mmu.Read))
	tlb.Touch(s, 0, 1)
	tlb.Touch(s, 2<<12, 1)
	_, refs := tlb.Touch(s, 4095, 4098)
	require.Equal(t, 1, refs)
	_, refs = tlb.Touch(s, 0, 3<<12)
	require.Zero(t, refs)
}

// What is invalidated is walked for again, and nothing else is.
func TestInvalidateForgetsThePagesItNames(t *testing.T) {
	tlb, err := mmu.NewTLB(mmu.TLBConfig{})
	require.NoError(t, err)
	a, b := mmu.NewSpace(1), mmu.NewSpace(2)
	for _, s := range []*mmu.Space{a, b} {
		require.NoError(t, s.Map(0, 0, 8<<12, mmu.Page4K, mmu.Read))
		tlb.Touch(s, 0, 8<<12)
	}
	walks := func(s *mmu.Space, page int) uint64 {
		before := tlb.Stat.Walks
		tlb.Touch(s, mem.Addr(page)<<12, 1)
		return tlb.Stat.Walks - before
	}
	tlb.Invalidate(a, 2<<12, 4097)
	for page, want := range []uint64{0, 0, 1, 1, 0, 0, 0, 0} {
		require.Equal(t, want, walks(a, page), "page %d", page)
		require.Zero(t, walks(b, page), "of the other space")
	}
	tlb.FlushSpace(a)
	require.EqualValues(t, 1, walks(a, 0))
	require.Zero(t, walks(b, 0))
	tlb.FlushBut(a)
	require.Zero(t, walks(a, 0))
	require.EqualValues(t, 1, walks(b, 0))
}

// The walker's caches leave one entry to read of a page whose table is known, and of a
// guest one for its own table and one for the last translation.
func TestWalkerBeginsWhereItKnowsTheWay(t *testing.T) {
	host := mmu.NewSpace(1)
	require.NoError(t, host.Map(0, 0, 8<<21, mmu.Page4K, mmu.ReadWrite))
	require.NoError(t, host.Map(1<<40, 1<<33, 1<<21, mmu.Page4K, mmu.ReadWrite))
	guest := mmu.NewGuestSpace(2, host, 1<<40)
	require.NoError(t, guest.Map(0, 0, 8<<21, mmu.Page4K, mmu.ReadWrite))
	for _, tt := range []struct {
		s     *mmu.Space
		first int
		next  int
	}{{host, 4, 1}, {guest, 24, 2}} {
		tlb, err := mmu.NewTLB(mmu.TLBConfig{})
		require.NoError(t, err)
		_, refs := tlb.Touch(tt.s, 0, 1)
		require.LessOrEqual(t, refs, tt.first)
		require.Greater(t, refs, tt.next)
		_, refs = tlb.Touch(tt.s, 4096, 1)
		require.Equal(t, tt.next, refs)
	}
}

func TestGeometryIsChecked(t *testing.T) {
	for _, g := range []mmu.Geometry{{Entries: 10, Ways: 4}, {Entries: 12, Ways: 4}, {Entries: 1 << 20, Ways: 4}, {Entries: 8, Ways: -1}, {Entries: 128}, {Ways: 4}} {
		_, err := mmu.NewTLB(mmu.TLBConfig{STLB: g})
		if g == (mmu.Geometry{Ways: 4}) {
			require.NoError(t, err, "no entries")
			continue
		}
		require.Error(t, err, "%+v", g)
		_, err = mmu.NewIOMMU(mmu.IOMMUConfig{TLB: g})
		require.Error(t, err, "%+v", g)
	}
	for name, want := range map[string]mmu.PageSize{"4k": mmu.Page4K, "2m": mmu.Page2M, "1g": mmu.Page1G} {
		got, err := mmu.ParsePageSize(name)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, name, got.String())
	}
	_, err := mmu.ParsePageSize("4K")
	require.EqualError(t, err, `mmu: pages of "4K": use 4k, 2m or 1g`)
}

// A slowIOMMU is lists of pages, and of those that were unmapped and may still be reached.
type slowIOMMU struct {
	pages [2]slowSpace
	stale [2]slowSpace
	in    map[mmu.Source]int
	mem   [2]*mem.Memory
}

// FuzzIOMMU maps, unmaps, attaches, detaches, flushes and translates as the input says. No
// access gets memory that a list of pages does not allow it, or did before an invalidation
// that is still due; every refusal is counted; and with strict invalidation there is
// nothing that is still due.
func FuzzIOMMU(f *testing.F) {
	f.Add(false, uint64(1))
	f.Add(true, uint64(2))
	f.Fuzz(func(t *testing.T, strict bool, seed uint64) { playIOMMU(t, strict, seed) })
}

func TestIOMMUAgainstListsOfPages(t *testing.T) {
	for seed := range uint64(80) {
		playIOMMU(t, seed%2 == 0, seed)
	}
}

func playIOMMU(t *testing.T, strict bool, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 16))
	cfg := mmu.IOMMUConfig{TLB: mmu.Geometry{Entries: 8, Ways: 2}, Faults: 5}
	if strict {
		cfg.Invalidation = mmu.Strict
	}
	u, err := mmu.NewIOMMU(cfg)
	require.NoError(t, err)
	slow := slowIOMMU{in: map[mmu.Source]int{}, mem: [2]*mem.Memory{mem.New(8 << 21), mem.New(64 << 12)}}
	var domains [2]*mmu.Domain
	for i := range domains {
		domains[i] = u.NewDomain([]string{"a", "b"}[i], slow.mem[i])
	}
	faults, now := uint64(0), sim.Time(0)
	for range 600 {
		now += sim.Time(r.IntN(1000)) * sim.Microsecond / 100
		i := r.IntN(2)
		d, pages := domains[i], &slow.pages[i]
		size := mmu.PageSize(r.IntN(2))
		iova := (mem.Addr(r.IntN(12))<<12 + mem.Addr(r.IntN(3))<<21) &^ (size.Bytes() - 1)
		switch r.IntN(8) {
		case 0, 1:
			pa, perm, n := mem.Addr(r.IntN(72))<<12&^(size.Bytes()-1), mmu.Perm(1+r.IntN(3)), int(size.Bytes())
			inside := int(pa)+n <= slow.mem[i].Size()
			got := d.Map(iova, pa, n, size, perm)
			if !inside {
				require.ErrorIs(t, got, mem.ErrFault)
				continue
			}
			want := pages.mapped(iova, pa, n, size, perm)
			require.True(t, errors.Is(got, want) && (got == nil) == (want == nil), "%v, want %v", got, want)
		case 2:
			var gone slowPage
			if len(*pages) > 0 {
				gone = (*pages)[r.IntN(len(*pages))]
			}
			n := int(gone.size.Bytes())
			want := pages.unmapped(gone.va, n)
			flushed, got := d.Unmap(gone.va, n, now)
			require.True(t, errors.Is(got, want) && (got == nil) == (want == nil), "%v, want %v", got, want)
			switch {
			case flushed:
				slow.stale = [2]slowSpace{}
			case got == nil:
				slow.stale[i] = append(slow.stale[i], gone)
			}
			require.False(t, strict && got == nil && !flushed)
		case 3:
			src := mmu.Source(r.IntN(4))
			_, taken := slow.in[src]
			require.Equal(t, taken, u.Attach(src, d) != nil)
			if !taken {
				slow.in[src] = i
			}
		case 4:
			if r.IntN(3) == 0 {
				src := mmu.Source(r.IntN(4))
				u.Detach(src)
				delete(slow.in, src)
			}
			if r.IntN(5) == 0 {
				u.Flush()
				require.Zero(t, u.Waiting())
				slow.stale = [2]slowSpace{}
			}
		default:
			src, n, write := mmu.Source(r.IntN(5)), 1+r.IntN(9000), r.IntN(2) == 0
			at := iova + mem.Addr(r.IntN(4096))
			if r.IntN(50) == 0 {
				at = mem.Addr(r.Uint64())
			}
			g, ok := u.Translate(src, at, n, write, now)
			if !slow.grants(t, src, at, n, write, g, ok) {
				faults++
			}
		}
		require.Equal(t, faults, u.Stat().Faults)
		require.Len(t, u.Faults(), int(min(faults, 5)))
	}
}

// grants checks an answer byte by byte and says whether it was a grant.
func (s *slowIOMMU) grants(t *testing.T, src mmu.Source, at mem.Addr, n int, write bool, g mmu.Grant, ok bool) bool {
	i, attached := s.in[src]
	allowed := func(a mem.Addr, pa mem.Addr) bool {
		if !attached {
			return false
		}
		need := mmu.Read
		if write {
			need = mmu.Write
		}
		for _, l := range []slowSpace{s.pages[i], s.stale[i]} {
			for _, p := range l {
				if p.va <= a && a < p.end() && p.perm&need != 0 && (pa == ^mem.Addr(0) || p.pa+a-p.va == pa) {
					return true
				}
			}
		}
		return false
	}
	if !ok {
		// A page that is mapped, with nothing stale in its place, has to be granted.
		p, mapped := slowPage{}, false
		if attached {
			p, mapped = s.pages[i].at(at)
		}
		need := mmu.Read
		if write {
			need = mmu.Write
		}
		require.False(t, mapped && p.perm&need != 0, "refused at %#x, where %+v is", at, p)
		return false
	}
	require.Same(t, s.mem[i], g.Memory)
	require.True(t, g.N >= 1 && g.N <= n, "%d of %d bytes", g.N, n)
	require.NotNil(t, g.Memory.Bytes(g.Addr, g.N), "outside the memory")
	for off := 0; off < g.N; off += 512 {
		require.True(t, allowed(at+mem.Addr(off), g.Addr+mem.Addr(off)), "%#x is none of its pages", at+mem.Addr(off))
	}
	require.True(t, allowed(at+mem.Addr(g.N-1), g.Addr+mem.Addr(g.N-1)))
	return true
}

// What a device gets is one piece, or nothing and a fault that says why.
func TestBytesAreOnePieceOrAFault(t *testing.T) {
	u, err := mmu.NewIOMMU(mmu.IOMMUConfig{})
	require.NoError(t, err)
	m := mem.New(16 << 12)
	d := u.NewDomain("guest", m)
	require.NoError(t, u.Attach(9, d))
	require.NoError(t, d.Map(0x10000, 0x1000, 0x2000, mmu.Page4K, mmu.ReadWrite))
	require.NoError(t, d.Map(0x12000, 0x9000, 0x1000, mmu.Page4K, mmu.Read))
	b, refs := u.Bytes(9, 0x10ffc, 8, true, 1)
	require.Len(t, b, 8)
	require.Equal(t, 8, refs, "two pages, four levels")
	at, _ := m.AddrOf(b)
	require.Equal(t, mem.Addr(0x1ffc), at)
	_, refs = u.Bytes(9, 0x10ffc, 8, true, 1)
	require.Zero(t, refs, "the IOTLB has both")
	for _, tt := range []struct {
		source mmu.Source
		iova   mem.Addr
		n      int
		write  bool
		reason mmu.Reason
		at     mem.Addr
	}{
		{8, 0x10000, 8, false, mmu.NoDomain, 0x10000},
		{9, 0x11ffc, 8, false, mmu.Scattered, 0x12000},
		{9, 0x12000, 8, true, mmu.NotPermitted, 0x12000},
		{9, 0x12ffc, 8, false, mmu.NotPresent, 0x13000},
		{9, 0x20000, 8, false, mmu.NotPresent, 0x20000},
		{9, 1 << 48, 8, false, mmu.BeyondWidth, 1 << 48},
		{9, ^mem.Addr(0), 8, true, mmu.BeyondWidth, ^mem.Addr(0)},
	} {
		n := len(u.Faults())
		b, _ := u.Bytes(tt.source, tt.iova, tt.n, tt.write, 5)
		require.Nil(t, b, "%+v", tt)
		require.Len(t, u.Faults(), n+1, "%+v", tt)
		fault := u.Faults()[n]
		require.Equal(t, tt.reason, fault.Reason, "%+v", tt)
		require.Equal(t, tt.at, fault.Addr)
		require.EqualValues(t, 5, fault.At)
	}
	require.Equal(t, "DMA write at 0x12000 by 00:01.1: not permitted", u.Faults()[2].String())
}

// What was unmapped a device may reach until the IOTLB is told, and not a moment longer.
func TestDeferredInvalidationLeavesAWindow(t *testing.T) {
	for _, how := range []mmu.Invalidation{mmu.Deferred, mmu.Strict} {
		u, err := mmu.NewIOMMU(mmu.IOMMUConfig{Invalidation: how})
		require.NoError(t, err)
		d := u.NewDomain("host", mem.New(1<<20))
		require.NoError(t, u.Attach(1, d))
		require.NoError(t, d.Map(0, 0, 1<<20, mmu.Page4K, mmu.ReadWrite))
		reach := func() bool { _, ok := u.Translate(1, 0, 64, true, 0); return ok }
		require.True(t, reach())
		_, err = d.Unmap(0, 4096, 0)
		require.NoError(t, err)
		require.Equal(t, how == mmu.Deferred, reach())
		for i := 1; i < 255; i++ {
			_, err := d.Unmap(mem.Addr(i)<<12, 4096, 0)
			require.NoError(t, err)
		}
		require.Equal(t, how == mmu.Deferred, reach(), "255 wait")
		flushed, err := d.Unmap(255<<12, 4096, 0)
		require.NoError(t, err)
		require.True(t, flushed, "the queue is full")
		require.False(t, reach())
	}
}

func TestTranslatingDoesNotAllocate(t *testing.T) {
	tlb, err := mmu.NewTLB(mmu.TLBConfig{})
	require.NoError(t, err)
	s := mmu.NewSpace(1)
	require.NoError(t, s.Map(0, 0, 64<<20, mmu.Page4K, mmu.ReadWrite))
	u, err := mmu.NewIOMMU(mmu.IOMMUConfig{})
	require.NoError(t, err)
	d := u.NewDomain("d", mem.New(1<<20))
	require.NoError(t, u.Attach(1, d))
	require.NoError(t, d.Map(0, 0, 1<<20, mmu.Page4K, mmu.ReadWrite))
	at := mem.Addr(0)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		at = (at + 4096*7) % (64 << 20)
		tlb.Touch(s, at, 64)
		u.Translate(1, at%(1<<20), 64, true, 0)
	}))
}

func BenchmarkTouch(b *testing.B) {
	for _, bc := range []struct {
		name  string
		pages int
	}{{"same", 1}, {"l1", 32}, {"stlb", 512}, {"walk", 16384}} {
		b.Run(bc.name, func(b *testing.B) {
			tlb, _ := mmu.NewTLB(mmu.TLBConfig{})
			s := mmu.NewSpace(1)
			if err := s.Map(0, 0, 16384<<12, mmu.Page4K, mmu.ReadWrite); err != nil {
				b.Fatal(err)
			}
			at, end := mem.Addr(0), mem.Addr(bc.pages)<<12
			for b.Loop() {
				tlb.Touch(s, at, 64)
				if at += 4096; at == end {
					at = 0
				}
			}
		})
	}
}
