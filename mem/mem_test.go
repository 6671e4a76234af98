package mem

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBytesAreGivenOnlyFromInside(t *testing.T) {
	const size = 2 * PageSize
	m := New(size)
	for _, tt := range []struct {
		claim string
		a     Addr
		n     int
		ok    bool
	}{
		{"everything", 0, size, true},
		{"one byte more than everything", 0, size + 1, false},
		{"the first byte", 0, 1, true},
		{"the last byte", size - 1, 1, true},
		{"the last byte and one more", size - 1, 2, false},
		{"the byte behind the last", size, 1, false},
		{"nothing at the start", 0, 0, true},
		{"nothing at the end", size, 0, true},
		{"nothing behind the end", size + 1, 0, false},
		{"over a page's border", PageSize - 1, 2, true},
		{"a negative length", 0, -1, false},
		{"the most negative length", 1, math.MinInt, false},
		{"the largest length", 0, math.MaxInt, false},
		{"the largest length from inside", 1, math.MaxInt, false},
		{"the last address there is", math.MaxUint64, 1, false},
		{"the last address, and over into the first", math.MaxUint64, 2, false},
		{"to the very top", math.MaxUint64 - 15, 16, false},
		{"wraps into the memory", math.MaxUint64 - 15, 32, false},
		{"half way up", 1 << 63, 1, false},
		{"beyond 2^32 pages, which are not the first pages", Addr(1) << 44, 1, false},
	} {
		b := m.Bytes(tt.a, tt.n)
		require.Equal(t, tt.ok, b != nil, tt.claim)
		c, err := m.Check(tt.a, tt.n)
		require.Equal(t, b, c, tt.claim)
		require.Equal(t, !tt.ok, errors.Is(err, ErrFault), tt.claim)
		if tt.ok {
			require.Len(t, b, tt.n, tt.claim)
		}
	}
	_, err := m.Check(0x1fff, 2)
	require.EqualError(t, err, "address outside memory: 2 bytes at 0x1fff, memory ends at 0x2000")
}

func TestBytesAreTheMemoryItself(t *testing.T) {
	m := New(PageSize)
	copy(m.Bytes(100, 3), "abc")
	require.Equal(t, []byte("xbc"), append([]byte("x"), m.Bytes(101, 2)...))
	whole := m.Bytes(0, PageSize)
	whole[101] = 'B'
	require.Equal(t, []byte("aBc"), m.Bytes(100, 3))
}

func TestSlicesOfTheMemoryAreKnownAgain(t *testing.T) {
	m, other := New(2*PageSize), New(2*PageSize)
	for _, tt := range []struct {
		claim string
		b     []byte
		a     Addr
		ok    bool
	}{
		{"all of it", m.Bytes(0, 2*PageSize), 0, true},
		{"a part", m.Bytes(100, 64), 100, true},
		{"a part of a part", m.Bytes(100, 64)[10:20], 110, true},
		{"its last byte", m.Bytes(2*PageSize-1, 1), 2*PageSize - 1, true},
		{"no bytes", m.Bytes(100, 0), 0, false},
		{"nil", nil, 0, false},
		{"a part with its capacity cut", m.Bytes(100, 64)[:64:64], 0, false},
		{"another memory's", other.Bytes(100, 64), 0, false},
		{"larger than the memory", make([]byte, 3*PageSize), 0, false},
	} {
		a, ok := m.AddrOf(tt.b)
		require.Equal(t, tt.ok, ok, tt.claim)
		require.Equal(t, tt.a, a, tt.claim)
	}
}

func TestUint64AtEveryEdge(t *testing.T) {
	const size = PageSize
	m := New(size)
	for _, tt := range []struct {
		a  Addr
		ok bool
	}{
		{0, true}, {1, true}, {size - 8, true}, {size - 7, false}, {size - 1, false}, {size, false}, {size + 1, false},
		{math.MaxUint64, false}, {math.MaxUint64 - 6, false}, {math.MaxUint64 - 7, false}, {math.MaxUint64 - 8, false}, {1 << 63, false},
	} {
		require.Equal(t, tt.ok, m.PutUint64(tt.a, 0x1122334455667788), "%#x", uint64(tt.a))
		v, ok := m.Uint64(tt.a)
		require.Equal(t, tt.ok, ok, "%#x", uint64(tt.a))
		if tt.ok {
			require.Equal(t, uint64(0x1122334455667788), v)
			require.Equal(t, byte(0x88), m.Bytes(tt.a, 1)[0], "little-endian")
		}
	}
}

