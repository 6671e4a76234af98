package kernel

import (
	"errors"
	"fmt"

	"ringside/cost"
	"ringside/mem"
	"ringside/nic"
	"ringside/sim"
	"ringside/trace"
	"ringside/xdp"
)

// AF_XDP sockets. One is bound to a queue of a NIC, whose program says which frames are
// for it; they go into memory of the process, the UMEM, and by rings that it shares with
// the kernel.
//
//	copy:       ring ─► program ─► a buffer off the fill ring, the copy ─► rx ring ═► process
//	zero-copy:  fill ring ─► descriptors, DMA into the UMEM ─► program ─► rx ring ═► process
//
//	process ═► tx ring ─► copy: sendto(): an sk_buff with a copy ─► the NIC's ring
//	                   ─► zero-copy: the queue's poll: a descriptor   ─► the NIC's ring ─► comp ring
//
// Whatever the process writes into a ring is checked: an address that does not lie in the
// UMEM with all that is to be there is counted and thrown away. It can spoil its own frames
// and no more.

// A UMEM is memory of a process for frames: blocks of BlockSize bytes, one behind the
// other in its addresses. Frames may begin anywhere (XDP_UMEM_UNALIGNED_CHUNK_FLAG), but
// lie in one block.
type UMEM struct {
	Blocks    []mem.Addr // in the memory of the host
	BlockSize int        // a power of two, the same for all
	Room      int        // the longest frame that a buffer holds, behind the kernel's headroom
}

// XSKConfig describes a socket.
type XSKConfig struct {
	NIC      string
	Queue    int
	UMEM     UMEM
	Ring     int // entries of each of the four rings; 0 means 2048
	ZeroCopy bool
	// Forwards says that the process sends frames on and accounts for them: one that it
	// has taken is under way still. Else a frame that it has is delivered to the host.
	Forwards bool
	// Ready, if not nil, is called when there are frames for a process that polls.
	Ready func(at sim.Time)
}

// An XSK is an AF_XDP socket.
type XSK struct {
	xdp.Socket

	k     *Kernel
	cfg   XSKConfig
	d     *driver
	q     *rxQueue
	spare []uint64 // buffers that the kernel has and the NIC does not
	fresh bool     // descriptors were written and not published
	sent  int      // frames with the NIC, zero-copy: each has a place on the comp ring to come
	began uint64   // frames of a process that forwards, on the tx ring
	stat  XSKStat

	pieces bool // zero-copy: the next descriptor goes on with a frame that is too long
}

// An XSKStat counts what a socket could not do (struct xdp_statistics), and what it did.
type XSKStat struct {
	Rx            uint64 `json:"rx"`
	Tx            uint64 `json:"tx"`
	RxDropped     uint64 `json:"rx_dropped"`               // no buffer, or too long for it
	RxInvalid     uint64 `json:"rx_invalid_descs"`         // addresses on the fill ring that are none
	TxInvalid     uint64 `json:"tx_invalid_descs"`         // descriptors likewise
	RxRingFull    uint64 `json:"rx_ring_full"`             // frames
	FillRingEmpty uint64 `json:"rx_fill_ring_empty_descs"` // times that a buffer was wanted
	TxRingEmpty   uint64 `json:"tx_ring_empty_descs"`      // times that a frame was looked for
}

// ErrXSK says that a socket cannot be bound.
var ErrXSK = errors.New("no such AF_XDP socket")

