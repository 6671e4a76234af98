package vswitch

import (
	"errors"
	"fmt"

	"ringside/cost"
	"ringside/mem"
	"ringside/sim"
	"ringside/trace"
	"ringside/xdp"
)

// A Kernel is the kernel's side of an AF_XDP socket, as far as the process needs it.
// kernel.XSK is one, with its core.
type Kernel interface {
	// Wakeup is a system call, sendto() or recvfrom(): the kernel sends, or looks at the
	// fill ring.
	Wakeup()
	// Taken says that n frames were taken off the receive ring, Queued that n were put
	// on the send ring.
	Taken(n int)
	Queued(n int)
}

// XSKConfig describes an AF_XDP port. All but Index are required.
type XSKConfig struct {
	Core   Core
	Pool   *Pool // its memory is the UMEM
	Socket xdp.Socket
	Kernel Kernel
	Index  int32 // of the interface, in traces
}

// An XSK is a port on an AF_XDP socket: it works on the four rings, and calls the kernel
// where that asks to be told. Its mbufs are the UMEM's buffers, so nothing is copied here.
// See NewXSK.
type XSK struct {
	XSKConfig
	touch Toucher // nil: nobody wants to know
	held  int     // mbufs on rings
	owing int     // buffers that the fill ring did not get, since the pool was empty
}

// NewXSK makes a port whose fill ring has all the buffers that it holds.
func NewXSK(c XSKConfig) (*XSK, error) {
	if c.Core == nil || c.Pool == nil || c.Kernel == nil || c.Socket.Fill == nil {
		return nil, errors.New("vswitch: XSKConfig.Core, Pool, Socket and Kernel are required")
	}
	x := &XSK{XSKConfig: c, touch: TouchOn(c.Core)}
	for x.Socket.Fill.Free() > 0 {
		m := c.Pool.Get()
		if m == nil {
			return nil, ErrPool
		}
		x.Socket.Fill.PutAddr(c.Pool.offset(m)-xdp.Headroom, 0)
		x.held++
	}
	x.Socket.Fill.Publish()
	return x, nil
}

// XSKBuffers is how many mbufs a port with rings of n entries may hold.
func XSKBuffers(n int) int { return 3 * n }

// Receive takes frames off the receive ring, and gives the fill ring as many buffers.
func (x *XSK) Receive(burst []*Mbuf) int {
	n, now := 0, x.Core.Now()
	for ; n < len(burst); n++ {
		d, t, ok := x.Socket.Rx.TakeDesc(now)
		if !ok {
			break
		}
		m := x.Pool.at(d.Addr)
		m.Data, m.ID, m.Arrived = m.Data[:d.Len], t.ID, t.Arrived
		burst[n] = m
		if x.touch != nil {
			x.touch.Touch(m.Addr, headerBytes)
		}
	}
	if n == 0 {
		x.Core.Charge(cost.RteEthRxIdle, 1)
		return 0
	}
	x.Socket.Rx.Release()
	x.Kernel.Taken(n)
	x.held -= n
	Each(x.Core, cost.XskRingRx, burst[:n])
	x.show(burst[:n], false)
	x.fill(n)
	return n
}

// headerBytes is as much of a frame as a switch looks at.
const headerBytes = 64

// fill gives the kernel n buffers, and those that it could not be given before.
func (x *XSK) fill(n int) {
	x.reclaim()
	n += x.owing
	x.owing = 0
	gave, now := 0, x.Core.Now()
	for ; gave < n && x.Socket.Fill.Free() > 0; gave++ {
		m := x.Pool.Get()
		if m == nil {
			break
		}
		x.Socket.Fill.PutAddr(x.Pool.offset(m)-xdp.Headroom, now)
	}
	x.owing = n - gave
	x.held += gave
	if gave == 0 {
		return
	}
	x.Core.Charge(cost.XskRingFill, uint64(gave))
	x.Socket.Fill.Publish()
	if x.Socket.Fill.NeedsWakeup() {
		x.Kernel.Wakeup()
	}
}