func TestSizesAreRoundedUpToPages(t *testing.T) {
	for _, tt := range []struct{ size, want int }{
		{0, 0}, {1, PageSize}, {PageSize, PageSize}, {PageSize + 1, 2 * PageSize},
	} {
		require.Equal(t, tt.want, New(tt.size).Size(), tt.size)
	}
}

func TestZeroMemoryHasNoBytesAndNoPages(t *testing.T) {
	var m Memory
	require.Zero(t, m.Size())
	require.Nil(t, m.Bytes(0, 1))
	_, ok := m.Uint64(0)
	require.False(t, ok)
	_, err := m.Alloc(0)
	require.ErrorIs(t, err, ErrNoMemory)
}

func TestOrderIsTheSmallestThatHolds(t *testing.T) {
	for _, tt := range []struct{ n, want int }{
		{math.MinInt, 0}, {0, 0}, {1, 0}, {PageSize, 0}, {PageSize + 1, 1}, {2 * PageSize, 1}, {2*PageSize + 1, 2},
		{PageSize << maxOrder, maxOrder}, {PageSize<<maxOrder + 1, maxOrder + 1}, {math.MaxInt, maxOrder + 1},
	} {
		require.Equal(t, tt.want, Order(tt.n), tt.n)
	}
	_, err := New(PageSize << maxOrder).Alloc(Order(math.MaxInt))
	require.ErrorIs(t, err, ErrNoMemory)
}

func TestBlockFreedLastIsTakenFirst(t *testing.T) {
	m := New(16 * PageSize)
	var got []Addr
	for range 4 {
		a, err := m.Alloc(0)
		require.NoError(t, err)
		got = append(got, a)
	}
	require.Equal(t, []Addr{0, 1 * PageSize, 2 * PageSize, 3 * PageSize}, got)
	m.Release(got[1])
	m.Release(got[3])
	m.Release(got[0])
	for _, want := range []Addr{got[0], got[3], got[1], 4 * PageSize} {
		a, err := m.Alloc(0)
		require.NoError(t, err)
		require.Equal(t, want, a)
	}
}

func TestBlockWithTwoHoldersIsFreedByTheSecond(t *testing.T) {
	m := New(4 * PageSize)
	a, err := m.Alloc(1)
	require.NoError(t, err)
	require.Equal(t, 1, m.Holders(a))
	m.Hold(a)
	require.Equal(t, 2, m.Holders(a))
	m.Release(a)
	require.Equal(t, 2, m.InUse())
	b, err := m.Alloc(1)
	require.NoError(t, err)
	require.NotEqual(t, a, b, "it is still held")
	m.Release(a)
	require.Equal(t, 2, m.InUse())
	require.Equal(t, 0, m.Holders(a))
}

func TestHoldSoleWantsExactlyOneHolder(t *testing.T) {
	m := New(4 * PageSize)
	a, err := m.Alloc(1)
	require.NoError(t, err)
	require.True(t, m.HoldSole(a))
	require.Equal(t, 2, m.Holders(a))
	require.False(t, m.HoldSole(a), "it has two")
	require.Equal(t, 2, m.Holders(a))
	m.Release(a)
	m.Release(a)
	require.False(t, m.HoldSole(a), "it has none")
	require.Equal(t, 0, m.Holders(a))
	require.Panics(t, func() { m.HoldSole(4 * PageSize) }, "outside")
}