// AddXSK makes a socket and binds it.
func (k *Kernel) AddXSK(cfg XSKConfig) (*XSK, error) {
	if cfg.Ring == 0 {
		cfg.Ring = 2048
	}
	dev := k.netdev(cfg.NIC)
	if dev == nil || dev.drv == nil {
		return nil, fmt.Errorf("kernel: %w: %s is no NIC", ErrXSK, cfg.NIC)
	}
	h, d := dev.drv.xdp, dev.drv
	switch {
	case h == nil:
		return nil, fmt.Errorf("kernel: %w: %s has no program at its driver that could tell which frames are for it", ErrXSK, cfg.NIC)
	case cfg.Queue < 0 || cfg.Queue >= len(d.rx):
		return nil, fmt.Errorf("kernel: %w: %s has no queue %d", ErrXSK, cfg.NIC, cfg.Queue)
	case h.sock(cfg.Queue) != nil:
		return nil, fmt.Errorf("kernel: %w: queue %d of %s has one", ErrXSK, cfg.Queue, cfg.NIC)
	}
	if err := cfg.UMEM.check(k.mem, cfg.ZeroCopy); err != nil {
		return nil, fmt.Errorf("kernel: %w: %w", ErrXSK, err)
	}
	x := &XSK{k: k, cfg: cfg, d: d, q: d.rx[cfg.Queue]}
	for _, r := range []struct {
		to    **xdp.Ring
		descs bool
	}{{&x.Fill, false}, {&x.Comp, false}, {&x.Rx, true}, {&x.Tx, true}} {
		size := xdp.RingBytes(max(cfg.Ring, 1), r.descs)
		block, err := k.mem.Alloc(mem.Order(size))
		if err != nil {
			return nil, fmt.Errorf("kernel: a ring of the AF_XDP socket: %w", err)
		}
		if *r.to, err = xdp.NewRing(k.mem.Bytes(block, size), cfg.Ring, r.descs); err != nil {
			return nil, fmt.Errorf("kernel: %w: %w", ErrXSK, err)
		}
	}
	for len(h.socks) < len(d.rx) {
		h.socks = append(h.socks, nil)
	}
	h.socks[cfg.Queue] = x
	k.xsks = append(k.xsks, x)
	x.Tx.SetNeedWakeup(true)
	return x, nil
}

// Start begins to receive, when the process has filled the fill ring. It is not billed.
func (x *XSK) Start() {
	if x.cfg.ZeroCopy {
		x.takeQueue()
	}
}

func (u *UMEM) check(m *mem.Memory, zeroCopy bool) error {
	switch {
	case len(u.Blocks) == 0 || u.BlockSize < mem.PageSize || u.BlockSize&(u.BlockSize-1) != 0:
		return fmt.Errorf("a UMEM of %d blocks of %d bytes; a power of two, a page or more, is possible", len(u.Blocks), u.BlockSize)
	case u.Room < 64 || u.Room > rxBufferSize || zeroCopy && u.Room%1024 != 0:
		return fmt.Errorf("room for frames of %d bytes; 64 to %d are possible, with zero-copy a multiple of 1024", u.Room, rxBufferSize)
	}
	for _, b := range u.Blocks {
		if m.Bytes(b, u.BlockSize) == nil {
			return fmt.Errorf("a block at %#x, outside of memory", uint64(b))
		}
	}
	return nil
}

// at is where n bytes at an address of the UMEM are in the memory of the host; ok is
// false if they are not all in one of its blocks.
func (u *UMEM) at(addr uint64, n int) (a mem.Addr, ok bool) {
	size := uint64(u.BlockSize)
	i, off := addr/size, addr%size
	if i >= uint64(len(u.Blocks)) || n < 0 || off+uint64(n) > size {
		return 0, false
	}
	return u.Blocks[i] + mem.Addr(off), true
}

// addrOf is the address in the UMEM of what is at a.
func (u *UMEM) addrOf(a mem.Addr) uint64 {
	for i, b := range u.Blocks {
		if a >= b && a < b+mem.Addr(u.BlockSize) {
			return uint64(i)*uint64(u.BlockSize) + uint64(a-b)
		}
	}
	return 0
}

// sock is the socket of a queue, nil if there is none.
func (h *xdpHook) sock(queue int) *XSK {
	if queue < 0 || queue >= len(h.socks) {
		return nil
	}
	return h.socks[queue]
}

// Socket says that a socket is bound to a queue: see xdp.Host.
func (h *xdpHook) Socket(ifindex, queue int) bool {
	return ifindex == int(h.dev.index) && h.sock(queue) != nil
}

// Stat is what the socket has counted.
func (x *XSK) Stat() XSKStat { return x.stat }

// XSKStats are those of all sockets, in the order in which they were bound.
func (k *Kernel) XSKStats() (list []XSKStat) {
	for _, x := range k.xsks {
		list = append(list, x.stat)
	}
	return list
}

