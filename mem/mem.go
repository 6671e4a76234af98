package mem

import (
	"encoding/binary"
	"errors"
	"fmt"
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
	ram  []byte
	refs []int32  // holders of each page; 0 is free
	free []uint32 // LIFO: the page freed last is the one still in the cache
	top  uint32   // pages from here up have never been given out
}

// New returns a memory of size bytes, rounded up to whole pages.
func New(size int) *Memory {
	pages := (size + PageSize - 1) / PageSize
	return &Memory{ram: make([]byte, pages*PageSize), refs: make([]int32, pages)}
}

// Size is the number of bytes.
func (m *Memory) Size() int { return len(m.ram) }

// Bytes returns the n bytes at a, or nil if they are not all inside.
func (m *Memory) Bytes(a Addr, n int) []byte {
	if n < 0 || uint64(a) > uint64(len(m.ram)) || uint64(n) > uint64(len(m.ram))-uint64(a) {
		return nil
	}
	return m.ram[a : a+Addr(n) : a+Addr(n)]
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

// AllocPage takes one page and returns its address with one holder, or
// ErrNoMemory. Its bytes are whatever they were.
func (m *Memory) AllocPage() (Addr, error) {
	if n := len(m.free); n > 0 {
		p := m.free[n-1]
		m.free = m.free[:n-1]
		m.refs[p] = 1
		return Addr(p) * PageSize, nil
	}
	return m.AllocPages(1)
}

// AllocPages takes n neighbouring pages that were never given out before, for
// descriptor rings and the like. Each has one holder.
func (m *Memory) AllocPages(n int) (Addr, error) {
	if n < 1 || n > len(m.refs)-int(m.top) {
		return 0, fmt.Errorf("%w: %d pages wanted, %d of %d left", ErrNoMemory, n, len(m.refs)-int(m.top), len(m.refs))
	}
	a := Addr(m.top) * PageSize
	for range n {
		m.refs[m.top] = 1
		m.top++
	}
	return a, nil
}

// Hold adds a holder to the page of a.
func (m *Memory) Hold(a Addr) { m.refs[a/PageSize]++ }

// Release takes a holder away from the page of a; the last one frees it.
func (m *Memory) Release(a Addr) {
	p := uint32(a / PageSize)
	m.refs[p]--
	switch {
	case m.refs[p] == 0:
		m.free = append(m.free, p)
	case m.refs[p] < 0:
		panic(fmt.Sprintf("mem: page %#x released more often than held", uint64(a)))
	}
}

// Holders is the number of holders of the page of a.
func (m *Memory) Holders(a Addr) int { return int(m.refs[a/PageSize]) }

// InUse counts the pages that have a holder.
func (m *Memory) InUse() int { return int(m.top) - len(m.free) }