func TestCopy64CopiesEveryLengthAndNothingElse(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 4))
	src := make([]byte, 80)
	for i := range src {
		src[i] = byte(r.Uint32())
	}
	for n := 32; n <= 64; n++ {
		dst, want := make([]byte, 80), make([]byte, 80)
		copy(want[8:], src[5:5+n])
		Copy64(dst[8:], src[5:], n)
		require.Equal(t, want, dst, "%d bytes", n)
		require.Panics(t, func() { Copy64(dst[:n-1:n-1], src, n) }, "%d bytes into one less", n)
		require.Panics(t, func() { Copy64(dst, src[:n-1:n-1], n) }, "%d bytes from one less", n)
	}
}

func TestHoldingAndReleasingWhatNobodyHoldsPanics(t *testing.T) {
	m := New(4 * PageSize)
	a, err := m.Alloc(1)
	require.NoError(t, err)
	m.Release(a)
	require.PanicsWithValue(t, "mem: block at 0x0 released more often than held", func() { m.Release(a) })
	require.PanicsWithValue(t, "mem: block at 0x0 held while it is free", func() { m.Hold(a) })
	require.Panics(t, func() { m.Release(PageSize) }, "the second page of a block")
	require.Panics(t, func() { m.Release(3 * PageSize) }, "a page that was never given out")
	require.Equal(t, 0, m.InUse(), "nothing was changed by that")

	b, err := m.Alloc(1)
	require.NoError(t, err)
	require.Equal(t, a, b)
	for _, outside := range []Addr{4 * PageSize, 1 << 44, math.MaxUint64} {
		require.Panics(t, func() { m.Hold(outside) }, "%#x", uint64(outside))
		require.Panics(t, func() { m.Release(outside) }, "%#x", uint64(outside))
	}
	require.Equal(t, 1, m.Holders(b), "an address beyond 2^44 is not the first page's")
}

func TestMemoryThatIsFullSaysSo(t *testing.T) {
	m := New(5 * PageSize)
	for _, tt := range []struct {
		order int
		ok    bool
	}{
		{-1, false}, {maxOrder + 1, false}, {3, false},
		{1, true}, {0, true}, {1, true}, // a pair cannot begin at an odd page
		{1, false}, {0, false},
	} {
		_, err := m.Alloc(tt.order)
		require.Equal(t, tt.ok, err == nil, "order %d with %d in use: %v", tt.order, m.InUse(), err)
		require.Equal(t, !tt.ok, errors.Is(err, ErrNoMemory))
	}
	require.Equal(t, 5, m.InUse())
}

// A slowBlock is a block as the model below remembers it.
type slowBlock struct {
	a       Addr
	order   int
	holders int
	tag     uint64
}

func (b slowBlock) end() Addr { return b.a + PageSize<<b.order }

// fits says whether an aligned block of the order is free, by looking everywhere.
func fits(m *Memory, live []slowBlock, order int) bool {
	size := Addr(PageSize) << order
	for a := Addr(0); a+size <= Addr(m.Size()); a += size {
		if !slices.ContainsFunc(live, func(b slowBlock) bool { return b.a < a+size && a < b.end() }) {
			return true
		}
	}
	return false
}

// As long as memory is not short, what was freed last is given out first.
func TestFreedBlockIsGivenOutFirst(t *testing.T) {
	m := New(64 * PageSize)
	for order := range 3 {
		a, err := m.Alloc(order)
		require.NoError(t, err)
		b, err := m.Alloc(order)
		require.NoError(t, err)
		m.Release(a)
		m.Release(b)
		for _, want := range []Addr{b, a} {
			got, err := m.Alloc(order)
			require.NoError(t, err)
			require.Equal(t, want, got, "order %d", order)
		}
	}
}

// A memory that was all handed out in pages serves larger blocks once neighbours
// are free, and the other way round.
func TestFreePagesMergeAndBlocksSplit(t *testing.T) {
	m := New(8 * PageSize)
	var pages []Addr
	for range 8 {
		a, err := m.Alloc(0)
		require.NoError(t, err)
		pages = append(pages, a)
	}
	for _, a := range pages {
		m.Release(a)
	}
	big, err := m.Alloc(3)
	require.NoError(t, err, "eight free neighbours are a block of eight")
	m.Release(big)
	for range 8 {
		_, err := m.Alloc(0)
		require.NoError(t, err, "a free block of eight is eight pages")
	}
}

