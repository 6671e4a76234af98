package mem

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
)

// An Addr is a physical address: what a descriptor holds and a DMA engine puts
// on the bus. It is not a Go pointer; only a Memory can turn it into bytes.
type Addr uint64

// PageSize is the size of a base page in bytes.
const PageSize = 4096

// ErrFault is what every access outside a memory wraps.
var ErrFault = errors.New("address outside memory")

// ErrNoMemory says that every page is taken.
var ErrNoMemory = errors.New("out of memory")

// A Memory is the physical memory of one machine, or the private memory of one
// guest: bytes from address 0 up. It never moves and never grows, so a slice
// that Bytes gave out stays good. The zero value has no bytes.
type Memory struct {
	ram   []byte
	refs  []int32                // holders of each block, kept at its first page; 0 is free
	order []uint8                // of the block that begins at this page
	free  [maxOrder + 1][]uint32 // LIFO: the block freed last is the one still in the cache
	inUse int                    // pages that have a holder
	top   uint32                 // pages from here up have never been given out
}

// maxOrder bounds a block to 2^10 pages, 4 MiB, as Linux's allocator does.
const maxOrder = 10

// New returns a memory of size bytes, rounded up to whole pages.
func New(size int) *Memory {
	pages := (size + PageSize - 1) / PageSize
	return &Memory{ram: make([]byte, pages*PageSize), refs: make([]int32, pages), order: make([]uint8, pages)}
}

// Size is the number of bytes.
func (m *Memory) Size() int { return len(m.ram) }

// Bytes returns the n bytes at a, or nil if they are not all inside. The slice's
// capacity reaches to the end of the memory, which is how AddrOf knows it again.
func (m *Memory) Bytes(a Addr, n int) []byte {
	end := a + Addr(n) // below a where n is negative or the sum too large, or else beyond the memory
	if end > Addr(len(m.ram)) || a > end {
		return nil
	}
	return m.ram[a:end]
}

// Part is n bytes of the memory from the address a on, as a memory of its own that begins
// at 0: what is written in one is in both. It has no pages to give out.
func (m *Memory) Part(a Addr, n int) (*Memory, error) {
	b, err := m.Check(a, n)
	if err != nil {
		return nil, err
	}
	return &Memory{ram: b[:n:n]}, nil
}

// Check is Bytes with an error that says what was outside.
func (m *Memory) Check(a Addr, n int) ([]byte, error) {
	if b := m.Bytes(a, n); b != nil {
		return b, nil
	}
	return nil, fmt.Errorf("%w: %d bytes at %#x, memory ends at %#x", ErrFault, n, uint64(a), len(m.ram))
}

// Uint64 reads eight little-endian bytes; ok is false outside the memory.
func (m *Memory) Uint64(a Addr) (v uint64, ok bool) {
	if uint64(a)+8 > uint64(len(m.ram)) || uint64(a)+8 < 8 {
		return 0, false
	}
	return binary.LittleEndian.Uint64(m.ram[a:]), true
}

// PutUint64 writes eight little-endian bytes and says whether it could.
func (m *Memory) PutUint64(a Addr, v uint64) bool {
	if uint64(a)+8 > uint64(len(m.ram)) || uint64(a)+8 < 8 {
		return false
	}
	binary.LittleEndian.PutUint64(m.ram[a:], v)
	return true
}

// Copy64 copies n bytes, 32 to 64 of them, in four moves of sixteen that may
// overlap: a small frame is not worth a call and a loop.
func Copy64(dst, src []byte, n int) {
	d, s := (*[32]byte)(dst), (*[32]byte)(src)
	e, t := (*[32]byte)(dst[n-32:n]), (*[32]byte)(src[n-32:n])
	*(*[16]byte)(d[0:]) = *(*[16]byte)(s[0:])
	*(*[16]byte)(d[16:]) = *(*[16]byte)(s[16:])
	*(*[16]byte)(e[0:]) = *(*[16]byte)(t[0:])
	*(*[16]byte)(e[16:]) = *(*[16]byte)(t[16:])
}

// Alloc takes a block of 2^order neighbouring pages, aligned to its size, with
// one holder. Its bytes are whatever they were. A freed block serves its own
// order again; only when memory is short are larger free blocks split and free
// neighbours merged. Without room it returns ErrNoMemory.
func (m *Memory) Alloc(order int) (Addr, error) {
	if order < 0 || order > maxOrder {
		return 0, fmt.Errorf("%w: a block of order %d; the largest is %d", ErrNoMemory, order, maxOrder)
	}
	size := uint32(1) << order
	if len(m.free[order]) == 0 && !m.fresh(order) && !m.split(order) && !m.merge(order) {
		return 0, fmt.Errorf("%w: %d pages wanted, %d of %d in use", ErrNoMemory, size, m.inUse, len(m.refs))
	}
	list := m.free[order]
	p := list[len(list)-1]
	m.free[order] = list[:len(list)-1]
	m.refs[p], m.order[p] = 1, uint8(order)
	m.inUse += int(size)
	return Addr(p) * PageSize, nil
}