// Transmit puts frames on the send ring.
func (x *XSK) Transmit(burst []*Mbuf) (int, cost.DropReason) {
	x.reclaim()
	n, now := min(len(burst), x.Socket.Tx.Free()), x.Core.Now()
	for _, m := range burst[:n] {
		x.Socket.Tx.PutDesc(xdp.Desc{Addr: x.Pool.offset(m), Len: uint32(len(m.Data))}, xdp.Tag{ID: m.ID, Arrived: m.Arrived}, now)
	}
	if n == 0 {
		return 0, cost.RSTxBusy
	}
	x.held += n
	Each(x.Core, cost.XskRingTx, burst[:n])
	x.show(burst[:n], true)
	x.Kernel.Queued(n)
	x.Socket.Tx.Publish()
	if x.Socket.Tx.NeedsWakeup() {
		x.Kernel.Wakeup()
	}
	return n, cost.RSTxBusy
}

// reclaim frees the buffers of frames that were sent.
func (x *XSK) reclaim() {
	n, now := uint64(0), x.Core.Now()
	for {
		addr, ok := x.Socket.Comp.TakeAddr(now)
		if !ok {
			break
		}
		x.Pool.at(addr).Free()
		n++
	}
	if n > 0 {
		x.Core.Charge(cost.XskRingComp, n)
		x.Socket.Comp.Release()
		x.held -= int(n)
	}
}

func (x *XSK) show(burst []*Mbuf, tx bool) {
	if !x.Core.Watched() {
		return
	}
	for _, m := range burst {
		x.Core.Show(&trace.Frame{ID: m.ID, Point: trace.Driver, Tx: tx, Queue: -1, Port: x.Index, VM: -1, Len: len(m.Data), Data: m.Data})
	}
}

// Next is when the next frame was put on the receive ring.
func (x *XSK) Next() sim.Time {
	if at, ok := x.Socket.Rx.Due(); ok {
		return at
	}
	return sim.Never
}

// InFlight is none of the port's: the kernel counts what is on the rings.
func (x *XSK) InFlight() uint64 { return 0 }

// Held is the mbufs that the kernel has.
func (x *XSK) Held() int { return x.held }

// Stalled says that frames are on the receive ring, though nothing runs any more.
func (x *XSK) Stalled() []string {
	if n := x.Socket.Rx.Ready(); n > 0 {
		return []string{fmt.Sprintf("%d frames are on the receive ring of an AF_XDP socket and nobody takes them", n)}
	}
	return nil
}

var _ Port = (*XSK)(nil)

// NewUMEM makes a pool that an AF_XDP socket can have as its UMEM: the kernel's headroom is
// in front of every buffer, and all blocks are of one size.
func NewUMEM(m *mem.Memory, n int) (*Pool, error) {
	if n < 1 || n > 1<<20 {
		return nil, fmt.Errorf("%w: %d of them; 1 to %d are possible", ErrPool, n, 1<<20)
	}
	const size = xdp.Headroom + DataRoom
	p := &Pool{all: make([]Mbuf, 0, n), free: make([]*Mbuf, 0, n), order: poolOrder, size: size, each: mem.PageSize << poolOrder / size}
	for len(p.all) < n {
		block, err := m.Alloc(p.order)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrPool, err)
		}
		p.blocks = append(p.blocks, block)
		for at := block + xdp.Headroom; len(p.all) < min(n, len(p.blocks)*p.each); at += size {
			p.all = append(p.all, Mbuf{Addr: at, Data: m.Bytes(at, DataRoom), pool: p})
		}
	}
	for i := n - 1; i >= 0; i-- {
		p.free = append(p.free, &p.all[i])
	}
	return p, nil
}

// UMEM is the blocks of a pool's memory, each of so many bytes.
func (p *Pool) UMEM() (blocks []mem.Addr, size int) { return p.blocks, mem.PageSize << p.order }

// offset is where a frame lies in the pool's memory, the blocks one behind the other.
func (p *Pool) offset(m *Mbuf) uint64 {
	at := 0
	for a := range p.blocks {
		if m.Addr-p.blocks[a] < mem.PageSize<<p.order {
			at = a
			break
		}
	}
	return uint64(at)<<(p.order+12) + uint64(m.Addr-p.blocks[at])
}

// at is the mbuf in whose buffer that offset is.
func (p *Pool) at(offset uint64) *Mbuf {
	size := uint64(mem.PageSize) << p.order
	return &p.all[offset/size*uint64(p.each)+offset%size/uint64(p.size)]
}
