package vswitch

import (
	"errors"
	"fmt"

	"ringside/mem"
	"ringside/sim"
)

// The parts of a packet buffer.
const (
	// Headroom lies in front of the frame (RTE_PKTMBUF_HEADROOM).
	Headroom = 128
	// DataRoom is the longest frame that fits, a power of two as a NIC wants it.
	DataRoom = 2048

	mbufSize = Headroom + DataRoom
)

// An Mbuf is a packet buffer: one frame in memory that a device can reach.
//
//	├─ headroom ─┼─ Data ──────┤ ... │
//	             Addr               DataRoom
//
// Whoever has one hands it on or frees it. A flooded frame is one Mbuf with several
// holders, and is read only.
type Mbuf struct {
	Data    []byte   // the frame
	Addr    mem.Addr // of Data, in host memory
	ID      uint64   // who the frame is, in traces
	Arrived sim.Time // last bit in from the wire, or taken from the guest

	pool    *Pool
	holders int32
}

// Room is all that a frame in the buffer may have, for whoever fills it.
func (m *Mbuf) Room() []byte { return m.Data[:DataRoom] }

// A Pool is packet buffers that take turns. The one freed last is taken first, since it
// is still in the cache. It is made by NewPool.
type Pool struct {
	all  []Mbuf
	free []*Mbuf

	blocks []mem.Addr // of one that is a UMEM
	order  int        // of them
	size   int        // of a buffer with its headroom
	each   int        // buffers of a block
}

// ErrPool says that a pool cannot be had.
var ErrPool = errors.New("vswitch: no pool of packet buffers")

// poolOrder is the blocks that a pool takes: 2 MiB, as of huge pages.
const poolOrder = 9

// NewPool makes n packet buffers in host memory.
func NewPool(m *mem.Memory, n int) (*Pool, error) {
	if n < 1 || n > 1<<20 {
		return nil, fmt.Errorf("%w: %d of them; 1 to %d are possible", ErrPool, n, 1<<20)
	}
	p := &Pool{all: make([]Mbuf, n), free: make([]*Mbuf, 0, n)}
	for i := 0; i < n; {
		order := min(mem.Order((n-i)*mbufSize), poolOrder)
		block, err := m.Alloc(order)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrPool, err)
		}
		for at := mem.Addr(0); i < n && at+mbufSize <= mem.PageSize<<order; at += mbufSize {
			addr := block + at + Headroom
			p.all[i] = Mbuf{Addr: addr, Data: m.Bytes(addr, DataRoom), pool: p}
			i++
		}
	}
	for i := n - 1; i >= 0; i-- {
		p.free = append(p.free, &p.all[i])
	}
	return p, nil
}

// Get takes a buffer with one holder, nil if there is none.
func (p *Pool) Get() *Mbuf {
	n := len(p.free)
	if n == 0 {
		return nil
	}
	m := p.free[n-1]
	p.free = p.free[:n-1]
	m.holders = 1
	return m
}

// Free takes a holder away; the last one gives the buffer back. To free what nobody
// holds is a bug of the caller and panics.
func (m *Mbuf) Free() {
	if m.holders--; m.holders > 0 {
		return
	}
	if m.holders < 0 {
		panic("vswitch: an mbuf was freed twice")
	}
	m.pool.free = append(m.pool.free, m)
}

// Hold adds n holders.
func (m *Mbuf) Hold(n int) { m.holders += int32(n) }

// Size is the number of buffers, Left how many of them are free.
func (p *Pool) Size() int { return len(p.all) }

// Left is the number of free buffers.
func (p *Pool) Left() int { return len(p.free) }

// Check finds buffers that nobody has, or too many, if those who take some hold so many:
// a flooded one is held by several.
func (p *Pool) Check(held int) error {
	busy, holders := p.held()
	if p.Left()+busy != p.Size() || holders != held {
		return fmt.Errorf("vswitch: of %d packet buffers %d are free, and %d have %d holders, and ports hold %d",
			p.Size(), p.Left(), busy, holders, held)
	}
	return nil
}

// held counts the buffers that somebody has, and all their holders.
func (p *Pool) held() (busy, holders int) {
	for i := range p.all {
		if n := int(p.all[i].holders); n > 0 {
			busy++
			holders += n
		}
	}
	return busy, holders
}