// fresh puts a block that was never given out on the free list, if there is one.
// Pages that are skipped for its alignment go on the lists of smaller blocks.
func (m *Memory) fresh(order int) bool {
	size := uint64(1) << order
	p := (uint64(m.top) + size - 1) &^ (size - 1)
	if p+size > uint64(len(m.refs)) {
		return false
	}
	for uint64(m.top) < p {
		o := bits.TrailingZeros32(m.top)
		m.free[o] = append(m.free[o], m.top)
		m.top += 1 << o
	}
	m.free[order] = append(m.free[order], m.top)
	m.top += uint32(size)
	return true
}

// split halves the smallest larger free block until one of the order is free.
func (m *Memory) split(order int) bool {
	for o := order + 1; o <= maxOrder; o++ {
		n := len(m.free[o])
		if n == 0 {
			continue
		}
		p := m.free[o][n-1]
		m.free[o] = m.free[o][:n-1]
		for o--; o >= order; o-- {
			m.free[o] = append(m.free[o], p+1<<o)
		}
		m.free[order] = append(m.free[order], p)
		return true
	}
	return false
}

// merge makes free blocks of the order out of free neighbours of the orders
// below it and says whether there were any. It looks at all of them, so it is
// for the rare moment at which nothing else is left.
func (m *Memory) merge(order int) bool {
	for pages := uint32(len(m.refs)); m.top < pages; { // what was never given out is free, too
		o := min(bits.TrailingZeros32(m.top), bits.Len32(pages-m.top)-1, maxOrder)
		m.free[o] = append(m.free[o], m.top)
		m.top += 1 << o
	}
	for o := range order {
		list := m.free[o]
		slices.Sort(list)
		kept := list[:0]
		for i := 0; i < len(list); i++ {
			if i+1 < len(list) && list[i]>>o&1 == 0 && list[i+1] == list[i]+1<<o {
				m.free[o+1] = append(m.free[o+1], list[i])
				i++
				continue
			}
			kept = append(kept, list[i])
		}
		m.free[o] = kept
	}
	return len(m.free[order]) > 0
}

// Order is the order of the smallest block that holds n bytes. Where no block is
// large enough, it is one that Alloc refuses.
func Order(n int) int {
	order := 0
	for order <= maxOrder && PageSize<<order < n {
		order++
	}
	return order
}

// Hold adds a holder to the block that begins at a. Holding what nobody holds is
// a bug of the caller and panics: the block may be another's by now.
func (m *Memory) Hold(a Addr) {
	refs := &m.refs[a/PageSize]
	if *refs == 0 {
		heldFree(a)
	}
	*refs++
}

// HoldSole is Hold of a block that has one holder; else it does nothing. It says
// which.
func (m *Memory) HoldSole(a Addr) bool {
	refs := &m.refs[a/PageSize]
	if *refs != 1 {
		return false
	}
	*refs = 2
	return true
}

// Release takes a holder away from the block that begins at a; the last one
// frees it. Releasing what nobody holds is a bug of the caller and panics.
func (m *Memory) Release(a Addr) {
	refs := &m.refs[a/PageSize]
	if *refs <= 1 {
		m.last(a)
	}
	*refs--
}

// last puts the block at a on its free list. It is apart from Release so that
// this can be inlined.
func (m *Memory) last(a Addr) {
	p := a / PageSize
	if m.refs[p] == 0 {
		panic(fmt.Sprintf("mem: block at %#x released more often than held", uint64(a)))
	}
	order := m.order[p]
	m.free[order] = append(m.free[order], uint32(p))
	m.inUse -= 1 << order
}

//go:noinline // so that Hold can be inlined
func heldFree(a Addr) { panic(fmt.Sprintf("mem: block at %#x held while it is free", uint64(a))) }

// Holders is the number of holders of the block that begins at a.
func (m *Memory) Holders(a Addr) int { return int(m.refs[a/PageSize]) }

// InUse counts the pages that have a holder.
func (m *Memory) InUse() int { return m.inUse }

// AddrOf is where b, a slice that Bytes gave out or a part of one, lies in the
// memory; ok is false if it is none of them, or its capacity was cut.
func (m *Memory) AddrOf(b []byte) (a Addr, ok bool) {
	off := len(m.ram) - cap(b)
	if len(b) == 0 || off < 0 || &m.ram[off] != &b[0] {
		return 0, false
	}
	return Addr(off), true
}