// buffer takes a buffer off the fill ring whose room is n bytes. One that is not in the
// UMEM is counted, and the next is tried.
func (x *XSK) buffer(now sim.Time, n int) (addr uint64, a mem.Addr, ok bool) {
	if len(x.spare) > 0 {
		addr = x.spare[len(x.spare)-1]
		x.spare = x.spare[:len(x.spare)-1]
		a, _ = x.cfg.UMEM.at(addr, n+xdp.Headroom)
		return addr, a + xdp.Headroom, true
	}
	if !x.Fill.Caught() {
		x.stat.RxInvalid++
	}
	for {
		addr, ok = x.Fill.TakeAddr(now)
		if !ok {
			x.stat.FillRingEmpty++
			x.Fill.SetNeedWakeup(true)
			return 0, 0, false
		}
		x.Fill.Release()
		if a, ok = x.cfg.UMEM.at(addr, n+xdp.Headroom); ok {
			return addr, a + xdp.Headroom, true
		}
		x.stat.RxInvalid++
	}
}

// toSocket is xsk_rcv in copy mode: the frame is copied into the process' memory. The
// caller gives s up.
func (h *xdpHook) toSocket(c *CPU, s *skb) {
	x := h.sock(int(s.queue))
	if x == nil {
		h.stat.Errors++
		c.drop(s, cost.XDP, cost.RSXDPNoTarget)
		return
	}
	switch why := x.copyIn(c, s); why {
	case cost.NotDropped:
		x.handed(c, s)
	default:
		x.stat.RxDropped++
		c.drop(s, cost.XDP, why)
	}
}

// copyIn copies a frame into a buffer and gives it to the process, or says why not.
func (x *XSK) copyIn(c *CPU, s *skb) cost.DropReason {
	switch {
	case int(s.length) > x.cfg.UMEM.Room:
		return cost.PktTooBig
	case x.Rx.Free() == 0:
		x.stat.RxRingFull++
		return cost.RSXSKRxFull
	}
	addr, a, ok := x.buffer(c.clock.Now(), x.cfg.UMEM.Room)
	if !ok {
		return cost.RSXSKNoFill
	}
	to := x.k.mem.Bytes(a, int(s.length))[:0]
	for _, p := range s.parts(c.parts[:0]) {
		to = append(to, p...)
	}
	c.many(cost.XskRcv, s, 1, uint64(s.length))
	x.give(c, addr, int(s.length), xdp.Tag{ID: s.id, Arrived: s.arrived})
	return cost.NotDropped
}

// give puts a descriptor on the receive ring; there is room.
func (x *XSK) give(c *CPU, addr uint64, n int, t xdp.Tag) {
	x.stat.Rx++
	x.Rx.PutDesc(xdp.Desc{Addr: addr + xdp.Headroom, Len: uint32(n)}, t, c.clock.Now())
	if !x.fresh {
		x.fresh = true
		c.xsks = append(c.xsks, x)
	}
}

// handed ends what the kernel does with a frame whose copy the process has.
func (x *XSK) handed(c *CPU, s *skb) {
	x.delivered(c, s.id, s.arrived, s.data)
	if s.raw {
		c.one(cost.XdpReturnBuff, s)
	} else {
		c.one(cost.KfreeSkb, s)
	}
	x.k.release(s)
}

// delivered counts a frame that the process has, unless it goes on from there.
func (x *XSK) delivered(c *CPU, id uint64, arrived sim.Time, data []byte) {
	if x.cfg.Forwards {
		x.k.inSockets++
		return
	}
	x.k.flow.ToHost++
	x.k.hash.Add(trace.Record{At: c.clock.Now(), Kind: trace.Delivered, Who: uint32(x.d.net.index), A: id, B: trace.Fate(trace.Bytes(data), arrived)})
	if c.watched {
		x.k.sink.Frame(&trace.Frame{ID: id, At: c.clock.Now(), Point: trace.Host, Verdict: trace.Deliver, Queue: int32(x.cfg.Queue), Port: x.d.net.index, VM: -1, Len: len(data), Data: data})
	}
}