// Random takes, holds and releases: blocks never overlap, are aligned, keep their
// bytes as long as somebody holds them, and nothing is refused that fits.
func TestAllocatorAgainstAListOfBlocks(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		m := New((20 + r.IntN(60)) * PageSize)
		var live []slowBlock
		for tag := range uint64(2000) {
			switch i := r.IntN(3); {
			case i == 0:
				order := r.IntN(4)
				a, err := m.Alloc(order)
				if err != nil {
					require.ErrorIs(t, err, ErrNoMemory)
					require.False(t, fits(m, live, order), "seed %d: order %d was refused and fits", seed, order)
					continue
				}
				b := slowBlock{a, order, 1, tag}
				require.Zero(t, a%(PageSize<<order), "seed %d: aligned to its size", seed)
				require.LessOrEqual(t, b.end(), Addr(m.Size()), "seed %d", seed)
				for _, other := range live {
					require.False(t, b.a < other.end() && other.a < b.end(), "seed %d: %+v overlaps %+v", seed, b, other)
				}
				for p := b.a; p < b.end(); p += PageSize {
					require.True(t, m.PutUint64(p, tag))
				}
				live = append(live, b)
			case len(live) == 0:
			case i == 1:
				j := r.IntN(len(live))
				m.Hold(live[j].a)
				live[j].holders++
			default:
				j := r.IntN(len(live))
				b := &live[j]
				require.Equal(t, b.holders, m.Holders(b.a), "seed %d", seed)
				for p := b.a; p < b.end(); p += PageSize {
					got, ok := m.Uint64(p)
					require.True(t, ok && got == b.tag, "seed %d: somebody wrote into %+v", seed, *b)
				}
				m.Release(b.a)
				if b.holders--; b.holders == 0 {
					live = slices.Delete(live, j, j+1)
				}
			}
			pages := 0
			for _, b := range live {
				pages += 1 << b.order
			}
			if pages != m.InUse() {
				t.Fatalf("seed %d: %d pages in use, want %d", seed, m.InUse(), pages)
			}
		}
	}
}

// Whatever address and length a descriptor holds, the bytes that come out are
// those a slow check with large numbers allows.
func FuzzBytes(f *testing.F) {
	f.Add(uint64(0), 0)
	f.Add(uint64(PageSize), 1)
	f.Add(uint64(math.MaxUint64), 2)
	f.Add(uint64(math.MaxUint64-7), 8)
	f.Add(uint64(1), math.MaxInt)
	f.Fuzz(func(t *testing.T, a uint64, n int) {
		m := New(PageSize)
		for i := range m.ram {
			m.ram[i] = byte(i)
		}
		inside := n >= 0 && a <= PageSize && uint64(n) <= PageSize && a+uint64(n) <= PageSize
		b := m.Bytes(Addr(a), n)
		if (b != nil) != inside {
			t.Fatalf("%d bytes at %#x: %v, want inside=%v", n, a, b != nil, inside)
		}
		if inside && !bytes.Equal(b, m.ram[a:a+uint64(n)]) {
			t.Fatal("other bytes")
		}
		v, ok := m.Uint64(Addr(a))
		if want := a <= PageSize-8; ok != want {
			t.Fatalf("Uint64(%#x): %v, want %v", a, ok, want)
		}
		if ok && v != binary.LittleEndian.Uint64(m.ram[a:]) {
			t.Fatalf("Uint64(%#x) = %#x", a, v)
		}
	})
}

func TestTheFramePathDoesNotAllocate(t *testing.T) {
	m := New(64 * PageSize)
	a, err := m.Alloc(0)
	require.NoError(t, err)
	m.Release(a)
	if n := testing.AllocsPerRun(1000, func() {
		a, _ := m.Alloc(0)
		m.PutUint64(a, 1)
		m.Uint64(a)
		_, _ = m.Check(a, 64)
		m.Hold(a)
		m.Release(a)
		m.Release(a)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAllocHoldRelease(b *testing.B) {
	m := New(64 * PageSize)
	for b.Loop() {
		a, _ := m.Alloc(0)
		m.Hold(a)
		m.Release(a)
		m.Release(a)
	}
}