// Taken says that a process that forwards has taken n frames off the receive ring: they
// are its own to account for.
func (x *XSK) Taken(n int) { x.k.inSockets -= uint64(n) }

// Queued says that it has put n frames on the send ring.
func (x *XSK) Queued(n int) { x.began += uint64(n) }

// flushSockets is __xsk_map_flush: the processes see what they have got.
func (c *CPU) flushSockets() {
	for _, x := range c.xsks {
		c.shared(cost.XskFlush, 1, "")
		x.Rx.Publish()
		x.fresh = false
		if x.cfg.Ready != nil {
			x.cfg.Ready(c.clock.Now())
		}
	}
	c.xsks = c.xsks[:0]
}

// Wakeup is the system call of a process on the core: sendto() or recvfrom(). In copy mode
// frames on the send ring are sent by it; in zero-copy mode the queue is polled.
func (x *XSK) Wakeup(core *Core) {
	c := core.cpu
	c.shared(cost.SysEnter, 1, core.name)
	c.shared(cost.XskSendmsg, 1, core.name)
	if x.cfg.ZeroCopy {
		c.shared(cost.IgbXskWakeup, 1, core.name)
		x.d.write(c, nic.EICS, 1<<x.cfg.Queue)
	} else {
		x.sendCopies(c)
	}
	c.shared(cost.SysExit, 1, core.name)
}

// sendCopies is xsk_generic_xmit.
func (x *XSK) sendCopies(c *CPU) {
	if !x.Tx.Caught() {
		x.stat.TxInvalid++
	}
	for range min(x.Tx.Size(), x.Comp.Free()) {
		d, t, ok := x.Tx.TakeDesc(c.clock.Now())
		if !ok {
			break
		}
		x.Tx.Release()
		a, ok := x.frame(c, d, t)
		if !ok {
			continue
		}
		s, err := x.k.allocSKB(int(d.Len))
		if err != nil {
			x.lost(c, t, cost.NoMem)
			x.complete(c, d.Addr)
			continue
		}
		s.fill([][]byte{x.k.mem.Bytes(a, int(d.Len))})
		x.begin(c, s, t)
		c.many(cost.XskGenericXmit, s, 1, uint64(d.Len))
		x.complete(c, d.Addr)
		x.d.xmit(c, s)
	}
	x.Comp.Publish()
}

// frame is where a descriptor of the send ring has its frame; one that is none is counted.
// A frame must be one that the NIC can send.
func (x *XSK) frame(c *CPU, d xdp.Desc, t xdp.Tag) (mem.Addr, bool) {
	a, ok := x.cfg.UMEM.at(d.Addr, int(d.Len))
	if !ok || d.Options != 0 || d.Len < ethHeader || d.Len > uint32(x.d.net.mtu) {
		x.stat.TxInvalid++
		x.lost(c, t, cost.PktTooBig)
		return 0, false
	}
	x.stat.Tx++
	return a, true
}

// begin is the frame s from now on: one that goes on, or one that begins here.
func (x *XSK) begin(c *CPU, s *skb, t xdp.Tag) {
	s.id, s.arrived, s.queue = t.ID, t.Arrived, -1
	if x.cfg.Forwards {
		x.began--
		return
	}
	s.id, s.arrived = x.k.newID(), c.clock.Now()
	x.k.begin(c, s)
}

// lost drops a frame of a process that forwards.
func (x *XSK) lost(c *CPU, t xdp.Tag, why cost.DropReason) {
	if !x.cfg.Forwards {
		return
	}
	x.began--
	x.k.drops.Add(cost.XDP, why, 1)
	x.k.hash.Add(trace.Record{At: c.clock.Now(), Kind: trace.Dropped, Who: trace.WhoDropped(cost.XDP, why), A: t.ID})
}

// complete gives a buffer back that was sent.
func (x *XSK) complete(c *CPU, addr uint64) {
	c.shared(cost.XskTxCompleted, 1, "")
	x.Comp.PutAddr(addr, c.clock.Now())
}

// socketsInFlight counts the frames that are between a process that forwards and the kernel.
func (k *Kernel) socketsInFlight() uint64 {
	n := k.inSockets
	for _, x := range k.xsks {
		n += x.began
	}
	return n
}
